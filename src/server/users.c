/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/alloc.h"
#include "base/json.h"
#include "server/api-error.h"
#include "server/auth.h"
#include "server/call.h"
#include "server/services.h"
#include "server/sql.h"
#include "server/store.h"

#include <string.h>

#define PREFERENCES_MAX (1u << 20)

static const char *const columns[] = {"id=id", "name=name", NULL};
static const char *const none[] = {NULL};
static const struct query_collection users = {
    .table = "users", .columns = columns, .ranges = none, .datetimes = none};

static cJSON *load(sqlite3 *db, const char *user)
{
    return store_json(store_query(db, "SELECT doc FROM users WHERE id = ?", "t", user));
}

static void save(sqlite3 *db, const char *user, const cJSON *doc)
{
    auto_free char *text = json_format(doc);
    store_change(db, "UPDATE users SET name = ?, doc = ? WHERE id = ?", "ttt",
                 json_str(doc, "name", ""), text, user);
}

static int no_user(struct call *call, const char *user)
{
    call_fail(call, 400, 301, "Invalid user id");
    call_fail_arg(call, "id", user);
    return call_fail_arg(call, "company", call->caller.company);
}

static int get_by_id(struct call *call)
{
    const char *user = json_str(call->request, "user", "");
    cJSON *doc = load(call->db, user);
    if (!doc)
        return no_user(call, user);
    json_remove(doc, "preferences");
    json_set(call->data, "user", doc);
    return 0;
}

static int get_all(struct call *call)
{
    cJSON *docs = query_run(call, &users), *doc;
    if (!docs)
        return -1;
    cJSON_ArrayForEach(doc, docs) json_remove(doc, "preferences");
    json_set(call->data, "users", docs);
    return 0;
}

/* Who made a task, a model or a project in these projects and those below them; in any,
 * if there are none. The caller's. */
static cJSON *active_users(struct call *call, const cJSON *projects)
{
    bool all = !projects->child;
    auto_free char *ids = all ? NULL : json_format(projects);
    cJSON *users_found = cJSON_CreateArray();
    auto_reset *stmt = store_query(
        call->db,
        "WITH p (id) AS (SELECT c.id FROM projects c, projects r WHERE r.id IN"
        " (SELECT value FROM json_each(?1)) AND (c.id = r.id OR"
        " substr(c.name, 1, length(r.name) + 1) = r.name || '/'))"
        " SELECT user FROM tasks WHERE ?1 IS NULL OR project IN (SELECT id FROM p)"
        " UNION SELECT user FROM models WHERE ?1 IS NULL OR project IN (SELECT id FROM"
        " p) UNION SELECT json_extract(doc, '$.user') FROM projects WHERE ?1 IS NULL OR"
        " id IN (SELECT id FROM p)",
        "t", ids);
    while (store_row(stmt))
        if (sqlite3_column_type(stmt, 0) != SQLITE_NULL)
            cJSON_AddItemToArray(
                users_found,
                cJSON_CreateString((const char *)sqlite3_column_text(stmt, 0)));
    return users_found;
}

/* The request's ids, or all, as far as they are active. */
static void narrow_to_active(struct call *call, const cJSON *projects)
{
    auto_json *active = active_users(call, projects);
    const cJSON *asked = json_get(call->request, "id"), *user;
    bool all = !cJSON_IsArray(asked) || !asked->child;
    cJSON *ids = cJSON_CreateArray();
    cJSON_ArrayForEach(user, active)
    {
        if (all || json_list_has(asked, user->valuestring))
            cJSON_AddItemToArray(ids, cJSON_CreateString(user->valuestring));
    }
    json_set(call->request, "id", ids);
}

static int get_all_ex(struct call *call)
{
    const cJSON *projects = json_get(call->request, "active_in_projects");
    if (!cJSON_IsArray(projects))
        return get_all(call);
    narrow_to_active(call, projects);
    if (json_get(call->request, "id")->child)
        return get_all(call);
    json_set(call->data, "users", cJSON_CreateArray());
    return 0;
}

static int get_current_user(struct call *call)
{
    cJSON *doc = load(call->db, call->caller.user);
    if (!doc)
        return call_fail(call, 400, 300, "Invalid user (failed loading user)");
    cJSON *company = json_set(doc, "company", cJSON_CreateObject());
    json_set_str(company, "id", call->caller.company);
    json_set_str(company, "name", AUTH_COMPANY_NAME);
    json_set_str(doc, "role", call->caller.role);
    json_set(call->data, "user", doc);
    json_set(call->data, "getting_started", cJSON_CreateNull());
    cJSON *settings = json_set(call->data, "settings", cJSON_CreateObject());
    json_set_int(settings, "max_download_items", 1000);
    return 0;
}

static int update(struct call *call)
{
    static const char *const may[] = {"name", "given_name", "family_name", "avatar"};
    const char *user = json_str(call->request, "user", "");
    auto_json *doc = load(call->db, user);
    if (!doc)
        return no_user(call, user);
    cJSON *fields = json_set(call->data, "fields", cJSON_CreateObject());
    for (size_t i = 0; i < ARRAY_SIZE(may); i++) {
        const char *value = json_str(call->request, may[i], NULL);
        if (!value)
            continue;
        json_set_str(doc, may[i], value);
        json_set_str(fields, may[i], value);
    }
    save(call->db, user, doc);
    json_set_int(call->data, "updated", fields->child ? 1 : 0);
    return 0;
}

static cJSON *preferences_of(const cJSON *doc)
{
    const cJSON *preferences = json_get(doc, "preferences");
    return cJSON_IsObject(preferences) ? cJSON_Duplicate(preferences, true)
                                       : cJSON_CreateObject();
}

static int get_preferences(struct call *call)
{
    auto_json *doc = load(call->db, call->caller.user);
    if (!doc)
        return no_user(call, call->caller.user);
    json_set(call->data, "preferences", preferences_of(doc));
    return 0;
}

/* As deep as cJSON reads. */
static int check_keys(struct call *call, const cJSON *value)
{
    const cJSON *child;
    cJSON_ArrayForEach(child, value)
    {
        const char *key = cJSON_IsObject(value) ? child->string : "";
        if (*key == '$' || strchr(key, '.'))
            return call_fail(call, 400, API_FIELDS_VALUE,
                             "Invalid value for fields (Key %.100s is invalid. Keys "
                             "cannot start with '$' or contain '.'.)",
                             key);
        if (check_keys(call, child) < 0)
            return -1;
    }
    return 0;
}

static int set_preferences(struct call *call)
{
    const cJSON *value;
    auto_json *doc = load(call->db, call->caller.user);
    if (!doc)
        return no_user(call, call->caller.user);
    if (check_keys(call, json_get(call->request, "preferences")) < 0)
        return -1;
    auto_json *preferences = preferences_of(doc);
    cJSON_ArrayForEach(value, json_get(call->request, "preferences"))
    {
        json_set(preferences, value->string, cJSON_Duplicate(value, true));
    }
    auto_free char *text = json_format(preferences);
    if (strlen(text) > PREFERENCES_MAX)
        return call_fail(call, 400, 305, "Malformed key and/or value (too large)");
    bool same = cJSON_Compare(preferences, json_get(doc, "preferences"), true);
    cJSON *fields = json_set(call->data, "fields", cJSON_CreateObject());
    json_set_int(call->data, "updated", same ? 0 : 1);
    if (same)
        return 0;
    json_set(fields, "preferences", cJSON_Duplicate(preferences, true));
    json_set(doc, "preferences", steal(&preferences));
    save(call->db, call->caller.user, doc);
    return 0;
}

static const struct field user_fields[] = {{"user", FIELD_STRING, true}, {0}};
static const struct field update_fields[] = {
    {"user", FIELD_STRING, true},        {"name", FIELD_STRING, false},
    {"given_name", FIELD_STRING, false}, {"family_name", FIELD_STRING, false},
    {"avatar", FIELD_STRING, false},     {0}};
static const struct field active_fields[] = {
    {"active_in_projects", FIELD_STRINGS, false}, {0}};
static const struct field preferences_fields[] = {{"preferences", FIELD_OBJECT, true},
                                                  {0}};

const struct endpoint users_endpoints[] = {
    {"users.get_by_id", "1.0", ENDPOINT_READ, get_by_id, user_fields},
    {"users.get_all", "1.0", ENDPOINT_READ, get_all, NULL},
    {"users.get_all_ex", "1.0", ENDPOINT_READ, get_all, NULL},
    {"users.get_all_ex", "2.8", ENDPOINT_READ, get_all_ex, active_fields},
    {"users.get_current_user", "1.0", ENDPOINT_READ, get_current_user, NULL},
    {"users.update", "1.0", ENDPOINT_WRITE, update, update_fields},
    {"users.get_preferences", "1.0", ENDPOINT_READ, get_preferences, NULL},
    {"users.set_preferences", "1.0", ENDPOINT_WRITE, set_preferences,
     preferences_fields},
    {0}};
