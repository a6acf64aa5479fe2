/* ship-internal.h - the batch that is under way, shared by ship.c and ship-verify.c */
#ifndef REEVE_SHIP_INTERNAL_H
#define REEVE_SHIP_INTERNAL_H

#include "master/run.h"
#include "master/ship.h"

#include <cjson/cJSON.h>
#include <ev.h>
#include <inttypes.h>
#include <stddef.h>

/* One event: the lines of one run from begin to end of its spool. */
struct part {
    char task[TASK_ID_SIZE];
    uint64_t begin, end;
    int64_t ms;
    cJSON *event; /* NULL once the server has it */
};

struct batch {
    struct part *parts; /* those of one run stand together */
    size_t count;
    size_t bytes;
};

struct ship {
    struct master *master;
    struct run *dirty, **dirty_end;
    ev_timer timer, retry;
    struct batch batch;
    size_t first, sent; /* the window of the batch that is being sent */
    size_t window;      /* its size; 0: all that is left */
    struct api_call *call;
    int64_t backoff_ms;
    char epoch[33]; /* of this master, so that its batch names are its own */
    uint64_t number;
    char header[128];
    size_t verify_at; /* ship-verify.c */
};

/* The server has this event. */
void ship_ack(struct ship *s, struct part *part);
/* Looks up which events of the unanswered window the server has, acknowledges those,
 * then calls ship_verified(). */
void ship_verify(struct ship *s);
void ship_verified(struct ship *s);

#endif
