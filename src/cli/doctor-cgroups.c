/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/doctor.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "cgroup/cgroup-probe.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void add_place(cJSON *checks, const struct cgroup_probe *p)
{
    const char *mode = cgroup_mode_name(p->mode);
    if (p->mode == CGROUP_V2 && !p->base[0])
        doctor_add(checks, DOCTOR_FAIL, "cgroups",
                   "run as root, or in a systemd unit or scope with Delegate=yes "
                   "(systemd-run --user --scope -p Delegate=yes), or give a group to "
                   "this user",
                   "v2: no group that this user may write");
    else if (!p->makes)
        doctor_add(
            checks, DOCTOR_FAIL, "cgroups",
            p->mode == CGROUP_V2
                ? "run as root, or in a group that was delegated to this user"
                : "v1 needs root, and /sys/fs/cgroup writable; without root use v2",
            "%s: no group can be made: %s", mode, strerror(p->error));
    else if (p->mode == CGROUP_V2)
        doctor_add(checks, DOCTOR_OK, "cgroups", NULL, "v2, below %s%s", p->base,
                   p->delegated ? " (delegated)" : "");
    else
        doctor_add(checks, DOCTOR_OK, "cgroups", NULL, "%s, below /sys/fs/cgroup",
                   mode);
}

static const struct {
    unsigned bit;
    const char *name, *what;
    bool needed;
} controllers[] = {
    {CGROUP_CPU, "cpu", "limits and weights of CPU", true},
    {CGROUP_MEMORY, "memory", "limits of memory", true},
    {CGROUP_PIDS, "pids", "limits of processes", true},
    {CGROUP_CPUSET, "cpuset", "choice of CPUs", false},
    {CGROUP_IO, "io", "limits of disks", false},
};

static void add_controllers(cJSON *checks, const struct cgroup_probe *p)
{
    for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
        auto_free char *check = xasprintf("controller %s", controllers[i].name);
        if (p->controllers & controllers[i].bit)
            doctor_add(checks, DOCTOR_OK, check, NULL, "%s", controllers[i].what);
        else
            doctor_add(checks, controllers[i].needed ? DOCTOR_FAIL : DOCTOR_WARN, check,
                       p->mode == CGROUP_V2
                           ? "add it to cgroup.subtree_control of the groups above "
                             "(systemd: Delegate=cpu cpuset io memory pids)"
                           : "mount it below /sys/fs/cgroup, or boot with v2",
                       "not there: no %s", controllers[i].what);
    }
}

static const struct {
    enum cgroup_feature feature;
    const char *name, *yes, *no, *fix;
} features[] = {
    {CGROUP_FEATURE_KILL, "cgroup.kill", "a run is ended at once",
     "runs are ended by freezing and signals", "Linux 5.14 or later"},
    {CGROUP_FEATURE_SPAWN_INTO, "clone into cgroup", "processes start in their group",
     "a start may take 16 ms more", "Linux 5.7 or later, and a v2 tree mounted"},
    {CGROUP_FEATURE_PSI, "pressure", "pressure of each run is told",
     "no pressure of runs", "boot with psi=1, on Linux 4.20 or later with a v2 tree"},
    {CGROUP_FEATURE_PEAK, "memory peak", "the most that a run used is told",
     "the most that a run used is not known", "Linux 5.19 or later"},
    {CGROUP_FEATURE_OOM_GROUP, "memory.oom.group",
     "a run that is out of memory ends as a whole",
     "out of memory ends one process of a run", "boot with v2"},
    {CGROUP_FEATURE_SWAP, "swap accounting", "memory_swap is enforced",
     "memory_swap is not enforced", "boot with swapaccount=1"},
    {CGROUP_FEATURE_IO_MAX, "disk rates",
     "read_bps, write_iops and the like are enforced",
     "read_bps, write_iops and the like are not enforced",
     "a kernel with CONFIG_BLK_DEV_THROTTLING"},
    {CGROUP_FEATURE_IO_WEIGHT, "disk weights", "blkio_weight is enforced",
     "blkio_weight is not enforced",
     "a kernel with iocost, or BFQ as the disk's scheduler"},
};

/* A weight counts only with a scheduler that looks at it. */
static bool some_disk_weighs(void)
{
    glob_t files;
    bool found = false;
    if (glob("/sys/block/*/queue/scheduler", 0, NULL, &files) == 0) {
        for (size_t i = 0; i < files.gl_pathc && !found; i++) {
            auto_buf text = BUF_INIT;
            found = file_read(files.gl_pathv[i], &text, 4096, NULL) == 0 &&
                    strstr(buf_str(&text), "[bfq]");
        }
        globfree(&files);
    }
    auto_buf cost = BUF_INIT;
    return found || (file_read("/sys/fs/cgroup/io.cost.qos", &cost, 65536, NULL) == 0 &&
                     strstr(buf_str(&cost), "enable=1"));
}

static void add_features(cJSON *checks, const struct cgroup_probe *p)
{
    for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
        enum cgroup_answer a = p->feature[features[i].feature];
        if (a == CGROUP_YES && features[i].feature == CGROUP_FEATURE_IO_WEIGHT &&
            !some_disk_weighs())
            doctor_add(checks, DOCTOR_WARN, features[i].name,
                       "echo bfq > /sys/block/DISK/queue/scheduler, or turn on iocost "
                       "(io.cost.qos)",
                       "blkio_weight is set, but no disk goes by it");
        else if (a == CGROUP_YES)
            doctor_add(checks, DOCTOR_OK, features[i].name, NULL, "%s",
                       features[i].yes);
        else if (a == CGROUP_NO)
            doctor_add(checks, DOCTOR_WARN, features[i].name, features[i].fix, "%s",
                       features[i].no);
        else
            doctor_add(checks, DOCTOR_OK, features[i].name, NULL,
                       "not known before a master has made its groups");
    }
}

void doctor_cgroups(cJSON *checks)
{
    struct cgroup_probe p;
    cgroup_probe(&p);
    if (geteuid() == 0)
        doctor_add(checks, DOCTOR_OK, "rights", NULL, "root");
    else if (p.mode == CGROUP_V2 && p.makes)
        doctor_add(checks, DOCTOR_OK, "rights", NULL,
                   "user %d in a delegated group: runs are of this user, too",
                   (int)geteuid());
    else
        doctor_add(checks, DOCTOR_FAIL, "rights",
                   "run as root, or on v2 in a group that was delegated to this user",
                   "user %d without groups of its own", (int)geteuid());
    add_place(checks, &p);
    if (p.makes)
        add_controllers(checks, &p);
    add_features(checks, &p);
}
