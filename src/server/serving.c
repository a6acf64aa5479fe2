/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "server/schema.h"
#include "server/serving-internal.h"
#include "server/sql.h"
#include "server/store.h"
#include "server/tasks-internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Containers that serve models (clearml-serving): each is there until its registration
 * runs out, which every report renews. What they report is kept apart, for charts. */

const char serving_schema[] =
    "CREATE TABLE serving_containers (id TEXT PRIMARY KEY, url TEXT, ip TEXT,"
    " doc TEXT NOT NULL, registered INTEGER NOT NULL, timeout INTEGER NOT NULL,"
    " seen INTEGER NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX serving_containers_url ON serving_containers (url);"
    "CREATE TABLE serving_reports (id INTEGER PRIMARY KEY, url TEXT NOT NULL,"
    " container TEXT NOT NULL, timestamp INTEGER NOT NULL, stats TEXT NOT NULL);"
    "CREATE INDEX serving_reports_time ON serving_reports (url, timestamp);";

#define TIMEOUT_S 600
#define TIMEOUT_MAX_S (INT64_C(365) * 24 * 3600)

/* ---- what a container says of itself ---- */

static const char *const texts[] = {"endpoint_url",  "model_source",
                                    "model_version", "preprocess_artifact",
                                    "input_type",    NULL};
static const char *const numbers[] = {"uptime_sec", "requests_num", "requests_min",
                                      "latency_ms", NULL};

static bool reference_sound(const cJSON *list)
{
    static const char *const types[] = {"app_id", "app_instance", "model",
                                        "task",   "url",          NULL};
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        const char *type = json_str(item, "type", "");
        size_t i = 0;
        while (types[i] && strcmp(types[i], type) != 0)
            i++;
        if (!types[i] || !json_str(item, "value", NULL))
            return false;
    }
    return cJSON_IsArray(list);
}

static int take_numbers(struct call *call, cJSON *doc)
{
    for (size_t i = 0; numbers[i]; i++) {
        const cJSON *value = json_get(call->request, numbers[i]);
        if (!value || cJSON_IsNull(value))
            continue;
        if (!cJSON_IsNumber(value) || !isfinite(value->valuedouble))
            return api_fail_type(call, numbers[i]);
        json_set_num(doc, numbers[i], value->valuedouble);
    }
    return 0;
}

static int take_texts(struct call *call, cJSON *doc)
{
    for (size_t i = 0; texts[i]; i++) {
        const cJSON *value = json_get(call->request, texts[i]);
        if (!value || cJSON_IsNull(value))
            continue;
        if (!cJSON_IsString(value))
            return api_fail_type(call, texts[i]);
        json_set_str(doc, texts[i], value->valuestring);
    }
    return 0;
}

/* A size is kept as text, whatever it came as. */
static void take_size(struct call *call, cJSON *doc)
{
    const cJSON *size = json_get(call->request, "input_size");
    auto_free char *text = NULL;
    if (cJSON_IsString(size))
        text = xstrdup(size->valuestring);
    else if (cJSON_IsNumber(size))
        text = json_format(size);
    if (text)
        json_set_str(doc, "input_size", text);
}

/* The request's container, checked; NULL after failing. The caller's. */
static cJSON *take_container(struct call *call)
{
    auto_json *doc = cJSON_CreateObject();
    const cJSON *reference = json_get(call->request, "reference");
    json_set_str(doc, "endpoint_name", json_str(call->request, "endpoint_name", ""));
    json_set_str(doc, "model_name", json_str(call->request, "model_name", ""));
    if (take_texts(call, doc) < 0 || take_numbers(call, doc) < 0)
        return NULL;
    take_size(call, doc);
    if (reference && !cJSON_IsNull(reference)) {
        if (!reference_sound(reference)) {
            api_fail_type(call, "reference");
            return NULL;
        }
        json_set(doc, "reference", cJSON_Duplicate(reference, true));
    }
    return steal(&doc);
}

static void forget_expired(struct call *call)
{
    store_change(call->db, "DELETE FROM serving_containers WHERE expires <= ?", "i",
                 call->now_ms);
}

static void save(struct call *call, const cJSON *doc, int64_t registered,
                 int64_t timeout_s)
{
    auto_free char *text = json_format(doc);
    store_change(call->db,
                 "INSERT OR REPLACE INTO serving_containers (id, url, ip, doc,"
                 " registered, timeout, seen, expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                 "ttttiiii", json_str(call->request, "container_id", ""),
                 json_str(doc, "endpoint_url", NULL), call->client_ip, text, registered,
                 timeout_s, call->now_ms, call->now_ms + timeout_s * 1000);
}

static int register_container(struct call *call)
{
    int64_t timeout_s = json_int(call->request, "timeout", TIMEOUT_S);
    if (timeout_s < 1 || timeout_s > TIMEOUT_MAX_S)
        return api_fail_type(call, "timeout");
    auto_json *doc = take_container(call);
    if (!doc)
        return -1;
    forget_expired(call);
    save(call, doc, call->now_ms, timeout_s);
    return 0;
}

static int unregister_container(struct call *call)
{
    store_change(call->db, "DELETE FROM serving_containers WHERE id = ?", "t",
                 json_str(call->request, "container_id", ""));
    return 0;
}

/* ---- reports ---- */

/* The mean of a number or of a list of them, and of how many. */
static void add_mean(cJSON *stats, const char *name, const char *count,
                     const cJSON *value)
{
    double sum = 0;
    int n = 0;
    const cJSON *item;
    if (cJSON_IsNumber(value)) {
        sum = value->valuedouble;
        n = 1;
    }
    const cJSON *list = cJSON_IsArray(value) ? value : NULL;
    cJSON_ArrayForEach(item, list)
    {
        if (cJSON_IsNumber(item))
            sum += item->valuedouble;
        n++;
    }
    if (!n || !isfinite(sum))
        return;
    json_set_num(stats, name, sum / n);
    if (count)
        json_set_int(stats, count, n);
}

static void add_total(cJSON *stats, const char *total, const char *free_name,
                      const char *used)
{
    double sum = json_num(stats, free_name, 0) + json_num(stats, used, 0);
    json_set_num(stats, total, round(sum * 1000) / 1000);
}

static void add_machine(cJSON *stats, const cJSON *machine)
{
    static const char *const plain[] = {
        "memory_free",    "memory_used", "gpu_memory_free", "gpu_memory_used",
        "disk_free_home", "network_rx",  "network_tx"};
    if (!cJSON_IsObject(machine))
        return;
    add_mean(stats, "cpu_usage", "cpu_num", json_get(machine, "cpu_usage"));
    add_mean(stats, "gpu_usage", "gpu_num", json_get(machine, "gpu_usage"));
    for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
        add_mean(stats, plain[i], NULL, json_get(machine, plain[i]));
    add_total(stats, "memory_total", "memory_free", "memory_used");
    add_total(stats, "gpu_memory_total", "gpu_memory_free", "gpu_memory_used");
}

static int64_t count_of(const cJSON *value)
{
    return cJSON_IsArray(value) ? cJSON_GetArraySize(value) : cJSON_IsNumber(value);
}

static void store_report(struct call *call, const cJSON *doc, const cJSON *machine)
{
    auto_json *stats = cJSON_CreateObject();
    for (size_t i = 0; numbers[i]; i++)
        if (json_get(doc, numbers[i]))
            json_set_num(stats, numbers[i], json_num(doc, numbers[i], 0));
    add_machine(stats, machine);
    auto_free char *text = json_format(stats);
    store_change(call->db,
                 "INSERT INTO serving_reports (url, container, timestamp, stats)"
                 " VALUES (?, ?, ?, ?)",
                 "ttit", json_str(doc, "endpoint_url", ""),
                 json_str(call->request, "container_id", ""), call->now_ms, text);
    /* A few of the oldest go with each new one. */
    store_change(call->db,
                 "DELETE FROM serving_reports WHERE id IN (SELECT id FROM"
                 " serving_reports ORDER BY id LIMIT 4) AND (timestamp < ?1 OR id <="
                 " (SELECT max(id) FROM serving_reports) - ?2)",
                 "ii", call->now_ms - SERVING_KEPT_MS, SERVING_KEPT_REPORTS);
}

static int container_status_report(struct call *call)
{
    const cJSON *machine = json_get(call->request, "machine_stats");
    if (!*json_str(call->request, "endpoint_url", ""))
        return api_fail(call, API_VALIDATION, "Missing required field 'endpoint_url'",
                        NULL);
    if (machine && !cJSON_IsNull(machine) && !cJSON_IsObject(machine))
        return api_fail_type(call, "machine_stats");
    auto_json *doc = take_container(call);
    if (!doc)
        return -1;
    if (cJSON_IsObject(machine)) {
        json_set_int(doc, "cpu_count", count_of(json_get(machine, "cpu_usage")));
        json_set_int(doc, "gpu_count", count_of(json_get(machine, "gpu_usage")));
    }
    forget_expired(call);
    const char *id = json_str(call->request, "container_id", "");
    int64_t registered =
        store_int(call->db, "SELECT registered FROM serving_containers WHERE id = ?",
                  call->now_ms, "t", id);
    int64_t timeout_s =
        store_int(call->db, "SELECT timeout FROM serving_containers WHERE id = ?",
                  TIMEOUT_S, "t", id);
    save(call, doc, registered, timeout_s);
    store_report(call, doc, machine);
    return 0;
}

/* ---- endpoints ---- */

/* A container as its row has it: id, registered and seen added. */
static cJSON *next_entry(sqlite3_stmt *stmt)
{
    const char *text = (const char *)sqlite3_column_text(stmt, 0);
    cJSON *doc = json_parse(text, strlen(text), NULL);
    if (!doc)
        doc = cJSON_CreateObject();
    json_set_str(doc, "id", (const char *)sqlite3_column_text(stmt, 1));
    json_set_int(doc, "registered", sqlite3_column_int64(stmt, 2));
    json_set_int(doc, "seen", sqlite3_column_int64(stmt, 3));
    return doc;
}

/* All that are there: of one URL, of none (""), or all (NULL). The caller's. */
static cJSON *load_entries(struct call *call, const char *url)
{
    cJSON *entries = cJSON_CreateArray();
    auto_reset *stmt = store_query(
        call->db,
        "SELECT doc, id, registered, seen FROM serving_containers WHERE expires > ?1"
        " AND (?2 IS NULL OR ifnull(url, '') = ?2) ORDER BY url, expires, id",
        "it", call->now_ms, url);
    while (store_row(stmt))
        cJSON_AddItemToArray(entries, next_entry(stmt));
    return entries;
}

static void set_time(cJSON *out, const char *name, int64_t ms)
{
    char iso[CLOCK_ISO_SIZE];
    json_set_str(out, name, clock_iso_clearml(ms, iso));
}

/* Sum, mean or largest of a number over the entries that have it. */
struct figure {
    double sum, max;
    int n;
};

static struct figure figure_of(const cJSON *first, const cJSON *end, const char *name)
{
    struct figure f = {0};
    for (const cJSON *e = first; e != end; e = e->next) {
        if (!json_get(e, name))
            continue;
        double value = json_num(e, name, 0);
        f.max = f.n && f.max > value ? f.max : value;
        f.sum += value;
        f.n++;
    }
    return f;
}

static double mean(const struct figure *f, double precision)
{
    return round(f->sum / f->n * precision) / precision;
}

/* The entries from first to end are of one URL. */
static cJSON *summary(const cJSON *first, const cJSON *end)
{
    cJSON *out = cJSON_CreateObject();
    int instances = 0;
    for (const cJSON *e = first; e != end; e = e->next)
        instances++;
    json_set_str(out, "endpoint", json_str(first, "endpoint_name", ""));
    json_set_str(out, "model", json_str(first, "model_name", ""));
    json_set_str(out, "url", json_str(first, "endpoint_url", ""));
    json_set_int(out, "instances", instances);
    struct figure uptime = figure_of(first, end, "uptime_sec");
    struct figure requests = figure_of(first, end, "requests_num");
    struct figure minute = figure_of(first, end, "requests_min");
    struct figure latency = figure_of(first, end, "latency_ms");
    if (uptime.n)
        json_set_num(out, "uptime_sec", uptime.max);
    json_set_num(out, "requests", requests.sum);
    if (minute.n)
        json_set_num(out, "requests_min", mean(&minute, 100));
    if (latency.n)
        json_set_num(out, "latency_ms", mean(&latency, 1));
    set_time(out, "last_update", (int64_t)figure_of(first, end, "seen").max);
    return out;
}

static int get_endpoints(struct call *call)
{
    auto_json *entries = load_entries(call, NULL);
    cJSON *list = json_set(call->data, "endpoints", cJSON_CreateArray());
    for (const cJSON *first = entries->child, *end; first; first = end) {
        const char *url = json_str(first, "endpoint_url", "");
        for (end = first->next; end && !strcmp(url, json_str(end, "endpoint_url", ""));)
            end = end->next;
        if (*url)
            cJSON_AddItemToArray(list, summary(first, end));
    }
    return 0;
}

static void copy_members(const cJSON *from, cJSON *to, const char *const *names)
{
    for (; names[0]; names += 2) {
        const cJSON *value = json_get(from, names[0]);
        if (value)
            json_set(to, names[1], cJSON_Duplicate(value, true));
    }
}

static int get_loading_instances(struct call *call)
{
    static const char *const names[] = {"id",
                                        "id",
                                        "endpoint_name",
                                        "endpoint",
                                        "model_name",
                                        "model",
                                        "model_source",
                                        "model_source",
                                        "model_version",
                                        "model_version",
                                        "preprocess_artifact",
                                        "preprocess_artifact",
                                        "input_type",
                                        "input_type",
                                        "input_size",
                                        "input_size",
                                        "uptime_sec",
                                        "uptime_sec",
                                        NULL};
    auto_json *entries = load_entries(call, "");
    cJSON *list = json_set(call->data, "instances", cJSON_CreateArray());
    const cJSON *entry;
    cJSON_ArrayForEach(entry, entries)
    {
        cJSON *out = cJSON_CreateObject();
        copy_members(entry, out, names);
        json_set_int(out, "age_sec",
                     (call->now_ms - json_int(entry, "registered", 0)) / 1000);
        set_time(out, "last_update", json_int(entry, "seen", 0));
        cJSON_AddItemToArray(list, out);
    }
    return 0;
}

static cJSON *instance_of(const cJSON *entry)
{
    static const char *const names[] = {
        "id",       "id",           "uptime_sec",   "uptime_sec", "requests_num",
        "requests", "requests_min", "requests_min", "latency_ms", "latency_ms",
        NULL};
    cJSON *out = cJSON_CreateObject();
    const cJSON *reference = json_get(entry, "reference");
    copy_members(entry, out, names);
    set_time(out, "last_update", json_int(entry, "seen", 0));
    json_set(out, "reference",
             reference ? cJSON_Duplicate(reference, true) : cJSON_CreateArray());
    json_set_int(out, "cpu_count", json_int(entry, "cpu_count", 0));
    json_set_int(out, "gpu_count", json_int(entry, "gpu_count", 0));
    return out;
}

static int get_endpoint_details(struct call *call)
{
    static const char *const names[] = {"endpoint_name",
                                        "endpoint",
                                        "model_name",
                                        "model",
                                        "endpoint_url",
                                        "url",
                                        "preprocess_artifact",
                                        "preprocess_artifact",
                                        "input_type",
                                        "input_type",
                                        "input_size",
                                        "input_size",
                                        "model_source",
                                        "model_source",
                                        "model_version",
                                        "model_version",
                                        NULL};
    const char *url = json_str(call->request, "endpoint_url", "");
    auto_json *entries = load_entries(call, url);
    const cJSON *first = entries->child, *entry;
    if (!first || !*url) {
        call_fail(call, 400, 1052, "No container instances found for serice url");
        return call_fail_arg(call, "url", url);
    }
    copy_members(first, call->data, names);
    struct figure uptime = figure_of(first, NULL, "uptime_sec");
    if (uptime.n)
        json_set_num(call->data, "uptime_sec", uptime.max);
    set_time(call->data, "last_update", (int64_t)figure_of(first, NULL, "seen").max);
    cJSON *instances = json_set(call->data, "instances", cJSON_CreateArray());
    cJSON_ArrayForEach(entry, entries)
        cJSON_AddItemToArray(instances, instance_of(entry));
    return 0;
}

/* ---- the table ---- */

#define CONTAINER_FIELDS                                                               \
    {"container_id", FIELD_STRING, true}, {"endpoint_name", FIELD_STRING, true},       \
        {"model_name", FIELD_STRING, true}, {"tags", FIELD_STRINGS, false},            \
    {                                                                                  \
        "system_tags", FIELD_STRINGS, false                                            \
    }

static const struct field register_fields[] = {
    CONTAINER_FIELDS, {"timeout", FIELD_INTEGER, false}, {0}};
static const struct field report_fields[] = {CONTAINER_FIELDS, {0}};
static const struct field unregister_fields[] = {{"container_id", FIELD_STRING, true},
                                                 {0}};
static const struct field details_fields[] = {{"endpoint_url", FIELD_STRING, true},
                                              {0}};
static const struct field history_fields[] = {{"endpoint_url", FIELD_STRING, true},
                                              {"from_date", FIELD_NUMBER, true},
                                              {"to_date", FIELD_NUMBER, true},
                                              {"interval", FIELD_INTEGER, true},
                                              {"metric_type", FIELD_STRING, false},
                                              {"instance_charts", FIELD_BOOL, false},
                                              {0}};

const struct endpoint serving_endpoints[] = {
    {"serving.register_container", "1.0", ENDPOINT_WRITE, register_container,
     register_fields},
    {"serving.unregister_container", "1.0", ENDPOINT_WRITE, unregister_container,
     unregister_fields},
    {"serving.container_status_report", "1.0", ENDPOINT_WRITE, container_status_report,
     report_fields},
    {"serving.get_endpoints", "1.0", ENDPOINT_READ, get_endpoints, NULL},
    {"serving.get_loading_instances", "1.0", ENDPOINT_READ, get_loading_instances,
     NULL},
    {"serving.get_endpoint_details", "1.0", ENDPOINT_READ, get_endpoint_details,
     details_fields},
    {"serving.get_endpoint_metrics_history", "1.0", ENDPOINT_READ,
     serving_get_metrics_history, history_fields},
    {0}};
