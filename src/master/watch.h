/* watch.h - looks whether a live task was stopped, reset or deleted on the server */
#ifndef REEVE_WATCH_H
#define REEVE_WATCH_H

#include "base/error.h"

#include <cjson/cJSON.h>

struct watch;
struct master;
struct run;

/* What the task's document (status and its words) means for its run: stops it, if it
 * was stopped, reset or taken there. */
void watch_judge(struct run *run, const cJSON *task);
/* NULL with err if agent.reeve.forced_stop is neither resume nor stop. */
struct watch *watch_create(struct master *m, struct reeve_error *err);
void watch_destroy(struct watch *w);

#endif
