/* SPDX-License-Identifier: Apache-2.0 */
/* agent.c - the loop
 *
 * - One epoll loop, no thread; every descriptor it waits for has a number in enum
 * source.
 * - Time is CLOCK_BOOTTIME, in one timer that is set for whatever comes first.
 * - agent_step does what can be done now. It is called after each batch of events, and
 *   whatever could not be done (a full disk, a group not empty yet) has a time at which
 *   it is tried again.
 * - The order at the end of an attempt: verdict, linger, sweep, the FIFO to its end,
 * the exit record synced, EXITED. */
#include "config.h"

#include "subagent/agent.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "run/message.h"
#include "subagent/attempt.h"
#include "subagent/link.h"
#include "subagent/output.h"
#include "subagent/payload.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#define SPOOLED_MS 20
#define SWEEP_MS 5
#define SWEEP_MAX_MS 500
#define REST_MS 1000
/* A process closes its streams some moments before it is gone. */
#define SETTLE_MS 200
#define MESSAGES_PER_TURN 32

enum source {
    SOURCE_SIGNALS,
    SOURCE_TIMER,
    SOURCE_FIFO,
    SOURCE_STATUS,
    SOURCE_LINK,
    SOURCE_PAYLOAD
};

struct agent {
    struct agent_options options;
    int epoll, signals, timer;
    int64_t timer_at;
    bool fifo_watched;
    uint32_t link_events;
    struct link link;
    struct output output;
    struct payload payload;
    enum agent_phase phase;
    uint32_t attempt;  /* the last that is known of */
    uint64_t told_end; /* spool end as of the last SPOOLED */
    bool note_waits;   /* the message in hand is a NOTE that found the disk full */
    bool quitting;
    int64_t rest_at;
    int record;   /* the file `attempt` */
    bool changed; /* what is to be in it */
    bool certain; /* it was sound when we came: no attempt has begun but what it says */
    bool taken_over; /* the payload is that of a predecessor */
};

/* Whole pages each, so that giving them back takes no neighbour along. */
struct message_pages {
    struct message m;
} __attribute__((aligned(4096)));

/* In .bss: pages that were never touched cost nothing, and are given back when idle. */
static struct agent the_agent;
static struct message_pages in_pages, out_pages;
static struct message *const message_in = &in_pages.m;
static struct message *const message_out = &out_pages.m;

/* ---- waiting ---- */

static int watch(struct agent *a, int op, int fd, enum source source, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.u32 = source};
    return epoll_ctl(a->epoll, op, fd, &e);
}

/* An ended FIFO is always "hung up", so it is not only unasked but taken out. */
static void watch_fifo(struct agent *a)
{
    bool wanted = output_wants_fifo(&a->output);
    if (wanted == a->fifo_watched)
        return;
    if (watch(a, wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, a->output.fifo, SOURCE_FIFO,
              EPOLLIN) < 0)
        log_error("epoll on the FIFO: %s", strerror(errno));
    a->fifo_watched = wanted;
}

static void watch_status(struct agent *a)
{
    int fd = a->payload.status_fd;
    if (fd >= 0 && watch(a, EPOLL_CTL_ADD, fd, SOURCE_STATUS, EPOLLIN) < 0)
        log_error("epoll on the status FIFO: %s", strerror(errno));
}

/* A process that has ended stays "readable"; its being reaped is a hang-up, which is
 * told unasked. */
static void watch_payload(struct agent *a, int op, uint32_t events)
{
    if (watch(a, op, a->payload.pidfd, SOURCE_PAYLOAD, events) < 0)
        log_error("epoll on the payload: %s", strerror(errno));
}

/* Back-pressure on the master while a NOTE waits for the disk; out of the set then,
 * since a hang-up is told whatever was asked for. */
static void watch_link(struct agent *a)
{
    if (a->link.sock < 0)
        return;
    uint32_t events = a->note_waits ? 0 : EPOLLIN | (a->link.full ? EPOLLOUT : 0);
    if (events == a->link_events)
        return;
    int op = !events ? EPOLL_CTL_DEL : a->link_events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (watch(a, op, a->link.sock, SOURCE_LINK, events) < 0)
        log_error("epoll on the socket: %s", strerror(errno));
    a->link_events = events;
}

static void sooner(int64_t *at, int64_t candidate)
{
    if (candidate && (!*at || candidate < *at))
        *at = candidate;
}

static int64_t next_deadline(const struct agent *a)
{
    const struct payload *p = &a->payload;
    int64_t at = a->rest_at;
    /* On a full disk a partial line waits as everything else does. */
    sooner(&at, a->output.retry_at ? a->output.retry_at : a->output.pause_at);
    sooner(&at, link_deadline(&a->link));
    if (a->phase == AGENT_PREPARING || a->phase == AGENT_RUNNING) {
        sooner(&at, p->timeout_at);
        sooner(&at, p->setup_timeout_at);
        if (!p->killing)
            sooner(&at, p->kill_at);
        if (p->ended && !p->over) {
            sooner(&at, p->linger_at);
            sooner(&at, p->settle_at);
        }
        sooner(&at, p->sweep_at);
        sooner(&at, p->look_at);
    }
    if (a->link.sock >= 0 && (a->link.news & NEWS_SPOOLED) && !a->link.full)
        sooner(&at, a->link.spooled_at + SPOOLED_MS);
    return at;
}

static void set_timer(struct agent *a)
{
    int64_t at = next_deadline(a);
    if (at == a->timer_at)
        return;
    struct itimerspec t = {.it_value = {at / 1000, at % 1000 * 1000000}};
    if (timerfd_settime(a->timer, TFD_TIMER_ABSTIME, &t, NULL) < 0)
        log_error("set timer: %s", strerror(errno));
    a->timer_at = at;
}

/* ---- to the master ---- */

static void add_exit(struct message *m, const struct spool_exit *e)
{
    if (e->signal)
        message_add_u64(m, TAG_EXIT_SIGNAL, (uint64_t)e->signal);
    else if (e->code >= 0)
        message_add_u64(m, TAG_EXIT_CODE, (uint64_t)e->code);
    if (e->step[0]) {
        message_add_text(m, TAG_STEP, e->step);
        message_add_text(m, TAG_TEXT, e->text);
    }
    if (e->timed_out)
        message_add_u64(m, TAG_TIMED_OUT, 1);
    if (e->left[0])
        message_add_text(m, TAG_LEFT_BEHIND, e->left);
}

static void add_payload(struct message *m, const struct payload *p)
{
    message_add_u64(m, TAG_PAYLOAD_PID, (uint64_t)p->first_pid);
    message_add_u64(m, TAG_PAYLOAD_START, p->start);
}

static void add_progress(const struct agent *a, struct message *m)
{
    const struct payload *p = &a->payload;
    int64_t left = p->kill_at - clock_boot_ms();
    if (a->phase == AGENT_PREPARING && p->step[0])
        message_add_text(m, TAG_STEP, p->step);
    if (p->kill_at)
        message_add_u64(m, TAG_STOPPING, left > 0 ? (uint64_t)left : 0);
    if (a->taken_over)
        message_add_u64(m, TAG_TAKEN_OVER, 1);
}

static void make_hello(struct agent *a, struct message *m)
{
    message_begin(m, MESSAGE_HELLO, 0);
    message_add_text(m, TAG_TASK, a->options.task);
    message_add_u64(m, TAG_PID, (uint64_t)getpid());
    message_add_u64(m, TAG_START_TIME, proc_start_time(getpid()));
    message_add_u64(m, TAG_PHASE, a->phase);
    message_add_u64(m, TAG_ATTEMPT, a->attempt);
    message_add_u64(m, TAG_SPOOL_END, spool_writer_end(a->output.spool));
    if (a->certain)
        message_add_u64(m, TAG_CERTAIN, 1);
    message_add_u64(m, TAG_SPOOL_GAPS, spool_writer_has_gaps(a->output.spool));
    /* Also while its streams linger: the attempt is not over then. */
    if (a->payload.first_pid)
        add_payload(m, &a->payload);
    if (a->phase == AGENT_PREPARING || a->phase == AGENT_RUNNING)
        add_progress(a, m);
    if (a->phase == AGENT_EXITED)
        add_exit(m, &a->payload.exit);
}

static void make_news(struct agent *a, struct message *m, enum link_news news)
{
    static const struct {
        enum link_news news;
        enum message_type type;
    } types[] = {
        {NEWS_STARTED, MESSAGE_STARTED}, {NEWS_STEP, MESSAGE_STEP},
        {NEWS_RUNNING, MESSAGE_RUNNING}, {NEWS_SPOOLED, MESSAGE_SPOOLED},
        {NEWS_EXITED, MESSAGE_EXITED},   {NEWS_UNSEEN, MESSAGE_UNSEEN},
        {NEWS_STUCK, MESSAGE_STUCK},
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].news == news)
            message_begin(m, types[i].type, 0);
    if (news != NEWS_SPOOLED)
        message_add_u64(m, TAG_ATTEMPT, a->attempt);
    if (news == NEWS_STARTED || news == NEWS_UNSEEN)
        add_payload(m, &a->payload);
    if (news == NEWS_STEP)
        message_add_text(m, TAG_STEP, a->payload.step);
    if (news == NEWS_STUCK)
        message_add_text(m, TAG_TEXT, a->payload.ending.text);
    if (news == NEWS_EXITED)
        add_exit(m, &a->payload.exit);
    if (news == NEWS_SPOOLED || news == NEWS_EXITED) {
        a->told_end = spool_writer_end(a->output.spool);
        message_add_u64(m, TAG_SPOOL_END, a->told_end);
        message_add_u64(m, TAG_SPOOL_GAPS, spool_writer_has_gaps(a->output.spool));
    }
}

static void lose_master(struct agent *a, int64_t now)
{
    /* A NOTE in hand is kept; the descriptor leaves the epoll set by being closed. */
    a->link_events = 0;
    link_lost(&a->link, now);
}

static void send_news(struct agent *a, int64_t now)
{
    struct link *l = &a->link;
    if (spool_writer_end(a->output.spool) != a->told_end)
        l->news |= NEWS_SPOOLED;
    for (unsigned bit = NEWS_HELLO; bit <= NEWS_LAST && l->sock >= 0; bit <<= 1) {
        if (!(l->news & bit) || l->full)
            continue;
        if (bit == NEWS_SPOOLED && now < l->spooled_at + SPOOLED_MS)
            continue;
        if (bit == NEWS_HELLO)
            make_hello(a, message_out);
        else
            make_news(a, message_out, (enum link_news)bit);
        int result = message_send(l->sock, message_out, -1, NULL);
        if (result < 0) {
            lose_master(a, now);
            return;
        }
        l->full = result == 1;
        if (l->full)
            return;
        l->news &= ~bit;
        if (bit == NEWS_SPOOLED)
            l->spooled_at = now;
    }
}

static void find_master(struct agent *a, int64_t now)
{
    if (!link_try(&a->link, now))
        return;
    a->link.news = NEWS_HELLO | NEWS_SPOOLED;
    if (a->phase == AGENT_EXITED)
        a->link.news |= NEWS_EXITED;
    else if (a->payload.unseen)
        a->link.news |= NEWS_UNSEEN;
    if (a->payload.ending.text[0])
        a->link.news |= NEWS_STUCK;
}

/* ---- the file `attempt` ---- */

static int save(struct agent *a)
{
    struct reeve_error err;
    a->changed = false;
    if (attempt_write(a->record, &a->payload, message_out, &err) == 0)
        return 0;
    log_warn("after a loss of this sub-agent its task could not go on: %s", err.text);
    return -1;
}

/* ---- from the master ---- */

static void begin_attempt(struct agent *a, int64_t now)
{
    struct payload *p = &a->payload;
    a->phase = AGENT_PREPARING;
    a->attempt = a->output.attempt = p->attempt;
    a->taken_over = false;
    a->link.news &=
        ~(unsigned)(NEWS_STEP | NEWS_RUNNING | NEWS_EXITED | NEWS_UNSEEN | NEWS_STUCK);
    p->begun_at = now;
    payload_set_deadlines(p);
}

/* An attempt that could not be begun ends like one whose set-up failed. */
static void fail_start(struct agent *a, const struct reeve_error *err, int64_t now)
{
    struct payload *p = &a->payload;
    strcpy(p->exit.step, "start");
    memcpy(p->exit.text, err->text, sizeof p->exit.text);
    p->failed = true;
    payload_ended(p, -1, 0, now);
    p->linger_at = now;
    p->swept = true;
}

static void launch(struct agent *a, int spec, int64_t now)
{
    struct reeve_error err = {0, ""};
    struct payload *p = &a->payload;
    auto_close fifo = -1;
    if (spec < 0) {
        reeve_error_set(&err, 0, "START without a spec");
    } else if (cgroup_dirs_populated(&p->groups)) {
        reeve_error_set(&err, 0, "processes of an earlier attempt are still there");
    } else if ((fifo = output_open_for_payload(&a->output, &err)) >= 0 &&
               payload_launch(p, spec, fifo, a->options.oom_score, &err) == 0) {
        /* On disk first: nothing of the task runs that a replacement does not find. */
        save(a);
        payload_go(p);
        a->link.news |= NEWS_STARTED;
        watch_status(a);
        return;
    }
    fail_start(a, &err, now);
}

static void on_start(struct agent *a, int spec, int64_t now)
{
    struct reeve_error err = {0, ""};
    uint64_t attempt = 0;
    message_get_u64(message_in, TAG_ATTEMPT, &attempt);
    if (a->phase == AGENT_PREPARING || a->phase == AGENT_RUNNING) {
        log_warn("START of attempt %llu while one runs", (unsigned long long)attempt);
        return;
    }
    if (a->phase == AGENT_EXITED && attempt == a->attempt) {
        a->link.news |= NEWS_EXITED;
        return;
    }
    int bad = payload_read_start(&a->payload, message_in, &err);
    if (bad && !a->payload.attempt) {
        log_error("%s", err.text);
        return;
    }
    begin_attempt(a, now);
    if (bad)
        fail_start(a, &err, now);
    else
        launch(a, spec, now);
}

static void stop(struct agent *a, int sig, int64_t grace_ms, int64_t now)
{
    if (a->phase != AGENT_PREPARING && a->phase != AGENT_RUNNING)
        return;
    payload_stop(&a->payload, sig, grace_ms, now);
    a->changed = true;
}

static void on_stop(struct agent *a, int64_t now)
{
    const struct payload *p = &a->payload;
    uint64_t grace = (uint64_t)p->grace_ms, sig = (uint64_t)p->stop_signal;
    message_get_u64(message_in, TAG_GRACE_MS, &grace);
    message_get_u64(message_in, TAG_STOP_SIGNAL, &sig);
    if (sig == 0 || sig >= NSIG)
        sig = SIGTERM;
    if (grace > (1ull << 40))
        grace = 1ull << 40;
    stop(a, (int)sig, (int64_t)grace, now);
}

static void on_change(struct agent *a)
{
    struct payload *p = &a->payload;
    uint64_t attempt = 0;
    message_get_u64(message_in, TAG_ATTEMPT, &attempt);
    if ((a->phase != AGENT_PREPARING && a->phase != AGENT_RUNNING) ||
        attempt != a->attempt)
        return;
    bool files = payload_read_change(p, message_in);
    payload_set_deadlines(p);
    if (files)
        payload_limit_files(p);
    a->changed = true;
}

/* The text is in message_in, which is not read over while the note waits. */
static void on_note(struct agent *a, int64_t now)
{
    static char text[4096];
    if (!message_get_text(message_in, TAG_TEXT, text, sizeof text))
        text[0] = '\0';
    a->note_waits = !output_note(&a->output, text, now);
}

static void on_log(struct agent *a, int fd)
{
    struct reeve_error err;
    uint64_t budget, wait = 0;
    message_get_u64(message_in, TAG_LOG_WAIT, &wait);
    if (message_get_u64(message_in, TAG_LOG_BUDGET, &budget))
        output_limit(&a->output, budget, wait != 0);
    if (fd >= 0 && output_mask(&a->output, fd, &err) < 0)
        log_error("%s", err.text);
}

static void read_status(struct agent *a)
{
    unsigned news = payload_read_status(&a->payload);
    if (news & NEWS_RUNNING)
        a->phase = AGENT_RUNNING;
    a->link.news |= news;
    a->changed = true;
}

/* How a payload of a predecessor ended, by the master that has reaped it, or that knows
 * as little as we do. */
static void on_seen(struct agent *a, int64_t now)
{
    struct payload *p = &a->payload;
    uint64_t pid = 0, code = 0, sig = 0;
    bool known = message_get_u64(message_in, TAG_EXIT_CODE, &code) ||
                 message_get_u64(message_in, TAG_EXIT_SIGNAL, &sig);
    message_get_u64(message_in, TAG_PAYLOAD_PID, &pid);
    if (!a->taken_over || p->ended || (pid_t)pid != p->first_pid || code > 255 ||
        sig >= NSIG || (!known && !p->unseen))
        return;
    read_status(a);
    payload_ended(p, known && !sig ? (int)code : -1, (int)sig, now);
    a->changed = true;
}

static void on_message(struct agent *a, int fd, int64_t now)
{
    uint64_t attempt;
    switch (message_get_type(message_in)) {
    case MESSAGE_START:
        on_start(a, fd, now);
        break;
    case MESSAGE_STOP:
        on_stop(a, now);
        break;
    case MESSAGE_CHANGE:
        on_change(a);
        break;
    case MESSAGE_NOTE:
        on_note(a, now);
        break;
    case MESSAGE_LOG:
        on_log(a, fd);
        break;
    case MESSAGE_ACK_EXIT:
        if (a->phase == AGENT_EXITED &&
            message_get_u64(message_in, TAG_ATTEMPT, &attempt) &&
            attempt == a->attempt) {
            a->phase = AGENT_IDLE;
            a->link.news &= ~(unsigned)NEWS_EXITED;
        }
        break;
    case MESSAGE_SEEN:
        on_seen(a, now);
        break;
    case MESSAGE_QUIT:
        a->quitting = a->phase == AGENT_IDLE || a->phase == AGENT_EXITED;
        break;
    }
}

static void hear_master(struct agent *a, int64_t now)
{
    for (int i = 0; i < MESSAGES_PER_TURN && a->link.sock >= 0 && !a->note_waits; i++) {
        auto_close fd = -1;
        struct reeve_error err;
        int result = message_receive(a->link.sock, message_in, &fd, &err);
        if (result == 0)
            return;
        if (result < 0) {
            /* A master that died with unread messages resets the connection. */
            if (err.code && err.code != ECONNRESET)
                log_warn("connection to the master: %s", err.text);
            lose_master(a, now);
            return;
        }
        a->link.heard = true;
        on_message(a, fd, now);
    }
}

/* ---- the payload ---- */

/* On disk before the kernel forgets it. */
static void first_process_ended(struct agent *a, const siginfo_t *info, int64_t now)
{
    read_status(a);
    bool exited = info->si_code == CLD_EXITED;
    payload_ended(&a->payload, exited ? info->si_status : -1,
                  exited ? 0 : info->si_status, now);
    save(a);
}

/* Every orphan is ours to reap, too; the first process's end is the verdict. */
static void reap(struct agent *a, int64_t now)
{
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
            info.si_pid == 0)
            return;
        if (info.si_pid == a->payload.pid)
            first_process_ended(a, &info, now);
        waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
    }
}

/* Of a payload that is no child of ours. */
static void look(struct agent *a, int64_t now)
{
    struct payload *p = &a->payload;
    read_status(a);
    if (!payload_look(p, now) && p->pidfd >= 0)
        watch_payload(a, EPOLL_CTL_MOD, 0);
    if (p->unseen)
        a->link.news |= NEWS_UNSEEN;
    a->changed = true;
}

/* A note of ours is lost where the disk is full: what it says is in the master's log.
 */
static void note(struct agent *a, int64_t now, const char *fmt, ...)
{
    char text[ENDING_TEXT_SIZE + 128];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    output_note(&a->output, text, now);
}

/* SIGKILL waits until a process can take it. */
static void tell_stuck(struct agent *a, int64_t now)
{
    struct payload *p = &a->payload;
    char names[ENDING_TEXT_SIZE];
    if (!ending_due(&p->ending, now))
        return;
    payload_name_stuck(p, names, sizeof names);
    if (!ending_news(&p->ending, names, now))
        return;
    note(a, now, "reeve: cannot be ended yet, tried again: %s", names);
    a->link.news |= NEWS_STUCK;
}

static void tell_over(struct agent *a, int64_t now)
{
    int64_t took;
    if (!ending_over(&a->payload.ending, now, &took))
        return;
    note(a, now, "reeve: what could not be ended is gone, after %lld s",
         (long long)(took / 1000));
    a->link.news |= NEWS_STUCK;
}

static bool sweep(struct agent *a, int64_t now)
{
    struct payload *p = &a->payload;
    char strays[ENDING_TEXT_SIZE];
    if (now < p->sweep_at)
        return false;
    a->changed = a->changed || (p->ended && !p->swept);
    bool over = payload_sweep(p, strays, sizeof strays);
    if (strays[0])
        note(a, now, "reeve: found outside its cgroup, and brought back: %s", strays);
    if (over) {
        p->sweep_at = 0;
        tell_over(a, now);
        return true;
    }
    tell_stuck(a, now);
    int shift = p->sweeps < 7 ? p->sweeps++ : 7;
    p->sweep_at =
        now + (SWEEP_MS << shift < SWEEP_MAX_MS ? SWEEP_MS << shift : SWEEP_MAX_MS);
    return false;
}

static void finish(struct agent *a, int64_t now)
{
    struct payload *p = &a->payload;
    struct output *o = &a->output;
    output_lift_limit(o);
    output_drain(o, now);
    if (!output_finish(o, now) || !output_exit(o, &p->exit, now))
        return;
    if (p->status_fd >= 0)
        close(fd_take(&p->status_fd));
    a->phase = AGENT_EXITED;
    a->link.news |= NEWS_EXITED;
}

static void step_payload(struct agent *a, int64_t now)
{
    struct payload *p = &a->payload;
    if (p->timeout_at && now >= p->timeout_at) {
        p->timeout_at = 0;
        p->timed_out = true;
        stop(a, p->stop_signal, p->grace_ms, now);
    }
    if (p->setup_timeout_at && now >= p->setup_timeout_at) {
        p->setup_timed_out = true;
        stop(a, p->stop_signal, p->grace_ms, now);
    }
    if (p->kill_at && now >= p->kill_at && !p->killing)
        p->killing = a->changed = true;
    if (p->look_at && now >= p->look_at)
        look(a, now);
    if (!p->ended) {
        if (p->killing)
            sweep(a, now);
        return;
    }
    reap(a, now);
    if (a->output.eof && !p->settle_at)
        p->settle_at = now + SETTLE_MS;
    p->over = p->over || p->killing || now >= p->linger_at ||
              (a->output.eof && (now >= p->settle_at || payload_empty(p)));
    if (p->over && sweep(a, now))
        finish(a, now);
}

/* ---- the loop ---- */

static void agent_step(struct agent *a, int64_t now)
{
    output_tick(&a->output, now);
    if (a->note_waits && !a->output.retry_at)
        on_note(a, now);
    if (a->phase == AGENT_PREPARING || a->phase == AGENT_RUNNING)
        step_payload(a, now);
    if (a->changed)
        save(a);
    find_master(a, now);
    send_news(a, now);
    watch_fifo(a);
    watch_link(a);
    set_timer(a);
}

static void on_signals(struct agent *a, int64_t now)
{
    struct signalfd_siginfo info[8];
    ssize_t n;
    while ((n = read(a->signals, info, sizeof info)) > 0)
        for (size_t i = 0; i < (size_t)n / sizeof info[0]; i++)
            if (info[i].ssi_signo == SIGIO)
                link_folder_changed(&a->link, now);
    reap(a, now);
}

/* Nothing has happened for a while: memory is given back. */
static void rest(struct agent *a)
{
    output_rest(&a->output);
    if (!a->note_waits)
        madvise(&in_pages, sizeof in_pages, MADV_DONTNEED);
    madvise(&out_pages, sizeof out_pages, MADV_DONTNEED);
}

static void on_timer(struct agent *a, int64_t now)
{
    uint64_t count;
    if (read(a->timer, &count, sizeof count) < 0 && errno != EAGAIN)
        log_error("read timer: %s", strerror(errno));
    a->timer_at = 0;
    if (!a->rest_at) {
        a->rest_at = now + REST_MS;
    } else if (now >= a->rest_at) {
        a->rest_at = 0;
        rest(a);
    }
}

static void on_event(struct agent *a, enum source source, int64_t now)
{
    if (source != SOURCE_TIMER && a->rest_at < now + REST_MS / 2)
        a->rest_at = now + REST_MS;
    switch (source) {
    case SOURCE_SIGNALS:
        on_signals(a, now);
        break;
    case SOURCE_TIMER:
        on_timer(a, now);
        break;
    case SOURCE_FIFO:
        output_pump(&a->output, now);
        break;
    case SOURCE_STATUS:
        read_status(a);
        break;
    case SOURCE_LINK:
        a->link.full = false;
        hear_master(a, now);
        break;
    case SOURCE_PAYLOAD:
        if (a->payload.pid && a->payload.pidfd >= 0)
            look(a, now);
        break;
    }
}

static void ignore_signals(void)
{
    static const int ignored[] = {SIGTERM, SIGHUP,  SIGINT,  SIGQUIT,
                                  SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM};
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        signal(ignored[i], SIG_IGN);
}

static int open_descriptors(struct agent *a, struct reeve_error *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGIO);
    sigprocmask(SIG_SETMASK, &set, NULL);
    a->epoll = epoll_create1(EPOLL_CLOEXEC);
    a->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    a->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (a->epoll < 0 || a->signals < 0 || a->timer < 0 ||
        watch(a, EPOLL_CTL_ADD, a->signals, SOURCE_SIGNALS, EPOLLIN) < 0 ||
        watch(a, EPOLL_CTL_ADD, a->timer, SOURCE_TIMER, EPOLLIN) < 0)
        return reeve_error_set(err, errno, "set up the event loop");
    return 0;
}

static void forget_payload(struct payload *p)
{
    *p = (struct payload){.pidfd = -1,
                          .go_fd = -1,
                          .status_fd = -1,
                          .exit.code = -1,
                          .steps_path = p->steps_path};
}

/* A predecessor's payload: with its verdict, if that was known, else to be watched. */
static void take_over(struct agent *a)
{
    struct payload *p = &a->payload;
    a->taken_over = true;
    a->attempt = a->output.attempt = p->attempt;
    a->phase = p->executed ? AGENT_RUNNING : AGENT_PREPARING;
    if (payload_take_over(p))
        watch_payload(a, EPOLL_CTL_ADD, EPOLLIN);
    if (p->status_fd >= 0)
        read_status(a);
    watch_status(a);
    log_info("task=%s pid=%d taken over", a->options.task, (int)p->first_pid);
}

/* A predecessor that died may have left an exit that nobody acknowledged, or a payload.
 * With neither the end of its attempt is not known, and IDLE with that attempt says so.
 */
static int recall(struct agent *a, struct reeve_error *err)
{
    struct spool_entry e;
    struct payload *p = &a->payload;
    a->attempt = a->output.attempt;
    int found = a->attempt ? spool_find_exit(a->options.state_dir, &e, err) : 0;
    a->certain = attempt_read(a->record, p, message_out);
    if (found == 1 && e.attempt == a->attempt && e.attempt >= p->attempt) {
        forget_payload(p);
        a->phase = AGENT_EXITED;
        p->exit = e.exit;
    } else if (p->first_pid && p->attempt >= a->attempt) {
        take_over(a);
    } else {
        forget_payload(p);
        p->attempt = a->attempt;
        a->changed = true;
    }
    return found < 0 ? -1 : 0;
}

struct agent *agent_open(const struct agent_options *options, struct reeve_error *err)
{
    struct agent *a = &the_agent;
    a->options = *options;
    forget_payload(&a->payload);
    a->payload.steps_path = path_join_dup(options->run_dir, "steps");
    ignore_signals();
    if (open_descriptors(a, err) < 0 ||
        (a->record = attempt_open(options->run_dir, err)) < 0 ||
        output_open(&a->output, options->state_dir, options->run_dir, err) < 0 ||
        (options->mask >= 0 && output_mask(&a->output, options->mask, err) < 0) ||
        recall(a, err) < 0 ||
        link_open(&a->link, options->socket, options->reconnect_ms, err) < 0)
        return NULL;
    /* What a predecessor left in the FIFO and the raw file comes before HELLO. */
    output_drain(&a->output, clock_boot_ms());
    return a;
}

/* True: everything that was taken is in the spool. */
static bool drained(struct agent *a, int64_t now)
{
    output_lift_limit(&a->output);
    output_drain(&a->output, now);
    return output_finish(&a->output, now);
}

int agent_run(struct agent *a, struct reeve_error *err)
{
    struct epoll_event events[8];
    a->rest_at = clock_boot_ms() + REST_MS;
    agent_step(a, clock_boot_ms());
    while (!a->quitting || a->note_waits || !drained(a, clock_boot_ms())) {
        int n = epoll_wait(a->epoll, events, 8, -1);
        if (n < 0 && errno != EINTR)
            return reeve_error_set(err, errno, "wait for events");
        int64_t now = clock_boot_ms();
        for (int i = 0; i < n; i++)
            on_event(a, (enum source)events[i].data.u32, now);
        agent_step(a, now);
    }
    return 0;
}
