/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/watchdog.h"

#include "base/log.h"

#include <stdlib.h>

/* A gap of less leaves tasks most of the silence that they may keep; or is a host's
 * that has much to do. */
#define GAP_PART 4
#define GAP_MIN_MS 5000

void watchdog_start(struct watchdog *w, unsigned silence_s, unsigned interval_s,
                    unsigned every_s, int64_t boot_ms, int64_t wall_ms)
{
    *w = (struct watchdog){
        .silence_ms = (int64_t)silence_s * 1000,
        .interval_ms = (int64_t)interval_s * 1000,
        .every_ms = (int64_t)every_s * 1000,
        .boot_ms = boot_ms,
        .wall_ms = wall_ms,
    };
    w->due_ms = boot_ms + w->interval_ms;
}

/* Suspension moves both clocks, and whoever sets one moves the wall clock alone. */
static int64_t gap(struct watchdog *w, int64_t boot_ms, int64_t wall_ms)
{
    int64_t boot = boot_ms - w->boot_ms, wall = llabs(wall_ms - w->wall_ms);
    w->boot_ms = boot_ms;
    w->wall_ms = wall_ms;
    return (boot > wall ? boot : wall) - w->every_ms;
}

bool watchdog_due(struct watchdog *w, int64_t boot_ms, int64_t wall_ms)
{
    int64_t passed = gap(w, boot_ms, wall_ms);
    if (!w->silence_ms)
        return false;
    if (passed > w->silence_ms / GAP_PART && passed > GAP_MIN_MS) {
        log_warn(
            "%lld s passed unseen (suspended, or a clock was set): tasks have %lld "
            "s more to be heard",
            (long long)passed / 1000, (long long)w->interval_ms / 1000);
        w->due_ms = boot_ms + w->interval_ms;
    }
    if (boot_ms < w->due_ms)
        return false;
    w->due_ms = boot_ms + w->interval_ms;
    return true;
}
