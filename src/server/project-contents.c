/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/project-contents.h"
#include "base/alloc.h"
#include "base/json.h"
#include "server/api-error.h"
#include "server/project-store.h"
#include "server/store.h"

#include <string.h>

#define ARCHIVED "instr(t.system_tags, '\"archived\"') > 0"

/* ---- deleting ---- */

/* kind 1: a pipeline, 2: a dataset, 0: any other project. */
#define WITH_PROJECTS                                                                  \
    "WITH p AS MATERIALIZED (SELECT id, CASE"                                          \
    "  WHEN doc ->> '$.basename' <> '.pipelines' AND EXISTS (SELECT 1 FROM"            \
    "   json_each(doc, '$.system_tags') WHERE value = 'pipeline') THEN 1"              \
    "  WHEN doc ->> '$.basename' <> '.datasets' AND EXISTS (SELECT 1 FROM"             \
    "   json_each(doc, '$.system_tags') WHERE value = 'dataset') THEN 2"               \
    "  ELSE 0 END AS kind FROM projects WHERE id = ?1 OR (name > ?2 AND name < ?3)),"

static const char count_tasks_sql[] = WITH_PROJECTS
    " t AS (SELECT p.kind AS kind, p.id AS project, t.type AS type, " ARCHIVED
    " AS archived,"
    "  instr(t.system_tags, '\"reports\"') > 0 AS report"
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

int project_check_delete(struct call *call, const cJSON *project)
{
    static const struct {
        const char *count;
        enum api_error error;
        const char *way;
    } checks[] = {{"pipelines", API_PROJECT_HAS_PIPELINES,
                   "please archive all the controllers or use force=true"},
                  {"datasets", API_PROJECT_HAS_DATASETS,
                   "please delete all the dataset versions or use force=true"},
                  {"non_archived_tasks", API_PROJECT_HAS_TASKS, "use force=true"},
                  {"non_archived_reports", API_PROJECT_HAS_TASKS, "use force=true"},
                  {"non_archived_models", API_PROJECT_HAS_MODELS, "use force=true"}};
    auto_json *counts = cJSON_CreateObject();
    count_all(call, project, counts);
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
        if (json_int(counts, checks[i].count, 0) > 0)
            return api_fail(call, checks[i].error, checks[i].way, "id",
                            json_str(project, "id", ""), NULL);
    }
    return 0;
}
