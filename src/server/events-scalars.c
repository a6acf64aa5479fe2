/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/events-internal.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json-text.h"
#include "base/json.h"
#include "server/services.h"
#include "server/store.h"

#include <string.h>

/* ---- histograms: averages over intervals of iterations or of time ---- */

enum axis { AXIS_ITER, AXIS_TIMESTAMP, AXIS_ISO };

struct histogram {
    struct call *call;
    enum axis axis;
    int64_t samples;
};

static int histogram_read(struct call *call, struct histogram *h)
{
    const char *key = json_str(call->request, "key", "iter");
    h->call = call;
    if (!strcmp(key, "iter"))
        h->axis = AXIS_ITER;
    else if (!strcmp(key, "timestamp"))
        h->axis = AXIS_TIMESTAMP;
    else if (!strcmp(key, "iso_time"))
        h->axis = AXIS_ISO;
    else
        return call_fail(call, 400, 12, "Validation error (key: %s)", key);
    return event_bounded(call, "samples", 2000, 1, 6000, &h->samples);
}

/* Interval of the x axis such that a series has at most so many points. */
static int64_t interval_of(const struct histogram *h, int64_t series)
{
    static const char by_iter[] =
        "SELECT count(*), min(iter), max(iter) FROM series_events WHERE series = ?"
        " AND iter > ?";
    static const char by_time[] =
        "SELECT count(*), min(timestamp), max(timestamp) FROM series_events"
        " WHERE series = ? AND iter > ?";
    sqlite3_stmt *stmt =
        store_query(h->call->db, h->axis == AXIS_ITER ? by_iter : by_time, "ii", series,
                    (int64_t)EVENT_SINGLE_ITER);
    int64_t interval = 1;
    if (store_row(stmt) && sqlite3_column_int64(stmt, 0) >= h->samples) {
        /* Unsigned: the whole range of 64 bits is allowed for iterations. */
        uint64_t range = (uint64_t)sqlite3_column_int64(stmt, 2) -
                         (uint64_t)sqlite3_column_int64(stmt, 1);
        interval = (int64_t)(range / (uint64_t)h->samples) + 1;
    }
    sqlite3_reset(stmt);
    return interval;
}

struct points {
    struct buf x, y;
    int64_t bucket, count;
    double sum;
};

static int64_t floor_to(int64_t value, int64_t interval)
{
    int64_t rest = value % interval;
    if (rest < 0)
        rest += interval;
    return value >= INT64_MIN + rest ? value - rest : INT64_MIN;
}

static void points_flush(struct points *p, enum axis axis)
{
    if (!p->count)
        return;
    if (p->x.len > 1)
        buf_add_char(&p->x, ','), buf_add_char(&p->y, ',');
    if (axis == AXIS_ISO) {
        char iso[CLOCK_ISO_SIZE];
        clock_iso(p->bucket, iso);
        json_text_string(&p->x, iso, strlen(iso));
    } else {
        json_text_int(&p->x, p->bucket);
    }
    json_text_number(&p->y, p->sum / (double)p->count);
    p->count = 0;
    p->sum = 0;
}

static void points_read(const struct histogram *h, int64_t series, struct points *p)
{
    static const char by_iter[] =
        "SELECT iter, value FROM series_events WHERE series = ? AND iter > ?"
        " AND value IS NOT NULL ORDER BY iter";
    static const char by_time[] =
        "SELECT timestamp, value FROM series_events WHERE series = ? AND iter > ?"
        " AND value IS NOT NULL ORDER BY timestamp";
    int64_t interval = interval_of(h, series);
    sqlite3_stmt *stmt =
        store_query(h->call->db, h->axis == AXIS_ITER ? by_iter : by_time, "ii", series,
                    (int64_t)EVENT_SINGLE_ITER);
    while (store_row(stmt)) {
        int64_t bucket = floor_to(sqlite3_column_int64(stmt, 0), interval);
        if (bucket != p->bucket)
            points_flush(p, h->axis);
        p->bucket = bucket;
        p->sum += sqlite3_column_double(stmt, 1);
        p->count++;
    }
    points_flush(p, h->axis);
    sqlite3_reset(stmt);
}

/* {"name", "x", "y"} of a series; NULL if it has no points. The caller's. */
static cJSON *series_points(const struct histogram *h, int64_t series, const char *name,
                            const char *x_axis_label)
{
    struct points p = {.x = BUF_INIT, .y = BUF_INIT};
    buf_add_char(&p.x, '[');
    buf_add_char(&p.y, '[');
    points_read(h, series, &p);
    cJSON *object = NULL;
    if (p.x.len > 1) {
        buf_add_char(&p.x, ']');
        buf_add_char(&p.y, ']');
        object = cJSON_CreateObject();
        json_set_str(object, "name", name);
        json_set(object, "x", cJSON_CreateRaw(buf_str(&p.x)));
        json_set(object, "y", cJSON_CreateRaw(buf_str(&p.y)));
        if (x_axis_label)
            json_set_str(object, "x_axis_label", x_axis_label);
    }
    buf_free(&p.x);
    buf_free(&p.y);
    return object;
}

/* Calls out for each wanted scalar series of the task. */
static void each_series(struct call *call, const char *task, enum event_type type,
                        void (*out)(sqlite3_stmt *stmt, void *arg), void *arg)
{
    auto_free char *wanted =
        event_series_wanted(call->db, task, type, json_get(call->request, "metrics"));
    sqlite3_stmt *stmt = store_query(
        call->db,
        "SELECT id, metric, variant, x_axis_label FROM event_series WHERE id"
        " IN (SELECT value FROM json_each(?)) ORDER BY metric, variant",
        "t", wanted);
    while (store_row(stmt))
        out(stmt, arg);
    sqlite3_reset(stmt);
}

struct histogram_out {
    struct histogram h;
    const char *task, *task_name; /* of several tasks; else NULL */
    cJSON *metrics;
};

static void add_histogram(sqlite3_stmt *stmt, void *arg)
{
    struct histogram_out *o = arg;
    const char *metric = (const char *)sqlite3_column_text(stmt, 1);
    const char *variant = (const char *)sqlite3_column_text(stmt, 2);
    cJSON *points = series_points(&o->h, sqlite3_column_int64(stmt, 0),
                                  o->task_name ? o->task_name : variant,
                                  (const char *)sqlite3_column_text(stmt, 3));
    if (!points)
        return;
    cJSON *of_metric = json_member(o->metrics, metric);
    if (o->task)
        cJSON_AddItemToObject(json_member(of_metric, variant), o->task, points);
    else
        cJSON_AddItemToObject(of_metric, variant, points);
}

int events_scalar_histogram(struct call *call)
{
    struct histogram_out o = {.metrics = call->data};
    const char *task = json_str(call->request, "task", "");
    if (histogram_read(call, &o.h) < 0 || event_require_task(call, task) < 0)
        return -1;
    each_series(call, task, EVENT_SCALAR, add_histogram, &o);
    return 0;
}

int events_multi_scalar_histogram(struct call *call)
{
    struct histogram_out o = {0};
    const cJSON *tasks;
    if (histogram_read(call, &o.h) < 0 || event_require_tasks(call, &tasks) < 0)
        return -1;
    if (cJSON_GetArraySize(tasks) > 100)
        return call_fail(call, 400, 12, "Validation error (tasks: at most 100)");
    o.metrics = json_set(call->data, "metrics", cJSON_CreateObject());
    for (const cJSON *t = tasks->child; t; t = t->next) {
        char name[512] = "";
        task_brief(call->db, t->valuestring, NULL, NULL, name);
        o.task = t->valuestring;
        o.task_name = name;
        each_series(call, o.task, EVENT_SCALAR, add_histogram, &o);
    }
    return 0;
}

/* ---- raw values ---- */

/* Every event of a metric, newest iteration first, at most 10,000. */
int events_scalar_metric_data(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    if (event_require_task(call, task) < 0)
        return -1;
    auto_json *metrics = cJSON_CreateArray();
    cJSON *metric = cJSON_CreateObject();
    json_set_str(metric, "metric", json_str(call->request, "metric", ""));
    cJSON_AddItemToArray(metrics, metric);
    auto_free char *series = event_series_wanted(call->db, task, EVENT_SCALAR, metrics);
    const char *scroll = json_str(call->request, "scroll_id", "");
    sqlite3_stmt *stmt = store_query(
        call->db,
        "SELECT " EVENT_COLUMNS " FROM series_events e JOIN event_series s"
        " ON s.id = e.series WHERE e.series IN (SELECT value FROM json_each(?))"
        " ORDER BY e.iter DESC, e.id DESC LIMIT ?",
        "ti", series, (int64_t)(*scroll ? 0 : 10000));
    auto_buf out = BUF_INIT;
    buf_add_str(&out, "{\"events\":[");
    int64_t n = 0;
    for (; store_row(stmt); n++) {
        if (n)
            buf_add_char(&out, ',');
        event_add_json(&out, stmt);
    }
    sqlite3_reset(stmt);
    buf_printf(&out, "],\"returned\":%lld,\"total\":%lld,\"scroll_id\":\"end\"}",
               (long long)n, (long long)n);
    return event_answer(call, &out);
}

struct raw_out {
    struct call *call;
    enum axis axis;
    int64_t left, returned;
    cJSON *variants;
};

static void add_raw(sqlite3_stmt *series, void *arg)
{
    struct raw_out *o = arg;
    sqlite3_stmt *stmt = store_query(
        o->call->db,
        "SELECT iter, timestamp, value FROM series_events WHERE series = ? AND value IS"
        " NOT NULL ORDER BY iter LIMIT ?",
        "ii", sqlite3_column_int64(series, 0), o->left);
    auto_buf x = BUF_INIT;
    auto_buf y = BUF_INIT;
    int64_t n = 0;
    for (; store_row(stmt); n++) {
        buf_add_char(&x, n ? ',' : '[');
        buf_add_char(&y, n ? ',' : '[');
        json_text_int(&x, sqlite3_column_int64(stmt, o->axis == AXIS_ITER ? 0 : 1));
        json_text_number(&y, sqlite3_column_double(stmt, 2));
    }
    sqlite3_reset(stmt);
    if (!n)
        return;
    buf_add_char(&x, ']');
    buf_add_char(&y, ']');
    cJSON *variant =
        json_member(o->variants, (const char *)sqlite3_column_text(series, 2));
    json_set(variant, o->axis == AXIS_ITER ? "iter" : "timestamp",
             cJSON_CreateRaw(buf_str(&x)));
    json_set(variant, "y", cJSON_CreateRaw(buf_str(&y)));
    o->returned += n;
    o->left -= n;
}

int events_scalar_raw(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    struct raw_out o = {.call = call, .axis = AXIS_ITER};
    if (event_require_task(call, task) < 0 ||
        event_bounded(call, "batch_size", 10000, 0, INT64_MAX, &o.left) < 0)
        return -1;
    if (o.left > 200000)
        o.left = 200000;
    if (strcmp(json_str(call->request, "key", "iter"), "iter") != 0)
        o.axis = AXIS_TIMESTAMP;
    const cJSON *metric = json_get(call->request, "metric");
    cJSON *metrics = cJSON_CreateArray();
    cJSON_AddItemToArray(metrics, cJSON_Duplicate(metric, 1));
    json_set(call->request, "metrics", metrics);
    o.variants = json_set(call->data, "variants", cJSON_CreateObject());
    if (!*json_str(call->request, "scroll_id", ""))
        each_series(call, task, EVENT_SCALAR, add_raw, &o);
    json_set_int(call->data, "returned", o.returned);
    json_set_int(call->data, "total", o.returned);
    json_set_str(call->data, "scroll_id", "end");
    return 0;
}

/* ---- values that are reported once ---- */

struct single_out {
    struct call *call;
    cJSON *values;
};

static void add_single(sqlite3_stmt *series, void *arg)
{
    struct single_out *o = arg;
    sqlite3_stmt *stmt = store_query(
        o->call->db,
        "SELECT timestamp, value FROM series_events WHERE series = ? AND iter = ?"
        " ORDER BY key LIMIT 1",
        "ii", sqlite3_column_int64(series, 0), (int64_t)EVENT_SINGLE_ITER);
    if (store_row(stmt)) {
        cJSON *value = cJSON_CreateObject();
        json_set_str(value, "metric", (const char *)sqlite3_column_text(series, 1));
        json_set_str(value, "variant", (const char *)sqlite3_column_text(series, 2));
        if (sqlite3_column_type(stmt, 1) != SQLITE_NULL)
            json_set_num(value, "value", sqlite3_column_double(stmt, 1));
        else
            json_set(value, "value", cJSON_CreateNull());
        json_set_int(value, "timestamp", sqlite3_column_int64(stmt, 0));
        cJSON_AddItemToArray(o->values, value);
    }
    sqlite3_reset(stmt);
}

int events_single_values(struct call *call)
{
    const cJSON *tasks;
    if (event_require_tasks(call, &tasks) < 0)
        return -1;
    cJSON *list = json_set(call->data, "tasks", cJSON_CreateArray());
    for (const cJSON *t = tasks->child; t; t = t->next) {
        struct single_out o = {call, cJSON_CreateArray()};
        each_series(call, t->valuestring, EVENT_SCALAR, add_single, &o);
        if (!o.values->child) {
            cJSON_Delete(o.values);
            continue;
        }
        char name[512] = "";
        task_brief(call->db, t->valuestring, NULL, NULL, name);
        cJSON *entry = cJSON_CreateObject();
        json_set_str(entry, "task", t->valuestring);
        json_set_str(entry, "task_name", name);
        json_set(entry, "values", o.values);
        cJSON_AddItemToArray(list, entry);
    }
    return 0;
}

/* ---- names and last values ---- */

struct latest_out {
    struct call *call;
    cJSON *metrics;
    int64_t last_timestamp;
};

static void add_latest(sqlite3_stmt *series, void *arg)
{
    struct latest_out *o = arg;
    const char *metric = (const char *)sqlite3_column_text(series, 1);
    cJSON *last = cJSON_GetArrayItem(o->metrics, cJSON_GetArraySize(o->metrics) - 1);
    sqlite3_stmt *stmt = store_query(
        o->call->db,
        "SELECT value, timestamp FROM series_events WHERE series = ? AND value > 0"
        " ORDER BY iter DESC LIMIT 1",
        "i", sqlite3_column_int64(series, 0));
    if (store_row(stmt)) {
        if (!last || strcmp(json_str(last, "name", ""), metric) != 0) {
            last = cJSON_CreateObject();
            json_set_str(last, "name", metric);
            json_set(last, "variants", cJSON_CreateArray());
            cJSON_AddItemToArray(o->metrics, last);
        }
        cJSON *variant = cJSON_CreateObject();
        json_set_str(variant, "name", (const char *)sqlite3_column_text(series, 2));
        json_set_num(variant, "last_value", sqlite3_column_double(stmt, 0));
        json_set_num(variant, "last_10_value", sqlite3_column_double(stmt, 0));
        cJSON_AddItemToArray(json_get(last, "variants"), variant);
        if (sqlite3_column_int64(stmt, 1) > o->last_timestamp)
            o->last_timestamp = sqlite3_column_int64(stmt, 1);
    }
    sqlite3_reset(stmt);
}

int events_latest_scalars(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    char status[16] = "", name[512] = "";
    if (!task_brief(call->db, task, status, NULL, name))
        return event_require_task(call, task);
    struct latest_out o = {
        .call = call, .metrics = json_set(call->data, "metrics", cJSON_CreateArray())};
    each_series(call, task, EVENT_SCALAR, add_latest, &o);
    int64_t iter = store_int(call->db,
                             "SELECT max(iter) FROM series_events WHERE series IN"
                             " (SELECT id FROM event_series WHERE task = ?)",
                             0, "t", task);
    json_set_int(call->data, "last_iter", iter == EVENT_NO_ITER ? 0 : iter);
    json_set_str(call->data, "name", name);
    json_set_str(call->data, "status", status);
    json_set_int(call->data, "last_timestamp", o.last_timestamp);
    return 0;
}

static void add_variant(sqlite3_stmt *series, void *arg)
{
    cJSON *metrics = arg;
    const char *metric = (const char *)sqlite3_column_text(series, 1);
    cJSON *variants = json_get(metrics, metric);
    if (!variants) {
        variants = cJSON_CreateArray();
        cJSON_AddItemToObject(metrics, metric, variants);
    }
    cJSON_AddItemToArray(
        variants, cJSON_CreateString((const char *)sqlite3_column_text(series, 2)));
}

static int answer_variants(struct call *call, enum event_type type)
{
    const char *task = json_str(call->request, "task", "");
    if (event_require_task(call, task) < 0)
        return -1;
    each_series(call, task, type, add_variant,
                json_set(call->data, "metrics", cJSON_CreateObject()));
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

int events_get_task_metrics(struct call *call)
{
    const cJSON *tasks;
    int type = event_type_requested(call, true);
    if (type < 0 || event_require_tasks(call, &tasks) < 0)
        return -1;
    cJSON *list = json_set(call->data, "metrics", cJSON_CreateArray());
    for (const cJSON *t = tasks->child; t; t = t->next) {
        cJSON *names = cJSON_CreateArray();
        sqlite3_stmt *stmt = store_query(
            call->db,
            "SELECT DISTINCT metric FROM event_series s WHERE task = ?1 AND (type = ?2 "
            "OR"
            " ?2 = 5) AND EXISTS (SELECT 1 FROM series_events e WHERE e.series = s.id"
            " AND e.iter > ?3) ORDER BY metric",
            "tii", t->valuestring, (int64_t)type, (int64_t)EVENT_SINGLE_ITER);
        while (store_row(stmt))
            cJSON_AddItemToArray(
                names, cJSON_CreateString((const char *)sqlite3_column_text(stmt, 0)));
        sqlite3_reset(stmt);
        cJSON *entry = cJSON_CreateObject();
        json_set_str(entry, "task", t->valuestring);
        json_set(entry, "metrics", names);
        cJSON_AddItemToArray(list, entry);
    }
    return 0;
}

int events_get_multi_task_metrics(struct call *call)
{
    const cJSON *tasks;
    int type = event_type_requested(call, false);
    if (type < 0 || event_require_tasks(call, &tasks) < 0)
        return -1;
    auto_free char *ids = json_format(tasks);
    sqlite3_stmt *stmt =
        store_query(call->db,
                    "SELECT DISTINCT metric, variant FROM event_series WHERE task IN"
                    " (SELECT value FROM json_each(?1)) AND (type = ?2 OR ?2 = 5)"
                    " ORDER BY metric, variant",
                    "ti", ids, (int64_t)type);
    cJSON *list = json_set(call->data, "metrics", cJSON_CreateArray());
    cJSON *last = NULL;
    while (store_row(stmt)) {
        const char *metric = (const char *)sqlite3_column_text(stmt, 0);
        if (!last || strcmp(json_str(last, "metric", ""), metric) != 0) {
            last = cJSON_CreateObject();
            json_set_str(last, "metric", metric);
            json_set(last, "variants", cJSON_CreateArray());
            cJSON_AddItemToArray(list, last);
        }
        cJSON_AddItemToArray(
            json_get(last, "variants"),
            cJSON_CreateString((const char *)sqlite3_column_text(stmt, 1)));
    }
    sqlite3_reset(stmt);
    return 0;
}

/* ---- vectors ---- */

int events_vector_histogram(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    const char *metric = json_str(call->request, "metric", "");
    const char *variant = json_str(call->request, "variant", "");
    if (event_require_task(call, task) < 0)
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
