/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* - Strict priority: every round begins at the first queue; in turn: after the one that
 * gave last.
 * - A look is asked for again at once after a hit. With an idle queue it is a long poll
 * where the server announces that ("wait"), one for each queue; else one look each
 * polling interval.
 * - A queue that is not there (any more) is passed over and looked for again at the
 * polling interval; the others are served meanwhile.
 * - While this host takes nothing, nothing is asked for. What a task needs is read
 * before it is popped: one that does not fit stays in the queue, for others, and keeps
 * what is behind it waiting, since only a head can be taken for certain; other queues
 * are served meanwhile.
 * - A server with the extension "behind" also tells what stands behind the head, and
 * pops what was seen there: what fits is claimed at once, in the queue's order, and the
 * intents share a sync, the pops a commit. In turn each look takes one. */

#include "master/pull-internal.h"

#include "base/alloc.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "master/drain.h"
#include "master/quota.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 9000 /* clients and proxies cut at 10 s */
#define TOGETHER 32  /* claims of one look */

/* Whether this host takes any task; what keeps it from that is said when it begins and
 * when it ends. Slots that are all taken are the rule, and shown by status alone. */
static bool has_room(struct pull *p)
{
    struct master *m = p->master;
    if (drain_active(m->drain) || !admit_starts_left(m->admit))
        return false;
    const char *why = admit_host_full(m->admit);
    bool said = p->closed[0];
    if (why && !admit_slots_full(m->admit, NULL, NULL)) {
        if (!said)
            log_warn("no more tasks are taken for now: %s", why);
        snprintf(p->closed, sizeof p->closed, "%s", why);
    } else if (!why && said) {
        log_info("tasks are taken again");
        p->closed[0] = '\0';
    }
    return !why;
}

void pull_arm(struct pull *p, int64_t ms)
{
    ev_now_update(p->master->loop);
    ev_timer_stop(p->master->loop, &p->timer);
    ev_timer_set(&p->timer, (double)ms / 1000.0, 0.0);
    ev_timer_start(p->master->loop, &p->timer);
}

/* ---- looking ---- */

static void head_found(struct pull *p, const char *task, const cJSON *reply);

static void begin_round(struct pull *p, size_t at)
{
    ev_timer_stop(p->master->loop, &p->timer);
    p->at = at;
    p->tried = 0;
    p->again = false;
}

/* Whether the head of this queue is the next one to be looked at: a queue whose wait is
 * under way has nothing, as far as anyone knows. */
static bool is_next(struct pull *p, const struct queue *q)
{
    if (!p->ready || p->stopped || p->call || p->claiming || !has_room(p) ||
        admit_queue_full(p->master->admit, q->id, q->name))
        return false;
    for (const struct queue *higher = p->queues;
         higher < q && !p->master->options->order_fairness; higher++)
        if (!higher->wait)
            return false;
    return true;
}

static void on_waited(void *arg, const struct api_reply *r)
{
    struct queue *q = arg;
    struct pull *p = q->pull;
    q->wait = NULL;
    const char *task = json_str(r->data, "task", "");
    /* A task: it need not be looked for again. None: ask on. A failure: at the polling
     * interval. */
    if (r->result == API_OK && id_valid(task) && strlen(task) < TASK_ID_SIZE &&
        is_next(p, q)) {
        begin_round(p, (size_t)(q - p->queues));
        q->blocked[0] = '\0';
        head_found(p, task, r->data);
    } else if (r->result == API_OK) {
        pull_look(p);
    } else if (!ev_is_active(&p->timer)) {
        pull_arm(p, p->master->waits.poll_ms);
    }
}

static bool any_blocked(const struct pull *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->queues[i].blocked[0])
            return true;
    return false;
}

/* The extensions "needs" (the head's come with it) and "behind". What is behind is of
 * no use before it is known whether it fits. */
static void ask_for_more(const struct pull *p, cJSON *body)
{
    struct master *m = p->master;
    bool asks = admit_asks(m->admit), needs = api_has_extension(m->api, "needs");
    unsigned room = admit_slots_free(m->admit), starts = admit_starts_left(m->admit);
    room = room < starts ? room : starts;
    if (asks && needs)
        json_set_bool(body, "needs", true);
    if ((asks && !needs) || m->options->order_fairness || room < 2 ||
        !api_has_extension(m->api, "behind"))
        return;
    json_set_int(body, "behind", (room < TOGETHER ? room : TOGETHER) - 1);
}

static void wait_for_tasks(struct pull *p)
{
    bool wait = api_has_extension(p->master->api, "wait");
    if (!wait || pull_queues_found(p) < p->count || any_blocked(p))
        pull_arm(p, p->master->waits.poll_ms);
    if (!wait)
        return;
    struct api_options options = {.timeout_ms = WAIT_MS + 5000, .held = true};
    for (size_t i = 0; i < p->count; i++) {
        struct queue *q = &p->queues[i];
        /* Of a queue that has an entry already a wait would answer at once. */
        if (q->wait || !q->id || q->blocked[0])
            continue;
        cJSON *body = cJSON_CreateObject();
        json_set_str(body, "queue", q->id);
        json_set_int(body, "wait", WAIT_MS);
        ask_for_more(p, body);
        q->wait = api_send(p->master->api, NULL, "queues.peek_task", body, &options,
                           on_waited, q);
    }
}

static void peek_at(struct pull *p);

static void round_over(struct pull *p, bool hit)
{
    p->tried = 0;
    if (hit || p->again) {
        p->again = false;
        pull_look(p);
        return;
    }
    wait_for_tasks(p);
}

static void next_queue(struct pull *p)
{
    p->at = (p->at + 1) % p->count;
    if (++p->tried >= p->count)
        round_over(p, false);
    else
        peek_at(p);
}

/* The queue was deleted: one of its name may come back with another id. */
static void queue_lost(struct pull *p, const char *why)
{
    struct queue *q = &p->queues[p->at];
    log_warn("queue %s id=%s: %s; looking for it by its name", q->name, q->id, why);
    if (q->wait)
        api_cancel(q->wait);
    q->wait = NULL;
    free(q->id);
    q->id = NULL;
    q->told = true;
    p->known = false;
    next_queue(p);
}

void pull_look_later(struct pull *p)
{
    p->tried = 0;
    p->again = false;
    pull_arm(p, p->master->waits.poll_ms);
}

static void on_popped(void *arg, bool sound)
{
    struct pull *p = arg;
    p->unsound = p->unsound || !sound;
    if (--p->claiming)
        return;
    if (p->unsound)
        pull_look_later(p);
    else
        round_over(p, true);
}

/* The head of the queue is at work here already: its next run starts when this one is
 * gone, so for now there is nothing to take. */
static const char *busy_here(const struct pull *p, const char *task)
{
    return runs_find(p->master->runs, task)
               ? "the earlier run of its first task is not over"
           : claims_busy(p->claims, task) ? "its first task was asked for already"
                                          : NULL;
}

static void on_plain_pop(void *arg, const struct api_reply *r)
{
    struct pull *p = arg;
    p->call = NULL;
    const char *task = json_str(json_get(r->data, "entry"), "task", "");
    struct queue *q = &p->queues[p->at];
    if (r->result == API_OK && id_valid(task)) {
        p->start = (p->at + 1) % p->count;
        claim_popped(p->claims, q->id, q->name, task);
        round_over(p, true);
    } else if (r->result == API_REFUSED && r->code == 400) {
        queue_lost(p, r->message);
    } else if (r->result != API_OK) {
        pull_look_later(p);
    } else {
        next_queue(p);
    }
}

/* Nothing of this queue is taken now: the others. */
static void block(struct pull *p, const char *why)
{
    struct queue *q = &p->queues[p->at];
    snprintf(q->blocked, sizeof q->blocked, "%s", why);
    next_queue(p);
}

void pull_hold_head(struct pull *p, const char *why, bool warn)
{
    struct queue *q = &p->queues[p->at];
    void (*say)(const char *, ...) = warn ? log_warn : log_info;
    if (strcmp(q->held, p->head) != 0)
        say("task=%s stays in queue %s, and what is behind it waits: %s", p->head,
            q->name, why);
    snprintf(q->held, sizeof q->held, "%s", p->head);
    block(p, why);
}

void pull_take(struct pull *p, const struct need *need)
{
    struct queue *q = &p->queues[p->at];
    p->start = (p->at + 1) % p->count;
    p->unsound = p->claiming && p->unsound;
    p->claiming++;
    claim_begin(p->claims, q->id, q->name, p->head, need, on_popped, p);
}

static enum admit_answer admit(struct pull *p, const cJSON *task, struct need *need,
                               char why[ADMIT_TEXT_SIZE])
{
    const struct queue *q = &p->queues[p->at];
    struct quota_queue names = {q->id, q->name};
    return admit_task(p->master->admit, task, &names, need, why);
}

/* One that is gone meanwhile (NULL) is not popped either. One that is never to run here
 * is taken, to be failed with that as its reason. */
static void judge_head(struct pull *p, const cJSON *task)
{
    char why[ADMIT_TEXT_SIZE];
    struct need need = {0};
    const char *busy = busy_here(p, p->head);
    enum admit_answer answer = task ? admit(p, task, &need, why) : ADMIT_YES;
    if (busy)
        block(p, busy);
    else if (answer == ADMIT_LATER)
        pull_hold_head(p, why, false);
    else if (answer == ADMIT_OTHERS)
        pull_ask_others(p, &need, why);
    else
        pull_take(p, &need);
}

/* Those behind the head, once that is taken, until one cannot be: the next look says
 * why. */
static void take_behind(struct pull *p, const cJSON *list)
{
    const cJSON *entry;
    char why[ADMIT_TEXT_SIZE];
    struct queue *q = &p->queues[p->at];
    cJSON_ArrayForEach(entry, list)
    {
        const char *task = json_str(entry, "task", "");
        const cJSON *needs = json_get(entry, "needs");
        struct need need = {0};
        if (!id_valid(task) || strlen(task) >= TASK_ID_SIZE || busy_here(p, task) ||
            !has_room(p) || admit_queue_full(p->master->admit, q->id, q->name) ||
            (needs && admit(p, needs, &need, why) != ADMIT_YES))
            return;
        snprintf(p->head, sizeof p->head, "%s", task);
        pull_take(p, &need);
    }
}

static void on_needs(void *arg, const struct api_reply *r)
{
    struct pull *p = arg;
    p->call = NULL;
    if (r->result != API_OK)
        pull_look_later(p);
    else if (!p->stopped && !drain_active(p->master->drain))
        judge_head(p, cJSON_GetArrayItem(json_get(r->data, "tasks"), 0));
}

/* Only what a quota is made of: a script may have megabytes. */
static void ask_needs(struct pull *p)
{
    static const char *const wanted[] = {"container.arguments",
                                         "hyperparams.properties"};
    cJSON *body = cJSON_CreateObject();
    const char *ids[] = {p->head};
    json_set(body, "id", cJSON_CreateStringArray(ids, 1));
    json_set(body, "only_fields", cJSON_CreateStringArray(wanted, 2));
    json_set_bool(body, "search_hidden", true);
    p->call = api_send(p->master->api, NULL, "tasks.get_all", body, NULL, on_needs, p);
}

/* reply: of the look, with what it tells beside the task. */
static void head_found(struct pull *p, const char *task, const cJSON *reply)
{
    struct need none = {0};
    const cJSON *needs = json_get(reply, "needs");
    snprintf(p->head, sizeof p->head, "%s", task);
    const char *busy = busy_here(p, task);
    if (busy)
        block(p, busy);
    else if (needs)
        judge_head(p, needs);
    else if (admit_asks(p->master->admit))
        ask_needs(p);
    else
        pull_take(p, &none);
    if (p->claiming)
        take_behind(p, json_get(reply, "behind"));
}

static void on_peek(void *arg, const struct api_reply *r)
{
    struct pull *p = arg;
    p->call = NULL;
    const char *task = json_str(r->data, "task", "");
    if (r->result == API_REFUSED && r->code == 404) {
        log_warn(
            "the server has no queues.peek_task: tasks are popped without an intent");
        p->plain = true;
        peek_at(p);
    } else if (r->result == API_REFUSED && r->code == 400) {
        queue_lost(p, r->message);
    } else if (r->result != API_OK) {
        pull_look_later(p);
    } else if (p->stopped || drain_active(p->master->drain)) {
        return;
    } else if (id_valid(task) && strlen(task) < TASK_ID_SIZE) {
        head_found(p, task, r->data);
    } else {
        next_queue(p);
    }
}

static void peek_at(struct pull *p)
{
    struct queue *q = &p->queues[p->at];
    q->blocked[0] = '\0';
    /* A wait under way says it as soon as there is something. */
    if (!q->id || q->wait) {
        next_queue(p);
        return;
    }
    const char *full = admit_queue_full(p->master->admit, q->id, q->name);
    if (full) {
        block(p, full);
        return;
    }
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "queue", q->id);
    if (p->plain) {
        p->call = api_send(p->master->api, "2.14", "queues.get_next_task", body, NULL,
                           on_plain_pop, p);
        return;
    }
    ask_for_more(p, body);
    p->call =
        api_send(p->master->api, NULL, "queues.peek_task", body, NULL, on_peek, p);
}

void pull_look(struct pull *p)
{
    if (!p->ready || p->stopped)
        return;
    if (p->call || p->claiming) {
        p->again = true;
        return;
    }
    if (!has_room(p)) {
        pull_arm(p, p->master->waits.poll_ms);
        return;
    }
    begin_round(p, p->master->options->order_fairness ? p->start : 0);
    peek_at(p);
}

static void pull_timer_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct pull *p = w->data;
    bool busy = p->call || p->claiming;
    if (!p->ready && busy)
        return; /* its answer goes on */
    if (p->ready && (busy || pull_queues_found(p) == p->count)) {
        pull_look(p);
        return;
    }
    /* While queues are looked for, nothing is peeked at: one call at a time. */
    p->ready = false;
    if (p->resolving >= p->count)
        p->resolving = 0;
    pull_resolve(p);
}

/* ---- interface ---- */

struct pull *pull_create(struct master *m)
{
    struct pull *p = xcalloc(1, sizeof *p);
    p->master = m;
    p->count =
        m->options->queue_count || m->options->task ? m->options->queue_count : 1;
    p->queues = xcalloc(p->count, sizeof *p->queues);
    for (size_t i = 0; i < p->count; i++) {
        p->queues[i].pull = p;
        if (m->options->queue_count)
            p->queues[i].name = xstrdup(m->options->queues[i]);
    }
    p->claims = claims_create(m);
    ev_init(&p->timer, pull_timer_cb);
    p->timer.data = p;
    return p;
}

void pull_destroy(struct pull *p)
{
    if (!p)
        return;
    p->stopped = true;
    ev_timer_stop(p->master->loop, &p->timer);
    if (p->call)
        api_cancel(p->call);
    if (p->names)
        api_cancel(p->names);
    claims_destroy(p->claims);
    for (size_t i = 0; i < p->count; i++) {
        if (p->queues[i].wait)
            api_cancel(p->queues[i].wait);
        free(p->queues[i].name);
        free(p->queues[i].id);
    }
    free(p->queues);
    free(p);
}

int pull_start(struct pull *p, struct reeve_error *err)
{
    const struct options *o = p->master->options;
    if (claims_recover(p->claims, err) < 0)
        return -1;
    if (!o->task)
        pull_resolve(p);
    else if (!runs_find(p->master->runs, o->task) && !claims_busy(p->claims, o->task))
        claim_direct(p->claims, o->task, o->require_queue);
    return 0;
}

static void cancel_waits(struct pull *p)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->queues[i].wait)
            api_cancel(p->queues[i].wait);
        p->queues[i].wait = NULL;
    }
}

void pull_stop(struct pull *p)
{
    p->stopped = true;
    ev_timer_stop(p->master->loop, &p->timer);
    cancel_waits(p);
}

void pull_wake(struct pull *p)
{
    pull_look(p);
}

/* What waits for an answer may wait on a connection that is none any more. */
void pull_server_back(struct pull *p)
{
    cancel_waits(p);
    pull_look(p);
}

/* Perhaps the earlier run of a task that heads a queue. */
void pull_run_gone(struct pull *p)
{
    if (any_blocked(p))
        pull_look(p);
}

bool pull_has_room(struct pull *p)
{
    return !p->stopped && has_room(p);
}

unsigned pull_claims(const struct pull *p)
{
    return claims_count(p->claims);
}

const char *pull_waits_for(const struct pull *p, const char *queue)
{
    struct master *m = p->master;
    const char *closed = drain_active(m->drain)
                             ? "this host takes no more tasks (reeve drain)"
                             : admit_host_full(m->admit);
    if (closed && (!queue || pull_queue_name(p, queue)))
        return closed;
    for (size_t i = 0; i < p->count; i++)
        if (p->queues[i].id && p->queues[i].blocked[0] &&
            (!queue || strcmp(p->queues[i].id, queue) == 0))
            return p->queues[i].blocked;
    return NULL;
}

const char *pull_queue_name(const struct pull *p, const char *queue)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->queues[i].id && strcmp(p->queues[i].id, queue) == 0)
            return p->queues[i].name;
    return NULL;
}

cJSON *pull_queue_ids(const struct pull *p)
{
    cJSON *ids = cJSON_CreateArray();
    for (size_t i = 0; i < p->count; i++)
        if (p->queues[i].id)
            cJSON_AddItemToArray(ids, cJSON_CreateString(p->queues[i].id));
    return ids;
}

cJSON *pull_queues(const struct pull *p)
{
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < p->count; i++) {
        cJSON *q = cJSON_CreateObject();
        cJSON_AddItemToArray(list, q);
        json_set_str(q, "id", p->queues[i].id);
        json_set_str(q, "name", p->queues[i].name);
        const char *blocked = p->queues[i].blocked;
        json_set_str(q, "blocked", blocked[0] ? blocked : NULL);
    }
    return list;
}
