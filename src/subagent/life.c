/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "subagent/life.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "subagent/sweep.h"
#include "subagent/waiting.h"

#include <string.h>
#include <sys/wait.h>

/* A process closes its streams some moments before it is gone. */
#define SETTLE_MS 200
#define SAVE_RETRY_MS 1000

static int save(struct agent *a, int64_t now, struct reeve_error *err)
{
    bool told = a->save_at != 0;
    a->changed = attempt_write(&a->record, &a->payload, a->out, err) < 0;
    a->save_at = a->changed ? now + SAVE_RETRY_MS : 0;
    if (a->changed && !told)
        log_warn("what a replacement must know is not saved: %s", err->text);
    return a->changed ? -1 : 0;
}

void life_save(struct agent *a, int64_t now)
{
    struct reeve_error err;
    if (a->changed && now >= a->save_at)
        save(a, now, &err);
}

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
    a->changed = true;
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
        if (save(a, now, &err) == 0) {
            payload_go(p);
            a->link.news |= NEWS_STARTED;
            waiting_status(a);
            return;
        }
        payload_drop(p);
    }
    fail_start(a, &err, now);
}

void life_start(struct agent *a, int spec, int64_t now)
{
    struct reeve_error err = {0, ""};
    int bad = payload_read_start(&a->payload, a->in, &err);
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

void life_stop(struct agent *a, int sig, int64_t grace_ms, int64_t now)
{
    if (!agent_has_payload(a))
        return;
    payload_stop(&a->payload, sig, grace_ms, now);
    a->changed = true;
}

void life_read_status(struct agent *a)
{
    unsigned news = payload_read_status(&a->payload);
    if (news & NEWS_RUNNING)
        a->phase = AGENT_RUNNING;
    a->link.news |= news;
    a->changed = true;
}

/* On disk before the kernel forgets it. */
static void first_process_ended(struct agent *a, const siginfo_t *info, int64_t now)
{
    struct reeve_error err;
    life_read_status(a);
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
    life_read_status(a);
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
    a->phase = p->executed ? AGENT_RUNNING : AGENT_PREPARING;
    if (payload_take_over(p))
        waiting_payload(a);
    if (p->status_fd >= 0)
        life_read_status(a);
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
