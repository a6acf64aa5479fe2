/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/tasks-internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"
#include "server/models-internal.h"
#include "server/names.h"

#include <stdlib.h>
#include <string.h>

#define NAME_MIN 3

static const char *const task_types[] = {
    "training",   "testing", "inference", "data_processing", "application", "monitor",
    "controller", "report",  "optimizer", "service",         "qc",          "custom"};

static int bad_value(struct call *call, const char *field, const char *why)
{
    return api_fail(call, API_DATA_VALIDATION, NULL, field, why, NULL);
}

static bool task_type_known(const char *type)
{
    for (size_t i = 0; i < ARRAY_SIZE(task_types); i++) {
        if (!strcmp(task_types[i], type))
            return true;
    }
    return false;
}

/* ---- one cleaner a kind of field: the value as it is stored, NULL after failing ----
 */

static cJSON *clean_text(struct call *call, const char *name, const cJSON *value)
{
    if (cJSON_IsString(value))
        return cJSON_Duplicate(value, true);
    bad_value(call, name, "StringField only accepts string values");
    return NULL;
}

static cJSON *clean_name(struct call *call, const char *name, const cJSON *value)
{
    auto_json *text = clean_text(call, name, value);
    if (!text)
        return NULL;
    auto_free char *stripped = names_strip_dup(text->valuestring);
    if (utf8_count(stripped, strlen(stripped)) >= NAME_MIN)
        return cJSON_CreateString(stripped);
    bad_value(call, name, "String value is too short");
    return NULL;
}

static cJSON *clean_type(struct call *call, const char *name, const cJSON *value)
{
    if (cJSON_IsString(value) && task_type_known(value->valuestring))
        return cJSON_Duplicate(value, true);
    if (!cJSON_IsString(value))
        bad_value(call, name, "StringField only accepts string values");
    else
        api_fail(call, API_VALIDATION, "value is not one of the task types", "field",
                 name, NULL);
    return NULL;
}

static cJSON *clean_status(struct call *call, const char *name, const cJSON *value)
{
    if (cJSON_IsString(value) && task_status_known(value->valuestring))
        return cJSON_Duplicate(value, true);
    bad_value(call, name, "Value is not one of the task statuses");
    return NULL;
}

int tags_check(struct call *call, const cJSON *tags)
{
    const cJSON *tag;
    cJSON_ArrayForEach(tag, tags)
    {
        if (cJSON_IsString(tag) && !strncmp(tag->valuestring, "__$", 3))
            return api_fail(call, API_FIELDS_VALUE, "unsupported tag prefix", "values",
                            tag->valuestring, NULL);
    }
    return 0;
}

static cJSON *clean_tags(struct call *call, const char *name, const cJSON *value)
{
    const cJSON *tag;
    bool sound = cJSON_IsArray(value);
    if (sound && tags_check(call, value))
        return NULL;
    cJSON_ArrayForEach(tag, value) sound &= cJSON_IsString(tag);
    if (sound)
        return tags_clean(cJSON_Duplicate(value, true));
    if (cJSON_IsNumber(value) || cJSON_IsBool(value))
        api_fail(call, API_FIELDS_VALUE, "expecting list", "field", name, NULL);
    else
        bad_value(call, name, "Only lists of strings may be used");
    return NULL;
}

/* An empty list or text. */
static bool is_empty(const cJSON *value)
{
    return (cJSON_IsArray(value) && !value->child) ||
           (cJSON_IsString(value) && !value->valuestring[0]);
}

static cJSON *clean_object(struct call *call, const char *name, const cJSON *value)
{
    if (cJSON_IsObject(value))
        return cJSON_Duplicate(value, true);
    api_fail(call, is_empty(value) ? API_DATA_VALIDATION : API_FIELDS_VALUE,
             "expecting dict", "field", name, NULL);
    return NULL;
}

static cJSON *clean_container(struct call *call, const char *name, const cJSON *value)
{
    cJSON *out = clean_object(call, name, value);
    const cJSON *item;
    cJSON_ArrayForEach(item, out)
    {
        if (cJSON_IsString(item) || cJSON_IsNull(item))
            continue;
        bad_value(call, name, "StringField only accepts string values");
        cJSON_Delete(out);
        return NULL;
    }
    return out;
}

/* No members but these. */
static int check_members(struct call *call, const char *name, const cJSON *value,
                         const char *const *members, size_t count)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, value)
    {
        size_t i = 0;
        while (i < count && strcmp(item->string, members[i]))
            i++;
        if (i == count)
            return api_fail(call, API_VALIDATION, "unknown member", name, item->string,
                            NULL);
    }
    return 0;
}

/* A path without white space at its ends can be used as one. The diff stays as it is.
 */
static cJSON *clean_script(struct call *call, const char *name, const cJSON *value)
{
    static const char *const texts[] = {"binary",      "repository",  "tag",
                                        "branch",      "version_num", "entry_point",
                                        "working_dir", "diff",        "requirements"};
    if (!cJSON_IsObject(value))
        return clean_object(call, name, value);
    if (check_members(call, name, value, texts, ARRAY_SIZE(texts)))
        return NULL;
    cJSON *out = cJSON_CreateObject();
    for (size_t i = 0; i < ARRAY_SIZE(texts) - 1; i++) {
        const cJSON *item = json_get(value, texts[i]);
        if (!item || cJSON_IsNull(item))
            continue;
        if (!cJSON_IsString(item)) {
            bad_value(call, name, "StringField only accepts string values");
            cJSON_Delete(out);
            return NULL;
        }
        bool strip = strcmp(texts[i], "diff");
        auto_free char *text = strip ? names_strip_dup(item->valuestring) : NULL;
        json_set_str(out, texts[i], strip ? text : item->valuestring);
    }
    const cJSON *requirements = json_get(value, "requirements");
    if (!requirements || cJSON_IsNull(requirements))
        return out;
    if (!cJSON_IsObject(requirements)) {
        bad_value(call, name, "Only dictionaries may be used in a DictField");
        cJSON_Delete(out);
        return NULL;
    }
    json_set(out, "requirements", cJSON_Duplicate(requirements, true));
    return out;
}

static int compare_artifacts(const void *a, const void *b)
{
    const cJSON *const *x = a, *const *y = b;
    int order = strcmp(json_str(*x, "key", ""), json_str(*y, "key", ""));
    return order ? order : strcmp(json_str(*x, "mode", ""), json_str(*y, "mode", ""));
}

static cJSON *clean_artifact(struct call *call, const cJSON *item)
{
    const char *mode = json_str(item, "mode", "output");
    if (!json_str(item, "key", NULL) || !json_str(item, "type", NULL) ||
        (strcmp(mode, "input") && strcmp(mode, "output"))) {
        bad_value(call, "artifacts", "an artifact needs key, type and a known mode");
        return NULL;
    }
    cJSON *copy = cJSON_Duplicate(item, true);
    if (!json_get(copy, "mode"))
        json_set_str(copy, "mode", "output");
    if (!cJSON_IsArray(json_get(copy, "display_data")))
        json_set(copy, "display_data", cJSON_CreateArray());
    return copy;
}

/* key and mode name an artifact; of two with the same name the last counts. */
cJSON *task_artifacts_clean(struct call *call, const cJSON *list)
{
    size_t count = 0;
    const cJSON *item;
    cJSON **items = xcalloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *items);
    cJSON *out = cJSON_CreateArray();
    cJSON_ArrayForEach(item, list)
    {
        cJSON *copy = clean_artifact(call, item);
        if (!copy) {
            for (size_t i = 0; i < count; i++)
                cJSON_Delete(items[i]);
            free(items);
            cJSON_Delete(out);
            return NULL;
        }
        size_t at = 0;
        while (at < count && compare_artifacts(&items[at], &copy))
            at++;
        if (at < count)
            cJSON_Delete(items[at]);
        else
            count++;
        items[at] = copy;
    }
    qsort(items, count, sizeof *items, compare_artifacts);
    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(out, items[i]);
    free(items);
    return out;
}

static cJSON *clean_execution(struct call *call, const char *name, const cJSON *value)
{
    static const char *const members[] = {"test_split",   "parameters", "model_desc",
                                          "model_labels", "framework",  "queue"};
    if (!cJSON_IsObject(value))
        return clean_object(call, name, value);
    cJSON *out = cJSON_CreateObject();
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        const cJSON *item = json_get(value, members[i]);
        if (item && !cJSON_IsNull(item))
            json_set(out, members[i], cJSON_Duplicate(item, true));
    }
    const cJSON *artifacts = json_get(value, "artifacts");
    if (cJSON_IsArray(artifacts)) {
        cJSON *list = task_artifacts_clean(call, artifacts);
        if (!list) {
            cJSON_Delete(out);
            return NULL;
        }
        json_set(out, "artifacts", list);
    }
    return out;
}

static cJSON *clean_models(struct call *call, const char *name, const cJSON *value)
{
    static const char *const types[] = {"input", "output"};
    char iso[CLOCK_ISO_SIZE];
    if (!cJSON_IsObject(value))
        return clean_object(call, name, value);
    if (check_members(call, name, value, types, ARRAY_SIZE(types)))
        return NULL;
    clock_iso_clearml(call->now_ms, iso);
    cJSON *out = cJSON_CreateObject();
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        const cJSON *list = json_get(value, types[i]), *item;
        if (!cJSON_IsArray(list))
            continue;
        cJSON *to = json_set(out, types[i], cJSON_CreateArray());
        cJSON_ArrayForEach(item, list)
        {
            const char *title = json_str(item, "name", NULL);
            const char *model = json_str(item, "model", NULL);
            if (!title || !model) {
                bad_value(call, "models", "a model needs name and model");
                cJSON_Delete(out);
                return NULL;
            }
            cJSON *one = cJSON_CreateObject();
            json_set_str(one, "name", title);
            json_set_str(one, "model", model);
            json_set_str(one, "updated", iso);
            cJSON_AddItemToArray(to, one);
        }
    }
    return out;
}

static cJSON *clean_parent(struct call *call, const char *name, const cJSON *value)
{
    const char *id = cJSON_GetStringValue(value);
    if (id && task_exists(call->db, id))
        return cJSON_CreateString(id);
    api_fail(call, API_FIELDS_VALUE, "expecting Task id", "id", id ? id : "", "field",
             name, NULL);
    return NULL;
}

static cJSON *clean_project(struct call *call, const char *name, const cJSON *value)
{
    const char *id = cJSON_GetStringValue(value);
    if (id && project_exists(call->db, id))
        return cJSON_CreateString(id);
    api_fail(call, API_FIELDS_VALUE, "expecting Project id", "id", id ? id : "",
             "field", name, NULL);
    return NULL;
}

static cJSON *clean_created(struct call *call, const char *name, const cJSON *value)
{
    int64_t ms;
    if (cJSON_IsString(value) && clock_iso_parse(value->valuestring, &ms) == 0)
        return cJSON_CreateNumber((double)ms);
    bad_value(call, name, "cannot parse date");
    return NULL;
}

#define CREATE (1 << TASK_CREATE)
#define EDIT (1 << TASK_EDIT)
#define UPDATE (1 << TASK_UPDATE)

static const struct {
    const char *name;
    unsigned uses;
    cJSON *(*clean)(struct call *call, const char *name, const cJSON *value);
    bool merged; /* edit changes the members given and keeps the others */
} settable[] = {
    {"name", CREATE | EDIT | UPDATE, clean_name, false},
    {"tags", CREATE | EDIT | UPDATE, clean_tags, false},
    {"system_tags", CREATE | EDIT | UPDATE, clean_tags, false},
    {"comment", CREATE | EDIT | UPDATE, clean_text, false},
    {"project", CREATE | EDIT | UPDATE, clean_project, false},
    {"created", UPDATE, clean_created, false},
    {"status_message", UPDATE, clean_text, false},
    {"type", CREATE | EDIT, clean_type, false},
    {"status", EDIT, clean_status, false},
    {"parent", CREATE | EDIT, clean_parent, false},
    {"script", CREATE | EDIT, clean_script, true},
    {"execution", CREATE | EDIT, clean_execution, true},
    {"models", CREATE | EDIT, clean_models, true},
    {"container", CREATE | EDIT, clean_container, false},
    {"hyperparams", CREATE | EDIT, clean_object, false},
    {"configuration", CREATE | EDIT, clean_object, false},
    {"runtime", CREATE | EDIT, clean_object, false},
};

static void merge_previous(cJSON *fields, const char *name, const cJSON *previous)
{
    const cJSON *value = json_get(fields, name);
    cJSON *whole = cJSON_Duplicate(json_get(previous, name), true);
    const cJSON *item;
    if (!cJSON_IsObject(whole)) {
        cJSON_Delete(whole);
        return;
    }
    cJSON_ArrayForEach(item, value)
        json_set(whole, item->string, cJSON_Duplicate(item, true));
    json_set(fields, name, whole);
}

/* What a new document has where the request's part says nothing. */
static void fill_defaults(cJSON *fields)
{
    cJSON *script = json_get(fields, "script"), *models = json_get(fields, "models");
    cJSON *execution = json_get(fields, "execution");
    static const char *const texts[][2] = {
        {"binary", "python"}, {"repository", ""}, {"entry_point", ""}};
    for (size_t i = 0; script && i < ARRAY_SIZE(texts); i++) {
        if (!json_get(script, texts[i][0]))
            json_set_str(script, texts[i][0], texts[i][1]);
    }
    if (script && !cJSON_IsObject(json_get(script, "requirements")))
        json_set(script, "requirements", cJSON_CreateObject());
    static const char *const lists[] = {"input", "output"};
    for (size_t i = 0; models && i < ARRAY_SIZE(lists); i++) {
        if (!json_get(models, lists[i]))
            json_set(models, lists[i], cJSON_CreateArray());
    }
    static const char *const objects[] = {"parameters", "model_desc", "model_labels"};
    for (size_t i = 0; execution && i < ARRAY_SIZE(objects); i++) {
        if (!cJSON_IsObject(json_get(execution, objects[i])))
            json_set(execution, objects[i], cJSON_CreateObject());
    }
    if (execution && !cJSON_IsNumber(json_get(execution, "test_split")))
        json_set_int(execution, "test_split", 0);
    if (execution && !cJSON_IsArray(json_get(execution, "artifacts")))
        json_set(execution, "artifacts", cJSON_CreateArray());
}

/* output_dest, and what update names output__error, are members of output. */
static int take_output(struct call *call, const cJSON *request,
                       enum task_fields_use use, cJSON *fields)
{
    const char *from = use == TASK_UPDATE ? "output__error" : "output_dest";
    const char *to = use == TASK_UPDATE ? "output.error" : "output.destination";
    const cJSON *value = json_get(request, from);
    if (!value || cJSON_IsNull(value))
        return 0;
    if (!cJSON_IsString(value))
        return bad_value(call, from, "StringField only accepts string values");
    auto_free char *text = names_strip_dup(value->valuestring);
    if (use != TASK_CREATE) {
        json_set_str(fields, to, text);
        return 0;
    }
    cJSON *output = json_set(fields, "output", cJSON_CreateObject());
    json_set_str(output, "destination", text);
    return 0;
}

static int take_fields(struct call *call, const cJSON *request,
                       enum task_fields_use use, cJSON *fields)
{
    for (size_t i = 0; i < ARRAY_SIZE(settable); i++) {
        const cJSON *value = json_get(request, settable[i].name);
        if (!(settable[i].uses & 1u << use) || !value || cJSON_IsNull(value))
            continue;
        /* What is false in Python stands for an empty dictionary. */
        bool object =
            settable[i].clean == clean_object || settable[i].clean == clean_container;
        if (object && use != TASK_CREATE && is_empty(value)) {
            json_set(fields, settable[i].name, cJSON_CreateObject());
            continue;
        }
        cJSON *clean = settable[i].clean(call, settable[i].name, value);
        if (!clean)
            return -1;
        json_set(fields, settable[i].name, clean);
    }
    return take_output(call, request, use, fields);
}

cJSON *task_fields_take(struct call *call, const cJSON *request,
                        enum task_fields_use use, const cJSON *previous)
{
    cJSON *fields = cJSON_CreateObject();
    if (take_fields(call, request, use, fields) ||
        task_compat_take(call, request, previous, fields) ||
        task_params_clean(call, fields)) {
        cJSON_Delete(fields);
        return NULL;
    }
    for (size_t i = 0; previous && i < ARRAY_SIZE(settable); i++) {
        if (settable[i].merged && json_get(fields, settable[i].name))
            merge_previous(fields, settable[i].name, previous);
    }
    fill_defaults(fields);
    return fields;
}

int task_fields_check(struct call *call, const cJSON *fields)
{
    const char *parent = json_str(fields, "parent", "");
    const char *project = json_str(fields, "project", "");
    if (*parent && strncmp(parent, DELETED_PREFIX, strlen(DELETED_PREFIX)) &&
        !task_exists(call->db, parent))
        return api_fail(call, API_INVALID_TASK_ID, "invalid parent", "parent", parent,
                        NULL);
    if (*project && !project_exists(call->db, project))
        return api_fail(call, API_INVALID_PROJECT_ID, NULL, "id", project, NULL);
    const cJSON *item;
    cJSON_ArrayForEach(item, json_path(fields, "models", "input", NULL))
    {
        const char *model = json_str(item, "model", "");
        if (!model_exists(call->db, model))
            return api_fail(call, API_INVALID_MODEL_ID, NULL, "models", model, NULL);
    }
    return 0;
}
