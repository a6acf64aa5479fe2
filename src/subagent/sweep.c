/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "subagent/sweep.h"
#include "base/fd.h"

#include <stdarg.h>
#include <stdio.h>

#define SWEEP_MS 5
#define SWEEP_MAX_MS 500

static void note(struct agent *a, int64_t now, const char *fmt, ...)
{
    char text[ENDING_TEXT_SIZE + 128];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    output_note(&a->output, text, now);
}

/* SIGKILL waits until a process can take it. */
static void tell_stuck(struct agent *a, int64_t now)
{
    struct payload *p = &a->payload;
    char names[ENDING_TEXT_SIZE];
    if (!ending_due(&p->ending, now))
        return;
    payload_name_stuck(p, names, sizeof names);
    if (!ending_news(&p->ending, names, now))
        return;
    note(a, now, "reeve: cannot be ended yet, tried again: %s", names);
    a->link.news |= NEWS_STUCK;
}

static void tell_over(struct agent *a, int64_t now)
{
    int64_t took;
    if (!ending_over(&a->payload.ending, now, &took))
        return;
    note(a, now, "reeve: what could not be ended is gone, after %lld s",
         (long long)(took / 1000));
    a->link.news |= NEWS_STUCK;
}

bool sweep_step(struct agent *a, int64_t now)
{
    struct payload *p = &a->payload;
    char strays[ENDING_TEXT_SIZE];
    if (now < p->sweep_at)
        return false;
    a->changed = a->changed || (p->ended && !p->swept);
    bool over = payload_sweep(p, strays, sizeof strays);
    if (strays[0])
        note(a, now, "reeve: found outside its cgroup, and brought back: %s", strays);
    if (over) {
        p->sweep_at = 0;
        tell_over(a, now);
        return true;
    }
    tell_stuck(a, now);
    int shift = p->sweeps < 7 ? p->sweeps++ : 7;
    p->sweep_at =
        now + (SWEEP_MS << shift < SWEEP_MAX_MS ? SWEEP_MS << shift : SWEEP_MAX_MS);
    return false;
}

void sweep_finish(struct agent *a, int64_t now)
{
    struct payload *p = &a->payload;
    struct output *o = &a->output;
    output_lift_limit(o);
    output_drain(o, now);
    if (!output_finish(o, now) || !output_exit(o, &p->exit, now))
        return;
    if (p->status_fd >= 0)
        close(fd_take(&p->status_fd));
    a->phase = AGENT_EXITED;
    a->link.news |= NEWS_EXITED;
}
