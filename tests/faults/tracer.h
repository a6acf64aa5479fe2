/* tracer.h - follows processes by ptrace and carries a plan out on them
 *
 * - Only processes of the programs that the plan names are stopped at their calls.
 * Those between the command and them are followed without a stop, all others are let go
 * as soon as they execute something.
 * - seccomp filters, which would stop at fewer calls, are not used: they are inherited,
 *   and in a process that nobody traces any more such a call fails with ENOSYS. What a
 *   killed master leaves behind has to go on as if nothing had been there.
 * - When the tracer dies, so does what it traces at that moment (PTRACE_O_EXITKILL). */
#ifndef REEVE_FAULTS_TRACER_H
#define REEVE_FAULTS_TRACER_H

#include "base/error.h"
#include "plan.h"

struct tracer {
    struct plan *plan;
    struct tracees tracees;
    pid_t root;       /* the command, or the process that was attached to */
    char program[64]; /* its own, if the plan names none */
    bool own;         /* it is our child */
    int root_status;  /* as of waitpid, once root_gone */
    bool root_gone, leaving;
};

/* Starts a command under the tracer. 0 or -1. */
int tracer_spawn(struct tracer *r, char *const *argv, struct reeve_error *err);
/* Attaches to all threads of a process. 0 or -1. */
int tracer_attach(struct tracer *r, pid_t pid, struct reeve_error *err);
/* Until the plan is over or nothing is left to trace, then lets everything go; of a
 * command it waits for the end. */
void tracer_run(struct tracer *r);
/* For a signal handler: to let everything go. */
void tracer_interrupt(void);

#endif
