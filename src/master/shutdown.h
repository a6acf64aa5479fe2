/* shutdown.h - the end of the master: its runs are left alive, or ended in order
 *
 * In order: stop-order.h.
 *
 * All of it is over in agent.reeve.waits.stop: no grace is longer than what is left of
 * that time, and controllers have half of it. */
#ifndef REEVE_SHUTDOWN_H
#define REEVE_SHUTDOWN_H

#include <stdbool.h>

struct master;
struct run;

/* Begins the end: no more pulls; runs are stopped or left; last lines sent; loop left.
 * Asked again: now, but for the one task of `reeve execute`, which then has no grace.
 */
void master_shutdown(struct master *m, bool stop_runs);
/* It was being claimed when the end, by which runs are stopped, began. */
void shutdown_stop_late(struct run *run);
/* After a run or a claim went: perhaps the last one that the end waits for, or the one
 * task. */
void master_run_gone(struct master *m);

#endif
