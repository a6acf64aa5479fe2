/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* clearml-server gives each log event a random id (event_bll.py), so that sending one
 * again doubles it. After a batch without an answer the last events of each run in it
 * are read back, and those that are there are not sent again. A server that shows an
 * event only some time after it took it can still be read too early; that window stays.
 */

#include "master/ship-internal.h"

#include "base/json.h"
#include "base/log.h"
#include "master/master.h"

#include <string.h>

/* Beside our own: the task's SDK writes to the same log. */
#define LOOK_BACK_EVENTS 200

static void verify_next(struct ship *s);

static bool event_is_in(const cJSON *events, const struct part *p)
{
    const char *msg = json_str(p->event, "msg", "");
    const cJSON *e;
    cJSON_ArrayForEach(e, events)
    {
        if (json_int(e, "timestamp", -1) == p->ms &&
            strcmp(json_str(e, "msg", ""), msg) == 0)
            return true;
    }
    return false;
}

static void on_log(void *arg, const struct api_reply *r)
{
    struct ship *s = arg;
    s->call = NULL;
    if (r->result != API_OK && !(r->result == API_REFUSED && r->code == 400)) {
        ship_retry_later(s);
        return;
    }
    char task[TASK_ID_SIZE];
    memcpy(task, s->batch.parts[s->verify_at].task, sizeof task);
    for (; s->verify_at < s->first + s->sent &&
           strcmp(s->batch.parts[s->verify_at].task, task) == 0;
         s->verify_at++) {
        struct part *p = &s->batch.parts[s->verify_at];
        if (p->event && r->result == API_OK &&
            event_is_in(json_get(r->data, "events"), p))
            ship_ack(s, p);
    }
    verify_next(s);
}

static void verify_next(struct ship *s)
{
    size_t end = s->first + s->sent, own = 0;
    while (s->verify_at < end && !s->batch.parts[s->verify_at].event)
        s->verify_at++;
    if (s->verify_at >= end) {
        ship_verified(s);
        return;
    }
    const struct part *first = &s->batch.parts[s->verify_at];
    while (s->verify_at + own < end && strcmp(first[own].task, first->task) == 0)
        own++;
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "task", first->task);
    json_set_int(body, "batch_size", (int64_t)own + LOOK_BACK_EVENTS);
    json_set_str(body, "order", "desc");
    struct api_options options = {.retry = API_RETRY_SAFE};
    ship_await_answer(s);
    s->call = api_send(s->master->api, NULL, "events.get_task_log", body, &options,
                       on_log, s);
}

void ship_verify(struct ship *s)
{
    log_info(
        "a batch of %zu log events has no answer: looking which of them the server has",
        s->sent);
    s->verify_at = s->first;
    verify_next(s);
}
