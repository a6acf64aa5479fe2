/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* What the server says of a run's task once an attempt has ended, and what it is told.
 * The task's own code may have completed, failed or published it, or enqueued it again:
 * what it set stands, so that each status of ours follows a look. By then nothing of
 * the task runs any more, and nobody else changes a task that is in progress. */

#include "master/run-internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "master/master.h"
#include "master/watch.h"

#include <stdio.h>
#include <string.h>

#define REPORT_SHIFT 6

static const struct api_options once = {.retry = API_RETRY_NONE, .timeout_ms = 5000};

static bool has_status(const cJSON *task, const char *status)
{
    return strcmp(json_str(task, "status", ""), status) == 0;
}

static void ask(struct run *run, const struct api_options *options, api_done_f done)
{
    static const char *const wanted[] = {"status", "status_message", "runtime"};
    cJSON *body = cJSON_CreateObject();
    cJSON *ids = json_set(body, "id", cJSON_CreateArray());
    cJSON_AddItemToArray(ids, cJSON_CreateString(run->id));
    json_set_bool(body, "search_hidden", true);
    json_set(body, "only_fields", cJSON_CreateStringArray(wanted, ARRAY_SIZE(wanted)));
    run->call =
        api_send(run->master->api, NULL, "tasks.get_all", body, options, done, run);
}

/* Sent by an earlier master, which died before it put the task back: known by the
 * claim, as any worker of this name may have stopped it. */
static bool is_our_stop(const struct run *run, const cJSON *task)
{
    return has_status(task, "stopped") && run->claim[0] &&
           strstr(json_str(task, "status_message", ""), run->claim);
}

/* Nothing of ours is sent over what the answer says. */
static void take_answer(struct run *run, const cJSON *task)
{
    run->looked = true;
    if (run_taken_over(run, task)) {
        log_info("task=%s another agent has claimed it since: no status", run->id);
        run->stop = STOP_STATUS;
    } else if (task && !has_status(task, "in_progress") &&
               !run_only_silent(run, task)) {
        snprintf(run->seen_status, sizeof run->seen_status, "%s",
                 json_str(task, "status", ""));
        run->final_known = true;
        if (run->stop == STOP_PUT_BACK && !is_our_stop(run, task))
            run->stop = STOP_STATUS;
    }
}

/* ---- runtime properties ---- */

/* next_start: of another attempt, 0 if none follows. */
static void set_properties(cJSON *runtime, const struct run *run, int64_t next_start)
{
    char text[RESTART_TEXT_SIZE];
    json_set_int(runtime, "reeve.attempt", run->attempt + (next_start ? 1 : 0));
    json_set_int(runtime, "reeve.restarts", run->restarts + (next_start ? 1 : 0));
    json_set_str(
        runtime, "reeve.restart",
        restart_policy_text(run->policy.restart, run->policy.restart_max, text));
    json_set_str(runtime, "reeve.last_reason", run->verdict.reason);
    json_set_str(runtime, "reeve.last_text", run->verdict.text);
    json_set_time(runtime, "reeve.next_start", next_start);
}

/* tasks.edit replaces the whole dictionary, so what was there goes along (tasks.edit,
 * clearml-server); while a payload runs that could undo what it sets itself. */
static void write_runtime(struct run *run, const cJSON *task, int64_t next_start,
                          api_done_f done)
{
    const cJSON *old = json_get(task, "runtime");
    cJSON *runtime =
        cJSON_IsObject(old) ? cJSON_Duplicate(old, true) : cJSON_CreateObject();
    set_properties(runtime, run, next_start);
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "task", run->id);
    json_set_bool(body, "force", true);
    json_set(body, "runtime", runtime);
    run->call = api_send(run->master->api, NULL, "tasks.edit", body, &once, done, run);
}

/* Of a run that ended well at once its status says all; one that was reset, or waits in
 * a queue for its next run, is not ours to write to. */
static bool has_more_to_say(const struct run *run, const cJSON *task)
{
    if (!task || has_status(task, "created") || has_status(task, "queued") ||
        (run->stop == STOP_STATUS && has_status(task, "in_progress")))
        return false;
    return run->attempt > 1 || !verdict_success(&run->verdict) || run->final_known ||
           json_get(json_get(task, "runtime"), "reeve.attempt");
}

static int64_t report_wait(struct run *run)
{
    unsigned tries = run->report_tries++;
    return run->master->waits.again_ms << (tries < REPORT_SHIFT ? tries : REPORT_SHIFT);
}

/* ---- the first attempt of an adopted claim ---- */

/* In the list's answer a task may be missing for other reasons than that it is gone, so
 * such a one is begun, and watched like any other. */
static void on_claim_look(void *arg, const struct api_reply *r)
{
    static const struct reeve_error none = {0};
    struct run *run = arg;
    run->call = NULL;
    const cJSON *task = cJSON_GetArrayItem(json_get(r->data, "tasks"), 0);
    if (r->result != API_OK) {
        run_arm(run, report_wait(run), run_adopted_launch);
        return;
    }
    run->report_tries = 0;
    if (task && has_status(task, "created"))
        run_stop(run, STOP_RESET, -1, "the task was reset on the server");
    else if (task)
        watch_judge(run, task);
    if (run->stop == STOP_NONE)
        run_first_launch(run, &none);
}

void run_adopted_launch(struct run *run)
{
    static const struct api_options safe = {.retry = API_RETRY_SAFE};
    ask(run, &safe, on_claim_look);
}

/* ---- another attempt ---- */

static void on_runtime(void *arg, const struct api_reply *r)
{
    struct run *run = arg;
    run->call = NULL;
    if (r->result != API_OK)
        log_debug("task=%s tasks.edit runtime: %s", run->id, r->message);
    run_decide(run, true);
}

/* Only this answer is certain: a list may leave a task out for other reasons. */
static void on_missing(void *arg, const struct api_reply *r)
{
    struct run *run = arg;
    run->call = NULL;
    bool deleted = r->result == API_REFUSED && r->code == 400 && r->subcode == 101;
    if (deleted)
        run_stop(run, STOP_DELETED, -1, "the task was deleted on the server");
    run_decide(run, !deleted);
}

static void ask_missing(struct run *run)
{
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "task", run->id);
    run->call = api_send(run->master->api, NULL, "tasks.get_by_id", body, &once,
                         on_missing, run);
}

static void on_go_on(void *arg, const struct api_reply *r)
{
    struct run *run = arg;
    run->call = NULL;
    const cJSON *task = cJSON_GetArrayItem(json_get(r->data, "tasks"), 0);
    if (r->result != API_OK) {
        /* The server is away; whether the task was aborted meanwhile shows at the next
         * look. */
        run_decide(run, true);
        return;
    }
    if (!task) {
        ask_missing(run);
        return;
    }
    take_answer(run, task);
    if (!run->final_known && run->stop != STOP_STATUS) {
        write_runtime(run, task, run->due_ms, on_runtime);
        return;
    }
    log_info("task=%s is %s by its own word: no restart", run->id,
             json_str(task, "status", "?"));
    run->looked = false; /* what there is to say is written at its end */
    run_decide(run, false);
}

void run_ask_to_go_on(struct run *run)
{
    ask(run, &once, on_go_on);
}

/* ---- ACTION_REPORT ---- */

static void put_back(struct run *run);

static void on_put_back(void *arg, const struct api_reply *r)
{
    struct run *run = arg;
    run->call = NULL;
    bool refused = r->result == API_REFUSED && r->code == 400;
    if (r->result != API_OK && !refused) {
        run_arm(run, report_wait(run), put_back);
        return;
    }
    if (refused)
        /* It is queued, or at work elsewhere, by a try without an answer. */
        log_info("task=%s not put back into its queue: %s", run->id, r->message);
    else
        log_info("task=%s put back into queue %s", run->id, run->queue_name);
    run_post(run, RUN_EVENT_REPORTED);
}

static void put_back(struct run *run)
{
    static const struct api_options safe = {.retry = API_RETRY_SAFE};
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "task", run->id);
    json_set_str(body, "queue", run->queue);
    json_set_str(body, "status_reason", "put back by reeve drain");
    run->call = api_send(run->master->api, NULL, "tasks.enqueue", body, &safe,
                         on_put_back, run);
}

/* The server has the final status. */
static void told(struct run *run)
{
    if (run->stop == STOP_PUT_BACK && run->queue && run->queue[0])
        put_back(run);
    else
        run_post(run, RUN_EVENT_REPORTED);
}

static void on_final(void *arg, const struct api_reply *r)
{
    struct run *run = arg;
    run->call = NULL;
    bool refused = r->result == API_REFUSED && r->code == 400;
    if (r->result != API_OK && !refused) {
        /* Its own failure, a rejected login: it does not have the status. */
        if (!run->report_tries)
            log_warn("task=%s the final status is not told yet: %s", run->id,
                     r->message);
        run_arm(run, report_wait(run), run_act_report);
        return;
    }
    if (refused)
        /* 400/110: somebody has set a final status since the look: it stands. */
        log_info("task=%s the server keeps its own status: %s", run->id, r->message);
    if (refused && run->stop == STOP_PUT_BACK)
        run->stop = STOP_STATUS;
    told(run);
}

static void on_last_runtime(void *arg, const struct api_reply *r)
{
    struct run *run = arg;
    run->call = NULL;
    if (r->result != API_OK)
        log_debug("task=%s tasks.edit runtime: %s", run->id, r->message);
    run_act_report(run);
}

static void on_look(void *arg, const struct api_reply *r)
{
    struct run *run = arg;
    run->call = NULL;
    const cJSON *task = cJSON_GetArrayItem(json_get(r->data, "tasks"), 0);
    if (r->result != API_OK) {
        run_arm(run, report_wait(run), run_act_report);
        return;
    }
    take_answer(run, task);
    if (has_more_to_say(run, task))
        write_runtime(run, task, 0, on_last_runtime);
    else
        run_act_report(run);
}

static void send_final(struct run *run, const char *endpoint)
{
    char message[768], worker[256];
    bool success = verdict_success(&run->verdict);
    bool claim = run->stop == STOP_PUT_BACK && run->claim[0];
    snprintf(message, sizeof message, RUN_CHANGED_WORDS "%s%s%s%s%s%s",
             run_worker(run, worker), claim ? RUN_CLAIM_WORDS : "",
             claim ? run->claim : "", claim ? "]" : "", success ? "" : ": ",
             success ? "" : run->verdict.text);
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "task", run->id);
    json_set_str(body, "status_reason", run->verdict.reason);
    json_set_str(body, "status_message", message);
    struct api_options options = {.retry = API_RETRY_SAFE};
    run->call =
        api_send(run->master->api, NULL, endpoint, body, &options, on_final, run);
}

void run_act_report(struct run *run)
{
    static const struct api_options safe = {.retry = API_RETRY_SAFE};
    const char *endpoint = run_final_call(run);
    bool silent = run->stop == STOP_RESET || run->stop == STOP_DELETED ||
                  run->master->options->unmonitored;
    if (!run->looked && !silent)
        ask(run, &safe, on_look);
    else if (endpoint)
        send_final(run, endpoint);
    else
        told(run);
}
