/* agent-state.h - what the files of the sub-agent's loop share
 *
 * agent.c     the loop: events, in their turn
 * waiting.c   what it waits for, and until when
 * tell.c      the connection, and what the master is told
 * hear.c      what the master says
 * life.c      an attempt from its START, or from a predecessor's record, to its verdict
 * sweep.c     ... from the verdict to its exit record: what is left is ended */
#ifndef REEVE_AGENT_STATE_H
#define REEVE_AGENT_STATE_H

#include "run/message.h"
#include "subagent/agent.h"
#include "subagent/attempt.h"
#include "subagent/link.h"
#include "subagent/output.h"
#include "subagent/payload.h"

#include <stdbool.h>
#include <stdint.h>

struct agent {
    struct agent_options options;
    int epoll, signals, timer;
    int64_t timer_at;
    bool fifo_watched;
    uint32_t link_events;
    struct link link;
    struct message *in, *out; /* the one in hand, and one that is being made */
    struct output output;
    struct payload payload;
    int spec; /* of a START that could not be carried out yet; else -1 */
    int64_t launch_at, launch_until; /* when that is tried again; and given up */
    enum agent_phase phase;
    uint32_t attempt;  /* the last that is known of */
    uint32_t before;   /* ... before the one that has not begun yet */
    uint64_t told_end; /* spool end as of the last SPOOLED */
    bool quitting;
    bool unmasked; /* what no record may show was told, and could not be read */
    int64_t rest_at;
    struct attempt_file record;
    bool changed;    /* what is to be in it */
    int64_t save_at; /* when that is tried again after a failure, or 0 */
    bool certain; /* it was sound when we came: no attempt has begun but what it says */
    bool taken_over; /* the payload is that of a predecessor */
};

/* START was said, and nothing of it is recorded or executed yet. */
static inline bool agent_is_launching(const struct agent *a)
{
    return a->spec >= 0 || a->payload.go_fd >= 0;
}

static inline bool agent_has_payload(const struct agent *a)
{
    return a->phase == AGENT_PREPARING || a->phase == AGENT_RUNNING;
}

#endif
