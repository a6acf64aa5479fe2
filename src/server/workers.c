/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/workers-internal.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "server/auth.h"
#include "server/dispatch.h"
#include "server/schema.h"
#include "server/services.h"
#include "server/store.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

/* A worker is there until its registration runs out, which each report renews; rows
 * that ran out are removed by later calls. Figures are one row a report, told apart by
 * the worker's name alone, so that they outlive the registration. */
const char workers_schema[] =
    "CREATE TABLE workers (id TEXT NOT NULL, user TEXT NOT NULL, expires INTEGER NOT "
    "NULL,"
    " ip TEXT, task TEXT, queue TEXT, queues TEXT NOT NULL DEFAULT '[]',"
    " tags TEXT NOT NULL DEFAULT '[]', system_tags TEXT NOT NULL DEFAULT '[]',"
    " register_time INTEGER NOT NULL, register_timeout INTEGER NOT NULL,"
    " last_activity_time INTEGER NOT NULL, last_report_time INTEGER,"
    " PRIMARY KEY (user, id));"
    "CREATE INDEX workers_by_expiry ON workers (expires);"
    "CREATE TABLE worker_properties (worker TEXT NOT NULL, user TEXT NOT NULL,"
    " key TEXT NOT NULL, value TEXT, expires INTEGER, PRIMARY KEY (user, worker, key))"
    " WITHOUT ROWID;"
    "CREATE TABLE worker_names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE worker_reports (id INTEGER PRIMARY KEY, worker INTEGER NOT NULL,"
    " timestamp INTEGER NOT NULL, has_task INTEGER NOT NULL, received INTEGER NOT NULL,"
    " stats TEXT NOT NULL);"
    "CREATE INDEX worker_reports_by_time ON worker_reports (worker, timestamp);";

#define TIMEOUT_DEFAULT_S 600
/* Ten years: beyond it the sums below could overflow. */
#define TIMEOUT_MAX_S INT64_C(315360000)
#define LAST_SEEN_DEFAULT_S 3600
#define ID_MAX 1024

/* ---- registration ---- */

static int fail_worker(struct call *call, int subcode, const char *text,
                       const char *worker)
{
    call_fail(call, 400, subcode, "%s", text);
    return call_fail_arg(call, "worker", worker);
}

static int require_worker_id(struct call *call, const char *worker)
{
    if (!*worker || strlen(worker) > ID_MAX)
        return fail_worker(call, 1001, "Invalid worker id", worker);
    return 0;
}

static int require_queues(struct call *call, const cJSON *queues)
{
    for (const cJSON *q = queues ? queues->child : NULL; q; q = q->next) {
        if (cJSON_IsString(q) && queue_exists(call->db, q->valuestring))
            continue;
        call_fail(call, 400, 701, "Invalid queue id");
        return call_fail_arg(call, "ids", cJSON_IsString(q) ? q->valuestring : "");
    }
    return 0;
}

/* A list of strings as JSON text; what is no list is NULL. The caller's. */
static char *list_dup(const cJSON *list)
{
    if (!cJSON_IsArray(list))
        return NULL;
    auto_json *strings = cJSON_CreateArray();
    for (const cJSON *s = list->child; s; s = s->next)
        if (cJSON_IsString(s))
            cJSON_AddItemToArray(strings, cJSON_CreateString(s->valuestring));
    return json_format(strings);
}

static void remove_expired(struct call *call)
{
    store_change(call->db,
                 "DELETE FROM workers WHERE rowid IN"
                 " (SELECT rowid FROM workers WHERE expires <= ? LIMIT 100)",
                 "i", call->now_ms);
}

static void insert_worker(struct call *call, const char *worker, int64_t timeout)
{
    auto_free char *queues = list_dup(json_get(call->request, "queues"));
    auto_free char *tags = list_dup(json_get(call->request, "tags"));
    auto_free char *system_tags = list_dup(json_get(call->request, "system_tags"));
    store_change(call->db,
                 "INSERT OR REPLACE INTO workers (id, user, expires, ip, queues, tags,"
                 " system_tags, register_time, register_timeout, last_activity_time)"
                 " VALUES (?1, ?2, ?3, ?4, ifnull(?5, '[]'), ifnull(?6, '[]'),"
                 " ifnull(?7, '[]'), ?8, ?9, ?8)",
                 "ttittttii", worker, call->caller.user, call->now_ms + timeout * 1000,
                 call->client_ip, queues, tags, system_tags, call->now_ms, timeout);
}

static int workers_register(struct call *call)
{
    const char *worker = json_str(call->request, "worker", "");
    int64_t timeout = json_int(call->request, "timeout", 0);
    if (timeout == 0)
        timeout = TIMEOUT_DEFAULT_S;
    if (timeout < 0) {
        call_fail(call, 400, 1002, "Worker registration failed (invalid timeout)");
        return call_fail_arg(call, "worker", worker);
    }
    if (require_worker_id(call, worker) < 0 ||
        require_queues(call, json_get(call->request, "queues")) < 0)
        return -1;
    remove_expired(call);
    insert_worker(call, worker, timeout < TIMEOUT_MAX_S ? timeout : TIMEOUT_MAX_S);
    return 0;
}

static int workers_unregister(struct call *call)
{
    const char *worker = json_str(call->request, "worker", "");
    store_change(call->db, "DELETE FROM workers WHERE user = ? AND id = ?", "tt",
                 call->caller.user, worker);
    store_change(call->db,
                 "DELETE FROM worker_properties WHERE user = ? AND worker = ?", "tt",
                 call->caller.user, worker);
    return 0;
}

/* ---- reports ---- */

static bool is_registered(struct call *call, const char *worker)
{
    return store_int(call->db,
                     "SELECT 1 FROM workers WHERE user = ? AND id = ? AND expires > ?",
                     0, "tti", call->caller.user, worker, call->now_ms) != 0;
}

/* Renews the registration. A report says which task and which tags there are: none
 * clears them (apimodels/workers.py); without queues they stay. */
static void update_worker(struct call *call, const char *worker, const char *task)
{
    const cJSON *list = json_get(call->request, "queues");
    auto_free char *queues = list && list->child ? list_dup(list) : NULL;
    auto_free char *tags = list_dup(json_get(call->request, "tags"));
    auto_free char *system_tags = list_dup(json_get(call->request, "system_tags"));
    store_change(call->db,
                 "UPDATE workers SET expires = ?1 + register_timeout * 1000, ip = ?2,"
                 " task = ?3, queue = ?4, queues = ifnull(?5, queues),"
                 " tags = ifnull(?6, '[]'), system_tags = ifnull(?7, '[]'),"
                 " last_activity_time = ?1, last_report_time = ?1"
                 " WHERE user = ?8 AND id = ?9",
                 "itttttttt", call->now_ms, call->client_ip, task,
                 json_str(call->request, "queue", NULL), queues, tags, system_tags,
                 call->caller.user, worker);
}

static void update_task(struct call *call, const char *worker, const char *task)
{
    char now[CLOCK_ISO_SIZE];
    clock_iso_clearml(call->now_ms, now);
    auto_json *fields = cJSON_CreateObject();
    json_set_str(fields, "last_worker", worker);
    json_set_str(fields, "last_worker_report", now);
    json_set_str(fields, "last_update", now);
    json_set_str(fields, "last_change", now);
    json_set_str(fields, "last_changed_by", call->caller.user);
    task_set_fields(call->db, task, fields);
}

static int workers_status_report(struct call *call)
{
    const char *worker = json_str(call->request, "worker", "");
    const char *task = json_str(call->request, "task", "");
    if (require_worker_id(call, worker) < 0)
        return -1;
    if (!is_registered(call, worker)) {
        remove_expired(call);
        insert_worker(call, worker, TIMEOUT_DEFAULT_S);
    }
    bool known = !*task || task_exists(call->db, task);
    worker_stats_add(call, worker, json_int(call->request, "timestamp", call->now_ms),
                     *task != '\0', json_get(call->request, "machine_stats"));
    update_worker(call, worker, *task && known ? task : NULL);
    if (*task && known)
        update_task(call, worker, task);
    if (known)
        return 0;
    /* The worker is alive although its task is gone: the report is an error, as ClearML
     * answers it, and yet renews the registration, so the changes must not be undone.
     */
    call_fail(call, 400, 101, "Invalid task id");
    call_fail_arg(call, "id", task);
    call_fail_arg(call, "company", call->caller.company);
    return 0;
}

/* Many at once. One whose task is gone spoils none of the others, and the workers that
 * were named are alive all the same, so the answer is no error. */
static int workers_status_reports(struct call *call)
{
    cJSON *whole = call->request, *report;
    cJSON_ArrayForEach(report, json_get(whole, "reports"))
    {
        call->request = report;
        workers_status_report(call);
        call_reset_answer(call);
    }
    call->request = whole;
    return 0;
}

/* ---- who is there ---- */

/* ClearML's filter: one of the plain values is there, and no "-value". */
static bool tags_match(const char *have_text, const cJSON *want)
{
    if (!cJSON_IsArray(want) || !want->child)
        return true;
    auto_json *have = json_parse(have_text, strlen(have_text), NULL);
    bool any_wanted = false, found = false;
    for (const cJSON *w = want->child; w; w = w->next) {
        if (!cJSON_IsString(w))
            continue;
        bool exclude = w->valuestring[0] == '-';
        bool there = false;
        for (const cJSON *h = have ? have->child : NULL; h && !there; h = h->next)
            there = !strcmp(h->valuestring, w->valuestring + exclude);
        if (exclude && there)
            return false;
        any_wanted |= !exclude;
        found |= !exclude && there;
    }
    return found || !any_wanted;
}

/* Columns of a worker's row. */
enum {
    W_ID,
    W_USER,
    W_IP,
    W_TASK,
    W_QUEUE,
    W_QUEUES,
    W_TAGS,
    W_SYSTEM_TAGS,
    W_REGISTER_TIME,
    W_REGISTER_TIMEOUT,
    W_ACTIVITY,
    W_REPORT
};

static const char *text(sqlite3_stmt *stmt, int column)
{
    const char *s = (const char *)sqlite3_column_text(stmt, column);
    return s ? s : "";
}

static sqlite3_stmt *select_workers(struct call *call, int64_t last_seen)
{
    if (last_seen < 0)
        last_seen = 1;
    if (last_seen > TIMEOUT_MAX_S)
        last_seen = TIMEOUT_MAX_S;
    return store_query(
        call->db,
        "SELECT id, user, ip, task, queue, queues, tags, system_tags, register_time,"
        " register_timeout, last_activity_time, last_report_time FROM workers"
        " WHERE expires > ?1 AND last_activity_time >= ?2 ORDER BY id",
        "ii", call->now_ms, last_seen ? call->now_ms - last_seen * 1000 : INT64_MIN);
}

static bool worker_matches(struct call *call, sqlite3_stmt *stmt)
{
    const char *pattern = json_str(call->request, "worker_pattern", NULL);
    return (!pattern || !fnmatch(pattern, text(stmt, W_ID), 0)) &&
           tags_match(text(stmt, W_TAGS), json_get(call->request, "tags")) &&
           tags_match(text(stmt, W_SYSTEM_TAGS),
                      json_get(call->request, "system_tags"));
}

static cJSON *id_and_name(const char *id, const char *name)
{
    cJSON *entry = cJSON_CreateObject();
    json_set_str(entry, "id", id);
    if (name)
        json_set_str(entry, "name", name);
    return entry;
}

static cJSON *task_entry(sqlite3 *db, const char *id)
{
    char name[512];
    return id_and_name(id, task_brief(db, id, NULL, NULL, name) ? name : NULL);
}

/* What the answer says about a queue; looked up once for an answer. It reads the
 * queues' tables in place: a list of a thousand workers is no place to load whole
 * queues. */
static const cJSON *queue_entry(struct call *call, cJSON *cache, const char *id)
{
    cJSON *entry = json_get(cache, id);
    if (entry)
        return entry;
    entry = id_and_name(id, NULL);
    cJSON_AddItemToObject(cache, id, entry);
    sqlite3_stmt *stmt = store_query(
        call->db,
        "SELECT q.name, json_extract(q.doc, '$.display_name'), q.length,"
        " (SELECT task FROM queue_entries WHERE queue = q.id ORDER BY place LIMIT 1)"
        " FROM queues q WHERE q.id = ?",
        "t", id);
    if (store_row(stmt)) {
        json_set_str(entry, "name", text(stmt, 0));
        if (*text(stmt, 1))
            json_set_str(entry, "display_name", text(stmt, 1));
        json_set_int(entry, "num_tasks", sqlite3_column_int64(stmt, 2));
        if (*text(stmt, 3))
            json_set(entry, "next_task", task_entry(call->db, text(stmt, 3)));
    }
    sqlite3_reset(stmt);
    return entry;
}

static const cJSON *project_entry(struct call *call, cJSON *cache, const char *id)
{
    cJSON *entry = json_get(cache, id);
    if (entry)
        return entry;
    auto_json *doc = project_load(call->db, id);
    entry = id_and_name(id, json_str(doc, "name", NULL));
    cJSON_AddItemToObject(cache, id, entry);
    return entry;
}

static void add_task(struct call *call, const char *id, cJSON *cache, cJSON *out)
{
    char project[65] = "", name[512];
    if (!*id || !task_brief(call->db, id, NULL, project, name))
        return;
    cJSON *task = json_set(out, "task", id_and_name(id, name));
    int64_t seconds, iteration;
    if (task_progress(call->db, id, &seconds, &iteration)) {
        json_set_int(task, "running_time", seconds * 1000);
        json_set_int(task, "last_iteration", iteration);
    }
    if (*project)
        json_set(out, "project",
                 cJSON_Duplicate(project_entry(call, cache, project), 1));
}

static void add_queues(struct call *call, sqlite3_stmt *stmt, cJSON *cache, cJSON *out)
{
    auto_json *ids =
        json_parse(text(stmt, W_QUEUES), strlen(text(stmt, W_QUEUES)), NULL);
    cJSON *queues = json_set(out, "queues", cJSON_CreateArray());
    for (const cJSON *q = ids ? ids->child : NULL; q; q = q->next) {
        const cJSON *entry = queue_entry(call, cache, q->valuestring);
        cJSON_AddItemToArray(queues, cJSON_Duplicate(entry, 1));
        if (!strcmp(q->valuestring, text(stmt, W_QUEUE)))
            json_set(out, "queue", cJSON_Duplicate(entry, 1));
    }
}

static void add_time(cJSON *out, const char *name, sqlite3_stmt *stmt, int column)
{
    if (sqlite3_column_type(stmt, column) == SQLITE_NULL)
        return;
    char iso[CLOCK_ISO_SIZE];
    json_set_str(out, name, clock_iso_clearml(sqlite3_column_int64(stmt, column), iso));
}

static void add_list(cJSON *out, const char *name, sqlite3_stmt *stmt, int column)
{
    json_set(out, name, cJSON_CreateRaw(text(stmt, column)));
}

/* As ClearML names it in its cache. */
static char *worker_key_dup(const char *company, const char *user, const char *id)
{
    return xasprintf("worker_%s_%s_%s", company, user, id);
}

static cJSON *worker_json(struct call *call, sqlite3_stmt *stmt, cJSON *cache)
{
    cJSON *w = cJSON_CreateObject();
    const char *id = text(stmt, W_ID), *user = text(stmt, W_USER);
    auto_free char *key = worker_key_dup(call->caller.company, user, id);
    json_set_str(w, "id", id);
    json_set_str(w, "key", key);
    json_set_str(w, "ip", text(stmt, W_IP));
    json_set(w, "user",
             id_and_name(user, strcmp(user, call->caller.user)
                                   ? NULL
                                   : call->caller.user_name));
    json_set(w, "company", id_and_name(call->caller.company, AUTH_COMPANY_NAME));
    json_set_int(w, "register_timeout", sqlite3_column_int64(stmt, W_REGISTER_TIMEOUT));
    add_time(w, "register_time", stmt, W_REGISTER_TIME);
    add_time(w, "last_activity_time", stmt, W_ACTIVITY);
    add_time(w, "last_report_time", stmt, W_REPORT);
    add_list(w, "tags", stmt, W_TAGS);
    add_list(w, "system_tags", stmt, W_SYSTEM_TAGS);
    add_queues(call, stmt, cache, w);
    add_task(call, text(stmt, W_TASK), cache, w);
    return w;
}

static int workers_get_all(struct call *call)
{
    auto_json *cache = cJSON_CreateObject();
    cJSON *list = json_set(call->data, "workers", cJSON_CreateArray());
    sqlite3_stmt *stmt =
        select_workers(call, json_int(call->request, "last_seen", LAST_SEEN_DEFAULT_S));
    while (store_row(stmt))
        if (worker_matches(call, stmt))
            cJSON_AddItemToArray(list, worker_json(call, stmt, cache));
    sqlite3_reset(stmt);
    return 0;
}

static int workers_get_count(struct call *call)
{
    sqlite3_stmt *stmt = select_workers(call, json_int(call->request, "last_seen", 0));
    int64_t n = 0;
    while (store_row(stmt))
        n += worker_matches(call, stmt);
    sqlite3_reset(stmt);
    json_set_int(call->data, "count", n);
    return 0;
}

cJSON *workers_by_queue(sqlite3 *db, const char *company, int64_t now_ms)
{
    cJSON *by_queue = cJSON_CreateObject(), *list = NULL;
    sqlite3_stmt *stmt =
        store_query(db,
                    "SELECT q.value, w.id, w.ip, w.user, w.task FROM workers w,"
                    " json_each(w.queues) q WHERE w.expires > ? ORDER BY q.value, w.id",
                    "i", now_ms);
    while (store_row(stmt)) {
        if (!list || strcmp(list->string, text(stmt, 0)) != 0)
            list = json_set(by_queue, text(stmt, 0), cJSON_CreateArray());
        auto_free char *key = worker_key_dup(company, text(stmt, 3), text(stmt, 1));
        cJSON *worker = cJSON_CreateObject();
        json_set_str(worker, "name", text(stmt, 1));
        json_set_str(worker, "ip", text(stmt, 2));
        json_set_str(worker, "key", key);
        json_set(worker, "task",
                 *text(stmt, 4) ? task_entry(db, text(stmt, 4)) : cJSON_CreateNull());
        cJSON_AddItemToArray(list, worker);
    }
    sqlite3_reset(stmt);
    return by_queue;
}

/* ---- runtime properties: {key, value, expiry (seconds, optional)} of a worker ---- */

static void set_property(struct call *call, const char *worker, const cJSON *property)
{
    const char *key = json_str(property, "key", "");
    const char *value = json_str(property, "value", NULL);
    int64_t expiry = json_int(property, "expiry", 0);
    if (expiry > TIMEOUT_MAX_S)
        expiry = TIMEOUT_MAX_S;
    store_change(call->db,
                 "INSERT OR REPLACE INTO worker_properties (worker, user, key, value,"
                 " expires) VALUES (?, ?, ?, ?, ?)",
                 expiry > 0 ? "tttti" : "ttttn", worker, call->caller.user, key, value,
                 call->now_ms + expiry * 1000);
}

#define PROPERTIES_MAX 1000

static int workers_set_runtime_properties(struct call *call)
{
    const char *worker = json_str(call->request, "worker", "");
    const cJSON *list = json_get(call->request, "runtime_properties");
    int n = cJSON_GetArraySize(list);
    if (require_worker_id(call, worker) < 0)
        return -1;
    if (n > PROPERTIES_MAX)
        return call_fail(call, 400, 12,
                         "Validation error (too many runtime_properties)");
    for (const cJSON *p = list->child; p; p = p->next)
        if (!*json_str(p, "key", ""))
            return call_fail(call, 400, 12,
                             "Validation error (runtime_properties: key)");
    for (const cJSON *p = list->child; p; p = p->next)
        set_property(call, worker, p);
    store_change(call->db, "DELETE FROM worker_properties WHERE expires <= ?", "i",
                 call->now_ms);
    json_set_int(call->data, "added", n);
    return 0;
}

static int workers_get_runtime_properties(struct call *call)
{
    cJSON *list = json_set(call->data, "runtime_properties", cJSON_CreateArray());
    sqlite3_stmt *stmt = store_query(
        call->db,
        "SELECT key, value, expires FROM worker_properties WHERE user = ? AND worker = "
        "?"
        " AND ifnull(expires > ?, 1) ORDER BY key",
        "tti", call->caller.user, json_str(call->request, "worker", ""), call->now_ms);
    while (store_row(stmt)) {
        cJSON *property = cJSON_CreateObject();
        json_set_str(property, "key", text(stmt, 0));
        json_set_str(property, "value", (const char *)sqlite3_column_text(stmt, 1));
        if (sqlite3_column_type(stmt, 2) != SQLITE_NULL)
            json_set_int(property, "expiry",
                         (sqlite3_column_int64(stmt, 2) - call->now_ms + 999) / 1000);
        cJSON_AddItemToArray(list, property);
    }
    sqlite3_reset(stmt);
    return 0;
}

/* ---- the table; agents send null for what they have not ---- */

static const struct field register_fields[] = {
    {"worker", FIELD_STRING, true},        {"timeout", FIELD_INTEGER, false},
    {"queues", FIELD_STRINGS, false},      {"tags", FIELD_STRINGS, false},
    {"system_tags", FIELD_STRINGS, false}, {NULL, FIELD_ANY, false}};
static const struct field worker_fields[] = {{"worker", FIELD_STRING, true},
                                             {NULL, FIELD_ANY, false}};
static const struct field report_fields[] = {{"worker", FIELD_STRING, true},
                                             {"timestamp", FIELD_INTEGER, true},
                                             {"task", FIELD_STRING, false},
                                             {"queue", FIELD_STRING, false},
                                             {"queues", FIELD_STRINGS, false},
                                             {"tags", FIELD_STRINGS, false},
                                             {"system_tags", FIELD_STRINGS, false},
                                             {"machine_stats", FIELD_OBJECT, false},
                                             {NULL, FIELD_ANY, false}};
static const struct field reports_fields[] = {
    {"reports", FIELD_ARRAY, true, NULL, 0, report_fields}, {NULL, FIELD_ANY, false}};
static const struct field list_fields[] = {{"last_seen", FIELD_INTEGER, false},
                                           {"tags", FIELD_STRINGS, false},
                                           {"system_tags", FIELD_STRINGS, false},
                                           {"worker_pattern", FIELD_STRING, false},
                                           {NULL, FIELD_ANY, false}};
static const struct field properties_fields[] = {
    {"worker", FIELD_STRING, true},
    {"runtime_properties", FIELD_ARRAY, true},
    {NULL, FIELD_ANY, false}};
static const struct field keys_fields[] = {{"worker_ids", FIELD_STRINGS, false},
                                           {NULL, FIELD_ANY, false}};
static const struct field stats_fields[] = {{"worker_ids", FIELD_STRINGS, false},
                                            {"from_date", FIELD_NUMBER, true},
                                            {"to_date", FIELD_NUMBER, true},
                                            {"interval", FIELD_INTEGER, true},
                                            {"items", FIELD_ARRAY, true},
                                            {"split_by_variant", FIELD_BOOL, false},
                                            {NULL, FIELD_ANY, false}};
static const struct field activity_fields[] = {{"from_date", FIELD_NUMBER, true},
                                               {"to_date", FIELD_NUMBER, true},
                                               {"interval", FIELD_INTEGER, true},
                                               {NULL, FIELD_ANY, false}};

const struct endpoint workers_endpoints[] = {
    {"workers.register", "2.4", ENDPOINT_WRITE, workers_register, register_fields},
    {"workers.unregister", "2.4", ENDPOINT_WRITE, workers_unregister, worker_fields},
    {"workers.status_report", "2.4", ENDPOINT_WRITE, workers_status_report,
     report_fields},
    {"workers.status_reports", "2.4", ENDPOINT_WRITE | ENDPOINT_EXTENSION,
     workers_status_reports, reports_fields},
    {"workers.get_all", "2.4", ENDPOINT_READ, workers_get_all, list_fields},
    {"workers.get_count", "2.4", ENDPOINT_READ, workers_get_count, list_fields},
    {"workers.get_metric_keys", "2.4", ENDPOINT_READ, workers_get_metric_keys,
     keys_fields},
    {"workers.get_stats", "2.4", ENDPOINT_READ, workers_get_stats, stats_fields},
    {"workers.get_activity_report", "2.4", ENDPOINT_READ, workers_get_activity_report,
     activity_fields},
    {"workers.set_runtime_properties", "2.4", ENDPOINT_WRITE | ENDPOINT_EXTENSION,
     workers_set_runtime_properties, properties_fields},
    {"workers.get_runtime_properties", "2.4", ENDPOINT_READ | ENDPOINT_EXTENSION,
     workers_get_runtime_properties, worker_fields},
    {NULL, NULL, 0, NULL, NULL}};
