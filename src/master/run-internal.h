/* run-internal.h - the actions of a run, shared by run-actions.c, run-end.c and
 * run-told.c */
#ifndef REEVE_RUN_INTERNAL_H
#define REEVE_RUN_INTERNAL_H

#include "master/run.h"

enum { GROUP_AGENT = 1, GROUP_PAYLOAD = 2 };
/* One step of ending all that runs in these groups of a run without a sub-agent; true
 * once they are empty. Names what does not go. */
bool run_groups_empty(struct run *run, unsigned groups);
/* Calls fn when it is time for the next step. */
void run_kill_again(struct run *run, void (*fn)(struct run *));

void run_act_judge(struct run *run);
void run_act_wait(struct run *run);
void run_act_drain(struct run *run);
void run_act_report(struct run *run);
void run_act_remove(struct run *run);

/* run-told.c: looks whether the task is still ours, tells the server of the attempt
 * that follows, then run_decide(). */
void run_ask_to_go_on(struct run *run);
/* Posts RESTART or FINAL; an answer of the server's may say that the task is not ours
 * any more. */
void run_decide(struct run *run, bool still_ours);

#endif
