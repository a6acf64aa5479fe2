/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/models-internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "server/project-store.h"

#include <math.h>
#include <string.h>

/* ---- create ---- */

void task_add(struct call *call, cJSON *task)
{
    char id[ID_SIZE], iso[CLOCK_ISO_SIZE];
    json_set_str(task, "id", id_new(id));
    json_set_str(task, "company", call->caller.company);
    json_set_str(task, "user", call->caller.user);
    json_set_str(task, "status", "created");
    json_set_str(task, "created", clock_iso_clearml(call->now_ms, iso));
    task_stamp(call, task, true);
    doc_insert(call->db, &task_type, task);
    project_touch(call, json_str(task, "project", ""));
    json_set_str(call->data, "id", id);
}

static cJSON *create_fields(struct call *call)
{
    tags_take(call, "task", call->request);
    cJSON *fields = task_fields_take(call, call->request, TASK_CREATE, NULL);
    if (!fields)
        return NULL;
    const char *missing = !json_get(fields, "name")   ? "name"
                          : !json_get(fields, "type") ? "type"
                                                      : NULL;
    if (missing)
        api_fail(call, API_VALIDATION, "field is required", "field", missing, NULL);
    if (missing || task_fields_check(call, fields)) {
        cJSON_Delete(fields);
        return NULL;
    }
    return fields;
}

int tasks_create(struct call *call)
{
    auto_json *task = create_fields(call);
    if (!task)
        return -1;
    task_add(call, task);
    return 0;
}

int tasks_validate(struct call *call)
{
    const char *parent = json_str(call->request, "parent", "");
    if (!strncmp(parent, DELETED_PREFIX, strlen(DELETED_PREFIX)))
        json_remove(call->request, "parent");
    auto_json *fields = create_fields(call);
    return fields ? 0 : -1;
}

/* ---- edit and update ---- */

/* The answer names what was set, dates as text. */
static int set_and_answer(struct call *call, const char *id, cJSON *fields)
{
    char iso[CLOCK_ISO_SIZE];
    int updated = doc_set(call->db, &task_type, id, fields, NULL);
    project_touch(call, json_str(fields, "project", ""));
    const cJSON *created = json_get(fields, "created");
    if (cJSON_IsNumber(created))
        json_set_str(fields, "created",
                     clock_iso_clearml((int64_t)created->valuedouble, iso));
    task_conform(call, fields);
    json_set_int(call->data, "updated", updated);
    cJSON *answer = json_set(call->data, "fields", cJSON_Duplicate(fields, true)),
          *item;
    cJSON_ArrayForEach(item, answer)
    {
        /* An empty list is told as it came. */
        const cJSON *given = json_get(call->request, item->string);
        if (cJSON_IsObject(item) && !item->child && cJSON_IsArray(given))
            item->type = (item->type & ~0xff) | cJSON_Array;
    }
    return 0;
}

/* True if the fields are such that people may set at any time. */
static bool only_descriptive(const cJSON *fields)
{
    static const char *const names[] = {"name",          "tags",    "system_tags",
                                        "comment",       "project", "created",
                                        "status_message"};
    const cJSON *item;
    cJSON_ArrayForEach(item, fields)
    {
        bool found = false;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
            found |= !strcmp(names[i], item->string);
        if (!found)
            return false;
    }
    return true;
}

/* Of the task as it is, what an edit merges into: large parts only if they are given.
 */
static cJSON *previous_parts(struct call *call, const char *id)
{
    static const char *const parts[] = {"script", "models", "hyperparams",
                                        "configuration"};
    cJSON *previous = cJSON_CreateObject();
    const cJSON *execution = json_get(call->request, "execution");
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        if (!json_get(call->request, parts[i]) && !execution)
            continue;
        cJSON *value = doc_load_field(call->db, &task_type, id, parts[i]);
        if (value)
            json_set(previous, parts[i], value);
    }
    cJSON *value =
        execution ? doc_load_field(call->db, &task_type, id, "execution") : NULL;
    if (value) {
        json_set(previous, "execution", value);
        cJSON *queue = doc_load_field(call->db, &task_type, id, "execution.queue");
        if (queue)
            json_set(value, "queue", queue);
    }
    return previous;
}

int tasks_edit(struct call *call)
{
    struct task_head task;
    if (task_head_load(call, json_str(call->request, "task", ""), &task))
        return -1;
    if (!request_true(call->request, "force", false) && strcmp(task.status, "created"))
        return api_fail(call, API_INVALID_TASK_STATUS, NULL, "expected", "created",
                        "status", task.status, NULL);
    tags_take(call, "task", call->request);
    auto_json *previous = previous_parts(call, task.id);
    auto_json *fields = task_fields_take(call, call->request, TASK_EDIT, previous);
    if (!fields || task_fields_check(call, fields))
        return -1;
    if (!fields->child) {
        json_set(call->data, "fields", cJSON_CreateObject());
        json_set_int(call->data, "updated", 0);
        return 0;
    }
    task_stamp(call, fields, !only_descriptive(fields));
    return set_and_answer(call, task.id, fields);
}

int tasks_update(struct call *call)
{
    const char *id = task_requested(call);
    if (!id)
        return -1;
    tags_take(call, "task", call->request);
    auto_json *fields = task_fields_take(call, call->request, TASK_UPDATE, NULL);
    if (!fields)
        return -1;
    if (!fields->child) {
        json_set(call->data, "fields", cJSON_CreateObject());
        json_set_int(call->data, "updated", 0);
        return 0;
    }
    task_stamp(call, fields, false);
    return set_and_answer(call, id, fields);
}

int tasks_update_batch(struct call *call)
{
    const cJSON *line;
    int updated = 0;
    if (!call->lines || !call->lines->child)
        return api_fail(call, API_NO_ITEMS, NULL, NULL);
    cJSON_ArrayForEach(line, call->lines)
    {
        const char *id = json_str(line, "task", "");
        if (!task_exists(call->db, id))
            return api_fail(call, API_INVALID_TASK_ID, NULL, "ids", id, NULL);
        auto_json *fields = task_fields_take(call, line, TASK_UPDATE, NULL);
        if (!fields)
            return -1;
        if (!fields->child)
            continue;
        task_stamp(call, fields, false);
        updated += doc_set(call->db, &task_type, id, fields, NULL);
    }
    json_set_int(call->data, "updated", updated);
    return 0;
}

int tasks_set_requirements(struct call *call)
{
    const char *id = task_requested(call);
    const cJSON *requirements = json_get(call->request, "requirements");
    if (!id)
        return -1;
    if (!cJSON_IsObject(requirements))
        return api_fail(call, API_VALIDATION, "an object is expected", "field",
                        "requirements", NULL);
    auto_json *script = doc_load_field(call->db, &task_type, id, "script");
    if (!script || !script->child)
        return api_fail(call, API_MISSING_TASK_FIELDS, "Task has no script field",
                        "task", id, NULL);
    auto_json *fields = cJSON_CreateObject();
    json_set(fields, "script.requirements", cJSON_Duplicate(requirements, true));
    task_stamp(call, fields, true);
    json_set_int(call->data, "updated",
                 doc_set(call->db, &task_type, id, fields, NULL));
    json_set(call->data, "fields", cJSON_CreateObject());
    return 0;
}

/* ---- moves, tags ---- */

static int check_all(struct call *call, const cJSON *ids)
{
    const cJSON *id;
    cJSON_ArrayForEach(id, ids)
    {
        struct task_head task;
        if (!task_exists(call->db, id->valuestring))
            return api_fail(call, API_INVALID_TASK_ID, NULL, "ids", id->valuestring,
                            NULL);
        if (task_head_load(call, id->valuestring, &task))
            return -1;
    }
    return ids ? 0 : -1;
}

int tasks_move(struct call *call)
{
    char project[65];
    const cJSON *ids = request_strings(call, "ids"), *id;
    if (check_all(call, ids) || project_requested(call, project) < 0)
        return -1;
    cJSON_ArrayForEach(id, ids)
    {
        char before[65] = "";
        task_brief(call->db, id->valuestring, NULL, before, NULL);
        project_touch(call, before);
        auto_json *fields = cJSON_CreateObject();
        json_set_str(fields, "project", *project ? project : NULL);
        task_stamp(call, fields, false);
        doc_set(call->db, &task_type, id->valuestring, fields, NULL);
    }
    project_touch(call, project);
    json_set_str(call->data, "project_id", *project ? project : NULL);
    return 0;
}

/* tags and then less remove, sorted; takes tags. */
static cJSON *changed_tags(cJSON *tags, const cJSON *add, const cJSON *remove)
{
    const cJSON *item;
    cJSON *out = cJSON_CreateArray();
    cJSON_ArrayForEach(item, tags)
    {
        if (cJSON_IsString(item) && !json_list_has(remove, item->valuestring))
            cJSON_AddItemToArray(out, cJSON_CreateString(item->valuestring));
    }
    cJSON_ArrayForEach(item, add)
    {
        if (cJSON_IsString(item) && !json_list_has(remove, item->valuestring))
            cJSON_AddItemToArray(out, cJSON_CreateString(item->valuestring));
    }
    cJSON_Delete(tags);
    return tags_clean(out);
}

int update_tags(struct call *call, const struct doc_type *type)
{
    const cJSON *add = json_get(call->request, "add_tags"), *id;
    const cJSON *remove = json_get(call->request, "remove_tags");
    const cJSON *ids = request_strings(call, "ids");
    bool adds = cJSON_IsArray(add) && add->child;
    bool removes = cJSON_IsArray(remove) && remove->child;
    int updated = 0;
    if (!ids)
        return -1;
    if (!adds && !removes)
        return api_fail(call, API_VALIDATION,
                        "Either add tags or remove tags should be provided", NULL);
    cJSON_ArrayForEach(id, ids)
    {
        cJSON *tags = doc_load_field(call->db, type, id->valuestring, "tags");
        if (!tags)
            continue;
        auto_json *fields = cJSON_CreateObject();
        json_set(fields, "tags", changed_tags(tags, add, remove));
        task_stamp(call, fields, false);
        doc_set(call->db, type, id->valuestring, fields, NULL);
        updated += adds + removes;
    }
    json_set_int(call->data, "updated", updated);
    return 0;
}

int tasks_update_tags(struct call *call)
{
    if (check_all(call, request_strings(call, "ids")))
        return -1;
    return update_tags(call, &task_type);
}

int set_public(struct call *call, const struct doc_type *type, enum api_error missing,
               bool on)
{
    const cJSON *ids = request_strings(call, "ids"), *id;
    int updated = 0;
    if (!ids)
        return -1;
    cJSON_ArrayForEach(id, ids)
    {
        auto_json *company = doc_load_field(call->db, type, id->valuestring, "company");
        auto_json *origin =
            doc_load_field(call->db, type, id->valuestring, "company_origin");
        bool is = company && !company->valuestring[0];
        if (!company || is == on || (is && !origin))
            return api_fail(call, missing, NULL, "ids", id->valuestring, NULL);
        auto_json *fields = cJSON_CreateObject();
        json_set_str(fields, "company", on ? "" : call->caller.company);
        json_set_str(fields, "company_origin", on ? call->caller.company : NULL);
        task_stamp(call, fields, false);
        updated += doc_set(call->db, type, id->valuestring, fields, NULL);
    }
    json_set_int(call->data, "updated", updated);
    return 0;
}

int tasks_make_public(struct call *call)
{
    return set_public(call, &task_type, API_INVALID_TASK_ID, true);
}

int tasks_make_private(struct call *call)
{
    return set_public(call, &task_type, API_INVALID_TASK_ID, false);
}
