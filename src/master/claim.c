/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* - An intent ends only by a certain answer. After an unanswered pop the conditional
 * pop is sent again: if the task is still the head, that is the answer; if not, the
 * claim is settled (claim-settle.c).
 * - tasks.dequeue {new_status: in_progress} answers updated: 0 for a task that was
 * stopped, reset or deleted since the pop, where tasks.started would revive it
 * (task_bll.py, state machine of task/utils.py).
 * - The claim carries the intent's id in its status_message, so that a later master
 * that finds the intent knows the task for its own (claim-settle.c).
 * - tasks.started revives what was stopped, so it is sent once at a time: without an
 * answer the task is looked at before it is sent again.
 * - A server with the extension "claim" does all of it with the pop, in one
 * transaction, and answers with the document. Without an answer it is settled like any
 * other pop.
 * - Another host that is unsure of the same task waits before it takes it; so the claim
 * is sent within half of that time from the pop, or this host is unsure too.
 * - The intent is removed when spec.json is on disk: from then on the run's folder
 * stands for it. */

#include "master/claim-internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "base/utf8.h"
#include "master/spec.h"
#include "run/run-dir.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define INTENT_MAX 4096
#define SPEC_LARGE (1 << 20)
#define WARM_MS 5
#define POPS_IN_A_ROW 3

static char *intent_path_dup(const struct claim *c)
{
    auto_free char *dir = path_join_dup(c->master->state_root, "intents");
    return path_join_dup(dir, c->task);
}

static void claim_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct claim *c = w->data;
    c->later(c);
}

void claim_later(struct claim *c, int64_t ms, void (*fn)(struct claim *))
{
    c->later = fn;
    ev_now_update(c->master->loop);
    ev_timer_stop(c->master->loop, &c->timer);
    ev_timer_set(&c->timer, (double)ms / 1000.0, 0.0);
    ev_timer_start(c->master->loop, &c->timer);
}

static struct claim *claim_create(struct claims *all, const char *queue,
                                  const char *queue_name, const char *task)
{
    struct claim *c = xcalloc(1, sizeof *c);
    c->all = all;
    c->master = all->master;
    c->queue = xstrdup(queue);
    c->queue_name = xstrdup(queue_name);
    snprintf(c->task, sizeof c->task, "%s", task);
    id_new(c->intent);
    c->intent_ms = clock_wall_ms();
    ev_init(&c->timer, claim_cb);
    c->timer.data = c;
    c->next = all->first;
    all->first = c;
    claim_hold(c);
    return c;
}

static void claim_destroy(struct claim *c)
{
    struct claims *all = c->all;
    for (struct claim **p = &all->first; *p; p = &(*p)->next) {
        if (*p == c) {
            *p = c->next;
            break;
        }
    }
    if (c->call)
        api_cancel(c->call);
    if (c->start_call)
        api_cancel(c->start_call);
    admit_release(c->master->admit, &c->promise);
    syncer_forget(c->master->syncer, c);
    ev_timer_stop(c->master->loop, &c->timer);
    cJSON_Delete(c->document);
    free(c->queue);
    free(c->queue_name);
    free(c);
}

void claim_hold(struct claim *c)
{
    if (!c->promise.held)
        admit_hold(c->master->admit, &c->promise, c->queue, &c->need);
    c->waiting = false;
}

static struct claim *find(const struct claims *all, const char *task)
{
    for (struct claim *c = all->first; c; c = c->next)
        if (strcmp(c->task, task) == 0)
            return c;
    return NULL;
}

/* A certain pop takes the place of an unsure one. */
static void forget_waiting(struct claims *all, const char *task)
{
    struct claim *c = find(all, task);
    if (c && c->waiting)
        claim_destroy(c);
}

/* The pop has an answer: whoever looks for tasks may go on. */
void claim_tell_popped(struct claim *c, bool sound)
{
    claim_popped_f popped = c->popped;
    c->popped = NULL;
    if (popped)
        popped(c->popped_arg, sound);
}

static void intent_remove(struct claim *c)
{
    auto_free char *path = intent_path_dup(c);
    unlink(path);
}

void claim_drop(struct claim *c, const char *why)
{
    struct master *m = c->master;
    if (c->direct)
        log_error("task=%s not taken: %s", c->task, why);
    else
        log_info("task=%s not taken: %s", c->task, why);
    intent_remove(c);
    claim_tell_popped(c, true);
    claim_destroy(c);
    pull_wake(m->pull);
    master_run_gone(m);
}

/* The task is in its queue still, and stays there for now. */
static void claim_leave(struct claim *c, const char *why)
{
    struct master *m = c->master;
    log_info("task=%s left in its queue: %s", c->task, why);
    intent_remove(c);
    claim_tell_popped(c, false);
    claim_destroy(c);
    master_run_gone(m);
}

bool claim_refused(const struct api_reply *r)
{
    return r->result == API_REFUSED && r->code == 400;
}

void claim_again(struct claim *c, const struct api_reply *r, void (*fn)(struct claim *))
{
    if (!c->told)
        log_warn("task=%s its claim waits: %s", c->task, r->message);
    c->told = true;
    claim_later(c, c->master->waits.again_ms, fn);
}

static void intent_write(struct claim *c, syncer_done_f done)
{
    auto_json *json = cJSON_CreateObject();
    json_set_str(json, "task", c->task);
    json_set_str(json, "queue", c->queue);
    json_set_str(json, "queue_name", c->queue_name);
    json_set_str(json, "intent", c->intent);
    json_set_int(json, "ms", c->intent_ms);
    auto_free char *path = intent_path_dup(c);
    char *text = json_format(json);
    syncer_replace(c->master->syncer, path, text, strlen(text), done, c);
}

/* ---- the run ---- */

/* The run was stopped while its spec was on the way to the disk: it ends by itself. */
static void run_made_and_stopped(struct claim *c)
{
    struct master *m = c->master;
    intent_remove(c);
    claim_destroy(c);
    pull_wake(m->pull);
    master_run_gone(m);
}

/* A full disk may stay full for hours. */
static void write_again(struct claim *c, const char *why)
{
    if (!c->told)
        log_error("task=%s %s; tried again", c->task, why);
    c->told = true;
    claim_later(c, c->master->waits.again_ms, claim_write_spec);
}

static void on_spec_written(void *arg, const struct reeve_error *err)
{
    struct claim *c = arg;
    struct master *m = c->master;
    struct run *run = runs_find(m->runs, c->task);
    if (!run || run->phase != PHASE_CLAIMED) {
        run_made_and_stopped(c);
        return;
    }
    if (err) {
        /* A full disk: nothing was started, so the claim stands and is tried again. */
        write_again(c, err->text);
        return;
    }
    intent_remove(c);
    if (c->spec_size > SPEC_LARGE)
        malloc_trim(0); /* a script of megabytes went through several copies */
    if (m->exiting && m->stop_runs && !c->quota_error.text[0])
        shutdown_stop_late(run);
    else
        run_first_launch(run, &c->quota_error);
    claim_destroy(c);
    pull_wake(m->pull);
}

void claim_write_spec(struct claim *c)
{
    struct master *m = c->master;
    struct reeve_error err;
    struct run *run = runs_find(m->runs, c->task);
    if (!run && c->run_made) {
        run_made_and_stopped(c);
        return;
    }
    if (run && (!c->run_made || run->phase != PHASE_CLAIMED)) {
        /* An earlier one, of the same task; or it was stopped meanwhile, and ends. */
        claim_later(c, m->waits.again_ms, claim_write_spec);
        return;
    }
    if (!run) {
        run = run_create(m, c->task);
        run->queue = xstrdup(c->queue);
        run->queue_name = xstrdup(c->queue_name);
        snprintf(run->claim, sizeof run->claim, "%s", c->intent);
        c->run_made = true;
    }
    /* What a run of the same task left here, if it could not be removed, is not to be
     * taken for this one's. */
    c->discarded = c->discarded || run_discard(run) == 0;
    if (!c->discarded) {
        write_again(c, "files of an earlier run are in the way");
        return;
    }
    auto_free char *dir = run_dir_dup(m->state_root, c->task);
    if (dir_make(dir, 0700, &err) < 0) {
        write_again(c, err.text);
        return;
    }
    c->quota_error = (struct reeve_error){0};
    char *spec = spec_make_dup(run, c->document, c->project, &c->quota_error);
    auto_free char *path = run_file_dup(m->state_root, c->task, "spec.json");
    c->spec_size = strlen(spec);
    admit_release(m->admit, &c->promise);
    admit_run(m->admit, run);
    syncer_replace(m->syncer, path, spec, c->spec_size, on_spec_written, c);
}

static void on_project(void *arg, const struct api_reply *r)
{
    struct claim *c = arg;
    c->call = NULL;
    const cJSON *project = json_get(r->data, "project");
    if (r->result == API_OK) {
        snprintf(c->project, sizeof c->project, "%s", json_str(project, "name", ""));
        utf8_trim(c->project);
        claims_remember_project(c->all, json_str(c->document, "project", ""),
                                c->project);
    }
    claim_write_spec(c);
}

static void both_done(struct claim *c)
{
    if (!c->started || !c->document)
        return;
    const char *project = json_str(c->document, "project", "");
    if (!project[0] ||
        claims_known_project(c->all, project, c->project, sizeof c->project)) {
        claim_write_spec(c);
        return;
    }
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "project", project);
    struct api_options options = {.retry = API_RETRY_NONE, .timeout_ms = 5000};
    c->call = api_send(c->master->api, NULL, "projects.get_by_id", body, &options,
                       on_project, c);
}

static void on_document(void *arg, const struct api_reply *r)
{
    struct claim *c = arg;
    c->call = NULL;
    cJSON *task = json_get(r->data, "task");
    if (claim_refused(r)) {
        claim_drop(c, r->message);
        return;
    }
    /* A proxy that mixes up its answers must not make another task's code run. */
    if (r->result != API_OK || strcmp(json_str(task, "id", ""), c->task) != 0) {
        claim_again(c, r, claim_fetch);
        return;
    }
    c->document = cJSON_DetachItemViaPointer(r->data, task);
    both_done(c);
}

/* Whether tasks.started is all of the claim: nothing else moves the task before it. */
static bool starts_alone(const struct claim *c)
{
    return c->direct || api_older_than(c->master->api, 2, 26);
}

static void on_started(void *arg, const struct api_reply *r)
{
    struct claim *c = arg;
    c->start_call = NULL;
    if (claim_refused(r)) {
        claim_drop(c, r->message);
    } else if (r->result == API_OK) {
        c->started = true;
        both_done(c);
    } else if (starts_alone(c)) {
        claim_again(c, r, claim_fetch);
    } else {
        /* It may have been stopped since it was moved to in_progress. */
        if (c->call)
            api_cancel(c->call);
        c->call = NULL;
        claim_again(c, r, claim_settle);
    }
}

/* The words by which a later master knows the task for ours: see claim-settle.c. */
static char *claim_message_dup(const struct claim *c)
{
    char worker[256];
    return xasprintf(RUN_CHANGED_WORDS "%s" RUN_CLAIM_WORDS "%s]",
                     task_worker(c->master, c->task, worker), c->intent);
}

static void send_started(struct claim *c)
{
    cJSON *body = cJSON_CreateObject();
    struct api_options options = {.retry = starts_alone(c) ? API_RETRY_SAFE
                                                           : API_RETRY_NONE};
    auto_free char *message = claim_message_dup(c);
    json_set_str(body, "task", c->task);
    json_set_str(body, "status_reason", "");
    json_set_str(body, "status_message", message);
    /* Any status but "in progress" is overridden then (worker.py, execute). */
    if (c->direct)
        json_set_bool(body, "force", true);
    c->start_call =
        api_send(c->master->api, NULL, "tasks.started", body, &options, on_started, c);
}

static void ask_document(struct claim *c)
{
    cJSON *body = cJSON_CreateObject();
    struct api_options options = {.retry = API_RETRY_SAFE};
    json_set_str(body, "task", c->task);
    c->call = api_send(c->master->api, NULL, "tasks.get_by_id", body, &options,
                       on_document, c);
}

/* Again only what is missing: one of the two may have been answered. */
void claim_fetch(struct claim *c)
{
    if (!c->started && !c->start_call)
        send_started(c);
    if (!c->document && !c->call)
        ask_document(c);
}

static void not_queued(struct claim *c)
{
    if (!c->direct)
        claim_drop(c, "it was stopped, reset or deleted after it left the queue");
    else if (c->require_queue)
        claim_drop(c, "it is not queued, and --require-queue was given");
    else
        claim_fetch(c);
}

static void on_taken(void *arg, const struct api_reply *r)
{
    struct claim *c = arg;
    c->call = NULL;
    if (claim_refused(r))
        claim_drop(c, r->message);
    else if (r->result != API_OK && c->direct)
        claim_again(c, r, claim_take); /* no pop: nobody else can have it */
    else if (r->result != API_OK)
        claim_settle(c);
    else if (json_int(r->data, "updated", 0) < 1)
        not_queued(c);
    else
        claim_fetch(c);
}

void claim_take(struct claim *c)
{
    struct master *m = c->master;
    int64_t left = c->sure_ms + m->waits.settle_ms / 2 - clock_boot_ms();
    claim_tell_popped(c, true);
    if (left <= 0 && !c->direct) {
        claim_settle(c);
        return;
    }
    /* It enqueued itself and was popped unconditionally: this run comes after that one.
     */
    if (runs_find(m->runs, c->task)) {
        claim_later(c, c->master->waits.again_ms, claim_take);
        return;
    }
    /* Before API 2.26 there is no new_status, and a popped task cannot be dequeued:
     * tasks.started alone, which would revive one that was stopped meanwhile. One that
     * was not popped leaves its queue by this call in any version. */
    if (!c->direct && starts_alone(c)) {
        claim_fetch(c);
        return;
    }
    cJSON *body = cJSON_CreateObject();
    auto_free char *message = claim_message_dup(c);
    json_set_str(body, "task", c->task);
    json_set_str(body, "new_status", "in_progress");
    json_set_str(body, "status_message", message);
    struct api_options options = {.retry = API_RETRY_SAFE,
                                  .deadline_ms = c->direct ? 0 : left};
    c->call = api_send(m->api, NULL, "tasks.dequeue", body, &options, on_taken, c);
}

/* ---- the pop ---- */

static void on_other_intent(void *arg, const struct reeve_error *err)
{
    struct claim *c = arg;
    if (err)
        log_error("task=%s %s", c->task, err->text);
    claim_take(c);
}

/* A server that does not know `task` in the request (API before 2.21) has popped its
 * head, whatever that was: it is out of the queue, and ours. An earlier pop without an
 * answer may have taken the one that was meant. */
static void took_other(struct claim *c, const char *task)
{
    log_warn("task=%s the server popped %s instead: no conditional pop there", c->task,
             task);
    if (c->unsure) {
        claim_popped(c->all, c->queue, c->queue_name, task);
        claim_settle(c);
        return;
    }
    intent_remove(c);
    forget_waiting(c->all, task);
    snprintf(c->task, sizeof c->task, "%s", task);
    intent_write(c, on_other_intent);
}

static void on_popped_none(struct claim *c, const struct api_reply *r)
{
    if (c->unsure)
        claim_settle(c);
    else if (r->result == API_OK)
        claim_drop(c, "another agent was faster");
    else
        claim_leave(c, r->message);
}

static void on_claimed(struct claim *c, cJSON *data, cJSON *document)
{
    c->document = cJSON_DetachItemViaPointer(data, document);
    c->started = true;
    claim_tell_popped(c, true);
    both_done(c);
}

/* What the server fails at again and again keeps no other task waiting. */
static void unanswered(struct claim *c, const struct api_reply *r)
{
    if (++c->unanswered % POPS_IN_A_ROW || !c->unsure) {
        claim_again(c, r, claim_pop);
        return;
    }
    c->retry_ms = clock_boot_ms() + c->master->waits.poll_ms;
    claim_again(c, r, claim_settle);
}

static void on_pop(void *arg, const struct api_reply *r)
{
    struct claim *c = arg;
    c->call = NULL;
    const char *task = json_str(json_get(r->data, "entry"), "task", "");
    cJSON *claimed = json_get(r->data, "claimed");
    if (r->result == API_OK && strcmp(task, c->task) == 0 &&
        strcmp(json_str(claimed, "id", ""), c->task) == 0) {
        on_claimed(c, r->data, claimed);
    } else if (r->result == API_OK && strcmp(task, c->task) == 0) {
        claim_take(c);
    } else if (r->result == API_OK && id_valid(task)) {
        took_other(c, task);
    } else if (r->result == API_OK || claim_refused(r)) {
        on_popped_none(c, r);
    } else if (r->result == API_REFUSED && !c->unsure) {
        claim_leave(c, r->message);
    } else {
        c->unsure = c->unsure || r->result == API_UNSURE;
        unanswered(c, r);
    }
}

void claim_pop(struct claim *c)
{
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "queue", c->queue);
    json_set_str(body, "task", c->task);
    /* Not while it runs here still: see claim_take(). */
    if (api_has_extension(c->master->api, "claim") &&
        !runs_find(c->master->runs, c->task)) {
        auto_free char *message = claim_message_dup(c);
        json_set_str(body, "claim", message);
    }
    /* The look has just seen it there, perhaps behind others that are claimed too. Who
     * asks again takes a head alone: much may have been moved since. */
    if (c->popped && !c->unsure && api_has_extension(c->master->api, "behind"))
        json_set_bool(body, "behind", true);
    c->sure_ms = clock_boot_ms();
    c->call =
        api_send(c->master->api, NULL, "queues.get_next_task", body, NULL, on_pop, c);
}

/* Of one that was begun long ago: its pop is not to be forgotten, disk or not. */
static void on_intent_again(void *arg, const struct reeve_error *err)
{
    struct claim *c = arg;
    if (err)
        log_error("task=%s %s", c->task, err->text);
    claim_pop(c);
}

static void on_intent(void *arg, const struct reeve_error *err)
{
    struct claim *c = arg;
    if (err) {
        /* Without an intent on disk nothing is popped: the task stays for others. */
        log_error("task=%s %s", c->task, err->text);
        claim_leave(c, "its intent cannot be written");
        return;
    }
    claim_pop(c);
}

static int warm(void *arg, struct reeve_error *err)
{
    return cgroup_warm(arg, err);
}

/* A launch is some ms away. While others are going on the kernel is warm by itself. */
static void warm_groups(struct claims *all)
{
    int64_t now = clock_boot_ms();
    if (now - all->warmed_ms >= WARM_MS)
        syncer_call(all->master->applier, warm, NULL, all->master->cgroups);
    all->warmed_ms = now;
}

/* It is the head now, of whichever queue; what it asks about itself is of no use. */
static void take_up(struct claim *c, const char *queue, const char *queue_name)
{
    if (c->call)
        api_cancel(c->call);
    c->call = NULL;
    ev_timer_stop(c->master->loop, &c->timer);
    free(c->queue);
    free(c->queue_name);
    c->queue = xstrdup(queue);
    c->queue_name = xstrdup(queue_name);
}

void claim_begin(struct claims *all, const char *queue, const char *queue_name,
                 const char *task, const struct need *need, claim_popped_f popped,
                 void *arg)
{
    struct claim *c = find(all, task);
    bool again = c != NULL;
    if (again && !c->waiting) {
        popped(arg, true); /* it was taken up meanwhile */
        return;
    }
    if (again)
        take_up(c, queue, queue_name);
    else
        c = claim_create(all, queue, queue_name, task);
    admit_release(all->master->admit, &c->promise);
    c->need = *need;
    claim_hold(c);
    c->popped = popped;
    c->popped_arg = arg;
    warm_groups(all);
    intent_write(c, again ? on_intent_again : on_intent);
}

void claim_popped(struct claims *all, const char *queue, const char *queue_name,
                  const char *task)
{
    forget_waiting(all, task);
    struct claim *c = claim_create(all, queue, queue_name, task);
    c->sure_ms = clock_boot_ms();
    intent_write(c, on_other_intent);
}

void claim_direct(struct claims *all, const char *task, bool require_queue)
{
    struct claim *c = claim_create(all, "", "", task);
    c->direct = true;
    c->require_queue = require_queue;
    intent_write(c, on_other_intent);
}

/* ---- all of them ---- */

struct claims *claims_create(struct master *m)
{
    struct claims *all = xcalloc(1, sizeof *all);
    all->master = m;
    return all;
}

void claims_destroy(struct claims *all)
{
    if (!all)
        return;
    while (all->first)
        claim_destroy(all->first);
    free(all);
}

unsigned claims_count(const struct claims *all)
{
    unsigned count = 0;
    for (const struct claim *c = all->first; c; c = c->next)
        count += !c->waiting;
    return count;
}

bool claims_busy(const struct claims *all, const char *task)
{
    const struct claim *c = find(all, task);
    return c && (!c->waiting || clock_boot_ms() < c->retry_ms);
}

void claims_remember_project(struct claims *all, const char *id, const char *name)
{
    struct known_project *p = &all->projects[all->next_project++ % KNOWN_PROJECTS];
    snprintf(p->id, sizeof p->id, "%s", id);
    snprintf(p->name, sizeof p->name, "%s", name);
}

bool claims_known_project(const struct claims *all, const char *id, char *name,
                          size_t size)
{
    for (size_t i = 0; i < KNOWN_PROJECTS; i++) {
        if (strcmp(all->projects[i].id, id) == 0) {
            snprintf(name, size, "%s", all->projects[i].name);
            return true;
        }
    }
    return false;
}

/* Whether the run is this claim's: its spec was written. Else it is of an earlier one,
 * whose task was enqueued again. */
static bool became(const struct run *run, const char *intent)
{
    return run && (!run->claim[0] || strcmp(run->claim, intent) == 0);
}

/* queue: "" if it is not known; then the look into all of them says. */
static void recover(struct claims *all, const char *task, const cJSON *json)
{
    const char *queue = json_str(json, "queue", "");
    struct claim *c =
        claim_create(all, queue, json_str(json, "queue_name", queue), task);
    log_info("task=%s an earlier master meant to take it: settling", task);
    snprintf(c->intent, sizeof c->intent, "%s", json_str(json, "intent", c->intent));
    c->intent_ms = json_int(json, "ms", c->intent_ms);
    c->unsure = true;
    if (json)
        claim_pop(c);
    else
        claim_settle(c);
}

static void recover_one(const char *task, void *arg)
{
    struct claims *all = arg;
    auto_free char *dir = path_join_dup(all->master->state_root, "intents");
    auto_free char *path = path_join_dup(dir, task);
    auto_buf text = BUF_INIT;
    struct reeve_error err;
    if (!id_valid(task)) {
        /* Not in place when its master died: nothing was sent on its account. */
        unlink(path);
        return;
    }
    if (file_read(path, &text, INTENT_MAX, &err) < 0) {
        log_error("an intent of task=%s is left for the next start: %s", task,
                  err.text);
        return;
    }
    auto_json *json = json_parse(buf_str(&text), text.len, &err);
    const struct run *run = runs_find(all->master->runs, task);
    bool direct = all->master->options->task || (json && !*json_str(json, "queue", ""));
    if (!json)
        log_warn("an intent of task=%s cannot be read: %s", task, err.text);
    if (direct || (!json && run) || became(run, json_str(json, "intent", "")))
        unlink(path);
    else
        recover(all, task, json);
}

int claims_recover(struct claims *all, struct reeve_error *err)
{
    auto_free char *dir = path_join_dup(all->master->state_root, "intents");
    return dir_each(dir, recover_one, all, err);
}
