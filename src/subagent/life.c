/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "subagent/life.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "subagent/sweep.h"
#include "subagent/waiting.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

/* A process closes its streams some moments before it is gone. */
#define SETTLE_MS 200
#define SAVE_RETRY_MS 1000
#define LAUNCH_RETRY_MS 50

static void note_budget(struct agent *a)
{
    a->payload.log_budget = a->output.budget;
    a->payload.log_waits = a->output.budget_waits;
}

static int save(struct agent *a, int64_t now, struct reeve_error *err)
{
    bool told = a->save_at != 0;
    note_budget(a);
    a->changed = attempt_write(&a->record, &a->payload, a->out, err) < 0;
    a->save_at = a->changed ? now + SAVE_RETRY_MS : 0;
    if (a->changed && !told)
        log_warn("what a replacement must know is not saved: %s", err->text);
    return a->changed ? -1 : 0;
}

void life_save(struct agent *a, int64_t now)
{
    struct reeve_error err;
    if (a->changed && now >= a->save_at && !agent_is_launching(a))
        save(a, now, &err);
}

static void begin_attempt(struct agent *a, int64_t now)
{
    struct payload *p = &a->payload;
    a->phase = AGENT_PREPARING;
    a->before = a->attempt;
    a->attempt = p->attempt;
    a->taken_over = false;
    a->link.news &=
        ~(unsigned)(NEWS_STEP | NEWS_RUNNING | NEWS_EXITED | NEWS_UNSEEN | NEWS_STUCK);
    p->begun_at = now;
    note_budget(a);
    payload_set_deadlines(p);
}

/* An attempt that could not be begun ends like one whose set-up failed. */
static void fail_start(struct agent *a, const struct reeve_error *err, int64_t now)
{
    struct payload *p = &a->payload;
    if (a->spec >= 0)
        close(fd_take(&a->spec));
    a->launch_at = 0;
    a->output.attempt = a->attempt;
    strcpy(p->exit.step, "start");
    memcpy(p->exit.text, err->text, sizeof p->exit.text);
    p->failed = true;
    payload_ended(p, -1, 0, now);
    p->linger_at = now;
    p->swept = true;
    a->changed = true;
}

static void fail_stopped(struct agent *a, int64_t now)
{
    struct reeve_error err;
    reeve_error_set(&err, 0, "stopped before it had begun");
    fail_start(a, &err, now);
}

/* What was there before, and a host that is short of something just now. */
static bool may_pass(const struct reeve_error *err)
{
    return err->code == EBUSY || err->code == EAGAIN || err->code == ENOMEM ||
           err->code == ENFILE;
}

static int try_launch(struct agent *a, struct reeve_error *err)
{
    struct payload *p = &a->payload;
    /* Of one that was never recorded, as its sub-agent was killed before. */
    if (cgroup_dirs_populated(&p->groups)) {
        cgroup_dirs_signal(&p->groups, SIGKILL);
        reeve_error_set(err, 0, "processes of an earlier attempt are still there");
        err->code = EBUSY;
        return -1;
    }
    auto_close fifo = output_open_for_payload(&a->output, err);
    struct payload_means means = {.spec = a->spec,
                                  .fifo = fifo,
                                  .lock = a->options.lock,
                                  .oom_score = a->options.oom_score,
                                  .record = &a->record,
                                  .scratch = a->out};
    return fifo < 0 ? -1 : payload_launch(p, &means, err);
}

static void launch(struct agent *a, int64_t now)
{
    struct reeve_error err = {0, ""};
    if (try_launch(a, &err) == 0) {
        close(fd_take(&a->spec));
        a->launch_at = 0;
        waiting_status(a);
    } else if (may_pass(&err) && now < a->launch_until) {
        a->launch_at = now + LAUNCH_RETRY_MS;
    } else {
        fail_start(a, &err, now);
    }
}

/* On disk first: nothing of the task runs that a replacement does not find. In its
 * groups before that: who ends those of this sub-agent does not end it, too. */
static void let_go(struct agent *a, int64_t now)
{
    struct reeve_error err;
    if (a->payload.kill_at) {
        fail_stopped(a, now);
        return;
    }
    if (save(a, now, &err) < 0) {
        fail_start(a, &err, now);
        return;
    }
    a->output.attempt = a->attempt;
    payload_go(&a->payload);
    a->link.news |= NEWS_STARTED;
}

void life_start(struct agent *a, int *spec, int64_t now)
{
    struct reeve_error err = {0, ""};
    int bad = payload_read_start(&a->payload, a->in, &err);
    if (bad && !a->payload.attempt) {
        log_error("%s", err.text);
        return;
    }
    if (!bad && *spec < 0)
        bad = reeve_error_set(&err, 0, "START without a spec");
    if (!bad && a->unmasked)
        bad = reeve_error_set(&err, 0, "what its log must not show could not be read");
    begin_attempt(a, now);
    if (bad) {
        fail_start(a, &err, now);
        return;
    }
    a->spec = fd_take(spec);
    a->launch_until = now + a->options.launch_ms;
    launch(a, now);
}

void life_stop(struct agent *a, int sig, int64_t grace_ms, int64_t now)
{
    if (!agent_has_payload(a))
        return;
    payload_stop(&a->payload, sig, grace_ms, now);
    a->changed = true;
}

void life_read_status(struct agent *a, int64_t now)
{
    struct payload *p = &a->payload;
    unsigned news = payload_read_status(p);
    if (p->joined && p->go_fd >= 0 && !p->ended && !proc_is_ending(p->pid))
        let_go(a, now);
    if (news & NEWS_RUNNING)
        a->phase = AGENT_RUNNING;
    a->link.news |= news;
    a->changed = true;
}

/* On disk before the kernel forgets it. */
static void first_process_ended(struct agent *a, const siginfo_t *info, int64_t now)
{
    struct reeve_error err;
    life_read_status(a, now);
    bool exited = info->si_code == CLD_EXITED;
    payload_ended(&a->payload, exited ? info->si_status : -1,
                  exited ? 0 : info->si_status, now);
    save(a, now, &err);
}

/* Every orphan is ours to reap, too; the first process's end is the verdict. */
void life_reap(struct agent *a, int64_t now)
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
void life_look(struct agent *a, int64_t now)
{
    struct payload *p = &a->payload;
    life_read_status(a, now);
    payload_look(p, now, a->options.unseen_ms);
    if (p->unseen)
        a->link.news |= NEWS_UNSEEN;
    a->changed = true;
}

/* A predecessor's payload: with its verdict, if that was known, else to be watched. */
static void take_over(struct agent *a)
{
    struct payload *p = &a->payload;
    a->taken_over = true;
    a->attempt = a->output.attempt = p->attempt;
    output_limit(&a->output, p->log_budget, p->log_waits, SERVER_UNKNOWN);
    a->phase = p->executed ? AGENT_RUNNING : AGENT_PREPARING;
    if (payload_take_over(p))
        waiting_payload(a);
    if (p->status_fd >= 0)
        life_read_status(a, clock_boot_ms());
    waiting_status(a);
    log_info("task=%s pid=%d taken over", a->options.task, (int)p->first_pid);
}

/* A predecessor that died may have left an exit that nobody acknowledged, or a payload.
 * With neither the end of its attempt is not known, and IDLE with that attempt says so.
 */
int life_recall(struct agent *a, struct reeve_error *err)
{
    struct spool_entry e;
    struct payload *p = &a->payload;
    a->attempt = a->output.attempt;
    int found = a->attempt ? spool_find_exit(a->options.state_dir, &e, err) : 0;
    a->certain = attempt_read(&a->record, p, a->out);
    /* A line of the master's own is of no attempt that has begun. */
    if (a->certain && a->attempt > p->attempt)
        a->attempt = a->output.attempt =
            found == 1 && e.attempt > p->attempt ? e.attempt : p->attempt;
    if (found == 1 && e.attempt == a->attempt && e.attempt >= p->attempt) {
        payload_forget(p);
        a->phase = AGENT_EXITED;
        p->exit = e.exit;
    } else if (p->first_pid && p->attempt >= a->attempt) {
        take_over(a);
    } else {
        payload_forget(p);
        p->attempt = a->attempt;
        a->changed = true;
    }
    return found < 0 ? -1 : 0;
}

static void step_launch(struct agent *a, int64_t now)
{
    if (a->payload.kill_at)
        fail_stopped(a, now);
    else if (now >= a->launch_at)
        launch(a, now);
}

void life_step(struct agent *a, int64_t now)
{
    struct payload *p = &a->payload;
    if (p->timeout_at && now >= p->timeout_at) {
        p->timeout_at = 0;
        p->timed_out = true;
        life_stop(a, p->stop_signal, p->grace_ms, now);
    }
    if (p->setup_timeout_at && now >= p->setup_timeout_at) {
        p->setup_timed_out = true;
        life_stop(a, p->stop_signal, p->grace_ms, now);
    }
    if (p->kill_at && now >= p->kill_at && !p->killing)
        p->killing = a->changed = true;
    if (a->spec >= 0)
        step_launch(a, now);
    if (p->look_at && now >= p->look_at)
        life_look(a, now);
    if (!p->ended) {
        if (p->killing)
            sweep_step(a, now);
        return;
    }
    life_reap(a, now);
    if (a->output.eof && !p->settle_at)
        p->settle_at = now + SETTLE_MS;
    p->over = p->over || p->killing || now >= p->linger_at ||
              (a->output.eof && (now >= p->settle_at || payload_empty(p)));
    if (p->over && sweep_step(a, now))
        sweep_finish(a, now);
}
