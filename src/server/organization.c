/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/organization.h"
#include "base/alloc.h"
#include "base/json.h"
#include "server/auth.h"
#include "server/entity-tags.h"
#include "server/models-internal.h"
#include "server/project-children.h"
#include "server/project-store.h"
#include "server/store.h"

#include <string.h>

/* ---- companies ---- */

static cJSON *owners(struct call *call)
{
    static const char *const names[] = {"id", "name", "avatar"};
    cJSON *list = cJSON_CreateArray();
    sqlite3_stmt *find = store_query(
        call->db, "SELECT id, name, doc ->> '$.avatar' FROM users ORDER BY name", "");
    while (store_row(find)) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddItemToArray(list, one);
        for (int i = 0; i < (int)ARRAY_SIZE(names); i++)
            json_set_str(one, names[i], (const char *)sqlite3_column_text(find, i));
    }
    sqlite3_reset(find);
    return list;
}

static int get_user_companies(struct call *call)
{
    cJSON *companies = json_set(call->data, "companies", cJSON_CreateArray());
    cJSON *company = cJSON_CreateObject();
    cJSON_AddItemToArray(companies, company);
    json_set_str(company, "id", call->caller.company);
    json_set_str(company, "name", AUTH_COMPANY_NAME);
    cJSON *users = json_set(company, "owners", owners(call));
    json_set_int(company, "allocated", cJSON_GetArraySize(users));
    return 0;
}

/* ---- counts ---- */

static const struct counted {
    const char *name;
    const struct query_collection *collection;
    bool projects; /* a kind of project: active_users means whoever was there */
    bool hides;    /* hidden ones count only if that is asked for */
} counted[] = {{"projects", &projects_all, true, true},
               {"tasks", &tasks_all, false, true},
               {"models", &models_collection, false, false},
               {"pipelines", &projects_all, true, false},
               {"datasets", &projects_all, true, false},
               {"reports", &tasks_all, false, false}};

static bool in_list(const cJSON *list, const cJSON *value)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, list)
    {
        if (cJSON_Compare(one, value, true))
            return true;
    }
    return false;
}

/* Narrows a query of projects to those where these users were active. 1: there are
 * none. */
static int narrow_projects(struct call *call, const cJSON *users, cJSON *query)
{
    const cJSON *id = json_get(query, "id");
    auto_json *ids = cJSON_IsArray(id) && id->child ? cJSON_Duplicate(id, true) : NULL;
    if (cJSON_IsString(id)) {
        ids = cJSON_CreateArray();
        cJSON_AddItemToArray(ids, cJSON_Duplicate(id, true));
    }
    struct project_selection s = {.users = users,
                                  .ids = ids,
                                  .private =
                                      cJSON_IsFalse(json_get(query, "allow_public"))};
    cJSON *selected;
    if (project_select(call, &s, &selected))
        return -1;
    cJSON *next;
    for (cJSON *one = ids ? selected->child : NULL; one; one = next) {
        next = one->next;
        if (!in_list(ids, one))
            cJSON_Delete(cJSON_DetachItemViaPointer(selected, one));
    }
    json_set(query, "id", selected);
    return selected->child ? 0 : 1;
}

/* The conditions for one kind, beside those that its own query has. */
static int prepare_count(struct call *call, const struct counted *c, cJSON *query)
{
    const cJSON *users = json_get(call->request, "active_users");
    json_set_bool(query, "allow_public",
                  json_bool(call->request, "allow_public", true));
    if (!strcmp(c->name, "reports"))
        json_set_str(query, "type", "report");
    if (!users || !users->child)
        return 0;
    if (c->projects)
        return narrow_projects(call, users, query);
    if (!json_get(query, "user"))
        json_set(query, "user", cJSON_Duplicate(users, true));
    return 0;
}

static int count_one(struct call *call, const struct counted *c, const cJSON *given)
{
    auto_json *query = cJSON_Duplicate(given, true);
    struct query_collection collection = *c->collection;
    int none = prepare_count(call, c, query);
    if (none < 0)
        return -1;
    if (c->hides && !json_bool(call->request, "search_hidden", false)) {
        collection.hidden_tag = "hidden";
        collection.hides_named = true;
    }
    int64_t count = none ? 0 : query_count(call, &collection, query);
    if (count < 0)
        return -1;
    json_set_int(call->data, c->name, count);
    return 0;
}

static int get_entities_count(struct call *call)
{
    for (size_t i = 0; i < ARRAY_SIZE(counted); i++) {
        const cJSON *given = json_get(call->request, counted[i].name);
        if (cJSON_IsObject(given) && count_one(call, &counted[i], given))
            return -1;
    }
    return 0;
}

/* ---- the table ---- */

static const struct field tags_fields[] = {
    {"include_system", FIELD_BOOL, false},
    {"filter", FIELD_OBJECT, false, NULL, 0, entity_tags_filter},
    {0}};
static const struct field count_fields[] = {
    {"projects", FIELD_OBJECT, false},      {"tasks", FIELD_OBJECT, false},
    {"models", FIELD_OBJECT, false},        {"pipelines", FIELD_OBJECT, false},
    {"datasets", FIELD_OBJECT, false},      {"reports", FIELD_OBJECT, false},
    {"active_users", FIELD_STRINGS, false}, {"search_hidden", FIELD_BOOL, false},
    {"allow_public", FIELD_BOOL, false},    {0}};
static const struct field prepare_fields[] = {
    {"entity_type", FIELD_STRING, false},  {"allow_public", FIELD_BOOL, false},
    {"search_hidden", FIELD_BOOL, false},  {"only_fields", FIELD_STRINGS, true},
    {"field_mappings", FIELD_ARRAY, true}, {0}};
static const struct field download_fields[] = {{"prepare_id", FIELD_STRING, true}, {0}};

const struct endpoint organization_endpoints[] = {
    {"organization.get_tags", "1.0", ENDPOINT_READ, organization_get_tags, tags_fields},
    {"organization.get_user_companies", "1.0", ENDPOINT_READ, get_user_companies, NULL},
    {"organization.get_entities_count", "1.0", ENDPOINT_READ, get_entities_count,
     count_fields},
    {"organization.prepare_download_for_get_all", "1.0", ENDPOINT_WRITE,
     organization_prepare_download, prepare_fields},
    {"organization.download_for_get_all", "1.0", ENDPOINT_READ, organization_download,
     download_fields},
    {0}};
