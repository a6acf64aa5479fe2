/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "server/store.h"
#include "server/tasks-internal.h"

#include <string.h>

/* Where clients find buckets and their keys, for all of the company. ClearML's web page
 * asks for them; nothing here uses them. */

#define SETTINGS_MAX (1u << 20)

struct member {
    const char *name;
    bool flag, fallback; /* a boolean, and what it is if not given */
};

struct section {
    const char *name;
    const char *list; /* of objects */
    const struct member *members, *item_members;
};

static const struct member aws[] = {{"key", 0, 0},
                                    {"secret", 0, 0},
                                    {"token", 0, 0},
                                    {"region", 0, 0},
                                    {"use_credentials_chain", true, false},
                                    {0}};
static const struct member aws_buckets[] = {{"bucket", 0, 0},
                                            {"subdir", 0, 0},
                                            {"host", 0, 0},
                                            {"key", 0, 0},
                                            {"secret", 0, 0},
                                            {"token", 0, 0},
                                            {"multipart", true, true},
                                            {"acl", 0, 0},
                                            {"secure", true, true},
                                            {"region", 0, 0},
                                            {"verify", true, true},
                                            {"use_credentials_chain", true, false},
                                            {0}};
static const struct member google[] = {
    {"project", 0, 0}, {"credentials_json", 0, 0}, {0}};
static const struct member google_buckets[] = {{"bucket", 0, 0},
                                               {"subdir", 0, 0},
                                               {"project", 0, 0},
                                               {"credentials_json", 0, 0},
                                               {0}};
static const struct member azure[] = {{0}};
static const struct member azure_containers[] = {
    {"account_name", 0, 0}, {"account_key", 0, 0}, {"container_name", 0, 0}, {0}};

static const struct section sections[] = {
    {"aws", "buckets", aws, aws_buckets},
    {"google", "buckets", google, google_buckets},
    {"azure", "containers", azure, azure_containers},
};

/* {"aws": ..., "google": ..., "azure": ..., "last_update": "..."}, as far as it was
 * set; the caller's. */
static cJSON *load(sqlite3 *db)
{
    cJSON *settings = store_json(
        store_query(db, "SELECT value FROM settings WHERE name = 'storage'", ""));
    return settings ? settings : cJSON_CreateObject();
}

static void save(struct call *call, cJSON *settings)
{
    char iso[CLOCK_ISO_SIZE];
    json_set_str(settings, "last_update", clock_iso_clearml(call->now_ms, iso));
    auto_free char *text = json_format(settings);
    store_change(call->db,
                 "INSERT OR REPLACE INTO settings (name, value) VALUES ('storage', ?)",
                 "t", text);
}

/* What was set, and every flag. */
static void tell_members(cJSON *out, const struct member *members, const cJSON *from)
{
    for (; members->name; members++) {
        const cJSON *value = json_get(from, members->name);
        if (value)
            json_set(out, members->name, cJSON_Duplicate(value, true));
        else if (members->flag)
            json_set_bool(out, members->name, members->fallback);
    }
}

static int get_settings(struct call *call)
{
    auto_json *stored = load(call->db);
    cJSON *out = json_set(call->data, "settings", cJSON_CreateObject());
    for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
        const struct section *s = &sections[i];
        const cJSON *from = json_get(stored, s->name), *item;
        cJSON *section = json_set(out, s->name, cJSON_CreateObject());
        tell_members(section, s->members, from);
        cJSON *list = json_set(section, s->list, cJSON_CreateArray());
        cJSON_ArrayForEach(item, json_get(from, s->list))
        {
            cJSON *told = cJSON_CreateObject();
            tell_members(told, s->item_members, item);
            cJSON_AddItemToArray(list, told);
        }
    }
    if (json_get(stored, "last_update"))
        json_set_str(out, "last_update", json_str(stored, "last_update", ""));
    return 0;
}

/* The known members of an object into out, their types checked. */
static int take_members(struct call *call, const struct member *members,
                        const cJSON *from, cJSON *out)
{
    if (!cJSON_IsObject(from))
        return api_fail_type(call, from && from->string ? from->string : "item");
    for (; members->name; members++) {
        const cJSON *value = json_get(from, members->name);
        if (!value || cJSON_IsNull(value))
            continue;
        if (members->flag ? !cJSON_IsBool(value) : !cJSON_IsString(value))
            return api_fail_type(call, members->name);
        json_set(out, members->name, cJSON_Duplicate(value, true));
    }
    return 0;
}

static int take_section(struct call *call, const struct section *s, const cJSON *from,
                        cJSON *out)
{
    const cJSON *given = json_get(from, s->list), *item;
    if (take_members(call, s->members, from, out) < 0)
        return -1;
    if (given && !cJSON_IsNull(given) && !cJSON_IsArray(given))
        return api_fail_type(call, s->list);
    cJSON *list = json_set(out, s->list, cJSON_CreateArray());
    cJSON_ArrayForEach(item, given)
    {
        cJSON *taken = cJSON_CreateObject();
        cJSON_AddItemToArray(list, taken);
        if (take_members(call, s->item_members, item, taken) < 0)
            return -1;
    }
    const char *credentials = json_str(out, "credentials_json", "");
    auto_json *parsed =
        *credentials ? json_parse(credentials, strlen(credentials), NULL) : NULL;
    if (*credentials && !parsed)
        return api_fail(call, API_VALIDATION, "Invalid json credentials", NULL);
    return 0;
}

static int set_settings(struct call *call)
{
    auto_json *settings = load(call->db);
    bool any = false;
    for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
        const cJSON *from = json_get(call->request, sections[i].name);
        if (!from || cJSON_IsNull(from))
            continue;
        any = true;
        if (take_section(call, &sections[i], from,
                         json_set(settings, sections[i].name, cJSON_CreateObject())) <
            0)
            return -1;
    }
    if (!any)
        return api_fail(call, API_VALIDATION, "No settings were provided", NULL);
    auto_free char *text = json_format(settings);
    if (strlen(text) > SETTINGS_MAX)
        return api_fail(call, API_VALIDATION, "too many settings", NULL);
    save(call, settings);
    json_set_int(call->data, "updated", 1);
    return 0;
}

static bool is_section(const cJSON *key)
{
    for (size_t i = 0; cJSON_IsString(key) && i < ARRAY_SIZE(sections); i++)
        if (!strcmp(sections[i].name, key->valuestring))
            return true;
    return false;
}

static int reset_settings(struct call *call)
{
    const cJSON *keys = json_get(call->request, "keys"), *key;
    auto_json *settings = load(call->db);
    cJSON_ArrayForEach(key, keys)
    {
        if (!is_section(key))
            return api_fail(call, API_VALIDATION, "aws, google or azure", "field",
                            "keys", NULL);
        json_remove(settings, key->valuestring);
    }
    json_set_int(call->data, "updated", settings->child ? 1 : 0);
    if (settings->child)
        save(call, settings);
    return 0;
}

static const struct field reset_fields[] = {{"keys", FIELD_ARRAY, false}, {0}};

const struct endpoint storage_endpoints[] = {
    {"storage.get_settings", "1.0", ENDPOINT_READ, get_settings, NULL},
    {"storage.set_settings", "1.0", ENDPOINT_WRITE, set_settings, NULL},
    {"storage.reset_settings", "1.0", ENDPOINT_WRITE, reset_settings, reset_fields},
    {0}};
