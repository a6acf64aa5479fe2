/* report.h - the master and its sub-agents as workers on the server */
#ifndef REEVE_REPORT_H
#define REEVE_REPORT_H

#include "base/error.h"

struct report;
struct master;
struct run;

struct report *report_create(struct master *m);
void report_destroy(struct report *r);
/* The queues are known now: the master registers, and says how many runs it takes. */
void report_queues_known(struct report *r);
/* What the master's own worker says of it has changed: told at once. */
void report_master_changed(struct report *r);
/* A run's worker appears with its first attempt and vanishes with the run. */
void report_run_started(struct run *run);
void report_run_adopted(struct run *run);
/* The server was away and may have forgotten workers: they register again. */
void report_server_back(struct report *r);
void report_run_gone(struct run *run);
/* Takes a new sample of the run's group if the last is old; sets
 * run->report.cpu_percent. */
void report_sample(struct run *run);
/* The same of all runs, as far as that takes some ms; with thousands of them the next
 * call goes on with the others. */
void report_sample_all(struct report *r);
/* Called at each tick: sends the reports that are due. */
void report_tick(struct report *r);
/* The master's own end: unregisters it; done runs when that is answered or given up. */
void report_leave(struct report *r, void (*done)(struct master *m));

#endif
