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

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* The thread is busy with a run for a twentieth of the time at most. */
#define REST_FACTOR 20

struct disk {
    struct master *master;
    atomic_bool stop;
    struct measurement *pending;
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

static void forget(struct measurement *x)
{
    struct measurement **p = &x->disk->pending;
    while (*p != x)
        p = &(*p)->next;
    *p = x->next;
    free(x->work);
    free(x->tmp);
    free(x);
}

static int measure(void *arg, struct reeve_error *err)
{
    struct measurement *x = arg;
    int64_t begun = clock_boot_ms();
    int rc = dir_usage(x->work, x->limit, &x->disk->stop, &x->bytes, err);
    if (rc == 0 && x->bytes <= x->limit)
        rc = dir_usage(x->tmp, x->limit, &x->disk->stop, &x->bytes, err);
    x->took_ms = clock_boot_ms() - begun;
    return rc;
}

static void end_run(struct run *run)
{
    char used[SIZE_TEXT_SIZE], limit[SIZE_TEXT_SIZE];
    run->over_disk = run->disk_bytes;
    run->stop_grace_ms = run->policy.grace_ms;
    run_note(run, "reeve: its folder has %s, and its quota of the disk is %s: stopped",
             size_format(run->disk_bytes, used), size_format(run->policy.disk, limit));
    log_info("task=%s its folder has %s of %s: stopped", run->id, used, limit);
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
    if (run && run->attempt == x->attempt && runs_now(run)) {
        if (err)
            log_warn("task=%s %s", run->id, err->text);
        int64_t rest = x->took_ms * REST_FACTOR;
        int64_t least = run->master->waits.disk_ms;
        run->disk_next_ms = clock_boot_ms() + (rest > least ? rest : least);
        run->disk_bytes = x->bytes;
        /* The limit may be another since. */
        if (run->policy.disk != LIMIT_NONE && x->bytes > run->policy.disk)
            end_run(run);
    }
    forget(x);
}

static bool under_way(const struct disk *d, const struct run *run)
{
    for (const struct measurement *x = d->pending; x; x = x->next)
        if (strcmp(x->task, run->id) == 0)
            return true;
    return false;
}

static void begin(struct disk *d, const struct run *run)
{
    struct measurement *x = xcalloc(1, sizeof *x);
    x->disk = d;
    snprintf(x->task, sizeof x->task, "%s", run->id);
    x->attempt = run->attempt;
    x->work = run_file_dup(d->master->state_root, run->id, "work");
    x->tmp = disk_tmp_dup(run);
    x->limit = run->policy.disk;
    x->next = d->pending;
    d->pending = x;
    syncer_call(d->master->sweeper, measure, on_measured, x);
}

void disk_tick(struct disk *d)
{
    int64_t now = clock_boot_ms();
    for (struct run *run = runs_first(d->master->runs); run; run = run->list_next)
        if (run->policy.disk != LIMIT_NONE && runs_now(run) && !run->over_disk &&
            now >= run->disk_next_ms && !under_way(d, run))
            begin(d, run);
}

struct disk *disk_create(struct master *m)
{
    struct disk *d = xcalloc(1, sizeof *d);
    d->master = m;
    return d;
}

void disk_stop(struct disk *d)
{
    if (d)
        atomic_store(&d->stop, true);
}

void disk_destroy(struct disk *d)
{
    while (d && d->pending)
        forget(d->pending);
    free(d);
}
