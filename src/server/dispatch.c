/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/dispatch.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"
#include "server/fields.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_DEPTH_MAX 32
/* Arguments are looked up by name, one after the other. */
#define FORM_MAX 65536

/* Every API service's table; each owner adds its own. */
static const struct endpoint *const services[] = {
    auth_endpoints,      login_endpoints,   debug_endpoints,    server_endpoints,
    users_endpoints,     queues_endpoints,  projects_endpoints, tasks_endpoints,
    models_endpoints,    events_endpoints,  workers_endpoints,  organization_endpoints,
    pipelines_endpoints, reports_endpoints, serving_endpoints,  storage_endpoints};

/* One endpoint's versions lie together, newest first. */
struct dispatch {
    const struct endpoint **sorted;
    size_t n;
};

/* "2.13" to API_VERSION(2, 13); -1 if it is none. */
static int parse_version(const char *text, size_t n)
{
    int part[2] = {0, 0};
    size_t at = 0;
    if (n == 0 || n > 9)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '.' && at == 0 && i > 0 && i + 1 < n)
            at = 1;
        else if (isdigit((unsigned char)text[i]))
            part[at] = part[at] * 10 + (text[i] - '0');
        else
            return -1;
    }
    if (part[0] > 999 || part[1] > 999)
        return -1;
    return API_VERSION(part[0], part[1]);
}

static int endpoint_version(const struct endpoint *e)
{
    return parse_version(e->min_version, strlen(e->min_version));
}

static int compare_endpoints(const void *a, const void *b)
{
    const struct endpoint *x = *(const struct endpoint *const *)a;
    const struct endpoint *y = *(const struct endpoint *const *)b;
    int order = strcmp(x->name, y->name);
    return order ? order : endpoint_version(y) - endpoint_version(x);
}

struct dispatch *dispatch_create(bool extensions)
{
    struct dispatch *d = xcalloc(1, sizeof *d);
    size_t n = 0;
    for (size_t s = 0; s < ARRAY_SIZE(services); s++)
        for (const struct endpoint *e = services[s]; e->name; e++)
            n++;
    d->sorted = xcalloc(n, sizeof(*d->sorted));
    for (size_t s = 0; s < ARRAY_SIZE(services); s++)
        for (const struct endpoint *e = services[s]; e->name; e++)
            if (extensions || !(e->flags & ENDPOINT_EXTENSION))
                d->sorted[d->n++] = e;
    qsort(d->sorted, d->n, sizeof(*d->sorted), compare_endpoints);
    return d;
}

void dispatch_destroy(struct dispatch *d)
{
    if (!d)
        return;
    free(d->sorted);
    free(d);
}

void dispatch_list(struct dispatch *d, cJSON *out)
{
    for (size_t i = 0; i < d->n; i++) {
        cJSON *list = json_get(out, d->sorted[i]->name);
        if (!list)
            list = json_set(out, d->sorted[i]->name, cJSON_CreateArray());
        cJSON *one = cJSON_CreateObject();
        json_set_str(one, "min_version", d->sorted[i]->min_version);
        json_set_bool(one, "authorize", !(d->sorted[i]->flags & ENDPOINT_PUBLIC));
        cJSON_AddItemToArray(list, one);
    }
}

/* ---- the path ---- */

static size_t name_length(const char *p)
{
    if (!isalpha((unsigned char)*p) && *p != '_')
        return 0;
    size_t n = 1;
    while (isalnum((unsigned char)p[n]) || p[n] == '_')
        n++;
    return n >= 2 ? n : 0;
}

/* "/v2.9/service.action/": fills version_text, api_version and endpoint_name. */
static bool split_path(struct call *call, const char *path)
{
    const char *p = path + (*path == '/');
    size_t digits = *p == 'v' ? strspn(p + 1, "0123456789.") : 0;
    snprintf(call->version_text, sizeof call->version_text, "%d.%d",
             API_VERSION_MAX / 1000, API_VERSION_MAX % 1000);
    if (digits >= 2 && p[1 + digits] == '/') {
        call->api_version = parse_version(p + 1, digits);
        if (call->api_version < 0)
            return false;
        snprintf(call->version_text, sizeof call->version_text, "%.*s", (int)digits,
                 p + 1);
        p += digits + 2;
    }
    size_t service = name_length(p);
    if (service == 0 || p[service] != '.')
        return false;
    size_t action = name_length(p + service + 1);
    size_t n = service + 1 + action;
    if (action == 0 || n >= sizeof call->endpoint_name)
        return false;
    if (strcmp(p + n, "") != 0 && strcmp(p + n, "/") != 0)
        return false;
    snprintf(call->endpoint_name, sizeof call->endpoint_name, "%.*s", (int)n, p);
    return true;
}

/* The first (newest) entry of this name. */
static size_t find_name(const struct dispatch *d, const char *name)
{
    size_t low = 0, high = d->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(d->sorted[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int dispatch_path(struct dispatch *d, struct call *call, const char *path)
{
    if (!split_path(call, path))
        return call_fail(call, 400, 0, "Invalid request path %.200s", path);
    for (size_t i = find_name(d, call->endpoint_name);
         i < d->n && strcmp(d->sorted[i]->name, call->endpoint_name) == 0; i++) {
        if (endpoint_version(d->sorted[i]) <= call->api_version) {
            call->endpoint = d->sorted[i];
            return 0;
        }
    }
    return call_fail(call, 404, 0, "Unable to find endpoint for name %s and version %s",
                     call->endpoint_name, call->version_text);
}

/* ---- the body ---- */

static bool is_type(const char *content_type, const char *type)
{
    size_t n = strlen(type);
    return content_type && strncasecmp(content_type, type, n) == 0 &&
           strchr(" ;", content_type[n]) != NULL;
}

static int parse_lines(struct call *call, const char *body, size_t n)
{
    call->lines = cJSON_CreateArray();
    for (size_t at = 0, i = 0; at < n; i++) {
        const char *newline = memchr(body + at, '\n', n - at);
        size_t len = newline ? (size_t)(newline - body) - at : n - at;
        struct reeve_error err;
        cJSON *line = json_parse(body + at, len, &err);
        if (!line)
            return call_fail(call, 400, 0,
                             "Failed to decode JSON object: %s in batch item #%zu",
                             err.text, i);
        cJSON_AddItemToArray(call->lines, line);
        if (!cJSON_IsObject(line))
            return call_fail(call, 400, 0, "json lines must contain objects");
        at += len + 1;
    }
    return 0;
}

/* "a=1&b=%20x" as an object of arrays of strings. */
static cJSON *parse_form(const char *body, size_t n)
{
    cJSON *args = cJSON_CreateObject();
    for (size_t at = 0; at < n;) {
        const char *end = memchr(body + at, '&', n - at);
        size_t len = end ? (size_t)(end - body) - at : n - at;
        auto_buf pair = BUF_INIT;
        size_t equals = SIZE_MAX;
        for (size_t i = at; i < at + len; i++) {
            unsigned int byte;
            char c = body[i];
            if (c == '=' && equals == SIZE_MAX) {
                equals = pair.len;
                c = '\0';
            } else if (c == '+') {
                c = ' ';
            } else if (c == '%' && i + 2 < at + len &&
                       isxdigit((unsigned char)body[i + 1]) &&
                       isxdigit((unsigned char)body[i + 2])) {
                sscanf((char[]){body[i + 1], body[i + 2], 0}, "%x", &byte);
                c = (char)byte;
                i += 2;
            }
            buf_add_char(&pair, c);
        }
        if (pair.len > 0 && utf8_valid(pair.data, pair.len)) {
            cJSON *list = json_get(args, pair.data);
            if (!list)
                list = json_set(args, pair.data, cJSON_CreateArray());
            cJSON_AddItemToArray(
                list,
                cJSON_CreateString(equals == SIZE_MAX ? "" : pair.data + equals + 1));
        }
        at += len + 1;
    }
    return args;
}

int dispatch_body(struct call *call, const char *content_type, const char *body,
                  size_t n)
{
    if (is_type(content_type, "application/json-lines"))
        return parse_lines(call, body, n);
    if (is_type(content_type, "application/x-www-form-urlencoded")) {
        if (n > FORM_MAX)
            return call_fail(call, 400, 0, "Form is larger than %d bytes", FORM_MAX);
        auto_json *args = parse_form(body, n);
        return dispatch_merge_args(call, args);
    }
    if (n == 0)
        return 0;
    struct reeve_error err;
    cJSON *value = json_parse(body, n, &err);
    if (!value)
        return call_fail(call, 400, 0, "Failed to decode JSON object: %s", err.text);
    if (cJSON_IsObject(value)) {
        cJSON_Delete(call->request);
        call->request = value;
        return 0;
    }
    bool empty = cJSON_IsNull(value);
    cJSON_Delete(value);
    return empty ? 0
                 : call_fail(call, 400, 12, "Validation error (data should be a dict)");
}

/* ---- arguments of the URL ---- */

static cJSON *convert_arg(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    size_t more = text[digits] == '.' ? strspn(text + digits + 1, "0123456789") : 0;
    size_t n = strlen(text);
    bool whole = n > 0 && digits == n;
    bool broken = text[digits] == '.' && digits + more > 0 && digits + 1 + more == n;
    if (n < 300 && (whole || broken))
        return cJSON_CreateNumber(strtod(text, NULL));
    if (strcmp(text, "true") == 0 || strcmp(text, "True") == 0 ||
        strcmp(text, "TRUE") == 0)
        return cJSON_CreateTrue();
    if (strcmp(text, "false") == 0 || strcmp(text, "False") == 0 ||
        strcmp(text, "FALSE") == 0)
        return cJSON_CreateFalse();
    return cJSON_CreateString(text);
}

static int set_nested(struct call *call, char *path, cJSON *value)
{
    cJSON *at = call->request;
    char *next = path, *name = NULL;
    for (int depth = 0; (name = strsep(&next, ".")) && next; depth++) {
        cJSON *child = json_get(at, name);
        if (!cJSON_IsObject(child))
            child = json_set(at, name, cJSON_CreateObject());
        at = child;
        if (depth > PATH_DEPTH_MAX) {
            cJSON_Delete(value);
            return call_fail(call, 400, 12,
                             "Validation error (argument nested too deep)");
        }
    }
    json_set(at, name, value);
    return 0;
}

int dispatch_merge_args(struct call *call, const cJSON *args)
{
    const cJSON *arg;
    cJSON_ArrayForEach(arg, args)
    {
        auto_free char *path = xstrdup(arg->string);
        size_t n = strlen(path);
        bool list = n >= 2 && strcmp(path + n - 2, "[]") == 0;
        while (n > 0 && (path[n - 1] == '[' || path[n - 1] == ']'))
            path[--n] = '\0';
        cJSON *value;
        if (list || cJSON_GetArraySize(arg) > 1) {
            value = cJSON_CreateArray();
            const cJSON *one;
            cJSON_ArrayForEach(one, arg)
                cJSON_AddItemToArray(value, convert_arg(one->valuestring));
        } else {
            value = convert_arg(cJSON_GetArrayItem(arg, 0)->valuestring);
        }
        if (set_nested(call, path, value) < 0)
            return -1;
    }
    return 0;
}

int dispatch_validate(struct call *call)
{
    return fields_check(call, call->request, call->endpoint->fields);
}

/* ---- running ---- */

/* Virtual machine steps between two looks at the clock. */
#define STEPS 10000

static int is_expired(void *arg)
{
    struct call *call = arg;
    if (clock_boot_ms() <= call->deadline_ms)
        return 0;
    call->expired = true;
    return 1;
}

static void watch_deadline(struct call *call)
{
    if (call->deadline_ms)
        sqlite3_progress_handler(call->db, STEPS, is_expired, call);
}

/* As the same caller, in the same transaction. */
static void call_inside(struct call *outer, const char *name, cJSON *request,
                        struct call *inner)
{
    call_init(inner, outer->server);
    inner->db = outer->db;
    inner->caller = outer->caller;
    inner->now_ms = outer->now_ms;
    inner->deadline_ms = outer->deadline_ms;
    snprintf(inner->worker, sizeof inner->worker, "%s", outer->worker);
    cJSON_Delete(inner->request);
    inner->request = request;
    snprintf(inner->endpoint_name, sizeof inner->endpoint_name, "%s", name);
}

cJSON *dispatch_inside(struct dispatch *d, struct call *call, const char *name,
                       cJSON *request)
{
    struct call inner;
    cJSON *data = NULL;
    call_inside(call, name, request, &inner);
    if (dispatch_path(d, &inner, name) == 0 && dispatch_validate(&inner) == 0 &&
        dispatch_run(&inner) == 0)
        data = inner.raw_data && !inner.raw_type ? cJSON_Parse(inner.raw_data)
                                                 : steal(&inner.data);
    else
        call_fail(call, inner.code, inner.subcode, "%s", inner.message);
    call->expired |= inner.expired;
    watch_deadline(call);
    call_free(&inner);
    return data;
}

int dispatch_run(struct call *call)
{
    watch_deadline(call);
    int result = call->endpoint->handler(call);
    if (call->deadline_ms)
        sqlite3_progress_handler(call->db, 0, NULL, NULL);
    if (call->expired)
        return call_fail(call, 400, 12, "Validation error (the query takes too long)");
    if (result < 0 && call->code == 200)
        call_fail(call, 500, 0, "General server error");
    return result;
}

/* ---- the answer ---- */

/* The text may hold bytes of a path or a header. */
static void add_json_string(struct buf *out, const char *text)
{
    auto_buf safe = BUF_INIT;
    utf8_add_safe(&safe, text, strlen(text));
    cJSON item = {.type = cJSON_String, .valuestring = (char *)buf_str(&safe)};
    auto_free char *quoted = json_format(&item);
    buf_add_str(out, quoted);
}

static void add_version(struct buf *out, const struct call *call, const char *version)
{
    if (!version)
        buf_add_str(out, "null");
    else
        buf_printf(out, call->api_version < API_VERSION(2, 1) ? "%s" : "\"%s\"",
                   version);
}

static void add_json(struct buf *out, const cJSON *value)
{
    auto_free char *text = json_format(value);
    buf_add_str(out, text);
}

void dispatch_envelope(const struct call *call, struct buf *out)
{
    bool failed = call->code != 200;
    buf_printf(out, "{\"meta\":{\"id\":\"%s\",\"trx\":", call->id);
    add_json_string(out, call->trx[0] ? call->trx : call->id);
    buf_printf(out, ",\"endpoint\":{\"name\":\"%s\",\"requested_version\":",
               call->endpoint_name);
    add_version(out, call, call->version_text[0] ? call->version_text : "2.31");
    buf_add_str(out, ",\"actual_version\":");
    add_version(out, call, call->endpoint ? call->endpoint->min_version : NULL);
    buf_printf(out,
               "},\"result_code\":%d,\"result_subcode\":%d,\"result_msg\":", call->code,
               call->subcode);
    add_json_string(out, failed && call->message ? call->message : "OK");
    buf_add_str(out, ",\"error_stack\":null,\"error_data\":");
    if (call->error_data)
        add_json(out, call->error_data);
    else
        buf_add_str(out, "{}");
    buf_add_str(out, "},\"data\":");
    if (failed)
        buf_add_str(out, "{}");
    else if (call->raw_data)
        buf_add_str(out, call->raw_data);
    else
        add_json(out, call->data);
    buf_add_char(out, '}');
}
