/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* A pop has no answer and the task is not the head of its queue.
 *
 * - In progress with our intent's id in its status_message: the claim was carried out,
 * and its answer or the master that sent it was lost. Ours.
 * - Two hosts may have peeked the same head, so "queued, and in no queue" alone does
 * not make it ours: wait, put our mark into status_message, wait again, read. Still
 * queued and still our mark: ours. A host with a certain pop has moved the task to
 * in_progress long before the first wait is over.
 * - In a queue still, behind others: the unanswered pop may be carried out when it is
 * the head, so the intent stays, but not its slot, which those before it may need. When
 * the pull finds it at the head, the conditional pop is sent again; of a queue that is
 * not served here any more it is sent without that.
 * - What is no answer to the question (a failure, a rejected login) settles nothing,
 * and is asked again. */

#include "master/claim-internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define QUEUES_PAGE 50

static char *mark_dup(const struct claim *c)
{
    char host[64] = "";
    gethostname(host, sizeof host - 1);
    return xasprintf("reeve:%s:%s:%s", host, c->master->boot, c->intent);
}

static void ask_task(struct claim *c, api_done_f done)
{
    cJSON *body = cJSON_CreateObject();
    cJSON *ids = json_set(body, "id", cJSON_CreateArray());
    cJSON_AddItemToArray(ids, cJSON_CreateString(c->task));
    json_set_bool(body, "search_hidden", true);
    struct api_options options = {.retry = API_RETRY_SAFE};
    cJSON *fields = json_set(body, "only_fields", cJSON_CreateArray());
    cJSON_AddItemToArray(fields, cJSON_CreateString("status"));
    cJSON_AddItemToArray(fields, cJSON_CreateString("status_message"));
    c->call = api_send(c->master->api, NULL, "tasks.get_all", body, &options, done, c);
}

/* NULL if there is no such task. */
static const cJSON *task_of(const struct api_reply *r)
{
    return cJSON_GetArrayItem(json_get(r->data, "tasks"), 0);
}

static bool still_queued(const struct api_reply *r)
{
    return strcmp(json_str(task_of(r), "status", ""), "queued") == 0;
}

static bool claimed_already(const struct claim *c, const struct api_reply *r)
{
    return strcmp(json_str(task_of(r), "status", ""), "in_progress") == 0 &&
           strstr(json_str(task_of(r), "status_message", ""), c->intent);
}

/* Only this answer is certain: a list may leave a task out for other reasons. */
static void on_missing(void *arg, const struct api_reply *r)
{
    struct claim *c = arg;
    c->call = NULL;
    if (claim_refused(r))
        claim_drop(c, "it is gone");
    else
        claim_later(c, c->master->waits.again_ms, claim_settle);
}

static void ask_missing(struct claim *c)
{
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "task", c->task);
    c->call =
        api_send(c->master->api, NULL, "tasks.get_by_id", body, NULL, on_missing, c);
}

static void read_back(struct claim *c);
static void second_look(struct claim *c);

/* True if the reply settles it one way or the other, or settles nothing. */
static bool settled(struct claim *c, const struct api_reply *r,
                    void (*again)(struct claim *))
{
    if (r->result != API_OK) {
        claim_again(c, r, again);
    } else if (!task_of(r)) {
        ask_missing(c);
    } else if (claimed_already(c, r) && runs_find(c->master->runs, c->task)) {
        claim_drop(c, "its run is there");
    } else if (claimed_already(c, r)) {
        log_info("task=%s settled: its claim was carried out", c->task);
        claim_hold(c);
        claim_fetch(c);
    } else if (!still_queued(r)) {
        claim_drop(c, "another agent has it, or it waits for nobody any more");
    } else {
        return false;
    }
    return true;
}

static void on_read_back(void *arg, const struct api_reply *r)
{
    struct claim *c = arg;
    c->call = NULL;
    if (settled(c, r, read_back))
        return;
    auto_free char *mark = mark_dup(c);
    if (strcmp(json_str(task_of(r), "status_message", ""), mark) != 0) {
        claim_drop(c, "another agent settles it");
        return;
    }
    log_info("task=%s settled: ours", c->task);
    c->sure_ms = clock_boot_ms();
    claim_take(c);
}

static void read_back(struct claim *c)
{
    ask_task(c, on_read_back);
}

static void on_marked(void *arg, const struct api_reply *r)
{
    struct claim *c = arg;
    c->call = NULL;
    if (claim_refused(r))
        claim_drop(c, r->message);
    else if (r->result != API_OK)
        claim_again(c, r, second_look);
    else
        claim_later(c, c->master->waits.settle_ms, read_back);
}

static void on_second_look(void *arg, const struct api_reply *r)
{
    struct claim *c = arg;
    c->call = NULL;
    if (settled(c, r, second_look))
        return;
    cJSON *body = cJSON_CreateObject();
    auto_free char *mark = mark_dup(c);
    json_set_str(body, "task", c->task);
    json_set_str(body, "status_message", mark);
    struct api_options options = {.retry = API_RETRY_SAFE};
    c->call =
        api_send(c->master->api, NULL, "tasks.update", body, &options, on_marked, c);
}

static void second_look(struct claim *c)
{
    ask_task(c, on_second_look);
}

static bool entries_have(const cJSON *queues, const char *task)
{
    const cJSON *q, *e;
    cJSON_ArrayForEach(q, queues)
    {
        cJSON_ArrayForEach(e, json_get(q, "entries"))
        {
            if (strcmp(json_str(e, "task", ""), task) == 0)
                return true;
        }
    }
    return false;
}

static void ask_queues(struct claim *c);

static void on_queues(void *arg, const struct api_reply *r)
{
    struct claim *c = arg;
    const cJSON *queues = json_get(r->data, "queues");
    c->call = NULL;
    if (r->result != API_OK) {
        claim_again(c, r, claim_settle);
        return;
    }
    if (entries_have(queues, c->task)) {
        claim_wait(c);
        return;
    }
    if (cJSON_GetArraySize(queues) >= QUEUES_PAGE) {
        c->page++;
        ask_queues(c);
        return;
    }
    claim_hold(c);
    int64_t waited = clock_wall_ms() - c->intent_ms;
    int64_t wait = c->master->waits.settle_ms;
    if (waited < 0) /* a clock was set back */
        waited = 0;
    claim_later(c, waited < wait ? wait - waited : 0, second_look);
}

/* No call answers "in which queue is it": all are looked through, page by page, since
 * the server silently caps there, and a queue may have very many entries. */
static void ask_queues(struct claim *c)
{
    static const char *const wanted[] = {"id", "entries.task"}, *const order[] = {"id"};
    cJSON *body = cJSON_CreateObject();
    json_set(body, "only_fields", cJSON_CreateStringArray(wanted, 2));
    json_set(body, "order_by", cJSON_CreateStringArray(order, 1));
    json_set_int(body, "page", c->page);
    json_set_int(body, "page_size", QUEUES_PAGE);
    json_set_bool(body, "search_hidden", true);
    struct api_options options = {.retry = API_RETRY_SAFE};
    c->call =
        api_send(c->master->api, NULL, "queues.get_all", body, &options, on_queues, c);
}

static void on_first_look(void *arg, const struct api_reply *r)
{
    struct claim *c = arg;
    c->call = NULL;
    c->page = 0;
    if (!settled(c, r, claim_settle))
        ask_queues(c);
}

/* Nobody looks into its queue but for it: the pop is asked for as soon as there is
 * room. */
static void look_again(struct claim *c)
{
    struct pull *pull = c->master->pull;
    if (pull_queue_name(pull, c->queue) || !pull_has_room(pull)) {
        claim_settle(c);
        return;
    }
    claim_hold(c);
    claim_pop(c);
}

void claim_wait(struct claim *c)
{
    struct master *m = c->master;
    bool began = !c->waiting;
    c->waiting = true;
    claim_later(c, m->waits.poll_ms, look_again);
    if (!began)
        return;
    admit_release(m->admit, &c->promise);
    pull_wake(m->pull);
    master_run_gone(m);
}

void claim_settle(struct claim *c)
{
    /* What was learnt of it may be another's by the time it is taken. */
    cJSON_Delete(c->document);
    c->document = NULL;
    c->started = false;
    claim_tell_popped(c, true);
    ask_task(c, on_first_look);
}
