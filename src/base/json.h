/* json.h - cJSON with paths, types and bounds checked
 *
 * In a library of its own: programs that must stay tiny (reeve-subagent) do not link
 * it. No name here may be one of jansson's (json_object, json_string, ...), which
 * libjwt stands on: a program's own function would take the library's place. */
#ifndef REEVE_JSON_H
#define REEVE_JSON_H

#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline void auto_json_cleanup(cJSON **p)
{
    cJSON_Delete(*p);
}
/* A local document that is freed when it leaves its scope. */
#define auto_json __attribute__((cleanup(auto_json_cleanup))) cJSON

/* Parses exactly n bytes: one value, then nothing but white space. NULL with err set;
 * an embedded NUL, bad UTF-8 or nesting above cJSON's limit (1,000) is refused. An
 * escaped NUL in a string (\u0000) is read as U+FFFD. */
cJSON *json_parse(const char *data, size_t n, struct reeve_error *err);
/* One line, to be freed by the caller with free(3); aborts when out of memory. */
char *json_format(const cJSON *value);

/* The member of an object, by exact name (cJSON's own look-up ignores case); NULL if
 * absent or if object is no object. */
cJSON *json_get(const cJSON *object, const char *name);
/* The same along names: json_path(t, "script", "diff", NULL). */
cJSON *json_path(const cJSON *object, ...) __attribute__((sentinel));
/* The string, borrowed; fallback if absent or no string. */
const char *json_str(const cJSON *object, const char *name, const char *fallback);
int64_t json_int(const cJSON *object, const char *name, int64_t fallback);
double json_num(const cJSON *object, const char *name, double fallback);
bool json_bool(const cJSON *object, const char *name, bool fallback);
/* True if it is an array that has this string. */
bool json_list_has(const cJSON *list, const char *text);

/* The member, made as an empty object if there is none; borrowed. */
cJSON *json_member(cJSON *object, const char *name);
/* Sets a member, replacing one of that name. value is taken. Returns it. */
cJSON *json_set(cJSON *object, const char *name, cJSON *value);
cJSON *json_set_str(cJSON *object, const char *name,
                    const char *value); /* NULL: null */
/* A wall clock's milliseconds as ISO 8601 text; 0: null. */
cJSON *json_set_time(cJSON *object, const char *name, int64_t wall_ms);
cJSON *json_set_int(cJSON *object, const char *name, int64_t value);
cJSON *json_set_num(cJSON *object, const char *name, double value);
cJSON *json_set_bool(cJSON *object, const char *name, bool value);
void json_remove(cJSON *object, const char *name);

#endif
