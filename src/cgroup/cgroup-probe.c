/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cgroup/cgroup-probe.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "cgroup/cgroup-file.h"
#include "cgroup/cgroup-internal.h"
#include "cgroup/cgroup-walk.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

static bool has_file(const char *dir, const char *name)
{
    char path[CGROUP_PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return dir[0] && access(path, F_OK) == 0;
}

static bool kernel_is(int major, int minor)
{
    struct utsname u;
    int a = 0, b = 0;
    if (uname(&u) < 0 || sscanf(u.release, "%d.%d", &a, &b) != 2)
        return false;
    return a > major || (a == major && b >= minor);
}

/* Makes an empty group below dir, for the caller to remove. 0 or an errno. */
static int try_group(const char *dir, char out[CGROUP_PATH_MAX])
{
    int n = snprintf(out, CGROUP_PATH_MAX, "%s/reeve-doctor-%d", dir, (int)getpid());
    if (n >= CGROUP_PATH_MAX)
        return ENAMETOOLONG;
    return mkdir(out, 0755) < 0 ? errno : 0;
}

/* ---- v2 */

struct search {
    const char *name;
    bool found;
};

static bool look_for_file(int dirfd, const char *name, void *arg)
{
    struct search *s = arg;
    auto_close fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    s->found = fd >= 0 && faccessat(fd, s->name, F_OK, 0) == 0;
    return !s->found;
}

/* Files of a controller are in groups that have it: perhaps in the base, in one beside
 * where ours would be, or as yet in none. */
static enum cgroup_answer has_v2(const struct cgroup_probe *p, const char *file,
                                 bool by_version)
{
    struct search s = {file, has_file(p->base, file)};
    auto_close fd = s.found ? -1 : cgroup_walk_open(p->base);
    if (fd >= 0)
        cgroup_walk_children(fd, look_for_file, &s);
    return s.found ? CGROUP_YES : by_version ? CGROUP_YES : CGROUP_UNKNOWN;
}

static enum cgroup_answer surely(enum cgroup_answer a, bool enabled)
{
    return a == CGROUP_UNKNOWN && enabled ? CGROUP_NO : a;
}

static void probe_v2_features(struct cgroup_probe *p, const char *group)
{
    unsigned on = cgroup_v2_controllers(p->base, "cgroup.subtree_control");
    bool memory = on & CGROUP_MEMORY, io = on & CGROUP_IO;
    enum cgroup_answer *f = p->feature;
    enum cgroup_answer no = p->makes ? CGROUP_NO : CGROUP_UNKNOWN;
    f[CGROUP_FEATURE_KILL] = has_file(group, "cgroup.kill") ? CGROUP_YES : no;
    f[CGROUP_FEATURE_PSI] = has_file(group, "cpu.pressure") ? CGROUP_YES : no;
    f[CGROUP_FEATURE_PEAK] = surely(has_v2(p, "memory.peak", kernel_is(5, 19)), memory);
    f[CGROUP_FEATURE_OOM_GROUP] =
        surely(has_v2(p, "memory.oom.group", kernel_is(4, 19)), memory);
    f[CGROUP_FEATURE_SWAP] = surely(has_v2(p, "memory.swap.max", false), memory);
    f[CGROUP_FEATURE_IO_MAX] = surely(has_v2(p, "io.max", false), io);
    f[CGROUP_FEATURE_IO_WEIGHT] = surely(has_v2(p, "io.weight", false), io);
    if (f[CGROUP_FEATURE_IO_WEIGHT] != CGROUP_YES)
        f[CGROUP_FEATURE_IO_WEIGHT] = surely(has_v2(p, "io.bfq.weight", false), io);
}

static void probe_v2(struct cgroup_probe *p, const char *mount)
{
    char group[CGROUP_PATH_MAX] = "";
    if (!cgroup_v2_choose_base(mount, p->base)) {
        p->base[0] = '\0';
        p->error = EACCES;
        for (int i = 0; i < CGROUP_FEATURE_COUNT; i++)
            p->feature[i] = CGROUP_UNKNOWN;
        return;
    }
    p->delegated = strcmp(p->base, mount) != 0;
    p->controllers = cgroup_v2_controllers(p->base, "cgroup.controllers");
    p->error = try_group(p->base, group);
    p->makes = !p->error;
    probe_v2_features(p, p->makes ? group : p->base);
    if (p->makes)
        rmdir(group);
}

/* ---- v1 */

static void probe_v1_memory(struct cgroup_probe *p, const char *group)
{
    bool peak = has_file(group, "memory.max_usage_in_bytes");
    bool swap = has_file(group, "memory.memsw.limit_in_bytes");
    p->feature[CGROUP_FEATURE_PEAK] = peak ? CGROUP_YES : CGROUP_NO;
    p->feature[CGROUP_FEATURE_SWAP] = swap ? CGROUP_YES : CGROUP_NO;
}

static void probe_v1_io(struct cgroup_probe *p, const char *group)
{
    bool weight =
        has_file(group, "blkio.bfq.weight") || has_file(group, "blkio.weight");
    bool rate = has_file(group, "blkio.throttle.read_bps_device");
    p->feature[CGROUP_FEATURE_IO_WEIGHT] = weight ? CGROUP_YES : CGROUP_NO;
    p->feature[CGROUP_FEATURE_IO_MAX] = rate ? CGROUP_YES : CGROUP_NO;
}

/* Only a group has these files. */
static void leave_unknown(struct cgroup_probe *p, unsigned controllers)
{
    enum cgroup_answer *f = p->feature;
    if (controllers & CGROUP_MEMORY)
        f[CGROUP_FEATURE_PEAK] = f[CGROUP_FEATURE_SWAP] = CGROUP_UNKNOWN;
    if (controllers & CGROUP_IO)
        f[CGROUP_FEATURE_IO_WEIGHT] = f[CGROUP_FEATURE_IO_MAX] = CGROUP_UNKNOWN;
}

static void probe_hierarchy(struct cgroup_probe *p, const char *dir,
                            unsigned controllers)
{
    char group[CGROUP_PATH_MAX] = "";
    int error = try_group(dir, group);
    if (error) {
        p->error = error;
        p->unusable |= controllers;
        leave_unknown(p, controllers);
        return;
    }
    p->makes = true;
    if (controllers & CGROUP_MEMORY)
        probe_v1_memory(p, group);
    if (controllers & CGROUP_IO)
        probe_v1_io(p, group);
    rmdir(group);
}

static void probe_v1_unified(struct cgroup_probe *p, const char *unified)
{
    char group[CGROUP_PATH_MAX] = "";
    if (unified[0] && try_group(unified, group) != 0) {
        p->feature[CGROUP_FEATURE_KILL] = p->feature[CGROUP_FEATURE_PSI] =
            CGROUP_UNKNOWN;
        return;
    }
    p->feature[CGROUP_FEATURE_KILL] = has_file(group, "cgroup.kill");
    p->feature[CGROUP_FEATURE_PSI] = has_file(group, "cpu.pressure");
    if (unified[0])
        rmdir(group);
}

static void probe_v1(struct cgroup_probe *p, const char *unified)
{
    char options[256];
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    struct mntent *m;
    while (mounts && (m = getmntent(mounts))) {
        unsigned controllers = 0;
        if (strcmp(m->mnt_type, "cgroup") != 0)
            continue;
        snprintf(options, sizeof options, "%s", m->mnt_opts);
        char *save;
        for (char *o = strtok_r(options, ",", &save); o; o = strtok_r(NULL, ",", &save))
            controllers |= cgroup_controller_parse(o, strlen(o));
        if (controllers & ~p->controllers)
            probe_hierarchy(p, m->mnt_dir, controllers);
        p->controllers |= controllers;
    }
    if (mounts)
        endmntent(mounts);
    p->feature[CGROUP_FEATURE_OOM_GROUP] = CGROUP_NO;
    probe_v1_unified(p, unified);
    p->controllers &= ~p->unusable;
}

void cgroup_probe(struct cgroup_probe *out)
{
    char unified[CGROUP_PATH_MAX];
    *out = (struct cgroup_probe){0};
    cgroup_find_unified(unified);
    out->mode = cgroup_mode_of(unified);
    if (out->mode == CGROUP_V2)
        probe_v2(out, unified);
    else
        probe_v1(out, unified);
    out->feature[CGROUP_FEATURE_SPAWN_INTO] =
        unified[0] && kernel_is(5, 7) ? CGROUP_YES : CGROUP_NO;
}
