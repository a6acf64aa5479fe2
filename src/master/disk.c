/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/disk.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/dir-usage.h"
#include "base/log.h"
#include "config/size.h"
#include "master/master.h"
#include "master/run.h"
#include "run/run-dir.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* The thread is busy with a run for a twentieth of the time at most. */
#define REST_FACTOR 20

struct disk {
    struct master *master;
    struct syncer *thread; /* NULL before the first is measured */
    atomic_bool stop;
    struct measurement *pending, **pending_end;
};

struct measurement {
    struct disk *disk;
    char task[TASK_ID_SIZE];
    uint32_t attempt;
    char *work, *tmp;
    int64_t limit, bytes, took_ms;
    struct measurement *next;
};

char *disk_tmp_dup(const struct run *run)
{
    return run->policy.disk == LIMIT_NONE
               ? NULL
               : run_file_dup(run->master->state_root, run->id, "tmp");
}

/* The first one: they end in their order. */
static void forget(struct measurement *x)
{
    x->disk->pending = x->next;
    if (!x->next)
        x->disk->pending_end = &x->disk->pending;
    free(x->work);
    free(x->tmp);
    free(x);
}

static int measure(void *arg, struct reeve_error *err)
{
    struct measurement *x = arg;
    int64_t begun = clock_boot_ms();
    const char *folders[] = {x->work, x->tmp, NULL};
    int rc = dir_usage(folders, x->limit, &x->disk->stop, &x->bytes, err);
    x->took_ms = clock_boot_ms() - begun;
    return rc;
}

static void end_run(struct run *run, const struct reeve_error *hidden)
{
    char used[SIZE_TEXT_SIZE], limit[SIZE_TEXT_SIZE];
    run->over_disk = hidden ? DISK_HIDDEN : run->disk_bytes;
    run->stop_grace_ms = run->policy.grace_ms;
    size_format(run->disk_bytes, used);
    size_format(run->policy.disk, limit);
    if (hidden)
        run_note(run,
                 "reeve: it has a quota of the disk of %s, and what its folder "
                 "takes cannot be counted: stopped (%s)",
                 limit, hidden->text);
    else
        run_note(run,
                 "reeve: its folder has %s, and its quota of the disk is %s: stopped",
                 used, limit);
    log_info("task=%s its folder has %s of %s%s: stopped", run->id, used, limit,
             hidden ? ", and more that cannot be counted" : "");
    run_post(run, RUN_EVENT_STOP);
}

static bool runs_now(const struct run *run)
{
    return run->phase == PHASE_PREPARING || run->phase == PHASE_RUNNING;
}

static void on_measured(void *arg, const struct reeve_error *err)
{
    struct measurement *x = arg;
    struct run *run = runs_find(x->disk->master->runs, x->task);
    if (run)
        run->disk_under_way = false;
    if (run && run->attempt == x->attempt && runs_now(run)) {
        bool hidden = err && err->code == ELOOP;
        if (err)
            log_warn("task=%s %s", run->id, err->text);
        int64_t rest = x->took_ms * REST_FACTOR;
        int64_t least = run->master->waits.disk_ms;
        run->disk_next_ms = clock_boot_ms() + (rest > least ? rest : least);
        run->disk_bytes = x->bytes;
        /* The limit may be another since. */
        if (run->policy.disk != LIMIT_NONE && (hidden || x->bytes > run->policy.disk))
            end_run(run, x->bytes > run->policy.disk ? NULL : err);
    }
    forget(x);
}

static void begin(struct disk *d, struct run *run)
{
    struct reeve_error err;
    if (!d->thread && !(d->thread = syncer_create(d->master->loop, &err))) {
        run->disk_next_ms = clock_boot_ms() + d->master->waits.disk_ms;
        log_warn("task=%s its folder is not measured: %s", run->id, err.text);
        return;
    }
    struct measurement *x = xcalloc(1, sizeof *x);
    run->disk_under_way = true;
    x->disk = d;
    snprintf(x->task, sizeof x->task, "%s", run->id);
    x->attempt = run->attempt;
    x->work = run_file_dup(d->master->state_root, run->id, "work");
    x->tmp = disk_tmp_dup(run);
    x->limit = run->policy.disk;
    *d->pending_end = x;
    d->pending_end = &x->next;
    syncer_call(d->thread, measure, on_measured, x);
}

void disk_tick(struct disk *d)
{
    int64_t now = clock_boot_ms();
    for (struct run *run = runs_first(d->master->runs); run; run = run->list_next)
        if (run->policy.disk != LIMIT_NONE && runs_now(run) && !run->over_disk &&
            now >= run->disk_next_ms && !run->disk_under_way)
            begin(d, run);
}

struct disk *disk_create(struct master *m)
{
    struct disk *d = xcalloc(1, sizeof *d);
    d->master = m;
    d->pending_end = &d->pending;
    return d;
}

void disk_destroy(struct disk *d)
{
    if (!d)
        return;
    atomic_store(&d->stop, true);
    syncer_destroy_within(d->thread, 0);
    while (d->pending)
        forget(d->pending);
    free(d);
}
