/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/fields.h"
#include "base/alloc.h"
#include "base/json.h"
#include "base/utf8.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* As far as every integer is a double of its own. */
#define INTEGER_MAX 9007199254740992.0

static int wrong_type(struct call *call, const char *field, const char *expected)
{
    return call_fail(call, 400, 12,
                     "Validation error (error for field '%s': value is wrong, expected "
                     "type \"%s\".)",
                     field, expected);
}

static int wrong_items(struct call *call, const char *field, const char *expected)
{
    return call_fail(call, 400, 12,
                     "Validation error (error for field '%s': all items must be "
                     "instances of \"%s\".)",
                     field, expected);
}

static int missing(struct call *call, const char *field)
{
    return call_fail(call, 400, 12,
                     "Validation error (error for field '%s'. field is required!)",
                     field);
}

/* What Python takes for false. */
static bool is_false(const cJSON *value)
{
    if (cJSON_IsNumber(value))
        return value->valuedouble == 0;
    if (cJSON_IsString(value))
        return !value->valuestring[0];
    return !cJSON_IsTrue(value) && !value->child;
}

/* ---- one value ---- */

/* A text that Python's int() reads. */
static bool integer_text(const char *text)
{
    text += strspn(text, " \t\r\n\v\f");
    text += *text == '-' || *text == '+';
    size_t digits = strspn(text, "0123456789");
    text += digits;
    return digits > 0 && text[strspn(text, " \t\r\n\v\f")] == '\0';
}

static int to_integer(struct call *call, cJSON *object, const char *name,
                      const cJSON *value)
{
    double number;
    if (cJSON_IsNumber(value))
        number = value->valuedouble;
    else if (cJSON_IsBool(value))
        number = cJSON_IsTrue(value);
    else if (cJSON_IsString(value) && integer_text(value->valuestring))
        number = strtod(value->valuestring, NULL);
    else
        return wrong_type(call, name, "int");
    if (!isfinite(number) || fabs(number) > INTEGER_MAX)
        return wrong_type(call, name, "int");
    if (!cJSON_IsNumber(value) || trunc(number) != number)
        json_set_num(object, name, trunc(number));
    return 0;
}

/* "a|b|c" has it; a leading '?' is for null. */
static bool is_choice(const char *choices, const char *text)
{
    size_t n = strlen(text);
    for (choices += *choices == '?';; choices++) {
        size_t length = strcspn(choices, "|");
        if (length == n && memcmp(choices, text, n) == 0)
            return true;
        choices += length;
        if (!*choices)
            return false;
    }
}

static int check_string(struct call *call, const struct field *f, const cJSON *value)
{
    if (!cJSON_IsString(value))
        return wrong_type(call, f->name, "str");
    if (f->choices && f->choices[f->choices[0] == '?'] &&
        !is_choice(f->choices, value->valuestring))
        return call_fail(call, 400, 12,
                         "Validation error (error for field '%s': value is not a valid "
                         "choice.)",
                         f->name);
    if (utf8_count(value->valuestring, strlen(value->valuestring)) < f->least)
        return call_fail(call, 400, 12,
                         "Validation error (error for field '%s': value length is "
                         "lower than allowed minimum '%zu'.)",
                         f->name, f->least);
    return 0;
}

/* ---- lists ---- */

static int check_item(struct call *call, const struct field *f, cJSON *item)
{
    if (f->type == FIELD_ARRAY) {
        if (f->members && !cJSON_IsObject(item))
            return wrong_items(call, f->name, "object");
        return f->members ? fields_check(call, item, f->members) : 0;
    }
    if (cJSON_IsString(item) || (cJSON_IsNull(item) && f->type == FIELD_STRINGS_NULL))
        return 0;
    return wrong_items(call, f->name, "str");
}

/* str() of no arguments, which is how an empty object is made a string. */
static void empty_objects_to_strings(cJSON *list)
{
    cJSON *next;
    for (cJSON *item = list->child; item; item = next) {
        next = item->next;
        if (cJSON_IsObject(item) && !item->child)
            cJSON_ReplaceItemViaPointer(list, item, cJSON_CreateString(""));
    }
}

static int check_list(struct call *call, cJSON *object, const struct field *f,
                      cJSON *value)
{
    cJSON *item;
    if (value && is_false(value) && !cJSON_IsArray(value))
        value = json_set(object, f->name, cJSON_CreateArray());
    if (value && !cJSON_IsArray(value))
        return wrong_type(call, f->name, "list");
    if (value && f->type == FIELD_STRINGS)
        empty_objects_to_strings(value);
    size_t count = 0;
    cJSON_ArrayForEach(item, value)
    {
        if (check_item(call, f, item))
            return -1;
        count++;
    }
    /* A list that is not there is an empty one. */
    if (count < f->least || (count == 0 && f->required))
        return call_fail(call, 400, 12,
                         "Validation error (error for field '%s': value '[]' length is "
                         "lower than allowed minimum '1'.)",
                         f->name);
    return 0;
}

/* ---- fields ---- */

static bool is_list(const struct field *f)
{
    return f->type == FIELD_ARRAY || f->type == FIELD_STRINGS ||
           f->type == FIELD_STRINGS_NULL;
}

static int check_value(struct call *call, cJSON *object, const struct field *f,
                       cJSON *value)
{
    switch (f->type) {
    case FIELD_STRING:
        return check_string(call, f, value);
    case FIELD_INTEGER:
        return to_integer(call, object, f->name, value);
    case FIELD_NUMBER:
        return cJSON_IsNumber(value) || cJSON_IsBool(value)
                   ? 0
                   : wrong_type(call, f->name, "float, int");
    case FIELD_BOOL:
        if (!cJSON_IsBool(value))
            json_set_bool(object, f->name, !is_false(value));
        return 0;
    case FIELD_OBJECT:
        if (!cJSON_IsObject(value))
            return wrong_type(call, f->name, "dict");
        return f->members ? fields_check(call, value, f->members) : 0;
    default:
        return 0;
    }
}

static int check_field(struct call *call, cJSON *object, const struct field *f)
{
    cJSON *value = json_get(object, f->name);
    if (is_list(f))
        return check_list(call, object, f, value);
    if (cJSON_IsNull(value) && f->type == FIELD_BOOL)
        json_set_bool(object, f->name, false); /* whatever the default is */
    else if (!value || cJSON_IsNull(value)) {
        /* Rules on the value hold for a null too, unless they say so. */
        bool ruled = f->type == FIELD_STRING && (f->least > 0 || f->choices) &&
                     !(f->choices && f->choices[0] == '?');
        return f->required || (value && ruled) ? missing(call, f->name) : 0;
    }
    return check_value(call, object, f, json_get(object, f->name));
}

int fields_check(struct call *call, cJSON *object, const struct field *fields)
{
    for (const struct field *f = fields; f && f->name; f++) {
        if (check_field(call, object, f))
            return -1;
    }
    return 0;
}
