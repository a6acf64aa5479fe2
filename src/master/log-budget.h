/* log-budget.h - the disk that unsent log lines may take: of one run, of all
 *
 * A run has its own budget (quota log_budget), kept by its sub-agent. Those of all runs
 * together are bounded by agent.reeve.log.budget: where they have more, the largest are
 * told a smaller budget, the same for all of them, until the sum fits. */
#ifndef REEVE_LOG_BUDGET_H
#define REEVE_LOG_BUDGET_H

#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct master;
struct run;
struct log_budget;

/* 0, or -1 with err naming the setting that cannot be read. */
int log_budget_check(const struct config *config, struct reeve_error *err);
/* Of a configuration that was checked. */
struct log_budget *log_budget_create(struct master *m, struct reeve_error *err);
void log_budget_destroy(struct log_budget *b);

/* What applies to the run now; 0: no bound. */
int64_t log_budget_of(const struct run *run);
/* agent.reeve.log.when_full: wait. */
bool log_budget_waits(const struct run *run);
/* The member "log" of `reeve inspect`. */
cJSON *log_budget_to_json(struct run *run);

/* The largest size at which the given ones, cut to it, sum up to no more than total.
 * Sorts sizes. INT64_MAX: they do so as they are. */
int64_t log_budget_level(int64_t *sizes, size_t count, int64_t total);

#endif
