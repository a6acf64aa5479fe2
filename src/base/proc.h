/* proc.h - processes by more than their number: start times, boots, pidfds */
#ifndef REEVE_PROC_H
#define REEVE_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Start time of a process in clock ticks since boot (/proc/PID/stat, field 22), or 0 if
 * it is gone. With the boot identity it names a process for ever, where a pid is
 * reused. */
uint64_t proc_start_time(pid_t pid);

/* The letter of its state (R, S, T, Z, ...); 0 if it is gone. */
char proc_state(pid_t pid);

#define BOOT_IDENTITY_SIZE 96
/* "<boot id>.<pid namespace>.<start of pid 1>": a restarted container has its host's
 * boot id, so that alone does not tell. Returns out. */
const char *proc_boot_identity(char out[BOOT_IDENTITY_SIZE]);

/* Bytes of memory that this process has resident; 0 if that cannot be known. */
int64_t proc_own_rss(void);

/* Whether it was started with this variable, "NAME=value". */
bool proc_has_variable(pid_t pid, const char *pair);

/* A process that has no executable any more, since it has no memory: what is left of it
 * closes its descriptors, or waits to be reaped. Also if it is gone. */
bool proc_is_ending(pid_t pid);

/* pidfd_open(2) with CLOEXEC; -1 with errno. */
int proc_pidfd_open(pid_t pid);
int proc_pidfd_signal(int pidfd, int sig);
/* How a process ended that need not be our child (PIDFD_GET_INFO, Linux 6.15), for a
 * pidfd that was opened before it was reaped. 1: code or signal is set, the other one
 * -1 or 0; 0: not yet, since it lives or nobody has reaped it all; -1: this kernel does
 * not say. */
int proc_pidfd_exit(int pidfd, int *code, int *signal);

#endif
