/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/project-children.h"
#include "base/json.h"
#include "server/models-internal.h"
#include "server/project-store.h"
#include "server/sql.h"
#include "server/store.h"

#include <string.h>

static void add_text(sqlite3_stmt *row, void *list)
{
    const char *text = (const char *)sqlite3_column_text(row, 0);
    if (text)
        cJSON_AddItemToArray(list, cJSON_CreateString(text));
}

/* Appends what the statement, whose one parameter they are, finds for the ids. */
static void add_found(sqlite3 *db, const char *sql, const cJSON *ids, cJSON *list)
{
    auto_reset *stmt = store_prepare(db, sql);
    doc_bind(stmt, 1, ids);
    while (sql_step(stmt))
        add_text(stmt, list);
}

cJSON *project_with_children(sqlite3 *db, const cJSON *ids)
{
    cJSON *all = cJSON_Duplicate(ids, true);
    add_found(db,
              "SELECT c.id FROM projects p JOIN projects c"
              " ON c.name > p.name || '/' AND c.name < p.name || '0'"
              " WHERE p.id IN (SELECT value FROM json_each(?))",
              ids, all);
    return all;
}

/* The ids, each once, and the path above each. */
static cJSON *with_parents(sqlite3 *db, const cJSON *ids)
{
    cJSON *all = cJSON_CreateArray();
    add_found(db,
              "SELECT DISTINCT e.value FROM projects p,"
              " json_each(json_insert(p.doc -> '$.path', '$[#]', p.id)) e"
              " WHERE p.id IN (SELECT value FROM json_each(?))",
              ids, all);
    return all;
}

/* The conditions that every kind of child has to meet. */
static cJSON *child_request(const struct project_selection *s)
{
    cJSON *request = cJSON_CreateObject();
    if (s->users)
        json_set(request, "user", cJSON_Duplicate(s->users, true));
    if (s->private)
        json_set_bool(request, "allow_public", false);
    return request;
}

static void add_tags(const struct project_selection *s, const char *system_tag,
                     cJSON *request)
{
    cJSON *list = json_set(request, "system_tags", cJSON_CreateArray());
    cJSON_AddItemToArray(list, cJSON_CreateString(system_tag));
    if (s->tags_filter)
        json_set(json_set(request, "filters", cJSON_CreateObject()), "tags",
                 cJSON_Duplicate(s->tags_filter, true));
    else if (s->tags)
        json_set(request, "tags", cJSON_Duplicate(s->tags, true));
}

/* Projects with this system tag, but not the ones that hold them all. */
static int select_projects(struct call *call, const struct project_selection *s,
                           const cJSON *within, cJSON *out)
{
    auto_json *request = child_request(s);
    add_tags(s, s->type, request);
    if (within)
        json_set(request, "parent", cJSON_Duplicate(within, true));
    return query_each(call, &projects_all, request,
                      "CASE WHEN t.doc ->> '$.basename' IN ('.datasets', '.pipelines')"
                      " THEN NULL ELSE t.id END",
                      "", add_text, out);
}

static int select_in(struct call *call, const struct query_collection *collection,
                     cJSON *request, const cJSON *within, cJSON *out)
{
    if (within)
        json_set(request, "project", cJSON_Duplicate(within, true));
    return query_each(call, collection, request, "DISTINCT t.project", "", add_text,
                      out);
}

/* Whatever the users have made. */
static int select_any(struct call *call, const struct project_selection *s,
                      const cJSON *within, cJSON *out)
{
    auto_json *tasks = child_request(s), *models = child_request(s);
    auto_json *projects = child_request(s);
    if (within)
        json_set(projects, "id", cJSON_Duplicate(within, true));
    return query_each(call, &projects_all, projects, "t.id", "", add_text, out) ||
           select_in(call, &tasks_all, tasks, within, out) ||
           select_in(call, &models_collection, models, within, out);
}

int project_select(struct call *call, const struct project_selection *s, cJSON **out)
{
    auto_json *within = s->ids ? project_with_children(call->db, s->ids) : NULL;
    auto_json *found = cJSON_CreateArray();
    int rc;
    if (!s->type) {
        rc = select_any(call, s, within, found);
    } else if (!strcmp(s->type, "report")) {
        auto_json *request = child_request(s);
        add_tags(s, "reports", request);
        rc = select_in(call, &tasks_all, request, within, found);
    } else {
        rc = select_projects(call, s, within, found);
    }
    if (rc)
        return -1;
    *out = with_parents(call->db, found);
    return 0;
}
