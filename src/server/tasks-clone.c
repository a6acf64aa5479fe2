/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/tasks-internal.h"

#include "base/alloc.h"
#include "base/json.h"
#include "server/project-store.h"

#include <math.h>
#include <string.h>

static const char *const copied[] = {
    "type",        "tags",          "system_tags", "script",  "execution",
    "hyperparams", "configuration", "container",   "comment", "project"};

/* A clone is a draft: not of this machine's development, not archived. */
static void clean_system_tags(cJSON *task)
{
    cJSON *tags = json_get(task, "system_tags");
    for (cJSON *t = tags ? tags->child : NULL, *next; t; t = next) {
        next = t->next;
        if (cJSON_IsString(t) && (!strcmp(t->valuestring, "development") ||
                                  !strcmp(t->valuestring, "archived")))
            cJSON_Delete(cJSON_DetachItemViaPointer(tags, t));
    }
}

/* What the first run made stays with it. */
static void clean_execution(cJSON *task)
{
    cJSON *execution = json_get(task, "execution");
    cJSON *artifacts = json_get(execution, "artifacts");
    json_remove(execution, "queue");
    for (cJSON *a = artifacts ? artifacts->child : NULL, *next; a; a = next) {
        next = a->next;
        if (strcmp(json_str(a, "mode", "output"), "input"))
            cJSON_Delete(cJSON_DetachItemViaPointer(artifacts, a));
    }
    cJSON *label;
    cJSON_ArrayForEach(label, json_get(execution, "model_labels"))
    {
        if (cJSON_IsNumber(label))
            cJSON_SetNumberValue(label, trunc(label->valuedouble));
    }
}

static cJSON *clone_base(struct call *call, const cJSON *source)
{
    cJSON *task = cJSON_CreateObject();
    for (size_t i = 0; i < ARRAY_SIZE(copied); i++) {
        const cJSON *value = json_get(source, copied[i]);
        if (value)
            json_set(task, copied[i], cJSON_Duplicate(value, true));
    }
    clean_system_tags(task);
    const char *destination = json_str(json_get(source, "output"), "destination", NULL);
    if (destination)
        json_set_str(json_set(task, "output", cJSON_CreateObject()), "destination",
                     destination);
    const cJSON *input = json_path(source, "models", "input", NULL);
    cJSON *models = json_set(task, "models", cJSON_CreateObject());
    json_set(models, "input",
             input ? cJSON_Duplicate(input, true) : cJSON_CreateArray());
    json_set(models, "output", cJSON_CreateArray());
    const char *parent = json_str(source, "parent", "");
    bool deleted = !strncmp(parent, DELETED_PREFIX, strlen(DELETED_PREFIX));
    json_set_str(task, "parent",
                 *parent && !deleted ? parent : json_str(source, "id", ""));
    json_set_str(task, "name", json_str(source, "name", ""));
    return task;
}

/* The request's new_task_* fields in the form of tasks.create: the same rules hold. */
static cJSON *clone_request(const struct call *call)
{
    static const char *const names[][2] = {{"new_task_name", "name"},
                                           {"new_task_comment", "comment"},
                                           {"new_task_tags", "tags"},
                                           {"new_task_system_tags", "system_tags"},
                                           {"new_task_hyperparams", "hyperparams"},
                                           {"new_task_configuration", "configuration"},
                                           {"new_task_container", "container"}};
    cJSON *out = cJSON_CreateObject();
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const cJSON *value = json_get(call->request, names[i][0]);
        bool empty = !value || cJSON_IsNull(value) ||
                     (cJSON_IsString(value) && !value->valuestring[0]) ||
                     ((cJSON_IsObject(value) || cJSON_IsArray(value)) && !value->child);
        if (!empty)
            json_set(out, names[i][1], cJSON_Duplicate(value, true));
    }
    const cJSON *models = json_get(call->request, "new_task_input_models");
    if (cJSON_IsArray(models) && models->child)
        json_set(json_set(out, "models", cJSON_CreateObject()), "input",
                 cJSON_Duplicate(models, true));
    return out;
}

/* execution_overrides, with what older clients put there for elsewhere. */
static void add_overrides(const struct call *call, cJSON *request)
{
    const cJSON *given = json_get(call->request, "execution_overrides");
    if (!cJSON_IsObject(given) || !given->child)
        return;
    cJSON *execution = json_set(request, "execution", cJSON_Duplicate(given, true));
    const char *model = json_str(execution, "model", "");
    if (*model && !json_get(request, "models")) {
        cJSON *models = json_set(request, "models", cJSON_CreateObject());
        cJSON *list = json_set(models, "input", cJSON_CreateArray());
        cJSON *item = cJSON_CreateObject();
        json_set_str(item, "name", "Input Model");
        json_set_str(item, "model", model);
        cJSON_AddItemToArray(list, item);
    }
    const char *command = json_str(execution, "docker_cmd", "");
    if (*command && !json_get(request, "container")) {
        size_t n = strcspn(command, " ");
        auto_free char *image = xstrndup(command, n);
        cJSON *container = json_set(request, "container", cJSON_CreateObject());
        json_set_str(container, "image", image);
        json_set_str(container, "arguments", command[n] ? command + n + 1 : "");
    }
    json_remove(execution, "model");
    json_remove(execution, "docker_cmd");
}

/* Only what the request names is checked, or all of it if it says so. */
static int clone_check(struct call *call, const cJSON *given, const cJSON *task)
{
    static const char *const references[] = {"parent", "project", "models"};
    bool all = request_true(call->request, "validate_references", false);
    auto_json *check = cJSON_CreateObject();
    for (size_t i = 0; i < ARRAY_SIZE(references); i++) {
        const cJSON *value = json_get(task, references[i]);
        if (value && (all || json_get(given, references[i])))
            json_set(check, references[i], cJSON_Duplicate(value, true));
    }
    return task_fields_check(call, check);
}

/* The overrides' members replace the source's, one by one; every other part as a
 * whole. */
static void clone_apply(cJSON *task, const cJSON *given, const cJSON *request)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, given)
    {
        if (strcmp(item->string, "execution")) {
            json_set(task, item->string, cJSON_Duplicate(item, true));
            continue;
        }
        const cJSON *named;
        cJSON_ArrayForEach(named, json_get(request, "execution"))
        {
            const cJSON *value = json_get(item, named->string);
            if (value)
                json_set(json_get(task, "execution"), named->string,
                         cJSON_Duplicate(value, true));
        }
    }
}

/* Parent and project are looked up as references, not as fields: their errors differ.
 */
static void clone_place(const struct call *call, cJSON *given, cJSON *task)
{
    static const char *const names[][2] = {{"new_task_parent", "parent"},
                                           {"new_task_project", "project"}};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *id = json_str(call->request, names[i][0], "");
        if (!*id)
            continue;
        json_set_str(given, names[i][1], id);
        json_set_str(task, names[i][1], id);
    }
}

/* What a set of parameters in the old form is merged into. */
static cJSON *clone_params(const cJSON *source)
{
    static const char *const names[] = {"hyperparams", "configuration"};
    cJSON *out = cJSON_CreateObject();
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const cJSON *value = json_get(source, names[i]);
        if (value)
            json_set(out, names[i], cJSON_Duplicate(value, true));
    }
    return out;
}

static cJSON *clone_document(struct call *call, const cJSON *source)
{
    auto_json *request = clone_request(call);
    add_overrides(call, request);
    auto_json *base = clone_params(source);
    auto_json *given = task_fields_take(call, request, TASK_CREATE, base);
    if (!given)
        return NULL;
    cJSON *task = clone_base(call, source);
    clone_apply(task, given, request);
    clean_execution(task);
    clone_place(call, given, task);
    const char *name = json_str(call->request, "new_project_name", "");
    if (*name && !json_get(given, "project")) {
        char project[65];
        auto_free char *clean = project_clean_name_dup(name);
        if (project_check_name(call, clean)) {
            cJSON_Delete(task);
            return NULL;
        }
        project_find_or_create(call, clean, project);
        json_set_str(task, "project", project);
        cJSON *made = json_set(call->data, "new_project", cJSON_CreateObject());
        json_set_str(made, "id", project);
        json_set_str(made, "name", name);
    }
    if (clone_check(call, given, task)) {
        cJSON_Delete(task);
        return NULL;
    }
    return task;
}

int tasks_clone(struct call *call)
{
    const char *from = json_str(call->request, "task", "");
    auto_json *source = task_load(call->db, from);
    if (!source)
        return api_fail(call, API_INVALID_TASK_ID, NULL, "id", from, NULL);
    auto_json *task = clone_document(call, source);
    if (!task)
        return -1;
    task_add(call, task);
    return 0;
}
