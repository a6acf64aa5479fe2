/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/json.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/utf8.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

/* cJSON cuts a string at an escaped NUL, which would lose what follows it without a
 * word: each is made U+FFFD, of the same length. NULL if there is none. */
static char *without_nul_escapes(const char *data, size_t n)
{
    static const char escape[] = "\\u0000";
    if (!memmem(data, n, escape, 6))
        return NULL;
    char *copy = xmalloc(n);
    memcpy(copy, data, n);
    for (size_t i = 0; i + 6 <= n; i++) {
        if (copy[i] != '\\')
            continue;
        if (!memcmp(copy + i, escape, 6))
            memcpy(copy + i + 2, "fffd", 4);
        i++; /* whatever is escaped here starts no escape itself */
    }
    return copy;
}

cJSON *json_parse(const char *data, size_t n, struct reeve_error *err)
{
    if (!utf8_valid(data, n)) {
        reeve_error_set(err, 0, "not UTF-8");
        return NULL;
    }
    if (memchr(data, '\0', n)) {
        reeve_error_set(err, 0, "a NUL byte in JSON");
        return NULL;
    }
    auto_free char *copy = without_nul_escapes(data, n);
    if (copy)
        data = copy;
    const char *end = NULL;
    cJSON *value = cJSON_ParseWithLengthOpts(data, n, &end, 0);
    if (!value) {
        reeve_error_set(err, 0, "invalid JSON at byte %zu",
                        end && end >= data ? (size_t)(end - data) : 0);
        return NULL;
    }
    size_t used = (size_t)(end - data);
    for (; used < n; used++) {
        if (!strchr(" \t\r\n", data[used])) {
            reeve_error_set(err, 0, "invalid JSON at byte %zu", used);
            cJSON_Delete(value);
            return NULL;
        }
    }
    return value;
}

char *json_format(const cJSON *value)
{
    char *s = cJSON_PrintUnformatted(value);
    if (!s)
        abort();
    return s;
}

cJSON *json_get(const cJSON *object, const char *name)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, name)
                                  : NULL;
}

cJSON *json_path(const cJSON *object, ...)
{
    va_list ap;
    va_start(ap, object);
    cJSON *at = (cJSON *)object;
    for (const char *name; at && (name = va_arg(ap, const char *));)
        at = json_get(at, name);
    va_end(ap);
    return at;
}

const char *json_str(const cJSON *object, const char *name, const char *fallback)
{
    const cJSON *v = json_get(object, name);
    return cJSON_IsString(v) ? v->valuestring : fallback;
}

double json_num(const cJSON *object, const char *name, double fallback)
{
    const cJSON *v = json_get(object, name);
    return cJSON_IsNumber(v) ? v->valuedouble : fallback;
}

int64_t json_int(const cJSON *object, const char *name, int64_t fallback)
{
    const cJSON *v = json_get(object, name);
    if (!cJSON_IsNumber(v) || isnan(v->valuedouble))
        return fallback;
    /* The largest double below 2^63: beyond it the conversion is undefined. */
    if (v->valuedouble >= 9223372036854774784.0)
        return INT64_MAX;
    if (v->valuedouble <= -9223372036854774784.0)
        return INT64_MIN;
    return (int64_t)v->valuedouble;
}

bool json_bool(const cJSON *object, const char *name, bool fallback)
{
    const cJSON *v = json_get(object, name);
    return cJSON_IsBool(v) ? cJSON_IsTrue(v) : fallback;
}

bool json_list_has(const cJSON *list, const char *text)
{
    const cJSON *item;
    if (!cJSON_IsArray(list))
        return false;
    cJSON_ArrayForEach(item, list)
    {
        if (cJSON_IsString(item) && !strcmp(item->valuestring, text))
            return true;
    }
    return false;
}

cJSON *json_member(cJSON *object, const char *name)
{
    cJSON *found = json_get(object, name);
    if (found)
        return found;
    found = cJSON_CreateObject();
    cJSON_AddItemToObject(object, name, found);
    return found;
}

cJSON *json_set(cJSON *object, const char *name, cJSON *value)
{
    if (!value)
        abort();
    cJSON_DeleteItemFromObjectCaseSensitive(object, name);
    if (!cJSON_AddItemToObject(object, name, value))
        abort();
    return value;
}

cJSON *json_set_str(cJSON *object, const char *name, const char *value)
{
    return json_set(object, name,
                    value ? cJSON_CreateString(value) : cJSON_CreateNull());
}

cJSON *json_set_time(cJSON *object, const char *name, int64_t wall_ms)
{
    char text[CLOCK_ISO_SIZE];
    return json_set_str(object, name, wall_ms ? clock_iso(wall_ms, text) : NULL);
}

cJSON *json_set_int(cJSON *object, const char *name, int64_t value)
{
    return json_set(object, name, cJSON_CreateNumber((double)value));
}

cJSON *json_set_num(cJSON *object, const char *name, double value)
{
    return json_set(object, name, cJSON_CreateNumber(value));
}

cJSON *json_set_bool(cJSON *object, const char *name, bool value)
{
    return json_set(object, name, cJSON_CreateBool(value));
}

void json_remove(cJSON *object, const char *name)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, name);
}
