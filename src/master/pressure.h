/* pressure.h - how much runs and the host wait for CPU, memory and IO, as told to
 * others
 *
 * From the kernel's pressure stall information; null where the kernel has none. */
#ifndef REEVE_PRESSURE_H
#define REEVE_PRESSURE_H

#include <cjson/cJSON.h>

struct run;

/* {"cpu": {"some": {"avg10", "avg60", "avg300", "total_usec"}, "full": ...}, "memory",
 * "io"}
 */
cJSON *pressure_of_host(void);
cJSON *pressure_of_run(const struct run *run);
/* {"high", "max", "oom", "oom_kill"}: how often, since the attempt's start. */
cJSON *memory_events_of_run(const struct run *run);
/* Says in the run's log, once an attempt for each resource, when all of its processes
 * waited for most of the last five minutes. */
void pressure_check(struct run *run);

#endif
