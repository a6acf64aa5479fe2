/* watch.h - looks whether a live task was stopped, reset or deleted on the server */
#ifndef REEVE_WATCH_H
#define REEVE_WATCH_H

#include "base/error.h"

#include <cjson/cJSON.h>

struct watch;
struct config;
struct master;
struct run;

/* What the task's document (status and its words) means for its run: stops it, if it
 * was stopped, reset or taken there. */
void watch_judge(struct run *run, const cJSON *task);
/* 0, or -1 with err if agent.reeve.forced_stop is neither resume nor stop. */
int watch_check(const struct config *config, struct reeve_error *err);
struct watch *watch_create(struct master *m);
void watch_destroy(struct watch *w);

#endif
