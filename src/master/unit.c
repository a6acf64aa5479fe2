/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/unit.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CGROUPS_MAX 65536

/* The part of a path from `at` to the next slash. */
static bool is_service(const char *at, size_t n)
{
    static const char suffix[] = ".service";
    size_t end = sizeof suffix - 1;
    return n > end && memcmp(at + n - end, suffix, end) == 0;
}

static bool is_manager(const char *at)
{
    return strncmp(at, "user@", 5) == 0;
}

/* Of "/user.slice/user-1.slice/user@1.service/app.slice/x.service/reeve" it is x, of
 * the user's manager, which is a service itself. */
static bool unit_of_path(const char *path, char *name, size_t size, bool *user)
{
    bool found = false, inside = false;
    for (size_t n; *path && *path != '\n'; path += n) {
        path += strspn(path, "/");
        n = strcspn(path, "/\n");
        if (!is_service(path, n) || n >= size)
            continue;
        found = !is_manager(path);
        if (found) {
            snprintf(name, size, "%.*s", (int)n, path);
            *user = inside;
        }
        inside |= is_manager(path);
    }
    return found;
}

bool unit_of_cgroups(const char *text, char *name, size_t size, bool *user)
{
    /* systemd's own hierarchy: on v1 and hybrid hosts by its name, else the one that
     * there is. */
    const char *path = strstr(text, ":name=systemd:");
    if (!path)
        path = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    path = path ? strchr(path, '/') : NULL;
    return path && unit_of_path(path, name, size, user);
}

cJSON *unit_to_json(void)
{
    auto_buf text = BUF_INIT;
    char name[256];
    bool user = false;
    const char *pid = getenv("SYSTEMD_EXEC_PID");
    if (!pid || atoll(pid) != getpid() ||
        file_read("/proc/self/cgroup", &text, CGROUPS_MAX, NULL) < 0 ||
        !unit_of_cgroups(buf_str(&text), name, sizeof name, &user))
        return cJSON_CreateNull();
    cJSON *unit = cJSON_CreateObject();
    json_set_str(unit, "name", name);
    json_set_bool(unit, "user", user);
    return unit;
}
