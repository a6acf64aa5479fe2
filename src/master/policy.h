/* policy.h - what was resolved for a run from its task: limits, restarts, time-outs
 *
 * Kept in spec.json under "policy", so that a new master knows the same. */
#ifndef REEVE_POLICY_H
#define REEVE_POLICY_H

#include "base/error.h"
#include "cgroup/limits.h"
#include "master/quota.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

struct policy {
    struct limits limits;
    enum restart_policy restart;
    int restart_max;                  /* 0: no bound */
    int64_t grace_ms;                 /* between the stop signal and the end */
    int64_t timeout_ms;               /* wall clock of an attempt; 0: none */
    int64_t setup_timeout_ms;         /* ... until the task's own program; 0: none */
    int64_t nofile_soft, nofile_hard; /* open files of a process; LIMIT_NONE */
    int64_t disk;                     /* bytes of the run's own folder; LIMIT_NONE */
    int64_t log_budget; /* bytes of disk for its unsent log; 0: no bound */
    int stop_signal;
};

cJSON *policy_to_json(const struct policy *p);
/* Missing members get their defaults. */
void policy_from_json(const cJSON *json, struct policy *out);
/* The values of a cgroup alone. */
cJSON *limits_to_json(const struct limits *limits);
void limits_from_json(const cJSON *json, struct limits *out);
/* All of it in one object, without levels, as kept in the file `limits`: what applies
 * now. What the file has not stays as it is in *out; a file of an earlier version has
 * no more than the cgroup's values. */
cJSON *policy_limits_to_json(const struct policy *p);
void policy_limits_from_json(const cJSON *json, struct policy *out);
void policy_from_quota(const struct quota *quota, struct policy *out);
/* Whether an attempt that ended so is followed by another. */
bool policy_wants_restart(const struct policy *p, bool success, uint32_t restarts);

#endif
