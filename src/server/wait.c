/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/wait.h"
#include "base/alloc.h"
#include "base/clock.h"

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define BUCKETS 256

struct note {
    char queue[65];
    struct note *next;
};

struct waits {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t timer;
    struct waiter *buckets[BUCKETS];
    struct waiter *soonest, **latest;
    uint64_t generation;
    bool stopping, ended;
    struct note *notes; /* the writer thread's alone */
};

static struct waiter **bucket_of(struct waits *w, const char *queue)
{
    uint32_t h = 2166136261u;
    for (const char *p = queue; *p; p++)
        h = (h ^ (unsigned char)*p) * 16777619u;
    return &w->buckets[h % BUCKETS];
}

static void unlink_waiter(struct waits *w, struct waiter *waiter)
{
    *waiter->prev = waiter->next;
    if (waiter->next)
        waiter->next->prev = waiter->prev;
    *waiter->earlier = waiter->later;
    if (waiter->later)
        waiter->later->earlier = waiter->earlier;
    else
        w->latest = waiter->earlier;
}

/* Waiters come with nearly equal times, so the place is found from the end. */
static void link_by_time(struct waits *w, struct waiter *waiter)
{
    struct waiter **at = w->latest;
    while (at != &w->soonest) {
        struct waiter *before =
            (struct waiter *)((char *)at - offsetof(struct waiter, later));
        if (before->until_ms <= waiter->until_ms)
            break;
        at = before->earlier;
    }
    waiter->later = *at;
    waiter->earlier = at;
    *at = waiter;
    if (waiter->later)
        waiter->later->earlier = &waiter->later;
    else
        w->latest = &waiter->later;
}

static void link_waiter(struct waits *w, struct waiter *waiter)
{
    struct waiter **bucket = bucket_of(w, waiter->queue);
    waiter->next = *bucket;
    waiter->prev = bucket;
    if (waiter->next)
        waiter->next->prev = &waiter->next;
    *bucket = waiter;
    link_by_time(w, waiter);
}

/* Puts those taken out of the lists in a chain over next. */
static void collect(struct waits *w, struct waiter *waiter, struct waiter **chain)
{
    unlink_waiter(w, waiter);
    waiter->next = *chain;
    *chain = waiter;
}

static void wake_chain(struct waiter *chain)
{
    while (chain) {
        struct waiter *next = chain->next;
        chain->wake(chain->arg);
        chain = next;
    }
}

static struct timespec in_ms(int64_t ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

static void sleep_until_soonest(struct waits *w, int64_t now)
{
    if (!w->soonest) {
        pthread_cond_wait(&w->changed, &w->lock);
        return;
    }
    int64_t ms = w->soonest->until_ms - now;
    struct timespec until = in_ms(ms > 0 ? ms : 0);
    pthread_cond_timedwait(&w->changed, &w->lock, &until);
}

static void *timer_main(void *arg)
{
    struct waits *w = arg;
    pthread_mutex_lock(&w->lock);
    while (!w->ended) {
        int64_t now = clock_boot_ms();
        struct waiter *chain = NULL;
        while (w->soonest && (w->soonest->until_ms <= now || w->stopping))
            collect(w, w->soonest, &chain);
        if (!chain) {
            sleep_until_soonest(w, now);
            continue;
        }
        pthread_mutex_unlock(&w->lock);
        wake_chain(chain);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

struct waits *waits_create(void)
{
    struct waits *w = xcalloc(1, sizeof *w);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&w->lock, NULL);
    w->latest = &w->soonest;
    if (pthread_create(&w->timer, NULL, timer_main, w) != 0)
        abort();
    return w;
}

void waits_stop(struct waits *w)
{
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

void waits_destroy(struct waits *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = w->ended = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->timer, NULL);
    waits_flush(w, false);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->changed);
    free(w);
}

uint64_t waits_generation(struct waits *w)
{
    pthread_mutex_lock(&w->lock);
    uint64_t generation = w->generation;
    pthread_mutex_unlock(&w->lock);
    return generation;
}

bool waits_add(struct waits *w, struct waiter *waiter, uint64_t generation)
{
    pthread_mutex_lock(&w->lock);
    bool ok = generation == w->generation && !w->stopping;
    if (ok) {
        link_waiter(w, waiter);
        if (w->soonest == waiter)
            pthread_cond_signal(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
    return ok;
}

void waits_note(struct waits *w, const char *queue)
{
    for (struct note *n = w->notes; n; n = n->next)
        if (strcmp(n->queue, queue) == 0)
            return;
    struct note *n = xcalloc(1, sizeof *n);
    snprintf(n->queue, sizeof n->queue, "%s", queue);
    n->next = w->notes;
    w->notes = n;
}

static void collect_queue(struct waits *w, const char *queue, struct waiter **chain)
{
    for (struct waiter *at = *bucket_of(w, queue), *next; at; at = next) {
        next = at->next;
        if (strcmp(at->queue, queue) == 0)
            collect(w, at, chain);
    }
}

void waits_flush(struct waits *w, bool committed)
{
    struct note *notes = w->notes;
    if (!notes)
        return;
    w->notes = NULL;
    struct waiter *chain = NULL;
    pthread_mutex_lock(&w->lock);
    w->generation++;
    for (struct note *n = notes, *next; n; n = next) {
        next = n->next;
        if (committed)
            collect_queue(w, n->queue, &chain);
        free(n);
    }
    pthread_mutex_unlock(&w->lock);
    wake_chain(chain);
}
