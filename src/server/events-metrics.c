/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/events-internal.h"
#include "base/alloc.h"
#include "base/json-text.h"
#include "base/json.h"
#include "server/sql.h"
#include "server/store.h"
#include "server/tasks-internal.h"

#include <string.h>

/* Which metrics a task has, and their last values. */

#define TASKS_MAX 1000

/* ---- values that are reported once ---- */

static void add_single(struct call *call, const struct event_series *series,
                       cJSON *values)
{
    auto_reset *stmt = store_query(
        call->db,
        "SELECT timestamp, value FROM series_events WHERE series = ? AND iter = ?"
        " ORDER BY key LIMIT 1",
        "ii", series->id, (int64_t)EVENT_SINGLE_ITER);
    if (!store_row(stmt))
        return;
    cJSON *value = cJSON_CreateObject();
    json_set_str(value, "metric", series->metric);
    json_set_str(value, "variant", series->variant);
    if (sqlite3_column_type(stmt, 1) != SQLITE_NULL)
        json_set_num(value, "value", sqlite3_column_double(stmt, 1));
    else
        json_set(value, "value", cJSON_CreateNull());
    json_set_int(value, "timestamp", sqlite3_column_int64(stmt, 0));
    cJSON_AddItemToArray(values, value);
}

static void add_singles(struct call *call, const char *task, const cJSON *metrics,
                        cJSON *list)
{
    char name[512];
    cJSON *values = cJSON_CreateArray();
    auto_series series = event_series_load(call->db, task, EVENT_SCALAR, metrics);
    for (size_t i = 0; i < series.count; i++)
        add_single(call, &series.items[i], values);
    if (!values->child) {
        cJSON_Delete(values);
        return;
    }
    event_source_name(call, task, name);
    cJSON *entry = cJSON_CreateObject();
    json_set_str(entry, "task", task);
    json_set_str(entry, "task_name", name);
    json_set(entry, "values", values);
    cJSON_AddItemToArray(list, entry);
}

int events_single_values(struct call *call)
{
    const cJSON *tasks, *metrics;
    if (event_require_sources(call, TASKS_MAX, &tasks) < 0 ||
        event_metrics_requested(call, &metrics) < 0)
        return -1;
    cJSON *list = json_set(call->data, "tasks", cJSON_CreateArray());
    for (const cJSON *t = tasks->child; t; t = t->next)
        add_singles(call, t->valuestring, metrics, list);
    return 0;
}

/* ---- last values ---- */

/* The entry of this name at the end of a list, made if there is none: names come in
 * their order, so it is nowhere else. */
static cJSON *entry_of(cJSON *list, const char *member, const char *name)
{
    cJSON *last = list->child ? list->child->prev : NULL;
    if (last && !strcmp(json_str(last, member, ""), name))
        return last;
    last = cJSON_CreateObject();
    json_set_str(last, member, name);
    json_set(last, "variants", cJSON_CreateArray());
    cJSON_AddItemToArray(list, last);
    return last;
}

static void add_latest(struct call *call, const struct event_series *series,
                       cJSON *metrics, int64_t *last_timestamp)
{
    auto_reset *stmt = store_query(
        call->db,
        "SELECT value, stored FROM series_events WHERE series = ? AND value > 0"
        " ORDER BY iter DESC LIMIT 1",
        "i", series->id);
    if (!store_row(stmt))
        return;
    cJSON *variant = cJSON_CreateObject();
    json_set_str(variant, "name", series->variant);
    json_set_num(variant, "last_value", sqlite3_column_double(stmt, 0));
    json_set_num(variant, "last_10_value", sqlite3_column_double(stmt, 0));
    cJSON_AddItemToArray(
        json_get(entry_of(metrics, "name", series->metric), "variants"), variant);
    if (sqlite3_column_int64(stmt, 1) > *last_timestamp)
        *last_timestamp = sqlite3_column_int64(stmt, 1);
}

static int64_t last_iter(sqlite3 *db, const char *task)
{
    int64_t iter = store_int(db,
                             "SELECT max((SELECT max(iter) FROM series_events"
                             " WHERE series = s.id)) FROM event_series s"
                             " WHERE task = ?",
                             0, "t", task);
    return iter == EVENT_NO_ITER ? 0 : iter;
}

int events_latest_scalars(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    char status[16] = "";
    int64_t last_timestamp = 0;
    if (event_require_task(call, task) < 0)
        return -1;
    task_brief(call->db, task, status, NULL, NULL);
    cJSON *metrics = json_set(call->data, "metrics", cJSON_CreateArray());
    auto_series series = event_series_load(call->db, task, EVENT_SCALAR, NULL);
    for (size_t i = 0; i < series.count; i++)
        add_latest(call, &series.items[i], metrics, &last_timestamp);
    json_set_int(call->data, "last_iter", last_iter(call->db, task));
    json_set_str(call->data, "status", status);
    json_set_int(call->data, "last_timestamp", last_timestamp);
    return 0;
}

/* ---- names ---- */

static int answer_variants(struct call *call, enum event_type type)
{
    const char *task = json_str(call->request, "task", "");
    if (event_require_source(call, task) < 0)
        return -1;
    cJSON *metrics = json_set(call->data, "metrics", cJSON_CreateObject());
    auto_series list = event_series_load(call->db, task, type, NULL);
    cJSON *variants = NULL;
    for (size_t i = 0; i < list.count; i++) {
        if (!variants || strcmp(variants->string, list.items[i].metric) != 0) {
            variants = cJSON_CreateArray();
            cJSON_AddItemToObject(metrics, list.items[i].metric, variants);
        }
        cJSON_AddItemToArray(variants, cJSON_CreateString(list.items[i].variant));
    }
    return 0;
}

int events_scalar_metrics_and_variants(struct call *call)
{
    return answer_variants(call, EVENT_SCALAR);
}

int events_vector_metrics_and_variants(struct call *call)
{
    return answer_variants(call, EVENT_VECTOR);
}

/* Metrics of events that have an iteration; of log lines, which few have. */
static cJSON *metrics_of(sqlite3 *db, const char *task, int type)
{
    cJSON *names = cJSON_CreateArray();
    auto_reset *stmt = store_query(
        db,
        "SELECT metric FROM event_series s WHERE task = ?1 AND (type = ?2 OR ?2 = 5)"
        " AND EXISTS (SELECT 1 FROM series_events e WHERE e.series = s.id"
        " AND e.iter > ?3) UNION SELECT metric FROM log_events WHERE task = ?1"
        " AND metric IS NOT NULL AND ?2 IN (0, 5) ORDER BY 1",
        "tii", task, (int64_t)type, (int64_t)EVENT_SINGLE_ITER);
    while (store_row(stmt))
        cJSON_AddItemToArray(
            names, cJSON_CreateString((const char *)sqlite3_column_text(stmt, 0)));
    return names;
}

int events_get_task_metrics(struct call *call)
{
    const cJSON *tasks;
    int type = event_type_requested(call, true);
    if (type < 0 || event_require_sources(call, TASKS_MAX, &tasks) < 0)
        return -1;
    cJSON *list = json_set(call->data, "metrics", cJSON_CreateArray());
    for (const cJSON *t = tasks->child; t; t = t->next) {
        cJSON *entry = cJSON_CreateObject();
        json_set_str(entry, "task", t->valuestring);
        json_set(entry, "metrics", metrics_of(call->db, t->valuestring, type));
        cJSON_AddItemToArray(list, entry);
    }
    return 0;
}

int events_get_multi_task_metrics(struct call *call)
{
    const cJSON *tasks;
    int type = event_type_requested(call, false);
    if (type < 0 || event_require_sources(call, TASKS_MAX, &tasks) < 0)
        return -1;
    auto_free char *ids = json_format(tasks);
    auto_reset *stmt = store_query(
        call->db,
        "SELECT metric, variant FROM event_series WHERE task IN"
        " (SELECT value FROM json_each(?1)) AND (type = ?2 OR ?2 = 5)"
        " UNION SELECT metric, ifnull(variant, '') FROM log_events WHERE task IN"
        " (SELECT value FROM json_each(?1)) AND metric IS NOT NULL AND ?2 IN (0, 5)"
        " ORDER BY 1, 2",
        "ti", ids, (int64_t)type);
    cJSON *list = json_set(call->data, "metrics", cJSON_CreateArray());
    while (store_row(stmt)) {
        cJSON *entry =
            entry_of(list, "metric", (const char *)sqlite3_column_text(stmt, 0));
        cJSON_AddItemToArray(
            json_get(entry, "variants"),
            cJSON_CreateString((const char *)sqlite3_column_text(stmt, 1)));
    }
    return 0;
}

/* ---- vectors ---- */

int events_vector_histogram(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    const char *metric = json_str(call->request, "metric", "");
    const char *variant = json_str(call->request, "variant", "");
    if (event_require_source(call, task) < 0)
        return -1;
    sqlite3_stmt *stmt = store_query(
        call->db,
        "SELECT e.iter, json_extract(e.extra, '$.value') FROM series_events e JOIN"
        " event_series s ON s.id = e.series WHERE s.task = ? AND s.type = ? AND"
        " s.metric = ? AND s.variant = ? ORDER BY e.iter LIMIT 10000",
        "titt", task, (int64_t)EVENT_VECTOR, metric, variant);
    cJSON *iterations = cJSON_CreateArray(), *vectors = cJSON_CreateArray();
    while (store_row(stmt)) {
        const char *vector = (const char *)sqlite3_column_text(stmt, 1);
        cJSON_AddItemToArray(iterations,
                             cJSON_CreateNumber((double)sqlite3_column_int64(stmt, 0)));
        cJSON_AddItemToArray(vectors, cJSON_CreateRaw(vector ? vector : "[]"));
    }
    sqlite3_reset(stmt);
    json_set_str(call->data, "metric", metric);
    json_set_str(call->data, "variant", variant);
    json_set(call->data, "vectors", vectors);
    json_set(call->data, "iterations", iterations);
    return 0;
}
