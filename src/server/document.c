/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/document.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "server/sql.h"
#include "server/store.h"

#include <math.h>
#include <string.h>

const struct doc_field *doc_field_find(const struct doc_type *type, const char *path,
                                       const char **rest)
{
    const struct doc_field *best = NULL;
    size_t best_len = 0;
    for (const struct doc_field *f = type->fields; f->path; f++) {
        size_t n = strlen(f->path);
        if (n < best_len || strncmp(path, f->path, n))
            continue;
        if (path[n] == '\0' || (path[n] == '.' && path[n + 1] && f->kind == DOC_JSON)) {
            best = f;
            best_len = n;
        }
    }
    if (best && rest)
        *rest = path[best_len] ? path + best_len + 1 : "";
    return best;
}

cJSON *doc_value(sqlite3_stmt *stmt, int col, const struct doc_field *field)
{
    char iso[CLOCK_ISO_SIZE];
    if (sqlite3_column_type(stmt, col) == SQLITE_NULL)
        return NULL;
    switch (field->kind) {
    case DOC_TEXT:
        return cJSON_CreateString((const char *)sqlite3_column_text(stmt, col));
    case DOC_INTEGER:
        return cJSON_CreateNumber((double)sqlite3_column_int64(stmt, col));
    case DOC_TIME:
        return cJSON_CreateString(
            clock_iso_clearml(sqlite3_column_int64(stmt, col), iso));
    case DOC_BOOL:
        return cJSON_CreateBool(sqlite3_column_int(stmt, col) != 0);
    case DOC_JSON:
        break;
    }
    const char *text = (const char *)sqlite3_column_text(stmt, col);
    return cJSON_ParseWithLength(text, (size_t)sqlite3_column_bytes(stmt, col));
}

void doc_place(cJSON *doc, const struct doc_field *field, cJSON *value)
{
    const char *dot = strchr(field->path, '.');
    if (!dot) {
        json_set(doc, field->path, value);
        return;
    }
    auto_free char *above = xstrndup(field->path, (size_t)(dot - field->path));
    cJSON *parent = json_get(doc, above);
    if (!cJSON_IsObject(parent))
        parent = json_set(doc, above, cJSON_CreateObject());
    json_set(parent, dot + 1, value);
}

static sqlite3_stmt *doc_select(sqlite3 *db, const struct doc_type *type,
                                const char *id, const char *columns)
{
    auto_buf sql = BUF_INIT;
    buf_printf(&sql, "SELECT %s FROM %s WHERE t.id = ?", columns, type->from);
    sqlite3_stmt *stmt = sql_prepare(db, buf_str(&sql));
    sql_bind(stmt, 1, id);
    return stmt;
}

cJSON *doc_load(sqlite3 *db, const struct doc_type *type, const char *id, bool hidden)
{
    auto_reset *stmt = store_prepare(db, type->load);
    sql_bind(stmt, 1, id);
    if (!sql_step(stmt))
        return NULL;
    cJSON *doc = cJSON_CreateObject();
    int col = 0;
    for (const struct doc_field *f = type->fields; f->path; f++, col++) {
        cJSON *value =
            !hidden && (f->flags & DOC_HIDDEN) ? NULL : doc_value(stmt, col, f);
        if (value)
            doc_place(doc, f, value);
    }
    return doc;
}

cJSON *doc_load_field(sqlite3 *db, const struct doc_type *type, const char *id,
                      const char *path)
{
    const char *rest;
    const struct doc_field *field = doc_field_find(type, path, &rest);
    if (!field || *rest)
        return NULL;
    auto_buf column = BUF_INIT;
    buf_printf(&column, "%s.%s", field->table, field->column);
    auto_stmt *stmt = doc_select(db, type, id, buf_str(&column));
    return sql_step(stmt) ? doc_value(stmt, 0, field) : NULL;
}

void doc_bind(sqlite3_stmt *stmt, int index, const cJSON *value)
{
    if (cJSON_IsString(value)) {
        sqlite3_bind_text(stmt, index, value->valuestring, -1, SQLITE_TRANSIENT);
    } else if (cJSON_IsBool(value)) {
        sqlite3_bind_int(stmt, index, cJSON_IsTrue(value));
    } else if (cJSON_IsNumber(value)) {
        double v = value->valuedouble;
        if (v == floor(v) && fabs(v) < 9e15)
            sqlite3_bind_int64(stmt, index, (int64_t)v);
        else
            sqlite3_bind_double(stmt, index, v);
    } else if (cJSON_IsObject(value) || cJSON_IsArray(value)) {
        sqlite3_bind_text(stmt, index, json_format(value), -1, free);
    } else {
        sqlite3_bind_null(stmt, index);
    }
}

/* Binds what the column of this field holds for a value; what fits no column of this
 * kind becomes NULL. */
static void doc_bind_field(sqlite3_stmt *stmt, int index, const struct doc_field *f,
                           const cJSON *value)
{
    int64_t ms;
    if (!value || cJSON_IsNull(value)) {
        sql_bind(stmt, index, f->fallback);
    } else if (f->kind == DOC_JSON) {
        sqlite3_bind_text(stmt, index, json_format(value), -1, free);
    } else if (f->kind == DOC_TIME && cJSON_IsString(value)) {
        if (clock_iso_parse(value->valuestring, &ms) == 0)
            sqlite3_bind_int64(stmt, index, ms);
        else
            sql_bind(stmt, index, f->fallback);
    } else if (f->kind == DOC_TIME || f->kind == DOC_INTEGER) {
        double v = cJSON_IsNumber(value) ? value->valuedouble : 0;
        if (!(fabs(v) < 9e15))
            v = 0;
        sqlite3_bind_int64(stmt, index, (int64_t)v);
    } else {
        doc_bind(stmt, index, value);
    }
}

/* A field's value inside a whole document. */
static const cJSON *doc_at(const cJSON *doc, const struct doc_field *f)
{
    const char *dot = strchr(f->path, '.');
    if (!dot)
        return json_get(doc, f->path);
    auto_free char *above = xstrndup(f->path, (size_t)(dot - f->path));
    return json_get(json_get(doc, above), dot + 1);
}

static void doc_refs_change(sqlite3 *db, const struct doc_type *type, const char *id,
                            bool add, const cJSON *words, const cJSON *except)
{
    auto_buf text = BUF_INIT;
    buf_printf(&text,
               add ? "INSERT OR IGNORE INTO %s(word, id) VALUES(?, ?)"
                   : "DELETE FROM %s WHERE word = ? AND id = ?",
               type->refs);
    sqlite3_stmt *stmt = NULL;
    const cJSON *word, *other;
    cJSON_ArrayForEach(word, words)
    {
        bool both = false;
        cJSON_ArrayForEach(other, except) both |=
            !strcmp(other->valuestring, word->valuestring);
        if (both)
            continue;
        if (!stmt)
            stmt = sql_prepare(db, buf_str(&text));
        sql_bind(stmt, 1, word->valuestring);
        sql_bind(stmt, 2, id);
        sql_step(stmt);
        sqlite3_reset(stmt);
    }
    sqlite3_finalize(stmt);
}

/* Brings the words of one field from what its old value gave to what the new one
 * gives. */
static void doc_refs_update(sqlite3 *db, const struct doc_type *type, const char *id,
                            const struct doc_field *f, const cJSON *old,
                            const cJSON *value)
{
    auto_json *before = cJSON_CreateArray(), *after = cJSON_CreateArray();
    if (old)
        type->words(f->path, old, before);
    if (value)
        type->words(f->path, value, after);
    doc_refs_change(db, type, id, false, before, after);
    doc_refs_change(db, type, id, true, after, before);
}

/* The first field whose place is inside this field's value ("execution.queue" in
 * "execution") from f on; NULL if there is none. */
static const struct doc_field *doc_inner(const struct doc_field *f,
                                         const struct doc_field *field)
{
    size_t n = strlen(field->path);
    for (; f->path; f++) {
        if (!strncmp(f->path, field->path, n) && f->path[n] == '.')
            return f;
    }
    return NULL;
}

static void doc_bind_of(sqlite3_stmt *stmt, int index, const struct doc_type *type,
                        const struct doc_field *field, const cJSON *doc)
{
    const cJSON *value = doc_at(doc, field);
    const struct doc_field *inner =
        cJSON_IsObject(value) ? doc_inner(type->fields, field) : NULL;
    if (!inner) {
        doc_bind_field(stmt, index, field, value);
        return;
    }
    auto_json *copy = cJSON_Duplicate(value, true);
    for (; inner; inner = doc_inner(inner + 1, field))
        json_remove(copy, strchr(inner->path, '.') + 1);
    doc_bind_field(stmt, index, field, copy);
}

static void doc_insert_table(sqlite3 *db, const struct doc_type *type,
                             const struct doc_table *table, sqlite3_int64 n,
                             const cJSON *doc)
{
    auto_buf names = BUF_INIT, marks = BUF_INIT, sql = BUF_INIT;
    for (const struct doc_field *f = type->fields; f->path; f++) {
        if (!strcmp(f->table, table->alias)) {
            buf_printf(&names, ", %s", f->column);
            buf_add_str(&marks, ", ?");
        }
    }
    buf_printf(&sql, "INSERT INTO %s(n%s) VALUES(?%s)", table->name, buf_str(&names),
               buf_str(&marks));
    auto_stmt *stmt = sql_prepare(db, buf_str(&sql));
    if (n)
        sqlite3_bind_int64(stmt, 1, n);
    int index = 2;
    for (const struct doc_field *f = type->fields; f->path; f++) {
        if (!strcmp(f->table, table->alias))
            doc_bind_of(stmt, index++, type, f, doc);
    }
    sql_step(stmt);
}

void doc_insert(sqlite3 *db, const struct doc_type *type, const cJSON *doc)
{
    doc_insert_table(db, type, type->tables, 0, doc);
    sqlite3_int64 n = sqlite3_last_insert_rowid(db);
    for (const struct doc_table *t = type->tables + 1; t->alias; t++)
        doc_insert_table(db, type, t, n, doc);
    for (const struct doc_field *f = type->fields; f->path; f++) {
        const cJSON *value = doc_at(doc, f);
        if (value && (f->flags & DOC_WORDS))
            doc_refs_update(db, type, json_str(doc, "id", ""), f, NULL, value);
    }
}

/* Sets (or, with null, removes) what is at a dotted path inside a value. */
static void doc_set_inside(cJSON *object, const char *path, bool flat,
                           const cJSON *value)
{
    const char *dot = flat ? NULL : strchr(path, '.');
    if (!dot) {
        if (cJSON_IsNull(value))
            json_remove(object, path);
        else
            json_set(object, path, cJSON_Duplicate(value, true));
        return;
    }
    auto_free char *name = xstrndup(path, (size_t)(dot - path));
    cJSON *child = json_get(object, name);
    if (!cJSON_IsObject(child)) {
        if (cJSON_IsNull(value))
            return;
        child = json_set(object, name, cJSON_CreateObject());
    }
    doc_set_inside(child, dot + 1, flat, value);
}

struct doc_change {
    const struct doc_field *field;
    cJSON *value; /* the field's whole new value; NULL: none */
};

static struct doc_change *doc_change_of(struct doc_change *changes, size_t *count,
                                        const struct doc_field *field)
{
    for (size_t i = 0; i < *count; i++) {
        if (changes[i].field == field)
            return &changes[i];
    }
    changes[*count] = (struct doc_change){field, NULL};
    return &changes[(*count)++];
}

/* Members of a whole object that have a column of their own ("execution.queue") go
 * there and not into the object's text. A whole object says all of it, so that one that
 * has no such member clears the column. */
static void doc_split(const struct doc_type *type, struct doc_change *changes,
                      size_t *count, const struct doc_field *field)
{
    const struct doc_field *f = doc_inner(type->fields, field);
    for (; f; f = doc_inner(f + 1, field)) {
        cJSON *value = doc_change_of(changes, count, field)->value;
        cJSON *member = value ? cJSON_DetachItemFromObjectCaseSensitive(
                                    value, strchr(f->path, '.') + 1)
                              : NULL;
        struct doc_change *change = doc_change_of(changes, count, f);
        cJSON_Delete(change->value);
        change->value = member;
    }
}

static size_t doc_collect(sqlite3 *db, const struct doc_type *type, const char *id,
                          const cJSON *fields, struct doc_change *changes)
{
    size_t count = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, fields)
    {
        const char *rest = "";
        const struct doc_field *field = doc_field_find(type, item->string, &rest);
        if (!field)
            continue;
        size_t before = count;
        struct doc_change *change = doc_change_of(changes, &count, field);
        if (*rest) {
            if (count > before)
                change->value = doc_load_field(db, type, id, field->path);
            if (!cJSON_IsObject(change->value)) {
                cJSON_Delete(change->value);
                change->value = cJSON_CreateObject();
            }
            doc_set_inside(change->value, rest, field->flags & DOC_FLAT, item);
            continue;
        }
        cJSON_Delete(change->value);
        change->value = cJSON_IsNull(item) ? NULL : cJSON_Duplicate(item, true);
        if (field->kind == DOC_JSON)
            doc_split(type, changes, &count, field);
    }
    return count;
}

static int doc_update_table(sqlite3 *db, const struct doc_table *table, sqlite3_int64 n,
                            const struct doc_change *changes, size_t count)
{
    auto_buf sql = BUF_INIT;
    buf_printf(&sql, "UPDATE %s SET ", table->name);
    int used = 0;
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(changes[i].field->table, table->alias))
            buf_printf(&sql, "%s%s = ?", used++ ? ", " : "", changes[i].field->column);
    }
    if (!used)
        return 0;
    buf_add_str(&sql, " WHERE n = ?");
    auto_stmt *stmt = sql_prepare(db, buf_str(&sql));
    int index = 1;
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(changes[i].field->table, table->alias))
            doc_bind_field(stmt, index++, changes[i].field, changes[i].value);
    }
    sqlite3_bind_int64(stmt, index, n);
    sql_step(stmt);
    return sqlite3_changes(db);
}

/* The number of the document, 0 if there is none or its status is not the expected. */
static sqlite3_int64 doc_number(sqlite3 *db, const struct doc_type *type,
                                const char *id, const char *expect)
{
    auto_buf sql = BUF_INIT;
    buf_printf(&sql, "SELECT n FROM %s WHERE id = ?%s", type->tables[0].name,
               expect ? " AND status = ?" : "");
    auto_stmt *stmt = sql_prepare(db, buf_str(&sql));
    sql_bind(stmt, 1, id);
    if (expect)
        sql_bind(stmt, 2, expect);
    return sql_step(stmt) ? sqlite3_column_int64(stmt, 0) : 0;
}

int doc_set(sqlite3 *db, const struct doc_type *type, const char *id,
            const cJSON *fields, const char *expect)
{
    sqlite3_int64 n = doc_number(db, type, id, expect);
    if (!n)
        return 0;
    size_t most = 0;
    for (const struct doc_field *f = type->fields; f->path; f++)
        most++;
    struct doc_change *changes = xcalloc(most, sizeof *changes);
    size_t count = doc_collect(db, type, id, fields, changes);
    for (size_t i = 0; i < count; i++) {
        if (changes[i].field->flags & DOC_WORDS) {
            auto_json *old = doc_load_field(db, type, id, changes[i].field->path);
            doc_refs_update(db, type, id, changes[i].field, old, changes[i].value);
        }
    }
    for (const struct doc_table *t = type->tables; t->alias; t++)
        doc_update_table(db, t, n, changes, count);
    for (size_t i = 0; i < count; i++)
        cJSON_Delete(changes[i].value);
    free(changes);
    return 1;
}

int doc_delete(sqlite3 *db, const struct doc_type *type, const char *id)
{
    sqlite3_int64 n = doc_number(db, type, id, NULL);
    if (!n)
        return 0;
    for (const struct doc_field *f = type->fields; f->path; f++) {
        if (f->flags & DOC_WORDS) {
            auto_json *old = doc_load_field(db, type, id, f->path);
            doc_refs_update(db, type, id, f, old, NULL);
        }
    }
    for (const struct doc_table *t = type->tables; t->alias; t++) {
        auto_buf sql = BUF_INIT;
        buf_printf(&sql, "DELETE FROM %s WHERE n = ?", t->name);
        auto_stmt *stmt = sql_prepare(db, buf_str(&sql));
        sqlite3_bind_int64(stmt, 1, n);
        sql_step(stmt);
    }
    return 1;
}
