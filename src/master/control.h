/* control.h - control.sock: what `reeve` asks the master, one line of JSON each way */
#ifndef REEVE_CONTROL_H
#define REEVE_CONTROL_H

#include "base/error.h"

#include <cjson/cJSON.h>

struct control;
struct master;
struct run;

struct control *control_create(struct master *m, struct reeve_error *err);
void control_destroy(struct control *c);
/* A run as `reeve ps --json` shows it (the design's section 3); the caller's. */
cJSON *control_run_row(const struct run *run);

#endif
