/* link.h - agent.sock: the connections of the sub-agents */
#ifndef REEVE_LINK_H
#define REEVE_LINK_H

#include "base/error.h"

#include <stdint.h>

struct link;
struct master;
struct run;

struct link *link_create(struct master *m, struct reeve_error *err);
void link_destroy(struct link *l);
/* Closes the run's connection, if it has one. */
void link_forget(struct run *run);

/* How its log is kept: its budget, whether the server takes lines, and what it must not
 * show from now on; mask (taken) is the sealed memfd, or -1: as before. */
void link_log(struct run *run, int mask);
/* START of run->attempt; spec (taken) is the sealed memfd for reeve-prepare. 0, or -1
 * if there is no connection. */
int link_start(struct run *run, int spec, struct reeve_error *err);
void link_stop(struct run *run, int64_t grace_ms);
/* Tells what applies now of its time-outs, its stop signal and its open files. */
void link_change(struct run *run);
void link_note(struct run *run, const char *text);
void link_ack_exit(struct run *run, uint32_t attempt);
void link_quit(struct run *run);
/* SEEN: run->seen, or that nobody knows. */
void link_seen(struct run *run);

#endif
