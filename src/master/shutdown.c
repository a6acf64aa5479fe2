/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/shutdown.h"

#include "base/clock.h"
#include "base/log.h"
#include "master/master.h"
#include "master/pull.h"
#include "master/report.h"

#define KEEP_MS 3000  /* for the last lines, when runs are left alive */
#define TELL_MS 15000 /* for the server to hear of ends, when they are stopped */

static void leave_loop(struct master *m)
{
    ev_break(m->loop, EVBREAK_ALL);
}

static void leave_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct master *m = w->data;
    log_warn(
        "not everything could be told to the server in time; the next start goes on");
    leave_loop(m);
}

static bool waits_for_runs(const struct master *m)
{
    return m->stop_runs && (runs_count(m->runs) > 0 || pull_claims(m->pull) > 0);
}

static void leave_when_done(struct master *m)
{
    if (waits_for_runs(m))
        return;
    if (m->options->task)
        leave_loop(m); /* its worker has left with it */
    else
        report_leave(m->report, leave_loop);
}

void master_run_gone(struct master *m)
{
    if (m->exiting)
        leave_when_done(m);
    else if (m->options->task && !runs_count(m->runs) && !pull_claims(m->pull))
        leave_loop(m);
}

/* ---- runs ---- */

/* until_ms: its grace ends then at the latest. */
static void stop_one(struct run *run, int64_t until_ms)
{
    struct master *m = run->master;
    int64_t left = until_ms - clock_boot_ms(), grace = run->policy.grace_ms;
    if (left < 0)
        left = 0;
    if (grace > left)
        log_info("task=%s its grace is cut to %lld ms (agent.reeve.waits.stop)",
                 run->id, (long long)left);
    run_stop(run, STOP_SHUTDOWN, grace < left ? grace : left,
             m->options->task ? "interrupted by a signal" : "reeved is shutting down");
}

static bool waits_for_controllers(const struct run *run)
{
    return run_is_live(run) && !run->controller;
}

static bool controllers_live(const struct master *m)
{
    for (struct run *run = runs_first(m->runs); run; run = run->list_next)
        if (run->controller && run_is_live(run))
            return true;
    return false;
}

static void stop_rest(struct master *m)
{
    ev_timer_stop(m->loop, &m->rest_timer);
    for (struct run *run = runs_first(m->runs); run; run = run->list_next)
        if (run->stop != STOP_SHUTDOWN)
            stop_one(run, m->stop_until_ms);
}

static void rest_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    stop_rest(w->data);
}

static void stop_in_order(struct master *m)
{
    int64_t now = clock_boot_ms(), half = m->waits.stop_ms / 2;
    bool controllers = controllers_live(m);
    m->stop_until_ms = now + m->waits.stop_ms;
    if (!controllers) {
        stop_rest(m);
        return;
    }
    ev_timer_init(&m->rest_timer, rest_cb, (double)half / 1000.0, 0.0);
    m->rest_timer.data = m;
    ev_timer_start(m->loop, &m->rest_timer);
    for (struct run *run = runs_first(m->runs); run; run = run->list_next)
        if (!waits_for_controllers(run))
            stop_one(run, now + half);
}

void shutdown_attempt_ended(struct master *m)
{
    if (ev_is_active(&m->rest_timer) && !controllers_live(m))
        stop_rest(m);
}

void shutdown_stop_late(struct run *run)
{
    stop_one(run, run->master->stop_until_ms);
}

/* The one task of `reeve execute`: whoever interrupts it waits for it, and can ask
 * again. */
static void stop_task(struct master *m, bool hurried)
{
    for (struct run *run = runs_first(m->runs); run; run = run->list_next) {
        if (run->policy.grace_ms > m->waits.stop_ms)
            m->waits.stop_ms = run->policy.grace_ms;
        m->stop_until_ms = clock_boot_ms() + (hurried ? 0 : m->waits.stop_ms);
        stop_one(run, m->stop_until_ms);
    }
}

void master_shutdown(struct master *m, bool stop_runs)
{
    if (m->exiting && m->options->task && !m->hurried && runs_count(m->runs) > 0) {
        m->hurried = true;
        stop_task(m, true);
        return;
    }
    if (m->exiting) {
        leave_loop(m);
        return;
    }
    m->exiting = true;
    m->stop_runs = stop_runs;
    pull_stop(m->pull);
    if (stop_runs && m->options->task)
        stop_task(m, false);
    else if (stop_runs)
        stop_in_order(m);
    int64_t wait = stop_runs ? m->waits.stop_ms + TELL_MS : KEEP_MS;
    ev_timer_init(&m->exit_timer, leave_cb, (double)wait / 1000.0, 0.0);
    m->exit_timer.data = m;
    ev_timer_start(m->loop, &m->exit_timer);
    leave_when_done(m);
}
