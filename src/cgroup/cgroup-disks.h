/* cgroup-disks.h - the block devices that an IO limit applies to */
#ifndef REEVE_CGROUP_DISKS_H
#define REEVE_CGROUP_DISKS_H

#define CGROUP_DISKS_MAX 64

struct cgroup_disks {
    int count;
    char id[CGROUP_DISKS_MAX][16]; /* "254:0" */
};

/* Whole disks (limits on partitions are refused) that have a size and are no RAM. */
void cgroup_disks_find(struct cgroup_disks *out);

#endif
