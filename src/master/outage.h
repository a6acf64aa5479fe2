/* outage.h - what the master says when its server is away and when it is back
 *
 * One line at the beginning, one at the end with how long it took. A server that is
 * away and back all the time (one of two behind a balancer is dead) gets a pair of
 * lines a minute at most; how many interruptions were passed over is said in the next
 * line. */
#ifndef REEVE_OUTAGE_H
#define REEVE_OUTAGE_H

#include <stdbool.h>

struct master;
struct outage;

struct outage *outage_create(struct master *m);
void outage_destroy(struct outage *o); /* NULL is fine */
/* As the api says it (api_on_reachable). */
void outage_note(struct outage *o, bool reachable);

#endif
