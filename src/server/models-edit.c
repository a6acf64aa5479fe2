/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/models-internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "server/names.h"

#include <math.h>
#include <string.h>

#define NAME_MIN 3

enum model_use { MODEL_CREATE = 1, MODEL_EDIT = 2, MODEL_UPDATE = 4 };

static int bad_value(struct call *call, const char *field, const char *why)
{
    return api_fail(call, API_DATA_VALIDATION, NULL, field, why, NULL);
}

/* What ClearML finds before it looks at a value. */
static int bad_type(struct call *call, const char *field, const char *why)
{
    return api_fail(call, API_VALIDATION, NULL, field, why, NULL);
}

static int check_labels(struct call *call, enum model_use use, const cJSON *labels)
{
    const cJSON *label;
    cJSON_ArrayForEach(label, labels)
    {
        bool sound =
            cJSON_IsNumber(label) && label->valuedouble == trunc(label->valuedouble);
        if (!sound && use == MODEL_CREATE)
            return bad_value(call, "labels", "only integers may be used");
        if (!sound)
            return api_fail(call, API_VALIDATION, "labels values must be integers",
                            "values", label->string, NULL);
    }
    return 0;
}

static int check_tags(struct call *call, const char *name, const cJSON *tags)
{
    const cJSON *tag;
    cJSON_ArrayForEach(tag, tags)
    {
        if (!cJSON_IsString(tag))
            return bad_value(call, name, "Only lists of strings may be used");
        if (!strncmp(tag->valuestring, "__$", 3))
            return api_fail(call, API_FIELDS_VALUE, "unsupported tag prefix", "values",
                            tag->valuestring, NULL);
    }
    return 0;
}

/* As an object by key, whether it came as one or as a list. NULL after failing. */
static cJSON *clean_metadata(struct call *call, const cJSON *value)
{
    cJSON *out = cJSON_CreateObject();
    const cJSON *item;
    cJSON_ArrayForEach(item, value)
    {
        const char *key = json_str(item, "key", item->string ? item->string : "");
        const char *type = json_str(item, "type", NULL);
        const char *text = json_str(item, "value", NULL);
        auto_free char *name = names_strip_dup(key);
        if (!*name || !type || !text) {
            bad_value(call, "metadata", "key, type and value are required");
            cJSON_Delete(out);
            return NULL;
        }
        cJSON *one = cJSON_CreateObject();
        json_set_str(one, "key", key);
        json_set_str(one, "type", type);
        json_set_str(one, "value", text);
        json_set(out, name, one);
    }
    return out;
}

static const struct {
    const char *name;
    char kind; /* s string, n name, o object, l labels, t tags, m metadata, b bool, T
                  task, P project, M model */
    unsigned uses;
} settable[] = {
    {"name", 'n', MODEL_CREATE | MODEL_EDIT | MODEL_UPDATE},
    {"uri", 's', MODEL_CREATE | MODEL_EDIT | MODEL_UPDATE},
    {"comment", 's', MODEL_CREATE | MODEL_EDIT | MODEL_UPDATE},
    {"project", 'P', MODEL_CREATE | MODEL_EDIT | MODEL_UPDATE},
    {"tags", 't', MODEL_CREATE | MODEL_EDIT | MODEL_UPDATE},
    {"system_tags", 't', MODEL_CREATE | MODEL_EDIT | MODEL_UPDATE},
    {"metadata", 'm', MODEL_CREATE | MODEL_EDIT | MODEL_UPDATE},
    {"ui_cache", 'o', MODEL_CREATE | MODEL_UPDATE},
    {"parent", 'M', MODEL_CREATE | MODEL_EDIT},
    {"framework", 's', MODEL_CREATE | MODEL_EDIT},
    {"task", 'T', MODEL_CREATE | MODEL_EDIT},
    {"design", 'o', MODEL_CREATE | MODEL_EDIT},
    {"labels", 'l', MODEL_CREATE | MODEL_EDIT},
    {"ready", 'b', MODEL_CREATE | MODEL_EDIT},
};

static int check_reference(struct call *call, enum model_use use, char kind,
                           const char *name, const char *id)
{
    if (!*id)
        return 0;
    if (kind == 'T' && use == MODEL_EDIT && !task_exists(call->db, id))
        return api_fail(call, API_FIELDS_VALUE, "expecting Task id", "id", id, "field",
                        name, NULL);
    if (kind == 'T' && !task_exists(call->db, id))
        return api_fail(call, API_INVALID_TASK_ID, NULL, "id", id, "company",
                        call->caller.company, NULL);
    if (kind == 'P' && !project_exists(call->db, id))
        return api_fail(call, API_VALIDATION, "Invalid project ids", "project", id,
                        NULL);
    if (kind == 'M' && !model_exists(call->db, id))
        return api_fail(call, API_FIELDS_VALUE, "expecting Model id", "id", id, "field",
                        name, NULL);
    return 0;
}

static cJSON *take_text(struct call *call, enum model_use use, char kind,
                        const char *name, const cJSON *value)
{
    if (!cJSON_IsString(value)) {
        bad_type(call, name, "StringField only accepts string values");
        return NULL;
    }
    bool strip = kind == 'n' || !strcmp(name, "uri");
    auto_free char *text =
        strip ? names_strip_dup(value->valuestring) : xstrdup(value->valuestring);
    if (kind == 'n' && strlen(text) < NAME_MIN) {
        bad_value(call, name, "String value is too short");
        return NULL;
    }
    if (check_reference(call, use, kind, name, text))
        return NULL;
    return strchr("TPM", kind) && !*text ? cJSON_CreateNull()
                                         : cJSON_CreateString(text);
}

static cJSON *take_field(struct call *call, enum model_use use, char kind,
                         const char *name, const cJSON *value)
{
    if (strchr("snTPM", kind))
        return take_text(call, use, kind, name, value);
    if (kind == 'b')
        return cJSON_CreateBool(request_true(call->request, name, false));
    if (kind == 'm' && (cJSON_IsObject(value) || cJSON_IsArray(value)))
        return clean_metadata(call, value);
    if (kind == 't' && cJSON_IsArray(value))
        return check_tags(call, name, value) ? NULL
                                             : tags_clean(cJSON_Duplicate(value, true));
    if (kind == 'l' && cJSON_IsObject(value) && check_labels(call, use, value))
        return NULL;
    if ((kind == 'l' || kind == 'o') && cJSON_IsObject(value))
        return cJSON_Duplicate(value, true);
    bad_type(call, name, "a value of another type is expected");
    return NULL;
}

/* NULL after failing. */
static cJSON *take_fields(struct call *call, enum model_use use)
{
    cJSON *fields = cJSON_CreateObject();
    const char *task = json_str(call->request, "task", "");
    if (!strncmp(task, DELETED_PREFIX, strlen(DELETED_PREFIX)))
        json_remove(call->request, "task");
    tags_take(call, "model", call->request);
    for (size_t i = 0; i < ARRAY_SIZE(settable); i++) {
        const cJSON *value = json_get(call->request, settable[i].name);
        if (!(settable[i].uses & use) || !value || cJSON_IsNull(value))
            continue;
        cJSON *clean = take_field(call, use, settable[i].kind, settable[i].name, value);
        if (!clean) {
            cJSON_Delete(fields);
            return NULL;
        }
        json_set(fields, settable[i].name, clean);
    }
    return fields;
}

/* ---- create ---- */

static void insert_model(struct call *call, cJSON *model, char id[ID_SIZE])
{
    char iso[CLOCK_ISO_SIZE];
    json_set_str(model, "id", id_new(id));
    json_set_str(model, "company",
                 request_true(call->request, "public", false) ? ""
                                                              : call->caller.company);
    json_set_str(model, "user", call->caller.user);
    json_set_str(model, "created", clock_iso_clearml(call->now_ms, iso));
    task_stamp(call, model, true);
    doc_insert(call->db, &model_type, model);
}

int models_create(struct call *call)
{
    char id[ID_SIZE];
    auto_json *model = take_fields(call, MODEL_CREATE);
    if (!model)
        return -1;
    if (!json_get(model, "ready"))
        json_set_bool(model, "ready", true);
    insert_model(call, model, id);
    json_set_str(call->data, "id", id);
    json_set_bool(call->data, "created", true);
    return 0;
}

/* ---- edit, update ---- */

static bool says_new_content(const cJSON *fields)
{
    static const char *const names[] = {"uri",   "framework", "design",      "labels",
                                        "ready", "metadata",  "system_tags", "tags"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (json_get(fields, names[i]))
            return true;
    }
    return false;
}

static int store_fields(struct call *call, const char *id, cJSON *fields)
{
    if (!fields->child) {
        json_set(call->data, "fields", cJSON_CreateObject());
        json_set_int(call->data, "updated", 0);
        json_set(call->data, "fields", cJSON_CreateObject());
        return 0;
    }
    /* What the web page has kept of other content is no longer true. */
    if (json_get(fields, "uri") && !json_get(fields, "ui_cache"))
        json_set(fields, "ui_cache", cJSON_CreateObject());
    task_stamp(call, fields, says_new_content(fields));
    json_set_int(call->data, "updated",
                 doc_set(call->db, &model_type, id, fields, NULL));
    json_set(call->data, "fields", cJSON_Duplicate(fields, true));
    return 0;
}

static void note_iteration(struct call *call, const char *task)
{
    const cJSON *iteration = json_get(call->request, "iteration");
    if (*task && cJSON_IsNumber(iteration) && task_exists(call->db, task))
        task_note_iteration(call, task, iteration, NULL);
}

int models_edit(struct call *call)
{
    const char *id = json_str(call->request, "model", "");
    auto_json *model = model_requested(call, id);
    auto_json *fields = model ? take_fields(call, MODEL_EDIT) : NULL;
    if (!fields)
        return -1;
    note_iteration(call, json_str(model, "task", json_str(fields, "task", "")));
    return store_fields(call, id, fields);
}

static int update_model(struct call *call, const char *id)
{
    auto_json *model = model_requested(call, id);
    const char *task = json_str(call->request, "task", "");
    if (!model || check_reference(call, MODEL_UPDATE, 'T', "task", task))
        return -1;
    auto_json *fields = take_fields(call, MODEL_UPDATE);
    if (!fields)
        return -1;
    note_iteration(call, task);
    return store_fields(call, id, fields);
}

int models_update(struct call *call)
{
    return update_model(call, json_str(call->request, "model", ""));
}

/* ---- the call of clients up to 2.13 ---- */

/* The task's output model, made from the task if there is none. */
static int make_for_task(struct call *call, const cJSON *task, char id[ID_SIZE])
{
    auto_json *model = take_fields(call, MODEL_CREATE);
    if (!model)
        return -1;
    const cJSON *execution = json_get(task, "execution");
    static const char *const copied[][2] = {{"model_labels", "labels"},
                                            {"model_desc", "design"},
                                            {"framework", "framework"}};
    for (size_t i = 0; i < ARRAY_SIZE(copied); i++) {
        const cJSON *value = json_get(execution, copied[i][0]);
        if (value)
            json_set(model, copied[i][1], cJSON_Duplicate(value, true));
    }
    const char *project = json_str(task, "project", NULL);
    if (project)
        json_set_str(model, "project", project);
    const cJSON *input = json_path(task, "models", "input", NULL);
    if (input && input->child)
        json_set_str(model, "parent", json_str(input->child, "model", NULL));
    json_set_bool(model, "ready", !strcmp(json_str(task, "status", ""), "published"));
    insert_model(call, model, id);
    return 0;
}

static void link_output(struct call *call, const char *task, const char *model)
{
    char iso[CLOCK_ISO_SIZE];
    auto_json *models = doc_load_field(call->db, &task_type, task, "models");
    cJSON *list = cJSON_CreateArray(), *item = cJSON_CreateObject();
    json_set_str(item, "name", "Output Model");
    json_set_str(item, "model", model);
    json_set_str(item, "updated", clock_iso_clearml(call->now_ms, iso));
    cJSON_AddItemToArray(list, item);
    json_set(models, "output", list);
    auto_json *fields = cJSON_CreateObject();
    json_set(fields, "models", cJSON_Duplicate(models, true));
    task_note_iteration(call, task, json_get(call->request, "iteration"), fields);
}

int models_update_for_task(struct call *call)
{
    char id[ID_SIZE];
    const char *task_id = json_str(call->request, "task", "");
    const char *uri = json_str(call->request, "uri", "");
    const char *other = json_str(call->request, "override_model_id", "");
    if (call->api_version > API_VERSION(2, 13))
        return call_fail(call, 301, 1,
                         "This endpoint is no longer supported for the requested api "
                         "version (use tasks.add_or_update_model)");
    if (!*uri == !*other)
        return api_fail(call, API_MISSING_FIELDS, "exactly one field is required",
                        "fields", "(uri, override_model_id)", NULL);
    auto_json *task = task_load(call->db, task_id);
    if (!task)
        return api_fail(call, API_INVALID_TASK_ID, NULL, "id", task_id, NULL);
    const char *status = json_str(task, "status", "");
    if (strcmp(status, "created") && strcmp(status, "in_progress"))
        return api_fail(call, API_INVALID_TASK_STATUS,
                        "model can only be updated for tasks in the ['created', "
                        "'in_progress'] states",
                        "id", task_id, NULL);
    const cJSON *output = json_path(task, "models", "output", NULL);
    int count = cJSON_GetArraySize(output);
    if (!json_get(call->request, "name"))
        json_set_str(call->request, "name", json_str(task, "name", ""));
    auto_free char *comment =
        xasprintf("Created by task `%s` (%s)", json_str(task, "name", ""), task_id);
    if (!*other && !json_get(call->request, "comment"))
        json_set_str(call->request, "comment", comment);
    if (!*other && count) {
        const char *known =
            json_str(cJSON_GetArrayItem(output, count - 1), "model", "");
        json_set_str(call->data, "id", known);
        json_set_bool(call->data, "created", false);
        return update_model(call, known);
    }
    if (*other && !model_exists(call->db, other))
        return api_fail(call, API_INVALID_MODEL_ID, NULL, "id", other, NULL);
    if (!*other && make_for_task(call, task, id))
        return -1;
    link_output(call, task_id, *other ? other : id);
    json_set_str(call->data, "id", *other ? other : id);
    json_set_bool(call->data, "created", true);
    return 0;
}

int models_move(struct call *call)
{
    char project[65];
    const cJSON *ids = request_strings(call, "ids"), *id;
    if (!ids || project_requested(call, project) < 0)
        return -1;
    cJSON_ArrayForEach(id, ids)
    {
        auto_json *fields = cJSON_CreateObject();
        json_set_str(fields, "project", *project ? project : NULL);
        task_stamp(call, fields, false);
        doc_set(call->db, &model_type, id->valuestring, fields, NULL);
    }
    json_set_str(call->data, "project_id", *project ? project : NULL);
    return 0;
}

/* ---- metadata ---- */

static int store_metadata(struct call *call, const char *id, cJSON *metadata)
{
    auto_json *fields = cJSON_CreateObject();
    json_set(fields, "metadata", metadata);
    task_stamp(call, fields, true);
    json_set_int(call->data, "updated",
                 doc_set(call->db, &model_type, id, fields, NULL));
    return 0;
}

int models_add_or_update_metadata(struct call *call)
{
    const char *id = json_str(call->request, "model", "");
    auto_json *model = model_requested(call, id);
    const cJSON *items = request_objects(call, "metadata", "key", "type", NULL);
    if (!model || !items)
        return -1;
    cJSON *given = clean_metadata(call, items);
    if (!given)
        return -1;
    cJSON *all = cJSON_DetachItemFromObjectCaseSensitive(model, "metadata");
    if (request_true(call->request, "replace_metadata", false) ||
        !cJSON_IsObject(all)) {
        cJSON_Delete(all);
        return store_metadata(call, id, given);
    }
    while (given->child) {
        cJSON *item = cJSON_DetachItemViaPointer(given, given->child);
        auto_free char *name = xstrdup(item->string);
        json_set(all, name, item);
    }
    cJSON_Delete(given);
    return store_metadata(call, id, all);
}

int models_delete_metadata(struct call *call)
{
    const char *id = json_str(call->request, "model", "");
    auto_json *model = model_requested(call, id);
    const cJSON *keys = request_strings(call, "keys"), *key;
    if (!model || !keys)
        return -1;
    cJSON *all = cJSON_DetachItemFromObjectCaseSensitive(model, "metadata");
    cJSON_ArrayForEach(key, keys) json_remove(all, key->valuestring);
    return store_metadata(call, id, all ? all : cJSON_CreateObject());
}
