/* watch.h - looks whether a live task was stopped, reset or deleted on the server */
#ifndef REEVE_WATCH_H
#define REEVE_WATCH_H

#include "base/error.h"

struct watch;
struct master;

/* NULL with err if agent.reeve.forced_stop is neither resume nor stop. */
struct watch *watch_create(struct master *m, struct reeve_error *err);
void watch_destroy(struct watch *w);

#endif
