/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/run.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/utf8.h"
#include "master/link.h"
#include "master/master.h"
#include "master/run-internal.h"
#include "master/run-token.h"
#include "master/ship.h"
#include "run/run-dir.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define GRACE_MAX_MS (365 * 24 * 3600 * INT64_C(1000))

struct posted {
    struct run *run;
    enum run_event event;
    struct posted *next;
};

static void run_timer_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct run *run = w->data;
    void (*fn)(struct run *) = run->timer_fn;
    run->timer_fn = NULL;
    fn(run);
}

struct run *run_create(struct master *m, const char *id)
{
    struct run *run = xcalloc(1, sizeof *run);
    run->master = m;
    snprintf(run->id, sizeof run->id, "%s", id);
    snprintf(run->boot, sizeof run->boot, "%s", m->boot);
    run->agent_pidfd = run->fifo = run->steps_fifo = run->watched.fd = -1;
    run->claimed_ms = clock_wall_ms();
    policy_from_json(NULL, &run->policy);
    ev_init(&run->timer, run_timer_cb);
    run->timer.data = run;
    runs_add(m->runs, run);
    return run;
}

static void forget_posted(struct master *m, const struct run *run)
{
    struct posted **p = &m->posted;
    while (*p) {
        struct posted *e = *p;
        if (e->run == run) {
            *p = e->next;
            free(e);
        } else {
            p = &e->next;
        }
    }
    m->posted_end = p;
}

void run_destroy(struct run *run)
{
    struct master *m = run->master;
    forget_posted(m, run);
    run_disarm(run);
    ev_io_stop(m->loop, &run->agent_watch);
    if (run->call)
        api_cancel(run->call);
    link_forget(run);
    ship_forget(run);
    admit_release(m->admit, &run->promise);
    syncer_forget(m->syncer, run);
    if (run->agent_pidfd >= 0)
        close(run->agent_pidfd);
    if (run->watched.fd >= 0)
        close(run->watched.fd);
    if (run->fifo >= 0)
        close(run->fifo);
    if (run->steps_fifo >= 0)
        close(run->steps_fifo);
    runs_remove(m->runs, run);
    free(run->name);
    free(run->project);
    free(run->project_name);
    free(run->queue);
    free(run->queue_name);
    run_notes_free(run);
    run_token_forget(&run->token);
    free(run);
}

void run_post(struct run *run, enum run_event event)
{
    struct master *m = run->master;
    struct posted *e = xcalloc(1, sizeof *e);
    e->run = run;
    e->event = event;
    *m->posted_end = e;
    m->posted_end = &e->next;
    ev_feed_event(m->loop, &m->post_watch, EV_CUSTOM);
}

static void run_step(struct run *run, enum run_event event)
{
    const struct transition *t = phase_transition(run->phase, event);
    if (!t->known) {
        log_debug("task=%s phase=%s event=%s ignored", run->id, phase_name(run->phase),
                  run_event_name(event));
        return;
    }
    if (t->next != run->phase)
        log_info("task=%s event=%s phase=%s->%s attempt=%u", run->id,
                 run_event_name(event), phase_name(run->phase), phase_name(t->next),
                 run->attempt);
    run->phase = t->next;
    admit_run(run->master->admit, run);
    run->trail[run->trail_count++ % RUN_TRAIL] =
        (struct trail){clock_wall_ms(), event, t->next};
    run_act(run, t->action);
}

/* One event at a time: the action behind it may destroy the run, with its other events.
 */
void run_dispatch_cb(struct ev_loop *loop, ev_prepare *w, int revents)
{
    struct master *m = w->data;
    while (m->posted) {
        struct posted *e = m->posted;
        m->posted = e->next;
        if (!m->posted)
            m->posted_end = &m->posted;
        struct run *run = e->run;
        enum run_event event = e->event;
        free(e);
        run_step(run, event);
    }
}

void run_stop(struct run *run, enum stop_cause cause, int64_t grace_ms,
              const char *text)
{
    bool over = run->phase >= PHASE_EXITED && run->phase != PHASE_BACKOFF;
    bool first = run->stop == STOP_NONE || run->stop == STOP_RESTART;
    bool asked = cause == STOP_OPERATOR || cause == STOP_SHUTDOWN ||
                 cause == STOP_DRAIN || cause == STOP_PUT_BACK || cause == STOP_HOST;
    /* The verdict stands; but no attempt follows, and what the server has decided by
     * itself is not overwritten. */
    if (first ? !over || run->phase == PHASE_EXITED : stop_is_servers(cause)) {
        run->stop = cause;
        snprintf(run->stop_text, sizeof run->stop_text, "%s", text);
        utf8_trim(run->stop_text);
        if (!first || over)
            run_state_save(run);
    }
    /* A master that ends has left it to the next one whether another attempt follows:
     * now none does. */
    if (run->phase == PHASE_EXITED && run->master->exiting && !run->call &&
        !run->resume_due)
        run_decide(run, true);
    /* What a look at the server finds is found by the next look too: told once. */
    if (over || (!first && !asked))
        return;
    run->stop_grace_ms = grace_ms < 0 ? run->policy.grace_ms : grace_ms;
    if (cause != STOP_OPERATOR)
        run->stop_signal = 0;
    if (run->stop_grace_ms > GRACE_MAX_MS)
        run->stop_grace_ms = GRACE_MAX_MS;
    log_info("task=%s stop: %s", run->id, text);
    run_post(run, RUN_EVENT_STOP);
}

int run_restart(struct run *run, const char *text, struct reeve_error *err)
{
    if (run->master->exiting)
        return reeve_error_set(err, 0, "the master is ending");
    if (run->stop != STOP_NONE && run->stop != STOP_RESTART)
        return reeve_error_set(err, 0, "the run is being ended: %s", run->stop_text);
    if (run->no_spec)
        return reeve_error_set(err, 0, "its spec.json cannot be read");
    if (run->phase == PHASE_CLAIMED)
        return 0; /* its first one is about to begin */
    if (run->phase != PHASE_BACKOFF) {
        run_stop(run, STOP_RESTART, -1, text);
        return 0;
    }
    run_forgive(run);
    run_set_due(run, 0);
    run_state_save(run);
    run_disarm(run);
    run_note(run, "reeve: attempt %u starts now (%s)", run->attempt + 1, text);
    run_post(run, RUN_EVENT_DUE);
    return 0;
}

void run_forgive(struct run *run)
{
    run->failures = 0;
    run->forgiven = run->restarts;
}

void run_forget_stop(struct run *run)
{
    run->stop = STOP_NONE;
    run->stop_text[0] = '\0';
    run->stop_grace_ms = 0;
    run->stop_signal = 0;
}

void run_arm(struct run *run, int64_t after_ms, void (*fn)(struct run *))
{
    struct ev_loop *loop = run->master->loop;
    run->timer_fn = fn;
    ev_timer_stop(loop, &run->timer);
    ev_now_update(loop);
    ev_timer_set(&run->timer, after_ms > 0 ? (double)after_ms / 1000.0 : 0.0, 0.0);
    ev_timer_start(loop, &run->timer);
}

void run_disarm(struct run *run)
{
    run->timer_fn = NULL;
    ev_timer_stop(run->master->loop, &run->timer);
}

const char *run_group(const struct run *run, const char *leaf,
                      char out[GROUP_PATH_SIZE])
{
    snprintf(out, GROUP_PATH_SIZE, "run/%s%s%s", run->id, leaf[0] ? "/" : "", leaf);
    return out;
}

const char *task_worker(const struct master *m, const char *task, char out[256])
{
    if (m->options->task)
        snprintf(out, 256, "%.250s", m->worker);
    else
        snprintf(out, 256, "%.180s:service:%s", m->worker, task);
    return out;
}

const char *run_worker(const struct run *run, char out[256])
{
    return task_worker(run->master, run->id, out);
}

bool run_is_live(const struct run *run)
{
    return run->phase >= PHASE_STARTING && run->phase <= PHASE_STOPPING;
}

/* The words that reeve (claim.c) and clearml-agent (worker.py) leave with a claim. */
bool run_taken_over(const struct run *run, const cJSON *task)
{
    const char *message = json_str(task, "status_message", "");
    if (!run->claim[0] || strcmp(json_str(task, "status", ""), "in_progress") != 0)
        return false;
    bool reeve = strstr(message, RUN_CLAIM_WORDS) != NULL;
    return (reeve && !strstr(message, run->claim)) ||
           strcmp(message, "launch by agent") == 0;
}

const char *stop_cause_word(enum stop_cause cause)
{
    static const char *const words[] = {
#define X(name, number, word) [number] = word,
        STOP_CAUSES(X)
#undef X
    };
    return cause == STOP_NONE ? NULL : words[cause];
}

bool stop_is_servers(enum stop_cause cause)
{
    return cause == STOP_STATUS || cause == STOP_RESET || cause == STOP_DELETED;
}

const char *run_final_call(const struct run *run)
{
    if (stop_is_servers(run->stop) || run->final_known ||
        run->master->options->unmonitored)
        return NULL;
    return verdict_call(&run->verdict);
}
