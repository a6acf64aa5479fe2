/* verdict.h - how an attempt ended, in one vocabulary: the design's section 5 */
#ifndef REEVE_VERDICT_H
#define REEVE_VERDICT_H

#include "cgroup/cgroup.h"
#include "run/spool.h"

#include <stdbool.h>

enum verdict_kind {
    VERDICT_EXIT,       /* exit:N */
    VERDICT_SIGNAL,     /* signal:N */
    VERDICT_OOM,        /* oom: the run's own limit */
    VERDICT_HOST_OOM,   /* host-oom */
    VERDICT_TIMEOUT,    /* timeout */
    VERDICT_SETUP,      /* setup:STEP */
    VERDICT_ABORTED,    /* aborted */
    VERDICT_REBOOT,     /* host-reboot */
    VERDICT_AGENT_LOST, /* agent-lost */
    VERDICT_REFUSED     /* refused */
};

struct verdict {
    enum verdict_kind kind;
    int code;        /* exit code of the first process, -1 if it has none */
    int signal;      /* its signal, or 0 */
    char step[32];   /* SETUP */
    char reason[48]; /* the vocabulary's word: "exit:1" */
    char text[384];  /* one line for a person, with limit and peak for oom */
};

struct verdict_input {
    const struct spool_exit *exit;  /* NULL: no exit record (agent lost) */
    bool aborted;                   /* a stop was asked for before the end */
    const char *abort_text;         /* by whom */
    bool rebooted;                  /* the run's boot is not this one */
    const struct cgroup_stat *stat; /* of the payload's group, or NULL */
    int64_t memory_limit;           /* bytes, LIMIT_NONE */
};

void verdict_make(const struct verdict_input *in, struct verdict *out);
/* True for exit:0 alone. */
bool verdict_success(const struct verdict *v);
/* As a shell would tell it: the program's own, 128 and the signal, else 1. */
int verdict_exit_code(const struct verdict *v);
/* Sets kind, reason and text for an attempt that could not be set up. */
void verdict_setup(struct verdict *v, const char *step, const char *text);

#endif
