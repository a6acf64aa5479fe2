/* SPDX-License-Identifier: Apache-2.0 */
/* Where in a v2 tree groups of ours may be: see cgroup-v2-root.c. Only looks. */
#include "config.h"

#include "cgroup/cgroup-file.h"
#include "cgroup/cgroup-internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

static bool writable(const char *dir)
{
    char path[CGROUP_PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/cgroup.subtree_control", dir);
    return access(path, W_OK) == 0 && access(dir, W_OK) == 0;
}

/* systemd's; the first kind is for root alone. */
static const char *const delegate_mark[] = {"trusted.delegate", "user.delegate"};

bool cgroup_v2_marked(const char *dir, const char *const mark[2])
{
    char value[4];
    for (int i = 0; i < 2; i++) {
        if (getxattr(dir, mark[i], value, sizeof value) == 1 && value[0] == '1')
            return true;
    }
    return false;
}

static bool delegated(const char *dir)
{
    return cgroup_v2_marked(dir, delegate_mark) && writable(dir);
}

bool cgroup_v2_own_path(const char *mount, char out[CGROUP_PATH_MAX])
{
    char text[4096];
    if (cgroup_file_read("/proc/self", "cgroup", text, sizeof text) <= 0)
        return false;
    const char *own = strncmp(text, "0::/", 4) == 0 ? text : strstr(text, "\n0::/");
    own = own ? strstr(own, "::") + 2 : "/..";
    int len = (int)strcspn(own, "\n");
    return strncmp(own, "/..", 3) != 0 &&
           snprintf(out, CGROUP_PATH_MAX, "%s%.*s", mount, len > 1 ? len : 0, own) <
               CGROUP_PATH_MAX;
}

void cgroup_v2_own_group(const char *mount, char out[CGROUP_PATH_MAX])
{
    if (!cgroup_v2_own_path(mount, out))
        strcpy(out, mount);
}

bool cgroup_v2_choose_base(const char *mount, char out[CGROUP_PATH_MAX])
{
    char dir[CGROUP_PATH_MAX], highest[CGROUP_PATH_MAX] = "";
    cgroup_v2_own_group(mount, dir);
    while (strlen(dir) > strlen(mount)) {
        if (delegated(dir)) {
            strcpy(out, dir);
            return true;
        }
        if (writable(dir))
            strcpy(highest, dir);
        *strrchr(dir, '/') = '\0';
    }
    strcpy(out, writable(mount) ? mount : highest);
    return out[0] != '\0';
}
