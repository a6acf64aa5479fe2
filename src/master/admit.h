/* admit.h - whether this host takes one more task, decided before the task is pulled
 *
 * What does not fit stays in its queue, for others. Every claim and every run holds a
 * promise: a slot, memory and CPU. Memory is promised by the reservation, else by the
 * limit; a run without either holds a slot alone. */
#ifndef REEVE_ADMIT_H
#define REEVE_ADMIT_H

#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

struct admit;
struct config;
struct quota_queue;
struct limits;
struct master;
struct run;

struct need {
    int64_t memory;    /* bytes; 0: none named */
    int64_t cpu_milli; /* thousandths of a CPU */
};

/* Of one claim or run. */
struct promise {
    struct need need;
    bool held, lent; /* lent: its slot is another's while its own steps need one */
    bool starting;   /* its payload is not there yet */
    unsigned queue;  /* of admit.c's table */
};

enum admit_answer {
    ADMIT_YES,
    ADMIT_LATER,  /* not now */
    ADMIT_OTHERS, /* more than this host has: if there are others, it is theirs */
    ADMIT_NEVER   /* the same, and it is refused */
};

#define ADMIT_TEXT_SIZE 256

/* Looks at agent.reeve.capacity, .min_free_disk, .max_pressure, .admission and .queues:
 * 0, or -1 with err for a value that cannot be read. */
int admit_check(const struct config *config, struct reeve_error *err);
/* Of a configuration that was checked. */
struct admit *admit_create(struct master *m, struct reeve_error *err);
void admit_destroy(struct admit *a);

/* NULL if this host takes any task at all, else why not, one line; borrowed. */
const char *admit_host_full(struct admit *a);
/* The same of one queue's own bound (max_runs); names as the configuration has them. */
const char *admit_queue_full(struct admit *a, const char *id, const char *name);
/* How many more may be started now, beside those that start already: more at a time
 * take longer, all of them, and keep the master from its work. */
unsigned admit_starts_left(const struct admit *a);
/* How many of the host's are; UINT_MAX without a bound. */
unsigned admit_slots_free(const struct admit *a);
/* True if no slot is free: of the host, or of this queue (NULL: of the host). */
bool admit_slots_full(const struct admit *a, const char *id, const char *name);
/* False if nothing in a task's document could keep it out. */
bool admit_asks(const struct admit *a);
/* The task at the head of a queue, of its document container and hyperparams; why says
 * what is missing unless the answer is yes. need is filled in any case. */
enum admit_answer admit_task(struct admit *a, const cJSON *task,
                             const struct quota_queue *queue, struct need *need,
                             char why[ADMIT_TEXT_SIZE]);
/* Whether a task that was pulled can never run here. */
bool admit_refuses(const struct admit *a, const struct limits *limits,
                   char why[ADMIT_TEXT_SIZE]);

/* A claim's promise, until its run has one of its own. */
void admit_hold(struct admit *a, struct promise *p, const char *queue_id,
                const struct need *need);
void admit_release(struct admit *a, struct promise *p);
/* The run's own, by its phase and its limits: after each change of either. */
void admit_run(struct admit *a, struct run *run);
/* The run's slot goes to its own steps; its memory and CPU stay promised. False if
 * agent.reeve.admission.lend_slots forbids it. */
bool admit_lend(struct admit *a, struct run *run);
/* For status: new. */
cJSON *admit_to_json(struct admit *a);

#endif
