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

int cgroup_warm(struct cgroup_host *host, struct reeve_error *err)
{
    char mount[CGROUP_PATH_MAX], dir[CGROUP_PATH_MAX];
    if (!unified_mount(host, mount) || !cgroup_v2_own_path(mount, dir))
        return 0;
    /* The kernel does not care whether it is another group. */
    if (cgroup_file_write(dir, "cgroup.procs", "0") < 0)
        return reeve_error_set(err, errno, "write to cgroup.procs of %s", dir);
    return 0;
}
