/* payload.h - one attempt: its first process, and what is known of it
 *
 * The process is forked into its groups with the FIFO as stdout and stderr, the spec as
 * descriptor 3 and a status FIFO as descriptor 4, and executes reeve-prepare. What
 * fails before that is told there too, as the step "start". The FIFO has a name, so
 * that a replacement of the sub-agent goes on reading it. */
#ifndef REEVE_PAYLOAD_H
#define REEVE_PAYLOAD_H

#include "base/error.h"
#include "cgroup/cgroup-dirs.h"
#include "run/ending.h"
#include "run/message.h"
#include "run/spool.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PAYLOAD_SPEC_FD 3
#define PAYLOAD_STATUS_FD 4
#define PAYLOAD_LINE_MAX 1024

struct payload {
    uint32_t attempt;
    char prepare_path[512];
    struct cgroup_dirs groups;
    int64_t grace_ms, linger_ms, timeout_ms, setup_timeout_ms;
    int stop_signal;
    uint64_t nofile_soft, nofile_hard; /* 0: as inherited */
    uint64_t log_budget;               /* of its output, as LOG said: output_limit() */
    bool log_waits;

    pid_t pid;       /* 0: none, or reaped */
    pid_t first_pid; /* stays when it is reaped */
    uint64_t start;  /* as proc_start_time */
    int pidfd;     /* of a predecessor's payload, which is no child of ours; else -1 */
    int go_fd;     /* the child executes nothing before it gets a byte here; else -1 */
    bool joined;   /* it is in its groups, and waits for that byte */
    int status_fd; /* -1 once it has ended */
    char line[PAYLOAD_LINE_MAX];
    size_t line_len;
    char step[32];        /* the last one told */
    bool failed;          /* said "fail", or could not be started: exit says what */
    bool executed;        /* the task's own program runs */
    bool ended;           /* the verdict below is there */
    bool swept;           /* what it left was named */
    bool over;            /* its streams had their time: what is left is ended */
    bool killing;         /* its grace is over */
    bool timed_out;       /* ... because of its time limit */
    bool setup_timed_out; /* ... because of that of its set-up */
    bool unseen;          /* it has ended, and how was not to be read here */
    int64_t look_at;      /* ... again, at one that nobody has reaped yet */
    int64_t look_until;
    int64_t kill_at; /* boot ms, 0: none; likewise the others */
    int64_t begun_at;
    int64_t timeout_at;
    int64_t setup_timeout_at;
    int64_t settle_at; /* when its streams have ended, but processes are left */
    int64_t linger_at; /* when its streams have not */
    int64_t sweep_at;
    int sweeps;
    struct ending ending; /* what the sweeps cannot end */
    struct spool_exit exit;
    char *steps_path; /* of the status FIFO; stays */
};

/* None is there; but for its steps_path nothing stays. */
void payload_forget(struct payload *p);
/* Reads START into p. -1 with err if it lacks something. */
int payload_read_start(struct payload *p, const struct message *m,
                       struct reeve_error *err);
/* Reads the same values of CHANGE; what it lacks stays. True if it has another limit of
 * open files: one that a payload has set itself since is not set back without need. */
bool payload_read_change(struct payload *p, const struct message *m);
/* Sets the times of its time-outs from begun_at on. */
void payload_set_deadlines(struct payload *p);
/* Gives the limit of open files to every process that is in its groups now. */
void payload_limit_files(const struct payload *p);
/* What a payload is launched with; all of it is borrowed for the call. */
struct payload_means {
    int spec, fifo;
    int lock; /* not for the child: a replacement of this sub-agent needs it */
    const char *oom_score; /* what it gets back; "": it is unknown */
    struct attempt_file *record;
    struct message *scratch;
};

/* Forks it. It joins its groups, says so (joined) and waits: payload_go lets it
 * execute, and so does the death of this sub-agent once the process is recorded;
 * before that it goes along. */
int payload_launch(struct payload *p, const struct payload_means *means,
                   struct reeve_error *err);
void payload_go(struct payload *p);
/* Goes on with what a predecessor has launched, as attempt_read says. False: there is
 * nothing to be watched, since it has ended. */
bool payload_take_over(struct payload *p);
/* The process of a payload that was taken over has ended: looks how. That may not be to
 * be seen yet (look_at), or at all (unseen): who has it as an orphan should reap it at
 * once, and is given unseen_ms. */
void payload_look(struct payload *p, int64_t now, int64_t unseen_ms);
/* Reads what the status FIFO has; returns what is new, as link_news flags. */
unsigned payload_read_status(struct payload *p);
/* The first process was reaped. */
void payload_ended(struct payload *p, int code, int signal, int64_t now);
/* Signals every process of it, and sets the time at which it is killed. */
void payload_stop(struct payload *p, int sig, int64_t grace_ms, int64_t now);
/* No process of it is left. */
bool payload_empty(const struct payload *p);
/* One step of ending everything that is left, naming it first once the verdict is
 * there. strays: names of what was found outside its groups. True: nothing is left. */
bool payload_sweep(struct payload *p, char *strays, size_t size);
/* What is left, with what each process waits for. */
void payload_name_stuck(const struct payload *p, char *out, size_t size);

#endif
