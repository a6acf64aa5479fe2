/* waiting.h - the descriptors and the one time that the loop waits for
 *
 * Every descriptor has a number in enum source. Time is CLOCK_BOOTTIME, in one timer
 * that is set for whatever comes first. */
#ifndef REEVE_WAITING_H
#define REEVE_WAITING_H

#include "subagent/agent-state.h"

enum source {
    SOURCE_SIGNALS,
    SOURCE_TIMER,
    SOURCE_FIFO,
    SOURCE_STATUS,
    SOURCE_LINK,
    SOURCE_PAYLOAD
};

/* SPOOLED comes no more often than this. */
#define SPOOLED_MS 20

/* Makes the epoll set, with signals and timer in it; blocks the signals. */
int waiting_open(struct agent *a, struct reeve_error *err);
/* Asks for what the output, the connection and the deadlines now need. */
void waiting_fifo(struct agent *a);
void waiting_link(struct agent *a);
void waiting_timer(struct agent *a);
/* Adds the status FIFO, if there is one; it leaves by being closed. */
void waiting_status(struct agent *a);
/* The end of a payload that was taken over, once: what comes after it has its times. */
void waiting_payload(struct agent *a);

#endif
