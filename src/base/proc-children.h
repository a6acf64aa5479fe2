/* proc-children.h - the processes that this one is the parent of */
#ifndef REEVE_PROC_CHILDREN_H
#define REEVE_PROC_CHILDREN_H

#include <sys/types.h>

/* Calls fn for every child of the calling process's main thread, which those come to
 * whose parents have ended; also for one that nobody has reaped yet. Who comes or goes
 * meanwhile may be missing, and is there the next time. How many there were; 0 also if
 * /proc does not tell. */
int proc_each_child(void (*fn)(pid_t pid, void *arg), void *arg);

#endif
