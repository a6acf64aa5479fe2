/* cgroup-probe.h - what this host could enforce, for `reeve doctor`
 *
 * Looks, and to know whether groups can be made makes an empty one and removes it.
 * Moves no process and enables nothing, unlike cgroup_host_open(). */
#ifndef REEVE_CGROUP_PROBE_H
#define REEVE_CGROUP_PROBE_H

#include "cgroup/cgroup.h"

#include <stdbool.h>

enum cgroup_feature {
    CGROUP_FEATURE_KILL,      /* cgroup.kill */
    CGROUP_FEATURE_PSI,       /* pressure of groups */
    CGROUP_FEATURE_PEAK,      /* memory.peak, or v1's max_usage */
    CGROUP_FEATURE_OOM_GROUP, /* a run out of memory ends as a whole */
    CGROUP_FEATURE_SWAP,      /* swap is accounted for */
    CGROUP_FEATURE_IO_MAX,    /* rates of disks */
    CGROUP_FEATURE_IO_WEIGHT,
    CGROUP_FEATURE_SPAWN_INTO, /* clone3(CLONE_INTO_CGROUP) */
    CGROUP_FEATURE_COUNT
};

enum cgroup_answer { CGROUP_NO, CGROUP_YES, CGROUP_UNKNOWN };

struct cgroup_probe {
    enum cgroup_mode mode;
    unsigned controllers;       /* that groups of ours could have */
    unsigned unusable;          /* mounted (v1), but no group can be made there */
    char base[CGROUP_PATH_MAX]; /* v2: the group below which ours would be; "" none */
    bool delegated;             /* v2: not the top of the tree */
    bool makes;                 /* a group can be made */
    int error;                  /* errno if not */
    enum cgroup_answer feature[CGROUP_FEATURE_COUNT];
};

void cgroup_probe(struct cgroup_probe *out);

#endif
