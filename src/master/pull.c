/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* - Strict priority: every round begins at the first queue; in turn: after the one that
 * gave last.
 * - A look is asked for again at once after a hit. With an idle queue it is a long poll
 * where the server announces that ("wait"), one for each queue; else one look each
 * polling interval.
 * - A queue that is not there (any more) is passed over and looked for again at the
 * polling interval; the others are served meanwhile.
 * - While all slots are taken nothing is asked for: a task that this host cannot hold
 * stays in the queue for another. */

#include "master/pull.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "master/claim.h"
#include "master/drain.h"
#include "master/master.h"
#include "master/report.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WAIT_MS 9000 /* clients and proxies cut at 10 s */

struct queue {
    struct pull *pull;
    char *name; /* as asked for; the server's once it is known */
    char *id;   /* NULL until found */
    bool told;  /* that it is missing */
    struct api_call *wait;
};

struct pull {
    struct master *master;
    struct queue *queues;
    size_t count;
    size_t resolving; /* index of the queue that is being found */
    bool known;       /* the server was told which queues there are */
    bool ready, stopped, again;
    bool claiming;           /* a pop is under way */
    bool held;               /* the head of a queue waits for its own last run */
    bool plain;              /* the server has no peek: pop at once */
    size_t start, at, tried; /* of the round under way */
    struct api_call *call;
    ev_timer timer;
    struct claims *claims;
};

static void look(struct pull *p);
static void resolve_next(struct pull *p);

static unsigned slots_used(const struct pull *p)
{
    unsigned used = claims_count(p->claims);
    for (struct run *run = runs_first(p->master->runs); run; run = run->list_next)
        if (run->phase < PHASE_DRAINING && !claims_has(p->claims, run->id))
            used++;
    return used;
}

static bool has_room(const struct pull *p)
{
    if (drain_active(p->master->drain))
        return false;
    return !p->master->capacity || slots_used(p) < p->master->capacity;
}

static void arm(struct pull *p, int64_t ms)
{
    ev_now_update(p->master->loop);
    ev_timer_stop(p->master->loop, &p->timer);
    ev_timer_set(&p->timer, (double)ms / 1000.0, 0.0);
    ev_timer_start(p->master->loop, &p->timer);
}

/* ---- finding the queues ---- */

/* The server reads `name` as a regular expression; the official agent sends
 * re.escape(name). */
static char *regex_escape_dup(const char *name)
{
    auto_buf out = BUF_INIT;
    for (const char *c = name; *c; c++) {
        if (!isalnum((unsigned char)*c) && *c != '_' && (unsigned char)*c < 0x80)
            buf_add_char(&out, '\\');
        buf_add_char(&out, *c);
    }
    return buf_take(&out);
}

/* clearml-agent takes for an id what matches ^[-a-f0-9]{30,}$. */
static bool looks_like_id(const char *name)
{
    size_t n = strspn(name, "-abcdef0123456789");
    return n >= 30 && name[n] == '\0';
}

static size_t queues_found(const struct pull *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->count; i++)
        n += p->queues[i].id != NULL;
    return n;
}

/* No answer: the same queue again, later. */
static void resolve_later(struct pull *p)
{
    arm(p, p->master->waits.poll_ms);
}

/* It is not there: the others first. */
static void resolve_other(struct pull *p)
{
    p->resolving++;
    resolve_next(p);
}

static void on_created(void *arg, const struct api_reply *r)
{
    struct pull *p = arg;
    p->call = NULL;
    struct queue *q = &p->queues[p->resolving];
    if (r->result == API_OK) {
        log_info("queue %s created", q->name);
        resolve_next(p);
    } else {
        log_warn("queue %s: %s", q->name, r->message);
        resolve_other(p);
    }
}

static void queue_missing(struct pull *p, struct queue *q)
{
    if (p->master->options->create_queue) {
        cJSON *body = cJSON_CreateObject();
        json_set_str(body, "name", q->name);
        p->call =
            api_send(p->master->api, NULL, "queues.create", body, NULL, on_created, p);
        return;
    }
    if (!q->told)
        log_error(
            "there is no queue named %s on the server: create it (reeve queue create "
            "%s) or start with --create-queue; looking again",
            q->name, q->name);
    q->told = true;
    resolve_other(p);
}

static void queue_found(struct pull *p, struct queue *q, const cJSON *doc)
{
    free(q->name);
    free(q->id);
    q->name = xstrdup(json_str(doc, "name", "?"));
    q->id = xstrdup(json_str(doc, "id", ""));
    q->told = false;
    p->known = false;
    log_info("queue %s id=%s", q->name, q->id);
    p->resolving++;
    resolve_next(p);
}

static void on_queues(void *arg, const struct api_reply *r)
{
    struct pull *p = arg;
    p->call = NULL;
    if (r->result != API_OK) {
        resolve_later(p);
        return;
    }
    struct queue *q = &p->queues[p->resolving];
    bool by_id = looks_like_id(q->name);
    const cJSON *doc;
    cJSON_ArrayForEach(doc, json_get(r->data, "queues"))
    {
        if (id_valid(json_str(doc, "id", "")) &&
            (by_id || strcasecmp(json_str(doc, "name", ""), q->name) == 0)) {
            queue_found(p, q, doc);
            return;
        }
    }
    queue_missing(p, q);
}

static void on_default(void *arg, const struct api_reply *r)
{
    struct pull *p = arg;
    p->call = NULL;
    struct queue *q = &p->queues[p->resolving];
    if (r->result == API_OK && id_valid(json_str(r->data, "id", ""))) {
        queue_found(p, q, r->data);
    } else if (r->result == API_REFUSED && r->code == 400) {
        /* 400/707: none is marked as the default one; the official agent takes the one
         * of this name then. */
        q->name = xstrdup("default");
        resolve_next(p);
    } else {
        resolve_later(p);
    }
}

/* What the server is too old for is done without. */
static void note_version(struct pull *p)
{
    const struct api *api = p->master->api;
    const char *version = api_server_version(api);
    if (!version[0])
        version = "of no known version";
    if (api_older_than(api, 2, 4))
        log_error("the server's API is %s; reeve is made for 2.4 and later: update "
                  "the server",
                  version);
    p->plain = api_older_than(api, 2, 15);
    if (p->plain)
        log_warn("the server's API is %s, which has no queues.peek_task (2.15): tasks "
                 "are popped without an intent",
                 version);
}

static void resolved(struct pull *p)
{
    if (!queues_found(p)) {
        p->resolving = 0;
        resolve_later(p);
        return;
    }
    p->ready = true;
    if (!p->known) {
        note_version(p);
        report_queues_known(p->master->report);
    }
    p->known = true;
    look(p);
}

static void resolve_next(struct pull *p)
{
    if (p->stopped)
        return;
    while (p->resolving < p->count && p->queues[p->resolving].id)
        p->resolving++;
    if (p->resolving == p->count) {
        resolved(p);
        return;
    }
    struct queue *q = &p->queues[p->resolving];
    cJSON *body = cJSON_CreateObject();
    if (!q->name) {
        p->call = api_send(p->master->api, NULL, "queues.get_default", body, NULL,
                           on_default, p);
        return;
    }
    if (looks_like_id(q->name)) {
        cJSON *ids = json_set(body, "id", cJSON_CreateArray());
        cJSON_AddItemToArray(ids, cJSON_CreateString(q->name));
    } else {
        auto_free char *regex = regex_escape_dup(q->name);
        json_set_str(body, "name", regex);
    }
    cJSON *fields = json_set(body, "only_fields", cJSON_CreateArray());
    cJSON_AddItemToArray(fields, cJSON_CreateString("name"));
    cJSON_AddItemToArray(fields, cJSON_CreateString("id"));
    json_set_bool(body, "search_hidden", true);
    p->call =
        api_send(p->master->api, NULL, "queues.get_all", body, NULL, on_queues, p);
}

/* ---- looking ---- */

static void on_waited(void *arg, const struct api_reply *r)
{
    struct queue *q = arg;
    struct pull *p = q->pull;
    q->wait = NULL;
    /* An answer without a task: ask on. A failure: at the polling interval. */
    if (r->result == API_OK)
        look(p);
    else if (!ev_is_active(&p->timer))
        arm(p, p->master->waits.poll_ms);
}

static void wait_for_tasks(struct pull *p)
{
    bool wait = api_has_extension(p->master->api, "wait");
    if (!wait || queues_found(p) < p->count)
        arm(p, p->master->waits.poll_ms);
    if (!wait)
        return;
    struct api_options options = {.timeout_ms = WAIT_MS + 5000, .held = true};
    for (size_t i = 0; i < p->count; i++) {
        struct queue *q = &p->queues[i];
        if (q->wait || !q->id)
            continue;
        cJSON *body = cJSON_CreateObject();
        json_set_str(body, "queue", q->id);
        json_set_int(body, "wait", WAIT_MS);
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
        look(p);
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

static void look_later(struct pull *p)
{
    p->tried = 0;
    p->again = false;
    arm(p, p->master->waits.poll_ms);
}

static void on_popped(void *arg, bool sound)
{
    struct pull *p = arg;
    p->claiming = false;
    if (sound)
        round_over(p, true);
    else
        look_later(p);
}

/* The head of the queue is at work here already: its next run starts when this one is
 * gone, so for now there is nothing to take. */
static bool busy_here(const struct pull *p, const char *task)
{
    return runs_find(p->master->runs, task) || claims_has(p->claims, task);
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
        look_later(p);
    } else {
        next_queue(p);
    }
}

static void on_peek(void *arg, const struct api_reply *r)
{
    struct pull *p = arg;
    p->call = NULL;
    struct queue *q = &p->queues[p->at];
    const char *task = json_str(r->data, "task", "");
    if (r->result == API_REFUSED && r->code == 404) {
        log_warn(
            "the server has no queues.peek_task: tasks are popped without an intent");
        p->plain = true;
        peek_at(p);
    } else if (r->result == API_REFUSED && r->code == 400) {
        queue_lost(p, r->message);
    } else if (r->result != API_OK) {
        look_later(p);
    } else if (p->stopped || drain_active(p->master->drain)) {
        return;
    } else if (task[0] && id_valid(task) && !busy_here(p, task)) {
        p->start = (p->at + 1) % p->count;
        p->claiming = true;
        claim_begin(p->claims, q->id, q->name, task, on_popped, p);
    } else if (task[0]) {
        /* Not to be taken now; a wait would answer at once, so look later. */
        p->held = true;
        look_later(p);
    } else {
        next_queue(p);
    }
}

static void peek_at(struct pull *p)
{
    if (!p->queues[p->at].id) {
        next_queue(p);
        return;
    }
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "queue", p->queues[p->at].id);
    if (p->plain)
        p->call = api_send(p->master->api, "2.14", "queues.get_next_task", body, NULL,
                           on_plain_pop, p);
    else
        p->call =
            api_send(p->master->api, NULL, "queues.peek_task", body, NULL, on_peek, p);
}

static void look(struct pull *p)
{
    if (!p->ready || p->stopped)
        return;
    if (p->call || p->claiming) {
        p->again = true;
        return;
    }
    if (!has_room(p))
        return;
    ev_timer_stop(p->master->loop, &p->timer);
    p->at = p->master->options->order_fairness ? p->start : 0;
    p->tried = 0;
    p->again = false;
    peek_at(p);
}

static void pull_timer_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct pull *p = w->data;
    bool busy = p->call || p->claiming;
    if (p->ready && (busy || queues_found(p) == p->count)) {
        look(p);
        return;
    }
    /* While queues are looked for, nothing is peeked at: one call at a time. */
    p->ready = false;
    if (p->resolving >= p->count)
        p->resolving = 0;
    resolve_next(p);
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

void pull_start(struct pull *p)
{
    const struct options *o = p->master->options;
    claims_recover(p->claims);
    if (!o->task)
        resolve_next(p);
    else if (!runs_find(p->master->runs, o->task) && !claims_has(p->claims, o->task))
        claim_direct(p->claims, o->task, o->require_queue);
}

void pull_stop(struct pull *p)
{
    p->stopped = true;
    ev_timer_stop(p->master->loop, &p->timer);
    for (size_t i = 0; i < p->count; i++) {
        if (p->queues[i].wait)
            api_cancel(p->queues[i].wait);
        p->queues[i].wait = NULL;
    }
}

void pull_wake(struct pull *p)
{
    look(p);
}

void pull_run_gone(struct pull *p)
{
    if (!p->held)
        return;
    p->held = false;
    look(p);
}

unsigned pull_claims(const struct pull *p)
{
    return claims_count(p->claims);
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
    }
    return list;
}
