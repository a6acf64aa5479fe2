/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/tasks-internal.h"

#include "base/alloc.h"
#include "base/json.h"
#include "server/project-children.h"
#include "server/sql.h"
#include "server/store.h"

#include <string.h>

static const char *const task_lists[] = {"id",
                                         "user",
                                         "tags",
                                         "system_tags",
                                         "type",
                                         "status",
                                         "project",
                                         "parent",
                                         "hyperparams.*",
                                         "execution.queue",
                                         "models.input.model",
                                         NULL};
static const char *const task_ranges[] = {
    "created", "started", "active_duration", "last_metrics.*", "last_iteration", NULL};
static const char *const task_dates[] = {"status_changed", "last_update", "last_change",
                                         NULL};
static const char *const task_patterns[] = {"name", "comment", "report", NULL};
static const char *const task_equals[] = {"runtime.*", NULL};
static const char *const task_texts[] = {
    "name",   "id", "comment", "report", "script.repository", "script.entry_point",
    "models", NULL};

static cJSON *doc_of(sqlite3_stmt *stmt, const char *id)
{
    sql_bind(stmt, 1, id);
    cJSON *doc = NULL;
    if (sql_step(stmt))
        doc = cJSON_Parse((const char *)sqlite3_column_text(stmt, 0));
    sqlite3_reset(stmt);
    return doc;
}

static cJSON *queue_load(sqlite3 *db, const char *id)
{
    return doc_of(store_prepare(db, "SELECT doc FROM queues WHERE id = ?"), id);
}

cJSON *user_load(sqlite3 *db, const char *id)
{
    return doc_of(store_prepare(db, "SELECT doc FROM users WHERE id = ?"), id);
}

cJSON *company_load(sqlite3 *db, const char *id)
{
    cJSON *doc = cJSON_CreateObject();
    json_set_str(doc, "id", id);
    json_set_str(doc, "name", "clearml");
    return doc;
}

static const struct query_ref task_refs[] = {{"project", project_load},
                                             {"parent", task_load},
                                             {"execution.queue", queue_load},
                                             {"user", user_load},
                                             {"company", company_load},
                                             {"models.input.*.model", model_load},
                                             {"models.output.*.model", model_load},
                                             {0}};

#define TASKS_COLLECTION                                                               \
    .docs = &task_type, .lists = task_lists, .ranges = task_ranges,                    \
    .datetimes = task_dates, .patterns = task_patterns, .equals = task_equals,         \
    .texts = task_texts

const struct query_collection tasks_collection = {TASKS_COLLECTION,
                                                  .hidden_tag = "hidden"};
const struct query_collection tasks_joined = {TASKS_COLLECTION, .hidden_tag = "hidden",
                                              .refs = task_refs};
/* get_by_id_ex names its tasks: hidden ones are no exception. */
static const struct query_collection tasks_by_id = {TASKS_COLLECTION,
                                                    .refs = task_refs};
const struct query_collection tasks_all = {TASKS_COLLECTION};

/* ClearML prints a list of ids in parentheses. */
static int invalid_ids(struct call *call, const char *id)
{
    auto_free char *list = xasprintf("(%s)", id);
    return api_fail(call, API_INVALID_TASK_ID, NULL, "ids", list, NULL);
}

int tasks_get_by_id(struct call *call)
{
    const char *id = json_str(call->request, "task", "");
    cJSON *task = task_load(call->db, id);
    if (!task)
        return invalid_ids(call, id);
    cJSON *metrics = doc_load_field(call->db, &task_type, id, "unique_metrics");
    json_set(task, "unique_metrics", metrics ? metrics : cJSON_CreateArray());
    task_conform(call, task);
    json_set(call->data, "task", task);
    return 0;
}

/* Older names of paths. */
static const char *const renamed[][2] = {{"execution.parameters", "hyperparams.Args"},
                                         {"execution.model_desc", "configuration"},
                                         {"execution.docker_cmd", "container"}};

static void rename_paths(cJSON *list)
{
    cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item))
            continue;
        bool minus = item->valuestring[0] == '-';
        const char *path = item->valuestring + minus;
        for (size_t i = 0; i < sizeof renamed / sizeof renamed[0]; i++) {
            size_t n = strlen(renamed[i][0]);
            if (strncmp(path, renamed[i][0], n) || (path[n] && path[n] != '.'))
                continue;
            auto_free char *fresh =
                xasprintf("%s%s%s", minus ? "-" : "", renamed[i][1], path + n);
            cJSON_SetValuestring(item, fresh);
            break;
        }
    }
}

void add_subprojects(struct call *call)
{
    const cJSON *given = json_get(call->request, "project");
    auto_json *one = NULL;
    if (!request_true(call->request, "include_subprojects", false) || !given ||
        cJSON_IsNull(given))
        return;
    if (!cJSON_IsArray(given)) {
        one = cJSON_CreateArray();
        cJSON_AddItemToArray(one, cJSON_Duplicate(given, true));
        given = one;
    }
    json_set(call->request, "project", project_with_children(call->db, given));
}

static int get_many(struct call *call, const struct query_collection *collection)
{
    tags_take(call, "task", call->request);
    add_subprojects(call);
    rename_paths(json_get(call->request, "only_fields"));
    rename_paths(json_get(call->request, "projection"));
    rename_paths(json_get(call->request, "order_by"));
    cJSON *tasks = query_run(call, collection), *task;
    if (!tasks)
        return -1;
    cJSON_ArrayForEach(task, tasks) task_conform(call, task);
    json_set(call->data, "tasks", tasks);
    return 0;
}

int tasks_get_all(struct call *call)
{
    return get_many(call, &tasks_collection);
}

int tasks_get_all_ex(struct call *call)
{
    return get_many(call, &tasks_joined);
}

int tasks_get_by_id_ex(struct call *call)
{
    if (!json_get(call->request, "id"))
        return api_fail(call, API_MISSING_FIELDS, NULL, "missing", "['id']", NULL);
    return get_many(call, &tasks_by_id);
}

int tasks_get_types(struct call *call)
{
    const cJSON *given = json_get(call->request, "projects");
    bool all = !cJSON_IsArray(given) || !given->child;
    auto_json *projects = all ? NULL : project_with_children(call->db, given);
    auto_stmt *stmt =
        sql_prepare(call->db, all ? "SELECT DISTINCT type FROM tasks ORDER BY type"
                                  : "SELECT DISTINCT type FROM tasks WHERE project IN "
                                    "(SELECT value FROM json_each(?)) ORDER BY type");
    if (!all)
        doc_bind(stmt, 1, projects);
    cJSON *types = json_set(call->data, "types", cJSON_CreateArray());
    while (sql_step(stmt))
        cJSON_AddItemToArray(
            types, cJSON_CreateString((const char *)sqlite3_column_text(stmt, 0)));
    return 0;
}
