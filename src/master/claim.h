/* claim.h - from a task seen in a queue to a run of ours, losing it at no point
 *
 * Intent on disk, conditional pop, dequeue to in_progress (which a stop, reset or
 * delete in between refuses), started, document, spec.json on disk, launch: the
 * design's section 4. */
#ifndef REEVE_CLAIM_H
#define REEVE_CLAIM_H

#include "base/error.h"
#include "master/admit.h"

#include <stdbool.h>

struct claims;
struct master;

/* The pop has its answer. Not sound: the same would happen at once again (a full disk,
 * a server that refuses), so the next look is to wait. */
typedef void (*claim_popped_f)(void *arg, bool sound);

struct claims *claims_create(struct master *m);
void claims_destroy(struct claims *c);
/* Begins one, or goes on with one that waits in a queue; need is promised to it. popped
 * runs when the pop has its answer, so that the next look can begin. */
void claim_begin(struct claims *c, const char *queue, const char *queue_name,
                 const char *task, const struct need *need, claim_popped_f popped,
                 void *arg);
/* For a server that has no conditional pop (API before 2.21): the task was popped
 * already. */
void claim_popped(struct claims *c, const char *queue, const char *queue_name,
                  const char *task);
/* Claims a task by its id, as `clearml-agent execute` does: out of its queue, if it is
 * in one, and from any status; with require_queue only if it is queued. */
void claim_direct(struct claims *c, const char *task, bool require_queue);
/* Intents that an earlier master left. -1 if they cannot be listed. */
int claims_recover(struct claims *c, struct reeve_error *err);
/* Claims under way, those that wait in a queue apart: each will need a slot. */
unsigned claims_count(const struct claims *c);
/* True while the task is being claimed, and does not wait in a queue for its turn. */
bool claims_busy(const struct claims *c, const char *task);

#endif
