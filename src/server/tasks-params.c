/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/tasks-internal.h"

#include "base/alloc.h"
#include "base/json.h"
#include "server/names.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PROPERTIES "properties"

/* ---- the stored form ---- */

static char *key_dup(struct call *call, const char *key, const char *what)
{
    char *name = names_strip_dup(key);
    if (*name)
        return name;
    free(name);
    auto_free char *text = xasprintf("Empty %s name is not allowed", what);
    api_fail(call, API_VALIDATION, text, NULL);
    return NULL;
}

/* One parameter or configuration with its names filled in; NULL after failing. */
static cJSON *clean_item(struct call *call, const char *field, const char *section,
                         const char *name, const cJSON *item)
{
    if (!cJSON_IsObject(item) || !cJSON_IsString(json_get(item, "value"))) {
        api_fail(call, API_DATA_VALIDATION, NULL, field,
                 "a value that is a string is required", NULL);
        return NULL;
    }
    static const char *const optional[] = {"value", "type", "description"};
    cJSON *out = cJSON_CreateObject();
    if (section)
        json_set_str(out, "section", json_str(item, "section", section));
    json_set_str(out, "name", json_str(item, "name", name));
    for (size_t i = 0; i < ARRAY_SIZE(optional); i++) {
        const char *text = json_str(item, optional[i], NULL);
        if (text)
            json_set_str(out, optional[i], text);
    }
    return out;
}

static int clean_items(struct call *call, const char *field, const char *section,
                       const cJSON *items, cJSON *out)
{
    const cJSON *item;
    if (!cJSON_IsObject(items))
        return api_fail(call, API_DATA_VALIDATION, NULL, field,
                        "Only dictionaries may be used in a DictField", NULL);
    cJSON_ArrayForEach(item, items)
    {
        auto_free char *name =
            key_dup(call, item->string, section ? "parameter" : "configuration");
        cJSON *clean = name ? clean_item(call, field, section, name, item) : NULL;
        if (!clean)
            return -1;
        json_set(out, name, clean);
    }
    return 0;
}

static int clean_sections(struct call *call, const cJSON *sections, cJSON *out)
{
    const cJSON *section;
    cJSON_ArrayForEach(section, sections)
    {
        auto_free char *name = key_dup(call, section->string, "section");
        if (!name)
            return -1;
        cJSON *at = json_set(out, name, cJSON_CreateObject());
        if (clean_items(call, "hyperparams", name, section, at))
            return -1;
    }
    return 0;
}

int task_params_clean(struct call *call, cJSON *fields)
{
    const cJSON *hyperparams = json_get(fields, "hyperparams");
    const cJSON *configuration = json_get(fields, "configuration");
    if (hyperparams) {
        cJSON *out = cJSON_CreateObject();
        int rc = clean_sections(call, hyperparams, out);
        json_set(fields, "hyperparams", out);
        if (rc)
            return -1;
    }
    if (configuration) {
        cJSON *out = cJSON_CreateObject();
        int rc = clean_items(call, "configuration", NULL, configuration, out);
        json_set(fields, "configuration", out);
        if (rc)
            return -1;
    }
    return 0;
}

/* ---- lists out of the stored form ---- */

static int compare_items(const void *a, const void *b)
{
    const cJSON *const *x = a, *const *y = b;
    int order = strcmp(json_str(*x, "section", ""), json_str(*y, "section", ""));
    return order ? order : strcmp(json_str(*x, "name", ""), json_str(*y, "name", ""));
}

/* A list of what is in an object (or, two deep, in its members), sorted. Taken apart.
 */
static cJSON *items_list(cJSON *object, bool sections)
{
    size_t count = 0, cap = 0;
    cJSON **items = NULL;
    for (cJSON *s = object ? object->child : NULL; s; s = sections ? s->next : NULL) {
        cJSON *from = sections ? s : object;
        while (from->child) {
            if (count == cap)
                items = xreallocarray(items, cap = cap ? cap * 2 : 16, sizeof *items);
            items[count++] = cJSON_DetachItemViaPointer(from, from->child);
        }
    }
    if (count)
        qsort(items, count, sizeof *items, compare_items);
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(list, items[i]);
    free(items);
    cJSON_Delete(object);
    return list;
}

/* All tasks of the request, or 400/101. */
static const cJSON *requested_tasks(struct call *call)
{
    const cJSON *ids = request_strings(call, "tasks"), *id;
    cJSON_ArrayForEach(id, ids)
    {
        if (task_exists(call->db, id->valuestring))
            continue;
        auto_free char *all = json_format(ids);
        api_fail(call, API_INVALID_TASK_ID, NULL, "ids", all, NULL);
        return NULL;
    }
    return ids;
}

static cJSON *add_answer(struct call *call, const char *list, const char *task)
{
    cJSON *at = json_get(call->data, list);
    if (!at)
        at = json_set(call->data, list, cJSON_CreateArray());
    cJSON *one = cJSON_CreateObject();
    json_set_str(one, "task", task);
    cJSON_AddItemToArray(at, one);
    return one;
}

int tasks_get_hyper_params(struct call *call)
{
    const cJSON *ids = requested_tasks(call), *id;
    if (!ids)
        return -1;
    cJSON_ArrayForEach(id, ids)
    {
        cJSON *params =
            doc_load_field(call->db, &task_type, id->valuestring, "hyperparams");
        json_set(add_answer(call, "params", id->valuestring), "hyperparams",
                 items_list(params, true));
    }
    return 0;
}

static bool name_wanted(const cJSON *names, const char *name)
{
    return !cJSON_IsArray(names) || !names->child || json_list_has(names, name);
}

int tasks_get_configurations(struct call *call)
{
    const cJSON *ids = requested_tasks(call), *id;
    const cJSON *names = json_get(call->request, "names");
    if (!ids)
        return -1;
    cJSON_ArrayForEach(id, ids)
    {
        cJSON *all =
            doc_load_field(call->db, &task_type, id->valuestring, "configuration");
        for (cJSON *item = all ? all->child : NULL, *next; item; item = next) {
            next = item->next;
            if (!name_wanted(names, item->string))
                cJSON_Delete(cJSON_DetachItemViaPointer(all, item));
        }
        json_set(add_answer(call, "configurations", id->valuestring), "configuration",
                 items_list(all, false));
    }
    return 0;
}

int tasks_get_configuration_names(struct call *call)
{
    const cJSON *ids = request_strings(call, "tasks"), *id, *item;
    bool skip_empty = request_true(call->request, "skip_empty", true);
    if (!ids)
        return -1;
    json_set(call->data, "configurations", cJSON_CreateArray());
    cJSON_ArrayForEach(id, ids)
    {
        auto_json *all =
            doc_load_field(call->db, &task_type, id->valuestring, "configuration");
        cJSON *names = cJSON_CreateArray();
        cJSON_ArrayForEach(item, all)
        {
            if (!skip_empty || *json_str(item, "value", ""))
                cJSON_AddItemToArray(names, cJSON_CreateString(item->string));
        }
        if (names->child)
            json_set(add_answer(call, "configurations", id->valuestring), "names",
                     tags_clean(names));
        else
            cJSON_Delete(names);
    }
    return 0;
}

/* ---- changes ---- */

int task_for_update(struct call *call, const char *id, bool any_status, bool force)
{
    struct task_head task;
    if (task_head_load(call, id, &task))
        return -1;
    if (any_status || !strcmp(task.status, "created") ||
        (force && !strcmp(task.status, "in_progress")))
        return 0;
    return api_fail(call, API_INVALID_TASK_STATUS, NULL, "expected", "created",
                    "status", task.status, NULL);
}

static int store_params(struct call *call, const char *task, const char *field,
                        cJSON *value, bool update, const char *answer)
{
    auto_json *fields = cJSON_CreateObject();
    json_set(fields, field, value);
    task_stamp(call, fields, update);
    json_set_int(call->data, answer, doc_set(call->db, &task_type, task, fields, NULL));
    return 0;
}

/* The section's name as it is stored. */
static const char *section_of(const cJSON *item)
{
    const char *section = json_str(item, "section", "");
    return strcasecmp(section, PROPERTIES) ? section : PROPERTIES;
}

static bool properties_only(const cJSON *items)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, items)
    {
        if (strcmp(section_of(item), PROPERTIES))
            return false;
    }
    return true;
}

/* The request's items by section. NULL after failing. */
static cJSON *items_by_section(struct call *call, const cJSON *items)
{
    cJSON *out = cJSON_CreateObject();
    const cJSON *item;
    cJSON_ArrayForEach(item, items)
    {
        auto_free char *section = names_strip_dup(section_of(item));
        auto_free char *name = names_strip_dup(json_str(item, "name", ""));
        cJSON *clean = clean_item(call, "hyperparams", section, name, item);
        if (!clean || !*section || !*name) {
            if (clean)
                api_fail(call, API_VALIDATION, "Empty key is not allowed", NULL);
            cJSON_Delete(clean);
            cJSON_Delete(out);
            return NULL;
        }
        cJSON_SetValuestring(json_get(clean, "section"), section_of(item));
        cJSON *at = json_get(out, section);
        if (!at)
            at = json_set(out, section, cJSON_CreateObject());
        json_set(at, name, clean);
    }
    return out;
}

/* replace: "all", "section", or each parameter alone. Takes both, returns the sum. */
static cJSON *merge_params(cJSON *old, cJSON *given, const char *replace)
{
    if (!strcmp(replace, "all") || !cJSON_IsObject(old)) {
        cJSON_Delete(old);
        return given;
    }
    while (given->child) {
        cJSON *section = cJSON_DetachItemViaPointer(given, given->child);
        cJSON *at = json_get(old, section->string);
        if (!strcmp(replace, "section") || !at) {
            auto_free char *name = xstrdup(section->string);
            json_set(old, name, section);
            continue;
        }
        while (section->child) {
            cJSON *item = cJSON_DetachItemViaPointer(section, section->child);
            auto_free char *name = xstrdup(item->string);
            json_set(at, name, item);
        }
        cJSON_Delete(section);
    }
    cJSON_Delete(given);
    return old;
}

int tasks_edit_hyper_params(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    const char *replace = json_str(call->request, "replace_hyperparams", "none");
    const cJSON *items = request_objects(call, "hyperparams", "section", "name", NULL);
    if (!items)
        return -1;
    bool named = !json_get(call->request, "replace_hyperparams") ||
                 json_str(call->request, "replace_hyperparams", NULL);
    if (!named || (strcmp(replace, "none") && strcmp(replace, "section") &&
                   strcmp(replace, "all")))
        return api_fail(call, API_VALIDATION, "unknown replace_hyperparams", NULL);
    bool properties = properties_only(items);
    if (task_for_update(call, task, properties,
                        request_true(call->request, "force", false)))
        return -1;
    cJSON *given = items_by_section(call, items);
    if (!given)
        return -1;
    cJSON *old = doc_load_field(call->db, &task_type, task, "hyperparams");
    return store_params(call, task, "hyperparams", merge_params(old, given, replace),
                        !properties, "updated");
}

int tasks_delete_hyper_params(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    const cJSON *items = request_objects(call, "hyperparams", "section", NULL), *item;
    if (!items)
        return -1;
    bool properties = properties_only(items);
    if (task_for_update(call, task, properties,
                        request_true(call->request, "force", false)))
        return -1;
    cJSON *params = doc_load_field(call->db, &task_type, task, "hyperparams");
    auto_json *whole = cJSON_CreateObject();
    cJSON_ArrayForEach(item, items)
    {
        if (!*json_str(item, "name", ""))
            json_set_bool(whole, section_of(item), true);
    }
    cJSON_ArrayForEach(item, items)
    {
        const char *section = section_of(item), *name = json_str(item, "name", "");
        if (!*name) {
            json_remove(params, section);
        } else if (json_get(whole, section)) {
            cJSON_Delete(params);
            return api_fail(call, API_FIELDS_CONFLICT,
                            "Cannot delete section field if the whole section was "
                            "scheduled for deletion",
                            NULL);
        } else {
            json_remove(json_get(params, section), name);
        }
    }
    return store_params(call, task, "hyperparams",
                        params ? params : cJSON_CreateObject(), !properties, "deleted");
}

int tasks_edit_configuration(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    const cJSON *items = request_objects(call, "configuration", "name", NULL), *item;
    if (!items ||
        task_for_update(call, task, false, request_true(call->request, "force", false)))
        return -1;
    cJSON *all = request_true(call->request, "replace_configuration", false)
                     ? NULL
                     : doc_load_field(call->db, &task_type, task, "configuration");
    if (!all)
        all = cJSON_CreateObject();
    cJSON_ArrayForEach(item, items)
    {
        auto_free char *name =
            key_dup(call, json_str(item, "name", ""), "configuration");
        cJSON *clean =
            name ? clean_item(call, "configuration", NULL, name, item) : NULL;
        if (!clean) {
            cJSON_Delete(all);
            return -1;
        }
        json_set(all, name, clean);
    }
    return store_params(call, task, "configuration", all, true, "updated");
}

int tasks_delete_configuration(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    const cJSON *names = request_strings(call, "configuration"), *name;
    if (!names ||
        task_for_update(call, task, false, request_true(call->request, "force", false)))
        return -1;
    cJSON *all = doc_load_field(call->db, &task_type, task, "configuration");
    cJSON_ArrayForEach(name, names) json_remove(all, name->valuestring);
    return store_params(call, task, "configuration", all ? all : cJSON_CreateObject(),
                        true, "deleted");
}
