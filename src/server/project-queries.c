/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/project-queries.h"
#include "base/alloc.h"
#include "base/json.h"
#include "server/api-error.h"
#include "server/query-internal.h"
#include "server/store.h"

#include <string.h>

/* ?1: the projects asked for as a JSON list, NULL for all, "[null]" for what is in
 * none; ?2: those below them too. */
#define IN_SCOPE                                                                       \
    " (?1 IS NULL OR (?1 = '[null]' AND t.project IS NULL) OR t.project IN"            \
    "  (SELECT c.id FROM projects c JOIN projects a"                                   \
    "  ON c.id = a.id OR (?2 AND c.name > a.name || '/' AND c.name < a.name || '0')"   \
    "  WHERE a.id IN (SELECT value FROM json_each(?1))))"

struct scope {
    char *projects;
    int64_t below;
};

static void scope_free(struct scope *s)
{
    free(s->projects);
}

/* Of "projects", where none is all. */
static struct scope scope_of(const struct call *call)
{
    const cJSON *list = json_get(call->request, "projects");
    struct scope s = {NULL, json_bool(call->request, "include_subprojects", true)};
    if (cJSON_IsArray(list) && list->child)
        s.projects = json_format(list);
    return s;
}

/* Of "project", where none without its sub-projects is the top alone. */
static struct scope scope_of_one(const struct call *call)
{
    const char *one = json_str(call->request, "project", "");
    struct scope s = {NULL, json_bool(call->request, "include_subprojects", true)};
    if (!*one) {
        s.projects = s.below ? NULL : xstrdup("[null]");
        return s;
    }
    auto_json *list = cJSON_CreateArray();
    cJSON_AddItemToArray(list, cJSON_CreateString(one));
    s.projects = json_format(list);
    return s;
}

#define auto_scope __attribute__((cleanup(scope_free))) struct scope

/* Each row as an object with these members; a NULL column is left out. */
static cJSON *rows(sqlite3_stmt *find, const char *const *names)
{
    cJSON *list = cJSON_CreateArray();
    while (store_row(find)) {
        cJSON *one = cJSON_CreateObject();
        for (int i = 0; names[i]; i++)
            if (sqlite3_column_type(find, i) != SQLITE_NULL)
                json_set_str(one, names[i], (const char *)sqlite3_column_text(find, i));
        cJSON_AddItemToArray(list, one);
    }
    sqlite3_reset(find);
    return list;
}

#define METRICS_OF(from)                                                               \
    "SELECT DISTINCT v.value ->> '$.metric', a.key, v.value ->> '$.variant', v.key"    \
    " FROM " from ", json_each(last_metrics) a, json_each(a.value) v WHERE" IN_SCOPE   \
    " AND (?3 IS NULL OR t.id IN (SELECT value FROM json_each(?3))) ORDER BY 1, 3"

int project_get_unique_metric_variants(struct call *call)
{
    static const char *const names[] = {"metric", "metric_hash", "variant",
                                        "variant_hash", NULL};
    auto_scope scope = scope_of_one(call);
    const cJSON *list = json_get(call->request, "ids");
    auto_free char *ids = cJSON_IsArray(list) && list->child ? json_format(list) : NULL;
    const char *sql = json_bool(call->request, "model_metrics", false)
                          ? METRICS_OF("models t")
                          : METRICS_OF("tasks t JOIN task_metrics USING (n)");
    json_set(call->data, "metrics",
             rows(store_query(call->db, sql, "tit", scope.projects, scope.below, ids),
                  names));
    return 0;
}

static void page_of(const struct call *call, int64_t *offset, int64_t *size)
{
    int64_t page = json_int(call->request, "page", 0);
    *size = json_int(call->request, "page_size", 500);
    if (*size < 1 || *size > 10000)
        *size = *size < 1 ? 1 : 10000;
    *offset = page < 0 || page > 1000000 ? 0 : page * *size;
}

int project_get_hyper_parameters(struct call *call)
{
    static const char *const names[] = {"section", "name", NULL};
    int64_t offset, size;
    auto_scope scope = scope_of_one(call);
    page_of(call, &offset, &size);
    cJSON *list =
        rows(store_query(
                 call->db,
                 "SELECT DISTINCT s.key, p.key FROM tasks t JOIN task_bodies USING (n),"
                 " json_each(hyperparams) s, json_each(s.value) p WHERE" IN_SCOPE
                 " ORDER BY 1, 2 LIMIT ?3 OFFSET ?4",
                 "tiii", scope.projects, scope.below, size, offset),
             names);
    /* ClearML counts what is on the page. */
    json_set_int(call->data, "total", cJSON_GetArraySize(list));
    json_set_int(call->data, "remaining", 0);
    json_set(call->data, "parameters", list);
    return 0;
}

/* The values of a statement's rows, as "values" and "total" (of what is on the page,
 * as ClearML counts). */
static int answer_values(struct call *call, sqlite3_stmt *find)
{
    cJSON *values = json_set(call->data, "values", cJSON_CreateArray());
    while (store_row(find))
        if (sqlite3_column_type(find, 0) != SQLITE_NULL)
            cJSON_AddItemToArray(
                values, cJSON_CreateString((const char *)sqlite3_column_text(find, 0)));
    sqlite3_reset(find);
    json_set_int(call->data, "total", cJSON_GetArraySize(values));
    return 0;
}

int project_get_hyperparam_values(struct call *call)
{
    char error[256];
    int64_t offset, size;
    auto_scope scope = scope_of(call);
    const char *pattern = json_str(call->request, "pattern", "");
    struct regex *regex = *pattern ? regex_compile(pattern, true, error) : NULL;
    if (*pattern && !regex)
        return api_fail(call, API_BAD_REGEX, error, NULL);
    page_of(call, &offset, &size);
    sqlite3_stmt *find = store_query(
        call->db,
        "SELECT DISTINCT p.value ->> '$.value' AS v FROM tasks t"
        " JOIN task_bodies USING (n), json_each(hyperparams) s,"
        " json_each(s.value) p WHERE" IN_SCOPE " AND s.key = ?3 AND p.key = ?4"
        " AND (?7 OR t.company <> '') AND (?8 IS NULL OR query_match(?9, v))"
        " ORDER BY v COLLATE query_numeric LIMIT ?5 OFFSET ?6",
        "tittiiit", scope.projects, scope.below, json_str(call->request, "section", ""),
        json_str(call->request, "name", ""), size, offset,
        (int64_t)json_bool(call->request, "allow_public", true),
        *pattern ? pattern : NULL);
    sqlite3_bind_pointer(find, 9, regex, "regex", NULL);
    int rc = answer_values(call, find);
    sqlite3_clear_bindings(find);
    regex_free(regex);
    return rc;
}

int project_get_model_metadata_keys(struct call *call)
{
    static const char *const names[] = {"key", NULL};
    int64_t offset, size;
    auto_scope scope = scope_of_one(call);
    page_of(call, &offset, &size);
    auto_json *found =
        rows(store_query(call->db,
                         "SELECT DISTINCT m.key FROM models t, json_each(t.metadata) m "
                         "WHERE" IN_SCOPE " ORDER BY 1 LIMIT ?3 OFFSET ?4",
                         "tiii", scope.projects, scope.below, size, offset),
             names);
    cJSON *keys = json_set(call->data, "keys", cJSON_CreateArray()), *row;
    cJSON_ArrayForEach(row, found)
        cJSON_AddItemToArray(keys, cJSON_DetachItemFromObjectCaseSensitive(row, "key"));
    json_set_int(call->data, "total", cJSON_GetArraySize(keys));
    json_set_int(call->data, "remaining", 0);
    return 0;
}

int project_get_model_metadata_values(struct call *call)
{
    int64_t offset, size;
    auto_scope scope = scope_of(call);
    page_of(call, &offset, &size);
    return answer_values(
        call, store_query(call->db,
                          "SELECT DISTINCT m.value ->> '$.value' AS v FROM models t,"
                          " json_each(t.metadata) m WHERE" IN_SCOPE " AND m.key = ?3"
                          " AND (?6 OR t.company <> '')"
                          " ORDER BY v COLLATE query_numeric LIMIT ?4 OFFSET ?5",
                          "titiii", scope.projects, scope.below,
                          json_str(call->request, "key", ""), size, offset,
                          (int64_t)json_bool(call->request, "allow_public", true)));
}

/* A parent's project as an object with its name. */
static void join_project(struct call *call, cJSON *parent)
{
    const char *id = json_str(parent, "project", NULL);
    auto_json *project = id ? project_load(call->db, id) : NULL;
    if (!id)
        return;
    cJSON *out = cJSON_CreateObject();
    json_set_str(out, "id", id);
    if (project)
        json_set_str(out, "name", json_str(project, "name", ""));
    json_set(parent, "project", out);
}

static int parents_of(struct call *call, struct regex *regex)
{
    static const char *const names[] = {"id", "name", "project", NULL};
    auto_scope scope = scope_of(call);
    sqlite3_stmt *find = store_query(
        call->db,
        "SELECT DISTINCT p.id, p.name, p.project FROM tasks t JOIN tasks p"
        " ON p.id = t.parent WHERE" IN_SCOPE
        " AND (?3 IS NULL OR (?3 = 'archived') = EXISTS (SELECT 1 FROM"
        "  json_each(t.system_tags) WHERE value = 'archived'))"
        " AND (?4 = 0 OR query_match(?5, p.name)) ORDER BY p.name",
        "titi", scope.projects, scope.below,
        json_str(call->request, "tasks_state", NULL), (int64_t)(regex != NULL));
    sqlite3_bind_pointer(find, 5, regex, "regex", NULL);
    cJSON *parents = rows(find, names), *parent;
    sqlite3_clear_bindings(find);
    cJSON_ArrayForEach(parent, parents) join_project(call, parent);
    json_set(call->data, "parents", parents);
    return 0;
}

int project_get_task_parents(struct call *call)
{
    char error[256];
    const char *name = json_str(call->request, "task_name", "");
    struct regex *regex = *name ? regex_compile(name, false, error) : NULL;
    if (*name && !regex)
        return api_fail(call, API_BAD_REGEX, error, NULL);
    int rc = parents_of(call, regex);
    regex_free(regex);
    return rc;
}

#define USERS_OF(table)                                                                \
    "SELECT id, name FROM users WHERE id IN (SELECT t.user FROM " table                \
    " t WHERE" IN_SCOPE ") ORDER BY name"

int project_get_user_names(struct call *call)
{
    static const char *const names[] = {"id", "name", NULL};
    auto_scope scope = scope_of(call);
    bool models = strcmp(json_str(call->request, "entity", "task"), "model") == 0;
    json_set(call->data, "users",
             rows(store_query(call->db, models ? USERS_OF("models") : USERS_OF("tasks"),
                              "ti", scope.projects, scope.below),
                  names));
    return 0;
}
