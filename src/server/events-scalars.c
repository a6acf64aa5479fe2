/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/events-internal.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json-text.h"
#include "base/json.h"
#include "server/sql.h"
#include "server/store.h"
#include "server/tasks-internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- histograms: averages over intervals of iterations or of time ---- */

enum axis { AXIS_ITER, AXIS_TIMESTAMP, AXIS_ISO };

struct histogram {
    struct call *call;
    enum axis axis;
    int64_t samples;
};

static int axis_requested(struct call *call, enum axis *axis)
{
    const char *key = json_str(call->request, "key", "iter");
    if (!strcmp(key, "iter"))
        *axis = AXIS_ITER;
    else if (!strcmp(key, "timestamp"))
        *axis = AXIS_TIMESTAMP;
    else if (!strcmp(key, "iso_time"))
        *axis = AXIS_ISO;
    else
        return call_fail(call, 400, 12, "Validation error (key: %s)", key);
    return 0;
}

static int histogram_read(struct call *call, struct histogram *h)
{
    h->call = call;
    if (axis_requested(call, &h->axis) < 0)
        return -1;
    return event_bounded(call, "samples", 2000, 1, 6000, &h->samples);
}

/* The x axis of one series is cut into intervals, so that it has at most so many
 * points. */
struct interval {
    size_t series; /* its place in the list */
    int64_t length, points;
};

/* Unsigned: the whole range of 64 bits is allowed for iterations. */
static void interval_fit(struct interval *i, uint64_t range, uint64_t samples)
{
    uint64_t length = range / samples + 1;
    i->length = length < INT64_MAX ? (int64_t)length : INT64_MAX;
    i->points = (int64_t)(range / (uint64_t)i->length) + 1;
}

static struct interval interval_of(const struct histogram *h, int64_t series)
{
    static const char by_iter[] =
        "SELECT count(*), min(iter), max(iter) FROM series_events WHERE series = ?"
        " AND iter > ?";
    static const char by_time[] =
        "SELECT count(*), min(timestamp), max(timestamp) FROM series_events"
        " WHERE series = ? AND iter > ?";
    auto_reset *stmt =
        store_query(h->call->db, h->axis == AXIS_ITER ? by_iter : by_time, "ii", series,
                    (int64_t)EVENT_SINGLE_ITER);
    struct interval i = {.length = 1};
    if (!store_row(stmt))
        return i;
    i.points = sqlite3_column_int64(stmt, 0);
    if (i.points >= h->samples)
        interval_fit(&i,
                     (uint64_t)sqlite3_column_int64(stmt, 2) -
                         (uint64_t)sqlite3_column_int64(stmt, 1),
                     (uint64_t)h->samples);
    return i;
}

static int compare_intervals(const void *a, const void *b)
{
    const struct interval *x = a, *y = b;
    if (x->length != y->length)
        return x->length < y->length ? -1 : 1;
    return (x->series > y->series) - (x->series < y->series);
}

/* ClearML reads series whose intervals differ by less than a tenth together, at most so
 * many, with the longest of their intervals. */
#define GROUP_SERIES_MAX 50
#define GROUP_POINTS_MAX 6000

static bool group_has_room(const struct interval *first, size_t n, int64_t points,
                           const struct interval *next)
{
    return next->length - first->length <= first->length / 10 &&
           points + next->points <= GROUP_POINTS_MAX && n < GROUP_SERIES_MAX;
}

static void intervals_group(struct interval *list, size_t count)
{
    if (count)
        qsort(list, count, sizeof *list, compare_intervals);
    for (size_t i = 0, n; i < count; i += n) {
        int64_t points = list[i].points;
        for (n = 1; i + n < count && group_has_room(&list[i], n, points, &list[i + n]);
             n++)
            points += list[i + n].points;
        for (size_t k = 0; k < n; k++)
            list[i + k].length = list[i + n - 1].length;
    }
}

/* The interval of each series of a list, as it; the caller's. */
static int64_t *intervals_dup(const struct histogram *h,
                              const struct event_series_list *list)
{
    auto_free struct interval *intervals = xcalloc(list->count + 1, sizeof *intervals);
    int64_t *lengths = xcalloc(list->count + 1, sizeof *lengths);
    for (size_t i = 0; i < list->count; i++) {
        intervals[i] = interval_of(h, list->items[i].id);
        intervals[i].series = i;
    }
    intervals_group(intervals, list->count);
    for (size_t i = 0; i < list->count; i++)
        lengths[intervals[i].series] = intervals[i].length;
    return lengths;
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

static void add_iso(struct buf *out, int64_t ms)
{
    char iso[CLOCK_ISO_SIZE];
    clock_iso(ms, iso);
    json_text_string(out, iso, strlen(iso));
}

static void points_flush(struct points *p, enum axis axis)
{
    if (!p->count)
        return;
    if (p->x.len > 1)
        buf_add_char(&p->x, ','), buf_add_char(&p->y, ',');
    if (axis == AXIS_ISO)
        add_iso(&p->x, p->bucket);
    else
        json_text_int(&p->x, p->bucket);
    json_text_number(&p->y, p->sum / (double)p->count);
    p->count = 0;
    p->sum = 0;
}

static void points_read(const struct histogram *h, int64_t series, int64_t interval,
                        struct points *p)
{
    static const char by_iter[] =
        "SELECT iter, value FROM series_events WHERE series = ? AND iter > ?"
        " AND value IS NOT NULL ORDER BY iter";
    static const char by_time[] =
        "SELECT timestamp, value FROM series_events WHERE series = ? AND iter > ?"
        " AND value IS NOT NULL ORDER BY timestamp";
    auto_reset *stmt =
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
}

/* Appends {"name", "x", "y"} of a series; false, and nothing, if it has no points. */
static bool add_points(const struct histogram *h, const struct event_series *series,
                       int64_t interval, const char *name, struct buf *out)
{
    struct points p = {.x = BUF_INIT, .y = BUF_INIT};
    buf_add_char(&p.x, '[');
    buf_add_char(&p.y, '[');
    points_read(h, series->id, interval, &p);
    bool any = p.x.len > 1;
    if (any) {
        buf_add_str(out, "{\"name\":");
        json_text_string(out, name, strlen(name));
        buf_add_str(out, ",\"x\":");
        buf_add(out, p.x.data, p.x.len);
        buf_add_str(out, "],\"y\":");
        buf_add(out, p.y.data, p.y.len);
        buf_add_char(out, ']');
    }
    if (any && series->x_axis_label) {
        buf_add_str(out, ",\"x_axis_label\":");
        json_text_string(out, series->x_axis_label, strlen(series->x_axis_label));
    }
    if (any)
        buf_add_char(out, '}');
    buf_free(&p.x);
    buf_free(&p.y);
    return any;
}

/* A series of one of the tasks. */
struct histogram_item {
    const struct event_series *series;
    int64_t interval;
    size_t task;
};

struct histogram_task {
    const char *id;
    char name[512];
    struct event_series_list list;
};

struct histogram_out {
    struct histogram h;
    const cJSON *wanted;
    struct histogram_task *tasks;
    size_t task_count, count;
    struct histogram_item *items; /* by metric, variant and task */
    bool many;                    /* one more level: by task */
    struct buf out;
};

static int compare_items(const void *a, const void *b)
{
    const struct histogram_item *x = a, *y = b;
    int order = strcmp(x->series->metric, y->series->metric);
    if (!order)
        order = strcmp(x->series->variant, y->series->variant);
    return order ? order : (x->task > y->task) - (x->task < y->task);
}

static void histogram_load(struct histogram_out *o)
{
    for (size_t t = 0; t < o->task_count; t++) {
        struct histogram_task *task = &o->tasks[t];
        task->list =
            event_series_load(o->h.call->db, task->id, EVENT_SCALAR, o->wanted);
        o->items =
            xreallocarray(o->items, o->count + task->list.count + 1, sizeof *o->items);
        auto_free int64_t *intervals = intervals_dup(&o->h, &task->list);
        for (size_t i = 0; i < task->list.count; i++)
            o->items[o->count++] =
                (struct histogram_item){&task->list.items[i], intervals[i], t};
    }
    qsort(o->items, o->count, sizeof *o->items, compare_items);
}

static void add_name(struct buf *out, const char *name)
{
    if (out->data[out->len - 1] != '{')
        buf_add_char(out, ',');
    json_text_string(out, name, strlen(name));
    buf_add_char(out, ':');
}

/* The items from i on that are one variant's; returns how many. */
static size_t add_variant_points(struct histogram_out *o, size_t i)
{
    const struct event_series *series = o->items[i].series;
    size_t before = o->out.len, n = 0;
    bool any = false;
    add_name(&o->out, series->variant);
    if (o->many)
        buf_add_char(&o->out, '{');
    for (; i + n < o->count; n++) {
        const struct histogram_item *item = &o->items[i + n];
        if (strcmp(item->series->metric, series->metric) ||
            strcmp(item->series->variant, series->variant))
            break;
        const struct histogram_task *task = &o->tasks[item->task];
        size_t back = o->out.len;
        if (o->many)
            add_name(&o->out, task->id);
        if (add_points(&o->h, item->series, item->interval,
                       o->many ? task->name : series->variant, &o->out))
            any = true;
        else
            o->out.len = back;
    }
    if (o->many)
        buf_add_char(&o->out, '}');
    if (!any)
        o->out.len = before;
    return n;
}

static void add_histograms(struct histogram_out *o)
{
    buf_add_char(&o->out, '{');
    for (size_t i = 0; i < o->count && o->out.len < EVENT_WHOLE_MAX;) {
        const char *metric = o->items[i].series->metric;
        size_t before = o->out.len;
        add_name(&o->out, metric);
        buf_add_char(&o->out, '{');
        size_t start = o->out.len;
        while (i < o->count && o->out.len < EVENT_WHOLE_MAX &&
               !strcmp(o->items[i].series->metric, metric))
            i += add_variant_points(o, i);
        if (o->out.len == start)
            o->out.len = before;
        else
            buf_add_char(&o->out, '}');
    }
    buf_add_char(&o->out, '}');
}

static void histogram_free(struct histogram_out *o)
{
    for (size_t t = 0; t < o->task_count; t++)
        event_series_free(&o->tasks[t].list);
    free(o->tasks);
    free(o->items);
    buf_free(&o->out);
}
#define auto_histogram __attribute__((cleanup(histogram_free))) struct histogram_out

static void take_tasks(struct histogram_out *o, const cJSON *ids)
{
    const cJSON *first = cJSON_IsArray(ids) ? ids->child : ids;
    size_t n = cJSON_IsArray(ids) ? (size_t)cJSON_GetArraySize(ids) : 1;
    o->tasks = xcalloc(n, sizeof *o->tasks);
    for (const cJSON *id = first; o->task_count < n; id = id->next) {
        struct histogram_task *task = &o->tasks[o->task_count++];
        task->id = id->valuestring;
        event_source_name(o->h.call, task->id, task->name);
    }
}

int events_scalar_histogram(struct call *call)
{
    auto_histogram o = {0};
    const char *task = json_str(call->request, "task", "");
    if (histogram_read(call, &o.h) < 0 || event_require_source(call, task) < 0 ||
        event_metrics_requested(call, &o.wanted) < 0)
        return -1;
    take_tasks(&o, json_get(call->request, "task"));
    histogram_load(&o);
    add_histograms(&o);
    return event_answer(call, &o.out);
}

/* ClearML's bound on tasks in one picture. */
#define HISTOGRAM_TASKS_MAX 100

int events_multi_scalar_histogram(struct call *call)
{
    auto_histogram o = {.many = true};
    const cJSON *tasks;
    if (histogram_read(call, &o.h) < 0 ||
        event_require_sources(call, HISTOGRAM_TASKS_MAX, &tasks) < 0 ||
        event_metrics_requested(call, &o.wanted) < 0)
        return -1;
    take_tasks(&o, tasks);
    histogram_load(&o);
    buf_add_str(&o.out, "{\"metrics\":");
    add_histograms(&o);
    buf_add_char(&o.out, '}');
    return event_answer(call, &o.out);
}

/* ---- raw values ---- */

#define RAW_BATCH_MAX 200000

/* A variant's values as they are put together. */
struct raw_variant {
    struct buf x, y;
};

struct raw_out {
    struct call *call;
    enum axis axis;
    const cJSON *metric;
    struct event_scroll scroll;
    struct event_series_list list;
    struct raw_variant *variants; /* as list */
    int64_t returned;
};

static void raw_free(struct raw_out *o)
{
    for (size_t i = 0; o->variants && i < o->list.count; i++) {
        buf_free(&o->variants[i].x);
        buf_free(&o->variants[i].y);
    }
    free(o->variants);
    event_series_free(&o->list);
    event_scroll_free(&o->scroll);
}

static int raw_requested(struct raw_out *o, const char *task)
{
    struct call *call = o->call;
    int64_t batch = json_int(call->request, "batch_size", 0);
    if (batch < 0)
        return call_fail(call, 400, 12,
                         "Validation error (batch_size should be non negative number)");
    if (event_require_source(call, task) < 0 ||
        event_scroll_read(call, "raw", &o->scroll) < 0)
        return -1;
    if (batch == 0)
        batch = o->scroll.batch > 0 ? o->scroll.batch : EVENT_BATCH_MAX;
    o->scroll.batch = batch < RAW_BATCH_MAX ? batch : RAW_BATCH_MAX;
    if (!o->scroll.given)
        o->scroll.first = o->scroll.second = INT64_MIN;
    const cJSON *metrics;
    cJSON *list = cJSON_CreateArray();
    cJSON_AddItemToArray(list, cJSON_Duplicate(json_get(call->request, "metric"), 1));
    json_set(call->request, "metrics", list);
    if (event_metrics_requested(call, &metrics) < 0)
        return -1;
    o->list = event_series_load(call->db, task, EVENT_SCALAR, metrics);
    o->variants = xcalloc(o->list.count + 1, sizeof *o->variants);
    return 0;
}

static void raw_add(struct raw_out *o, struct raw_variant *v, sqlite3_stmt *stmt)
{
    buf_add_char(&v->x, v->x.len ? ',' : '[');
    buf_add_char(&v->y, v->y.len ? ',' : '[');
    int64_t time = sqlite3_column_int64(stmt, 1);
    if (o->axis == AXIS_ISO)
        add_iso(&v->x, time);
    else
        json_text_int(&v->x,
                      o->axis == AXIS_ITER ? sqlite3_column_int64(stmt, 0) : time);
    if (sqlite3_column_type(stmt, 2) == SQLITE_NULL)
        buf_add_str(&v->y, "null");
    else
        json_text_number(&v->y, sqlite3_column_double(stmt, 2));
    o->returned++;
}

static void raw_read(struct raw_out *o)
{
    size_t n;
    struct event_pick from = {.iter = o->scroll.first, .id = o->scroll.second};
    auto_free struct event_pick *picks = event_pick(o->call->db, &o->list, false, false,
                                                    from, (size_t)o->scroll.batch, &n);
    for (size_t i = 0; i < n; i++) {
        auto_reset *stmt =
            store_query(o->call->db,
                        "SELECT iter, timestamp, value FROM series_events WHERE id = ?",
                        "i", picks[i].id);
        if (store_row(stmt))
            raw_add(o, &o->variants[picks[i].series], stmt);
        o->scroll.first = picks[i].iter;
        o->scroll.second = picks[i].id;
    }
}

static cJSON *take_list(struct buf *text)
{
    buf_add_char(text, ']');
    return cJSON_CreateRaw(buf_str(text));
}

static int64_t raw_count(const struct raw_out *o)
{
    int64_t n = 0;
    for (size_t i = 0; i < o->list.count; i++)
        n += store_int(o->call->db,
                       "SELECT count(*) FROM series_events WHERE series = ?", 0, "i",
                       o->list.items[i].id);
    return n;
}

static void raw_answer(struct raw_out *o)
{
    static const char *const names[] = {"iter", "timestamp", "iso_time"};
    cJSON *data = o->call->data;
    cJSON *variants = json_set(data, "variants", cJSON_CreateObject());
    for (size_t i = 0; i < o->list.count; i++) {
        struct raw_variant *v = &o->variants[i];
        if (!v->x.len)
            continue;
        cJSON *variant = json_member(variants, o->list.items[i].variant);
        json_set(variant, "y", take_list(&v->y));
        json_set(variant, names[o->axis], take_list(&v->x));
    }
    json_set_int(data, "returned", o->returned);
    if (request_true(o->call->request, "count_total", false) && o->scroll.total < 0)
        o->scroll.total = raw_count(o);
    if (o->scroll.total >= 0)
        json_set_int(data, "total", o->scroll.total);
    else
        json_set(data, "total", cJSON_CreateNull());
    auto_buf scroll = BUF_INIT;
    event_scroll_write(&scroll, "raw", &o->scroll);
    json_set(data, "scroll_id", cJSON_CreateRaw(buf_str(&scroll)));
}

int events_scalar_raw(struct call *call)
{
    __attribute__((cleanup(raw_free))) struct raw_out o = {.call = call,
                                                           .scroll = {.total = -1}};
    if (axis_requested(call, &o.axis) < 0 ||
        raw_requested(&o, json_str(call->request, "task", "")) < 0)
        return -1;
    raw_read(&o);
    raw_answer(&o);
    return 0;
}
