/* steps.h - controllers that wait for their own steps, while no slot is free for these
 *
 * A pipeline whose steps go to a queue that its own host serves holds the slot that
 * they need. It is said, and its slot is lent to them. */
#ifndef REEVE_STEPS_H
#define REEVE_STEPS_H

#include <cjson/cJSON.h>

struct steps;
struct master;

struct steps *steps_create(struct master *m);
void steps_destroy(struct steps *s);
/* For status: an array of {id, name, steps, queue, lent}, of runs whose steps wait, as
 * of the last look; new. */
cJSON *steps_to_json(const struct steps *s);

#endif
