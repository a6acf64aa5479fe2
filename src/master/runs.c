/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/run.h"

#include "base/alloc.h"
#include "base/record.h"

#include <string.h>

#define BUCKETS 4096

struct runs {
    struct run *bucket[BUCKETS];
    struct run *first, *last; /* oldest first */
    unsigned count;
};

static struct run **bucket_of(const struct runs *r, const char *id)
{
    return (struct run **)&r->bucket[crc32c(0, id, strlen(id)) % BUCKETS];
}

struct runs *runs_create(void)
{
    return xcalloc(1, sizeof(struct runs));
}

void runs_destroy(struct runs *r)
{
    if (!r)
        return;
    while (r->first)
        run_destroy(r->first);
    free(r);
}

void runs_add(struct runs *r, struct run *run)
{
    struct run **b = bucket_of(r, run->id);
    run->next = *b;
    *b = run;
    run->list_next = NULL;
    run->list_prev = r->last;
    if (r->last)
        r->last->list_next = run;
    else
        r->first = run;
    r->last = run;
    r->count++;
}

void runs_remove(struct runs *r, struct run *run)
{
    for (struct run **p = bucket_of(r, run->id); *p; p = &(*p)->next) {
        if (*p != run)
            continue;
        *p = run->next;
        if (run->list_prev)
            run->list_prev->list_next = run->list_next;
        else
            r->first = run->list_next;
        if (run->list_next)
            run->list_next->list_prev = run->list_prev;
        else
            r->last = run->list_prev;
        r->count--;
        return;
    }
}

struct run *runs_find(const struct runs *r, const char *id)
{
    struct run *run = *bucket_of(r, id);
    while (run && strcmp(run->id, id) != 0)
        run = run->next;
    return run;
}

struct run *runs_first(const struct runs *r)
{
    return r->first;
}

unsigned runs_count(const struct runs *r)
{
    return r->count;
}

bool runs_controllers_live(const struct runs *r)
{
    for (struct run *run = runs_first(r); run; run = run->list_next)
        if (run->controller && run_is_live(run))
            return true;
    return false;
}
