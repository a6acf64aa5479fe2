/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/tasks-internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"

#include <string.h>
#include <strings.h>

/* What older API versions have in other places: parameters below execution up to 2.8,
 * one model each way and docker_cmd up to 2.12, system tags among the tags up to 2.2.
 */

#define LEGACY_TYPE "legacy"

static char *text_of_dup(const cJSON *value)
{
    if (cJSON_IsString(value))
        return xstrdup(value->valuestring);
    if (cJSON_IsBool(value))
        return xstrdup(cJSON_IsTrue(value) ? "True" : "False");
    return cJSON_IsNull(value) ? xstrdup("None") : json_format(value);
}

static cJSON *legacy_item(const char *section, const char *name, const cJSON *value)
{
    auto_free char *text = text_of_dup(value);
    cJSON *item = cJSON_CreateObject();
    if (section)
        json_set_str(item, "section", section);
    json_set_str(item, "name", name);
    json_set_str(item, "type", LEGACY_TYPE);
    json_set_str(item, "value", text);
    return item;
}

static bool is_legacy(const cJSON *item)
{
    return !strcmp(json_str(item, "type", ""), LEGACY_TYPE);
}

/* Removes legacy items; returns how many. */
static int drop_legacy(cJSON *items)
{
    int dropped = 0;
    for (cJSON *item = items ? items->child : NULL, *next; item; item = next) {
        next = item->next;
        if (is_legacy(item)) {
            cJSON_Delete(cJSON_DetachItemViaPointer(items, item));
            dropped++;
        }
    }
    return dropped;
}

static int drop_legacy_sections(cJSON *sections)
{
    int dropped = 0;
    for (cJSON *s = sections ? sections->child : NULL, *next; s; s = next) {
        next = s->next;
        int here = drop_legacy(s);
        dropped += here;
        if (here && !s->child)
            cJSON_Delete(cJSON_DetachItemViaPointer(sections, s));
    }
    return dropped;
}

/* Where a legacy set comes without the new form, it replaces the legacy part of what
 * the task has. False if there is nothing to do. */
static bool legacy_base(const cJSON *legacy, const cJSON *previous, const char *name,
                        bool sections, cJSON *fields)
{
    const cJSON *given = json_get(fields, name), *old = json_get(previous, name);
    if ((given && given->child) || !old || !old->child) {
        if (!given)
            json_set(fields, name, cJSON_CreateObject());
        return legacy->child || given;
    }
    cJSON *base = cJSON_Duplicate(old, true);
    int dropped = sections ? drop_legacy_sections(base) : drop_legacy(base);
    if (!dropped && !legacy->child) {
        cJSON_Delete(base);
        return false;
    }
    json_set(fields, name, base);
    return true;
}

static int take_parameters(struct call *call, const cJSON *legacy, cJSON *hyperparams)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, legacy)
    {
        static const char define[] = "TF_DEFINE/";
        const char *section = "Args", *name = item->string;
        if (!strncmp(name, define, strlen(define))) {
            section = "TF_DEFINE";
            name += strlen(define);
        }
        if (!*name)
            return api_fail(call, API_VALIDATION, "Parameter name cannot be empty",
                            NULL);
        cJSON *at = json_get(hyperparams, section);
        if (!cJSON_IsObject(at))
            at = json_set(hyperparams, section, cJSON_CreateObject());
        json_set(at, name, legacy_item(section, name, item));
    }
    return 0;
}

static int take_legacy(struct call *call, const cJSON *previous, cJSON *fields)
{
    cJSON *execution = json_get(fields, "execution");
    const cJSON *params = json_get(execution, "parameters");
    const cJSON *desc = json_get(execution, "model_desc"), *item;
    if (cJSON_IsObject(params)) {
        if (legacy_base(params, previous, "hyperparams", true, fields) &&
            take_parameters(call, params, json_get(fields, "hyperparams")))
            return -1;
        json_remove(execution, "parameters");
    }
    if (cJSON_IsObject(desc)) {
        if (legacy_base(desc, previous, "configuration", false, fields)) {
            cJSON_ArrayForEach(item, desc)
                json_set(json_get(fields, "configuration"), item->string,
                         legacy_item(NULL, item->string, item));
        }
        json_remove(execution, "model_desc");
    }
    return 0;
}

static void take_model(const struct call *call, const char *type, const char *title,
                       const cJSON *model, cJSON *fields)
{
    char iso[CLOCK_ISO_SIZE];
    if (!cJSON_IsString(model))
        return;
    cJSON *models = json_get(fields, "models");
    if (!models)
        models = json_set(fields, "models", cJSON_CreateObject());
    cJSON *list = json_set(models, type, cJSON_CreateArray());
    if (!model->valuestring[0])
        return;
    cJSON *item = cJSON_CreateObject();
    json_set_str(item, "name", title);
    json_set_str(item, "model", model->valuestring);
    json_set_str(item, "updated", clock_iso_clearml(call->now_ms, iso));
    cJSON_AddItemToArray(list, item);
}

static void take_docker_cmd(const char *command, cJSON *fields)
{
    cJSON *container = json_get(fields, "container");
    if (!container)
        container = json_set(fields, "container", cJSON_CreateObject());
    size_t n = strcspn(command, " ");
    auto_free char *image = xstrndup(command, n);
    json_set_str(container, "image", image);
    json_set_str(container, "arguments", command[n] ? command + n + 1 : "");
}

int task_compat_take(struct call *call, const cJSON *request, const cJSON *previous,
                     cJSON *fields)
{
    if (take_legacy(call, previous, fields))
        return -1;
    if (call->api_version >= API_VERSION(2, 13))
        return 0;
    const cJSON *execution = json_get(request, "execution");
    take_model(call, "input", "Input Model", json_get(execution, "model"), fields);
    take_model(call, "output", "Output Model",
               json_get(json_get(request, "output"), "model"), fields);
    const char *command = json_str(execution, "docker_cmd", NULL);
    if (command)
        take_docker_cmd(command, fields);
    return 0;
}

static cJSON *member_object(cJSON *task, const char *name)
{
    cJSON *object = json_get(task, name);
    return object ? object : json_set(task, name, cJSON_CreateObject());
}

static void give_models(cJSON *task)
{
    const cJSON *models = json_get(task, "models");
    const cJSON *input = json_get(models, "input"),
                *output = json_get(models, "output");
    int count = cJSON_GetArraySize(output);
    if (cJSON_GetArraySize(input))
        json_set_str(member_object(task, "execution"), "model",
                     json_str(input->child, "model", ""));
    if (count)
        json_set_str(member_object(task, "output"), "model",
                     json_str(cJSON_GetArrayItem(output, count - 1), "model", ""));
}

static void give_docker_cmd(cJSON *task)
{
    const cJSON *container = json_get(task, "container");
    const char *image = json_str(container, "image", "");
    const char *arguments = json_str(container, "arguments", "");
    if (!*image)
        return;
    auto_free char *command =
        xasprintf("%s%s%s", image, *arguments ? " " : "", arguments);
    json_set_str(member_object(task, "execution"), "docker_cmd", command);
}

static void give_parameters(cJSON *task)
{
    auto_json *params = cJSON_CreateObject(), *desc = cJSON_CreateObject();
    const cJSON *section, *item;
    cJSON_ArrayForEach(section, json_get(task, "hyperparams"))
    {
        bool define = !strcmp(section->string, "TF_DEFINE");
        cJSON_ArrayForEach(item, section)
        {
            auto_free char *name =
                xasprintf("%s%s", define ? "TF_DEFINE/" : "", item->string);
            if (is_legacy(item))
                json_set_str(params, name, json_str(item, "value", ""));
        }
    }
    cJSON_ArrayForEach(item, json_get(task, "configuration"))
    {
        if (is_legacy(item))
            json_set_str(desc, item->string, json_str(item, "value", ""));
    }
    if (params->child)
        json_set(member_object(task, "execution"), "parameters",
                 cJSON_Duplicate(params, true));
    if (desc->child)
        json_set(member_object(task, "execution"), "model_desc",
                 cJSON_Duplicate(desc, true));
}

void task_conform(const struct call *call, cJSON *task)
{
    if (call->api_version >= API_VERSION(2, 13))
        return;
    give_models(task);
    give_docker_cmd(task);
    if (call->api_version < API_VERSION(2, 9))
        give_parameters(task);
    tags_give(call, task);
}

/* ---- tags ---- */

/* ClearML's own table of what was a system tag. */
static bool was_system_tag(const char *entity, const char *tag)
{
    static const char *const names[][2] = {
        {"model", "active"},   {"model", "archived"},   {"project", "archived"},
        {"project", "public"}, {"project", "default"},  {"task", "active"},
        {"task", "archived"},  {"task", "development"}, {"queue", "default"}};
    const char *name = tag + (tag[0] == '-');
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (!strcmp(names[i][0], entity) && !strcmp(names[i][1], name))
            return true;
    }
    return !strcmp(entity, "task") && !strncasecmp(name, "annotat", 7);
}

void tags_take(const struct call *call, const char *entity, cJSON *request)
{
    cJSON *tags = json_get(request, "tags"), *next;
    const cJSON *system = json_get(request, "system_tags");
    if (call->api_version >= API_VERSION(2, 3) || !cJSON_IsArray(tags) ||
        (system && system->child))
        return;
    cJSON *parted = json_set(request, "system_tags", cJSON_CreateArray());
    for (cJSON *tag = tags->child; tag; tag = next) {
        next = tag->next;
        if (cJSON_IsString(tag) && was_system_tag(entity, tag->valuestring))
            cJSON_AddItemToArray(parted, cJSON_DetachItemViaPointer(tags, tag));
    }
}

void tags_give(const struct call *call, cJSON *doc)
{
    const cJSON *tag, *system = json_get(doc, "system_tags");
    if (call->api_version >= API_VERSION(2, 3) || !system || !system->child)
        return;
    cJSON *tags = cJSON_DetachItemFromObjectCaseSensitive(doc, "tags");
    tags = tags ? tags : cJSON_CreateArray();
    cJSON_ArrayForEach(tag, system)
        cJSON_AddItemToArray(tags, cJSON_Duplicate(tag, true));
    json_set(doc, "tags", tags_clean(tags));
}
