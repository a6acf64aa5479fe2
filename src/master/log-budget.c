/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/log-budget.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "config/size.h"
#include "master/link.h"
#include "master/master.h"
#include "master/run.h"
#include "master/ship.h"
#include "run/run-dir.h"

#include <ev.h>
#include <stdio.h>
#include <string.h>

#define TOTAL (INT64_C(8) << 30)
/* Of the wait after which what failed is tried again: a second. */
#define TICKS 5

struct log_budget {
    struct master *master;
    int64_t total; /* 0: no bound */
    bool wait;
    int64_t level; /* that runs are held to; INT64_MAX: none */
    ev_timer timer;
    struct shrink *shrinking;
};

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

int64_t log_budget_level(int64_t *sizes, size_t count, int64_t total)
{
    int64_t below = 0;
    qsort(sizes, count, sizeof *sizes, by_size);
    for (size_t i = 0; i < count; i++) {
        int64_t each = (total - below) / (int64_t)(count - i);
        if (sizes[i] > each)
            return each;
        below += sizes[i];
    }
    return INT64_MAX;
}

int64_t log_budget_of(const struct run *run)
{
    int64_t own = run->policy.log_budget, level = run->ship.level;
    return level && (!own || level < own) ? level : own;
}

bool log_budget_waits(const struct run *run)
{
    return run->master->log_budget->wait;
}

cJSON *log_budget_to_json(struct run *run)
{
    cJSON *log = cJSON_CreateObject();
    int64_t budget = log_budget_of(run);
    json_set_int(log, "spool_bytes", ship_held(run));
    if (budget)
        json_set_int(log, "budget", budget);
    else
        json_set(log, "budget", cJSON_CreateNull());
    auto_free char *dir = run_dir_dup(run->master->state_root, run->id);
    json_set_str(log, "path", dir);
    json_set_str(log, "when_full", log_budget_waits(run) ? "wait" : "drop");
    return log;
}

/* ---- of a run that has ended: nobody else writes any more ---- */

/* One at a time, by the thread that may wait for the disk. */
struct shrink {
    struct log_budget *owner;
    char task[TASK_ID_SIZE];
    char *dir;
    uint64_t budget;
};

static void shrink_free(struct shrink *x)
{
    if (x) {
        x->owner->shrinking = NULL;
        free(x->dir);
        free(x);
    }
}

static int shrink(void *arg, struct reeve_error *err)
{
    const struct shrink *x = arg;
    uint64_t ignored;
    auto_close lock = run_lock(x->dir, err);
    struct spool_writer *w = lock < 0 ? NULL : spool_writer_open(x->dir, &ignored, err);
    if (!w)
        return -1;
    spool_writer_limit(w, x->budget, SPOOL_FULL_DROP);
    spool_writer_shrink(w);
    spool_writer_close(w);
    return 0;
}

static void on_shrunk(void *arg, const struct reeve_error *err)
{
    struct shrink *x = arg;
    struct run *run = runs_find(x->owner->master->runs, x->task);
    if (run && err)
        log_warn("task=%s %s", run->id, err->text);
    if (run) {
        run->ship.gaps = true;
        run->ship.held_end = 0;
    }
    shrink_free(x);
}

static void shrink_ended(struct log_budget *b, const struct run *run)
{
    if (b->shrinking)
        return;
    struct shrink *x = b->shrinking = xcalloc(1, sizeof *x);
    x->owner = b;
    snprintf(x->task, sizeof x->task, "%s", run->id);
    x->dir = run_dir_dup(run->master->state_root, run->id);
    x->budget = (uint64_t)log_budget_of(run);
    syncer_call(b->master->sweeper, shrink, on_shrunk, x);
}

/* Holds the runs that have more to the level, and lets the others go. */
static void apply(struct log_budget *b)
{
    bool drop = !b->wait && ship_away(b->master->ship);
    for (struct run *run = runs_first(b->master->runs); run; run = run->list_next) {
        bool above = b->level != INT64_MAX && ship_held(run) > b->level;
        if (b->level == INT64_MAX ? !run->ship.level : !above)
            continue;
        run->ship.level = b->level == INT64_MAX ? 0 : b->level;
        if (run->peer)
            link_log(run, -1);
        else if (above && drop && run->phase == PHASE_DRAINING && run->agent_gone)
            shrink_ended(b, run);
    }
}

static void tick(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct log_budget *b = w->data;
    auto_free int64_t *sizes = xcalloc(runs_count(b->master->runs) + 1, sizeof *sizes);
    size_t count = 0;
    int64_t sum = 0;
    for (struct run *run = runs_first(b->master->runs); run; run = run->list_next)
        sum += sizes[count++] = ship_held(run);
    bool was = b->level != INT64_MAX;
    /* Not to and fro at the bound. */
    if (sum <= b->total && !(was && sum > b->total / 4 * 3))
        b->level = INT64_MAX;
    else if (sum > b->total)
        b->level = log_budget_level(sizes, count, b->total);
    if (b->level < SPOOL_BUDGET_MIN)
        b->level = SPOOL_BUDGET_MIN;
    bool is = b->level != INT64_MAX;
    char text[SIZE_TEXT_SIZE];
    if (is && !was)
        log_warn("the logs that the server does not have yet take more than "
                 "agent.reeve.log.budget, %s: the largest are held to less",
                 size_format(b->total, text));
    if (is || was)
        apply(b);
    ev_timer_again(loop, w);
}

static int read_settings(struct log_budget *b, const struct config *c,
                         struct reeve_error *err)
{
    const char *full = config_str(c, "agent.reeve.log.when_full", "drop");
    b->total = TOTAL;
    if (config_read_size(c, "agent.reeve.log.budget", &b->total, err) < 0)
        return -1;
    b->wait = strcmp(full, "wait") == 0;
    if (!b->wait && strcmp(full, "drop") != 0)
        return reeve_error_set(
            err, 0,
            "agent.reeve.log.when_full: \"%.40s\" is neither drop nor "
            "wait",
            full);
    return 0;
}

int log_budget_check(const struct config *config, struct reeve_error *err)
{
    struct log_budget b;
    return read_settings(&b, config, err);
}

struct log_budget *log_budget_create(struct master *m, struct reeve_error *err)
{
    struct log_budget *b = xcalloc(1, sizeof *b);
    b->master = m;
    b->level = INT64_MAX;
    if (read_settings(b, m->config, err) < 0) {
        free(b);
        return NULL;
    }
    ev_init(&b->timer, tick);
    b->timer.data = b;
    b->timer.repeat = (double)(TICKS * m->waits.again_ms) / 1000.0;
    if (b->total)
        ev_timer_again(m->loop, &b->timer);
    return b;
}

void log_budget_destroy(struct log_budget *b)
{
    if (!b)
        return;
    ev_timer_stop(b->master->loop, &b->timer);
    shrink_free(b->shrinking);
    free(b);
}
