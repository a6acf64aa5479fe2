/* hoststat.h - figures of the host and of a run in the form of ClearML's machine_stats
 *
 * Rates (cpu_usage, disk, network) are means since the last report by counters; levels
 * (memory, GPU) are means of the samples since then. Nothing here blocks. */
#ifndef REEVE_HOSTSTAT_H
#define REEVE_HOSTSTAT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cgroup_stat;
struct hoststat;

/* GPUs are read by `reeve-gpus` in $REEVE_LIBEXEC_DIR or where reeve is installed,
 * unless NVIDIA_VISIBLE_DEVICES says none. */
struct hoststat *hoststat_create(void);
/* NULL is fine. */
void hoststat_destroy(struct hoststat *h);
/* Whether this process, which has ended, is one that it has started: then it is reaped.
 */
bool hoststat_reap(struct hoststat *h, pid_t pid);
/* The file system that disk_free_home speaks of (agent.resource_monitoring
 * .disk_use_path); NULL or "": the home folder. One on a network, or unknown, is left
 * out of the report, since asking it may wait for ever. */
void hoststat_set_disk_path(struct hoststat *h, const char *path);
/* About once a second. */
void hoststat_sample(struct hoststat *h);
/* The means since the last call, rounded to 3 decimals; what cannot be known is left
 * out. The caller's. */
cJSON *hoststat_machine_stats(struct hoststat *h);
/* Bytes of memory that the host could still give, as of the last sample; -1: unknown.
 */
int64_t hoststat_available(const struct hoststat *h);

/* The same of one run between two samples of its group, elapsed_ms apart. prev NULL:
 * the first one, without rates. Counters that went back are those of a new group (the
 * next attempt's) and count from 0. memory_limit: bytes or LIMIT_NONE; host_available:
 * bytes or -1. cpu_usage is in % of one core. */
cJSON *run_machine_stats(const struct cgroup_stat *prev, const struct cgroup_stat *now,
                         int64_t elapsed_ms, int64_t memory_limit,
                         int64_t host_available);

#endif
