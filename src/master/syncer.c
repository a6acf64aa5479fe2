/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/syncer.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define REMOVE_TRIES 3

struct job {
    char *path;
    char *data; /* NULL: remove the tree at path, or call fn */
    int (*fn)(void *arg, struct reeve_error *err);
    size_t n;
    syncer_done_f done;
    void *arg;
    bool failed;
    struct reeve_error err;
    struct job *next;
};

struct syncer {
    struct ev_loop *loop;
    ev_async wake;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t work, idle;
    struct job *todo, **todo_end; /* under mutex */
    struct job *finished, **finished_end;
    struct job
        *group; /* being written; only its done pointers are touched from outside */
    bool stop;
    atomic_bool drop;
};

static void job_free(struct job *job)
{
    free(job->path);
    free(job->data);
    free(job);
}

static char *folder_dup(const char *path)
{
    char *dir = xstrdup(path);
    char *slash = strrchr(dir, '/');
    if (slash)
        *slash = '\0';
    return dir;
}

/* What stays is removed by the next start; a failure of the moment needs none. */
static void job_remove(struct job *job, const atomic_bool *stop)
{
    for (int tries = 0; tries < REMOVE_TRIES; tries++)
        if (dir_remove_tree_until(job->path, stop, &job->err) == 0 ||
            job->err.code == ECANCELED)
            return;
    job->failed = true;
    log_warn("%s", job->err.text);
}

static void job_call(struct job *job)
{
    job->failed = job->fn(job->arg, &job->err) < 0;
}

static void job_write(struct job *job)
{
    auto_free char *tmp = xasprintf("%s.sync", job->path);
    auto_close fd =
        open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, (mode_t)0600);
    if (fd < 0 || fd_write_all(fd, job->data, job->n) < 0 || fdatasync(fd) < 0 ||
        rename(tmp, job->path) < 0) {
        job->failed = true;
        reeve_error_set(&job->err, errno, "write %s", job->path);
        unlink(tmp);
    }
}

/* One sync for each folder of the group; a folder that fails fails its files. */
static void group_sync_folders(struct job *group)
{
    auto_free char *synced = NULL;
    for (struct job *job = group; job; job = job->next) {
        if (job->failed || !job->data)
            continue;
        char *dir = folder_dup(job->path);
        if (synced && strcmp(synced, dir) == 0) {
            free(dir);
            continue;
        }
        if (dir_sync(dir, &job->err) < 0)
            job->failed = true;
        free(synced);
        synced = dir;
    }
}

static void *syncer_main(void *arg)
{
    struct syncer *s = arg;
    pthread_mutex_lock(&s->mutex);
    while (!s->stop || (s->todo && !atomic_load(&s->drop))) {
        if (!s->todo) {
            pthread_cond_wait(&s->work, &s->mutex);
            continue;
        }
        struct job *group = s->group = steal(&s->todo);
        s->todo_end = &s->todo;
        pthread_mutex_unlock(&s->mutex);
        for (struct job *job = group; job && !atomic_load(&s->drop); job = job->next)
            job->fn     ? job_call(job)
            : job->data ? job_write(job)
                        : job_remove(job, &s->drop);
        group_sync_folders(group);
        pthread_mutex_lock(&s->mutex);
        *s->finished_end = group;
        while (*s->finished_end)
            s->finished_end = &(*s->finished_end)->next;
        s->group = NULL;
        pthread_cond_signal(&s->idle);
        ev_async_send(s->loop, &s->wake);
    }
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

static void syncer_wake_cb(struct ev_loop *loop, ev_async *w, int revents)
{
    struct syncer *s = w->data;
    /* One at a time: a callback may forget another one's wait. */
    for (;;) {
        pthread_mutex_lock(&s->mutex);
        struct job *job = s->finished;
        if (job) {
            s->finished = job->next;
            if (!s->finished)
                s->finished_end = &s->finished;
        }
        pthread_mutex_unlock(&s->mutex);
        if (!job)
            return;
        if (job->done)
            job->done(job->arg, job->failed ? &job->err : NULL);
        job_free(job);
    }
}

struct syncer *syncer_create(struct ev_loop *loop, struct reeve_error *err)
{
    struct syncer *s = xcalloc(1, sizeof *s);
    s->loop = loop;
    s->todo_end = &s->todo;
    s->finished_end = &s->finished;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->work, NULL);
    pthread_cond_init(&s->idle, NULL);
    ev_async_init(&s->wake, syncer_wake_cb);
    s->wake.data = s;
    /* Signals belong to the loop's thread. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&s->thread, NULL, syncer_main, s);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc) {
        reeve_error_set(err, rc, "start the writer thread");
        free(s);
        return NULL;
    }
    ev_async_start(loop, &s->wake);
    return s;
}

static void jobs_free(struct job *job)
{
    while (job) {
        struct job *next = job->next;
        job_free(job);
        job = next;
    }
}

static void wait_idle(struct syncer *s, int ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&s->mutex);
    while ((s->todo || s->group) &&
           pthread_cond_timedwait(&s->idle, &s->mutex, &until) == 0)
        ;
    pthread_mutex_unlock(&s->mutex);
}

void syncer_destroy_within(struct syncer *s, int ms)
{
    if (!s)
        return;
    wait_idle(s, ms);
    atomic_store(&s->drop, true);
    syncer_destroy(s);
}

void syncer_destroy(struct syncer *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->mutex);
    s->stop = true;
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->mutex);
    pthread_join(s->thread, NULL);
    ev_async_stop(s->loop, &s->wake);
    jobs_free(s->finished);
    jobs_free(s->todo);
    pthread_mutex_destroy(&s->mutex);
    pthread_cond_destroy(&s->idle);
    pthread_cond_destroy(&s->work);
    free(s);
}

static void submit(struct syncer *s, struct job *job)
{
    pthread_mutex_lock(&s->mutex);
    *s->todo_end = job;
    s->todo_end = &job->next;
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->mutex);
}

void syncer_replace(struct syncer *s, const char *path, char *data, size_t n,
                    syncer_done_f done, void *arg)
{
    struct job *job = xcalloc(1, sizeof *job);
    job->path = xstrdup(path);
    job->data = data;
    job->n = n;
    job->done = done;
    job->arg = arg;
    submit(s, job);
}

void syncer_call(struct syncer *s, int (*fn)(void *arg, struct reeve_error *err),
                 syncer_done_f done, void *arg)
{
    struct job *job = xcalloc(1, sizeof *job);
    job->fn = fn;
    job->done = done;
    job->arg = arg;
    submit(s, job);
}

void syncer_remove_tree(struct syncer *s, const char *path)
{
    struct job *job = xcalloc(1, sizeof *job);
    job->path = xstrdup(path);
    submit(s, job);
}

static void forget_in(struct job *job, const void *arg)
{
    for (; job; job = job->next)
        if (job->arg == arg)
            job->done = NULL;
}

void syncer_forget(struct syncer *s, void *arg)
{
    pthread_mutex_lock(&s->mutex);
    forget_in(s->todo, arg);
    forget_in(s->group, arg);
    forget_in(s->finished, arg);
    pthread_mutex_unlock(&s->mutex);
}
