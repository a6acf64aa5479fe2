/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "plan.h"

#include <stdlib.h>
#include <string.h>

static bool is_named(const char *words, const char *name)
{
    size_t n = strlen(name);
    for (const char *word = words; word && n > 0; word = strchr(word, ',')) {
        word += *word == ',';
        if (strncmp(word, name, n) == 0 && (word[n] == ',' || word[n] == '\0'))
            return true;
    }
    return false;
}

bool plan_wants_program(const struct plan *p, const char *name)
{
    return is_named(p->programs, name);
}

bool plan_goes_through(const struct plan *p, const char *name)
{
    return is_named(p->through, name);
}

bool plan_wants_thread(const struct plan *p, const struct tracee *t)
{
    if (p->forked || t->fresh)
        return p->forked && t->fresh;
    return strcmp(p->thread, "all") == 0 || strcmp(p->thread, t->role) == 0;
}

static void report(const struct plan *p, const struct tracee *t, const char *name,
                   const char *detail)
{
    if (!p->report)
        return;
    fprintf(p->report, "%ld %d %s %s %s\n", t->number, (int)t->tgid, t->role, name,
            detail);
    if (p->action != PLAN_COUNT)
        fflush(p->report);
}

/* Whether the call is one that counts: of those that were asked for, after the marker.
 */
static bool counts(struct plan *p, uint64_t number, const char *detail)
{
    if (!p->begun && call_set_has(&p->after_calls, number) && strstr(detail, p->after))
        p->begun = true;
    return p->begun && call_set_has(&p->calls, number) &&
           (!p->path || strstr(detail, p->path));
}

/* The number of the next kill, whose calls are numbered anew. */
static void next_kill(struct plan *p)
{
    if (!p->then)
        return;
    char *end;
    p->at = strtol(p->then, &end, 10);
    p->then = *end == ',' ? end + 1 : NULL;
    p->times++;
    p->sequence = 0;
}

static bool is_hit(struct plan *p, const struct tracee *t)
{
    if (p->action == PLAN_COUNT || t->number < p->at || plan_over(p))
        return false;
    /* Who is killed in the place of another began to count after that. */
    if (p->action == PLAN_KILL && p->hits > 0 && t->number > p->at)
        return false;
    p->hits++;
    next_kill(p);
    return true;
}

bool plan_call(struct plan *p, struct tracee *t, uint64_t number, const uint64_t *args)
{
    static const struct call unknown = {
        .name = "other", .path = NONE, .fd = NONE, .length = NONE};
    const struct call *call = call_by_number(number);
    char detail[512] = "";
    call = call ? call : &unknown;
    bool look = !p->begun || p->path || (p->report && p->action == PLAN_COUNT);
    if (look)
        call_detail(t, call, args, detail, sizeof detail);
    if (!counts(p, number, detail))
        return false;
    t->number = strcmp(p->thread, "all") == 0 ? ++p->sequence : t->number + 1;
    bool hit = is_hit(p, t);
    if (hit && !look)
        call_detail(t, call, args, detail, sizeof detail);
    if (hit || p->action == PLAN_COUNT)
        report(p, t, call->name, detail);
    return hit;
}

bool plan_over(const struct plan *p)
{
    return p->action != PLAN_COUNT && p->times > 0 && p->hits >= p->times;
}
