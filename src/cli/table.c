/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/table.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"
#include "config/size.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#define CELL_WIDTH_MAX 48 /* of all but the last column */

struct table {
    const char *const *titles;
    size_t columns, n, cap;
    char **cells;
};

struct table *table_create(const char *const *titles, size_t columns)
{
    struct table *t = xcalloc(1, sizeof *t);
    t->titles = titles;
    t->columns = columns;
    return t;
}

void table_free(struct table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t);
}

static size_t width(const char *text)
{
    return utf8_count(text, strlen(text));
}

/* Cuts after `columns` characters, with an ellipsis as the last. */
static void cut(char *text, size_t columns)
{
    if (width(text) <= columns)
        return;
    char *p = text;
    for (size_t n = 0; n < columns; p++)
        n += ((unsigned char)p[0] & 0xc0) != 0x80;
    /* p is behind the first byte of the last character: three bytes may be missing
     * there, so the mark is one of ASCII. */
    p[-1] = '>';
    *p = '\0';
}

void table_add(struct table *t, const char *cell)
{
    auto_buf raw = BUF_INIT, safe = BUF_INIT;
    buf_add_str(&raw, cell && *cell ? cell : "-");
    for (size_t i = 0; i < raw.len; i++)
        if (raw.data[i] == '\n' || raw.data[i] == '\t')
            raw.data[i] = ' ';
    utf8_add_printable(&safe, raw.data, raw.len);
    char *text = buf_take(&safe);
    if (t->n % t->columns + 1 != t->columns)
        cut(text, CELL_WIDTH_MAX);
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 64;
        t->cells = xreallocarray(t->cells, t->cap, sizeof *t->cells);
    }
    t->cells[t->n++] = text;
}

static bool to_right(const struct table *t, size_t column)
{
    return t->titles[column][0] == '>';
}

static const char *title(const struct table *t, size_t column)
{
    return t->titles[column] + to_right(t, column);
}

static void print_cell(const struct table *t, size_t column, const char *text,
                       size_t wide, FILE *out)
{
    int pad = (int)(wide - width(text));
    bool last = column + 1 == t->columns;
    if (to_right(t, column))
        fprintf(out, "%*s%s", pad, "", text);
    else
        fprintf(out, "%s%*s", text, last ? 0 : pad, "");
    fputs(last ? "\n" : "  ", out);
}

void table_print(const struct table *t, FILE *out)
{
    auto_free size_t *wide = xcalloc(t->columns, sizeof *wide);
    for (size_t c = 0; c < t->columns; c++)
        wide[c] = width(title(t, c));
    for (size_t i = 0; i < t->n; i++)
        if (width(t->cells[i]) > wide[i % t->columns])
            wide[i % t->columns] = width(t->cells[i]);
    for (size_t c = 0; c < t->columns; c++)
        print_cell(t, c, title(t, c), wide[c], out);
    for (size_t i = 0; i < t->n; i++)
        print_cell(t, i % t->columns, t->cells[i], wide[i % t->columns], out);
}

void table_add_text(struct table *t, const cJSON *object, const char *name)
{
    table_add(t, json_str(object, name, NULL));
}

void table_add_id(struct table *t, const cJSON *object, const char *name)
{
    char text[9];
    snprintf(text, sizeof text, "%.8s", json_str(object, name, ""));
    table_add(t, text);
}

void table_add_number(struct table *t, const cJSON *object, const char *name,
                      int decimals)
{
    char text[64] = "";
    const cJSON *v = json_get(object, name);
    if (cJSON_IsNumber(v))
        snprintf(text, sizeof text, "%.*f", decimals, v->valuedouble);
    table_add(t, text);
}

void table_add_bytes(struct table *t, const cJSON *object, const char *name)
{
    char text[SIZE_TEXT_SIZE] = "";
    if (cJSON_IsNumber(json_get(object, name)))
        size_format(json_int(object, name, 0), text);
    table_add(t, text);
}

/* "42s", "7m", "3h", "12d" */
static void format_span(int64_t seconds, char text[32])
{
    static const struct {
        int64_t seconds, unit;
        char letter;
    } steps[] = {{120, 1, 's'}, {7200, 60, 'm'}, {172800, 3600, 'h'}};
    size_t i = 0;
    while (i < ARRAY_SIZE(steps) && seconds >= steps[i].seconds)
        i++;
    if (i < ARRAY_SIZE(steps))
        snprintf(text, 32, "%" PRId64 "%c", seconds / steps[i].unit, steps[i].letter);
    else
        snprintf(text, 32, "%" PRId64 "d", seconds / 86400);
}

void table_add_age(struct table *t, const cJSON *object, const char *name,
                   int64_t now_ms)
{
    char text[32] = "";
    int64_t then;
    if (clock_iso_parse(json_str(object, name, ""), &then) == 0)
        format_span(now_ms > then ? (now_ms - then) / 1000 : 0, text);
    table_add(t, text);
}

void table_add_until(struct table *t, const cJSON *object, const char *name,
                     int64_t now_ms)
{
    char text[32] = "";
    int64_t then;
    if (clock_iso_parse(json_str(object, name, ""), &then) == 0) {
        if (then > now_ms)
            format_span((then - now_ms + 999) / 1000, text);
        else
            snprintf(text, sizeof text, "now");
    }
    table_add(t, text);
}
