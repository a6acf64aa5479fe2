/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/project-stats.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "server/models-internal.h"
#include "server/names.h"
#include "server/project-store.h"
#include "server/store.h"

#include <string.h>

#define DAY_MS 86400000
#define ARCHIVED "instr(t.system_tags, '\"archived\"') > 0"

static const char *const statuses[] = {
    "created",   "queued", "in_progress", "stopped",   "publishing",
    "published", "closed", "failed",      "completed", "unknown"};

/* ---- what is asked for ---- */

static int check_filter(struct call *call, const cJSON *filter)
{
    const cJSON *field, *item;
    cJSON_ArrayForEach(field, filter)
    {
        if (!(cJSON_IsArray(field) || cJSON_IsObject(field)) || !field->child)
            return api_fail(call, API_VALIDATION,
                            "Non empty list or dictionary expected for the field",
                            "field", field->string, NULL);
        if (cJSON_IsObject(field))
            continue;
        cJSON_ArrayForEach(item, field)
        {
            if (!cJSON_IsString(item))
                return api_fail(call, API_VALIDATION,
                                "Only string values are allowed in the list filter",
                                "field", field->string, NULL);
        }
    }
    return 0;
}

static void filter_add(cJSON *filter, const char *field, const char *value)
{
    cJSON *list = json_get(filter, field);
    if (!cJSON_IsArray(list))
        list = json_set(filter, field, cJSON_CreateArray());
    cJSON_AddItemToArray(list, cJSON_CreateString(value));
}

/* Where the request names a kind of children and no filter of its own. */
static void children_filter(const cJSON *request, struct project_stats *s)
{
    static const char *const names[] = {"children_tags_filter", "children_tags"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const cJSON *tags = json_get(request, names[i]);
        if (!tags || !tags->child || json_get(s->filter, "tags"))
            continue;
        json_set(s->filter, "tags", cJSON_Duplicate(tags, true));
    }
    if (!strcmp(s->type, "pipeline")) {
        filter_add(s->filter, "system_tags", "pipeline");
        filter_add(s->filter, "type", "controller");
        s->hidden = true;
    } else if (!strcmp(s->type, "report")) {
        filter_add(s->filter, "system_tags", "reports");
        filter_add(s->filter, "type", "report");
        s->hidden = true;
    }
}

int project_stats_of(struct call *call, const cJSON *selected,
                     struct project_stats *out)
{
    const cJSON *request = call->request;
    const cJSON *filter = json_get(request, "include_stats_filter");
    const cJSON *users = json_get(request, "active_users");
    const cJSON *state = json_get(request, "stats_for_state");
    bool given = cJSON_IsObject(filter) && filter->child;
    *out = (struct project_stats){
        .type = json_str(request, "children_type", NULL),
        .state = state ? cJSON_GetStringValue(state) : "active",
        .users = users && users->child ? users : NULL,
        .selected = selected,
        .below = json_bool(request, "stats_with_children", true),
        .hidden = json_bool(request, "search_hidden", false),
        .filter = given ? cJSON_Duplicate(filter, true) : cJSON_CreateObject(),
    };
    if (out->type && !given)
        children_filter(request, out);
    if (check_filter(call, out->filter) == 0)
        return 0;
    project_stats_free(out);
    return -1;
}

void project_stats_free(struct project_stats *s)
{
    cJSON_Delete(s->filter);
    s->filter = NULL;
}

/* The conditions on documents whose field (of this name) is one of these projects. */
static cJSON *contents_request(const struct project_stats *s, const char *field,
                               const cJSON *ids)
{
    const cJSON *item;
    cJSON *request = cJSON_CreateObject();
    cJSON *filters = json_set(request, "filters", cJSON_CreateObject());
    cJSON_ArrayForEach(item, s->filter)
        json_set(cJSON_IsObject(item) ? filters : request, item->string,
                 cJSON_Duplicate(item, true));
    if (s->users)
        json_set(request, "user", cJSON_Duplicate(s->users, true));
    json_set(request, field, cJSON_Duplicate(ids, true));
    return request;
}

/* A filter says nothing of the state unless it names it. */
static void add_state(const struct project_stats *s, cJSON *request)
{
    const cJSON *tag, *tags = json_get(request, "system_tags");
    if (!s->state || cJSON_IsObject(json_path(request, "filters", "system_tags", NULL)))
        return;
    cJSON_ArrayForEach(tag, tags)
    {
        if (strcmp(tag->valuestring + (tag->valuestring[0] == '-'), "archived") == 0)
            return;
    }
    cJSON *list = cJSON_CreateArray();
    cJSON_AddItemToArray(
        list,
        cJSON_CreateString(strcmp(s->state, "archived") ? "-archived" : "archived"));
    cJSON_ArrayForEach(tag, tags)
        cJSON_AddItemToArray(list, cJSON_Duplicate(tag, true));
    json_set(request, "system_tags", list);
}

static cJSON *ids_of(const cJSON *projects)
{
    const cJSON *project;
    cJSON *ids = cJSON_CreateArray();
    cJSON_ArrayForEach(project, projects)
        cJSON_AddItemToArray(ids, cJSON_CreateString(json_str(project, "id", "")));
    return ids;
}

static cJSON *find_project(const cJSON *projects, const char *id)
{
    cJSON *project;
    cJSON_ArrayForEach(project, projects)
    {
        if (!strcmp(json_str(project, "id", ""), id))
            return project;
    }
    return NULL;
}

/* ---- own contents ---- */

struct counts {
    cJSON *projects;
    const char *name;
};

static void add_count(sqlite3_stmt *row, void *arg)
{
    const struct counts *c = arg;
    cJSON *project =
        find_project(c->projects, (const char *)sqlite3_column_text(row, 0));
    if (project)
        json_set_int(project, c->name, sqlite3_column_int64(row, 1));
}

static int count_own(struct call *call, const struct query_collection *collection,
                     const cJSON *request, const char *name, cJSON *projects)
{
    cJSON *project;
    struct counts counts = {projects, name};
    cJSON_ArrayForEach(project, projects) json_set_int(project, name, 0);
    return query_each(call, collection, request, "t.project, count(*)",
                      "GROUP BY t.project", add_count, &counts);
}

static cJSON *datasets_request(const struct project_stats *s, const cJSON *ids)
{
    cJSON *request = contents_request(s, "parent", ids);
    filter_add(request, "system_tags", "dataset");
    return request;
}

static int count_own_datasets(struct call *call, const struct project_stats *s,
                              const cJSON *ids, cJSON *projects)
{
    cJSON *project;
    struct counts counts = {projects, "own_datasets"};
    auto_json *request = datasets_request(s, ids);
    cJSON_ArrayForEach(project, projects) json_set_int(project, counts.name, 0);
    return query_each(call, &projects_all, request, "t.doc ->> '$.parent', count(*)",
                      "GROUP BY 1", add_count, &counts);
}

int project_add_own_contents(struct call *call, const struct project_stats *s,
                             cJSON *projects)
{
    auto_json *ids = ids_of(projects);
    if (s->type && !strcmp(s->type, "dataset"))
        return count_own_datasets(call, s, ids, projects);
    auto_json *request = contents_request(s, "project", ids);
    add_state(s, request);
    return count_own(call, &tasks_all, request, "own_tasks", projects) ||
                   count_own(call, &models_collection, request, "own_models", projects)
               ? -1
               : 0;
}

/* ---- sub-projects ---- */

/* What lies below a project, by name; sub_projects is set to it. */
static cJSON *add_sub_projects(struct call *call, const struct project_stats *s,
                               cJSON *project)
{
    cJSON *list = json_set(project, "sub_projects", cJSON_CreateArray());
    if (!s->below)
        return list;
    /* only_fields may have left the name out. */
    auto_json *full = project_load_full(call->db, json_str(project, "id", ""));
    auto_free char *first = NULL, *last = NULL;
    auto_free char *selected = s->selected ? json_format(s->selected) : NULL;
    project_range(json_str(full, "name", ""), &first, &last);
    sqlite3_stmt *find = store_query(
        call->db,
        "SELECT id, name FROM projects WHERE name > ?1 AND name < ?2"
        " AND (?3 OR NOT EXISTS (SELECT 1 FROM json_each(doc, '$.system_tags')"
        "                        WHERE value = 'hidden'))"
        " AND (?4 IS NULL OR id IN (SELECT value FROM json_each(?4))) ORDER BY name",
        "ttit", first, last, (int64_t)s->hidden, selected);
    while (store_row(find)) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddItemToArray(list, one);
        json_set_str(one, "id", (const char *)sqlite3_column_text(find, 0));
        json_set_str(one, "name", (const char *)sqlite3_column_text(find, 1));
    }
    sqlite3_reset(find);
    return list;
}

/* The project's id and those of its sub-projects. */
static cJSON *ids_with(const cJSON *project, const cJSON *sub_projects)
{
    cJSON *ids = ids_of(sub_projects);
    cJSON_AddItemToArray(ids, cJSON_CreateString(json_str(project, "id", "")));
    return ids;
}

/* ---- statistics ---- */

static void empty_state(cJSON *stats, const char *state)
{
    cJSON *out = json_set(stats, state, cJSON_CreateObject());
    cJSON *counts = json_set(out, "status_count", cJSON_CreateObject());
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
        json_set_int(counts, statuses[i], 0);
    json_set_int(out, "total_tasks", 0);
    json_set_int(out, "total_runtime", 0);
    json_set_int(out, "completed_tasks_24h", 0);
    json_set(out, "last_task_run", cJSON_CreateNull());
}

static void add_int(cJSON *object, const char *name, int64_t more)
{
    json_set_int(object, name, json_int(object, name, 0) + more);
}

/* Of one status and one state: how many, how long, how many ended lately, last start.
 */
static void add_stats_row(sqlite3_stmt *row, void *stats)
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

static int add_task_stats(struct call *call, const struct project_stats *s,
                          const cJSON *ids, cJSON *stats)
{
    if (!s->state || !strcmp(s->state, "active"))
        empty_state(stats, "active");
    if (!s->state || !strcmp(s->state, "archived"))
        empty_state(stats, "archived");
    auto_json *request = contents_request(s, "project", ids);
    auto_buf columns = BUF_INIT;
    buf_printf(&columns,
               "t.status, " ARCHIVED ", count(*), sum(CASE WHEN t.completed > t.started"
               " THEN (t.completed - t.started) / 1000 ELSE 0 END),"
               " sum(t.completed > %lld AND t.status NOT IN"
               " ('queued', 'in_progress', 'failed')), max(t.started)",
               (long long)call->now_ms - DAY_MS);
    return query_each(call, &tasks_all, request, buf_str(&columns), "GROUP BY 1, 2",
                      add_stats_row, stats);
}

static void add_dataset_row(sqlite3_stmt *row, void *arg)
{
    cJSON *datasets = arg, *tag, *next;
    auto_json *tags = cJSON_Parse((const char *)sqlite3_column_text(row, 0));
    add_int(datasets, "count", 1);
    for (tag = tags ? tags->child : NULL; tag; tag = next) {
        next = tag->next;
        cJSON_AddItemToArray(json_get(datasets, "tags"),
                             cJSON_DetachItemViaPointer(tags, tag));
    }
}

static int add_datasets(struct call *call, const struct project_stats *s,
                        const cJSON *ids, cJSON *stats)
{
    auto_json *request = datasets_request(s, ids);
    cJSON *datasets = json_set(stats, "datasets", cJSON_CreateObject());
    json_set_int(datasets, "count", 0);
    cJSON *tags = json_set(datasets, "tags", cJSON_CreateArray());
    if (query_each(call, &projects_all, request, "t.doc -> '$.tags'", "",
                   add_dataset_row, datasets))
        return -1;
    names_sort(tags);
    return 0;
}

int project_add_stats(struct call *call, const struct project_stats *given,
                      cJSON *projects)
{
    struct project_stats s = *given;
    bool datasets = s.type && !strcmp(s.type, "dataset");
    cJSON *project;
    s.hidden |= datasets;
    cJSON_ArrayForEach(project, projects)
    {
        cJSON *stats = json_set(project, "stats", cJSON_CreateObject());
        auto_json *ids = ids_with(project, add_sub_projects(call, &s, project));
        if (datasets ? add_datasets(call, &s, ids, stats)
                     : add_task_stats(call, &s, ids, stats))
            return -1;
    }
    return 0;
}

/* ---- the newest version of a dataset ---- */

static void add_runtime(sqlite3_stmt *row, void *project)
{
    auto_json *runtime = cJSON_Parse((const char *)sqlite3_column_text(row, 0));
    if (!runtime || !runtime->child)
        return;
    cJSON *out = json_set(project, "dataset_stats", cJSON_CreateObject());
    json_set_num(out, "file_count", json_num(runtime, "ds_file_count", 0));
    json_set_num(out, "total_size", json_num(runtime, "ds_total_size", 0));
}

int project_add_dataset_stats(struct call *call, const struct project_stats *s,
                              cJSON *projects)
{
    struct project_stats all = {.users = s->users, .filter = cJSON_CreateObject()};
    cJSON *project;
    int rc = 0;
    filter_add(all.filter, "system_tags", "-archived");
    cJSON_ArrayForEach(project, projects)
    {
        json_set(project, "dataset_stats", cJSON_CreateNull());
        auto_json *ids = ids_with(project, NULL);
        auto_json *request = contents_request(&all, "project", ids);
        rc = rc ||
             query_each(call, &tasks_all, request, "t.runtime",
                        "AND t.runtime <> '{}' ORDER BY t.last_update DESC LIMIT 1",
                        add_runtime, project);
    }
    project_stats_free(&all);
    return rc ? -1 : 0;
}
