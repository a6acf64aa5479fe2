/* pull.h - looks into the queues, by priority or in turn, while there is room for runs
 */
#ifndef REEVE_PULL_H
#define REEVE_PULL_H

#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

struct pull;
struct master;

struct pull *pull_create(struct master *m);
void pull_destroy(struct pull *p);
/* Settles what an earlier master meant to take, finds (or makes) the queues on the
 * server, then starts to look. -1 if what that was cannot be listed. */
int pull_start(struct pull *p, struct reeve_error *err);
/* No more tasks are taken. */
void pull_stop(struct pull *p);
/* A slot may be free, or a claim has ended: look now. */
void pull_wake(struct pull *p);
/* The server answers again: look now, on fresh connections. */
void pull_server_back(struct pull *p);
/* A run is gone: its task may wait in a queue for the next one. */
void pull_run_gone(struct pull *p);
/* Reads the names of the queues again: one may have another by now. */
void pull_refresh(struct pull *p);
/* Whether a task may be taken now, of whichever queue. */
bool pull_has_room(struct pull *p);
/* Claims under way. */
unsigned pull_claims(const struct pull *p);
/* The name of a queue that is served, by its id; NULL for any other. Borrowed. */
const char *pull_queue_name(const struct pull *p, const char *queue);
/* Why nothing of the queue with this id is taken now, which this host serves; of NULL:
 * of any of them. NULL if nothing is in the way. Borrowed. */
const char *pull_waits_for(const struct pull *p, const char *queue);
/* The ids that are known: a new array. */
cJSON *pull_queue_ids(const struct pull *p);
/* For status: an array of {id, name, blocked}; new. */
cJSON *pull_queues(const struct pull *p);

#endif
