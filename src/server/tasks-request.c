/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/tasks-internal.h"

#include "base/json.h"
#include "server/names.h"

#include <stdarg.h>
#include <string.h>

bool request_true(const cJSON *request, const char *name, bool fallback)
{
    const cJSON *v = json_get(request, name);
    if (!v || cJSON_IsNull(v))
        return fallback;
    if (cJSON_IsBool(v))
        return cJSON_IsTrue(v);
    if (cJSON_IsNumber(v))
        return v->valuedouble != 0;
    return cJSON_IsString(v) ? v->valuestring[0] != '\0' : v->child != NULL;
}

const cJSON *request_strings(struct call *call, const char *name)
{
    const cJSON *list = json_get(call->request, name), *item;
    bool sound = cJSON_IsArray(list) && list->child;
    cJSON_ArrayForEach(item, list) sound &= cJSON_IsString(item);
    if (sound)
        return list;
    api_fail(call, API_VALIDATION, "a list of at least one string is expected", "field",
             name, NULL);
    return NULL;
}

static bool object_sound(const cJSON *item, va_list names)
{
    for (const char *name; (name = va_arg(names, const char *));) {
        if (!*json_str(item, name, ""))
            return false;
    }
    return cJSON_IsObject(item);
}

const cJSON *request_objects(struct call *call, const char *name, ...)
{
    const cJSON *list = json_get(call->request, name), *item;
    bool sound = cJSON_IsArray(list) && list->child;
    cJSON_ArrayForEach(item, list)
    {
        va_list ap;
        va_start(ap, name);
        sound &= object_sound(item, ap);
        va_end(ap);
    }
    if (sound)
        return list;
    api_fail(call, API_VALIDATION, "a list of at least one complete item is expected",
             "field", name, NULL);
    return NULL;
}

cJSON *tags_clean(cJSON *tags)
{
    names_sort(tags);
    return tags;
}
