/* query-internal.h - what the files of the query grammar share */
#ifndef REEVE_SERVER_QUERY_INTERNAL_H
#define REEVE_SERVER_QUERY_INTERNAL_H

#include "base/buf.h"
#include "server/call.h"
#include "server/document.h"
#include "server/services.h"

struct regex;

enum query_param_type {
    PARAM_TEXT,
    PARAM_JSON,
    PARAM_INTEGER,
    PARAM_NUMBER,
    PARAM_REGEX
};

struct query_param {
    enum query_param_type type;
    char *text; /* PARAM_TEXT and PARAM_JSON */
    int64_t integer;
    double number;
    struct regex *regex;
};

#define QUERY_PARAMS_MAX 2000

struct query {
    struct call *call;
    const cJSON *request; /* the conditions; the call's own, or those of a part of it */
    const struct query_collection *c;
    struct buf where; /* "x AND y"; empty: everything */
    struct query_param *params;
    size_t count;
    bool joined; /* a condition looks into the tables beside the first */
    bool sorted; /* the rows are wanted in the order of an index */
};

/* Each appends a parameter and returns its number for "?%d". */
int query_text(struct query *q, const char *text);
int query_json(struct query *q, const cJSON *value);
int query_integer(struct query *q, int64_t value);
int query_number(struct query *q, double value);
int query_regex(struct query *q, struct regex *regex); /* takes it */

/* Where a path of the document lives in SQL. */
struct query_target {
    char source[160]; /* column or expression; with path: JSON text */
    int path;         /* parameter number of the JSON path; 0: source is the value */
    enum doc_kind kind;
    const struct doc_field *field; /* NULL if the collection has none */
};

/* Whether a document of the collection may have something at this path. */
bool query_has_path(const struct query_collection *c, const char *path);
/* False if the collection has no such path. */
bool query_resolve(struct query *q, const char *path, struct query_target *out);
/* Appends the SQL expression of the value. */
void query_value(const struct query_target *t, struct buf *out);
/* A path's next segment, its escapes (%2E and so on) undone, for the caller to free;
 * *path moves behind it. */
char *query_segment_dup(const char **path);

/* Appends the condition for one request field to q->where. 0, or -1 after call_fail. */
int query_filter(struct query *q, const char *name, const cJSON *value);
int query_list(struct query *q, const char *path, const cJSON *value, struct buf *out);
int query_list_filter(struct query *q, const char *path, const cJSON *value,
                      struct buf *out);
int query_dates(struct query *q, const char *path, const cJSON *value, struct buf *out);
int query_range(struct query *q, const char *path, const cJSON *value, struct buf *out);
int query_match(struct query *q, const char *path, const char *pattern, bool any_case,
                struct buf *out);
/* Appends "path holds one of these values" (or, with every, all of them). */
void query_contains(struct query *q, const char *path, const cJSON *values, bool every,
                    struct buf *out);
/* True if name is in the list; a list entry "a.*" stands for all that begin with "a.".
 */
bool query_named(const char *const *list, const char *name);
void query_and(struct query *q, const char *condition);

/* ---- query-regex.c ---- */
struct regex *regex_compile(const char *pattern, bool any_case, char error[256]);
void regex_free(struct regex *r);
/* 1, 0, or -1 if it would need too much work. */
int regex_match(struct regex *r, const char *text, size_t n);
/* The text that a pattern "^text$" stands for alone, for the caller; NULL if it is any
 * other pattern. */
char *regex_literal_dup(const char *pattern);

/* ---- query-join.c ---- */
/* The projection without what is below a reference. */
cJSON *query_join_fields(const struct query_collection *c, const cJSON *only_fields);
/* Puts objects in the place of ids. */
void query_join(struct query *q, cJSON *docs, const cJSON *only_fields);

#endif
