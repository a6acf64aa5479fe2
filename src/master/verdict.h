/* verdict.h - how an attempt ended, in one vocabulary: the design's section 5
 *
 * The one place where it stands: verdict.c makes a verdict of what was seen. */
#ifndef REEVE_VERDICT_H
#define REEVE_VERDICT_H

#include "cgroup/cgroup.h"
#include "run/spool.h"

#include <stdbool.h>

/* The step of a set-up that never was: this host will not run the task
 * (run_fail_setup). */
#define STEP_REFUSED "refused"

/* The vocabulary: the word that a reason is or begins with, and the call that ends a
 * task so (a lone exit:0 is completed instead). Statuses, logs, `ps`, history, figures
 * and runtime properties have their words from here; reeved(8), REASONS, explains them.
 */
#define VERDICTS(X)                                                                    \
    X(EXIT, "exit", "tasks.failed")     /* exit:N, the first process's exit code */    \
    X(SIGNAL, "signal", "tasks.failed") /* signal:N, that ended it */                  \
    X(OOM, "oom", "tasks.failed")       /* the run's own limit of memory */            \
    X(HOST_OOM, "host-oom", "tasks.failed")     /* the host had no memory left */      \
    X(TIMEOUT, "timeout", "tasks.failed")       /* its time limit */                   \
    X(SETUP, "setup", "tasks.failed")           /* setup:STEP, before its program */   \
    X(ABORTED, "aborted", "tasks.stopped")      /* on request; the text says whose */  \
    X(REBOOT, "host-reboot", "tasks.failed")    /* the host was restarted */           \
    X(AGENT_LOST, "agent-lost", "tasks.failed") /* how it ended is not known */        \
    X(REFUSED, "refused", "tasks.failed")       /* this host will never run it */      \
    X(DISK, "disk", "tasks.failed")             /* its folder was above its quota */

enum verdict_kind {
#define X(name, word, call) VERDICT_##name,
    VERDICTS(X)
#undef X
        VERDICT_COUNT
};

struct verdict {
    enum verdict_kind kind;
    int code;        /* exit code of the first process, -1 if it has none */
    int signal;      /* its signal, or 0 */
    char step[32];   /* SETUP */
    char reason[48]; /* the vocabulary's word: "exit:1" */
    char text[384];  /* one line for a person, with limit and peak for oom */
    char by[12];     /* ABORTED: on whose request, stop_cause_word() */
};

#define DISK_HIDDEN (-1)

struct verdict_input {
    const struct spool_exit *exit; /* NULL: no exit record (agent lost) */
    const char *aborted_by; /* a stop was asked for before the end: its cause's word */
    const char *abort_text; /* by whom, or why */
    bool rebooted;          /* the run's boot is not this one */
    bool host_down;         /* it was stopped since the host was going down */
    const struct cgroup_stat *stat; /* of the payload's group, or NULL */
    int64_t memory_limit;           /* bytes, LIMIT_NONE */
    int64_t over_disk, disk_limit;  /* stopped since its folder had so much, or hides
                                     * it (DISK_HIDDEN); 0: not */
};

void verdict_make(const struct verdict_input *in, struct verdict *out);
/* "exit", "oom", ...: the reason without what follows it. */
const char *verdict_word(enum verdict_kind kind);
/* The kind of a reason: of "exit:1" VERDICT_EXIT; -1 if it is none of ours. */
int verdict_kind_of(const char *reason);
/* What ends the task on the server: "tasks.completed", ... */
const char *verdict_call(const struct verdict *v);
/* True for exit:0 alone. */
bool verdict_success(const struct verdict *v);
/* As a shell would tell it: the program's own, 128 and the signal, else 1. */
int verdict_exit_code(const struct verdict *v);
/* A line about memory that ran out in a run that did not fail by it, or "". */
const char *verdict_memory_warning(const struct verdict *v,
                                   const struct cgroup_stat *stat, char out[128]);

#endif
