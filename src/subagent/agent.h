/* agent.h - a run's sub-agent: one payload after the other, until its master says QUIT
 */
#ifndef REEVE_AGENT_H
#define REEVE_AGENT_H

#include "base/error.h"

#include <stdint.h>

struct agent;

struct agent_options {
    const char *task;
    const char *state_dir;
    const char *run_dir;
    const char *socket;
    int64_t reconnect_ms; /* within this of its appearance it connects to a master */
    int64_t unseen_ms;    /* see payload_look() */
    int64_t launch_ms;    /* how long a START is tried again */
    int64_t line_ms, full_ms; /* see struct output */
    int lock;                 /* of the run: what is forked gives it up */
    int mask;                 /* file of what is to be masked (masker_load()), or -1 */
    const char *oom_score;    /* what a payload gets back; "" if it is unknown */
};

/* Borrows the options for the agent's life. There is one agent a process. */
struct agent *agent_open(const struct agent_options *options, struct reeve_error *err);
/* Returns after QUIT. -1 with err: the loop itself failed. */
int agent_run(struct agent *a, struct reeve_error *err);

#endif
