/* life.h - one attempt: begun by START or by a predecessor, until its first process has
 * ended */
#ifndef REEVE_LIFE_H
#define REEVE_LIFE_H

#include "subagent/agent-state.h"

/* START is in a->in, spec came with it (-1: none) and is taken. What cannot be begun
 * now is tried again for some seconds, if that may help; else it ends, with the step
 * "start". */
void life_start(struct agent *a, int *spec, int64_t now);
/* Signals all of it and sets its grace; nothing where none runs. */
void life_stop(struct agent *a, int sig, int64_t grace_ms, int64_t now);
/* Takes what the status FIFO has. */
void life_read_status(struct agent *a, int64_t now);
/* A payload that was taken over has ended: looks how. */
void life_look(struct agent *a, int64_t now);
/* Reaps every child that has ended; the first process's end is the verdict. */
void life_reap(struct agent *a, int64_t now);
/* What is due by time. */
void life_step(struct agent *a, int64_t now);
/* Writes the file `attempt`, if that is due; what fails is tried again. */
void life_save(struct agent *a, int64_t now);
/* Finds what a predecessor left, at the start. -1 with err. */
int life_recall(struct agent *a, struct reeve_error *err);

#endif
