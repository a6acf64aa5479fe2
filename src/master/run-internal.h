/* run-internal.h - the actions of a run, shared by run-actions.c and run-end.c */
#ifndef REEVE_RUN_INTERNAL_H
#define REEVE_RUN_INTERNAL_H

#include "master/run.h"

#define KILL_STEP_MS 20

/* One step of ending what runs in a group of the run; true once it is empty. */
bool run_group_empty(struct run *run, const char *leaf);

void run_act_judge(struct run *run);
void run_act_wait(struct run *run);
void run_act_drain(struct run *run);
void run_act_report(struct run *run);
void run_act_remove(struct run *run);

#endif
