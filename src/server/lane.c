/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/lane.h"
#include "base/alloc.h"

#include <pthread.h>

/* Each may take seconds, and clients give up after some. */
#define WAITING_MAX 32

struct lane {
    struct store *store;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct store_job *first, **last;
    int waiting;
    bool stop;
};

static struct store_job *next_job(struct lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    while (!lane->first && !lane->stop)
        pthread_cond_wait(&lane->wake, &lane->lock);
    struct store_job *job = lane->first;
    if (job) {
        lane->first = job->next;
        if (!lane->first)
            lane->last = &lane->first;
        lane->waiting--;
    }
    pthread_mutex_unlock(&lane->lock);
    return job;
}

static void *lane_main(void *arg)
{
    struct lane *lane = arg;
    struct store_job *job;
    while ((job = next_job(lane))) {
        int result = job->run(store_reader(lane->store), job->arg);
        job->done(job->arg, result);
    }
    return NULL;
}

struct lane *lane_open(struct store *store)
{
    struct lane *lane = xcalloc(1, sizeof *lane);
    lane->store = store;
    lane->last = &lane->first;
    pthread_mutex_init(&lane->lock, NULL);
    pthread_cond_init(&lane->wake, NULL);
    if (pthread_create(&lane->thread, NULL, lane_main, lane) == 0)
        return lane;
    pthread_mutex_destroy(&lane->lock);
    pthread_cond_destroy(&lane->wake);
    free(lane);
    return NULL;
}

void lane_close(struct lane *lane)
{
    if (!lane)
        return;
    pthread_mutex_lock(&lane->lock);
    lane->stop = true;
    pthread_cond_signal(&lane->wake);
    pthread_mutex_unlock(&lane->lock);
    pthread_join(lane->thread, NULL);
    pthread_mutex_destroy(&lane->lock);
    pthread_cond_destroy(&lane->wake);
    free(lane);
}

bool lane_submit(struct lane *lane, struct store_job *job)
{
    pthread_mutex_lock(&lane->lock);
    bool room = lane->waiting < WAITING_MAX;
    if (room) {
        job->next = NULL;
        *lane->last = job;
        lane->last = &job->next;
        lane->waiting++;
        pthread_cond_signal(&lane->wake);
    }
    pthread_mutex_unlock(&lane->lock);
    return room;
}
