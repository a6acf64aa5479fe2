/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* - The deadline is one of CLOCK_BOOTTIME, so that a wall clock that jumps moves it
 * not; after a restart of the host the wall clock's takes its place.
 * - A run that waits for its next attempt is not finished: its restarts go on until the
 * deadline.
 * - A claim that was under way becomes a run after the deadline, too: stop-order.c
 * tells it as well.
 * - The file is renamed into place and not synced, as `state` is: an order that the
 * power took with it is given again. */

#include "master/drain.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "master/master.h"
#include "master/pull.h"
#include "master/report.h"
#include "master/stop-order.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DRAIN_VERSION 1
#define FILE_MAX 4096

struct drain {
    struct master *master;
    bool active;
    int64_t since_ms;         /* wall clock */
    int64_t deadline_ms;      /* wall clock; 0: none */
    int64_t deadline_boot_ms; /* what counts on this boot */
    bool put_back;
    ev_timer timer;
};

static char *path_dup(const struct drain *d)
{
    return path_join_dup(d->master->state_root, "drain");
}

/* With its own grace: the bound of all is the longest one, after controllers' time. */
static bool tell(struct run *run, bool first)
{
    bool put_back = run->master->drain->put_back;
    if (run->stop == STOP_NONE || run->stop == STOP_RESTART)
        run_stop(run, put_back ? STOP_PUT_BACK : STOP_DRAIN, -1,
                 "the deadline of reeve drain is over");
    return true;
}

/* Not over the order that the end of the master has given. */
static void stop_all(struct master *m, bool begin)
{
    if (m->exiting)
        return;
    stop_order_end(m->stop_order);
    m->stop_order = begin ? stop_order_begin(m, m->waits.stop_ms / 2, tell) : NULL;
}

static void arm(struct drain *d)
{
    struct ev_loop *loop = d->master->loop;
    ev_timer_stop(loop, &d->timer);
    stop_all(d->master, false);
    if (!d->active || !d->deadline_ms)
        return;
    int64_t wait = d->deadline_boot_ms - clock_boot_ms();
    ev_now_update(loop);
    ev_timer_set(&d->timer, wait > 0 ? (double)wait / 1000.0 : 0.0, 0.0);
    ev_timer_start(loop, &d->timer);
}

static void deadline_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct drain *d = w->data;
    stop_all(d->master, true);
}

static int save(const struct drain *d, struct reeve_error *err)
{
    auto_json *json = cJSON_CreateObject();
    auto_free char *path = path_dup(d);
    json_set_int(json, "version", DRAIN_VERSION);
    json_set_int(json, "since", d->since_ms);
    json_set_int(json, "deadline", d->deadline_ms);
    json_set_int(json, "deadline_boot", d->deadline_boot_ms);
    json_set_bool(json, "put_back", d->put_back);
    json_set_str(json, "boot", d->master->boot);
    auto_free char *text = json_format(json);
    return file_replace(path, text, strlen(text), 0600, false, err);
}

int drain_begin(struct drain *d, int64_t after_ms, bool put_back,
                struct reeve_error *err)
{
    struct drain before = *d;
    bool limited = after_ms >= 0;
    if (!d->active)
        d->since_ms = clock_wall_ms();
    d->put_back = put_back;
    d->deadline_ms = limited ? clock_wall_ms() + after_ms : 0;
    d->deadline_boot_ms = limited ? clock_boot_ms() + after_ms : 0;
    if (save(d, err) < 0) {
        d->since_ms = before.since_ms;
        d->deadline_ms = before.deadline_ms;
        d->deadline_boot_ms = before.deadline_boot_ms;
        d->put_back = before.put_back;
        return -1;
    }
    d->active = true;
    char text[CLOCK_ISO_SIZE];
    log_info("draining: no more tasks are taken%s%s",
             limited ? "; what runs is stopped at " : "",
             limited ? clock_iso(d->deadline_ms, text) : "");
    arm(d);
    report_master_changed(d->master->report);
    return 0;
}

int drain_end(struct drain *d, struct reeve_error *err)
{
    auto_free char *path = path_dup(d);
    if (unlink(path) < 0 && errno != ENOENT)
        return reeve_error_set(err, errno, "remove %s", path);
    if (!d->active)
        return 0;
    d->active = false;
    d->deadline_ms = 0;
    log_info("draining is over: tasks are taken");
    arm(d);
    report_master_changed(d->master->report);
    pull_wake(d->master->pull);
    return 0;
}

bool drain_active(const struct drain *d)
{
    return d->active;
}

cJSON *drain_to_json(const struct drain *d)
{
    struct master *m = d->master;
    if (!d->active)
        return cJSON_CreateNull();
    unsigned left = pull_claims(m->pull);
    for (struct run *run = runs_first(m->runs); run; run = run->list_next)
        left += run->phase != PHASE_GONE;
    cJSON *json = cJSON_CreateObject();
    json_set_time(json, "since", d->since_ms);
    json_set_time(json, "deadline", d->deadline_ms);
    json_set_bool(json, "put_back", d->put_back);
    json_set_int(json, "left", left);
    return json;
}

/* What cannot be read is an order all the same: the file is there. */
static void load(struct drain *d)
{
    auto_free char *path = path_dup(d);
    auto_buf text = BUF_INIT;
    auto_json *json = NULL;
    struct reeve_error err = {0};
    if (access(path, F_OK) < 0)
        return;
    if (file_read(path, &text, FILE_MAX, &err) == 0)
        json = json_parse(buf_str(&text), text.len, &err);
    if (!json)
        log_error("%s cannot be read: no more tasks are taken until `reeve undrain`: "
                  "%s",
                  path, err.text);
    d->active = true;
    d->since_ms = json_int(json, "since", clock_wall_ms());
    d->deadline_ms = json_int(json, "deadline", 0);
    d->deadline_boot_ms = json_int(json, "deadline_boot", 0);
    d->put_back = json_bool(json, "put_back", false);
    if (strcmp(json_str(json, "boot", ""), d->master->boot) != 0)
        d->deadline_boot_ms = clock_boot_ms() + d->deadline_ms - clock_wall_ms();
    if (json)
        log_info("an earlier master was told to drain: no tasks are taken");
}

struct drain *drain_create(struct master *m)
{
    struct drain *d = xcalloc(1, sizeof *d);
    d->master = m;
    ev_init(&d->timer, deadline_cb);
    d->timer.data = d;
    load(d);
    arm(d);
    return d;
}

void drain_destroy(struct drain *d)
{
    if (!d)
        return;
    ev_timer_stop(d->master->loop, &d->timer);
    free(d);
}
