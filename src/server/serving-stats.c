/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/alloc.h"
#include "base/json.h"
#include "server/serving-internal.h"
#include "server/sql.h"
#include "server/store.h"
#include "server/tasks-internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ClearML's charts: no interval is shorter, no more instances are drawn. */
#define INTERVAL_MIN_S 40
#define INSTANCES_MAX 10
#define POINTS_MAX 10000

static const struct chart {
    const char *type, *path, *title;
    bool mean; /* over instances; else the sum */
    double factor;
} charts[] = {
    {"requests", "$.requests_num", "Number of Requests", false, 1},
    {"requests_min", "$.requests_min", "Requests per Minute", false, 1},
    {"latency_ms", "$.latency_ms", "Average Latency (ms)", true, 1},
    {"cpu_count", "$.cpu_num", "CPU Count", false, 1},
    {"gpu_count", "$.gpu_num", "GPU Count", false, 1},
    {"cpu_util", "$.cpu_usage", "Average CPU Load (%)", true, 1},
    {"gpu_util", "$.gpu_usage", "Average GPU Utilization (%)", true, 1},
    {"ram_total", "$.memory_total", "RAM Total (GB)", false, 1.0 / 1024},
    {"ram_used", "$.memory_used", "RAM Used (GB)", false, 1.0 / 1024},
    {"ram_free", "$.memory_free", "RAM Free (GB)", false, 1.0 / 1024},
    {"gpu_ram_total", "$.gpu_memory_total", "GPU RAM Total (GB)", false, 1.0 / 1024},
    {"gpu_ram_used", "$.gpu_memory_used", "GPU RAM Used (GB)", false, 1.0 / 1024},
    {"gpu_ram_free", "$.gpu_memory_free", "GPU RAM Free (GB)", false, 1.0 / 1024},
    {"network_rx", "$.network_rx", "Network Throughput RX (MBps)", false, 1},
    {"network_tx", "$.network_tx", "Network Throughput TX (MBps)", false, 1},
};

struct instance {
    char *id;
    cJSON *values;
    int count; /* of values */
};

struct history {
    struct call *call;
    const struct chart *chart;
    const char *url;
    int64_t from_ms, to_ms, interval_s, last_ms; /* last_ms: the last whole interval */
    cJSON *dates, *values;                       /* of the total */
    int count;                                   /* of both */
    struct instance instances[INSTANCES_MAX];
    size_t instance_count;
};

static const struct chart *chart_of(const char *type)
{
    for (size_t i = 0; i < ARRAY_SIZE(charts); i++)
        if (!strcmp(charts[i].type, type))
            return &charts[i];
    return NULL;
}

static int history_requested(struct history *h)
{
    const cJSON *request = h->call->request;
    const char *type = json_str(request, "metric_type", "requests");
    double from = json_num(request, "from_date", 0),
           to = json_num(request, "to_date", 0);
    int64_t interval = json_int(request, "interval", 0);
    h->chart = chart_of(type);
    h->url = json_str(request, "endpoint_url", "");
    if (!h->chart)
        return api_fail(h->call, API_VALIDATION, NULL, "metric_type", type, NULL);
    if (from < 0 || to < 0 || interval < 1 || to > 1e11)
        return api_fail(h->call, API_VALIDATION, "dates or interval", NULL);
    if (from >= to)
        return api_fail(h->call, API_FIELDS_VALUE,
                        "from_date must be less than to_date", NULL);
    h->interval_s = interval > INTERVAL_MIN_S ? interval : INTERVAL_MIN_S;
    if ((to - from) / (double)h->interval_s > POINTS_MAX)
        return api_fail(h->call, API_VALIDATION, "too many intervals", NULL);
    h->from_ms = (int64_t)(from * 1000);
    h->to_ms = (int64_t)(to * 1000);
    h->last_ms = (int64_t)((to - 0.9 * (double)h->interval_s) * 1000);
    return 0;
}

/* Those with the most reports. */
static void find_instances(struct history *h)
{
    auto_reset *stmt =
        store_query(h->call->db,
                    "SELECT container FROM serving_reports WHERE url = ? AND timestamp "
                    "BETWEEN ? AND"
                    " ? GROUP BY container ORDER BY count(*) DESC, container LIMIT ?",
                    "tiii", h->url, h->from_ms, h->to_ms, (int64_t)INSTANCES_MAX);
    while (store_row(stmt) && h->instance_count < INSTANCES_MAX)
        h->instances[h->instance_count++] =
            (struct instance){xstrdup((const char *)sqlite3_column_text(stmt, 0)),
                              cJSON_CreateArray(), 0};
}

static struct instance *instance_named(struct history *h, const char *id)
{
    for (size_t i = 0; i < h->instance_count; i++)
        if (!strcmp(h->instances[i].id, id))
            return &h->instances[i];
    return NULL;
}

static void instance_add(struct instance *instance, double value)
{
    cJSON_AddItemToArray(instance->values, cJSON_CreateNumber(value));
    instance->count++;
}

static double rounded(const struct history *h, double value)
{
    return round(value * h->chart->factor * 100) / 100;
}

/* Ends an interval: the total, and 0 for who said nothing in it. */
static void close_interval(struct history *h, int64_t bucket, double sum, int n)
{
    double total = h->chart->mean && n ? sum / n : sum;
    cJSON_AddItemToArray(h->dates, cJSON_CreateNumber((double)bucket));
    cJSON_AddItemToArray(h->values, cJSON_CreateNumber(rounded(h, total)));
    h->count++;
    for (size_t i = 0; i < h->instance_count; i++)
        if (h->instances[i].count < h->count)
            instance_add(&h->instances[i], 0);
}

static sqlite3_stmt *select_points(const struct history *h, int64_t interval_ms)
{
    static const char largest[] =
        "SELECT timestamp / ?4 * ?4 AS bucket, container,"
        " max(json_extract(stats, ?5)) FROM serving_reports WHERE url = ?1 AND"
        " timestamp BETWEEN ?2 AND ?3 GROUP BY bucket, container"
        " ORDER BY bucket, container";
    static const char average[] =
        "SELECT timestamp / ?4 * ?4 AS bucket, container,"
        " avg(json_extract(stats, ?5)) FROM serving_reports WHERE url = ?1 AND"
        " timestamp BETWEEN ?2 AND ?3 GROUP BY bucket, container"
        " ORDER BY bucket, container";
    return store_query(h->call->db, h->chart == charts ? largest : average, "tiiit",
                       h->url, h->from_ms, h->to_ms, interval_ms, h->chart->path);
}

/* Requests are drawn where there are some; all else over the whole time. */
static void read_points(struct history *h)
{
    int64_t interval_ms = h->interval_s * 1000;
    bool gaps = h->chart == charts;
    auto_reset *stmt = select_points(h, interval_ms);
    bool row = store_row(stmt);
    int64_t at = gaps && row ? sqlite3_column_int64(stmt, 0)
                             : h->from_ms / interval_ms * interval_ms;
    while (at <= h->last_ms && (row || !gaps)) {
        double sum = 0;
        int n = 0;
        for (; row && sqlite3_column_int64(stmt, 0) == at; row = store_row(stmt)) {
            struct instance *instance =
                instance_named(h, (const char *)sqlite3_column_text(stmt, 1));
            if (!instance)
                continue;
            double value = sqlite3_column_double(stmt, 2);
            instance_add(instance, rounded(h, value));
            sum += value;
            n += sqlite3_column_type(stmt, 2) != SQLITE_NULL;
        }
        close_interval(h, at, sum, n);
        at = gaps && row ? sqlite3_column_int64(stmt, 0) : at + interval_ms;
    }
}

static void answer_instances(struct history *h)
{
    cJSON *out = json_set(h->call->data, "instances", cJSON_CreateObject());
    bool wanted = request_true(h->call->request, "instance_charts", true);
    for (size_t i = 0; i < h->instance_count; i++) {
        struct instance *instance = &h->instances[i];
        if (wanted) {
            cJSON *one = json_set(out, instance->id, cJSON_CreateObject());
            json_set_str(one, "title", instance->id);
            json_set(one, "dates", cJSON_Duplicate(h->dates, true));
            json_set(one, "values", steal(&instance->values));
        }
        cJSON_Delete(instance->values);
        free(instance->id);
    }
}

int serving_get_metrics_history(struct call *call)
{
    struct history h = {.call = call};
    if (history_requested(&h) < 0)
        return -1;
    json_set_int(call->data, "computed_interval", h.interval_s);
    cJSON *total = json_set(call->data, "total", cJSON_CreateObject());
    json_set_str(total, "title", h.chart->title);
    h.dates = json_set(total, "dates", cJSON_CreateArray());
    h.values = json_set(total, "values", cJSON_CreateArray());
    find_instances(&h);
    if (h.instance_count)
        read_points(&h);
    answer_instances(&h);
    return 0;
}
