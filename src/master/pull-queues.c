/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* Finding the queues. One that is not there is passed over and looked for again at the
 * polling interval; the others are served meanwhile. */

#include "master/pull-internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "master/report.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

static void add_fields(cJSON *body)
{
    static const char *const wanted[] = {"name", "id"};
    json_set(body, "only_fields", cJSON_CreateStringArray(wanted, 2));
}

size_t pull_queues_found(const struct pull *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->count; i++)
        n += p->queues[i].id != NULL;
    return n;
}

/* No answer: the same queue again, later. */
static void resolve_later(struct pull *p)
{
    pull_arm(p, p->master->waits.poll_ms);
}

/* It is not there: the others first. */
static void resolve_other(struct pull *p)
{
    p->resolving++;
    pull_resolve(p);
}

static void on_created(void *arg, const struct api_reply *r)
{
    struct pull *p = arg;
    p->call = NULL;
    struct queue *q = &p->queues[p->resolving];
    if (r->result == API_OK) {
        log_info("queue %s created", q->name);
        pull_resolve(p);
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
    pull_resolve(p);
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
        pull_resolve(p);
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
    if (!pull_queues_found(p)) {
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
    pull_look(p);
}

void pull_resolve(struct pull *p)
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
    add_fields(body);
    json_set_bool(body, "search_hidden", true);
    p->call =
        api_send(p->master->api, NULL, "queues.get_all", body, NULL, on_queues, p);
}

/* ---- renamed ones ---- */

static void rename_queue(struct queue *q, const char *name)
{
    if (!q->name || strcmp(q->name, name) == 0)
        return;
    log_info("queue %s id=%s is named %s now", q->name, q->id, name);
    free(q->name);
    q->name = xstrdup(name);
}

static void on_names(void *arg, const struct api_reply *r)
{
    struct pull *p = arg;
    const cJSON *doc;
    p->names = NULL;
    cJSON_ArrayForEach(doc, json_get(r->data, "queues"))
    {
        const char *name = json_str(doc, "name", "");
        for (size_t i = 0; name[0] && i < p->count; i++)
            if (p->queues[i].id &&
                strcmp(p->queues[i].id, json_str(doc, "id", "")) == 0)
                rename_queue(&p->queues[i], name);
    }
}

void pull_refresh(struct pull *p)
{
    if (!p->ready || p->stopped || p->names || !pull_queues_found(p))
        return;
    cJSON *body = cJSON_CreateObject();
    json_set(body, "id", pull_queue_ids(p));
    json_set_bool(body, "search_hidden", true);
    add_fields(body);
    p->names =
        api_send(p->master->api, NULL, "queues.get_all", body, NULL, on_names, p);
}
