/* tell.h - the connection to the master, and what it is told on it
 *
 * Each message is made from what is true when it can be sent: link.h. */
#ifndef REEVE_TELL_H
#define REEVE_TELL_H

#include "subagent/agent-state.h"

/* Connects, if it is time, and notes what a new master has to know. */
void tell_find_master(struct agent *a, int64_t now);
/* Sends what is new, as far as the socket takes it. */
void tell_news(struct agent *a, int64_t now);
/* The connection is gone. */
void tell_lost(struct agent *a, int64_t now);

#endif
