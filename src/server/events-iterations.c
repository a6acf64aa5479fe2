/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/events-internal.h"
#include "base/alloc.h"
#include "base/json-text.h"
#include "base/json.h"
#include "server/scrolls.h"
#include "server/server.h"
#include "server/sql.h"
#include "server/tasks-internal.h"
#include "server/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- debug_images and plots by iteration, back and forth ---- */

struct iterations {
    struct call *call;
    enum event_type type;
    int64_t count;
    bool earlier;
    int64_t min, max; /* what the client has; min > max: nothing yet */
    const struct event_series_list *series;
    int64_t *lowest; /* of each series: the first iteration that is still true */
    struct buf *out;
};

/* An image's file is overwritten after a while, its name used again: of the series'
 * last name, the iteration before the last is the newest that shows something else. */
static int64_t first_true_iter(sqlite3 *db, int64_t series)
{
    return store_int(
        db,
        "SELECT iter + 1 FROM series_events WHERE series = ?1 AND"
        " json_extract(extra, '$.url') = (SELECT json_extract(extra, '$.url')"
        " FROM series_events WHERE series = ?1 ORDER BY iter DESC LIMIT 1)"
        " AND iter < (SELECT max(iter) FROM series_events WHERE series = ?1)"
        " ORDER BY iter DESC LIMIT 1",
        INT64_MIN, "i", series);
}

static bool add_iteration(struct iterations *it, int64_t iter)
{
    size_t before = it->out->len;
    event_add_comma(it->out);
    buf_add_str(it->out, "{\"iter\":");
    json_text_int(it->out, iter);
    buf_add_str(it->out, ",\"events\":[");
    bool any = false;
    for (size_t i = 0; i < it->series->count && it->out->len < EVENT_WHOLE_MAX; i++) {
        if (iter < it->lowest[i])
            continue;
        auto_reset *stmt = event_row_at(it->call->db, it->series->items[i].id, iter);
        if (!stmt)
            continue;
        event_add_comma(it->out);
        event_add_json(it->out, stmt);
        any = true;
    }
    buf_add_str(it->out, "]}");
    if (!any)
        it->out->len = before;
    return any;
}

static int compare_newest_first(const void *a, const void *b)
{
    const struct event_pick *x = a, *y = b;
    return (x->iter < y->iter) - (x->iter > y->iter);
}

/* The iterations to show, newest first; the caller's. */
static struct event_pick *pick_iterations(struct iterations *it, size_t *n)
{
    bool none = it->min > it->max;
    bool back = it->earlier || none;
    struct event_pick from = {.iter = none ? INT64_MAX : back ? it->min : it->max};
    struct event_pick *iters =
        event_pick(it->call->db, it->series, true, back, from, (size_t)it->count, n);
    if (*n)
        qsort(iters, *n, sizeof *iters, compare_newest_first);
    return iters;
}

static void add_iterations(struct iterations *it)
{
    size_t n;
    auto_free struct event_pick *iters = pick_iterations(it, &n);
    bool first = true;
    for (size_t i = 0; i < n && it->out->len < EVENT_ANSWER_MAX; i++) {
        if (!add_iteration(it, iters[i].iter))
            continue;
        if (first)
            it->max = iters[i].iter;
        it->min = iters[i].iter;
        first = false;
    }
}

/* {task: {metric: variants}} of the request as the list that event_series_load takes;
 * a request for the task without a metric wants all. The caller's. */
static cJSON *metrics_of_task(const cJSON *metrics, const char *task)
{
    cJSON *list = cJSON_CreateArray();
    for (const cJSON *m = metrics->child; m; m = m->next) {
        if (strcmp(json_str(m, "task", ""), task) != 0)
            continue;
        if (!json_str(m, "metric", NULL)) {
            cJSON_Delete(list);
            return cJSON_CreateArray();
        }
        cJSON_AddItemToArray(list, cJSON_Duplicate(m, 1));
    }
    return list;
}

static const char *text_at(const cJSON *list, int i)
{
    const cJSON *item = cJSON_GetArrayItem(list, i);
    return cJSON_IsString(item) ? item->valuestring : "0";
}

/* As text, since doubles don't hold every 64 bit number. */
static void remember_iterations(cJSON *state, const char *task, int64_t min,
                                int64_t max)
{
    char text[24];
    cJSON *pair = json_set(state, task, cJSON_CreateArray());
    snprintf(text, sizeof text, "%lld", (long long)min);
    cJSON_AddItemToArray(pair, cJSON_CreateString(text));
    snprintf(text, sizeof text, "%lld", (long long)max);
    cJSON_AddItemToArray(pair, cJSON_CreateString(text));
}

/* Tasks and metrics of one request are looked up by name, one after the other. */
#define ITERATION_METRICS_MAX 1000

static void add_task_iterations(struct call *call, enum event_type type, int64_t iters,
                                const cJSON *metrics, const char *task, cJSON *state,
                                struct buf *out)
{
    auto_json *wanted = metrics_of_task(metrics, task);
    auto_series series = event_series_load(call->db, task, type, wanted);
    auto_free int64_t *lowest = xcalloc(series.count + 1, sizeof *lowest);
    for (size_t i = 0; i < series.count; i++)
        lowest[i] = type == EVENT_IMAGE ? first_true_iter(call->db, series.items[i].id)
                                        : INT64_MIN;
    struct iterations it = {.call = call,
                            .type = type,
                            .count = iters,
                            .earlier =
                                request_true(call->request, "navigate_earlier", true),
                            .min = 1,
                            .max = 0,
                            .series = &series,
                            .lowest = lowest,
                            .out = out};
    const cJSON *seen = json_get(state, task);
    if (cJSON_GetArraySize(seen) == 2 &&
        !request_true(call->request, "refresh", false)) {
        it.min = strtoll(text_at(seen, 0), NULL, 10);
        it.max = strtoll(text_at(seen, 1), NULL, 10);
    }
    event_add_comma(out);
    buf_add_str(out, "{\"task\":");
    json_text_string(out, task, strlen(task));
    buf_add_str(out, ",\"iterations\":[");
    add_iterations(&it);
    buf_add_str(out, "]}");
    if (it.min <= it.max)
        remember_iterations(state, task, it.min, it.max);
}

/* The tasks of the request, each once, all of them there; NULL after call_fail. */
static cJSON *tasks_of_metrics(struct call *call, const cJSON *metrics)
{
    auto_json *tasks = cJSON_CreateObject();
    for (const cJSON *m = metrics->child; m; m = m->next) {
        const char *task = json_str(m, "task", NULL);
        if (!task || !event_variants_sound(m)) {
            call_fail(call, 400, 12,
                      "Validation error (metrics: a task, a metric and its variants)");
            return NULL;
        }
        if (json_get(tasks, task))
            continue;
        if (event_require_source(call, task) < 0)
            return NULL;
        json_set_bool(tasks, task, true);
    }
    return steal(&tasks);
}

static int answer_iterations(struct call *call, enum event_type type)
{
    const cJSON *metrics = json_get(call->request, "metrics");
    if (!cJSON_IsArray(metrics) || !metrics->child)
        return call_fail(call, 400, 12, "Validation error (metrics: at least one)");
    if (cJSON_GetArraySize(metrics) > ITERATION_METRICS_MAX)
        return call_fail(call, 400, 12, "Validation error (metrics: at most %d)",
                         ITERATION_METRICS_MAX);
    int64_t iters;
    auto_json *tasks = tasks_of_metrics(call, metrics);
    if (!tasks || event_iters_requested(call, &iters) < 0)
        return -1;
    /* As there, a scroll that is not known is a new one. */
    struct scrolls *scrolls = call->server->scrolls;
    char id[ID_SIZE] = "";
    const char *given = json_str(call->request, "scroll_id", "");
    auto_json *state = scrolls_get(scrolls, given, call->now_ms);
    if (state && !strcmp(json_str(state, "of", ""), event_type_name(type)))
        snprintf(id, sizeof id, "%s", given);
    cJSON *seen = *id ? json_get(state, "tasks") : NULL;
    if (!seen) {
        cJSON_Delete(state);
        state = cJSON_CreateObject();
        json_set_str(state, "of", event_type_name(type));
        seen = json_set(state, "tasks", cJSON_CreateObject());
    }
    auto_buf out = BUF_INIT;
    buf_add_str(&out, "{\"metrics\":[");
    for (const cJSON *t = tasks->child; t; t = t->next)
        add_task_iterations(call, type, iters, metrics, t->string, seen, &out);
    scrolls_put(scrolls, id, state, call->now_ms);
    buf_add_str(&out, "],\"scroll_id\":");
    json_text_string(&out, id, strlen(id));
    buf_add_char(&out, '}');
    return event_answer(call, &out);
}

int events_debug_images(struct call *call)
{
    return answer_iterations(call, EVENT_IMAGE);
}

int events_plots(struct call *call)
{
    return answer_iterations(call, EVENT_PLOT);
}
