/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/set.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"
#include "cgroup/cgroup.h"
#include "config/size.h"
#include "master/link.h"
#include "master/master.h"
#include "master/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct set_job {
    struct master *master;
    char task[TASK_ID_SIZE];
    int64_t claimed_ms; /* tells a later run of the task from this one */
    uint32_t attempt;
    struct policy before;
    struct words notes;
    set_done_f done; /* NULL: nobody waits */
    void *arg;
    struct set_job *next;
    /* For the thread. */
    char group[GROUP_PATH_SIZE];
    struct limits limits, old;
    int64_t used; /* of memory, when the kernel refused */
};

static void job_free(struct set_job *job)
{
    struct set_job **p = &job->master->sets;
    while (*p && *p != job)
        p = &(*p)->next;
    if (*p)
        *p = job->next;
    words_free(&job->notes);
    free(job);
}

static void answer(struct set_job *job, cJSON *data, int code,
                   const struct reeve_error *err)
{
    if (job->done)
        job->done(job->arg, data, code, err);
    else
        cJSON_Delete(data);
}

static struct run *job_run(const struct set_job *job)
{
    struct run *run = runs_find(job->master->runs, job->task);
    return run && run->claimed_ms == job->claimed_ms ? run : NULL;
}

static void quota_of_policy(const struct policy *p, struct quota *out)
{
    quota_clear(out);
    out->limits = p->limits;
    out->restart = p->restart;
    out->restart_max = p->restart_max;
    out->stop_timeout_ms = p->grace_ms;
    out->timeout_ms = p->timeout_ms;
    out->setup_timeout_ms = p->setup_timeout_ms;
    out->stop_signal = p->stop_signal;
    out->nofile_soft = p->nofile_soft;
    out->nofile_hard = p->nofile_hard;
    out->disk = p->disk;
    out->log_budget = p->log_budget;
}

static cJSON *job_data(const struct set_job *job, const struct run *run)
{
    cJSON *data = cJSON_CreateObject();
    json_set_str(data, "task", job->task);
    json_set_bool(data, "live", run_is_live(run));
    json_set(data, "limits", policy_limits_to_json(&run->policy));
    cJSON *notes = json_set(data, "notes", cJSON_CreateArray());
    for (size_t i = 0; i < job->notes.n; i++)
        cJSON_AddItemToArray(notes, cJSON_CreateString(job->notes.v[i]));
    return data;
}

/* It applies: the sub-agent and the run's log hear of it. */
static void succeed(struct set_job *job, struct run *run)
{
    if (run_is_live(run) && run->attempt == job->attempt)
        link_change(run);
    link_log(run, -1);
    for (size_t i = 0; i < job->notes.n; i++) {
        log_info("task=%s %s", run->id, job->notes.v[i]);
        run_note(run, "reeve: %s", job->notes.v[i]);
    }
    answer(job, job_data(job, run), 0, NULL);
    job_free(job);
}

static void take_back(struct set_job *job, struct run *run,
                      const struct reeve_error *err)
{
    struct reeve_error why;
    char used[SIZE_TEXT_SIZE] = "";
    run->policy = job->before;
    admit_run(job->master->admit, run);
    run_limits_save(run);
    /* A sub-agent that connected meanwhile was told. */
    link_change(run);
    if (job->used >= 0)
        size_format(job->used, used);
    reeve_error_set(&why, 0, "the kernel refused: %s%s%s", err->text,
                    *used ? "; its memory in use: " : "", used);
    log_warn("task=%s set: %s", run->id, why.text);
    answer(job, NULL, 1, &why);
    job_free(job);
}

/* ---- the thread ---- */

static int apply(void *arg, struct reeve_error *err)
{
    struct set_job *job = arg;
    struct cgroup_host *host = job->master->cgroups;
    struct cgroup_stat stat;
    job->used = -1;
    if (cgroup_apply(host, job->group, &job->limits, err) == 0)
        return 0;
    if (err->code == EBUSY && cgroup_read_stat(host, job->group, &stat, NULL) == 0)
        job->used = stat.memory;
    /* Some of it may have been set. */
    cgroup_apply(host, job->group, &job->old, NULL);
    return -1;
}

/* ---- */

static void on_applied(void *arg, const struct reeve_error *err)
{
    struct set_job *job = arg;
    struct run *run = job_run(job);
    if (!run) {
        struct reeve_error gone;
        reeve_error_set(&gone, 0, "the run has ended meanwhile");
        answer(job, NULL, 1, &gone);
        job_free(job);
    } else if (err && err->code != ENOENT && run_is_live(run) &&
               run->attempt == job->attempt) {
        take_back(job, run, err);
    } else {
        /* Its attempt has ended meanwhile: the next one begins with it. */
        succeed(job, run);
    }
}

static int fail(const struct reeve_error *err, int code, set_done_f done, void *arg)
{
    done(arg, NULL, code, err);
    return -1;
}

bool set_under_way(const struct master *m, const char *task)
{
    for (const struct set_job *job = m->sets; job; job = job->next)
        if (strcmp(job->task, task) == 0)
            return true;
    return false;
}

static struct run *find_run(struct master *m, const char *task, set_done_f done,
                            void *arg)
{
    struct reeve_error err;
    struct run *run = runs_find(m->runs, task);
    int code = run ? 1 : 4;
    if (!run)
        reeve_error_set(&err, 0, "no run of this task on this host");
    else if (run->phase >= PHASE_DRAINING)
        reeve_error_set(&err, 0, "the run has ended already");
    else
        code = 0;
    if (code == 0 && set_under_way(m, task)) {
        reeve_error_set(&err, 0, "another change of it is under way");
        code = 1;
    }
    if (code)
        fail(&err, code, done, arg);
    return code ? NULL : run;
}

static int change(struct run *run, const cJSON *values, struct set_job *job,
                  struct reeve_error *err)
{
    struct quota now, wanted;
    quota_of_policy(&run->policy, &now);
    struct quota_queue queue = {run->queue, run->queue_name};
    if (quota_change(&now, values, run->master->config, &queue, &wanted, err) < 0)
        return -1;
    job->before = run->policy;
    policy_from_quota(&wanted, &run->policy);
    job->notes = wanted.notes;
    wanted.notes = (struct words)WORDS_INIT;
    quota_free(&wanted);
    return 0;
}

static struct set_job *job_new(struct run *run, set_done_f done, void *arg)
{
    struct master *m = run->master;
    struct set_job *job = xcalloc(1, sizeof *job);
    job->master = m;
    snprintf(job->task, sizeof job->task, "%s", run->id);
    job->claimed_ms = run->claimed_ms;
    job->attempt = run->attempt;
    job->done = done;
    job->arg = arg;
    job->next = m->sets;
    m->sets = job;
    return job;
}

void set_begin(struct master *m, const cJSON *request, set_done_f done, void *arg)
{
    struct reeve_error err = {0};
    const cJSON *values = json_get(request, "values");
    struct run *run = find_run(m, json_str(request, "task", ""), done, arg);
    if (!run)
        return;
    if (!cJSON_IsObject(values) || !values->child) {
        reeve_error_set(&err, 0, "nothing to set");
        fail(&err, 2, done, arg);
        return;
    }
    struct set_job *job = job_new(run, done, arg);
    if (change(run, values, job, &err) < 0) {
        fail(&err, 2, done, arg);
        job_free(job);
        return;
    }
    admit_run(m->admit, run);
    run_limits_save(run);
    run->limits_stuck = 0;
    /* While it is being ended, its group lets nobody fork (cgroup_dirs_sweep). */
    if (!run_is_live(run) || run->phase == PHASE_STOPPING) {
        succeed(job, run);
        return;
    }
    run_group(run, "payload", job->group);
    job->limits = run->policy.limits;
    job->old = job->before.limits;
    syncer_call(m->applier, apply, on_applied, job);
}

void set_forget(struct master *m, const void *arg)
{
    for (struct set_job *job = m->sets; job; job = job->next)
        if (job->arg == arg)
            job->done = NULL;
}

/* The thread has ended, and with it every call. */
void set_destroy(struct master *m)
{
    while (m->sets)
        job_free(m->sets);
}
