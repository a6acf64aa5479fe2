/* ship.h - log lines of all runs on their way to the server, in shared batches */
#ifndef REEVE_SHIP_H
#define REEVE_SHIP_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct ship;
struct master;
struct run;

struct ship *ship_create(struct master *m);
void ship_destroy(struct ship *s);
/* After the runs were adopted: what an earlier master had sent and got no answer to. */
void ship_recover(struct ship *s);
/* The server is back: what waits for another try is tried now. */
void ship_hurry(struct ship *s);
/* There may be records in the run's spool, or it is complete: look soon. */
void ship_wake(struct run *run);
/* Now and then: of a run that says nothing no file is kept open. */
void ship_rest(struct run *run);
void ship_forget(struct run *run);
/* The sub-agent says where its spool ends, and whether there are gaps in it. */
void ship_spooled(struct run *run, uint64_t end, bool gaps);
/* The server takes no lines: tries have failed for a while, or there is no answer for a
 * long one. The sub-agents are told each change, as runs over their log budget wait for
 * a server that takes lines. */
bool ship_away(const struct ship *s);
/* At its START: takes the room that is needed to record what was sent. What fails is
 * logged, and tried again with the first record. */
void ship_reserve(struct run *run);
/* Bytes of disk of what the server has not acknowledged: of one run, of all. */
int64_t ship_held(struct run *run);
int64_t ship_pending_bytes(const struct ship *s);

#endif
