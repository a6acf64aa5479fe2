/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cgroup/cgroup-file.h"
#include "cgroup/cgroup-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The unified tree's mount: the root group's name is the end of its path on v1. */
static bool unified_mount(const struct cgroup_host *host, char out[CGROUP_PATH_MAX])
{
    if (host->mode == CGROUP_V2) {
        strcpy(out, host->mount);
        return true;
    }
    size_t name = strlen(host->name) + 1, all = strlen(host->unified);
    if (all <= name)
        return false;
    memcpy(out, host->unified, all - name);
    out[all - name] = '\0';
    return true;
}

/* Where this process is, if the mount shows that: "/../x" is above what it shows. */
static bool own_path(char out[CGROUP_PATH_MAX])
{
    char text[4096];
    if (cgroup_file_read("/proc/self", "cgroup", text, sizeof text) <= 0)
        return false;
    char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    line = line ? strchr(line, '/') : NULL;
    if (!line || strncmp(line, "/..", 3) == 0)
        return false;
    size_t n = strcspn(line, "\n");
    if (n >= CGROUP_PATH_MAX)
        return false;
    memcpy(out, line, n);
    out[n] = '\0';
    return true;
}

int cgroup_warm(struct cgroup_host *host, struct reeve_error *err)
{
    char mount[CGROUP_PATH_MAX], path[CGROUP_PATH_MAX], dir[CGROUP_PATH_MAX];
    if (!unified_mount(host, mount) || !own_path(path) ||
        cgroup_path_format(dir, mount, path + 1, NULL) < 0)
        return 0;
    /* The kernel does not care whether it is another group. */
    if (cgroup_file_write(dir, "cgroup.procs", "0") < 0)
        return reeve_error_set(err, errno, "write to cgroup.procs of %s", dir);
    return 0;
}
