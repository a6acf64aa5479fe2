/* children.h - processes that came to us as the payload's subreaper
 *
 * A payload's processes are ended by their group; these calls are for what is in no
 * group of ours: a payload without groups, or a process that moved itself elsewhere. */
#ifndef REEVE_CHILDREN_H
#define REEVE_CHILDREN_H

#include "base/proc-names.h"
#include "cgroup/cgroup-dirs.h"

/* Sends sig to every child of this process. How many there are; a child that nobody
 * reaped yet counts. */
int children_signal(int sig);
void children_name(struct proc_names *names);
/* Moves each of them into these groups, and names it. */
void children_take_in(const struct cgroup_dirs *groups, struct proc_names *names);

#endif
