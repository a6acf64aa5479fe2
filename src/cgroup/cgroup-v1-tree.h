/* cgroup-v1-tree.h - libcgroup, behind the two things that reeve takes from it
 *
 * Finding the hierarchies and making the root group in them. Runs' groups are made,
 * set, read and removed by system calls of our own:
 * - it takes twice the time for a group in five hierarchies (0.93 ms to 0.47 ms on
 * Linux 6.18), and that is on the way of every launch;
 * - its deletion moves what is left in a group to the parent, where we must refuse;
 * - a value that the kernel refuses comes back as "other error", without its name.
 *
 * Its headers and ours cannot meet in one file: both have CGROUP_V1 and CGROUP_V2. */
#ifndef REEVE_CGROUP_V1_TREE_H
#define REEVE_CGROUP_V1_TREE_H

#include "base/error.h"

/* Calls fn for every controller that is mounted, with the mount's directory. */
int v1_tree_find(void (*fn)(const char *controller, const char *mount, void *arg),
                 void *arg, struct reeve_error *err);
/* Makes the group in the controllers' hierarchies; one that is there is fine. */
int v1_tree_make(const char *name, const char *const controllers[], int count,
                 struct reeve_error *err);

#endif
