/* tick.h - what is looked at from time to time: the host's figures, limits, folders,
 * sub-agents, reports; whether the server can be reached or not */
#ifndef REEVE_TICK_H
#define REEVE_TICK_H

struct tick;
struct master;

struct tick *tick_create(struct master *m);
void tick_destroy(struct tick *t);

#endif
