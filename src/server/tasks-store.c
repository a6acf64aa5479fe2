/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/tasks-internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "server/schema.h"
#include "server/sql.h"
#include "server/store.h"

#include <stdio.h>
#include <string.h>

/* The main table has what changes often and what is filtered by; task_bodies what is
 * large; task_metrics what each batch of scalars changes. */
const char tasks_schema[] =
    "CREATE TABLE tasks("
    " n INTEGER PRIMARY KEY,"
    " id TEXT NOT NULL UNIQUE,"
    " company TEXT NOT NULL,"
    " user TEXT NOT NULL,"
    " name TEXT NOT NULL,"
    " type TEXT NOT NULL,"
    " status TEXT NOT NULL,"
    " status_reason TEXT NOT NULL,"
    " status_message TEXT NOT NULL,"
    " status_changed INTEGER,"
    " created INTEGER NOT NULL,"
    " started INTEGER,"
    " completed INTEGER,"
    " published INTEGER,"
    " active_duration INTEGER,"
    " parent TEXT,"
    " project TEXT,"
    " last_worker TEXT,"
    " last_worker_report INTEGER,"
    " last_update INTEGER NOT NULL,"
    " last_change INTEGER,"
    " last_changed_by TEXT,"
    " last_iteration INTEGER NOT NULL,"
    " enqueue_status TEXT,"
    " queue TEXT,"
    " company_origin TEXT,"
    " tags TEXT NOT NULL,"
    " system_tags TEXT NOT NULL,"
    " comment TEXT,"
    " output TEXT NOT NULL,"
    " models TEXT NOT NULL,"
    " container TEXT NOT NULL,"
    " runtime TEXT NOT NULL);"
    "CREATE INDEX tasks_status ON tasks(status);"
    "CREATE INDEX tasks_project ON tasks(project);"
    "CREATE INDEX tasks_name ON tasks(name);"
    "CREATE INDEX tasks_parent ON tasks(parent) WHERE parent IS NOT NULL;"
    "CREATE INDEX tasks_last_update ON tasks(last_update);"
    "CREATE TABLE task_bodies("
    " n INTEGER PRIMARY KEY,"
    " execution TEXT NOT NULL,"
    " hyperparams TEXT NOT NULL,"
    " configuration TEXT NOT NULL,"
    " report TEXT,"
    " report_assets TEXT,"
    " script TEXT NOT NULL);"
    "CREATE TABLE task_metrics("
    " n INTEGER PRIMARY KEY,"
    " last_metrics TEXT NOT NULL,"
    " unique_metrics TEXT,"
    " metric_stats TEXT NOT NULL);"
    "CREATE TABLE task_refs("
    " word TEXT NOT NULL,"
    " id TEXT NOT NULL,"
    " PRIMARY KEY(word, id)) WITHOUT ROWID;";

/* The statistics of projects are read from the index alone. */
const char tasks_schema_2[] =
    "DROP INDEX tasks_project;"
    "CREATE INDEX tasks_project ON tasks(project, status, type, started, completed,"
    " system_tags);";

#define EMPTY_MODELS "{\"input\":[],\"output\":[]}"
#define EMPTY_SCRIPT                                                                   \
    "{\"binary\":\"python\",\"repository\":\"\",\"entry_point\":\"\","                 \
    "\"requirements\":{}}"
#define EMPTY_EXECUTION                                                                \
    "{\"test_split\":0,\"parameters\":{},\"model_desc\":{},\"model_labels\":{},"       \
    "\"artifacts\":[]}"

static const struct doc_field task_fields[] = {
    {"id", "t", "id", DOC_TEXT, DOC_FILLED | DOC_INDEXED, NULL},
    {"name", "t", "name", DOC_TEXT, DOC_FILLED | DOC_INDEXED, NULL},
    {"company", "t", "company", DOC_TEXT, DOC_FILLED, NULL},
    {"user", "t", "user", DOC_TEXT, DOC_FILLED, NULL},
    {"type", "t", "type", DOC_TEXT, DOC_FILLED, NULL},
    {"status", "t", "status", DOC_TEXT, DOC_FILLED, "created"},
    {"status_reason", "t", "status_reason", DOC_TEXT, 0, ""},
    {"status_message", "t", "status_message", DOC_TEXT, 0, ""},
    {"status_changed", "t", "status_changed", DOC_TIME, 0, NULL},
    {"comment", "t", "comment", DOC_TEXT, 0, NULL},
    {"report", "b", "report", DOC_TEXT, 0, NULL},
    {"report_assets", "b", "report_assets", DOC_JSON, 0, "[]"},
    {"created", "t", "created", DOC_TIME, DOC_FILLED, NULL},
    {"started", "t", "started", DOC_TIME, 0, NULL},
    {"completed", "t", "completed", DOC_TIME, 0, NULL},
    {"published", "t", "published", DOC_TIME, 0, NULL},
    {"active_duration", "t", "active_duration", DOC_INTEGER, 0, NULL},
    {"parent", "t", "parent", DOC_TEXT, 0, NULL},
    {"project", "t", "project", DOC_TEXT, 0, NULL},
    {"output", "t", "output", DOC_JSON, 0, "{}"},
    {"execution", "b", "execution", DOC_JSON, 0, EMPTY_EXECUTION},
    {"execution.queue", "t", "queue", DOC_TEXT, 0, NULL},
    {"tags", "t", "tags", DOC_JSON, DOC_WORDS, "[]"},
    {"system_tags", "t", "system_tags", DOC_JSON, DOC_WORDS, "[]"},
    {"script", "b", "script", DOC_JSON, 0, EMPTY_SCRIPT},
    {"last_worker", "t", "last_worker", DOC_TEXT, 0, NULL},
    {"last_worker_report", "t", "last_worker_report", DOC_TIME, 0, NULL},
    {"last_update", "t", "last_update", DOC_TIME, DOC_FILLED | DOC_INDEXED, NULL},
    {"last_change", "t", "last_change", DOC_TIME, 0, NULL},
    {"last_changed_by", "t", "last_changed_by", DOC_TEXT, 0, NULL},
    {"last_iteration", "t", "last_iteration", DOC_INTEGER, DOC_FILLED, "0"},
    {"last_metrics", "m", "last_metrics", DOC_JSON, 0, "{}"},
    {"metric_stats", "m", "metric_stats", DOC_JSON, 0, "{}"},
    {"unique_metrics", "m", "unique_metrics", DOC_JSON, DOC_HIDDEN, NULL},
    {"hyperparams", "b", "hyperparams", DOC_JSON, 0, "{}"},
    {"configuration", "b", "configuration", DOC_JSON, 0, "{}"},
    {"runtime", "t", "runtime", DOC_JSON, DOC_FLAT, "{}"},
    {"models", "t", "models", DOC_JSON, DOC_WORDS, EMPTY_MODELS},
    {"container", "t", "container", DOC_JSON, 0, "{}"},
    {"enqueue_status", "t", "enqueue_status", DOC_TEXT, DOC_HIDDEN, NULL},
    {"company_origin", "t", "company_origin", DOC_TEXT, DOC_HIDDEN, NULL},
    {0},
};

static const struct doc_table task_tables[] = {
    {"t", "tasks"}, {"b", "task_bodies"}, {"m", "task_metrics"}, {0}};

static void add_word(cJSON *out, const char *prefix, const cJSON *value)
{
    if (!cJSON_IsString(value))
        return;
    auto_free char *word = xasprintf("%s%s", prefix, value->valuestring);
    cJSON_AddItemToArray(out, cJSON_CreateString(word));
}

static void task_words(const char *path, const cJSON *value, cJSON *out)
{
    const cJSON *item;
    if (!strcmp(path, "models")) {
        cJSON_ArrayForEach(item, json_get(value, "input"))
            add_word(out, "i:", json_get(item, "model"));
        return;
    }
    const char *prefix = strcmp(path, "tags") ? "s:" : "t:";
    cJSON_ArrayForEach(item, value) add_word(out, prefix, item);
}

static const char *task_word_prefix(const char *path)
{
    if (!strcmp(path, "tags"))
        return "t:";
    if (!strcmp(path, "system_tags"))
        return "s:";
    return strcmp(path, "models.input.model") ? NULL : "i:";
}

const struct doc_type task_type = {
    .fields = task_fields,
    .tables = task_tables,
    .from = "tasks t LEFT JOIN task_bodies b ON b.n = t.n "
            "LEFT JOIN task_metrics m ON m.n = t.n",
    .load = "SELECT t.id, t.name, t.company, t.user, t.type, t.status, "
            "t.status_reason, t.status_message, t.status_changed, t.comment, "
            "b.report, b.report_assets, t.created, t.started, t.completed, "
            "t.published, t.active_duration, t.parent, t.project, t.output, "
            "b.execution, t.queue, t.tags, t.system_tags, b.script, t.last_worker, "
            "t.last_worker_report, t.last_update, t.last_change, "
            "t.last_changed_by, t.last_iteration, m.last_metrics, m.metric_stats, "
            "m.unique_metrics, b.hyperparams, b.configuration, t.runtime, "
            "t.models, t.container, t.enqueue_status, t.company_origin FROM tasks "
            "t LEFT JOIN task_bodies b ON b.n = t.n LEFT JOIN task_metrics m ON "
            "m.n = t.n WHERE t.id = ?",
    .refs = "task_refs",
    .words = task_words,
    .word_prefix = task_word_prefix,
};

/* ---- services.h ---- */

bool task_exists(sqlite3 *db, const char *task)
{
    auto_reset *stmt = store_prepare(db, "SELECT 1 FROM tasks WHERE id = ?");
    sql_bind(stmt, 1, task);
    return sql_step(stmt);
}

cJSON *task_load(sqlite3 *db, const char *task)
{
    return doc_load(db, &task_type, task, false);
}

cJSON *task_needs(sqlite3 *db, const char *task)
{
    cJSON *needs = cJSON_CreateObject();
    auto_json *container = doc_load_field(db, &task_type, task, "container");
    auto_json *params = doc_load_field(db, &task_type, task, "hyperparams");
    const char *line = json_str(container, "arguments", NULL);
    const cJSON *properties = json_get(params, "properties");
    if (line)
        json_set_str(json_set(needs, "container", cJSON_CreateObject()), "arguments",
                     line);
    if (properties)
        json_set(json_set(needs, "hyperparams", cJSON_CreateObject()), "properties",
                 cJSON_Duplicate(properties, true));
    return needs;
}

bool task_brief(sqlite3 *db, const char *task, char status[16], char project[65],
                char name[512])
{
    auto_reset *stmt =
        store_prepare(db, "SELECT status, project, name FROM tasks WHERE id = ?");
    sql_bind(stmt, 1, task);
    if (!sql_step(stmt))
        return false;
    if (status)
        sql_copy(stmt, 0, status, 16);
    if (project)
        sql_copy(stmt, 1, project, 65);
    if (name)
        sql_copy(stmt, 2, name, 512);
    return true;
}

bool task_progress(sqlite3 *db, const char *task, int64_t *seconds, int64_t *iteration)
{
    auto_reset *stmt = store_prepare(
        db, "SELECT active_duration, last_iteration FROM tasks WHERE id = ?");
    sql_bind(stmt, 1, task);
    if (!sql_step(stmt))
        return false;
    *seconds = sqlite3_column_int64(stmt, 0);
    *iteration = sqlite3_column_int64(stmt, 1);
    return true;
}

void task_set_fields(sqlite3 *db, const char *task, const cJSON *fields)
{
    doc_set(db, &task_type, task, fields, NULL);
}

int task_count_by_project(sqlite3 *db, const char *project)
{
    auto_reset *stmt =
        store_prepare(db, "SELECT count(*) FROM tasks WHERE project = ?");
    sql_bind(stmt, 1, project);
    sql_step(stmt);
    return sqlite3_column_int(stmt, 0);
}

void task_note_events(sqlite3 *db, const char *task, const cJSON *fields,
                      int64_t now_ms)
{
    auto_reset *stmt = store_prepare(
        db,
        "UPDATE tasks SET last_update = ?2, last_change = ?2,"
        " active_duration = CASE WHEN status = 'in_progress' AND started IS NOT NULL"
        " THEN (?2 - started) / 1000 ELSE active_duration END,"
        " last_iteration = max(last_iteration, ?3) WHERE id = ?1");
    sql_bind(stmt, 1, task);
    sqlite3_bind_int64(stmt, 2, now_ms);
    sqlite3_bind_int64(stmt, 3, json_int(fields, "last_iteration", INT64_MIN));
    sql_step(stmt);
    auto_json *rest = cJSON_Duplicate(fields, true);
    json_remove(rest, "last_iteration");
    if (rest && rest->child)
        doc_set(db, &task_type, task, rest, NULL);
}

/* ---- heads ---- */

int task_head_load(struct call *call, const char *id, struct task_head *out)
{
    auto_reset *stmt = store_prepare(
        call->db,
        "SELECT id, status, project, parent, type, enqueue_status, queue, last_worker,"
        " last_update, started, instr(system_tags, '\"development\"'),"
        " instr(system_tags, '\"archived\"'), company = '' FROM tasks WHERE id = ?");
    sql_bind(stmt, 1, id);
    memset(out, 0, sizeof *out);
    if (!sql_step(stmt))
        return api_fail(call, API_INVALID_TASK_ID, NULL, "id", id, "company",
                        call->caller.company, NULL);
    if (sqlite3_column_int(stmt, 12))
        return api_fail_public(call, "task", id);
    sql_copy(stmt, 0, out->id, sizeof out->id);
    sql_copy(stmt, 1, out->status, sizeof out->status);
    sql_copy(stmt, 2, out->project, sizeof out->project);
    sql_copy(stmt, 3, out->parent, sizeof out->parent);
    sql_copy(stmt, 4, out->type, sizeof out->type);
    sql_copy(stmt, 5, out->enqueue_status, sizeof out->enqueue_status);
    sql_copy(stmt, 6, out->queue, sizeof out->queue);
    sql_copy(stmt, 7, out->last_worker, sizeof out->last_worker);
    out->last_update = sqlite3_column_int64(stmt, 8);
    out->started = sqlite3_column_int64(stmt, 9);
    out->development = sqlite3_column_int(stmt, 10) > 0;
    out->archived = sqlite3_column_int(stmt, 11) > 0;
    return 0;
}

const char *task_requested(struct call *call)
{
    struct task_head task;
    const char *id = json_str(call->request, "task", "");
    return task_head_load(call, id, &task) ? NULL : id;
}

bool task_system_tag(sqlite3 *db, const char *id, const char *tag, bool on)
{
    cJSON *tags = doc_load_field(db, &task_type, id, "system_tags");
    cJSON *item;
    if (!cJSON_IsArray(tags)) {
        cJSON_Delete(tags);
        return false;
    }
    cJSON_ArrayForEach(item, tags)
    {
        if (cJSON_IsString(item) && !strcmp(item->valuestring, tag))
            break;
    }
    bool change = on != (item != NULL);
    if (change) {
        if (item)
            cJSON_Delete(cJSON_DetachItemViaPointer(tags, item));
        else
            cJSON_AddItemToArray(tags, cJSON_CreateString(tag));
        auto_json *fields = cJSON_CreateObject();
        json_set(fields, "system_tags", tags_clean(tags));
        doc_set(db, &task_type, id, fields, NULL);
        return true;
    }
    cJSON_Delete(tags);
    return false;
}
