/* tracee.h - one thread of a process under ptrace, and what it is about to do */
#ifndef REEVE_FAULTS_TRACEE_H
#define REEVE_FAULTS_TRACEE_H

#include "calls.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct tracee {
    pid_t tid, tgid;
    bool fresh;    /* forked, nothing executed since */
    bool target;   /* its calls count */
    bool followed; /* for what it starts, whether they do or not */
    char role[16]; /* main, forked, or the thread's name */
    long number;   /* of its last call that counted */
    bool altered;  /* the call under way was tampered with: see below */
    long result;   /* what it then returns, if it was skipped */
    bool skipped;
    uint64_t saved_length; /* the argument to be put back, if it was cut */
    const struct call *call;
    bool kill_at_exit;
    struct tracee *next;
};

struct tracees {
    struct tracee *first;
};

struct tracee *tracees_find(const struct tracees *all, pid_t tid);
struct tracee *tracees_add(struct tracees *all, pid_t tid);
void tracees_remove(struct tracees *all, pid_t tid);

/* The process that a thread belongs to; -1 if there is no such thread. */
pid_t thread_group(pid_t tid);
/* The last part of the name of what pid executes; "" if that can't be known. */
void program_name(pid_t pid, char *name, size_t size);
/* Sets t->role. */
void tracee_name(struct tracee *t);

/* What the call that t is about to make is about, in one line: its path, what its
 * descriptor is, and of what it sends to a socket the first line. */
void call_detail(const struct tracee *t, const struct call *call, const uint64_t *args,
                 char *text, size_t size);

/* At the entry of a call: it will not be carried out, and returns -error. */
int tracee_skip(struct tracee *t, int error);
/* At the entry of a call: it moves at most so many bytes (pieces, for vectors). 0, or
 * -1 if it moves none. */
int tracee_shorten(struct tracee *t, const struct call *call, const uint64_t *args,
                   uint64_t most);
/* At the exit of a call: makes what the two above began true. */
void tracee_settle(struct tracee *t);
/* At the exit of a call that was carried out: it returns -error all the same. */
void tracee_return(struct tracee *t, int error);

#endif
