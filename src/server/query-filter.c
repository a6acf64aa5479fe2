/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/query-internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "server/api-error.h"
#include "server/names.h"
#include "server/sql.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A word or value that more documents than this have is no way to find a page: then the
 * order's index is walked and each row asked. */
#define SELECTIVE_MAX 20000

void query_and(struct query *q, const char *condition)
{
    if (condition[0])
        buf_printf(&q->where, "%s(%s)", q->where.len ? " AND " : "", condition);
}

bool query_named(const char *const *list, const char *name)
{
    for (; list && *list; list++) {
        size_t n = strlen(*list);
        if (!strcmp(*list, name))
            return true;
        if (n > 1 && (*list)[n - 1] == '*' && !strncmp(*list, name, n - 1) &&
            name[n - 1])
            return true;
    }
    return false;
}

static int query_bad_value(struct query *q, const char *why, const char *field,
                           const cJSON *value)
{
    auto_free char *text = value ? json_format(value) : xstrdup("null");
    if (strlen(text) > 200)
        strcpy(text + 197, "...");
    api_fail(q->call, API_FIELDS_VALUE, why, "field", field, "value", text, NULL);
    return -1;
}

/* ---- "holds one of these" ---- */

/* True if few documents have one of these values, so that finding those first is the
 * quick way. */
static bool query_selective(struct query *q, const char *table, const char *column,
                            const cJSON *values)
{
    if (!q->sorted)
        return true;
    auto_buf sql = BUF_INIT;
    buf_printf(&sql,
               "SELECT count(*) FROM (SELECT 1 FROM %s WHERE %s IN "
               "(SELECT value FROM json_each(?)) LIMIT %d)",
               table, column, SELECTIVE_MAX);
    auto_stmt *stmt = sql_prepare(q->call->db, buf_str(&sql));
    doc_bind(stmt, 1, values);
    sql_step(stmt);
    return sqlite3_column_int(stmt, 0) < SELECTIVE_MAX;
}

static void contains_words(struct query *q, const char *prefix, const cJSON *values,
                           struct buf *out)
{
    auto_json *words = cJSON_CreateArray();
    const cJSON *v;
    cJSON_ArrayForEach(v, values)
    {
        auto_free char *word = xasprintf("%s%s", prefix, v->valuestring);
        cJSON_AddItemToArray(words, cJSON_CreateString(word));
    }
    const char *refs = q->c->docs->refs;
    int param = query_json(q, words);
    if (query_selective(q, refs, "word", words))
        buf_printf(out,
                   "t.id IN (SELECT id FROM %s WHERE word IN "
                   "(SELECT value FROM json_each(?%d)))",
                   refs, param);
    else
        buf_printf(out,
                   "EXISTS (SELECT 1 FROM %s r WHERE r.id = t.id AND r.word IN "
                   "(SELECT value FROM json_each(?%d)))",
                   refs, param);
}

static void contains_column(struct query *q, const struct query_target *t,
                            const cJSON *values, struct buf *out)
{
    bool indexed =
        t->field && !strcmp(t->field->table, "t") && strcmp(t->source, "t.id");
    const char *plus = indexed && !query_selective(q, q->c->docs->tables[0].name,
                                                   t->field->column, values)
                           ? "+"
                           : "";
    if (cJSON_GetArraySize(values) == 1)
        buf_printf(out, "%s%s = ?%d", plus, t->source,
                   query_text(q, values->child->valuestring));
    else
        buf_printf(out, "%s%s IN (SELECT value FROM json_each(?%d))", plus, t->source,
                   query_json(q, values));
}

static void contains_any(struct query *q, const char *path, const cJSON *values,
                         struct buf *out)
{
    const struct doc_type *docs = q->c->docs;
    const char *prefix = docs && docs->word_prefix ? docs->word_prefix(path) : NULL;
    struct query_target t;
    if (prefix)
        contains_words(q, prefix, values, out);
    else if (!query_resolve(q, path, &t))
        buf_add_str(out, "0");
    else if (!t.path)
        contains_column(q, &t, values, out);
    else
        buf_printf(out,
                   "EXISTS (SELECT 1 FROM json_each(%s, ?%d) e WHERE e.value IN "
                   "(SELECT value FROM json_each(?%d)))",
                   t.source, t.path, query_json(q, values));
}

void query_contains(struct query *q, const char *path, const cJSON *values, bool every,
                    struct buf *out)
{
    if (!every) {
        contains_any(q, path, values, out);
        return;
    }
    const cJSON *v;
    size_t start = out->len;
    cJSON_ArrayForEach(v, values)
    {
        auto_json *one = cJSON_CreateArray();
        cJSON_AddItemToArray(one, cJSON_CreateString(v->valuestring));
        if (out->len > start)
            buf_add_str(out, " AND ");
        contains_any(q, path, one, out);
    }
}

/* Absent, null, or an empty list. */
static void query_empty(struct query *q, const char *path, struct buf *out)
{
    struct query_target t;
    if (!query_resolve(q, path, &t))
        buf_add_char(out, '1');
    else if (t.path)
        buf_printf(out,
                   "json_extract(%s, ?%d) IS NULL OR "
                   "json_array_length(%s, ?%d) = 0 AND json_type(%s, ?%d) = 'array'",
                   t.source, t.path, t.source, t.path, t.source, t.path);
    else
        buf_printf(out, "%s IS NULL", t.source);
}

/* ---- the list operators ---- */

struct terms {
    cJSON *in, *all, *nin;
    bool allow_empty;
    int global; /* '&', '|', 0: none named yet */
};

static void term_add(cJSON *values, const char *value)
{
    cJSON_AddItemToArray(values, cJSON_CreateString(value));
}

/* The operator that a word stands for: '&', '|', '!', '0' (reset); 0 if unknown. */
static int term_operator(const char *word)
{
    static const struct {
        const char *word;
        int op;
    } operators[] = {{"__$all", '&'}, {"__$and", '&'}, {"__$any", '|'},
                     {"__$or", '|'},  {"__$not", '!'}, {"__$nop", '0'}};
    for (size_t i = 0; i < ARRAY_SIZE(operators); i++) {
        if (!strcmp(word, operators[i].word))
            return operators[i].op;
    }
    return 0;
}

static int terms_parse(struct query *q, const char *path, const cJSON *list,
                       struct terms *t)
{
    int context = '|';
    bool negate = false, legacy = true;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        const char *value = cJSON_GetStringValue(item);
        if (cJSON_IsNull(item)) {
            negate = false;
            t->allow_empty = true;
            t->global = t->global ? t->global : '&';
            continue;
        }
        if (!value)
            return query_bad_value(q, "invalid value type, string expected", path,
                                   item);
        int op = strncmp(value, "__$", 3) ? 0 : term_operator(value);
        if (op == '0') {
            negate = false;
            context = '|';
            legacy = true;
            t->global = t->global ? t->global : '&';
            continue;
        }
        if (!strncmp(value, "__$", 3)) {
            if (negate)
                return query_bad_value(q, "Value is expected after", path, item);
            if (!op)
                return query_bad_value(q, "Unsupported operator", path, item);
            negate = op == '!';
            if (!negate) {
                context = op;
                legacy = false;
                t->global = t->global ? t->global : op;
            }
            continue;
        }
        t->global = t->global ? t->global : '&';
        if (!negate && legacy && value[0] == '-') {
            if (!value[1])
                return query_bad_value(q, "Missing value after the exclude prefix -",
                                       path, item);
            term_add(t->nin, value + 1);
            continue;
        }
        term_add(negate ? t->nin : context == '&' ? t->all : t->in, value);
        negate = false;
    }
    if (negate)
        return query_bad_value(q, "Value is expected after", path, list);
    names_sort(t->in);
    names_sort(t->all);
    names_sort(t->nin);
    return 0;
}

static void terms_join(struct buf *out, const char *op, const char *condition,
                       const char *form)
{
    if (!condition[0])
        return;
    if (out->len)
        buf_add_str(out, op);
    buf_printf(out, "%s(%s)", form, condition);
}

static void terms_write(struct query *q, const char *path, const struct terms *t,
                        struct buf *out)
{
    auto_buf all = BUF_INIT, in = BUF_INIT, nin = BUF_INIT, sum = BUF_INIT;
    const char *op = t->global == '|' ? " OR " : " AND ";
    if (cJSON_GetArraySize(t->all))
        query_contains(q, path, t->all, true, &all);
    if (cJSON_GetArraySize(t->in))
        query_contains(q, path, t->in, false, &in);
    if (cJSON_GetArraySize(t->nin)) {
        auto_buf some = BUF_INIT;
        query_contains(q, path, t->nin, false, &some);
        /* A missing value holds none of them: NULL is false. */
        buf_printf(&nin, "NOT ifnull((%s), 0)", buf_str(&some));
    }
    terms_join(&sum, op, buf_str(&all), "");
    terms_join(&sum, op, buf_str(&in), "");
    terms_join(&sum, op, buf_str(&nin), "");
    if (!t->allow_empty) {
        buf_add_str(out, buf_str(&sum));
        return;
    }
    auto_buf empty = BUF_INIT;
    query_empty(q, path, &empty);
    if (sum.len)
        buf_printf(out, "(%s) OR %s", buf_str(&sum), buf_str(&empty));
    else
        buf_add_str(out, buf_str(&empty));
}

int query_list(struct query *q, const char *path, const cJSON *value, struct buf *out)
{
    auto_json *one = NULL;
    if (!cJSON_IsArray(value)) {
        one = cJSON_CreateArray();
        cJSON_AddItemToArray(one, cJSON_Duplicate(value, true));
        value = one;
    }
    struct terms t = {cJSON_CreateArray(), cJSON_CreateArray(), cJSON_CreateArray(),
                      false, 0};
    int rc = terms_parse(q, path, value, &t);
    if (rc == 0)
        terms_write(q, path, &t, out);
    cJSON_Delete(t.in);
    cJSON_Delete(t.all);
    cJSON_Delete(t.nin);
    return rc;
}

/* ---- filters: {"field": {"any": {"include", "exclude"}, "all": {...}, "op"}} ---- */

/* Whatever is wrong with a filter is 400/12. */
static int filter_wrong(struct query *q, const char *path, const char *why)
{
    return api_fail(q->call, API_VALIDATION, NULL, "field", path, "value", why, NULL);
}

/* No members but these. */
static int filter_members(struct query *q, const char *path, const cJSON *object,
                          const char *const *names)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        if (!query_named(names, item->string))
            return filter_wrong(q, path, "unexpected keyword argument");
    }
    return 0;
}

static int filter_values(struct query *q, const char *path, const cJSON *list,
                         cJSON *values, bool *empty)
{
    const cJSON *v;
    if (list && !cJSON_IsArray(list) && !cJSON_IsNull(list))
        return filter_wrong(q, path, "list expected");
    cJSON_ArrayForEach(v, list)
    {
        if (cJSON_IsNull(v))
            *empty = true;
        else if (cJSON_IsString(v))
            term_add(values, v->valuestring);
        else
            return filter_wrong(q, path, "string expected");
    }
    names_sort(values);
    return 0;
}

/* One half of a filter. In "any" a document passes with one of include, or without at
 * least one of exclude; in "all" with all of include and none of exclude. */
static int filter_half(struct query *q, const char *path, const cJSON *half, bool any,
                       struct buf *out)
{
    auto_json *with = cJSON_CreateArray(), *without = cJSON_CreateArray();
    bool empty = false, not_empty = false;
    const char *op = any ? " OR " : " AND ";
    static const char *const names[] = {"include", "exclude", NULL};
    if (half && !cJSON_IsObject(half) && !cJSON_IsNull(half))
        return filter_wrong(q, path, "dictionary expected");
    if (filter_members(q, path, half, names) ||
        filter_values(q, path, json_get(half, "include"), with, &empty) ||
        filter_values(q, path, json_get(half, "exclude"), without, &not_empty))
        return -1;
    auto_buf a = BUF_INIT, b = BUF_INIT, c = BUF_INIT, no = BUF_INIT;
    if (cJSON_GetArraySize(with))
        query_contains(q, path, with, !any, &a);
    if (cJSON_GetArraySize(without)) {
        query_contains(q, path, without, any, &no);
        buf_printf(&b, "NOT ifnull((%s), 0)", buf_str(&no));
    }
    if (empty || not_empty)
        query_empty(q, path, &c);
    terms_join(out, op, buf_str(&a), "");
    terms_join(out, op, buf_str(&b), "");
    if (empty)
        terms_join(out, op, buf_str(&c), "");
    if (not_empty)
        terms_join(out, op, buf_str(&c), "NOT ");
    return 0;
}

int query_list_filter(struct query *q, const char *path, const cJSON *value,
                      struct buf *out)
{
    if (cJSON_IsNull(value))
        return 0;
    if (!cJSON_IsObject(value))
        return api_fail(q->call, API_VALIDATION,
                        "invalid filter for field, dictionary expected", "field", path,
                        NULL);
    static const char *const names[] = {"any", "all", "op", NULL};
    const cJSON *given = json_get(value, "op");
    const char *op = given ? cJSON_GetStringValue(given) : "and";
    if (!op || (strcmp(op, "and") && strcmp(op, "or")))
        return filter_wrong(q, path, "Invalid list query filter operator");
    if (filter_members(q, path, value, names))
        return -1;
    auto_buf any = BUF_INIT, all = BUF_INIT;
    if (filter_half(q, path, json_get(value, "any"), true, &any) ||
        filter_half(q, path, json_get(value, "all"), false, &all))
        return -1;
    terms_join(out, " AND ", buf_str(&any), "");
    terms_join(out, strcmp(op, "or") ? " AND " : " OR ", buf_str(&all), "");
    return 0;
}

/* ---- ranges and dates ---- */

/* The parameter to compare a field with; 0 if the value can't be one. */
static int compare_param(struct query *q, const struct query_target *t, bool date,
                         const cJSON *value)
{
    int64_t ms;
    char iso[CLOCK_ISO_SIZE], *end;
    if (t->kind == DOC_TIME || date) {
        if (cJSON_IsNumber(value) && fabs(value->valuedouble) < 1e13)
            ms = (int64_t)(value->valuedouble * 1000);
        else if (!cJSON_IsString(value) || clock_iso_parse(value->valuestring, &ms))
            return 0;
        return t->kind == DOC_TIME ? query_integer(q, ms)
                                   : query_text(q, clock_iso_clearml(ms, iso));
    }
    if (cJSON_IsNumber(value))
        return query_number(q, value->valuedouble);
    if (!cJSON_IsString(value))
        return 0;
    double number = strtod(value->valuestring, &end);
    if (end != value->valuestring && !*end && isfinite(number))
        return query_number(q, number);
    return query_text(q, value->valuestring);
}

static int query_bounds(struct query *q, const char *path, const cJSON *value,
                        bool date, struct buf *out)
{
    const cJSON *bound[2] = {cJSON_GetArrayItem(value, 0),
                             cJSON_GetArrayItem(value, 1)};
    if (!cJSON_IsArray(value) || cJSON_GetArraySize(value) != 2) {
        auto_free char *text = xasprintf(
            "Min and max values should be specified for range field %s", path);
        return api_fail(q->call, API_VALIDATION, text, NULL);
    }
    if (cJSON_IsNull(bound[0]) && cJSON_IsNull(bound[1])) {
        auto_free char *text = xasprintf(
            "At least one of min or max values should be provided for field %s", path);
        return api_fail(q->call, API_VALIDATION, text, NULL);
    }
    struct query_target t;
    if (!query_resolve(q, path, &t)) {
        buf_add_char(out, '0');
        return 0;
    }
    auto_buf expr = BUF_INIT;
    query_value(&t, &expr);
    for (int i = 0; i < 2; i++) {
        if (cJSON_IsNull(bound[i]))
            continue;
        int param = compare_param(q, &t, date, bound[i]);
        if (!param)
            return query_bad_value(q, "failed parsing query field", path, bound[i]);
        buf_printf(out, "%s%s %s ?%d", out->len ? " AND " : "", buf_str(&expr),
                   i ? "<=" : ">=", param);
    }
    /* Open below: what has no value is inside. */
    if (cJSON_IsNull(bound[0]))
        buf_printf(out, " OR %s IS NULL", buf_str(&expr));
    return 0;
}

int query_range(struct query *q, const char *path, const cJSON *value, struct buf *out)
{
    return query_bounds(q, path, value, query_named(q->c->datetimes, path), out);
}

/* The comparison in front of a date, as SQL; *text moves behind it. */
static const char *date_modifier(const char **text)
{
    static const char *const modifiers[] = {">=", ">", "<=", "<"};
    for (size_t i = 0; i < ARRAY_SIZE(modifiers); i++) {
        size_t n = strlen(modifiers[i]);
        if (!strncmp(*text, modifiers[i], n)) {
            *text += n;
            return modifiers[i];
        }
    }
    return "=";
}

int query_dates(struct query *q, const char *path, const cJSON *value, struct buf *out)
{
    auto_json *one = NULL;
    if (!cJSON_IsArray(value)) {
        one = cJSON_CreateArray();
        cJSON_AddItemToArray(one, cJSON_Duplicate(value, true));
        value = one;
    }
    bool modified = false;
    const cJSON *item;
    cJSON_ArrayForEach(item, value)
    {
        const char *text = cJSON_GetStringValue(item);
        modified |= text && *date_modifier(&text) != '=';
    }
    if (cJSON_GetArraySize(value) == 2 && !modified)
        return query_bounds(q, path, value, true, out);
    struct query_target t;
    if (!query_resolve(q, path, &t))
        return 0;
    auto_buf expr = BUF_INIT;
    query_value(&t, &expr);
    cJSON_ArrayForEach(item, value)
    {
        const char *text = cJSON_GetStringValue(item);
        if (!text)
            return query_bad_value(q, "failed parsing query field", path, item);
        const char *op = date_modifier(&text);
        auto_json *date = cJSON_CreateString(text);
        int param = compare_param(q, &t, true, date);
        if (param) /* what is no date is no condition */
            buf_printf(out, "%s%s %s ?%d", out->len ? " AND " : "", buf_str(&expr), op,
                       param);
    }
    return 0;
}

/* ---- patterns ---- */

int query_match(struct query *q, const char *path, const char *pattern, bool any_case,
                struct buf *out)
{
    char error[256];
    struct query_target t;
    if (!query_resolve(q, path, &t)) {
        buf_add_char(out, '0');
        return 0;
    }
    auto_free char *literal = any_case || t.path ? NULL : regex_literal_dup(pattern);
    if (literal) {
        buf_printf(out, "%s = ?%d", t.source, query_text(q, literal));
        return 0;
    }
    struct regex *regex = regex_compile(pattern, any_case, error);
    if (!regex)
        return api_fail(q->call, API_BAD_REGEX, error, "field", path, NULL);
    int param = query_regex(q, regex);
    if (t.path)
        buf_printf(
            out,
            "EXISTS (SELECT 1 FROM json_each(%s, ?%d) e WHERE e.type = 'text' AND "
            "query_match(?%d, e.value)) AND "
            "json_type(%s, ?%d) IN ('text', 'array')",
            t.source, t.path, param, t.source, t.path);
    else
        buf_printf(out, "query_match(?%d, %s)", param, t.source);
    return 0;
}

static int query_multi(struct query *q, const char *name, const cJSON *value, bool any)
{
    const cJSON *fields = json_get(value, "fields");
    const cJSON *pattern = json_get(value, "pattern"),
                *dates = json_get(value, "datetime");
    /* The letters of a text are taken for fields there. */
    if (cJSON_IsString(fields) && pattern)
        return api_fail(q->call, API_INVALID_FIELDS, NULL, "fields",
                        fields->valuestring, NULL);
    pattern = cJSON_IsNull(pattern) ? NULL : pattern;
    dates = cJSON_IsNull(dates) ? NULL : dates;
    if (!cJSON_IsArray(fields) || !pattern == !dates ||
        (pattern && !cJSON_IsString(pattern)))
        return api_fail(q->call, API_FIELDS_VALUE, "failed parsing query field",
                        "error", "incorrect field format", "field", name, NULL);
    auto_buf sum = BUF_INIT;
    const cJSON *field;
    cJSON_ArrayForEach(field, fields)
    {
        if (!cJSON_IsString(field))
            return query_bad_value(q, "failed parsing query field", name, field);
        auto_buf one = BUF_INIT;
        if (dates && !query_named(q->c->datetimes, field->valuestring))
            continue;
        int rc = pattern ? query_match(q, field->valuestring, pattern->valuestring,
                                       true, &one)
                         : query_dates(q, field->valuestring, dates, &one);
        if (rc)
            return rc;
        terms_join(&sum, any ? " OR " : " AND ", buf_str(&one), "");
    }
    query_and(q, buf_str(&sum));
    return 0;
}

/* ---- one field of the request ---- */

static int query_equal(struct query *q, const char *path, const cJSON *value,
                       struct buf *out)
{
    struct query_target t;
    if (cJSON_IsArray(value))
        return query_list(q, path, value, out);
    if (!query_resolve(q, path, &t)) {
        buf_add_char(out, '0');
        return 0;
    }
    query_value(&t, out);
    if (cJSON_IsString(value))
        buf_printf(out, " = ?%d", query_text(q, value->valuestring));
    else if (cJSON_IsNumber(value))
        buf_printf(out, " = ?%d", query_number(q, value->valuedouble));
    else
        buf_printf(out, " = ?%d", query_integer(q, cJSON_IsTrue(value)));
    return 0;
}

static int query_multi_operator(const char *name)
{
    if (!strcmp(name, "_any_") || !strcmp(name, "_or_"))
        return '|';
    if (!strcmp(name, "_all_") || !strcmp(name, "_and_"))
        return '&';
    return 0;
}

int query_filter(struct query *q, const char *name, const cJSON *value)
{
    static const char *const lists[] = {"id", "tags", "system_tags", NULL};
    static const char *const patterns[] = {"name", NULL};
    const struct query_collection *c = q->c;
    auto_buf sql = BUF_INIT;
    int rc = 0, op = query_multi_operator(name);
    if (op)
        return query_multi(q, name, value, op == '|');
    if (cJSON_IsNull(value))
        return 0;
    if (query_named(c->patterns ? c->patterns : patterns, name)) {
        bool empty = (cJSON_IsArray(value) || cJSON_IsObject(value)) && !value->child;
        if (!cJSON_IsString(value) && !empty)
            return query_bad_value(q, "failed parsing query field", name, value);
        if (!empty && value->valuestring[0])
            rc = query_match(q, name, value->valuestring, false, &sql);
    } else if (query_named(c->lists ? c->lists : lists, name)) {
        rc = query_list(q, name, value, &sql);
    } else if (query_named(c->ranges, name)) {
        rc = query_range(q, name, value, &sql);
    } else if (query_named(c->equals, name)) {
        rc = query_equal(q, name, value, &sql);
    } else if (query_named(c->datetimes, name)) {
        rc = query_dates(q, name, value, &sql);
    }
    query_and(q, buf_str(&sql));
    return rc;
}
