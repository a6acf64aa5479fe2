/* ship-internal.h - the batch that is under way, shared by ship.c and ship-verify.c */
#ifndef REEVE_SHIP_INTERNAL_H
#define REEVE_SHIP_INTERNAL_H

#include "master/run.h"
#include "master/ship.h"

#include "base/buf.h"
#include "base/id.h"
#include "clearml/api.h"

#include <cjson/cJSON.h>
#include <ev.h>
#include <inttypes.h>
#include <stddef.h>

/* One event: the lines of one run from begin to end of its spool. */
struct part {
    char task[TASK_ID_SIZE]; /* "" once the run is gone */
    uint64_t begin, end;
    int64_t ms;
    uint32_t sum; /* of the run and its text: ship_sum() */
    bool has_sum; /* read from a journal that has sums */
    cJSON *event; /* NULL once the server has it */
};

struct batch {
    struct part *parts; /* those of one run stand together */
    size_t count;
    size_t bytes;
    size_t limit; /* of bytes: api.http.max_req_size, within reason */
};

struct ship {
    struct master *master;
    struct run *dirty, **dirty_end;
    ev_timer timer, retry;
    ev_timer patience;  /* until the server counts as away */
    bool failing, away; /* the last try has failed; so have those of a while */
    struct batch batch;
    size_t settled;     /* parts of it that are through, once all of it is sent */
    bool settling;      /* ... and the others follow */
    size_t first, sent; /* the window of the batch that is being sent */
    size_t window;      /* its size; 0: all that is left */
    size_t live;        /* events of it that were sent */
    bool unsure;        /* the server may have them: to be looked up first */
    bool partial;       /* it has some of them, for sure, and has refused others */
    unsigned tries;     /* of this window, that the server could not store */
    bool more;          /* something was left for the next batch */
    bool ack_failing, journal_failing; /* told; until it works again */
    struct api_call *call;
    int64_t backoff_ms;
    char epoch[33]; /* of batch names: this master's own, or the recovered batch's */
    bool recovered; /* the batch under way is an earlier master's */
    uint64_t number;
    int journal; /* ship-journal.c */
    char header[128];
    size_t verify_at; /* ship-verify.c */
};

cJSON *ship_event_make(struct run *run, const char *text, int64_t ms);
/* A line of the spool as it stands in an event. */
void ship_text_add(struct buf *text, const struct spool_entry *e);
/* Of a row of writes that fail, as on a full disk, the first is told, and its end. */
void ship_tell_write(bool *failing, int result, const struct reeve_error *err);
/* The server has this event. */
void ship_ack(struct ship *s, struct part *part);
/* Sends the window. */
void ship_send(struct ship *s);
/* A call goes out: a server that does not answer it for long counts as away. */
void ship_await_answer(struct ship *s);
/* Its fate is certain: goes on with the next one. */
void ship_window_done(struct ship *s);
/* The first half of it alone. */
void ship_window_halve(struct ship *s);
/* The server takes no more lines of this run. */
void ship_refuse_run(struct ship *s, const char *task, const char *why);
/* The server has taken a part: after a while, ship_verify(). */
void ship_look_later(struct ship *s, int64_t wait_ms);

/* ---- ship-refused.c ---- */

/* A certain no (400, 413) to all of the window. */
void ship_refused(struct ship *s, const struct api_reply *r);
/* A yes to fewer events than were sent. */
void ship_took_part(struct ship *s, const struct api_reply *r);

/* ---- ship-verify.c ---- */

/* Looks up which events of the unanswered window the server has, acknowledges those,
 * then calls ship_verified(). */
void ship_verify(struct ship *s);
void ship_verified(struct ship *s);
/* What the server answered is no answer to this: later again. */
void ship_retry_later(struct ship *s);

/* Which run's text it is: two runs of one task may print the same. */
uint32_t ship_sum(const struct run *run, const char *text);

/* ---- ship-journal.c: $STATE/batch, what the batch under way consists of ---- */

/* Room for it is taken here, so that it can be written when the disk is full. What
 * cannot be opened is told, and tried again with the first batch. */
void ship_journal_open(struct ship *s);
/* Before the first try; a master's death needs no sync. */
void ship_journal_write(struct ship *s);
/* Makes the batch of an earlier master again from the spools of the adopted runs. True
 * if there is one whose fate is not known. */
bool ship_journal_read(struct ship *s);

#endif
