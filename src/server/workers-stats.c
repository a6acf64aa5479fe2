/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/workers-internal.h"
#include "base/alloc.h"
#include "base/json.h"
#include "server/store.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ClearML's machine_stats; what else comes is dropped. */
static const char *const metrics[] = {
    "cpu_usage",       "cpu_temperature", "gpu_usage",      "gpu_temperature",
    "gpu_memory_free", "gpu_memory_used", "memory_used",    "memory_free",
    "network_tx",      "network_rx",      "disk_free_home", "disk_free_temp",
    "disk_read",       "disk_write"};

/* How long and how many reports are kept: about 200 MB. */
#define KEPT_MS (INT64_C(7) * 24 * 3600 * 1000)
#define KEPT_REPORTS INT64_C(1000000)
#define VARIANTS_MAX 64

/* ---- storing ---- */

static bool usable(const cJSON *value)
{
    return cJSON_IsNumber(value) && isfinite(value->valuedouble);
}

static void keep_metric(cJSON *out, const char *name, const cJSON *value)
{
    if (usable(value) && value->valuedouble != 0) {
        json_set_num(out, name, value->valuedouble);
        return;
    }
    int n = cJSON_GetArraySize(value);
    if (!cJSON_IsArray(value) || n == 0 || n > VARIANTS_MAX)
        return;
    cJSON *list = json_set(out, name, cJSON_CreateArray());
    for (const cJSON *v = value->child; v; v = v->next)
        cJSON_AddItemToArray(list, cJSON_CreateNumber(usable(v) ? v->valuedouble : 0));
}

static int64_t worker_number(sqlite3 *db, const char *worker)
{
    int64_t id =
        store_int(db, "SELECT id FROM worker_names WHERE name = ?", -1, "t", worker);
    if (id >= 0)
        return id;
    store_change(db, "INSERT INTO worker_names (name) VALUES (?)", "t", worker);
    return sqlite3_last_insert_rowid(db);
}

/* A few of the oldest go with each new report: no report has to wait for a sweep. */
static void forget_oldest(sqlite3 *db, int64_t now_ms)
{
    store_change(db,
                 "DELETE FROM worker_reports WHERE id IN (SELECT id FROM worker_reports"
                 " ORDER BY id LIMIT 4) AND (received < ?1 OR id <="
                 " (SELECT max(id) FROM worker_reports) - ?2)",
                 "ii", now_ms - KEPT_MS, KEPT_REPORTS);
}

void worker_stats_add(struct call *call, const char *worker, int64_t timestamp,
                      bool has_task, const cJSON *machine_stats)
{
    auto_json *kept = cJSON_CreateObject();
    for (size_t i = 0; i < ARRAY_SIZE(metrics); i++)
        keep_metric(kept, metrics[i], json_get(machine_stats, metrics[i]));
    if (!kept->child)
        return;
    auto_free char *text = json_format(kept);
    store_change(call->db,
                 "INSERT INTO worker_reports (worker, timestamp, has_task, received,"
                 " stats) VALUES (?, ?, ?, ?, ?)",
                 "iiiit", worker_number(call->db, worker), timestamp, (int64_t)has_task,
                 call->now_ms, text);
    forget_oldest(call->db, call->now_ms);
}

/* ---- which figures there are ---- */

/* The numbers of the workers asked for, or of all, as JSON for json_each; the caller's.
 */
static char *workers_wanted(struct call *call)
{
    const cJSON *names = json_get(call->request, "worker_ids");
    bool all = !cJSON_IsArray(names) || !names->child;
    auto_free char *text = all ? xstrdup("[]") : json_format(names);
    sqlite3_stmt *stmt =
        store_query(call->db,
                    "SELECT id FROM worker_names WHERE ?2 OR name IN (SELECT value FROM"
                    " json_each(?1)) ORDER BY name",
                    "ti", text, (int64_t)all);
    auto_json *ids = cJSON_CreateArray();
    while (store_row(stmt))
        cJSON_AddItemToArray(ids,
                             cJSON_CreateNumber((double)sqlite3_column_int64(stmt, 0)));
    sqlite3_reset(stmt);
    return json_format(ids);
}

static void note_keys(cJSON *categories, const char *stats)
{
    auto_json *report = json_parse(stats, strlen(stats), NULL);
    for (const cJSON *m = report ? report->child : NULL; m; m = m->next) {
        auto_free char *category = xstrndup(m->string, strcspn(m->string, "_"));
        cJSON *keys = json_get(categories, category);
        if (!keys)
            keys = json_set(categories, category, cJSON_CreateArray());
        bool known = false;
        for (const cJSON *k = keys->child; k && !known; k = k->next)
            known = !strcmp(k->valuestring, m->string);
        if (!known)
            cJSON_AddItemToArray(keys, cJSON_CreateString(m->string));
    }
}

int workers_get_metric_keys(struct call *call)
{
    auto_free char *ids = workers_wanted(call);
    /* A figure may be missing in a report where it was zero: look at some. */
    sqlite3_stmt *stmt = store_query(
        call->db,
        "SELECT r.stats FROM json_each(?) w JOIN worker_reports r ON r.id IN (SELECT id"
        " FROM worker_reports WHERE worker = w.value ORDER BY timestamp DESC LIMIT 20)",
        "t", ids);
    auto_json *found = cJSON_CreateObject();
    while (store_row(stmt))
        note_keys(found, (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_reset(stmt);
    if (!found->child)
        return call_fail(call, 400, 1005,
                         "Worker stats not found (No statistic metrics found for the "
                         "company %s)",
                         call->caller.company);
    cJSON *categories = json_set(call->data, "categories", cJSON_CreateArray());
    for (const cJSON *f = found->child; f; f = f->next) {
        cJSON *category = cJSON_CreateObject();
        json_set_str(category, "name", f->string);
        json_set(category, "metric_keys", cJSON_Duplicate(f, 1));
        cJSON_AddItemToArray(categories, category);
    }
    return 0;
}

/* ---- figures over time ---- */

/* ClearML's shortest interval, and a bound on what one answer may hold. */
#define INTERVAL_MIN_S 40
#define BUCKETS_MAX 10000
#define CELLS_MAX 2000000

struct range {
    int64_t from_ms, to_ms, interval_ms;
    int64_t first;   /* start of the first interval, in ms */
    int64_t buckets; /* how many */
    double to_s, interval_s;
};

static int64_t floor_to(int64_t value, int64_t step)
{
    return value - (value % step + step) % step;
}

static int read_range(struct call *call, struct range *r)
{
    double from = json_num(call->request, "from_date", -1);
    double to = json_num(call->request, "to_date", -1);
    int64_t interval = json_int(call->request, "interval", 0);
    if (!(from >= 0) || !(to >= 0) || from > 1e11 || to > 1e11 || interval < 1)
        return call_fail(call, 400, 12,
                         "Validation error (from_date, to_date: seconds; interval: at "
                         "least 1)");
    if (from >= to)
        return call_fail(
            call, 400, 16,
            "Invalid value for fields (from_date must be less than to_date)");
    if (interval < INTERVAL_MIN_S)
        interval = INTERVAL_MIN_S;
    if (interval > INT64_C(1) << 32)
        interval = INT64_C(1) << 32;
    r->interval_ms = interval * 1000;
    r->from_ms = (int64_t)from * 1000;
    r->to_ms = (int64_t)to * 1000;
    r->first = floor_to(r->from_ms, r->interval_ms);
    r->buckets = (floor_to(r->to_ms, r->interval_ms) - r->first) / r->interval_ms + 1;
    r->to_s = to;
    r->interval_s = (double)interval;
    if (r->buckets > BUCKETS_MAX)
        return call_fail(call, 400, 16,
                         "Invalid value for fields (more than %d intervals)",
                         BUCKETS_MAX);
    return 0;
}

/* The last interval is left out while it is not over, with a tenth of tolerance. */
static int64_t buckets_shown(const struct range *r)
{
    double cutoff = (r->to_s - 0.9 * r->interval_s) * 1000;
    int64_t n = r->buckets;
    while (n > 0 && (double)(r->first + (n - 1) * r->interval_ms) > cutoff)
        n--;
    return n;
}

struct cell {
    double sum, min, max;
    int64_t count;
};

/* One line of a graph: a metric, or one variant of it. */
struct line {
    char variant[16];
    struct cell *cells;
    struct line *next;
};

struct item {
    const char *key;
    bool avg, min, max;
};

struct stats {
    struct call *call;
    struct range range;
    struct item items[ARRAY_SIZE(metrics)];
    size_t item_count;
    bool split;
    int64_t cells;
    struct line *lines[ARRAY_SIZE(metrics)]; /* of the worker at hand */
};

static int read_item(struct stats *s, const cJSON *item)
{
    const char *key = json_str(item, "key", NULL);
    const char *aggregation = json_str(item, "aggregation", "avg");
    if (!key)
        return call_fail(s->call, 400, 12, "Validation error (items: key is missing)");
    bool avg = !strcmp(aggregation, "avg"), min = !strcmp(aggregation, "min"),
         max = !strcmp(aggregation, "max");
    if (!avg && !min && !max)
        return call_fail(s->call, 400, 12,
                         "Validation error (aggregation: avg, min, max)");
    size_t known = 0, i = 0;
    while (known < ARRAY_SIZE(metrics) && strcmp(metrics[known], key) != 0)
        known++;
    if (known == ARRAY_SIZE(metrics))
        return 0; /* nothing of it is there */
    while (i < s->item_count && s->items[i].key != metrics[known])
        i++;
    if (i == s->item_count)
        s->items[s->item_count++].key = metrics[known];
    s->items[i].avg |= avg;
    s->items[i].min |= min;
    s->items[i].max |= max;
    return 0;
}

static struct line *line_of(struct stats *s, size_t item, const char *variant)
{
    struct line **at = &s->lines[item];
    for (; *at; at = &(*at)->next)
        if (!strcmp((*at)->variant, variant))
            return *at;
    if (s->cells + s->range.buckets > CELLS_MAX)
        return NULL;
    s->cells += s->range.buckets;
    *at = xcalloc(1, sizeof **at);
    snprintf((*at)->variant, sizeof(*at)->variant, "%s", variant);
    (*at)->cells = xcalloc((size_t)s->range.buckets, sizeof *(*at)->cells);
    return *at;
}

static int add_value(struct stats *s, size_t item, const char *variant, int64_t bucket,
                     double value)
{
    struct line *line = line_of(s, item, s->split ? variant : "");
    if (!line)
        return call_fail(s->call, 400, 16,
                         "Invalid value for fields (too many workers and intervals at "
                         "once)");
    struct cell *cell = &line->cells[bucket];
    cell->min = cell->count && cell->min < value ? cell->min : value;
    cell->max = cell->count && cell->max > value ? cell->max : value;
    cell->sum += value;
    cell->count++;
    return 0;
}

static int add_report(struct stats *s, int64_t timestamp, const char *text)
{
    int64_t bucket = (timestamp - s->range.first) / s->range.interval_ms;
    if (bucket < 0 || bucket >= s->range.buckets)
        return 0;
    auto_json *report = json_parse(text, strlen(text), NULL);
    int result = 0;
    for (size_t i = 0; i < s->item_count && result == 0; i++) {
        const cJSON *value = json_get(report, s->items[i].key);
        if (cJSON_IsNumber(value))
            result = add_value(s, i, "total", bucket, value->valuedouble);
        int n = 0;
        for (const cJSON *v = cJSON_IsArray(value) ? value->child : NULL;
             v && result == 0; v = v->next) {
            char variant[16];
            snprintf(variant, sizeof variant, "%d", n++);
            result = add_value(s, i, variant, bucket, v->valuedouble);
        }
    }
    return result;
}

enum aggregation { AVG, MIN, MAX };

static cJSON *values_json(const struct line *line, int64_t n, enum aggregation which)
{
    static const char *const names[] = {"avg", "min", "max"};
    cJSON *values = cJSON_CreateArray();
    for (int64_t i = 0; i < n; i++) {
        const struct cell *c = &line->cells[i];
        double value = which == MIN ? c->min : which == MAX ? c->max : c->sum;
        if (which == AVG && c->count)
            value /= (double)c->count;
        cJSON_AddItemToArray(values, cJSON_CreateNumber(value));
    }
    cJSON *stats = cJSON_CreateObject();
    json_set_str(stats, "aggregation", names[which]);
    json_set(stats, "values", values);
    return stats;
}

static cJSON *line_json(const struct stats *s, size_t item, const struct line *line)
{
    int64_t n = buckets_shown(&s->range);
    cJSON *metric = cJSON_CreateObject();
    json_set_str(metric, "metric", s->items[item].key);
    if (s->split)
        json_set_str(metric, "variant", line->variant);
    cJSON *dates = json_set(metric, "dates", cJSON_CreateArray());
    for (int64_t i = 0; i < n; i++)
        cJSON_AddItemToArray(
            dates,
            cJSON_CreateNumber((double)(s->range.first + i * s->range.interval_ms)));
    cJSON *stats = json_set(metric, "stats", cJSON_CreateArray());
    if (s->items[item].avg)
        cJSON_AddItemToArray(stats, values_json(line, n, AVG));
    if (s->items[item].min)
        cJSON_AddItemToArray(stats, values_json(line, n, MIN));
    if (s->items[item].max)
        cJSON_AddItemToArray(stats, values_json(line, n, MAX));
    return metric;
}

/* Adds the worker at hand to the answer, if it has figures, and forgets them. */
static void flush_worker(struct stats *s, const char *worker, bool answer)
{
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < s->item_count; i++) {
        while (s->lines[i]) {
            struct line *line = s->lines[i];
            if (answer)
                cJSON_AddItemToArray(list, line_json(s, i, line));
            s->lines[i] = line->next;
            free(line->cells);
            free(line);
        }
    }
    if (!list->child) {
        cJSON_Delete(list);
        return;
    }
    cJSON *entry = cJSON_CreateObject();
    json_set_str(entry, "worker", worker);
    json_set(entry, "metrics", list);
    cJSON_AddItemToArray(json_get(s->call->data, "workers"), entry);
}

static int add_worker(struct stats *s, int64_t number)
{
    sqlite3_stmt *stmt = store_query(
        s->call->db,
        "SELECT r.timestamp, r.stats, n.name FROM worker_reports r JOIN worker_names n "
        "ON"
        " n.id = r.worker WHERE r.worker = ? AND r.timestamp BETWEEN ? AND ?",
        "iii", number, s->range.from_ms, s->range.to_ms);
    int result = 0;
    auto_free char *name = NULL;
    while (result == 0 && store_row(stmt)) {
        if (!name)
            name = xstrdup((const char *)sqlite3_column_text(stmt, 2));
        result = add_report(s, sqlite3_column_int64(stmt, 0),
                            (const char *)sqlite3_column_text(stmt, 1));
    }
    sqlite3_reset(stmt);
    flush_worker(s, name, result == 0);
    return result;
}

int workers_get_stats(struct call *call)
{
    struct stats s = {.call = call,
                      .split = json_bool(call->request, "split_by_variant", false)};
    const cJSON *items = json_get(call->request, "items");
    if (read_range(call, &s.range) < 0)
        return -1;
    if (!cJSON_IsArray(items) || !items->child)
        return call_fail(call, 400, 12, "Validation error (items: at least one)");
    for (const cJSON *item = items->child; item; item = item->next)
        if (read_item(&s, item) < 0)
            return -1;
    auto_free char *ids = workers_wanted(call);
    auto_json *numbers = json_parse(ids, strlen(ids), NULL);
    json_set(call->data, "workers", cJSON_CreateArray());
    for (const cJSON *n = numbers->child; n; n = n->next)
        if (add_worker(&s, (int64_t)n->valuedouble) < 0)
            return -1;
    return 0;
}

/* ---- how many workers there were ---- */

static cJSON *activity(struct call *call, const struct range *r, bool with_task)
{
    int64_t n = r->buckets;
    auto_free int64_t *counts = xcalloc((size_t)n, sizeof *counts);
    sqlite3_stmt *stmt = store_query(
        call->db,
        "SELECT (timestamp - ?1) / ?2, count(DISTINCT worker) FROM worker_reports WHERE"
        " timestamp BETWEEN ?3 AND ?4 AND has_task >= ?5 GROUP BY 1",
        "iiiii", r->first, r->interval_ms, r->from_ms, r->to_ms, (int64_t)with_task);
    while (store_row(stmt)) {
        int64_t bucket = sqlite3_column_int64(stmt, 0);
        if (bucket >= 0 && bucket < n)
            counts[bucket] = sqlite3_column_int64(stmt, 1);
    }
    sqlite3_reset(stmt);
    cJSON *series = cJSON_CreateObject();
    cJSON *dates = json_set(series, "dates", cJSON_CreateArray());
    cJSON *values = json_set(series, "counts", cJSON_CreateArray());
    /* The last interval is not over. */
    for (int64_t i = 0; i < n - 1; i++) {
        cJSON_AddItemToArray(
            dates, cJSON_CreateNumber((double)(r->first + i * r->interval_ms)));
        cJSON_AddItemToArray(values, cJSON_CreateNumber((double)counts[i]));
    }
    return series;
}

int workers_get_activity_report(struct call *call)
{
    struct range r;
    if (read_range(call, &r) < 0)
        return -1;
    json_set(call->data, "total", activity(call, &r, false));
    json_set(call->data, "active", activity(call, &r, true));
    return 0;
}
