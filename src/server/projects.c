/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "server/call.h"
#include "server/entity-tags.h"
#include "server/names.h"
#include "server/project-children.h"
#include "server/project-contents.h"
#include "server/project-queries.h"
#include "server/project-stats.h"
#include "server/project-store.h"
#include "server/services.h"
#include "server/store.h"
#include "server/tasks-internal.h"

#include <string.h>

static const char *const columns[] = {"id=id", "name=name", NULL};
static const char *const ranges[] = {"last_update", NULL};
static const char *const datetimes[] = {"created", "last_update", NULL};
static const char *const lists[] = {"id",     "tags", "system_tags",
                                    "parent", "path", NULL};
static const char *const lists_all[] = {"id",   "tags", "system_tags", "parent",
                                        "path", "user", NULL};
static const char *const patterns[] = {"name", "basename", "description", NULL};
static const char *const texts[] = {"name", "id", "description", NULL};
static const char *const members[] = {
    "id",          "user",     "company",  "name",        "basename",
    "description", "created",  "tags",     "system_tags", "default_output_destination",
    "last_update", "featured", "logo_url", "logo_blob",   "company_origin",
    "parent",      "path",     NULL};
#define PROJECTS                                                                       \
    .table = "projects", .columns = columns, .ranges = ranges, .datetimes = datetimes, \
    .patterns = patterns, .texts = texts, .members = members
const struct query_collection projects_collection = {PROJECTS, .lists = lists,
                                                     .hidden_tag = "hidden"};
static const struct query_ref refs[] = {
    {"parent", project_load}, {"user", user_load}, {"company", company_load}, {0}};
static const struct query_collection projects_joined = {
    PROJECTS, .lists = lists, .hidden_tag = "hidden", .refs = refs};
const struct query_collection projects_all = {PROJECTS, .lists = lists_all};

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
    cJSON *doc = project_load_full(call->db, project_of(call));
    if (!doc)
        return no_project(call, project_of(call));
    tags_give(call, doc);
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

static cJSON *find_projects(struct call *call,
                            const struct query_collection *collection)
{
    cJSON *doc;
    adjust_search(call->request);
    tags_take(call, "project", call->request);
    cJSON *docs = query_run(call, collection);
    bool path = json_list_has(json_get(call->request, "only_fields"), "path");
    cJSON_ArrayForEach(doc, docs)
    {
        if (!path)
            json_remove(doc, "path");
        json_remove(doc, "company_origin");
        tags_give(call, doc);
    }
    return docs;
}

static int get_all(struct call *call)
{
    cJSON *docs = find_projects(call, &projects_collection);
    if (!docs)
        return -1;
    json_set(call->data, "projects", docs);
    return 0;
}

static bool has_tag(const cJSON *doc, const char *tag)
{
    return json_list_has(json_get(doc, "system_tags"), tag);
}

static const cJSON *filled(const cJSON *request, const char *name)
{
    const cJSON *value = json_get(request, name);
    return value && value->child ? value : NULL;
}

/* The ids that the request names, as a list; NULL if it names none. The caller's. */
static cJSON *requested_ids(const cJSON *request)
{
    const cJSON *id = json_get(request, "id");
    if (cJSON_IsArray(id) && id->child)
        return cJSON_Duplicate(id, true);
    if (!cJSON_IsString(id))
        return NULL;
    cJSON *list = cJSON_CreateArray();
    cJSON_AddItemToArray(list, cJSON_CreateString(id->valuestring));
    return list;
}

static bool is_hidden(struct call *call, const char *project)
{
    auto_json *doc = project_load_full(call->db, project);
    return has_tag(doc, "hidden");
}

/* Narrows the request to projects that have such children below them, which are
 * selected. 0, 1 if there are none, or -1. */
static int select_children(struct call *call, cJSON **selected)
{
    const cJSON *request = call->request, *one;
    auto_json *ids = requested_ids(request);
    struct project_selection s = {
        .users = filled(request, "active_users"),
        .type = json_str(request, "children_type", NULL),
        .tags = filled(request, "children_tags"),
        .tags_filter = filled(request, "children_tags_filter"),
        .ids = ids,
        .private = cJSON_IsFalse(json_get(request, "allow_public"))};
    if (!s.users && !s.type)
        return 0;
    if (project_select(call, &s, selected))
        return -1;
    /* What is named is never hidden, and from here on all are named. */
    bool hidden = ids || json_bool(request, "search_hidden", false);
    cJSON *found = cJSON_CreateArray();
    cJSON_ArrayForEach(one, *selected)
    {
        if ((!ids || json_list_has(ids, one->valuestring)) &&
            (hidden || !is_hidden(call, one->valuestring)))
            cJSON_AddItemToArray(found, cJSON_Duplicate(one, true));
    }
    json_set(call->request, "id", found);
    return found->child ? 0 : 1;
}

/* "hidden" is said of each that is, for which its tags are needed. */
static cJSON *find_with_hidden(struct call *call)
{
    if (!json_bool(call->request, "search_hidden", false))
        return find_projects(call, &projects_joined);
    cJSON *only = json_get(call->request, "only_fields"), *doc;
    bool added =
        cJSON_IsArray(only) && only->child && !json_list_has(only, "system_tags");
    if (added)
        cJSON_AddItemToArray(only, cJSON_CreateString("system_tags"));
    cJSON *docs = find_projects(call, &projects_joined);
    cJSON_ArrayForEach(doc, docs)
    {
        if (has_tag(doc, "hidden"))
            json_set_bool(doc, "hidden", true);
        if (added)
            json_remove(doc, "system_tags");
    }
    return docs;
}

static int add_contents(struct call *call, const cJSON *selected, cJSON *docs)
{
    struct project_stats stats;
    const cJSON *request = call->request;
    int rc = 0;
    if (!json_bool(request, "check_own_contents", false) &&
        !json_bool(request, "include_stats", false) &&
        !json_bool(request, "include_dataset_stats", false))
        return 0;
    if (project_stats_of(call, selected, &stats))
        return -1;
    if (json_bool(request, "check_own_contents", false))
        rc = project_add_own_contents(call, &stats, docs);
    if (rc == 0 && json_bool(request, "include_stats", false))
        rc = project_add_stats(call, &stats, docs);
    if (rc == 0 && json_bool(request, "include_dataset_stats", false))
        rc = project_add_dataset_stats(call, &stats, docs);
    project_stats_free(&stats);
    return rc;
}

static int get_all_ex(struct call *call)
{
    auto_json *selected = NULL;
    int none = select_children(call, &selected);
    if (none < 0)
        return -1;
    cJSON *docs = none ? cJSON_CreateArray() : find_with_hidden(call);
    if (!docs)
        return -1;
    json_set(call->data, "projects", docs);
    return docs->child ? add_contents(call, selected, docs) : 0;
}

/* ---- making and changing ---- */

/* The clean name; NULL after call_fail. */
static char *check_name(struct call *call, const char *given)
{
    char *name = project_clean_name_dup(given);
    if (!*name)
        api_fail(call, API_INVALID_PROJECT_NAME, NULL, "name", given, NULL);
    else if (project_check_name(call, name) == 0)
        return name;
    free(name);
    return NULL;
}

static int name_taken(struct call *call, const char *name)
{
    call_fail(call, 400, API_NOT_UNIQUE, "Project with the same name already exists");
    call_fail_arg(call, "name", name);
    return call_fail_arg(call, "company", call->caller.company);
}

/* The request's project, which is not public; NULL after call_fail. */
static cJSON *writable_project(struct call *call)
{
    cJSON *doc = project_load_full(call->db, project_of(call));
    if (!doc) {
        no_project(call, project_of(call));
        return NULL;
    }
    if (*json_str(doc, "company", ""))
        return doc;
    api_fail_public(call, "project", project_of(call));
    cJSON_Delete(doc);
    return NULL;
}

/* What projects.create and projects.update may set, but the name. */
static int check_settable(struct call *call, const char *name, const cJSON *value)
{
    const cJSON *tag;
    if (cJSON_IsNull(value))
        return 0;
    if (strstr(name, "tags") == NULL)
        return cJSON_IsString(value) ? 0
                                     : api_fail(call, API_DATA_VALIDATION, NULL, name,
                                                "only strings may be used", NULL);
    if (cJSON_IsNumber(value) || cJSON_IsBool(value))
        return api_fail(call, API_FIELDS_VALUE, NULL, "field", name, NULL);
    bool sound = cJSON_IsArray(value);
    cJSON_ArrayForEach(tag, value) sound &= cJSON_IsString(tag);
    if (!sound)
        return api_fail(call, API_DATA_VALIDATION, NULL, name,
                        "only lists of strings may be used", NULL);
    return tags_check(call, value);
}

static cJSON *settable_fields(struct call *call)
{
    static const char *const names[] = {"description", "tags", "system_tags",
                                        "default_output_destination"};
    tags_take(call, "project", call->request);
    cJSON *fields = cJSON_CreateObject();
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const cJSON *value = json_get(call->request, names[i]);
        if (!value)
            continue;
        if (check_settable(call, names[i], value)) {
            cJSON_Delete(fields);
            return NULL;
        }
        cJSON *copy = json_set(fields, names[i], cJSON_Duplicate(value, true));
        if (cJSON_IsArray(copy))
            names_sort(copy);
    }
    return fields;
}

static int create(struct call *call)
{
    char id[65];
    const cJSON *given = json_get(call->request, "name");
    if (!given)
        return api_fail(call, API_MISSING_FIELDS, NULL, "missing", "['name']", NULL);
    if (!cJSON_IsString(given))
        return api_fail(call, API_VALIDATION, NULL, "field", "name", NULL);
    auto_free char *name = check_name(call, given->valuestring);
    if (!name)
        return -1;
    if (project_public_above(call, name))
        return -1;
    if (project_find(call->db, name, id))
        return name_taken(call, name);
    auto_json *fields = settable_fields(call);
    if (!fields)
        return -1;
    project_make(call, name, fields, id);
    json_set_str(call->data, "id", id);
    return 0;
}

static int change_name(struct call *call, const cJSON *doc, const char *given,
                       cJSON *fields)
{
    char other[65];
    const char *old = json_str(doc, "name", "");
    auto_free char *name = project_clean_name_dup(given);
    if (!*name)
        return api_fail(call, API_INVALID_PROJECT_NAME, NULL, "name", given, NULL);
    auto_free char *from = project_location_dup(old);
    auto_free char *to = project_location_dup(name);
    if (strcmp(from, to) != 0)
        return api_fail(call, API_PROJECT_LOCATION, NULL, "name", name, NULL);
    if (project_check_name(call, name))
        return -1;
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
    const cJSON *given = json_get(call->request, "name");
    const char *name = cJSON_GetStringValue(given);
    /* An empty list or object is as good as no name. */
    if (given && !name &&
        (given->child || cJSON_IsNumber(given) || cJSON_IsBool(given)))
        return api_fail(call, API_VALIDATION, NULL, "field", "name", NULL);
    auto_json *doc = writable_project(call);
    cJSON *fields = doc ? settable_fields(call) : NULL;
    if (!fields)
        return -1;
    json_set(call->data, "fields", fields);
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
    json_remove(fields, "basename");
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

/* Whether everything fits below another place. */
static int check_depth(struct call *call, const char *name, const char *new_name)
{
    int more = project_depth(new_name) - project_depth(name);
    if (project_deepest(call->db, name) + more <= PROJECT_DEPTH_MAX)
        return 0;
    return api_fail(call, API_PROJECT_DEPTH, NULL, "max_depth", "10", NULL);
}

static int move(struct call *call)
{
    char other[65];
    if (!cJSON_IsString(json_get(call->request, "new_location")))
        return api_fail(call, API_VALIDATION, NULL, "field", "new_location", NULL);
    auto_json *doc = writable_project(call);
    if (!doc)
        return -1;
    const char *old = json_str(doc, "name", "");
    auto_free char *location =
        project_clean_name_dup(json_str(call->request, "new_location", ""));
    auto_free char *from = project_location_dup(old);
    auto_free char *name =
        xasprintf("%s%s%s", location, *location ? "/" : "", project_basename(old));
    if (check_depth(call, old, name) || project_check_name(call, name) ||
        project_public_above(call, name))
        return -1;
    if (strcmp(from, location) == 0)
        return api_fail(call, API_PROJECT_SAME_PLACE, NULL, "location", location, NULL);
    if (lies_in(location, old))
        return api_fail(call, API_PROJECT_UNDER_ITSELF, NULL, "project",
                        project_of(call), "parent", location, NULL);
    if (project_find(call->db, name, other))
        return name_taken(call, name);
    project_touch(call, json_str(doc, "parent", ""));
    json_set_int(call->data, "moved", project_rename(call, project_of(call), name));
    return 0;
}

/* ---- merging ---- */

/* Every sub-project of the source goes below the destination. How many that were, or
 * -1. */
static int merge_children(struct call *call, const cJSON *source, const char *location)
{
    char other[65];
    int moved = 0;
    const cJSON *child;
    auto_json *children = project_children(call->db, json_str(source, "id", ""));
    cJSON_ArrayForEach(child, children)
    {
        auto_json *doc = project_load_full(call->db, child->valuestring);
        auto_free char *name = xasprintf("%s%s%s", location, *location ? "/" : "",
                                         project_basename(json_str(doc, "name", "")));
        if (project_find(call->db, name, other))
            return name_taken(call, name);
        project_rename(call, child->valuestring, name);
        moved++;
    }
    return moved;
}

static int merge(struct call *call)
{
    const char *to = json_str(call->request, "destination_project", "");
    auto_json *source = project_load_full(call->db, project_of(call));
    auto_json *target = *to ? project_load_full(call->db, to) : NULL;
    if (strcmp(project_of(call), to) == 0)
        return api_fail(call, API_PROJECT_SAME_PLACE, NULL, "source", to, NULL);
    if (!source || (*to && !target))
        return no_project(call, source ? to : project_of(call));
    const char *name = json_str(source, "name", "");
    const char *location = json_str(target, "name", "");
    if (lies_in(location, name))
        return api_fail(call, API_PROJECT_INTO_CHILD, NULL, "source", project_of(call),
                        "destination", to, NULL);
    if (check_depth(call, name, *location ? location : "-"))
        return -1;
    int entities = project_move_contents(call->db, project_of(call), to);
    int projects = merge_children(call, source, location);
    if (projects < 0)
        return -1;
    project_remove(call->db, project_of(call));
    project_touch(call, to);
    json_set_int(call->data, "moved_entities", entities);
    json_set_int(call->data, "moved_projects", projects);
    return 0;
}

static int delete_project(struct call *call)
{
    auto_json *doc = writable_project(call);
    if (!doc ||
        (!json_bool(call->request, "force", false) && project_check_delete(call, doc)))
        return -1;
    return project_delete_contents(call, doc);
}

static int validate_delete(struct call *call)
{
    auto_json *doc = writable_project(call);
    if (!doc)
        return -1;
    project_count_contents(call, doc);
    return 0;
}

/* ---- public ---- */

/* Only what was this company's is made private again. */
static int set_public(struct call *call, bool on)
{
    const cJSON *ids = request_strings(call, "ids"), *id;
    int updated = 0;
    if (!ids)
        return -1;
    cJSON_ArrayForEach(id, ids)
    {
        auto_json *doc = project_load_full(call->db, id->valuestring);
        bool is = doc && !*json_str(doc, "company", "");
        if (!doc || is == on || (is && !json_get(doc, "company_origin")))
            return api_fail(call, API_INVALID_PROJECT_ID, NULL, "ids", id->valuestring,
                            NULL);
        json_set_str(doc, "company", on ? "" : call->caller.company);
        if (on)
            json_set_str(doc, "company_origin", call->caller.company);
        else
            json_remove(doc, "company_origin");
        project_save(call->db, doc);
        updated++;
    }
    json_set_int(call->data, "updated", updated);
    return 0;
}

static int make_public(struct call *call)
{
    return set_public(call, true);
}

static int make_private(struct call *call)
{
    return set_public(call, false);
}

/* ---- the table ---- */

static const struct field project_fields[] = {{"project", FIELD_STRING, true}, {0}};
static const struct field all_fields[] = {
    {"shallow_search", FIELD_BOOL, false}, {"search_hidden", FIELD_BOOL, false}, {0}};
static const struct field all_ex_fields[] = {
    {"include_dataset_stats", FIELD_BOOL, false},
    {"include_stats", FIELD_BOOL, false},
    {"active_users", FIELD_STRINGS, false},
    {"children_type", FIELD_STRING, false, "?dataset|pipeline|report"},
    {"children_tags", FIELD_STRINGS, false},
    {"children_tags_filter", FIELD_OBJECT, false},
    {"allow_public", FIELD_BOOL, false},
    {"non_public", FIELD_BOOL, false},
    {"include_stats_filter", FIELD_OBJECT, false},
    {"stats_with_children", FIELD_BOOL, false},
    {"stats_for_state", FIELD_STRING, false, "?active|archived"},
    {"check_own_contents", FIELD_BOOL, false},
    {"shallow_search", FIELD_BOOL, false},
    {"search_hidden", FIELD_BOOL, false},
    {0}};
/* The rest are looked at by settable_fields. */
static const struct field create_fields[] = {{0}};
static const struct field move_fields[] = {
    {"project", FIELD_STRING, true}, {"new_location", FIELD_STRING, false}, {0}};
static const struct field merge_fields[] = {
    {"project", FIELD_STRING, true}, {"destination_project", FIELD_STRING, false}, {0}};
static const struct field ids_fields[] = {{"ids", FIELD_STRINGS, true}, {0}};
static const struct field delete_fields[] = {
    {"project", FIELD_STRING, true},
    {"force", FIELD_BOOL, false},
    {"delete_contents", FIELD_BOOL, false},
    {"delete_external_artifacts", FIELD_BOOL, false},
    {0}};
static const struct field tags_fields[] = {
    {"projects", FIELD_STRINGS, false},
    {"include_system", FIELD_BOOL, false},
    {"filter", FIELD_OBJECT, false, NULL, 0, entity_tags_filter},
    {0}};

static const struct field scope_fields[] = {{"project", FIELD_STRING, false},
                                            {"include_subprojects", FIELD_BOOL, false},
                                            {"model_metrics", FIELD_BOOL, false},
                                            {"ids", FIELD_STRINGS, false},
                                            {"page", FIELD_INTEGER, false},
                                            {"page_size", FIELD_INTEGER, false},
                                            {0}};
static const struct field values_fields[] = {{"projects", FIELD_STRINGS_NULL, false},
                                             {"section", FIELD_STRING, true, NULL, 1},
                                             {"name", FIELD_STRING, true, NULL, 1},
                                             {"include_subprojects", FIELD_BOOL, false},
                                             {"allow_public", FIELD_BOOL, false},
                                             {"pattern", FIELD_STRING, false},
                                             {"page", FIELD_INTEGER, false},
                                             {"page_size", FIELD_INTEGER, false},
                                             {0}};
static const struct field metadata_fields[] = {
    {"projects", FIELD_STRINGS_NULL, false},
    {"key", FIELD_STRING, true, NULL, 1},
    {"include_subprojects", FIELD_BOOL, false},
    {"allow_public", FIELD_BOOL, false},
    {"page", FIELD_INTEGER, false},
    {"page_size", FIELD_INTEGER, false},
    {0}};
static const struct field multi_fields[] = {
    {"projects", FIELD_STRINGS_NULL, false},
    {"include_subprojects", FIELD_BOOL, false},
    {"tasks_state", FIELD_STRING, false, "?active|archived"},
    {"task_name", FIELD_STRING, false},
    {"entity", FIELD_STRING, false, "?task|model"},
    {0}};

const struct endpoint projects_endpoints[] = {
    {"projects.get_by_id", "1.0", ENDPOINT_READ, get_by_id, project_fields},
    {"projects.get_all", "1.0", ENDPOINT_READ, get_all, all_fields},
    {"projects.get_all_ex", "1.0", ENDPOINT_READ, get_all_ex, all_ex_fields},
    {"projects.create", "1.0", ENDPOINT_WRITE, create, create_fields},
    {"projects.update", "1.0", ENDPOINT_WRITE, update, project_fields},
    {"projects.move", "1.0", ENDPOINT_WRITE, move, move_fields},
    {"projects.merge", "1.0", ENDPOINT_WRITE, merge, merge_fields},
    {"projects.make_public", "2.9", ENDPOINT_WRITE, make_public, ids_fields},
    {"projects.make_private", "2.9", ENDPOINT_WRITE, make_private, ids_fields},
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
    {"projects.get_model_metadata_keys", "1.0", ENDPOINT_READ,
     project_get_model_metadata_keys, scope_fields},
    {"projects.get_model_metadata_values", "1.0", ENDPOINT_READ,
     project_get_model_metadata_values, metadata_fields},
    {"projects.get_task_parents", "2.12", ENDPOINT_READ, project_get_task_parents,
     multi_fields},
    {"projects.get_user_names", "1.0", ENDPOINT_READ, project_get_user_names,
     multi_fields},
    {"projects.get_model_tags", "2.8", ENDPOINT_READ, project_get_model_tags,
     tags_fields},
    {0}};
