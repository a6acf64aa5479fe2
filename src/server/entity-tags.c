/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/entity-tags.h"
#include "base/alloc.h"
#include "base/json.h"
#include "server/models-internal.h"
#include "server/names.h"
#include "server/project-children.h"
#include "server/project-store.h"

const struct field entity_tags_filter[] = {
    {"tags", FIELD_STRINGS, false}, {"system_tags", FIELD_STRINGS, false}, {0}};

/* The conditions: the company's own, in these projects (whose id is this field) and
 * below, and what the filter says. */
static cJSON *conditions(struct call *call, const char *field)
{
    static const char *const names[] = {"tags", "system_tags"};
    const cJSON *projects = json_get(call->request, "projects");
    const cJSON *filter = json_get(call->request, "filter");
    cJSON *request = cJSON_CreateObject();
    json_set_bool(request, "allow_public", false);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const cJSON *tags = json_get(filter, names[i]);
        if (tags && tags->child)
            json_set(request, names[i], cJSON_Duplicate(tags, true));
    }
    if (projects && projects->child)
        json_set(request, field, project_with_children(call->db, projects));
    return request;
}

/* Moves the tags of a row's list to the end of another. */
static void add_tags(sqlite3_stmt *row, void *list)
{
    const char *text = (const char *)sqlite3_column_text(row, 0);
    auto_json *tags = text ? cJSON_Parse(text) : NULL;
    cJSON *next;
    for (cJSON *tag = tags ? tags->child : NULL; tag; tag = next) {
        next = tag->next;
        cJSON_AddItemToArray(list, cJSON_DetachItemViaPointer(tags, tag));
    }
}

/* Many documents have the same few lists, so each list is read once. */
static int collect(struct call *call, const struct query_collection *collection,
                   const cJSON *request, const char *column, const char *name)
{
    cJSON *list = json_get(call->data, name);
    if (!list)
        list = json_set(call->data, name, cJSON_CreateArray());
    if (query_each(call, collection, request, column, "", add_tags, list))
        return -1;
    names_sort(list);
    return 0;
}

static int collect_both(struct call *call, const struct query_collection *collection,
                        const cJSON *request)
{
    if (collect(call, collection, request, "DISTINCT t.tags", "tags"))
        return -1;
    if (!json_bool(call->request, "include_system", false))
        return 0;
    return collect(call, collection, request, "DISTINCT t.system_tags", "system_tags");
}

int project_get_project_tags(struct call *call)
{
    auto_json *request = conditions(call, "id");
    json_set(call->data, "system_tags", cJSON_CreateArray());
    if (collect(call, &projects_all, request, "t.doc -> '$.tags'", "tags"))
        return -1;
    if (!json_bool(call->request, "include_system", false))
        return 0;
    return collect(call, &projects_all, request, "t.doc -> '$.system_tags'",
                   "system_tags");
}

int project_get_task_tags(struct call *call)
{
    auto_json *request = conditions(call, "project");
    return collect_both(call, &tasks_all, request);
}

int project_get_model_tags(struct call *call)
{
    auto_json *request = conditions(call, "project");
    return collect_both(call, &models_collection, request);
}

int organization_get_tags(struct call *call)
{
    auto_json *request = conditions(call, "project");
    return collect_both(call, &models_collection, request) ||
                   collect_both(call, &tasks_all, request)
               ? -1
               : 0;
}

int reports_get_tags(struct call *call)
{
    auto_json *request = cJSON_CreateObject();
    json_set_bool(request, "allow_public", false);
    json_set_str(request, "type", "report");
    return collect(call, &tasks_all, request, "DISTINCT t.tags", "tags");
}
