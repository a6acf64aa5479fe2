/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/tasks-internal.h"

#include "base/clock.h"
#include "base/json.h"

#include <string.h>

/* ---- artifacts ---- */

static int store_artifacts(struct call *call, const char *task, cJSON *list,
                           const char *answer)
{
    auto_json *fields = cJSON_CreateObject();
    json_set(fields, "execution.artifacts", list);
    task_stamp(call, fields, true);
    json_set_int(call->data, answer, doc_set(call->db, &task_type, task, fields, NULL));
    return 0;
}

static cJSON *load_artifacts(struct call *call, const char *task)
{
    auto_json *execution = doc_load_field(call->db, &task_type, task, "execution");
    cJSON *list = cJSON_DetachItemFromObjectCaseSensitive(execution, "artifacts");
    if (cJSON_IsArray(list))
        return list;
    cJSON_Delete(list);
    return cJSON_CreateArray();
}

int tasks_add_or_update_artifacts(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    const cJSON *given = request_objects(call, "artifacts", "key", "type", NULL), *item;
    if (!given || task_for_update(call, task, false, true))
        return -1;
    auto_json *all = load_artifacts(call, task);
    cJSON_ArrayForEach(item, given)
        cJSON_AddItemToArray(all, cJSON_Duplicate(item, true));
    cJSON *clean = task_artifacts_clean(call, all);
    return clean ? store_artifacts(call, task, clean, "updated") : -1;
}

static bool same_artifact(const cJSON *a, const cJSON *b)
{
    return !strcmp(json_str(a, "key", ""), json_str(b, "key", "")) &&
           !strcmp(json_str(a, "mode", "output"), json_str(b, "mode", "output"));
}

int tasks_delete_artifacts(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    const cJSON *given = request_objects(call, "artifacts", "key", NULL), *item;
    if (!given || task_for_update(call, task, false, true))
        return -1;
    cJSON *all = load_artifacts(call, task);
    for (cJSON *a = all->child, *next; a; a = next) {
        bool drop = false;
        next = a->next;
        cJSON_ArrayForEach(item, given) drop |= same_artifact(a, item);
        if (drop)
            cJSON_Delete(cJSON_DetachItemViaPointer(all, a));
    }
    return store_artifacts(call, task, all, "deleted");
}

/* ---- models ---- */

static bool model_type_known(const char *type)
{
    return !strcmp(type, "input") || !strcmp(type, "output");
}

int task_note_iteration(struct call *call, const char *id, const cJSON *iteration,
                        cJSON *fields)
{
    auto_json *note = cJSON_Duplicate(fields, true);
    if (!note)
        note = cJSON_CreateObject();
    if (cJSON_IsNumber(iteration))
        json_set_num(note, "last_iteration", iteration->valuedouble);
    json_set_str(note, "last_changed_by", call->caller.user);
    task_note_events(call->db, id, note, call->now_ms);
    return 1;
}

int tasks_add_or_update_model(struct call *call)
{
    const cJSON *request = call->request;
    char iso[CLOCK_ISO_SIZE];
    const char *task = json_str(request, "task", ""),
               *type = json_str(request, "type", "");
    const char *name = json_str(request, "name", "");
    if (!model_type_known(type))
        return api_fail(call, API_VALIDATION, "unknown model type", "type", type, NULL);
    if (task_for_update(call, task, false, true))
        return -1;
    auto_json *models = doc_load_field(call->db, &task_type, task, "models");
    cJSON *list = json_get(models, type), *at;
    if (!cJSON_IsArray(list))
        list = json_set(models, type, cJSON_CreateArray());
    cJSON_ArrayForEach(at, list)
    {
        if (!strcmp(json_str(at, "name", ""), name))
            break;
    }
    if (!at) {
        at = cJSON_CreateObject();
        cJSON_AddItemToArray(list, at);
    }
    json_set_str(at, "name", name);
    json_set_str(at, "model", json_str(request, "model", ""));
    json_set_str(at, "updated", clock_iso_clearml(call->now_ms, iso));
    auto_json *fields = cJSON_CreateObject();
    json_set(fields, "models", cJSON_Duplicate(models, true));
    json_set_int(
        call->data, "updated",
        task_note_iteration(call, task, json_get(request, "iteration"), fields));
    return 0;
}

int tasks_delete_models(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    const cJSON *given = request_objects(call, "models", "name", "type", NULL), *item;
    if (!given || task_for_update(call, task, false, true))
        return -1;
    auto_json *models = doc_load_field(call->db, &task_type, task, "models");
    cJSON_ArrayForEach(item, given)
    {
        const char *type = json_str(item, "type", "");
        if (!model_type_known(type))
            return api_fail(call, API_VALIDATION, "unknown model type", "type", type,
                            NULL);
        cJSON *list = json_get(models, type);
        for (cJSON *m = list ? list->child : NULL, *next; m; m = next) {
            next = m->next;
            if (!strcmp(json_str(m, "name", ""), json_str(item, "name", "")))
                cJSON_Delete(cJSON_DetachItemViaPointer(list, m));
        }
    }
    auto_json *fields = cJSON_CreateObject();
    json_set(fields, "models", cJSON_Duplicate(models, true));
    task_stamp(call, fields, false);
    json_set_int(call->data, "updated",
                 doc_set(call->db, &task_type, task, fields, NULL));
    return 0;
}
