/* table.h - rows for people: columns aligned, control bytes made printable */
#ifndef REEVE_TABLE_H
#define REEVE_TABLE_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct table;

/* titles: one a column; one that begins with '>' is aligned to the right. Borrowed. */
struct table *table_create(const char *const *titles, size_t columns);
/* The next cell, left to right, row after row; NULL or "" is shown as "-". Copied. */
void table_add(struct table *t, const char *cell);
void table_print(const struct table *t, FILE *out);
void table_free(struct table *t);

/* Cells from JSON values; null is "-". */
void table_add_text(struct table *t, const cJSON *object, const char *name);
void table_add_id(struct table *t, const cJSON *object, const char *name);
void table_add_number(struct table *t, const cJSON *object, const char *name,
                      int decimals);
void table_add_bytes(struct table *t, const cJSON *object, const char *name);
/* How long ago a time stamp is: "42s", "7m", "3h", "12d". */
void table_add_age(struct table *t, const cJSON *object, const char *name,
                   int64_t now_ms);
/* How long until one, in the same form; one that has come is "now". */
void table_add_until(struct table *t, const cJSON *object, const char *name,
                     int64_t now_ms);

#endif
