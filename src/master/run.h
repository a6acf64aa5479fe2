/* run.h - one run: this host's work on one task, from the claim to the final status
 *
 * The master owns all runs. What happens to one is posted as an event and handled from
 * the loop by the table in phase.h, so actions never recurse; a run is destroyed in the
 * action that ends it. Fields are read by the parts of the master (ship, report,
 * control); they are changed by run.c and run-actions.c alone, but for the groups
 * marked below. */
#ifndef REEVE_RUN_H
#define REEVE_RUN_H

#include "base/buf.h"
#include "base/error.h"
#include "cgroup/cgroup.h"
#include "master/admit.h"
#include "master/phase.h"
#include "master/policy.h"
#include "master/verdict.h"
#include "run/ending.h"
#include "run/spool.h"

#include <cjson/cJSON.h>
#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct master;
struct peer;
struct run_token;
struct api_call;

#define TASK_ID_SIZE 65
#define GROUP_PATH_SIZE 96
#define RUN_TRAIL 32
/* What the status_message of a task says at any change, in clearml-agent's words, for
 * those who look for them (worker.py); then the worker. */
#define RUN_CHANGED_WORDS "Changed by clearml-agent "
/* And after that where a reeve has claimed it; then the intent. */
#define RUN_CLAIM_WORDS ", pulled by reeve ["

/* Why a run is being stopped, and so what the server is told at its end: the number in
 * `state`, and the word that `ps` shows as aborted_by. */
#define STOP_CAUSES(X)                                                                 \
    X(NONE, 0, "")                                                                     \
    X(SERVER, 1, "server")     /* tasks.stop: "stopping" */                            \
    X(OPERATOR, 2, "operator") /* reeve stop */                                        \
    X(SHUTDOWN, 3, "shutdown") /* the master goes, --on-exit stop */                   \
    X(STATUS, 4, "status")     /* changed from outside: it stands, nothing is sent */  \
    X(RESET, 5, "reset")       /* the task was reset: nothing is sent */               \
    X(DELETED, 6, "deleted")   /* the task is gone: nothing is sent */                 \
    X(DRAIN, 7, "drain")       /* the deadline of a drain */                           \
    X(RESTART, 8, "restart")   /* reeve restart: this attempt alone ends */            \
    X(HOST, 9, "host")         /* the host goes down: the next boot decides */         \
    X(PUT_BACK, 10, "drain")   /* the same deadline; then back into its queue */

enum stop_cause {
#define X(name, number, word) STOP_##name = number,
    STOP_CAUSES(X)
#undef X
        STOP_COUNT
};

struct run {
    struct master *master;
    char id[TASK_ID_SIZE];
    char *name, *project, *project_name, *queue, *queue_name;
    bool controller; /* it begins other tasks: ended before them (shutdown.c) */
    enum phase phase;
    uint32_t attempt;  /* from 1; 0 before the first start */
    uint32_t restarts; /* attempts that followed a failure */
    uint32_t failures; /* in a row, for the back-off; 0 after a healthy time */
    uint32_t forgiven; /* restarts that do not count any more: `reeve restart` */
    struct policy policy;
    /* disk.c: what its folder was last found to have, when it is looked at next (boot
     * clock), and what it had when it was stopped for that, else 0. */
    int64_t disk_bytes, disk_next_ms, over_disk;
    bool disk_under_way;
    unsigned limits_stuck; /* reassert.c: what this host does not hold */
    int64_t reassert_ms;   /* boot clock: the next look at its limits */
    unsigned squeezed;     /* pressure.c: what was said of squeezed_attempt */
    uint32_t squeezed_attempt;
    struct promise promise; /* admit.c */

    int64_t claimed_ms;      /* wall clock */
    int64_t started_ms;      /* wall clock: start of the attempt; 0: none */
    int64_t started_boot_ms; /* the same on the other clock */
    int64_t due_ms;          /* wall clock: next attempt, in BACKOFF */
    int64_t due_boot_ms;     /* the same on the other clock, which nobody sets */
    struct run_token *token; /* run-token.c: its payload's; NULL: none is known */
    struct buf notes; /* run-notes.c: that wait, each with its NUL */
    bool notes_due;  /* the lines about the attempt's end are, perhaps, not written */
    bool resume_due; /* adopted, and waits for its sub-agent to know that */
    char claim[33];  /* its intent's id, as in the task's status_message; "": unknown */
    bool looked;     /* the server's word was asked for after the last attempt's end */
    char boot[96];   /* identity of the boot the attempt runs on */

    pid_t agent_pid;
    uint64_t agent_start;
    bool start_sent; /* START of this attempt was, perhaps, sent */
    bool start_lost; /* to a sub-agent that is gone */
    bool unmade;     /* adopted before START: perhaps without the attempt's groups */
    int agent_pidfd;
    ev_io agent_watch;
    struct peer *peer;   /* link.c: its connection, NULL while there is none */
    bool agent_gone;     /* it has ended: the spool grows no more */
    bool recovering;     /* a lost sub-agent's group is being emptied */
    unsigned recoveries; /* in a row that brought no sub-agent that lived for a while */
    unsigned replaced;   /* sub-agents that went on with another one's payload */
    int64_t ready_boot_ms; /* since when the sub-agent at hand is at work; 0: not yet */
    bool no_spec;   /* spec.json cannot be read: no other attempt */
    bool forgotten; /* its state could not be read: the sub-agent knows more */
    unsigned report_tries, remove_tries;
    bool unsaved;       /* the last state did not get to the disk */
    bool agent_stopped; /* it was, at the last look */
    int64_t alive_due_ms; /* tick.c: boot clock: the next look whether it is; 0: none yet */
    bool replace_due;   /* to be told when a new sub-agent goes on */
    int fifo; /* read end held open, so that what is in it outlives the sub-agent */
    int steps_fifo; /* the same of the status lines, in set-up */

    pid_t payload_pid;
    uint64_t payload_start;
    pid_t session; /* the payload's, while anything in it lives; 0: not known */
    bool orphaned; /* its sub-agent was lost: what leaves its group comes to us */
    struct { /* orphans.c: how it ended, if it was we who reaped it */
        pid_t pid;
        int code, signal;
    } seen;
    struct {
        int fd; /* -1: none */
        pid_t pid;
        uint64_t start;
    } watched; /* orphans.c: a payload whose sub-agent was lost */
    char step[32]; /* what reeve-prepare does now */
    struct ending
        ending; /* what can't be ended yet: its sub-agent's word, or our own */

    enum stop_cause stop;
    unsigned told_order; /* stop-order.c: who has told this attempt to end */
    uint32_t told_attempt;
    char stop_text[256];
    int64_t stop_grace_ms;
    int stop_signal;       /* of this stop; 0: the policy's */
    unsigned answered;     /* watch.c: the last round whose answer had its task */
    unsigned odd_reads;    /* watch.c: consecutive looks at a status that may pass */
    int64_t abort_seen_ms; /* watch.c: when its abort callback began */

    struct spool_exit exit; /* of the last attempt, if have_exit */
    bool have_exit;
    bool exit_acked;
    struct verdict verdict; /* of the last attempt that ended; no reason: none has */
    bool have_verdict;      /* and that is the attempt at hand, EXITED */
    bool final_known; /* the server holds a final status that is not ours: it stands */
    char seen_status[16]; /* that one */

    unsigned steps_waiting; /* steps.c: of its own, for want of room here */
    unsigned steps_seen;    /* ... so far in the look under way */
    bool steps_told;
    char steps_queue[TASK_ID_SIZE];

    struct { /* ship.c */
        struct spool_reader *reader;
        uint64_t read;   /* offset up to which events were made */
        uint64_t acked;  /* offset that the server has */
        int64_t last_ms; /* time stamp of the last event: they strictly increase */
        uint64_t end;    /* of the spool, as the sub-agent said */
        bool gaps;       /* there may be some before it: the disk is to be asked */
        uint64_t held, held_acked, held_end; /* what it said, and when */
        int64_t level; /* log-budget.c: what the run is held to; 0: its own budget */
        bool dirty, refused;
        unsigned failures; /* to read the spool, in a row */
        struct run *next_dirty;
    } ship;

    struct {             /* report.c */
        int64_t next_ms; /* clock_boot_ms */
        struct cgroup_stat last;
        int64_t last_ms;
        double cpu_percent;
        unsigned same;   /* samples in a row in which it did nothing */
        bool registered; /* it is to be reported */
        bool known;      /* the server has its time-out */
    } report;

    /* The last events that moved it, the oldest overwritten: `reeve inspect` shows
     * them. */
    struct trail {
        int64_t wall_ms;
        enum run_event event;
        enum phase phase;
    } trail[RUN_TRAIL];
    unsigned trail_count;

    ev_timer
        timer; /* back-off, waiting for a sub-agent, emptying a group: one at a time */
    void (*timer_fn)(struct run *);
    struct api_call *call; /* the one call about this run's fate */
    struct run *next;      /* runs.c: hash chain */
    struct run *list_next, *list_prev;
};

struct run *run_create(struct master *m, const char *id);
/* Ends watchers, calls and descriptors; forgets it everywhere. Leaves files and
 * processes. */
void run_destroy(struct run *run);

void run_post(struct run *run, enum run_event event);
/* Handles what was posted; the master's watcher for that (w->data is the master). */
void run_dispatch_cb(struct ev_loop *loop, ev_prepare *w, int revents);
/* Asks for the end of the run; the first cause stands, except that "the task is gone"
 * overrides, and anything a restart. text: one line, by whom or why. grace_ms < 0: the
 * policy's. */
void run_stop(struct run *run, enum stop_cause cause, int64_t grace_ms,
              const char *text);
/* Another attempt at once, whatever the policy says; what is at work is ended first,
 * and restarts up to now are forgiven. text: by whom. -1 with err if the run is being
 * ended, or the master is. */
int run_restart(struct run *run, const char *text, struct reeve_error *err);
/* Restarts up to now count neither for the back-off nor against on-failure:N. */
void run_forgive(struct run *run);
/* What ended the last attempt does not count for the next one. */
void run_forget_stop(struct run *run);
/* Calls fn from the loop after a while; replaces what was armed before. */
void run_arm(struct run *run, int64_t after_ms, void (*fn)(struct run *));
void run_disarm(struct run *run);

/* "run/<id>/payload", "run/<id>/agent", "run/<id>" */
const char *run_group(const struct run *run, const char *leaf,
                      char out[GROUP_PATH_SIZE]);
/* "<worker>:service:<id>"; of the one task of `reeve execute` the master's own. */
const char *run_worker(const struct run *run, char out[256]);
/* The same before there is a run. */
const char *task_worker(const struct master *m, const char *task, char out[256]);
/* True from the start of an attempt to its end. */
bool run_is_live(const struct run *run);
/* True if the server's watchdog stopped the task, because it heard nothing of it for
 * too long (non_responsive_tasks_watchdog.py), and it is to be resumed. */
bool run_only_silent(const struct run *run, const cJSON *task);
/* Tells the server that it is in progress all the same; the run is stopped if that is
 * refused. Does nothing while another call about its fate is under way. */
void run_resume_there(struct run *run);
/* True if the task's document (status, status_message) says that somebody else has
 * claimed it since: what this run does is of no account there any more. */
bool run_taken_over(const struct run *run, const cJSON *task);
/* "operator", ...; NULL of STOP_NONE. */
const char *stop_cause_word(enum stop_cause cause);
/* The server has decided itself: it is told nothing. */
bool stop_is_servers(enum stop_cause cause);
/* What the server is told, or NULL for nothing: "tasks.completed", ... */
const char *run_final_call(const struct run *run);

/* ---- run-notes.c ---- */
/* A line of reeve's own for the run's log: by the sub-agent, which is waited for while
 * it lives, or into the spool if it is gone. */
void run_note(struct run *run, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The sub-agent has connected, or is gone: what waited for that is written. */
void run_notes_flush(struct run *run);
/* Of which attempt such a line is: one that may have begun. */
uint32_t run_note_attempt(const struct run *run);
void run_notes_free(struct run *run);

/* ---- run-actions.c ---- */
void run_act(struct run *run, enum run_action action);
/* Watches a sub-agent's process (recorded in agent_pid); false if it is not there any
 * more. */
bool run_watch_agent(struct run *run);
/* What link.c hands on: the sub-agent connected, or reported. */
struct agent_news {
    bool began;      /* it knows of this attempt; run->payload_pid: with its payload */
    bool certain;    /* what it does not know of has not begun */
    bool stopping;   /* it has told the payload to end, and keeps the grace */
    bool taken_over; /* the payload is that of a sub-agent that was lost */
};
void run_agent_ready(struct run *run, const struct agent_news *news);
/* text: processes that it cannot end yet; "": none any more. */
void run_agent_stuck(struct run *run, const char *text);
void run_agent_exited(struct run *run, uint32_t attempt, const struct spool_exit *exit);
/* Ends the attempt before its payload began: the verdict is "setup:STEP", or "refused"
 * (STEP_REFUSED), which no attempt follows. */
void run_fail_setup(struct run *run, const char *step, const char *text);
/* Out of CLAIMED: launched, unless its quota cannot be read (err) or this host will
 * never have what it asks for. */
void run_first_launch(struct run *run, const struct reeve_error *quota_err);
/* A payload is said to have ended: tells its sub-agent how, as far as that is known. */
void run_agent_unseen(struct run *run);
/* The same for a claim of an earlier master: asks first whether the task was stopped
 * meanwhile, however long the server takes to answer. */
void run_adopted_launch(struct run *run);
/* Called each waits.alive: ends a sub-agent that is stopped (SIGSTOP) for the second time
 * in a row, so that another one goes on; its payload would wait for its output to be
 * read. */
void run_check_agent(struct run *run);
/* Holds the FIFOs of its payload open, never reading: what is in them survives a
 * payload that ends while its sub-agent is dead. */
void run_hold_fifos(struct run *run);
/* Of an adopted run: goes on in EXITED or BACKOFF. */
void run_resume(struct run *run);
/* When the next attempt starts: so long from now. */
void run_set_due(struct run *run, int64_t wait_ms);
/* The spool is at the server whole and the sub-agent gone. */
void run_drained(struct run *run);
/* Ends what is left in the groups of a run that needs no more, removes its files and
 * groups, then destroys it; at once or later. */
void run_remove(struct run *run);
/* Moves the run's folders out of the way, if there are any. 0, or -1 if one stays. */
int run_discard(struct run *run);

/* ---- run-state.c ---- */
/* Writes $STATE/runs/<id>/state (renamed, not synced). 0, or -1, which is logged: what
 * would need it waits. */
int run_state_save(struct run *run);
/* Writes $STATE/runs/<id>/limits: what applies now. */
void run_limits_save(struct run *run);
/* The state's text, the caller's. */
char *run_state_format_dup(const struct run *run);
/* Reads state and limits back into a fresh run; -1 with err. */
int run_state_load(struct run *run, struct reeve_error *err);

/* ---- runs.c: all of them ---- */
struct runs;
struct runs *runs_create(void);
void runs_destroy(struct runs *r); /* and every run */
void runs_add(struct runs *r, struct run *run);
void runs_remove(struct runs *r, struct run *run);
struct run *runs_find(const struct runs *r, const char *id);
struct run *runs_first(const struct runs *r); /* then run->list_next */
unsigned runs_count(const struct runs *r);
/* Whether an attempt of a controller is under way: those are ended before their steps.
 */
bool runs_controllers_live(const struct runs *r);

#endif
