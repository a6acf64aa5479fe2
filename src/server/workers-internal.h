/* workers-internal.h - the two halves of the workers service: who is there, and figures
 */
#ifndef REEVE_SERVER_WORKERS_INTERNAL_H
#define REEVE_SERVER_WORKERS_INTERNAL_H

#include "server/call.h"

/* Keeps the figures of one report. machine_stats may be NULL or null. Figures that
 * ClearML does not know are left out, zeros too, as ClearML does. */
void worker_stats_add(struct call *call, const char *worker, int64_t timestamp,
                      bool has_task, const cJSON *machine_stats);

int workers_get_metric_keys(struct call *call);
int workers_get_stats(struct call *call);
int workers_get_activity_report(struct call *call);

#endif
