/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cgroup/cgroup-disks.h"
#include "cgroup/cgroup-file.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define SYS_BLOCK "/sys/block"

static void add_disk(struct cgroup_disks *out, const char *name)
{
    char dir[300];
    snprintf(dir, sizeof dir, "%s/%s", SYS_BLOCK, name);
    if (strncmp(name, "ram", 3) == 0 || strncmp(name, "zram", 4) == 0 ||
        cgroup_file_number(dir, "size", 0) <= 0)
        return;
    char *id = out->id[out->count];
    if (cgroup_file_read(dir, "dev", id, sizeof out->id[0]) <= 0)
        return;
    id[strcspn(id, "\n")] = '\0';
    out->count++;
}

void cgroup_disks_find(struct cgroup_disks *out)
{
    out->count = 0;
    DIR *dir = opendir(SYS_BLOCK);
    if (!dir)
        return;
    struct dirent *e;
    while ((e = readdir(dir)) && out->count < CGROUP_DISKS_MAX) {
        if (e->d_name[0] != '.')
            add_disk(out, e->d_name);
    }
    closedir(dir);
}
