/* phase.h - the life of a run as one table: which event moves which phase where
 *
 * Pure data and names; what an action does is in run-actions.c. An event that a phase
 * does not name is ignored there (and logged at debug level). */
#ifndef REEVE_PHASE_H
#define REEVE_PHASE_H

#define PHASES(X)                                                                      \
    X(CLAIMED, "claimed") /* ours on the server; nothing started */                    \
    X(STARTING,                                                                        \
      "starting") /* groups made, sub-agent spawned, payload not yet there */          \
    X(PREPARING, "preparing") /* reeve-prepare sets up the workspace */                \
    X(RUNNING, "running")     /* the task's own program runs */                        \
    X(STOPPING, "stopping")   /* told to end; grace, then the whole group */           \
    X(EXITED, "exited")       /* attempt over, verdict being made */                   \
    X(BACKOFF, "backoff")     /* waits for the next attempt */                         \
    X(DRAINING, "draining")   /* last log lines on their way to the server */          \
    X(REPORTING, "reporting") /* final status on its way */                            \
    X(GONE, "gone")           /* nothing left to do: the run is removed */

#define RUN_EVENTS(X)                                                                  \
    X(LAUNCH)   /* the claim is certain and on disk */                                 \
    X(STARTED)  /* sub-agent: the payload's process is there */                        \
    X(EXECUTED) /* sub-agent: the task's own program was executed */                   \
    X(STOP)     /* abort, reset, delete, operator, shutdown */                         \
    X(ENDED)    /* an attempt ended: exit record, or it could not be started */        \
    X(LOST)     /* the sub-agent is gone without an exit record */                     \
    X(RESTART)  /* verdict: another attempt is due later */                            \
    X(FINAL)    /* verdict: this was the last attempt */                               \
    X(DUE)      /* back-off is over */                                                 \
    X(DRAINED)  /* the server has acknowledged every line */                           \
    X(REPORTED) /* the server has the final status, or will never take it */

enum phase {
#define X(name, text) PHASE_##name,
    PHASES(X)
#undef X
        PHASE_COUNT
};

enum run_event {
#define X(name) RUN_EVENT_##name,
    RUN_EVENTS(X)
#undef X
        RUN_EVENT_COUNT
};

enum run_action {
    ACTION_SAVE,   /* nothing but to record it */
    ACTION_LAUNCH, /* groups, sub-agent, START */
    ACTION_NOTE_RUNNING,
    ACTION_STOP,    /* STOP to the sub-agent, or what stands for it */
    ACTION_RECOVER, /* sub-agent lost: empty the group, find the exit */
    ACTION_JUDGE,   /* verdict; posts RESTART or FINAL */
    ACTION_WAIT,    /* arm the back-off timer */
    ACTION_DRAIN,
    ACTION_REPORT,
    ACTION_REMOVE
};

struct transition {
    enum phase next;
    enum run_action action;
    unsigned char known; /* 0: the event is ignored in this phase */
};

const struct transition *phase_transition(enum phase phase, enum run_event event);
const char *phase_name(enum phase phase);
/* -1 if there is none of this name. */
int phase_parse(const char *name);
const char *run_event_name(enum run_event event);

#endif
