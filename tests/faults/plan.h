/* plan.h - at which call the injector does what */
#ifndef REEVE_FAULTS_PLAN_H
#define REEVE_FAULTS_PLAN_H

#include "calls.h"
#include "tracee.h"

#include <stdbool.h>
#include <stdio.h>

enum plan_action { PLAN_COUNT, PLAN_KILL, PLAN_ERRNO, PLAN_SHORT };

struct plan {
    const char *programs; /* names with commas between; NULL: the command's own */
    const char *through;  /* such names too: not counted, but what they start is */
    const char *thread;   /* a role; "all": all threads, in one sequence */
    bool forked;          /* the calls between fork and exec instead */
    struct call_set calls;
    const char *path; /* only calls whose detail has this; NULL: any */
    /* Numbering starts with the first call of these with this in its detail. */
    struct call_set after_calls;
    const char *after; /* NULL: from the beginning */
    long at, times;    /* the first call that is hit; how many, 0: all from there on */
    const char *then;  /* "N,N": of the kills after the first one; NULL: no more */
    bool at_exit;
    enum plan_action action;
    int error;     /* PLAN_ERRNO */
    uint64_t most; /* PLAN_SHORT */
    FILE *report;  /* a line for each hit, or for each call that counts; may be NULL */

    bool begun;
    long sequence, hits;
};

bool plan_wants_program(const struct plan *p, const char *name);
/* Whether it is followed for what it starts. */
bool plan_goes_through(const struct plan *p, const char *name);
/* Whether t's calls count, who is of a program that is wanted. */
bool plan_wants_thread(const struct plan *p, const struct tracee *t);

/* A call of a thread whose calls count, at its entry: whether it is hit. */
bool plan_call(struct plan *p, struct tracee *t, uint64_t number, const uint64_t *args);
/* Nothing is left to do. */
bool plan_over(const struct plan *p);

#endif
