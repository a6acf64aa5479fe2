/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "server/call.h"
#include "server/names.h"
#include "server/project-contents.h"
#include "server/project-queries.h"
#include "server/project-store.h"
#include "server/services.h"
#include "server/store.h"

#include <string.h>

#define NAME_MIN 3

static const char *const columns[] = {"id=id", "name=name", NULL};
static const char *const ranges[] = {"last_update", NULL};
static const char *const datetimes[] = {"created", "last_update", NULL};
static const char *const lists[] = {"id",     "tags", "system_tags",
                                    "parent", "path", NULL};
static const char *const patterns[] = {"name", "basename", "description", NULL};
static const char *const texts[] = {"name", "id", "description", NULL};
static const struct query_collection projects = {.table = "projects",
                                                 .columns = columns,
                                                 .ranges = ranges,
                                                 .datetimes = datetimes,
                                                 .hidden_tag = "hidden",
                                                 .lists = lists,
                                                 .patterns = patterns,
                                                 .texts = texts};

static const char *project_of(const struct call *call)
{
    return json_str(call->request, "project", "");
}

static int no_project(struct call *call, const char *project)
{
    call_fail(call, 400, 401, "Invalid project id");
    return call_fail_arg(call, "id", project);
}

/* ---- reading ---- */

static int get_by_id(struct call *call)
{
    cJSON *doc = project_load(call->db, project_of(call));
    if (!doc)
        return no_project(call, project_of(call));
    json_set(call->data, "project", doc);
    return 0;
}

/* Unless the search is shallow, what lies below parent counts at any depth. */
static void adjust_search(cJSON *request)
{
    json_remove(request, "path");
    cJSON *parent = cJSON_DetachItemFromObjectCaseSensitive(request, "parent");
    if (!json_bool(request, "shallow_search", false)) {
        if (parent)
            json_set(request, "path", parent);
        return;
    }
    if (!parent) {
        parent = cJSON_CreateArray();
        cJSON_AddItemToArray(parent, cJSON_CreateNull());
    }
    json_set(request, "parent", parent);
}

static cJSON *find_projects(struct call *call)
{
    cJSON *doc;
    adjust_search(call->request);
    cJSON *docs = query_run(call, &projects);
    cJSON_ArrayForEach(doc, docs) json_remove(doc, "path");
    return docs;
}

static int get_all(struct call *call)
{
    cJSON *docs = find_projects(call);
    if (!docs)
        return -1;
    json_set(call->data, "projects", docs);
    return 0;
}

static bool has_tag(const cJSON *doc, const char *tag)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, json_get(doc, "system_tags"))
    {
        if (cJSON_IsString(one) && strcmp(one->valuestring, tag) == 0)
            return true;
    }
    return false;
}

static int get_all_ex(struct call *call)
{
    cJSON *docs = find_projects(call), *doc;
    if (!docs)
        return -1;
    json_set(call->data, "projects", docs);
    cJSON_ArrayForEach(doc, docs)
    {
        if (json_bool(call->request, "search_hidden", false) && has_tag(doc, "hidden"))
            json_set_bool(doc, "hidden", true);
        if (json_bool(call->request, "check_own_contents", false))
            project_add_own_contents(call, doc);
        if (json_bool(call->request, "include_stats", false))
            project_add_stats(call, doc);
    }
    return 0;
}

/* ---- making and changing ---- */

/* The clean name; NULL after call_fail. */
static char *check_name(struct call *call, const char *given)
{
    char *name = project_clean_name_dup(given);
    if (!*name) {
        call_fail(call, 400, 407, "Invalid project name");
        call_fail_arg(call, "name", given);
    } else if (strlen(name) < NAME_MIN) {
        call_fail(call, 400, 800,
                  "Data validation error (name: String value is too short)");
    } else if (project_depth(name) > PROJECT_DEPTH_MAX) {
        call_fail(call, 400, 409, "Project path exceed the maximum allowed depth");
        call_fail_arg(call, "max_depth", "10");
    } else {
        return name;
    }
    free(name);
    return NULL;
}

static int name_taken(struct call *call, const char *name)
{
    call_fail(call, 400, 801, "Project with the same name already exists");
    call_fail_arg(call, "name", name);
    return call_fail_arg(call, "company", call->caller.company);
}

/* What projects.create and projects.update may set, but the name. */
static cJSON *settable_fields(const cJSON *request)
{
    static const char *const names[] = {"description", "tags", "system_tags",
                                        "default_output_destination"};
    cJSON *fields = cJSON_CreateObject();
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const cJSON *value = json_get(request, names[i]);
        if (!value)
            continue;
        cJSON *copy = json_set(fields, names[i], cJSON_Duplicate(value, true));
        if (cJSON_IsArray(copy))
            names_sort(copy);
    }
    return fields;
}

static int create(struct call *call)
{
    char id[65];
    auto_free char *name = check_name(call, json_str(call->request, "name", ""));
    if (!name)
        return -1;
    if (project_find(call->db, name, id))
        return name_taken(call, name);
    auto_json *fields = settable_fields(call->request);
    project_make(call, name, fields, id);
    json_set_str(call->data, "id", id);
    return 0;
}

static int change_name(struct call *call, const cJSON *doc, const char *given,
                       cJSON *fields)
{
    char other[65];
    const char *old = json_str(doc, "name", "");
    auto_free char *name = check_name(call, given);
    if (!name)
        return -1;
    auto_free char *from = project_location_dup(old);
    auto_free char *to = project_location_dup(name);
    if (strcmp(from, to) != 0) {
        call_fail(call, 400, 408,
                  "Cannot update project location. use projects.move instead");
        return call_fail_arg(call, "name", name);
    }
    if (project_find(call->db, name, other) && strcmp(other, project_of(call)) != 0)
        return name_taken(call, name);
    json_set_str(fields, "name", name);
    json_set_str(fields, "basename", project_basename(name));
    if (strcmp(old, name) != 0)
        project_rename(call, project_of(call), name);
    return 0;
}

static int update(struct call *call)
{
    char iso[CLOCK_ISO_SIZE];
    const cJSON *field;
    const char *name = json_str(call->request, "name", NULL);
    auto_json *doc = project_load_full(call->db, project_of(call));
    if (!doc)
        return no_project(call, project_of(call));
    cJSON *fields = json_set(call->data, "fields", settable_fields(call->request));
    if (name && *name && change_name(call, doc, name, fields) < 0)
        return -1;
    auto_json *now = project_load_full(call->db, project_of(call));
    cJSON_ArrayForEach(field, fields)
    {
        if (cJSON_IsNull(field))
            json_remove(now, field->string);
        else
            json_set(now, field->string, cJSON_Duplicate(field, true));
    }
    json_set_str(now, "last_update", clock_iso_clearml(call->now_ms, iso));
    project_save(call->db, now);
    json_set_int(call->data, "updated", 1);
    return 0;
}

/* ---- moving ---- */

static bool lies_in(const char *name, const char *above)
{
    size_t n = strlen(above);
    return strncmp(name, above, n) == 0 && (name[n] == '/' || name[n] == '\0');
}

static int move(struct call *call)
{
    char other[65];
    auto_json *doc = project_load_full(call->db, project_of(call));
    if (!doc)
        return no_project(call, project_of(call));
    const char *old = json_str(doc, "name", "");
    auto_free char *location =
        project_clean_name_dup(json_str(call->request, "new_location", ""));
    auto_free char *from = project_location_dup(old);
    auto_free char *name =
        xasprintf("%s%s%s", location, *location ? "/" : "", project_basename(old));
    if (strcmp(from, location) == 0) {
        call_fail(call, 400, 410, "Project has the same source and destination paths");
        return call_fail_arg(call, "location", location);
    }
    if (lies_in(location, old))
        return call_fail(
            call, 400, 411,
            "Project can not be moved under itself in the projects hierarchy");
    if (project_depth(name) > PROJECT_DEPTH_MAX)
        return call_fail(call, 400, 409,
                         "Project path exceed the maximum allowed depth");
    if (project_find(call->db, name, other))
        return name_taken(call, name);
    json_set_int(call->data, "moved", project_rename(call, project_of(call), name));
    return 0;
}

static int delete_project(struct call *call)
{
    auto_json *doc = project_load_full(call->db, project_of(call));
    if (!doc)
        return no_project(call, project_of(call));
    return project_delete_contents(call, doc);
}

static int validate_delete(struct call *call)
{
    auto_json *doc = project_load_full(call->db, project_of(call));
    if (!doc)
        return no_project(call, project_of(call));
    project_count_contents(call, doc);
    return 0;
}

/* ---- the table ---- */

static const struct field project_fields[] = {{"project", FIELD_STRING, true}, {0}};
static const struct field all_fields[] = {
    {"shallow_search", FIELD_BOOL, false}, {"search_hidden", FIELD_BOOL, false}, {0}};
static const struct field all_ex_fields[] = {
    {"include_stats", FIELD_BOOL, false},
    {"include_stats_filter", FIELD_OBJECT, false},
    {"stats_with_children", FIELD_BOOL, false},
    {"stats_for_state", FIELD_STRING, false},
    {"check_own_contents", FIELD_BOOL, false},
    {"shallow_search", FIELD_BOOL, false},
    {"search_hidden", FIELD_BOOL, false},
    {0}};
static const struct field create_fields[] = {
    {"name", FIELD_STRING, true},
    {"description", FIELD_STRING, false},
    {"tags", FIELD_STRINGS, false},
    {"system_tags", FIELD_STRINGS, false},
    {"default_output_destination", FIELD_STRING, false},
    {0}};
static const struct field update_fields[] = {
    {"project", FIELD_STRING, true},
    {"name", FIELD_STRING, false},
    {"description", FIELD_STRING, false},
    {"tags", FIELD_STRINGS, false},
    {"system_tags", FIELD_STRINGS, false},
    {"default_output_destination", FIELD_STRING, false},
    {0}};
static const struct field move_fields[] = {
    {"project", FIELD_STRING, true}, {"new_location", FIELD_STRING, false}, {0}};
static const struct field delete_fields[] = {{"project", FIELD_STRING, true},
                                             {"force", FIELD_BOOL, false},
                                             {"delete_contents", FIELD_BOOL, false},
                                             {0}};
static const struct field tags_fields[] = {
    {"projects", FIELD_STRINGS, false}, {"include_system", FIELD_BOOL, false}, {0}};

static const struct field scope_fields[] = {{"project", FIELD_STRING, false},
                                            {"include_subprojects", FIELD_BOOL, false},
                                            {"model_metrics", FIELD_BOOL, false},
                                            {"ids", FIELD_STRINGS, false},
                                            {"page", FIELD_INTEGER, false},
                                            {"page_size", FIELD_INTEGER, false},
                                            {0}};
static const struct field values_fields[] = {{"projects", FIELD_STRINGS, false},
                                             {"section", FIELD_STRING, true},
                                             {"name", FIELD_STRING, true},
                                             {"include_subprojects", FIELD_BOOL, false},
                                             {"page", FIELD_INTEGER, false},
                                             {"page_size", FIELD_INTEGER, false},
                                             {0}};
static const struct field multi_fields[] = {{"projects", FIELD_STRINGS, false},
                                            {"include_subprojects", FIELD_BOOL, false},
                                            {"tasks_state", FIELD_STRING, false},
                                            {"entity", FIELD_STRING, false},
                                            {0}};

const struct endpoint projects_endpoints[] = {
    {"projects.get_by_id", "1.0", ENDPOINT_READ, get_by_id, project_fields},
    {"projects.get_all", "1.0", ENDPOINT_READ, get_all, all_fields},
    {"projects.get_all_ex", "1.0", ENDPOINT_READ, get_all_ex, all_ex_fields},
    {"projects.create", "1.0", ENDPOINT_WRITE, create, create_fields},
    {"projects.update", "1.0", ENDPOINT_WRITE, update, update_fields},
    {"projects.move", "1.0", ENDPOINT_WRITE, move, move_fields},
    {"projects.delete", "1.0", ENDPOINT_WRITE, delete_project, delete_fields},
    {"projects.validate_delete", "1.0", ENDPOINT_READ, validate_delete, project_fields},
    {"projects.get_project_tags", "1.0", ENDPOINT_READ, project_get_project_tags,
     tags_fields},
    {"projects.get_task_tags", "2.8", ENDPOINT_READ, project_get_task_tags,
     tags_fields},
    {"projects.get_unique_metric_variants", "1.0", ENDPOINT_READ,
     project_get_unique_metric_variants, scope_fields},
    {"projects.get_hyper_parameters", "2.9", ENDPOINT_READ,
     project_get_hyper_parameters, scope_fields},
    {"projects.get_hyperparam_values", "2.13", ENDPOINT_READ,
     project_get_hyperparam_values, values_fields},
    {"projects.get_task_parents", "2.12", ENDPOINT_READ, project_get_task_parents,
     multi_fields},
    {"projects.get_user_names", "1.0", ENDPOINT_READ, project_get_user_names,
     multi_fields},
    {"projects.get_model_tags", "2.8", ENDPOINT_READ, project_get_model_tags,
     tags_fields},
    {0}};
