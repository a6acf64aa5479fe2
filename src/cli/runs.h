/* runs.h - the rows of `reeve ps` from what the server alone knows
 *
 * The stable keys are those of the master's own rows: what a task document does not
 * tell (pids, cgroup, figures) is null. */
#ifndef REEVE_RUNS_H
#define REEVE_RUNS_H

#include <cjson/cJSON.h>
#include <stdbool.h>

/* only_fields for tasks.get_all. */
cJSON *run_row_fields(void);
cJSON *run_row_from_task(const cJSON *task);
/* True for statuses that a task does not leave by itself. */
bool status_is_final(const char *status);

#endif
