/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/outage.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/size.h"
#include "master/master.h"

#include <stdio.h>
#include <stdlib.h>

enum { QUIET_MS = 60000 };

struct outage {
    struct master *master;
    ev_timer timer;  /* tells one that began too soon after the last line */
    int64_t told_ms; /* clock_boot_ms of the last line; 0: none yet */
    bool telling;    /* the one under way was told */
    unsigned untold; /* were over before they were told */
};

static void tell_begin(struct outage *o)
{
    struct master *m = o->master;
    char missed[64] = "";
    if (o->untold)
        snprintf(missed, sizeof missed, " (%u short interruptions before)", o->untold);
    log_warn("the server %s cannot be used: %s; runs go on, log lines wait on disk%s",
             api_shown(m->api), api_outage_why(m->api), missed);
    o->untold = 0;
    o->telling = true;
    o->told_ms = clock_boot_ms();
}

static void tell_end(struct outage *o)
{
    char age[DURATION_TEXT_SIZE];
    struct master *m = o->master;
    log_info("the server %s answers again, after %s", api_shown(m->api),
             duration_format(api_outage_age_ms(m->api), age));
    o->telling = false;
    o->told_ms = clock_boot_ms();
}

static void outage_timer_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    tell_begin(w->data);
}

static void begin(struct outage *o)
{
    int64_t wait = o->told_ms ? o->told_ms + QUIET_MS - clock_boot_ms() : 0;
    if (wait <= 0) {
        tell_begin(o);
        return;
    }
    ev_now_update(o->master->loop);
    ev_timer_set(&o->timer, (double)wait / 1000.0, 0.);
    ev_timer_start(o->master->loop, &o->timer);
}

void outage_note(struct outage *o, bool reachable)
{
    if (!reachable) {
        begin(o);
        return;
    }
    ev_timer_stop(o->master->loop, &o->timer);
    if (o->telling)
        tell_end(o);
    else
        o->untold++;
}

struct outage *outage_create(struct master *m)
{
    struct outage *o = xcalloc(1, sizeof *o);
    o->master = m;
    ev_init(&o->timer, outage_timer_cb);
    o->timer.data = o;
    return o;
}

void outage_destroy(struct outage *o)
{
    if (!o)
        return;
    ev_timer_stop(o->master->loop, &o->timer);
    free(o);
}
