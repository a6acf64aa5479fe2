/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "config/programs.h"

#include "base/alloc.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "<prefix>/bin/reeve" and "<prefix>/sbin/reeved" give "<prefix>", a program of
 * libexec/reeve is one folder deeper. */
static char *prefix_dup(void)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n < 0)
        return NULL;
    path[n] = '\0';
    int up = strstr(path, "/libexec/reeve/") ? 3 : 2;
    for (int i = 0; i < up; i++) {
        char *slash = strrchr(path, '/');
        if (!slash)
            return NULL;
        *slash = '\0';
    }
    return xstrdup(path);
}

char *program_find_dup(const char *name, struct reeve_error *err)
{
    bool master = strcmp(name, "reeved") == 0;
    const char *given = getenv("REEVE_LIBEXEC_DIR");
    if (given && given[0] && !master) {
        auto_free char *path = xasprintf("%s/%s", given, name);
        if (access(path, X_OK) == 0)
            return steal(&path);
        reeve_error_set(err, errno, "%s", path);
        return NULL;
    }
    auto_free char *prefix = prefix_dup();
    if (prefix) {
        auto_free char *moved =
            xasprintf("%s/%s/%s", prefix, master ? "sbin" : "libexec/reeve", name);
        if (access(moved, X_OK) == 0)
            return steal(&moved);
    }
    auto_free char *installed =
        xasprintf("%s/%s", master ? REEVE_SBINDIR : REEVE_LIBEXECDIR, name);
    if (access(installed, X_OK) == 0)
        return steal(&installed);
    reeve_error_set(err, errno, "%s", installed);
    return NULL;
}
