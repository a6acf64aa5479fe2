/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* One timer for all of them, of a second, or of the shortest of their waits: with
 * thousands of runs a timer for each would cost more than a look at all. */

#include "master/tick.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "master/disk.h"
#include "master/master.h"
#include "master/reassert.h"
#include "master/report.h"

#include <stdlib.h>

#define SECOND_MS 1000

struct tick {
    struct master *master;
    ev_timer timer;
    int64_t figures_ms; /* boot clock: the host's are due */
};

static int64_t shortest(const struct waits *w)
{
    const int64_t all[] = {w->report_ms, w->alive_ms, w->reassert_ms, w->disk_ms};
    int64_t ms = SECOND_MS;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        ms = all[i] < ms ? all[i] : ms;
    return ms;
}

/* Each at a time of its own within the interval: thousands are adopted at once. */
static void check_agents(struct master *m, int64_t now)
{
    int64_t wait = m->waits.alive_ms;
    for (struct run *run = runs_first(m->runs); run; run = run->list_next) {
        if (now < run->alive_due_ms)
            continue;
        if (run->alive_due_ms)
            run_check_agent(run);
        run->alive_due_ms = now + (run->alive_due_ms ? wait : 1 + random() % wait);
    }
}

static void tick_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct tick *t = w->data;
    struct master *m = t->master;
    int64_t now = clock_boot_ms();
    if (now >= t->figures_ms) {
        hoststat_sample(m->hoststat);
        /* The timer may be a little early. */
        t->figures_ms = now + SECOND_MS / 2;
    }
    reassert_tick(m->reassert);
    disk_tick(m->disk);
    check_agents(m, now);
    report_tick(m->report);
}

struct tick *tick_create(struct master *m)
{
    struct tick *t = xcalloc(1, sizeof *t);
    double interval = (double)shortest(&m->waits) / 1000.0;
    t->master = m;
    ev_timer_init(&t->timer, tick_cb, interval, interval);
    t->timer.data = t;
    ev_timer_start(m->loop, &t->timer);
    return t;
}

void tick_destroy(struct tick *t)
{
    if (!t)
        return;
    ev_timer_stop(t->master->loop, &t->timer);
    free(t);
}
