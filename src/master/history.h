/* history.h - $STATE/history: one JSON line a finished run, the last 24 hours or 1,000
 */
#ifndef REEVE_HISTORY_H
#define REEVE_HISTORY_H

#include <cjson/cJSON.h>

struct master;
struct run;

void history_add(const struct run *run);
/* Adds the rows, oldest first, to an array. */
void history_read(struct master *m, cJSON *rows);
/* Drops what is too old; called at start and now and then. */
void history_trim(struct master *m);

#endif
