/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/query-internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "server/api-error.h"
#include "server/sql.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define PAGE_MAX 500
/* Clients give up after ten seconds; what needs longer only costs the others. */
#define QUERY_TIME_MAX_MS 9000
#define ORDER_MAX 16

/* ---- SQL functions ---- */

static void sql_query_match(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    struct regex *regex = sqlite3_value_pointer(argv[0], "regex");
    const char *text = (const char *)sqlite3_value_text(argv[1]);
    int rc = regex && text
                 ? regex_match(regex, text, (size_t)sqlite3_value_bytes(argv[1]))
                 : 0;
    if (rc < 0)
        sqlite3_result_error(ctx, "the pattern needs too much work", -1);
    else
        sqlite3_result_int(ctx, rc);
}

/* json_at(document, names): what is at the end of an array of names, as JSON text. */
static void sql_json_at(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    const char *text = (const char *)sqlite3_value_text(argv[0]);
    const char *path = (const char *)sqlite3_value_text(argv[1]);
    auto_json *doc = text ? cJSON_Parse(text) : NULL;
    auto_json *names = path ? cJSON_Parse(path) : NULL;
    const cJSON *at = doc, *name;
    cJSON_ArrayForEach(name, names) at = json_get(at, name->valuestring);
    if (at)
        sqlite3_result_text(ctx, json_format(at), -1, free);
}

/* Text with numbers inside in the numbers' order: "lr 9" before "lr 10". */
static int collate_numeric(void *arg, int na, const void *va, int nb, const void *vb)
{
    const char *a = va, *b = vb, *ea = a + na, *eb = b + nb;
    while (a < ea && b < eb) {
        if (!isdigit((unsigned char)*a) || !isdigit((unsigned char)*b)) {
            if (*a != *b)
                return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
            a++, b++;
            continue;
        }
        while (a < ea && *a == '0')
            a++;
        while (b < eb && *b == '0')
            b++;
        const char *sa = a, *sb = b;
        while (a < ea && isdigit((unsigned char)*a))
            a++;
        while (b < eb && isdigit((unsigned char)*b))
            b++;
        if (a - sa != b - sb)
            return a - sa < b - sb ? -1 : 1;
        int order = memcmp(sa, sb, (size_t)(a - sa));
        if (order)
            return order;
    }
    return (a < ea) - (b < eb);
}

void query_register(sqlite3 *db)
{
    int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC;
    sqlite3_create_function(db, "query_match", 2, flags, NULL, sql_query_match, NULL,
                            NULL);
    sqlite3_create_function(db, "json_at", 2, flags, NULL, sql_json_at, NULL, NULL);
    sqlite3_create_collation(db, "query_numeric", SQLITE_UTF8, NULL, collate_numeric);
}

/* ---- parameters ---- */

static int query_param(struct query *q, struct query_param param)
{
    q->params = xreallocarray(q->params, q->count + 1, sizeof *q->params);
    q->params[q->count++] = param;
    return (int)q->count;
}

int query_text(struct query *q, const char *text)
{
    return query_param(q,
                       (struct query_param){.type = PARAM_TEXT, .text = xstrdup(text)});
}

int query_json(struct query *q, const cJSON *value)
{
    return query_param(
        q, (struct query_param){.type = PARAM_JSON, .text = json_format(value)});
}

int query_integer(struct query *q, int64_t value)
{
    return query_param(q,
                       (struct query_param){.type = PARAM_INTEGER, .integer = value});
}

int query_number(struct query *q, double value)
{
    return query_param(q, (struct query_param){.type = PARAM_NUMBER, .number = value});
}

int query_regex(struct query *q, struct regex *regex)
{
    return query_param(q, (struct query_param){.type = PARAM_REGEX, .regex = regex});
}

static void query_bind(const struct query *q, sqlite3_stmt *stmt)
{
    for (int i = 0; i < (int)q->count; i++) {
        const struct query_param *p = &q->params[i];
        switch (p->type) {
        case PARAM_TEXT:
        case PARAM_JSON:
            sqlite3_bind_text(stmt, i + 1, p->text, -1, SQLITE_STATIC);
            break;
        case PARAM_INTEGER:
            sqlite3_bind_int64(stmt, i + 1, p->integer);
            break;
        case PARAM_NUMBER:
            sqlite3_bind_double(stmt, i + 1, p->number);
            break;
        case PARAM_REGEX:
            sqlite3_bind_pointer(stmt, i + 1, p->regex, "regex", NULL);
            break;
        }
    }
}

static void query_free(struct query *q)
{
    for (size_t i = 0; i < q->count; i++) {
        free(q->params[i].text);
        regex_free(q->params[i].regex);
    }
    free(q->params);
    buf_free(&q->where);
}

/* ---- order ---- */

static const cJSON *query_ordering(const cJSON *request, cJSON **owned)
{
    const cJSON *order = json_get(request, "order_by");
    if (cJSON_IsString(order) && order->valuestring[0]) {
        *owned = cJSON_CreateArray();
        cJSON_AddItemToArray(*owned, cJSON_Duplicate(order, true));
        return *owned;
    }
    return cJSON_IsArray(order) && order->child ? order : NULL;
}

static bool numeric_order(const char *path)
{
    return !strncmp(path, "hyperparams.", 12) || !strncmp(path, "last_metrics.", 13) ||
           !strncmp(path, "metadata.", 9);
}

/* One field of the order. An ascending first field has what is empty at the end. */
static int query_order_field(struct query *q, const char *path, bool first,
                             struct buf *out)
{
    struct query_target t;
    bool down = path[0] == '-';
    path += down;
    if (!strcmp(path, "@text_score")) {
        if (!cJSON_IsString(json_get(q->request, "search_text")))
            return api_fail(q->call, API_FIELDS_VALUE,
                            "text score cannot be used in order_by when search text is "
                            "not used",
                            NULL);
        return 0;
    }
    if (!query_resolve(q, path, &t))
        return api_fail(q->call, API_INVALID_FIELDS,
                        "probably an invalid field name or unsupported nested field",
                        "err", path, NULL);
    auto_buf expr = BUF_INIT;
    query_value(&t, &expr);
    if (out->len)
        buf_add_str(out, ", ");
    bool filled = t.field ? t.field->flags & DOC_FILLED : !strcmp(path, "id");
    if (first && !down && !filled)
        buf_printf(out, "ifnull(%s, '') = '', ", buf_str(&expr));
    buf_printf(out, "%s%s%s", buf_str(&expr),
               numeric_order(path) ? " COLLATE query_numeric" : "",
               down ? " DESC" : "");
    return 0;
}

static int query_order(struct query *q, const cJSON *order, struct buf *out)
{
    bool id = false, first = true;
    const cJSON *item;
    int count = 0;
    cJSON_ArrayForEach(item, order)
    {
        if (!cJSON_IsString(item) || !item->valuestring[0] || ++count > ORDER_MAX)
            return api_fail(q->call, API_VALIDATION, "invalid order_by", NULL);
        id |= !strcmp(item->valuestring + (item->valuestring[0] == '-'), "id");
        if (query_order_field(q, item->valuestring, first, out))
            return -1;
        first = false;
    }
    if (order && !id)
        buf_printf(out, "%st.id", out->len ? ", " : "");
    if (!order && q->c->docs)
        buf_add_str(out, "t.n");
    return 0;
}

/* True if the order is that of an index, so that a page is found without a sort. */
static bool query_sorted(const struct query *q, const cJSON *order)
{
    if (!q->c->docs)
        return false;
    if (!order)
        return true;
    const char *rest, *path = cJSON_GetStringValue(order->child);
    if (!path)
        return false;
    const struct doc_field *f =
        doc_field_find(q->c->docs, path + (path[0] == '-'), &rest);
    return f && (f->flags & DOC_INDEXED);
}

/* ---- pages ---- */

struct page {
    int64_t start, size;
    char scroll[ID_SIZE]; /* "" if the request does not scroll */
};

/* The state of a scroll is in its id: "<32 hex digits>-<position>". */
static void scroll_parse(const char *text, struct page *page)
{
    char *end;
    if (text && strlen(text) > 33 && text[32] == '-') {
        int64_t at = strtoll(text + 33, &end, 10);
        if (!*end && at >= 0 && at < INT32_MAX) {
            memcpy(page->scroll, text, 32);
            page->scroll[32] = '\0';
            page->start = at;
            return;
        }
    }
    id_new(page->scroll);
    page->start = 0;
}

static int page_scroll(struct query *q, struct page *page)
{
    const cJSON *request = q->request;
    const cJSON *size = json_get(request, "size");
    if (!cJSON_IsNumber(size) || size->valuedouble < 1)
        return api_fail(q->call, API_VALIDATION,
                        "Integer size parameter greater than 1 should be provided when "
                        "working with scroll",
                        NULL);
    page->size = size->valuedouble > 1e6 ? 1000000 : (int64_t)size->valuedouble;
    scroll_parse(json_str(request, "scroll_id", NULL), page);
    if (json_bool(request, "refresh_scroll", false)) {
        if (page->start > page->size)
            page->size = page->start;
        page->start = 0;
    }
    return 0;
}

static int query_page(struct query *q, struct page *page)
{
    const cJSON *request = q->request;
    if (json_get(request, "scroll_id"))
        return page_scroll(q, page);
    const cJSON *at = json_get(request, "page"), *size = json_get(request, "page_size");
    if (cJSON_IsNull(size) && !cJSON_IsNull(at))
        return api_fail(q->call, API_MISSING_FIELDS, "page_size is required", "field",
                        "page_size", NULL);
    /* Python's True is 1. */
    double number = cJSON_IsNumber(at) ? at->valuedouble : cJSON_IsTrue(at);
    double count = cJSON_IsNumber(size) ? size->valuedouble
                   : cJSON_IsBool(size) ? cJSON_IsTrue(size)
                                        : PAGE_MAX;
    if ((at && !cJSON_IsNumber(at) && !cJSON_IsBool(at) && !cJSON_IsNull(at)) ||
        !(number >= 0))
        return api_fail(q->call, API_VALIDATION, "page must be >=0", "field", "page",
                        NULL);
    if ((size && !cJSON_IsNumber(size) && !cJSON_IsBool(size) && !cJSON_IsNull(size)) ||
        !(count >= 1))
        return api_fail(q->call, API_VALIDATION, "page_size must be >0", "field",
                        "page_size", NULL);
    page->size = count > PAGE_MAX ? PAGE_MAX : (int64_t)count;
    page->start =
        number > 1e9 ? INT64_C(1000000000) * page->size : (int64_t)number * page->size;
    return 0;
}

/* ---- what is asked for ---- */

static bool path_above(const char *above, const char *path)
{
    size_t n = strlen(above);
    return !strncmp(path, above, n) && (path[n] == '\0' || path[n] == '.');
}

/* True if an answer with this projection needs this field's column. */
static bool field_wanted(const struct doc_field *f, const cJSON *only)
{
    bool some = false;
    const cJSON *path;
    if (!strcmp(f->path, "id"))
        return true;
    cJSON_ArrayForEach(path, only)
    {
        const char *p = cJSON_GetStringValue(path);
        if (!p || !*p)
            continue;
        if (*p == '-') {
            if (!strcmp(p + 1, f->path))
                return false;
            continue;
        }
        some = true;
        if (path_above(f->path, p) || path_above(p, f->path) ||
            (!strcmp(p, "*") && !(f->flags & DOC_HIDDEN)))
            return true;
    }
    return !some && !(f->flags & DOC_HIDDEN);
}

static const cJSON *query_fields(const cJSON *request)
{
    const cJSON *only = json_get(request, "projection");
    if (!cJSON_IsArray(only) || !only->child)
        only = json_get(request, "only_fields");
    return cJSON_IsArray(only) ? only : NULL;
}

/* Every word of the text, or its phrase in quotes, is somewhere in the document's
 * texts; a word with '-' in front is not. */
static void query_search(struct query *q, const char *text)
{
    static const char *const texts[] = {"name", "id", NULL};
    while (*text) {
        text += strspn(text, " \t\n");
        bool without = *text == '-' && text[1] && text[1] != ' ';
        text += without;
        bool phrase = *text == '"';
        text += phrase;
        size_t n = strcspn(text, phrase ? "\"" : " \t\n");
        auto_free char *word = xstrndup(text, n);
        text += n + (phrase && text[n]);
        if (!*word || q->count > 500)
            continue;
        auto_buf sum = BUF_INIT;
        for (const char *const *p = q->c->texts ? q->c->texts : texts; *p; p++) {
            struct query_target t;
            if (!query_resolve(q, *p, &t))
                continue;
            buf_printf(&sum, "%sinstr(lower(", sum.len ? " OR " : "");
            query_value(&t, &sum);
            buf_printf(&sum, "), lower(?%d)) > 0", query_text(q, word));
        }
        auto_buf condition = BUF_INIT;
        buf_printf(&condition, "%s(%s)", without ? "NOT ifnull" : "ifnull",
                   buf_str(&sum));
        condition.len--;
        buf_add_str(&condition, ", 0)");
        query_and(q, buf_str(&condition));
    }
}

/* What is public has no company. */
static void query_private(struct query *q)
{
    struct query_target t;
    if (!query_resolve(q, "company", &t))
        return;
    auto_buf sql = BUF_INIT;
    query_value(&t, &sql);
    buf_add_str(&sql, " <> ''");
    query_and(q, buf_str(&sql));
}

/* Leaves out what has the hidden tag. */
static void query_hide(struct query *q)
{
    const struct doc_type *docs = q->c->docs;
    const char *prefix = docs ? docs->word_prefix("system_tags") : "";
    auto_free char *word = xasprintf("%s%s", prefix, q->c->hidden_tag);
    auto_buf sql = BUF_INIT;
    int param = query_text(q, word);
    if (docs)
        buf_printf(&sql,
                   "NOT EXISTS (SELECT 1 FROM %s r WHERE r.word = ?%d AND r.id = t.id)",
                   docs->refs, param);
    else
        buf_printf(&sql,
                   "NOT EXISTS (SELECT 1 FROM json_each(t.doc, '$.system_tags') e "
                   "WHERE e.value = ?%d)",
                   param);
    query_and(q, buf_str(&sql));
}

static int query_where(struct query *q)
{
    const cJSON *request = q->request, *item;
    const cJSON *filters = json_get(request, "filters");
    if (filters && !cJSON_IsObject(filters))
        return api_fail(q->call, API_FIELDS_VALUE, "dictionary expected", "field",
                        "filters", NULL);
    cJSON_ArrayForEach(item, filters)
    {
        auto_buf sql = BUF_INIT;
        if (!query_named(q->c->lists, item->string))
            continue;
        if (query_list_filter(q, item->string, item, &sql))
            return -1;
        query_and(q, buf_str(&sql));
    }
    cJSON_ArrayForEach(item, request)
    {
        if (json_get(filters, item->string))
            continue;
        if (q->count > QUERY_PARAMS_MAX)
            return api_fail(q->call, API_VALIDATION, "too many conditions", NULL);
        if (query_filter(q, item->string, item))
            return -1;
    }
    const char *text = json_str(request, "search_text", NULL);
    if (text && *text)
        query_search(q, text);
    if (cJSON_IsFalse(json_get(request, "allow_public")))
        query_private(q);
    const cJSON *id = json_get(request, "id");
    bool has_id = cJSON_IsArray(id) ? id->child != NULL
                                    : cJSON_IsString(id) && id->valuestring[0];
    if (q->c->hidden_tag && (!has_id || q->c->hides_named) &&
        !cJSON_IsTrue(json_get(request, "search_hidden")))
        query_hide(q);
    return 0;
}

/* ---- running it ---- */

struct documents {
    const struct query *q;
    const cJSON *only;
    bool *wanted; /* of the type's fields: those with a column in the answer */
    cJSON *list;
};

static bool *find_wanted_dup(const struct query *q, const cJSON *only)
{
    const struct doc_type *docs = q->c->docs;
    size_t count = 0;
    while (docs && docs->fields[count].path)
        count++;
    bool *wanted = xcalloc(count + 1, sizeof *wanted);
    for (size_t i = 0; i < count; i++)
        wanted[i] = field_wanted(&docs->fields[i], only);
    return wanted;
}

static cJSON *row_document(const struct documents *d, sqlite3_stmt *stmt)
{
    const struct query *q = d->q;
    if (!q->c->docs) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);
        return text ? cJSON_Parse(text) : NULL;
    }
    cJSON *doc = cJSON_CreateObject();
    int col = 0;
    for (const struct doc_field *f = q->c->docs->fields; f->path; f++) {
        if (!d->wanted[f - q->c->docs->fields])
            continue;
        cJSON *value = doc_value(stmt, col++, f);
        if (value)
            doc_place(doc, f, value);
    }
    return doc;
}

static int query_expired(void *arg)
{
    return clock_boot_ms() > *(const int64_t *)arg;
}

/* The columns of an answer with this projection. */
static void query_columns(const struct query *q, const cJSON *only, struct buf *out)
{
    const struct doc_type *docs = q->c->docs;
    for (const struct doc_field *f = docs ? docs->fields : NULL; f && f->path; f++) {
        if (field_wanted(f, only))
            buf_printf(out, "%s%s.%s", out->len ? ", " : "", f->table, f->column);
    }
    if (!docs)
        buf_add_str(out, "t.doc");
}

/* The conditions are in q; tail: what follows them. */
static sqlite3_stmt *query_statement(struct query *q, const char *columns,
                                     const char *tail)
{
    auto_buf sql = BUF_INIT;
    const struct doc_type *docs = q->c->docs;
    if (docs && q->joined)
        buf_printf(&sql, "SELECT %s FROM %s", columns, docs->from);
    else
        buf_printf(&sql, "SELECT %s FROM %s t", columns,
                   docs ? docs->tables[0].name : q->c->table);
    if (q->where.len)
        buf_printf(&sql, " WHERE %s", buf_str(&q->where));
    buf_printf(&sql, " %s", tail);
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(q->call->db, buf_str(&sql), -1, &stmt, NULL) != SQLITE_OK) {
        log_warn("query refused: %s", sqlite3_errmsg(q->call->db));
        api_fail(q->call, API_VALIDATION, "the query is too complex", NULL);
        return NULL;
    }
    query_bind(q, stmt);
    return stmt;
}

static int query_rows(struct query *q, sqlite3_stmt *stmt, query_row_f row, void *arg)
{
    int rc;
    int64_t deadline = clock_boot_ms() + QUERY_TIME_MAX_MS;
    /* A read has one for all that it does. */
    bool own = q->call->deadline_ms == 0;
    if (own)
        sqlite3_progress_handler(q->call->db, 100000, query_expired, &deadline);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
        row(stmt, arg);
    if (own)
        sqlite3_progress_handler(q->call->db, 0, NULL, NULL);
    if (rc == SQLITE_DONE)
        return 0;
    if (rc == SQLITE_INTERRUPT)
        return api_fail(q->call, API_VALIDATION, "the query takes too long", NULL);
    return api_fail(q->call, API_BAD_REGEX, sqlite3_errmsg(q->call->db), NULL);
}

static void add_document(sqlite3_stmt *row, void *arg)
{
    struct documents *d = arg;
    cJSON *doc = row_document(d, row);
    if (!doc)
        return;
    query_project(doc, d->only);
    cJSON_AddItemToArray(d->list, doc);
}

static int unknown_field(struct query *q, const char *path)
{
    return api_fail(q->call, API_INVALID_FIELDS, NULL, "fields", path, NULL);
}

/* Refuses lists of fields that are none, and paths that no document of the type has, as
 * ClearML's validate_paths and validate_order_by do. */
static int check_fields(struct query *q, const cJSON *only)
{
    static const char *const lists[] = {"order_by", "only_fields"};
    const cJSON *item;
    if (!q->c->docs && !q->c->members)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        const cJSON *list = json_get(q->request, lists[i]);
        const char *text = cJSON_GetStringValue(list);
        if (cJSON_IsObject(list) && list->child)
            text = list->child->string;
        if (text && *text)
            return unknown_field(q, text);
    }
    cJSON_ArrayForEach(item, only)
    {
        const char *path = item->valuestring + (item->valuestring[0] == '-');
        if (strcmp(path, "*") && !query_has_path(q->c, path))
            return unknown_field(q, path);
    }
    return 0;
}

static cJSON *query_answer(struct query *q, const cJSON *order, struct page *page)
{
    auto_buf by = BUF_INIT, columns = BUF_INIT, tail = BUF_INIT;
    const cJSON *fields = query_fields(q->request);
    auto_json *only = query_join_fields(q->c, fields);
    if (query_where(q) || query_order(q, order, &by) || query_page(q, page) ||
        check_fields(q, only))
        return NULL;
    query_columns(q, only, &columns);
    q->joined = true;
    buf_printf(&tail, "%s%s LIMIT %lld OFFSET %lld", by.len ? "ORDER BY " : "",
               buf_str(&by), (long long)page->size, (long long)page->start);
    auto_stmt *stmt = query_statement(q, buf_str(&columns), buf_str(&tail));
    if (!stmt)
        return NULL;
    auto_free bool *wanted = find_wanted_dup(q, only);
    struct documents docs = {q, only, wanted, cJSON_CreateArray()};
    if (query_rows(q, stmt, add_document, &docs)) {
        cJSON_Delete(docs.list);
        return NULL;
    }
    query_join(q, docs.list, fields);
    return docs.list;
}

int query_each(struct call *call, const struct query_collection *collection,
               const cJSON *request, const char *columns, const char *tail,
               query_row_f row, void *arg)
{
    struct query q = {.call = call, .request = request, .c = collection};
    int rc = query_where(&q);
    if (rc == 0) {
        auto_stmt *stmt = query_statement(&q, columns, tail);
        rc = stmt ? query_rows(&q, stmt, row, arg) : -1;
    }
    query_free(&q);
    return rc;
}

static void take_number(sqlite3_stmt *row, void *arg)
{
    *(int64_t *)arg = sqlite3_column_int64(row, 0);
}

int64_t query_count(struct call *call, const struct query_collection *collection,
                    const cJSON *request)
{
    int64_t count = 0;
    if (query_each(call, collection, request, "count(*)", "", take_number, &count))
        return -1;
    return count;
}

cJSON *query_run(struct call *call, const struct query_collection *collection)
{
    auto_json *owned = NULL;
    struct query q = {.call = call, .request = call->request, .c = collection};
    struct page page = {0};
    const cJSON *order = query_ordering(call->request, &owned);
    q.sorted = query_sorted(&q, order);
    cJSON *docs = query_answer(&q, order, &page);
    query_free(&q);
    if (docs && page.scroll[0]) {
        auto_free char *id = xasprintf(
            "%s-%lld", page.scroll, (long long)page.start + cJSON_GetArraySize(docs));
        json_set_str(call->data, "scroll_id", id);
    }
    return docs;
}
