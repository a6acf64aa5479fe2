/* drain.h - no more tasks are taken; what runs is finished, or stopped at a deadline
 *
 * $STATE/drain stands for it, so that the next master goes on with it. */
#ifndef REEVE_DRAIN_H
#define REEVE_DRAIN_H

#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

struct drain;
struct master;

/* Goes on with what an earlier master was told. */
struct drain *drain_create(struct master *m);
void drain_destroy(struct drain *d);
/* after_ms: from now to the deadline, at which what still runs is stopped with its
 * grace, controllers before the rest; < 0: none. put_back: and then enqueued again
 * where it came from. A later order takes the place of an earlier one. 0, or -1 with
 * err if that cannot be kept on disk: then nothing changes. */
int drain_begin(struct drain *d, int64_t after_ms, bool put_back,
                struct reeve_error *err);
/* Tasks are taken again. What the deadline stopped stays stopped. */
int drain_end(struct drain *d, struct reeve_error *err);
bool drain_active(const struct drain *d);
/* {since, deadline, put_back, left}: times or null, and the runs that are left; null
 * where nothing drains. New. */
cJSON *drain_to_json(const struct drain *d);

#endif
