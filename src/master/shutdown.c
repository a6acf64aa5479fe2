/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/shutdown.h"

#include "base/clock.h"
#include "base/log.h"
#include "master/host-down.h"
#include "master/master.h"
#include "master/notify.h"
#include "master/pull.h"
#include "master/report.h"
#include "master/stop-order.h"

#define HOST_LOOK_S 0.1

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

/* Runs that the next boot goes on with stay where they are; what is over is told, if
 * there is time. */
static bool host_waits(const struct master *m)
{
    if (pull_claims(m->pull) > 0)
        return true;
    for (struct run *run = runs_first(m->runs); run; run = run->list_next)
        if (run_is_live(run) || run->phase >= PHASE_DRAINING)
            return true;
    return false;
}

static bool waits_for_runs(const struct master *m)
{
    if (m->host_down)
        return host_waits(m);
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

static void host_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct master *m = w->data;
    if (waits_for_runs(m))
        return;
    ev_timer_stop(loop, w);
    leave_when_done(m);
}

void master_run_gone(struct master *m)
{
    if (m->host_down)
        return; /* host_cb looks */
    if (m->exiting)
        leave_when_done(m);
    else if (m->options->task && !runs_count(m->runs) && !pull_claims(m->pull))
        leave_loop(m);
}

/* ---- runs ---- */

static enum stop_cause cause_of(const struct master *m)
{
    return m->host_down ? STOP_HOST : STOP_SHUTDOWN;
}

/* What has no attempt under way waits for the next boot as it is. */
static bool is_stopped_with(const struct run *run)
{
    return run->stop != cause_of(run->master) &&
           (!run->master->host_down || run_is_live(run));
}

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
    run_stop(run, cause_of(m), grace < left ? grace : left,
             m->host_down       ? "the host is going down"
             : m->options->task ? "interrupted by a signal"
                                : "reeved is shutting down");
}

static bool tell(struct run *run, bool first)
{
    struct master *m = run->master;
    if (!is_stopped_with(run))
        return false;
    stop_one(run, m->stop_until_ms - (first ? m->waits.stop_ms / 2 : 0));
    return true;
}

static void stop_in_order(struct master *m)
{
    m->stop_until_ms = clock_boot_ms() + m->waits.stop_ms;
    stop_order_end(m->stop_order);
    m->stop_order = stop_order_begin(m, m->waits.stop_ms / 2, tell);
}

/* The one task of `reeve execute`: whoever interrupts it waits for it, and can ask
 * again. */
static void stop_task(struct master *m, bool hurried)
{
    m->stop_until_ms = clock_boot_ms() + (hurried ? 0 : m->waits.stop_ms);
    for (struct run *run = runs_first(m->runs); run; run = run->list_next) {
        if (run->policy.grace_ms > m->waits.stop_ms)
            m->waits.stop_ms = run->policy.grace_ms;
        m->stop_until_ms = clock_boot_ms() + (hurried ? 0 : m->waits.stop_ms);
        stop_one(run, m->stop_until_ms);
    }
}

void shutdown_stop_late(struct run *run)
{
    struct master *m = run->master;
    if (m->stop_order)
        stop_order_look(m->stop_order);
    else if (is_stopped_with(run))
        stop_one(run, m->stop_until_ms);
}

void master_shutdown(struct master *m, bool stop_runs)
{
    host_down_forget(m); /* its answer would count as another word to end */
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
    notify_stopping();
    pull_stop(m->pull);
    if (stop_runs && m->options->task)
        stop_task(m, false);
    else if (stop_runs)
        stop_in_order(m);
    int64_t wait = stop_runs ? m->waits.stop_ms + m->waits.tell_ms : m->waits.keep_ms;
    ev_timer_init(&m->exit_timer, leave_cb, (double)wait / 1000.0, 0.0);
    m->exit_timer.data = m;
    ev_timer_start(m->loop, &m->exit_timer);
    ev_timer_init(&m->host_timer, host_cb, HOST_LOOK_S, HOST_LOOK_S);
    m->host_timer.data = m;
    if (m->host_down)
        ev_timer_start(m->loop, &m->host_timer);
    else
        leave_when_done(m);
}
