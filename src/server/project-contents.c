/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/project-contents.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "server/dispatch.h"
#include "server/project-store.h"
#include "server/server.h"
#include "server/store.h"

#include <string.h>

#define DAY_MS 86400000

static const char *const statuses[] = {
    "created",   "queued", "in_progress", "stopped",   "publishing",
    "published", "closed", "failed",      "completed", "unknown"};

/* ---- counting for get_all_ex ---- */

#define ARCHIVED                                                                       \
    "EXISTS (SELECT 1 FROM json_each(t.system_tags) WHERE value = 'archived')"

void project_add_own_contents(struct call *call, cJSON *project)
{
    const char *id = json_str(project, "id", "");
    json_set_int(
        project, "own_tasks",
        store_int(call->db,
                  "SELECT count(*) FROM tasks t WHERE project = ? AND NOT " ARCHIVED, 0,
                  "t", id));
    json_set_int(
        project, "own_models",
        store_int(call->db,
                  "SELECT count(*) FROM models t WHERE project = ? AND NOT " ARCHIVED,
                  0, "t", id));
}

static cJSON *empty_state(cJSON *stats, const char *state)
{
    cJSON *out = json_set(stats, state, cJSON_CreateObject());
    cJSON *counts = json_set(out, "status_count", cJSON_CreateObject());
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
        json_set_int(counts, statuses[i], 0);
    json_set_int(out, "total_tasks", 0);
    json_set_int(out, "total_runtime", 0);
    json_set_int(out, "completed_tasks_24h", 0);
    json_set(out, "last_task_run", cJSON_CreateNull());
    return out;
}

static void add_int(cJSON *object, const char *name, int64_t more)
{
    json_set_int(object, name, json_int(object, name, 0) + more);
}

/* The list that a filter gives for a field, as JSON text; NULL if it gives none. */
static char *filter_list(const cJSON *filter, const char *field)
{
    const cJSON *list = json_get(filter, field);
    return cJSON_IsArray(list) && list->child ? json_format(list) : NULL;
}

/* The names of the project and of what lies below it: from first on, before last. */
static const char stats_sql[] =
    "WITH p AS (SELECT id FROM projects WHERE id = ?1 OR (?4 AND name > ?2 AND name < "
    "?3"
    "   AND (?5 OR NOT EXISTS (SELECT 1 FROM json_each(doc, '$.system_tags')"
    "                          WHERE value = 'hidden'))))"
    " SELECT t.status, " ARCHIVED " AS archived, count(*),"
    "  sum(CASE WHEN t.completed > t.started THEN (t.completed - t.started) / 1000"
    "      ELSE 0 END),"
    "  sum(t.completed > ?6 AND t.status NOT IN ('queued', 'in_progress', 'failed')),"
    "  max(t.started)"
    " FROM tasks t WHERE t.project IN (SELECT id FROM p)"
    "  AND (?7 IS NULL OR t.type IN (SELECT value FROM json_each(?7)))"
    "  AND (?8 IS NULL OR EXISTS (SELECT 1 FROM json_each(t.system_tags) s"
    "       WHERE s.value IN (SELECT value FROM json_each(?8))))"
    " GROUP BY t.status, archived";

static void add_stats_row(sqlite3_stmt *row, cJSON *stats)
{
    char iso[CLOCK_ISO_SIZE];
    const char *status = (const char *)sqlite3_column_text(row, 0);
    cJSON *out = json_get(stats, sqlite3_column_int(row, 1) ? "archived" : "active");
    if (!out)
        return;
    add_int(json_get(out, "status_count"), status, sqlite3_column_int64(row, 2));
    add_int(out, "total_tasks", sqlite3_column_int64(row, 2));
    add_int(out, "total_runtime", sqlite3_column_int64(row, 3));
    add_int(out, "completed_tasks_24h", sqlite3_column_int64(row, 4));
    if (sqlite3_column_type(row, 5) == SQLITE_NULL)
        return;
    clock_iso_clearml(sqlite3_column_int64(row, 5), iso);
    if (strcmp(json_str(out, "last_task_run", ""), iso) < 0)
        json_set_str(out, "last_task_run", iso);
}

static void add_sub_projects(struct call *call, cJSON *project, const char *first,
                             const char *last)
{
    cJSON *list = json_set(project, "sub_projects", cJSON_CreateArray());
    sqlite3_stmt *find =
        store_query(call->db,
                    "SELECT id, name FROM projects WHERE name > ? AND name < ?"
                    " ORDER BY name",
                    "tt", first, last);
    while (store_row(find)) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddItemToArray(list, one);
        json_set_str(one, "id", (const char *)sqlite3_column_text(find, 0));
        json_set_str(one, "name", (const char *)sqlite3_column_text(find, 1));
    }
    sqlite3_reset(find);
}

void project_add_stats(struct call *call, cJSON *project)
{
    const cJSON *request = call->request,
                *filter = json_get(request, "include_stats_filter");
    const char *state = json_str(request, "stats_for_state", "active");
    bool children = json_bool(request, "stats_with_children", true);
    auto_free char *first = NULL, *last = NULL;
    auto_free char *types = filter_list(filter, "type");
    auto_free char *tags = filter_list(filter, "system_tags");
    cJSON *stats = json_set(project, "stats", cJSON_CreateObject());
    /* only_fields may have left the name out. */
    auto_json *full = project_load_full(call->db, json_str(project, "id", ""));
    empty_state(stats, strcmp(state, "archived") == 0 ? "archived" : "active");
    project_range(json_str(full, "name", ""), &first, &last);
    sqlite3_stmt *find = store_query(
        call->db, stats_sql, "tttiiitt", json_str(project, "id", ""), first, last,
        (int64_t)children, (int64_t)json_bool(request, "search_hidden", false),
        call->now_ms - DAY_MS, types, tags);
    while (store_row(find))
        add_stats_row(find, stats);
    sqlite3_reset(find);
    if (children)
        add_sub_projects(call, project, first, last);
    else
        json_set(project, "sub_projects", cJSON_CreateArray());
}

/* ---- deleting ---- */

/* kind 1: a pipeline, 2: a dataset, 0: any other project. */
#define WITH_PROJECTS                                                                  \
    "WITH p AS (SELECT id, CASE"                                                       \
    "  WHEN doc ->> '$.basename' <> '.pipelines' AND EXISTS (SELECT 1 FROM"            \
    "   json_each(doc, '$.system_tags') WHERE value = 'pipeline') THEN 1"              \
    "  WHEN doc ->> '$.basename' <> '.datasets' AND EXISTS (SELECT 1 FROM"             \
    "   json_each(doc, '$.system_tags') WHERE value = 'dataset') THEN 2"               \
    "  ELSE 0 END AS kind FROM projects WHERE id = ?1 OR (name > ?2 AND name < ?3)),"

static const char count_tasks_sql[] = WITH_PROJECTS
    " t AS (SELECT p.kind AS kind, p.id AS project, t.type AS type, " ARCHIVED
    " AS archived,"
    "  EXISTS (SELECT 1 FROM json_each(t.system_tags) WHERE value = 'reports') AS "
    "report"
    "  FROM tasks t JOIN p ON t.project = p.id)"
    " SELECT count(DISTINCT CASE WHEN kind = 1 AND type = 'controller' AND NOT archived"
    "               THEN project END),"
    "  count(DISTINCT CASE WHEN kind = 2 AND NOT archived THEN project END),"
    "  sum(kind = 0 AND NOT report), sum(kind = 0 AND NOT report AND NOT archived),"
    "  sum(kind = 0 AND report), sum(kind = 0 AND report AND NOT archived) FROM t";

static const char count_models_sql[] =
    WITH_PROJECTS " t AS (SELECT p.kind AS kind, " ARCHIVED " AS archived"
                  "  FROM models t JOIN p ON t.project = p.id)"
                  " SELECT sum(kind = 0), sum(kind = 0 AND NOT archived) FROM t";

static void count_into(sqlite3_stmt *find, const char *const *names, size_t n,
                       cJSON *out)
{
    bool row = store_row(find);
    for (size_t i = 0; i < n; i++)
        json_set_int(out, names[i], row ? sqlite3_column_int64(find, (int)i) : 0);
    sqlite3_reset(find);
}

static void count_all(struct call *call, const cJSON *project, cJSON *out)
{
    static const char *const of_tasks[] = {"pipelines", "datasets",
                                           "tasks",     "non_archived_tasks",
                                           "reports",   "non_archived_reports"};
    static const char *const of_models[] = {"models", "non_archived_models"};
    const char *id = json_str(project, "id", "");
    auto_free char *first = NULL, *last = NULL;
    project_range(json_str(project, "name", ""), &first, &last);
    count_into(store_query(call->db, count_tasks_sql, "ttt", id, first, last), of_tasks,
               ARRAY_SIZE(of_tasks), out);
    count_into(store_query(call->db, count_models_sql, "ttt", id, first, last),
               of_models, ARRAY_SIZE(of_models), out);
}

void project_count_contents(struct call *call, const cJSON *project)
{
    count_all(call, project, call->data);
}

static int check_delete(struct call *call, const cJSON *project)
{
    auto_json *counts = cJSON_CreateObject();
    int code = 0;
    const char *text = "";
    count_all(call, project, counts);
    if (json_int(counts, "pipelines", 0) > 0) {
        code = 413;
        text = "Project has associated pipelines with active controllers (please "
               "archive all "
               "the controllers or use force=true)";
    } else if (json_int(counts, "datasets", 0) > 0) {
        code = 406;
        text =
            "Project has associated non-empty datasets (please delete all the dataset "
            "versions or use force=true)";
    } else if (json_int(counts, "non_archived_tasks", 0) > 0 ||
               json_int(counts, "non_archived_reports", 0) > 0) {
        code = 402;
        text = "Project has associated tasks (use force=true)";
    } else if (json_int(counts, "non_archived_models", 0) > 0) {
        code = 405;
        text = "Project has associated models (use force=true)";
    }
    if (code == 0)
        return 0;
    call_fail(call, 400, code, "%s", text);
    return call_fail_arg(call, "id", json_str(project, "id", ""));
}

static cJSON *ids_in(sqlite3_stmt *find)
{
    cJSON *ids = cJSON_CreateArray();
    while (store_row(find))
        cJSON_AddItemToArray(
            ids, cJSON_CreateString((const char *)sqlite3_column_text(find, 0)));
    sqlite3_reset(find);
    return ids;
}

/* Runs another endpoint for each id, as the same caller: {name: id, "force": true}.
 * Returns for how many it worked. */
static int run_for_each(struct call *call, const char *endpoint, const char *name,
                        const cJSON *ids)
{
    const cJSON *id;
    int done = 0;
    cJSON_ArrayForEach(id, ids)
    {
        struct call one;
        call_init(&one, call->server);
        one.db = call->db;
        one.caller = call->caller;
        json_set_str(one.request, name, id->valuestring);
        json_set_bool(one.request, "force", true);
        if (dispatch_path(call->server->dispatch, &one, endpoint) == 0 &&
            dispatch_run(&one) == 0)
            done++;
        call_free(&one);
    }
    return done;
}

#define IN_PROJECTS                                                                    \
    " WHERE project IN (SELECT id FROM projects"                                       \
    " WHERE id = ?1 OR (name > ?2 AND name < ?3))"

int project_delete_contents(struct call *call, const cJSON *project)
{
    const char *id = json_str(project, "id", "");
    int64_t tasks = 0, models = 0, freed = 0;
    auto_free char *first = NULL, *last = NULL;
    if (!json_bool(call->request, "force", false) && check_delete(call, project) < 0)
        return -1;
    project_range(json_str(project, "name", ""), &first, &last);
    if (json_bool(call->request, "delete_contents", false)) {
        auto_json *model_ids = ids_in(store_query(
            call->db, "SELECT id FROM models" IN_PROJECTS, "ttt", id, first, last));
        auto_json *task_ids = ids_in(store_query(
            call->db, "SELECT id FROM tasks" IN_PROJECTS, "ttt", id, first, last));
        models = run_for_each(call, "models.delete", "model", model_ids);
        tasks = run_for_each(call, "tasks.delete", "task", task_ids);
    }
    /* What is left stays without a project. */
    freed = store_change(call->db, "UPDATE tasks SET project = NULL" IN_PROJECTS, "ttt",
                         id, first, last);
    store_change(call->db, "UPDATE models SET project = NULL" IN_PROJECTS, "ttt", id,
                 first, last);
    int n = store_change(call->db,
                         "DELETE FROM projects WHERE id = ? OR (name > ? AND name < ?)",
                         "ttt", id, first, last);
    json_set_int(call->data, "deleted", n);
    json_set_int(call->data, "disassociated_tasks", freed);
    json_set_int(call->data, "deleted_models", models);
    json_set_int(call->data, "deleted_tasks", tasks);
    return 0;
}

/* ---- tags ---- */

static void add_tags(struct call *call, const char *name, const char *sql)
{
    const cJSON *projects = json_get(call->request, "projects");
    auto_free char *ids =
        cJSON_IsArray(projects) && projects->child ? json_format(projects) : NULL;
    json_set(call->data, name, ids_in(store_query(call->db, sql, "t", ids)));
}

#define TAGS_OF(table, column, project)                                                \
    "SELECT DISTINCT j.value FROM " table " t, json_each(" column ") j WHERE"          \
    " (?1 IS NULL OR " project " IN (SELECT c.id FROM projects c JOIN projects a"      \
    " ON c.id = a.id OR (c.name > a.name || '/' AND c.name < a.name || '0')"           \
    " WHERE a.id IN (SELECT value FROM json_each(?1)))) ORDER BY 1"

static int tags(struct call *call, const char *tags_sql, const char *system_sql)
{
    add_tags(call, "tags", tags_sql);
    if (json_bool(call->request, "include_system", false))
        add_tags(call, "system_tags", system_sql);
    else
        json_set(call->data, "system_tags", cJSON_CreateArray());
    return 0;
}

int project_get_project_tags(struct call *call)
{
    return tags(call, TAGS_OF("projects", "t.doc, '$.tags'", "t.id"),
                TAGS_OF("projects", "t.doc, '$.system_tags'", "t.id"));
}

int project_get_task_tags(struct call *call)
{
    return tags(call, TAGS_OF("tasks", "t.tags", "t.project"),
                TAGS_OF("tasks", "t.system_tags", "t.project"));
}

int project_get_model_tags(struct call *call)
{
    return tags(call, TAGS_OF("models", "t.tags", "t.project"),
                TAGS_OF("models", "t.system_tags", "t.project"));
}
