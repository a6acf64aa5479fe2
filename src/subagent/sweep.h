/* sweep.h - the end of an attempt: what is left of it is ended, then its exit is
 * recorded */
#ifndef REEVE_SWEEP_H
#define REEVE_SWEEP_H

#include "subagent/agent-state.h"

/* One step of ending everything, if it is time for one. True: nothing is left. */
bool sweep_step(struct agent *a, int64_t now);
/* The FIFO to its end, then the exit record, synced, then EXITED; tried again while the
 * disk is full. */
void sweep_finish(struct agent *a, int64_t now);

#endif
