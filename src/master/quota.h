/* quota.h - what one task may use and how it is restarted, from task and configuration
 *
 * - Sources, later ones win: agent.reeve.defaults.NAME;
 *   agent.reeve.queues.QUEUE.defaults.NAME; for restart the variable
 *   CLEARML_AGENT_SERVICES_DOCKER_RESTART; Docker's words in the task's
 *   container.arguments; the task's user properties reeve.NAME. Then
 *   agent.reeve.queues.QUEUE.ceilings.NAME and agent.reeve.ceilings.NAME bound them
 * all, and what has no limit too.
 * - NAME: memory memory_reservation memory_swap cpus cpu_shares cpuset pids read_bps
 *   write_bps read_iops write_iops blkio_weight nofile disk log_budget restart
 * stop_timeout stop_signal timeout setup_timeout.
 * - 0 and, where Docker has it, -1 mean: no limit.
 * - A value that can't be read is an error, never passed over. */
#ifndef REEVE_QUOTA_H
#define REEVE_QUOTA_H

#include "base/error.h"
#include "cgroup/limits.h"
#include "config/words.h"

#include <cjson/cJSON.h>
#include <stdint.h>

struct config;

enum restart_policy {
    RESTART_NO,
    RESTART_ON_FAILURE,
    RESTART_ALWAYS,
    RESTART_UNLESS_STOPPED
};

#define QUOTA_STOP_TIMEOUT_MS 10000 /* Docker's own default */
#define QUOTA_LOG_BUDGET (256 << 20)

struct quota {
    struct limits limits;
    enum restart_policy restart;
    int restart_max; /* of on-failure:N; 0: no bound */
    int64_t stop_timeout_ms;
    int64_t timeout_ms;               /* of one attempt; 0: none */
    int64_t setup_timeout_ms;         /* of its set-up alone; 0: none */
    int64_t nofile_soft, nofile_hard; /* open files of a process; LIMIT_NONE */
    int64_t disk;                     /* bytes of the run's folder; LIMIT_NONE */
    int64_t log_budget; /* bytes of disk for what the server has not; 0: no bound */
    int stop_signal;
    struct words env;     /* "NAME=value" of -e and --env, each name once */
    struct words ignored; /* words without a meaning here: "--network"; no values */
    struct words notes;   /* lines for the run's log: what applies, and from where */
};

/* The one that a task was pulled from; either may be NULL. Settings of its id go before
 * those of its name, which may be given to another. */
struct quota_queue {
    const char *id, *name;
};

/* Fills *out from a task document as tasks.get_by_id gives it (of it only container and
 * hyperparams are read, and what the restart variable's selector names). config may be
 * NULL, and queue too. 0, or -1 with err naming word or property and what is allowed;
 * *out is then empty. */
int quota_resolve(const cJSON *task, const struct config *config,
                  const struct quota_queue *queue, struct quota *out,
                  struct reeve_error *err);
/* *out is what applies now with some values changed: an object of NAMEs and texts,
 * where "none" lifts a limit. Checked and bounded as above. The notes are about those
 * alone. 0, or -1 with err and *out empty. */
int quota_change(const struct quota *now, const cJSON *values,
                 const struct config *config, const struct quota_queue *queue,
                 struct quota *out, struct reeve_error *err);
/* Whether a task of any queue can have what agent.reeve.defaults and .queues give it,
 * below their ceilings: 0, or -1 with err. */
int quota_check_config(const struct config *config, struct reeve_error *err);
/* agent.reeve.host.NAME: what all runs together may use. No run gets more than that. 0,
 * or -1 with err and nothing limited. */
int quota_host_limits(const struct config *config, struct limits *out,
                      struct reeve_error *err);
/* No limits, and Docker's own defaults. */
void quota_clear(struct quota *q);
void quota_free(struct quota *q);

/* "SIGUSR1", "usr1" or "10": its number, or -1 with err. */
int stop_signal_parse(const char *text, struct reeve_error *err);
/* "on-failure:5" and the other three. 0, or -1 with err. */
int restart_policy_parse(const char *text, enum restart_policy *policy, int *max,
                         struct reeve_error *err);
#define RESTART_TEXT_SIZE 32
const char *restart_policy_text(enum restart_policy policy, int max,
                                char out[RESTART_TEXT_SIZE]);

#endif
