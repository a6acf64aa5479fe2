/* set.h - `reeve set`: what applies to a run changes while it lives
 *
 * The file `limits` first, then the kernel: a master that dies in between asserts at
 * its next start what the file says (reassert.h). What the kernel refuses is taken
 * back. The kernel may have to reclaim memory before it answers, so a thread asks it.
 */
#ifndef REEVE_SET_H
#define REEVE_SET_H

#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

struct master;
struct set_job;

/* data is the answer's, to be taken; NULL with an exit code of `reeve` and err. */
typedef void (*set_done_f)(void *arg, cJSON *data, int code,
                           const struct reeve_error *err);

/* request: {"task": ID, "values": {"memory": "512m", "timeout": "none", ...}}. Calls
 * done once, perhaps before it returns. */
void set_begin(struct master *m, const cJSON *request, set_done_f done, void *arg);
/* The run's limits are not yet, or no longer, what its group has. */
bool set_under_way(const struct master *m, const char *task);
/* Nobody waits for the answer any more; what was begun is ended. */
void set_forget(struct master *m, const void *arg);
/* Of all that is under way; for the end of the master. */
void set_destroy(struct master *m);

#endif
