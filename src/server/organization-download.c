/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/organization.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "server/models-internal.h"
#include "server/project-store.h"
#include "server/schema.h"
#include "server/store.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* As ClearML's configuration has it: services.organization.download. */
#define KEPT_MS (300 * 1000)
#define ITEMS_MAX 1000
#define PROJECT_NAME_MAX 60
/* What one prepared query may take, so that many of them cannot fill the disk. */
#define REQUEST_MAX (1u << 20)
/* A field may be asked for under any number of names. */
#define TABLE_MAX ((size_t)128 << 20)

const char organization_schema[] = "CREATE TABLE downloads (id TEXT PRIMARY KEY,"
                                   " expires INTEGER NOT NULL, doc TEXT NOT NULL)"
                                   " WITHOUT ROWID;";

/* ---- prepare ---- */

/* No two of the list have the same value of that name. */
static int check_unique(struct call *call, const cJSON *list, const char *name,
                        const char *fallback, const char *what)
{
    const cJSON *a, *b;
    cJSON_ArrayForEach(a, list)
    {
        const cJSON *value =
            json_get(a, name) ? json_get(a, name) : json_get(a, fallback);
        for (b = a->next; b; b = b->next) {
            const cJSON *other =
                json_get(b, name) ? json_get(b, name) : json_get(b, fallback);
            if (value && cJSON_Compare(value, other, true))
                return api_fail(call, API_VALIDATION, what, NULL);
        }
    }
    return 0;
}

static int check_mappings(struct call *call)
{
    const cJSON *mappings = json_get(call->request, "field_mappings"), *one;
    if (!mappings->child || !json_get(call->request, "only_fields")->child ||
        cJSON_GetArraySize(mappings) > ITEMS_MAX)
        return api_fail(call, API_VALIDATION, "no fields are named", NULL);
    cJSON_ArrayForEach(one, mappings)
    {
        const cJSON *values = json_get(one, "values");
        if (!cJSON_IsString(json_get(one, "field")) ||
            (json_get(one, "name") && !cJSON_IsString(json_get(one, "name"))) ||
            cJSON_GetArraySize(values) > ITEMS_MAX)
            return api_fail(call, API_VALIDATION, "field is required", "field",
                            "field_mappings", NULL);
        if (check_unique(call, values, "key", "key",
                         "Value key appears more than once in field_mappings"))
            return -1;
    }
    return check_unique(call, mappings, "name", "field",
                        "Field_name appears more than once in field_mappings");
}

/* One page of the prepared query, or NULL after failing. */
static cJSON *page_of(struct call *call, int page, int size)
{
    static const char *const scrolls[] = {"scroll_id", "start", "size",
                                          "refresh_scroll"};
    const char *type = json_str(call->request, "entity_type", "");
    for (size_t i = 0; i < ARRAY_SIZE(scrolls); i++)
        json_remove(call->request, scrolls[i]);
    json_set_int(call->request, "page", page);
    json_set_int(call->request, "page_size", size);
    if (strcmp(type, "task") == 0)
        return query_run(call, &tasks_joined);
    if (strcmp(type, "model") == 0)
        return query_run(call, &models_joined);
    api_fail(call, API_VALIDATION, "Unsupported entity type", "type", type, NULL);
    return NULL;
}

int organization_prepare_download(struct call *call)
{
    auto_free char *text = json_format(call->request);
    if (strlen(text) > REQUEST_MAX)
        return api_fail(call, API_VALIDATION, "the request is too large", NULL);
    if (check_mappings(call))
        return -1;
    /* Whatever is wrong with the query is said here. */
    auto_json *docs = page_of(call, 0, 1);
    if (!docs)
        return -1;
    store_change(call->db, "DELETE FROM downloads WHERE expires < ?", "i",
                 call->now_ms);
    store_change(call->db, "INSERT INTO downloads (id, expires, doc) VALUES (?, ?, ?)",
                 "tit", call->id, call->now_ms + KEPT_MS, text);
    json_set_str(call->data, "prepare_id", call->id);
    return 0;
}

/* ---- values as Python writes them ---- */

static void add_value(struct buf *out, const cJSON *value, bool quoted);

static void add_number(struct buf *out, double v)
{
    if (v == trunc(v) && fabs(v) < 9e15)
        buf_printf(out, "%lld", (long long)v);
    else
        buf_printf(out, "%.17g", v);
}

/* A time is not ISO there: "2026-12-01 10:00:00.123000". */
static void add_text(struct buf *out, const char *text)
{
    size_t n = strlen(text);
    bool time = n == 32 && text[10] == 'T' && strcmp(text + 26, "+00:00") == 0;
    size_t from = out->len;
    buf_add(out, text, time ? 26 : n);
    if (!time)
        return;
    out->data[from + 10] = ' ';
    if (strncmp(text + 19, ".000000", 7) == 0) {
        out->len -= 7;
        out->data[out->len] = '\0';
    }
}

static void add_members(struct buf *out, const cJSON *value)
{
    const cJSON *item;
    bool object = cJSON_IsObject(value);
    buf_add_char(out, object ? '{' : '[');
    cJSON_ArrayForEach(item, value)
    {
        if (item != value->child)
            buf_add_str(out, ", ");
        if (object)
            buf_printf(out, "'%s': ", item->string);
        add_value(out, item, true);
    }
    buf_add_char(out, object ? '}' : ']');
}

static void add_value(struct buf *out, const cJSON *value, bool quoted)
{
    if (cJSON_IsString(value) && quoted)
        buf_printf(out, "'%s'", value->valuestring);
    else if (cJSON_IsString(value))
        add_text(out, value->valuestring);
    else if (cJSON_IsNumber(value))
        add_number(out, value->valuedouble);
    else if (cJSON_IsBool(value))
        buf_add_str(out, cJSON_IsTrue(value) ? "True" : "False");
    else if (value && !cJSON_IsNull(value))
        add_members(out, value);
    else if (value)
        buf_add_str(out, "None");
}

/* ---- the table ---- */

static void add_cell(struct buf *out, const char *text, bool first)
{
    buf_add_str(out, first ? "\"" : ",\"");
    for (; *text; text++) {
        if (*text == '"')
            buf_add_char(out, '"');
        buf_add_char(out, *text);
    }
    buf_add_char(out, '"');
}

static const cJSON *at_path(const cJSON *doc, const char *path)
{
    while (doc && *path) {
        size_t n = strcspn(path, ".");
        auto_free char *name = xstrndup(path, n);
        doc = json_get(doc, name);
        path += n + (path[n] == '.');
    }
    return doc;
}

/* What the mapping puts in the place of a value. */
static const cJSON *translated(const cJSON *mapping, const cJSON *value)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, json_get(mapping, "values"))
    {
        if (cJSON_Compare(json_get(one, "key"), value, true))
            return json_get(one, "value");
    }
    return value;
}

static void add_row(struct buf *out, const cJSON *mappings, const cJSON *doc)
{
    const cJSON *mapping;
    cJSON_ArrayForEach(mapping, mappings)
    {
        if (out->len > TABLE_MAX)
            return;
        auto_buf cell = BUF_INIT;
        const cJSON *value = at_path(doc, json_str(mapping, "field", ""));
        if (cJSON_IsObject(value))
            value = json_get(value, "id");
        add_value(&cell, translated(mapping, value), false);
        add_cell(out, buf_str(&cell), mapping == mappings->child);
    }
    buf_add_str(out, "\r\n");
}

static void add_header(struct buf *out, const cJSON *mappings)
{
    const cJSON *mapping;
    buf_add_str(out, "\xef\xbb\xbf");
    cJSON_ArrayForEach(mapping, mappings)
        add_cell(out, json_str(mapping, "name", json_str(mapping, "field", "")),
                 mapping == mappings->child);
    buf_add_str(out, "\r\n");
}

/* "clearml-<project>-tasks.csv" where the query is of one project. */
static char *file_name(struct call *call)
{
    const cJSON *projects = json_get(call->request, "project");
    const cJSON *one = cJSON_IsArray(projects) && cJSON_GetArraySize(projects) == 1
                           ? projects->child
                           : projects;
    auto_json *doc =
        cJSON_IsString(one) ? project_load(call->db, one->valuestring) : NULL;
    const char *base =
        json_str(doc, "basename", cJSON_IsNull(one) && one != projects ? "root" : "");
    size_t n = strnlen(base, PROJECT_NAME_MAX);
    while (n > 0 && ((unsigned char)base[n] & 0xc0) == 0x80)
        n--; /* not inside a character */
    auto_free char *name = xstrndup(base, n);
    return xasprintf("clearml-%s%s%ss.csv", name, *name ? "-" : "",
                     json_str(call->request, "entity_type", ""));
}

int organization_download(struct call *call)
{
    const char *id = json_str(call->request, "prepare_id", "");
    cJSON *prepared = store_json(
        store_query(call->db, "SELECT doc FROM downloads WHERE id = ? AND expires >= ?",
                    "ti", id, call->now_ms));
    if (!prepared)
        return api_fail(call, API_INVALID_ID, "prepare ID not found", "prepare_id", id,
                        NULL);
    cJSON_Delete(call->request);
    call->request = prepared;
    auto_buf out = BUF_INIT;
    const cJSON *mappings = json_get(prepared, "field_mappings"), *doc;
    add_header(&out, mappings);
    for (int page = 0, left = ITEMS_MAX; left > 0; page++) {
        auto_json *docs = page_of(call, page, 500);
        int n = cJSON_GetArraySize(docs);
        if (!docs)
            return -1;
        cJSON_ArrayForEach(doc, docs) add_row(&out, mappings, doc);
        if (out.len > TABLE_MAX)
            return api_fail(call, API_VALIDATION, "the table is too large", NULL);
        if (n < 500)
            break;
        left -= n;
    }
    call->raw_data = buf_take(&out);
    call->raw_type = "text/csv";
    call->raw_file = file_name(call);
    return 0;
}
