/* cgroup.h - groups with limits: one interface over cgroup v2, v1 and hybrid hosts
 *
 * A group is named by its path below the host's reeve root: "run/<task>/payload". On v1
 * it is a directory in each controller's hierarchy; on a hybrid host also one in the
 * unified tree, for cgroup.kill, cgroup.events and pressure. Every call is a few short
 * system calls on cgroupfs; none waits. Moving a process does wait (up to 16 ms on v1):
 * the process that is to be moved does that itself, see cgroup_dirs_join(). Weights and
 * the reservation of memory count among siblings, so those of "run/<task>/payload" are
 * set on "run/<task>" as well. */
#ifndef REEVE_CGROUP_H
#define REEVE_CGROUP_H

#include "base/error.h"
#include "cgroup/cgroup-dirs.h"
#include "cgroup/limits.h"
#include "cgroup/psi.h"

#include <stdbool.h>
#include <stdint.h>

enum cgroup_mode { CGROUP_V1, CGROUP_V2, CGROUP_HYBRID };

enum cgroup_controller {
    CGROUP_CPU = 1 << 0,
    CGROUP_CPUACCT = 1 << 1,
    CGROUP_CPUSET = 1 << 2,
    CGROUP_MEMORY = 1 << 3,
    CGROUP_PIDS = 1 << 4,
    CGROUP_IO = 1 << 5, /* v1: blkio */
    CGROUP_FREEZER = 1 << 6
};

struct cgroup_host;

/* Finds the hierarchies, makes the root group (a name such as "reeve", below the group
 * that was delegated to us on v2 or the hierarchy's root) and enables what it can.
 * Fails, with what to do about it in err, when cpu, memory or pids cannot be enforced.
 * NULL on failure. */
struct cgroup_host *cgroup_host_open(const char *root_name, struct reeve_error *err);
/* Whether the name can be a root's: 0, or -1 with err. */
int cgroup_check_root(const char *root_name, struct reeve_error *err);
/* Removes the root group if it is empty and remove is true. NULL is fine. */
void cgroup_host_close(struct cgroup_host *host, bool remove);
enum cgroup_mode cgroup_host_mode(const struct cgroup_host *host);
unsigned cgroup_host_controllers(const struct cgroup_host *host);
const char *cgroup_mode_name(enum cgroup_mode mode);

/* Makes the group (and its parents) and sets its limits; one that is there already is
 * an error EEXIST. limits NULL: none, and on v1 only the one hierarchy that holding a
 * process needs (see cgroup-v1.c). A limit that the host cannot enforce is
 * named in err with a failure only if it is cpu, memory or pids; others are skipped. */
int cgroup_create(struct cgroup_host *host, const char *path,
                  const struct limits *limits, struct reeve_error *err);
/* Sets limits on a group that is there. LIMIT_NONE lifts one. */
int cgroup_apply(struct cgroup_host *host, const char *path,
                 const struct limits *limits, struct reeve_error *err);
/* Reads back what the kernel has; what it has no limit for is LIMIT_NONE. */
int cgroup_read_limits(struct cgroup_host *host, const char *path, struct limits *out,
                       struct reeve_error *err);
/* The group's directories, whether they are there or not. */
void cgroup_dirs(struct cgroup_host *host, const char *path, struct cgroup_dirs *out);
/* The directories of a payload's group, for a process that is to join it: those that
 * are there. ENOENT when one of cpu, memory, pids or the unified tree is not among
 * them, since whoever joined the rest would run without that quota. 0 or -1. */
int cgroup_dirs_enforced(struct cgroup_host *host, const char *path,
                         struct cgroup_dirs *out, struct reeve_error *err);
/* Those of them that a process started by cgroup_spawn() in this group has yet to join
 * (`reeve-subagent --join`): none on v2, nor on a hybrid host for a group without
 * limits, which is in the unified tree alone; else the v1 ones that are there. */
void cgroup_dirs_to_join(struct cgroup_host *host, const char *path,
                         struct cgroup_dirs *out);
/* Removes the group and every empty group below it. EBUSY while a process is left. A
 * group that is not there is no error. */
int cgroup_remove(struct cgroup_host *host, const char *path, struct reeve_error *err);
/* Calls fn for the name of each group directly below path ("run"); 0 or -1. */
int cgroup_list(struct cgroup_host *host, const char *path,
                void (*fn)(const char *name, void *arg), void *arg,
                struct reeve_error *err);

struct cgroup_stat {
    uint64_t cpu_usec;
    uint64_t cpu_throttled_usec;
    int64_t memory;      /* bytes now, page cache included */
    int64_t memory_peak; /* -1 where the kernel has none (v2 before 5.19) */
    int64_t pids;
    uint64_t read_bytes, write_bytes;
    /* Events since the group was made. oom: the group's own limit was hit and could not
     * be met (v2 memory.events oom; v1 oom_kill with failcnt); oom_kill: processes
     * killed for want of memory, the host's included. */
    uint64_t oom, oom_kill;
    /* How often it was slowed to reclaim (v2 memory.high), and how often the limit was
     * reached, with or without success in reclaiming (v1: memory.failcnt). */
    uint64_t memory_high, memory_max;
    uint64_t pids_refused; /* forks refused by the pids limit */
};

/* How much it waits for the resource; false where the host has no unified tree or its
 * kernel no pressure. */
bool cgroup_read_psi(struct cgroup_host *host, const char *path, enum psi_resource r,
                     struct psi *out);
/* Processor time in microseconds, by one file where cgroup_read_stat reads a dozen; -1
 * if it is not known. While it stays, none of its processes has done anything. */
int64_t cgroup_read_cpu(struct cgroup_host *host, const char *path);
int cgroup_read_stat(struct cgroup_host *host, const char *path,
                     struct cgroup_stat *out, struct reeve_error *err);

/* Starts argv[0] with its environment in the given group, so that it never runs outside
 * it where the kernel can do that (clone3 with CLONE_INTO_CGROUP on v2); on v1 the
 * child itself must join first thing (it gets the directories in its arguments, as the
 * caller likes). The caller is not forked whole (CLONE_VFORK). fds: the child gets
 * fds[i] as descriptor i, for i below nfds; all others are closed by CLOEXEC. Signal
 * mask and dispositions are reset. Returns the pid and a pidfd in *pidfd, or -1 (also
 * when exec failed). */
pid_t cgroup_spawn(struct cgroup_host *host, const char *path, char *const argv[],
                   char *const envp[], const int *fds, int nfds, int *pidfd,
                   struct reeve_error *err);

/* Makes the next process that joins a group, in this or another process, do so at once.
 * The kernel lets a move that no other one preceded wait for all processors (8 to 16 ms
 * for an RCU grace period), and this has that wait behind it; so it is called from a
 * thread some ms before. Moves this process into the group that it is in. 0 or -1;
 * hosts without a unified tree are left alone. */
int cgroup_warm(struct cgroup_host *host, struct reeve_error *err);

#endif
