/* orphans.h - processes that come to the master when their sub-agent was killed
 *
 * The master is the subreaper of the sub-agents that it has started, so that what they
 * leave has a parent that reaps it, be pid 1 what it may; and so that the exit of such
 * a payload is seen on kernels that tell it to parents alone. */
#ifndef REEVE_ORPHANS_H
#define REEVE_ORPHANS_H

#include <stdbool.h>

struct master;
struct orphans;
struct run;

struct orphans *orphans_create(struct master *m);
/* NULL is fine. */
void orphans_destroy(struct orphans *o);
/* The run's sub-agent is gone: its payload may end before another one has come, and be
 * reaped by somebody else. */
void orphans_watch(struct run *run);
/* How the run's payload has ended, if it has come to us or was watched: run->seen. */
void orphans_look(struct run *run);
/* Ends what has come to us from a run whose sub-agent was lost, and is outside its
 * payload's group: the next sub-agent is not its parent. Its own children would only
 * come one by one: it is moved into the group, which ends as a whole. For a group that
 * is empty. True: there was something. */
bool orphans_take_in(struct run *run);

#endif
