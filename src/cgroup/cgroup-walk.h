/* cgroup-walk.h - groups below a group, and the processes in one, without allocation
 *
 * A payload may nest groups of its own below the one it was given, and change them
 * while they are walked; every level is opened relative to its parent. */
#ifndef REEVE_CGROUP_WALK_H
#define REEVE_CGROUP_WALK_H

#include <stdbool.h>
#include <sys/types.h>

/* Deeper nesting is an error ELOOP: the walk uses the stack. */
#define CGROUP_WALK_DEPTH 64

/* Opens a group's directory for the calls below; -1 with errno. */
int cgroup_walk_open(const char *dir);
/* Calls fn for each directory directly in dirfd until it returns false. 0, or -1 with
 * errno; stopping early is 0. */
int cgroup_walk_children(int dirfd, bool (*fn)(int dirfd, const char *name, void *arg),
                         void *arg);
/* Calls fn for dirfd and every group below it, parents first, until it returns false.
 * 0, or -1 with errno. */
int cgroup_walk_tree(int dirfd, bool (*fn)(int dirfd, void *arg), void *arg);
/* Calls fn for each process of the group itself until it returns false; 0 stands for a
 * process of another pid namespace. 0, or -1 with errno. */
int cgroup_walk_processes(int dirfd, bool (*fn)(pid_t pid, void *arg), void *arg);
/* For cgroup_walk_processes: moves each process into the group whose directory arg
 * names. */
bool cgroup_move_process(pid_t pid, void *arg);
/* Removes every group below dirfd, leaves first. Goes on after a failure; returns 0, or
 * -1 with the errno of the last one. */
int cgroup_walk_remove(int dirfd);

#endif
