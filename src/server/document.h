/* document.h - ClearML documents kept in columns
 *
 * A document type is one table of fields: which part of the document lives in which
 * column, and as what. Loading, storing, changing and querying all go by it. What
 * changes often and is small is in the main table; what is large and rarely changed (a
 * script of megabytes) is in tables beside it under the same number, since SQLite
 * writes a whole row for any change to it. */
#ifndef REEVE_SERVER_DOCUMENT_H
#define REEVE_SERVER_DOCUMENT_H

#include <cjson/cJSON.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

enum doc_kind {
    DOC_TEXT,
    DOC_INTEGER,
    DOC_TIME, /* milliseconds in the column, ClearML's ISO form in the document */
    DOC_BOOL,
    DOC_JSON
};

enum doc_flags {
    DOC_HIDDEN = 1,  /* in answers only when asked for by name */
    DOC_FLAT = 2,    /* an object whose member names may contain dots */
    DOC_INDEXED = 4, /* ordering by it needs no sort */
    DOC_FILLED = 8,  /* never NULL or empty */
    DOC_WORDS = 16   /* its value gives words for refs */
};

struct doc_field {
    const char *path;   /* "name", "execution.queue" */
    const char *table;  /* alias of the table: "t" */
    const char *column; /* its name there */
    enum doc_kind kind;
    unsigned flags;
    const char *fallback; /* column value for what a new document does not have; NULL:
                             NULL */
};

struct doc_table {
    const char *alias; /* "t" first: it has id and n; the others n */
    const char *name;
};

struct doc_type {
    const struct doc_field *fields; /* ended by a NULL path; a field below another
                                       ("execution.queue") comes after it */
    const struct doc_table *tables; /* ended by a NULL alias */
    const char *from;               /* "tasks t LEFT JOIN ..." */
    const char *load; /* the SELECT of all fields by id, as a literal: the key of its
                         prepared statement */
    /* The table refs(word, id) finds documents by what is in their arrays. words
     * appends those that the value of the field of this path gives to out; a word is
     * what word_prefix says for the path of a query ("tags": "t:") and the value asked
     * for. All NULL where there is no such table. */
    const char *refs;
    void (*words)(const char *path, const cJSON *value, cJSON *out);
    const char *(*word_prefix)(const char *path);
};

/* The field that holds this path: the field of this very path, or the JSON field above
 * it; rest then points behind the dot, else to "". NULL if there is none. */
const struct doc_field *doc_field_find(const struct doc_type *type, const char *path,
                                       const char **rest);

/* Column col of a row as a value of the document; NULL if the document does not have
 * it. */
cJSON *doc_value(sqlite3_stmt *stmt, int col, const struct doc_field *field);
/* Puts a field's value into a document. Takes value. */
void doc_place(cJSON *doc, const struct doc_field *field, cJSON *value);

/* The document of this id, hidden fields too if asked; NULL if there is none. */
cJSON *doc_load(sqlite3 *db, const struct doc_type *type, const char *id, bool hidden);
/* The value of one field alone, by its path in the table of fields; NULL if none. */
cJSON *doc_load_field(sqlite3 *db, const struct doc_type *type, const char *id,
                      const char *path);
void doc_insert(sqlite3 *db, const struct doc_type *type, const cJSON *doc);
/* Sets fields, named by their path; null unsets. Dotted paths below a JSON field change
 * that alone; unknown paths are skipped. With expect, nothing is done unless the column
 * "status" is that. Returns how many documents changed: 1 or 0. */
int doc_set(sqlite3 *db, const struct doc_type *type, const char *id,
            const cJSON *fields, const char *expect);
int doc_delete(sqlite3 *db, const struct doc_type *type, const char *id);

/* Binds a JSON scalar or, as its text, an object or array. */
void doc_bind(sqlite3_stmt *stmt, int index, const cJSON *value);

#endif
