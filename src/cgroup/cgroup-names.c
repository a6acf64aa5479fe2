/* SPDX-License-Identifier: Apache-2.0 */
/* Names of controllers, and which mode a host is in: without libcgroup, so that
 * programs that only look need not link it. */
#include "config.h"

#include "base/alloc.h"
#include "cgroup/cgroup-file.h"
#include "cgroup/cgroup-internal.h"

#include <mntent.h>
#include <stdio.h>
#include <string.h>

static const struct {
    enum cgroup_controller bit;
    const char *name;
} controller_names[] = {
    {CGROUP_CPU, "cpu"},       {CGROUP_CPUACCT, "cpuacct"}, {CGROUP_CPUSET, "cpuset"},
    {CGROUP_MEMORY, "memory"}, {CGROUP_PIDS, "pids"},       {CGROUP_IO, "io"},
    {CGROUP_IO, "blkio"},      {CGROUP_FREEZER, "freezer"},
};

const char *cgroup_controller_name(enum cgroup_controller c)
{
    for (size_t i = 0; i < ARRAY_SIZE(controller_names); i++) {
        if (controller_names[i].bit == c)
            return controller_names[i].name;
    }
    return "unknown";
}

unsigned cgroup_controller_parse(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(controller_names); i++) {
        if (strlen(controller_names[i].name) == len &&
            memcmp(controller_names[i].name, name, len) == 0)
            return controller_names[i].bit;
    }
    return 0;
}

const char *cgroup_mode_name(enum cgroup_mode mode)
{
    static const char *const names[] = {
        [CGROUP_V1] = "v1", [CGROUP_V2] = "v2", [CGROUP_HYBRID] = "hybrid"};
    return names[mode];
}

void cgroup_find_unified(char out[CGROUP_PATH_MAX])
{
    out[0] = '\0';
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    if (!mounts)
        return;
    struct mntent *m;
    while (!out[0] && (m = getmntent(mounts))) {
        if (strcmp(m->mnt_type, "cgroup2") == 0 &&
            strlen(m->mnt_dir) < CGROUP_PATH_MAX - CGROUP_NAME_MAX)
            strcpy(out, m->mnt_dir);
    }
    endmntent(mounts);
}

unsigned cgroup_v2_controllers(const char *dir, const char *file)
{
    char text[512];
    unsigned found = 0;
    cgroup_file_read(dir, file, text, sizeof text);
    for (char *p = text; *p;) {
        size_t len = strcspn(p, " \n");
        found |= cgroup_controller_parse(p, len);
        p += len + (p[len] != '\0');
    }
    return found;
}

/* Each controller is in one place only: where memory is, the others are. */
enum cgroup_mode cgroup_mode_of(const char *unified)
{
    bool v2 = strcmp(unified, "/sys/fs/cgroup") == 0 ||
              (unified[0] &&
               (cgroup_v2_controllers(unified, "cgroup.controllers") & CGROUP_MEMORY));
    return v2 ? CGROUP_V2 : unified[0] ? CGROUP_HYBRID : CGROUP_V1;
}
