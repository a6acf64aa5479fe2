/* pull-internal.h - the queues and the look into them, shared by pull.c and
 * pull-queues.c */
#ifndef REEVE_PULL_INTERNAL_H
#define REEVE_PULL_INTERNAL_H

#include "master/admit.h"
#include "master/claim.h"
#include "master/master.h"
#include "master/pull.h"

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#define PULL_TEXT_SIZE (ADMIT_TEXT_SIZE + 64)

struct queue {
    struct pull *pull;
    char *name;                   /* as asked for; the server's once it is known */
    char *id;                     /* NULL until found */
    bool told;                    /* that it is missing */
    char blocked[PULL_TEXT_SIZE]; /* why nothing of it is taken now; "": it is */
    char held[TASK_ID_SIZE];      /* the head of which that was said last */
    struct api_call *wait;
};

struct pull {
    struct master *master;
    struct queue *queues;
    size_t count;
    size_t resolving; /* index of the queue that is being found */
    bool known;       /* the server was told which queues there are */
    bool ready, stopped, again;
    unsigned claiming;            /* pops under way, of one look */
    bool unsound;                 /* one of them was */
    bool plain;                   /* the server has no peek: pop at once */
    char closed[ADMIT_TEXT_SIZE]; /* why this host takes nothing now; "": it does */
    size_t start, at, tried;      /* of the round under way */
    char head[TASK_ID_SIZE];      /* of the queue that is looked into */
    struct need need;             /* of a head that is too large for this host */
    char large[ADMIT_TEXT_SIZE];  /* ... and why it is */
    struct api_call *call, *names;
    ev_timer timer;
    struct claims *claims;
};

/* Runs the timer's look after ms. */
void pull_arm(struct pull *p, int64_t ms);
/* The queues are known as far as they are there: looks into them. */
void pull_look(struct pull *p);
/* Finds (or makes) those that are not known, one by one, then looks. */
void pull_resolve(struct pull *p);
size_t pull_queues_found(const struct pull *p);
/* What becomes of the head that is looked at: claimed, or left for now (why: one line;
 * warn: as a warning). */
void pull_take(struct pull *p, const struct need *need);
void pull_hold_head(struct pull *p, const char *why, bool warn);
/* The look is over, without an answer. */
void pull_look_later(struct pull *p);
/* Takes the head, unless other workers serve the queue. why: what this host lacks. */
void pull_ask_others(struct pull *p, const struct need *need, const char *why);

#endif
