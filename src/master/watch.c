/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* ClearML has no push: its agents ask every few seconds for status and status_message
 * (task_stop_signal in the SDK, worker.py). All live tasks are asked for at once here,
 * in pages of 500, since the server silently caps there (database/model/base.py). A
 * task that is missing in an answer is asked for alone, and only 400/101 to that means
 * that it was deleted. */

#include "master/watch.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "master/master.h"

#include <stdio.h>
#include <string.h>

#define PAGE 500
/* One look alone may fall between two calls: a reset and the start that follows; or a
 * task's own code that stops, fails or resets it to put it into a queue again, and
 * would be ended before it gets that far. */
#define PASSING_LOOKS 2

struct watch {
    struct master *master;
    ev_timer timer;
    struct api_call *call;
    char (*ids)[TASK_ID_SIZE]; /* of this round */
    size_t count, at, page;
    unsigned round;
};

static void round_page(struct watch *w);

static bool watched(const struct run *run)
{
    return run_is_live(run) || run->phase == PHASE_BACKOFF;
}

static void rearm(struct watch *w)
{
    free(w->ids);
    w->ids = NULL;
    ev_timer_stop(w->master->loop, &w->timer);
    ev_timer_set(&w->timer, (double)w->master->waits.watch_ms / 1000.0, 0.0);
    ev_timer_start(w->master->loop, &w->timer);
}

/* The SDK asks for time to run its abort callback (runtime._abort_callback_timeout);
 * the agent waits for that, at most agent.abort_callback_max_timeout, or until the
 * callback says it is through. */
static bool callback_pending(struct run *run, const cJSON *task)
{
    const cJSON *runtime = json_get(task, "runtime");
    const cJSON *timeout = json_get(runtime, "_abort_callback_timeout");
    const cJSON *completed = json_get(runtime, "_abort_callback_completed");
    double seconds = cJSON_IsNumber(timeout)   ? timeout->valuedouble
                     : cJSON_IsString(timeout) ? atof(timeout->valuestring)
                                               : 0;
    bool done = cJSON_IsTrue(completed) ||
                (cJSON_IsNumber(completed) && completed->valuedouble != 0) ||
                (cJSON_IsString(completed) && completed->valuestring[0] &&
                 strcmp(completed->valuestring, "0") != 0);
    if (!(seconds > 0) || done)
        return false;
    double most =
        config_num(run->master->config, "agent.abort_callback_max_timeout", 1800);
    if (seconds > most)
        seconds = most;
    if (!run->abort_seen_ms) {
        run->abort_seen_ms = clock_boot_ms();
        log_info("task=%s abort: its own callback has %.0f s", run->id, seconds);
    }
    return clock_boot_ms() - run->abort_seen_ms < (int64_t)(seconds * 1000);
}

/* "<what> by <user>: <reason>": whoever changed the task last. */
static void stop_text(const cJSON *task, const char *what, char out[256])
{
    const char *by = json_str(task, "last_changed_by", "");
    const char *reason = json_str(task, "status_reason", "");
    if (!reason[0] && !strstr(json_str(task, "status_message", ""), "stopping"))
        reason = json_str(task, "status_message", "");
    snprintf(out, 256, "%s%s%.64s%s%.120s", what, by[0] ? " by " : "", by,
             reason[0] ? ": " : "", reason);
}

/* What ends a run when its task is set to it; completed and publishing, which a task's
 * own code may do long before it ends, leave a program running (worker.py). */
static bool status_ends(const struct run *run, const char *status)
{
    static const char *const ending[] = {"stopped", "closed", "failed", "published",
                                         "queued"};
    for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
        if (strcmp(status, ending[i]) == 0)
            return true;
    return !run_is_live(run) &&
           (strcmp(status, "completed") == 0 || strcmp(status, "publishing") == 0);
}

/* Of no account where nothing of the task runs. */
static bool may_pass(const struct run *run, const char *status)
{
    return run_is_live(run) &&
           (strcmp(status, "created") == 0 || strcmp(status, "stopped") == 0 ||
            strcmp(status, "failed") == 0);
}

void watch_judge(struct run *run, const cJSON *task)
{
    const char *status = json_str(task, "status", "");
    const char *message = json_str(task, "status_message", "");
    char what[64], text[256];
    if (!may_pass(run, status))
        run->odd_reads = 0;
    else if (++run->odd_reads < PASSING_LOOKS)
        return;
    if (run_taken_over(run, task)) {
        run_stop(run, STOP_STATUS, -1, "another agent has claimed the task since");
    } else if (strcmp(status, "in_progress") == 0) {
        stop_text(task, "stopped on the server (tasks.stop)", text);
        if (strstr(message, "stopping") && !callback_pending(run, task))
            run_stop(run, STOP_SERVER, -1, text);
    } else if (strcmp(status, "created") == 0) {
        run_stop(run, STOP_RESET, -1, "the task was reset on the server");
    } else if (run_only_silent(run, task)) {
        run_resume_there(run);
    } else if (status_ends(run, status)) {
        snprintf(what, sizeof what, "its status became %.16s on the server", status);
        snprintf(run->seen_status, sizeof run->seen_status, "%s", status);
        stop_text(task, what, text);
        run_stop(run, STOP_STATUS, -1, text);
    }
}

static void on_alone(void *arg, const struct api_reply *r)
{
    struct watch *w = arg;
    w->call = NULL;
    struct run *run = runs_find(w->master->runs, w->ids[w->at]);
    if (run && watched(run) && run->stop == STOP_NONE) {
        if (r->result == API_REFUSED && r->code == 400 && r->subcode == 101)
            run_stop(run, STOP_DELETED, -1, "the task was deleted on the server");
        else if (r->result == API_OK && json_get(r->data, "task"))
            watch_judge(run, json_get(r->data, "task"));
    }
    w->at++;
    round_page(w);
}

static struct run *watched_run(const struct watch *w, const char *id)
{
    struct run *run = runs_find(w->master->runs, id);
    return run && watched(run) && run->stop != STOP_DELETED ? run : NULL;
}

static void judge_all(struct watch *w, const cJSON *tasks)
{
    const cJSON *task;
    cJSON_ArrayForEach(task, tasks)
    {
        struct run *run = watched_run(w, json_str(task, "id", ""));
        if (!run)
            continue;
        run->answered = w->round;
        watch_judge(run, task);
    }
}

static void ask_alone(struct watch *w)
{
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "task", w->ids[w->at]);
    w->call =
        api_send(w->master->api, NULL, "tasks.get_by_id", body, NULL, on_alone, w);
}

static void on_page(void *arg, const struct api_reply *r)
{
    struct watch *w = arg;
    w->call = NULL;
    if (r->result != API_OK) {
        rearm(w);
        return;
    }
    judge_all(w, json_get(r->data, "tasks"));
    size_t end = w->at + w->page, missing = 0;
    for (size_t i = w->at; i < end; i++) {
        const struct run *run = watched_run(w, w->ids[i]);
        if (run && run->answered != w->round)
            memmove(w->ids[w->at + missing++], w->ids[i], TASK_ID_SIZE);
    }
    /* The missing ones stand at the front of the page now: each is asked for alone, the
     * rest of the page is done with. */
    memmove(w->ids[w->at + missing], w->ids[end], (w->count - end) * TASK_ID_SIZE);
    w->count -= w->page - missing;
    w->page = missing;
    round_page(w);
}

static void round_page(struct watch *w)
{
    if (w->page) {
        w->page--;
        ask_alone(w);
        return;
    }
    if (w->at >= w->count) {
        rearm(w);
        return;
    }
    w->page = w->count - w->at < PAGE ? w->count - w->at : PAGE;
    cJSON *body = cJSON_CreateObject();
    cJSON *ids = json_set(body, "id", cJSON_CreateArray());
    for (size_t i = 0; i < w->page; i++)
        cJSON_AddItemToArray(ids, cJSON_CreateString(w->ids[w->at + i]));
    cJSON *fields = json_set(body, "only_fields", cJSON_CreateArray());
    static const char *const wanted[] = {"status",
                                         "status_message",
                                         "status_reason",
                                         "last_changed_by",
                                         "runtime._abort_callback_timeout",
                                         "runtime._abort_callback_completed"};
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
        cJSON_AddItemToArray(fields, cJSON_CreateString(wanted[i]));
    json_set_int(body, "page", 0);
    json_set_int(body, "page_size", PAGE);
    json_set_bool(body, "search_hidden", true);
    w->call = api_send(w->master->api, NULL, "tasks.get_all", body, NULL, on_page, w);
}

static void round_begin_cb(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct watch *w = timer->data;
    struct master *m = w->master;
    w->ids = xcalloc(runs_count(m->runs) + 1, TASK_ID_SIZE);
    w->count = w->at = w->page = 0;
    w->round++;
    /* Also while the server is away: where all slots are taken by silent runs, nothing
     * else would find out that it is back. */
    for (struct run *run = runs_first(m->runs); run; run = run->list_next)
        if (watched(run))
            memcpy(w->ids[w->count++], run->id, TASK_ID_SIZE);
    round_page(w);
}

int watch_check(const struct config *c, struct reeve_error *err)
{
    const char *word = config_str(c, "agent.reeve.forced_stop", "resume");
    if (strcmp(word, "resume") == 0 || strcmp(word, "stop") == 0)
        return 0;
    return reeve_error_set(err, 0, "agent.reeve.forced_stop: resume or stop, not %.40s",
                           word);
}

struct watch *watch_create(struct master *m)
{
    struct watch *w = xcalloc(1, sizeof *w);
    w->master = m;
    ev_init(&w->timer, round_begin_cb);
    w->timer.data = w;
    rearm(w);
    return w;
}

void watch_destroy(struct watch *w)
{
    if (!w)
        return;
    ev_timer_stop(w->master->loop, &w->timer);
    if (w->call)
        api_cancel(w->call);
    free(w->ids);
    free(w);
}
