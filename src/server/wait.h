/* wait.h - who waits for a queue to get an entry: long polls, thousands of them
 *
 * A waiter is woken once: when its queue got an entry in a committed transaction, when
 * its time is over, or when the server stops. wake runs on the writer's or the timer's
 * thread and may free the waiter. */
#ifndef REEVE_SERVER_WAIT_H
#define REEVE_SERVER_WAIT_H

#include <stdbool.h>
#include <stdint.h>

struct waits;

struct waiter {
    char queue[65];
    int64_t until_ms; /* CLOCK_BOOTTIME */
    void (*wake)(void *arg);
    void *arg;
    struct waiter *next, **prev;     /* of the same bucket */
    struct waiter *later, **earlier; /* by time */
};

struct waits *waits_create(void);
void waits_destroy(struct waits *w);
/* To be taken before one looks into the queue, and given to waits_add. */
uint64_t waits_generation(struct waits *w);
/* False if anything was pushed since generation, or if the server stops: look again
 * instead of waiting. The waiter must stay until it is woken. */
bool waits_add(struct waits *w, struct waiter *waiter, uint64_t generation);
/* Writer thread: the running transaction gave this queue an entry. */
void waits_note(struct waits *w, const char *queue);
/* Writer thread, after the commit or its failure: wakes who waits for what was noted.
 */
void waits_flush(struct waits *w, bool committed);
/* Wakes all, lets nobody wait from now on. */
void waits_stop(struct waits *w);

#endif
