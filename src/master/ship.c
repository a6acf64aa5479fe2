/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* - One batch is under way at a time; what arrives meanwhile goes into the next. A
 * batch that was built is sent unchanged until its fate is certain.
 * - One event carries the lines of one run that arrived within a second, 64 KiB at
 * most; its time stamp is the arrival of the first, and strictly later than the run's
 * last event, since the server sorts by milliseconds alone.
 * - `acked` moves when the server has said that it has the events, never before.
 * - What the server refuses is taken apart (ship-refused.c).
 * - A master that dies leaves a journal of the batch (ship-journal.c), so that the next
 * one can tell what was under way.
 * - A server with the "batch" extension drops a batch it has already, so an unanswered
 * one is sent again as it is. Any other stores log events anew each time: there an
 * unanswered batch is looked up first (ship-verify.c). */

#include "master/ship-internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "master/echo.h"
#include "master/link.h"
#include "master/log-budget.h"
#include "master/master.h"
#include "master/metrics.h"
#include "run/run-dir.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BATCH_BYTES (1 << 20)
#define BATCH_BYTES_MIN (64 << 10) /* one event */
#define BATCH_EVENTS 512
#define EVENT_BYTES 65536
#define EVENT_SPAN_MS 1000
#define RUN_BYTES                                                                      \
    (4 * EVENT_BYTES) /* of one run in one batch, so that none starves others */
/* The same of its spool, where short lines take more than they say. */
#define RUN_SPOOL_BYTES (SPOOL_HEAD_MIN - 2 * SPOOL_TEXT_MAX)

#define REFUSED_STEP (256 << 10) /* of lines that nobody takes */

#define READ_FAILURES_MAX 60
#define SETTLE_RUNS 64 /* in one turn of the loop: 3 ms */
/* Of waits.again, before a server that fails counts as away, and one that is silent. */
#define FAILING_FOR 5
#define SILENT_FOR 30

enum taken { TAKEN, TAKEN_IN_PART, TAKE_FAILED };

static void arm(struct ship *s, double after);
static void ship_schedule(struct ship *s, double after);

static char *run_dir_of(const struct run *run)
{
    return run_dir_dup(run->master->state_root, run->id);
}

/* ---- building ---- */

static struct part *batch_add(struct batch *b, const struct run *run, uint64_t begin)
{
    b->parts = xreallocarray(b->parts, b->count + 1, sizeof *b->parts);
    struct part *p = &b->parts[b->count++];
    memset(p, 0, sizeof *p);
    snprintf(p->task, sizeof p->task, "%s", run->id);
    p->begin = begin;
    return p;
}

static int64_t event_time(struct run *run, int64_t wall_ms)
{
    if (wall_ms <= run->ship.last_ms)
        wall_ms = run->ship.last_ms + 1;
    run->ship.last_ms = wall_ms;
    return wall_ms;
}

cJSON *ship_event_make(struct run *run, const char *text, int64_t ms)
{
    char worker[256];
    cJSON *e = cJSON_CreateObject();
    json_set_str(e, "type", "log");
    json_set_str(e, "level", "INFO");
    json_set_str(e, "task", run->id);
    json_set_str(e, "worker", run_worker(run, worker));
    json_set_str(e, "msg", text);
    json_set_int(e, "timestamp", ms);
    return e;
}

void ship_text_add(struct buf *text, const struct spool_entry *e)
{
    buf_add(text, e->text, e->text_len);
    if (e->text_len && e->text[e->text_len - 1] != '\n')
        buf_add_char(text, '\n');
}

struct pending {
    struct buf text;
    int64_t wall_ms;
    uint64_t begin, end;
};

static void pending_flush(struct batch *b, struct run *run, struct pending *p)
{
    if (!p->text.len)
        return;
    struct part *part = batch_add(b, run, p->begin);
    part->end = p->end;
    part->ms = event_time(run, p->wall_ms);
    part->sum = ship_sum(run, buf_str(&p->text));
    part->event = ship_event_make(run, buf_str(&p->text), part->ms);
    b->bytes += p->text.len;
    buf_clear(&p->text);
}

static void pending_take(struct batch *b, struct run *run, struct pending *p,
                         const struct spool_entry *e)
{
    if (p->text.len && (p->text.len + e->text_len + 1 > EVENT_BYTES ||
                        e->wall_ms - p->wall_ms > EVENT_SPAN_MS))
        pending_flush(b, run, p);
    if (!p->text.len) {
        p->begin = e->offset;
        p->wall_ms = e->wall_ms;
    }
    ship_text_add(&p->text, e);
    p->end = e->next;
}

/* No descriptor, no memory: it may be better soon, and nothing may be removed before
 * its lines were sent. Not for ever, though: a disk that does not give them back at all
 * must not keep the task from its end. */
static enum taken take_failed(struct run *run, const struct reeve_error *err)
{
    bool gone = err->code == ENOENT;
    if (!run->ship.failures)
        log_error("task=%s spool: %s", run->id, err->text);
    if (!gone && ++run->ship.failures < READ_FAILURES_MAX)
        return TAKE_FAILED;
    log_error("task=%s the rest of its log cannot be read and is given up", run->id);
    run->ship.refused = true;
    return TAKEN;
}

static bool reader_ready(struct run *run, struct reeve_error *err)
{
    if (run->ship.reader)
        return true;
    auto_free char *dir = run_dir_of(run);
    run->ship.reader = spool_reader_open(dir, run->ship.read, err);
    return run->ship.reader != NULL;
}

/* What was read and makes no event (exit records) is at the server with what stands
 * before it. */
static void batch_end_run(struct batch *b, struct run *run)
{
    struct part *last = b->count ? &b->parts[b->count - 1] : NULL;
    if (last && strcmp(last->task, run->id) == 0)
        last->end = run->ship.read;
    else
        run->ship.acked = run->ship.read;
}

/* Takes what the run's spool has, up to its share. */
static enum taken batch_take_run(struct batch *b, struct run *run)
{
    size_t stop_at = b->bytes + RUN_BYTES;
    uint64_t begin = run->ship.read;
    struct pending p = {.text = BUF_INIT};
    struct spool_entry e;
    struct reeve_error err;
    int rc = 0;
    bool more = false;
    if (!reader_ready(run, &err))
        return take_failed(run, &err);
    for (;;) {
        if (b->bytes + p.text.len >= stop_at || b->count >= BATCH_EVENTS ||
            b->bytes + p.text.len >= b->limit ||
            run->ship.read - begin >= RUN_SPOOL_BYTES) {
            more = true;
            break;
        }
        rc = spool_reader_next(run->ship.reader, &e, &err);
        if (rc <= 0)
            break;
        run->ship.read = e.next;
        metrics_log_dropped(run->master->metrics, e.gap.lines);
        if (e.type == SPOOL_OUTPUT || e.type == SPOOL_NOTE)
            pending_take(b, run, &p, &e);
    }
    pending_flush(b, run, &p);
    buf_free(&p.text);
    batch_end_run(b, run);
    if (rc < 0)
        return take_failed(run, &err);
    run->ship.failures = 0;
    return more ? TAKEN_IN_PART : TAKEN;
}

/* ---- the dirty list ---- */

static void dirty_add(struct ship *s, struct run *run)
{
    if (run->ship.dirty)
        return;
    run->ship.dirty = true;
    run->ship.next_dirty = NULL;
    *s->dirty_end = run;
    s->dirty_end = &run->ship.next_dirty;
}

static struct run *dirty_take(struct ship *s)
{
    struct run *run = s->dirty;
    if (!run)
        return NULL;
    s->dirty = run->ship.next_dirty;
    if (!s->dirty)
        s->dirty_end = &s->dirty;
    run->ship.dirty = false;
    return run;
}

static void dirty_remove(struct ship *s, struct run *run)
{
    if (!run->ship.dirty)
        return;
    struct run **p = &s->dirty;
    while (*p != run)
        p = &(*p)->ship.next_dirty;
    *p = run->ship.next_dirty;
    run->ship.dirty = false;
    s->dirty_end = &s->dirty;
    while (*s->dirty_end)
        s->dirty_end = &(*s->dirty_end)->ship.next_dirty;
}

/* What a terminal that stands still has not shown stays on the disk, but no more than
 * the log's budget. */
static uint64_t echo_needs(const struct run *run)
{
    const struct echo *echo = run->master->echo;
    uint64_t acked = run->ship.acked, at = echo ? echo_offset(echo, run) : acked;
    uint64_t budget = (uint64_t)log_budget_of(run);
    return budget && at < acked && acked - at > budget ? acked - budget : at;
}

static void write_ack(struct run *run)
{
    struct ship *s = run->master->ship;
    auto_free char *dir = run_dir_of(run);
    struct reeve_error err;
    int result =
        spool_ack_ms(dir, run->ship.acked, echo_needs(run), run->ship.last_ms, &err);
    ship_tell_write(&s->ack_failing, result, &err);
}

/* Nobody gets these lines but the terminal of `reeve execute`. */
static void ack_refused(struct run *run)
{
    const struct echo *echo = run->master->echo;
    uint64_t to = echo ? echo_offset(echo, run) : run->ship.end;
    if (to < run->ship.acked + REFUSED_STEP)
        return;
    run->ship.acked = to;
    write_ack(run);
}

/* Everything is at the server, or nothing more will be taken: says so, once the
 * sub-agent is gone and the spool grows no more. */
static void check_drained(struct run *run)
{
    struct echo *echo = run->master->echo;
    if (run->ship.refused)
        ack_refused(run);
    if (run->phase != PHASE_DRAINING || !run->agent_gone || run->ship.dirty)
        return;
    if (echo && !echo_pump(echo, run))
        return;
    if (run->ship.refused || run->ship.acked >= run->ship.read)
        run_drained(run);
}

/* ---- answers ---- */

void ship_ack(struct ship *s, struct part *part)
{
    struct run *run = runs_find(s->master->runs, part->task);
    cJSON_Delete(part->event);
    part->event = NULL;
    if (!run || part->end <= run->ship.acked || part->end > run->ship.read)
        return;
    run->ship.acked = part->end;
}

static void batch_free(struct batch *b)
{
    for (size_t i = 0; i < b->count; i++)
        cJSON_Delete(b->parts[i].event);
    free(b->parts);
    *b = (struct batch){.limit = b->limit};
}

void ship_tell_write(bool *failing, int result, const struct reeve_error *err)
{
    if (result < 0 && !*failing)
        log_error("%s; log lines go on to the server", err->text);
    else if (result == 0 && *failing)
        log_info("what was sent can be recorded again");
    *failing = result < 0;
}

/* The names of an earlier master's batches are known to the server; what a record that
 * got lost does not say of them must not be said to be there already. */
static void end_recovery(struct ship *s)
{
    s->recovered = false;
    id_new(s->epoch);
}

/* True if the part was its run's last: `acked` was written, the run perhaps is done. */
static bool settle_part(struct ship *s, size_t i)
{
    struct part *p = &s->batch.parts[i];
    struct run *run = runs_find(s->master->runs, p->task);
    bool last = i + 1 == s->batch.count || strcmp(p[1].task, p->task) != 0;
    if (!run || !last)
        return false;
    write_ack(run);
    check_drained(run);
    return true;
}

static void settle_some(struct ship *s)
{
    int runs = 0;
    while (s->settled < s->batch.count && runs < SETTLE_RUNS)
        runs += settle_part(s, s->settled++);
    if (s->settled < s->batch.count) {
        arm(s, 0.0);
        return;
    }
    s->settling = false;
    batch_free(&s->batch);
    ship_schedule(s, s->more ? 0.0 : (double)s->master->waits.flush_ms / 1000.0);
}

/* All of it is at the server. A batch may be of hundreds of runs, each of which has a
 * file: the loop has its turns between them, the next batch waits for the last. */
static void batch_settle(struct ship *s)
{
    if (s->recovered)
        end_recovery(s);
    s->settled = 0;
    s->settling = true;
    settle_some(s);
}

void ship_refuse_run(struct ship *s, const char *task, const char *why)
{
    struct run *run = runs_find(s->master->runs, task);
    if (!run || run->ship.refused)
        return;
    log_warn("task=%s the server takes no more log lines: %s", task, why);
    run->ship.refused = true;
    dirty_remove(s, run);
    check_drained(run);
}

static void window_next(struct ship *s)
{
    s->tries = 0;
    s->first += s->sent;
    s->window *= 2; /* one bad event is no reason to send all the others alone */
    if (s->first >= s->batch.count) {
        s->first = s->sent = 0;
        s->window = 0;
        batch_settle(s);
        return;
    }
    ship_send(s);
}

static void window_ack(struct ship *s)
{
    for (size_t i = s->first; i < s->first + s->sent; i++)
        ship_ack(s, &s->batch.parts[i]);
}

static void tell_away(struct ship *s, bool away)
{
    if (s->away == away)
        return;
    s->away = away;
    for (struct run *run = runs_first(s->master->runs); run; run = run->list_next)
        link_log(run, -1);
}

static void ship_patience_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    tell_away(w->data, true);
}

static void wait_for_answer(struct ship *s, int64_t patience)
{
    ev_timer_stop(s->master->loop, &s->patience);
    ev_timer_set(&s->patience, (double)(patience * s->master->waits.again_ms) / 1000.0,
                 0.0);
    ev_timer_start(s->master->loop, &s->patience);
}

void ship_await_answer(struct ship *s)
{
    if (!s->failing && !s->away)
        wait_for_answer(s, SILENT_FOR);
}

static void has_failed(struct ship *s)
{
    if (!s->failing && !s->away)
        wait_for_answer(s, FAILING_FOR);
    s->failing = true;
}

static void has_taken(struct ship *s)
{
    ev_timer_stop(s->master->loop, &s->patience);
    s->failing = false;
    tell_away(s, false);
}

void ship_window_done(struct ship *s)
{
    has_taken(s);
    window_ack(s);
    window_next(s);
}

void ship_window_halve(struct ship *s)
{
    s->tries = 0;
    s->window = s->sent / 2;
    ship_send(s);
}

static void ship_retry_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct ship *s = w->data;
    if (s->unsure)
        ship_verify(s);
    else
        ship_send(s);
}

static void arm_retry(struct ship *s, int64_t wait_ms)
{
    ev_now_update(s->master->loop);
    ev_timer_stop(s->master->loop, &s->retry);
    ev_timer_set(&s->retry, (double)wait_ms / 1000.0, 0.0);
    ev_timer_start(s->master->loop, &s->retry);
}

void ship_retry_later(struct ship *s)
{
    int64_t wait = s->backoff_ms ? s->backoff_ms : 200;
    s->backoff_ms = wait * 2 > 30000 ? 30000 : wait * 2;
    has_failed(s);
    arm_retry(s, wait);
}

void ship_look_later(struct ship *s, int64_t wait_ms)
{
    s->unsure = s->partial = true;
    arm_retry(s, wait_ms);
}

static void on_reply(void *arg, const struct api_reply *r)
{
    struct ship *s = arg;
    s->call = NULL;
    switch (r->result) {
    case API_OK:
        if (json_int(r->data, "added", (int64_t)s->live) < (int64_t)s->live) {
            ship_took_part(s, r);
            return;
        }
        s->backoff_ms = 0;
        ship_window_done(s);
        return;
    case API_REFUSED:
        /* Anything else (a rejected login, a limit on calls) says not a thing of the
         * lines. */
        if (r->code == 400 || r->code == 413)
            ship_refused(s, r);
        else
            ship_retry_later(s);
        return;
    case API_UNSURE:
        if (!api_has_extension(s->master->api, "batch")) {
            s->unsure = true;
            ship_verify(s);
            return;
        }
        ship_retry_later(s);
        return;
    case API_NOT_SENT:
        ship_retry_later(s);
        return;
    }
}

void ship_verified(struct ship *s)
{
    bool all = true, partial = s->partial;
    s->unsure = s->partial = false;
    for (size_t i = s->first; i < s->first + s->sent; i++)
        all = all && !s->batch.parts[i].event;
    if (all)
        ship_window_done(s);
    else if (partial && s->sent > 1)
        ship_window_halve(s); /* one of those that are left is a bad one */
    else
        ship_retry_later(s);
}

/* The name is the same for the same events: those of the same window of the same batch
 * that the server has not. */
void ship_send(struct ship *s)
{
    size_t left = s->batch.count - s->first;
    s->sent = s->window && s->window < left ? s->window : left;
    cJSON *lines = cJSON_CreateArray();
    for (size_t i = s->first; i < s->first + s->sent; i++)
        if (s->batch.parts[i].event)
            cJSON_AddItemToArray(lines, cJSON_Duplicate(s->batch.parts[i].event, true));
    s->live = (size_t)cJSON_GetArraySize(lines);
    if (!s->live) {
        cJSON_Delete(lines);
        window_next(s);
        return;
    }
    snprintf(s->header, sizeof s->header, "x-reeve-batch: %s/%" PRIu64 ".%zu.%zu.%zu",
             s->epoch, s->number, s->first, s->sent, s->live);
    struct api_options options = {.json_lines = true, .timeout_ms = 60000};
    if (api_has_extension(s->master->api, "batch"))
        options.headers[0] = s->header;
    ship_await_answer(s);
    s->call = api_send(s->master->api, NULL, "events.add_batch", lines, &options,
                       on_reply, s);
}

static void ship_flush(struct ship *s)
{
    if (s->batch.count)
        return;
    struct run *again = NULL, *run;
    bool failed = false;
    while ((run = dirty_take(s))) {
        if (run->ship.refused)
            continue;
        enum taken taken = batch_take_run(&s->batch, run);
        if (taken == TAKEN) {
            check_drained(run);
        } else {
            failed = failed || taken == TAKE_FAILED;
            run->ship.next_dirty = again;
            again = run;
        }
        if (s->batch.count >= BATCH_EVENTS || s->batch.bytes >= s->batch.limit)
            break;
    }
    while ((run = again)) {
        again = run->ship.next_dirty;
        dirty_add(s, run);
    }
    s->more = s->dirty != NULL && !failed;
    if (!s->batch.count) {
        ship_schedule(s, (double)s->master->waits.again_ms / 1000.0);
        return;
    }
    s->number++;
    s->first = s->window = 0;
    ship_journal_write(s);
    ship_send(s);
}

static void ship_timer_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct ship *s = w->data;
    if (s->settling)
        settle_some(s);
    else
        ship_flush(s);
}

static void arm(struct ship *s, double after)
{
    ev_now_update(s->master->loop);
    ev_timer_set(&s->timer, after, 0.0);
    ev_timer_start(s->master->loop, &s->timer);
}

static void ship_schedule(struct ship *s, double after)
{
    if (!s->batch.count && s->dirty && !ev_is_active(&s->timer))
        arm(s, after);
}

/* ---- interface ---- */

static size_t batch_limit(const struct config *c)
{
    int64_t bytes = config_int(c, "api.http.max_req_size", BATCH_BYTES);
    if (bytes > BATCH_BYTES)
        return BATCH_BYTES;
    return bytes < BATCH_BYTES_MIN ? BATCH_BYTES_MIN : (size_t)bytes;
}

struct ship *ship_create(struct master *m)
{
    struct ship *s = xcalloc(1, sizeof *s);
    s->master = m;
    s->dirty_end = &s->dirty;
    s->batch.limit = batch_limit(m->config);
    id_new(s->epoch);
    ship_journal_open(s);
    ev_init(&s->timer, ship_timer_cb);
    ev_init(&s->retry, ship_retry_cb);
    ev_init(&s->patience, ship_patience_cb);
    s->timer.data = s->retry.data = s->patience.data = s;
    return s;
}

void ship_destroy(struct ship *s)
{
    if (!s)
        return;
    ev_timer_stop(s->master->loop, &s->timer);
    ev_timer_stop(s->master->loop, &s->retry);
    ev_timer_stop(s->master->loop, &s->patience);
    if (s->call)
        api_cancel(s->call);
    batch_free(&s->batch);
    if (s->journal >= 0)
        close(s->journal);
    free(s);
}

void ship_recover(struct ship *s)
{
    if (!ship_journal_read(s)) {
        batch_free(&s->batch);
        return;
    }
    s->first = s->window = 0;
    s->sent = s->batch.count;
    s->unsure = s->recovered = true;
    ship_verify(s);
}

void ship_hurry(struct ship *s)
{
    if (!ev_is_active(&s->retry) || s->partial)
        return;
    s->backoff_ms = 0;
    ship_retry_later(s);
}

void ship_wake(struct run *run)
{
    struct ship *s = run->master->ship;
    struct echo *echo = run->master->echo;
    run->ship.refused = run->ship.refused || run->master->options->unmonitored;
    /* Where it does not get through, it wakes the run when it does. */
    if (echo)
        echo_pump(echo, run);
    if (run->ship.refused) {
        check_drained(run);
        return;
    }
    dirty_add(s, run);
    ship_schedule(s, 0.0);
}

void ship_rest(struct run *run)
{
    if (run->ship.dirty || run->ship.acked < run->ship.read)
        return;
    spool_reader_close(run->ship.reader);
    run->ship.reader = NULL;
}

void ship_forget(struct run *run)
{
    struct ship *s = run->master->ship;
    dirty_remove(s, run);
    if (run->master->echo)
        echo_forget(run->master->echo, run);
    /* Its id may come back with another run, whose spool begins anew. */
    for (size_t i = 0; i < s->batch.count; i++) {
        struct part *p = &s->batch.parts[i];
        if (strcmp(p->task, run->id) != 0)
            continue;
        cJSON_Delete(p->event);
        p->event = NULL;
        p->task[0] = '\0';
    }
    spool_reader_close(run->ship.reader);
    run->ship.reader = NULL;
}

void ship_spooled(struct run *run, uint64_t end, bool gaps)
{
    run->ship.end = end;
    run->ship.gaps = gaps;
    ship_wake(run);
}

bool ship_away(const struct ship *s)
{
    return s->away;
}

void ship_reserve(struct run *run)
{
    auto_free char *dir = run_dir_of(run);
    struct reeve_error err;
    if (spool_ack_reserve(dir, &err) < 0)
        log_error("task=%s %s", run->id, err.text);
}

/* The disk is asked only where the stream has gaps, and when something has changed. */
int64_t ship_held(struct run *run)
{
    uint64_t acked = run->ship.acked;
    if (run->ship.end < run->ship.read)
        run->ship.end = run->ship.read;
    if (run->ship.end <= acked)
        return 0;
    if (!run->ship.gaps)
        return (int64_t)(run->ship.end - acked);
    if (run->ship.held_end != run->ship.end || run->ship.held_acked != acked) {
        auto_free char *dir = run_dir_of(run);
        run->ship.held = spool_held(dir);
        run->ship.held_end = run->ship.end;
        run->ship.held_acked = acked;
    }
    return (int64_t)run->ship.held;
}

int64_t ship_pending_bytes(const struct ship *s)
{
    int64_t bytes = 0;
    for (struct run *run = runs_first(s->master->runs); run; run = run->list_next)
        bytes += ship_held(run);
    return bytes;
}
