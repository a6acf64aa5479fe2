/* watchdog.h - ends a network call of libgit2 that stands still
 *
 * libgit2 before 1.7 has no time-outs: its reads block for as long as a silent server
 * likes. A timer's signal, caught without SA_RESTART, makes the blocked call fail with
 * EINTR; the callbacks that see data coming in put the timer off. One at a time. */
#ifndef REEVE_WATCHDOG_H
#define REEVE_WATCHDOG_H

#include <stdbool.h>

struct report;

/* Fires when neither watchdog_feed nor watchdog_stop came for stall_ms, or total_ms are
 * over. What still hangs some seconds later is ended with the whole process, with a
 * fail line of its own; r must live until watchdog_stop. */
void watchdog_start(const struct report *r, int stall_ms, int total_ms);
/* Something moved. Returns -1 once it has fired, which libgit2's callbacks take as
 * "abort". */
int watchdog_feed(void);
/* Returns true if it has fired. */
bool watchdog_stop(void);

#endif
