/* cgroup-dirs.h - one group as its directories, one in each hierarchy
 *
 * Enough to join a group, to look whether it is empty and to end it; used by
 * reeve-subagent too, hence no libcgroup and no allocation behind it. */
#ifndef REEVE_CGROUP_DIRS_H
#define REEVE_CGROUP_DIRS_H

#include "base/error.h"
#include "base/proc-names.h"

#include <stdbool.h>
#include <sys/types.h>

#define CGROUP_DIRS_MAX 10
#define CGROUP_PATH_MAX 512

struct cgroup_dirs {
    int count;
    char dir[CGROUP_DIRS_MAX]
            [CGROUP_PATH_MAX]; /* absolute; the unified one, if any, first */
};

/* Moves the calling process into the group, in every hierarchy. Async-signal-safe, so a
 * child may call it between fork and exec. 0, or -1 with errno. */
int cgroup_dirs_join(const struct cgroup_dirs *dirs);
/* True while a process is left in any of the directories or below them. A directory
 * that is gone counts as empty. */
bool cgroup_dirs_populated(const struct cgroup_dirs *dirs);
/* True if the process is in the group or below it: in the first of its directories. */
bool cgroup_dirs_hold(const struct cgroup_dirs *dirs, pid_t pid);
/* Sends sig once to every process in the group and below. Returns how many got it. */
int cgroup_dirs_signal(const struct cgroup_dirs *dirs, int sig);
/* One step of ending the group for good: cgroup.kill where the unified directory has
 * it; else pids.max 0, freeze, SIGKILL to all, thaw. Never waits. Returns true once
 * nothing is left; otherwise the caller calls again some ms later. */
bool cgroup_dirs_kill_step(const struct cgroup_dirs *dirs);
/* What kill_step does where the kernel has no cgroup.kill; part of the interface for
 * tests on kernels that have. */
void cgroup_dirs_sweep(const struct cgroup_dirs *dirs);
/* Names the processes that are still there. */
void cgroup_dirs_name(const struct cgroup_dirs *dirs, struct proc_names *names);
/* Moves another process into the group; false if it, or a directory, is not there. */
bool cgroup_dirs_take_in(const struct cgroup_dirs *dirs, pid_t pid);

#endif
