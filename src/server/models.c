/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/models-internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "server/project-children.h"
#include "server/sql.h"
#include "server/store.h"

#include <stdio.h>
#include <string.h>

static const char *const lists[] = {"id",     "tags",       "system_tags", "framework",
                                    "uri",    "user",       "project",     "task",
                                    "parent", "metadata.*", NULL};
static const char *const ranges[] = {"created", "last_metrics.*", "last_iteration",
                                     NULL};
static const char *const dates[] = {"last_update", "last_change", NULL};
static const char *const patterns[] = {"name", "comment", NULL};
static const char *const equals[] = {"ready", NULL};
static const char *const texts[] = {"name", "id",      "comment", "parent",
                                    "task", "project", NULL};
static const struct query_ref refs[] = {{"project", project_load}, {"task", task_load},
                                        {"parent", model_load},    {"user", user_load},
                                        {"company", company_load}, {0}};

#define MODELS_COLLECTION                                                              \
    .docs = &model_type, .lists = lists, .ranges = ranges, .datetimes = dates,         \
    .patterns = patterns, .equals = equals, .texts = texts

const struct query_collection models_collection = {MODELS_COLLECTION};
const struct query_collection models_joined = {MODELS_COLLECTION, .refs = refs};

static void model_conform(const struct call *call, cJSON *model)
{
    call_conform_metadata(call, model);
    tags_give(call, model);
}

/* ---- reading ---- */

static int models_get_by_id(struct call *call)
{
    const char *id = json_str(call->request, "model", "");
    cJSON *model = model_load(call->db, id);
    if (!model)
        return api_fail(call, API_INVALID_MODEL_ID, "no such public or company model",
                        "id", id, "company", call->caller.company, NULL);
    const cJSON *only = json_get(call->request, "only_fields");
    if (cJSON_IsArray(only))
        query_project(model, only);
    model_conform(call, model);
    json_set(call->data, "model", model);
    return 0;
}

static int models_get_by_task_id(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    if (call->api_version > API_VERSION(2, 13))
        return call_fail(call, 301, 1,
                         "This endpoint is no longer supported for the requested api "
                         "version (use models.get_by_id/get_all apis)");
    if (!task_exists(call->db, task))
        return api_fail(call, API_INVALID_TASK_ID, NULL, "id", task, "company",
                        call->caller.company, NULL);
    auto_json *models = doc_load_field(call->db, &task_type, task, "models");
    const cJSON *output = json_get(models, "output");
    int count = cJSON_GetArraySize(output);
    if (!count)
        return api_fail(call, API_MISSING_TASK_FIELDS, NULL, "field", "models.output",
                        NULL);
    json_set_str(call->request, "model",
                 json_str(cJSON_GetArrayItem(output, count - 1), "model", ""));
    return models_get_by_id(call);
}

static int get_many(struct call *call, const struct query_collection *collection)
{
    tags_take(call, "model", call->request);
    add_subprojects(call);
    cJSON *models = query_run(call, collection), *model;
    bool stats =
        collection->refs && request_true(call->request, "include_stats", false);
    if (!models)
        return -1;
    cJSON_ArrayForEach(model, models)
    {
        model_conform(call, model);
        if (!stats)
            continue;
        auto_json *labels =
            doc_load_field(call->db, &model_type, json_str(model, "id", ""), "labels");
        json_set_int(json_set(model, "stats", cJSON_CreateObject()), "labels_count",
                     cJSON_GetArraySize(labels));
    }
    json_set(call->data, "models", models);
    return 0;
}

static int models_get_all(struct call *call)
{
    return get_many(call, &models_collection);
}

static int models_get_all_ex(struct call *call)
{
    return get_many(call, &models_joined);
}

static int models_get_frameworks(struct call *call)
{
    const cJSON *given = json_get(call->request, "projects");
    bool all = !cJSON_IsArray(given) || !given->child;
    auto_json *projects = all ? NULL : project_with_children(call->db, given);
    auto_stmt *stmt = sql_prepare(
        call->db, all ? "SELECT DISTINCT framework FROM models"
                        " WHERE framework != '' ORDER BY framework"
                      : "SELECT DISTINCT framework FROM models WHERE framework != ''"
                        " AND project IN (SELECT value FROM json_each(?))"
                        " ORDER BY framework");
    if (!all)
        doc_bind(stmt, 1, projects);
    cJSON *list = json_set(call->data, "frameworks", cJSON_CreateArray());
    while (sql_step(stmt))
        cJSON_AddItemToArray(
            list, cJSON_CreateString((const char *)sqlite3_column_text(stmt, 0)));
    return 0;
}

/* ---- ready ---- */

static int publish_model(struct call *call, const char *id, cJSON *result)
{
    char status[16];
    auto_json *model = model_requested(call, id);
    if (!model)
        return -1;
    if (json_bool(model, "ready", false))
        return api_fail(call, API_MODEL_READY, NULL, "company", call->caller.company,
                        "model", id, NULL);
    const char *task = json_str(model, "task", "");
    if (request_true(call->request, "publish_task", true) && *task &&
        task_brief(call->db, task, status, NULL, NULL) && strcmp(status, "published")) {
        cJSON *published = json_set(result, "published_task", cJSON_CreateObject());
        json_set_str(published, "id", task);
        cJSON *data = json_set(published, "data", cJSON_CreateObject());
        bool force = request_true(call->request, "force_publish_task", false);
        if (task_publish_as(call, task, force, false, data))
            return -1;
    }
    auto_json *fields = cJSON_CreateObject();
    json_set_bool(fields, "ready", true);
    task_stamp(call, fields, true);
    json_set_int(result, "updated", doc_set(call->db, &model_type, id, fields, NULL));
    return 0;
}

static int models_set_ready(struct call *call)
{
    if (publish_model(call, json_str(call->request, "model", ""), call->data))
        return -1;
    json_set(call->data, "fields", cJSON_CreateObject());
    return 0;
}

static int publish_one(struct call *call, const char *id, cJSON *result)
{
    if (publish_model(call, id, result))
        return -1;
    json_set_bool(result, "updated", json_int(result, "updated", 0));
    return 0;
}

static int models_publish_many(struct call *call)
{
    return task_for_each(call, publish_one);
}

/* ---- delete ---- */

void model_replace(struct call *call, const char *task, const char *list,
                   const char *model, const char *other)
{
    auto_json *models = doc_load_field(call->db, &task_type, task, "models");
    cJSON *items = json_get(models, list);
    for (cJSON *item = items ? items->child : NULL, *next; item; item = next) {
        next = item->next;
        if (strcmp(json_str(item, "model", ""), model))
            continue;
        if (other)
            json_set_str(item, "model", other);
        else
            cJSON_Delete(cJSON_DetachItemViaPointer(items, item));
    }
    auto_json *fields = cJSON_CreateObject();
    json_set(fields, "models", cJSON_Duplicate(models, true));
    task_stamp(call, fields, false);
    doc_set(call->db, &task_type, task, fields, NULL);
}

static cJSON *using_tasks(sqlite3 *db, const char *model)
{
    cJSON *out = cJSON_CreateArray();
    auto_free char *word = xasprintf("i:%s", model);
    auto_reset *stmt = store_prepare(db, "SELECT id FROM task_refs WHERE word = ?");
    sql_bind(stmt, 1, word);
    while (sql_step(stmt))
        cJSON_AddItemToArray(
            out, cJSON_CreateString((const char *)sqlite3_column_text(stmt, 0)));
    return out;
}

static int release_using(struct call *call, const char *model, const char *mark,
                         bool force)
{
    char number[16];
    auto_json *tasks = using_tasks(call->db, model);
    const cJSON *task;
    if (tasks->child && !force) {
        snprintf(number, sizeof number, "%d", cJSON_GetArraySize(tasks));
        return api_fail(call, API_MODEL_IN_USE,
                        "as execution model, use force=True to delete", "num_tasks",
                        number, NULL);
    }
    cJSON_ArrayForEach(task, tasks)
        model_replace(call, task->valuestring, "input", model, mark);
    return 0;
}

static int release_maker(struct call *call, const char *model, const char *task,
                         const char *mark, bool force)
{
    char status[16], iso[CLOCK_ISO_SIZE];
    if (!*task || !task_brief(call->db, task, status, NULL, NULL))
        return 0;
    if (strcmp(status, "published")) {
        model_replace(call, task, "output", model, NULL);
        return 0;
    }
    if (!force)
        return api_fail(call, API_MODEL_TASK_EXISTS,
                        "and published, use force=True to delete", "task", task, NULL);
    model_replace(call, task, "output", model, mark);
    auto_free char *text =
        xasprintf("model deleted on %s", clock_iso_clearml(call->now_ms, iso));
    auto_json *fields = cJSON_CreateObject();
    json_set_str(fields, "output.error", text);
    doc_set(call->db, &task_type, task, fields, NULL);
    return 0;
}

static int delete_model(struct call *call, const char *id, cJSON *result)
{
    auto_json *model = model_requested(call, id);
    bool force = request_true(call->request, "force", false);
    auto_free char *mark = xasprintf(DELETED_PREFIX "%s", id);
    if (!model || release_using(call, id, mark, force) ||
        release_maker(call, id, json_str(model, "task", ""), mark, force))
        return -1;
    events_delete_task(call->db, id);
    json_set_bool(result, "deleted", doc_delete(call->db, &model_type, id));
    json_set_str(result, "url", json_str(model, "uri", ""));
    return 0;
}

static int models_delete(struct call *call)
{
    return delete_model(call, json_str(call->request, "model", ""), call->data);
}

static int models_delete_many(struct call *call)
{
    return task_for_each(call, delete_model);
}

/* ---- archive ---- */

static int set_archived(struct call *call, const char *id, bool on, cJSON *result)
{
    auto_json *model = model_requested(call, id);
    if (!model)
        return -1;
    cJSON *tags = cJSON_DetachItemFromObjectCaseSensitive(model, "system_tags"), *next;
    for (cJSON *tag = tags ? tags->child : NULL; tag; tag = next) {
        next = tag->next;
        if (cJSON_IsString(tag) && !strcmp(tag->valuestring, "archived"))
            cJSON_Delete(cJSON_DetachItemViaPointer(tags, tag));
    }
    if (!tags)
        tags = cJSON_CreateArray();
    if (on)
        cJSON_AddItemToArray(tags, cJSON_CreateString("archived"));
    auto_json *fields = cJSON_CreateObject();
    json_set(fields, "system_tags", tags_clean(tags));
    task_stamp(call, fields, false);
    doc_set(call->db, &model_type, id, fields, NULL);
    json_set_bool(result, on ? "archived" : "unarchived", true);
    return 0;
}

static int archive_one(struct call *call, const char *id, cJSON *result)
{
    return set_archived(call, id, true, result);
}

static int unarchive_one(struct call *call, const char *id, cJSON *result)
{
    return set_archived(call, id, false, result);
}

static int models_archive_many(struct call *call)
{
    return task_for_each(call, archive_one);
}

static int models_unarchive_many(struct call *call)
{
    return task_for_each(call, unarchive_one);
}

static int models_update_tags(struct call *call)
{
    return update_tags(call, &model_type);
}

static int models_make_public(struct call *call)
{
    return set_public(call, &model_type, API_INVALID_MODEL_ID, true);
}

static int models_make_private(struct call *call)
{
    return set_public(call, &model_type, API_INVALID_MODEL_ID, false);
}

/* ---- the table ---- */

static const struct field one_model[] = {{"model", FIELD_STRING, true}, {0}};
static const struct field one_task[] = {{"task", FIELD_STRING, true}, {0}};
static const struct field create[] = {
    {"name", FIELD_STRING, true}, {"uri", FIELD_STRING, true}, {0}};
static const struct field edit[] = {
    {"model", FIELD_STRING, true}, {"iteration", FIELD_INTEGER, false}, {0}};
static const struct field for_task[] = {{"task", FIELD_STRING, true},
                                        {"uri", FIELD_STRING, false},
                                        {"iteration", FIELD_INTEGER, false},
                                        {"override_model_id", FIELD_STRING, false},
                                        {0}};
static const struct field ids[] = {{"ids", FIELD_STRINGS, true}, {0}};
static const struct field tags[] = {{"ids", FIELD_STRINGS, true},
                                    {"add_tags", FIELD_STRINGS, false},
                                    {"remove_tags", FIELD_STRINGS, false},
                                    {0}};
static const struct field metadata[] = {
    {"model", FIELD_STRING, true}, {"metadata", FIELD_ARRAY, true}, {0}};
static const struct field keys[] = {
    {"model", FIELD_STRING, true}, {"keys", FIELD_STRINGS, true}, {0}};
static const struct field by_id_ex[] = {{"id", FIELD_ANY, true}, {0}};
static const struct field frameworks[] = {{"projects", FIELD_STRINGS, false}, {0}};

#define R ENDPOINT_READ
#define W ENDPOINT_WRITE

const struct endpoint models_endpoints[] = {
    {"models.get_by_id", "2.1", R, models_get_by_id, one_model},
    {"models.get_by_task_id", "2.1", R, models_get_by_task_id, one_task},
    {"models.get_by_id_ex", "2.11", R, models_get_all_ex, by_id_ex},
    {"models.get_all", "2.1", R, models_get_all, NULL},
    {"models.get_all_ex", "2.1", R, models_get_all_ex, NULL},
    {"models.get_frameworks", "2.8", R, models_get_frameworks, frameworks},
    {"models.create", "2.1", W, models_create, create},
    {"models.edit", "2.1", W, models_edit, edit},
    {"models.update", "2.1", W, models_update, edit},
    {"models.update_for_task", "2.1", W, models_update_for_task, for_task},
    {"models.set_ready", "2.1", W, models_set_ready, one_model},
    {"models.publish_many", "2.13", W, models_publish_many, ids},
    {"models.delete", "2.1", W, models_delete, one_model},
    {"models.delete_many", "2.13", W, models_delete_many, ids},
    {"models.archive_many", "2.13", W, models_archive_many, ids},
    {"models.unarchive_many", "2.13", W, models_unarchive_many, ids},
    {"models.move", "2.12", W, models_move, ids},
    {"models.update_tags", "2.27", W, models_update_tags, tags},
    {"models.make_public", "2.9", W, models_make_public, ids},
    {"models.make_private", "2.9", W, models_make_private, ids},
    {"models.add_or_update_metadata", "2.13", W, models_add_or_update_metadata,
     metadata},
    {"models.delete_metadata", "2.13", W, models_delete_metadata, keys},
    {0},
};
