/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/stop-order.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "master/master.h"

struct stop_order {
    struct master *master;
    unsigned number; /* from 1, of this master's */
    int64_t first_until_ms;
    bool first; /* controllers are being ended, others wait for that */
    stop_order_f tell;
    ev_timer timer;
};

static void tell_run(struct stop_order *o, struct run *run)
{
    bool told = run->told_order == o->number && run->told_attempt == run->attempt;
    if (told || run->phase >= PHASE_DRAINING || !o->tell(run, o->first))
        return;
    run->told_order = o->number;
    run->told_attempt = run->attempt;
}

void stop_order_look(struct stop_order *o)
{
    if (!o)
        return;
    struct master *m = o->master;
    int64_t left = o->first_until_ms - clock_boot_ms();
    o->first = left > 0 && runs_controllers_live(m->runs);
    for (struct run *run = runs_first(m->runs); run; run = run->list_next)
        if (!o->first || run->controller || !run_is_live(run))
            tell_run(o, run);
    int64_t look = m->waits.order_ms, wait = o->first && left < look ? left : look;
    ev_timer_stop(m->loop, &o->timer);
    ev_now_update(m->loop);
    ev_timer_set(&o->timer, (double)wait / 1000.0, 0.0);
    ev_timer_start(m->loop, &o->timer);
}

void stop_order_attempt_ended(struct stop_order *o)
{
    if (o && o->first && !runs_controllers_live(o->master->runs))
        stop_order_look(o);
}

static void look_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    stop_order_look(w->data);
}

struct stop_order *stop_order_begin(struct master *m, int64_t first_ms,
                                    stop_order_f tell)
{
    struct stop_order *o = xcalloc(1, sizeof *o);
    o->master = m;
    o->number = ++m->stop_orders;
    o->first_until_ms = clock_boot_ms() + first_ms;
    o->tell = tell;
    ev_init(&o->timer, look_cb);
    o->timer.data = o;
    stop_order_look(o);
    return o;
}

void stop_order_end(struct stop_order *o)
{
    if (!o)
        return;
    ev_timer_stop(o->master->loop, &o->timer);
    free(o);
}
