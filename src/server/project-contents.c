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

#define ARCHIVED                                                                       \
    "EXISTS (SELECT 1 FROM json_each(t.system_tags) WHERE value = 'archived')"

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
