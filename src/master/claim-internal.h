/* claim-internal.h - one claim under way, shared by claim.c and claim-settle.c */
#ifndef REEVE_CLAIM_INTERNAL_H
#define REEVE_CLAIM_INTERNAL_H

#include "base/id.h"
#include "master/claim.h"
#include "master/master.h"
#include "master/pull.h"

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KNOWN_PROJECTS 64

struct claim {
    struct claims *all;
    struct master *master;
    char task[TASK_ID_SIZE];
    char *queue, *queue_name;
    char intent[ID_SIZE];
    int64_t intent_ms;      /* wall clock: it outlives a boot */
    int page;               /* of the queues that are looked through */
    bool unsure;            /* a pop was sent that has no answer */
    bool waiting;           /* ... and it is in a queue still: no slot is held */
    struct promise promise; /* until its run has one */
    struct need need;
    unsigned unanswered; /* pops in a row */
    int64_t retry_ms;    /* clock_boot_ms: waiting, it is not taken up before */
    int64_t sure_ms;     /* clock_boot_ms: when the pop was sent, or was settled */
    bool run_made, discarded, told;
    bool started;
    bool direct, require_queue; /* see claim_direct() */
    cJSON *document;
    char project[512]; /* its name */
    size_t spec_size;
    struct reeve_error quota_error;
    struct api_call *call, *start_call;
    ev_timer timer;
    void (*later)(struct claim *);
    claim_popped_f popped;
    void *popped_arg;
    struct claim *next;
};

struct known_project {
    char id[TASK_ID_SIZE];
    char name[512];
};

struct claims {
    struct master *master;
    struct claim *first;
    struct known_project
        projects[KNOWN_PROJECTS]; /* names change seldom; shown alone */
    unsigned next_project;
    int64_t warmed_ms; /* when the last claim began */
};

void claim_later(struct claim *c, int64_t ms, void (*fn)(struct claim *));
/* Whoever looks for tasks may go on; sound as in claim_popped_f. */
void claim_tell_popped(struct claim *c, bool sound);
/* The task is not ours: forget it. */
void claim_drop(struct claim *c, const char *why);
/* Sends the conditional pop (again). */
void claim_pop(struct claim *c);
/* The pop is certain: move the task to in_progress. */
void claim_take(struct claim *c);
/* The task is in_progress and ours: tasks.started, its document, then the run. */
void claim_fetch(struct claim *c);
/* True if the reply is the server's certain no to what was asked for. Its own failure,
 * a rejected login or a limit on calls says nothing of the task. */
bool claim_refused(const struct api_reply *r);
/* Neither yes nor no: says so once, and does it again after a while. */
void claim_again(struct claim *c, const struct api_reply *r,
                 void (*fn)(struct claim *));
void claim_write_spec(struct claim *c);
/* An unanswered pop, and the task is not the head any more: whose is it? */
void claim_settle(struct claim *c);
/* It is in a queue still: gives its slot to others until it is the head, or gone. */
void claim_wait(struct claim *c);
/* Takes it up again, if it waits: a slot is held. */
void claim_hold(struct claim *c);
void claims_remember_project(struct claims *all, const char *id, const char *name);
bool claims_known_project(const struct claims *all, const char *id, char *name,
                          size_t size);

#endif
