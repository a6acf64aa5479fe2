/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/events-internal.h"
#include "base/alloc.h"
#include "base/json.h"
#include "server/sql.h"
#include "server/store.h"

#include <stdlib.h>
#include <string.h>

/* ---- the series of a task ---- */

static char *column_dup(sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return text ? xstrdup(text) : NULL;
}

static void list_add(struct event_series_list *list, size_t *cap, sqlite3_stmt *stmt)
{
    if (list->count == *cap) {
        *cap = *cap ? *cap * 2 : 16;
        list->items = xreallocarray(list->items, *cap, sizeof *list->items);
    }
    list->items[list->count++] = (struct event_series){
        .id = sqlite3_column_int64(stmt, 0),
        .metric = column_dup(stmt, 1),
        .variant = column_dup(stmt, 2),
        .x_axis_label = column_dup(stmt, 3),
    };
}

struct event_series_list event_series_load(sqlite3 *db, const char *task, int type,
                                           const cJSON *metrics)
{
    struct event_series_list list = {0};
    size_t cap = 0;
    bool all = !cJSON_IsArray(metrics) || !metrics->child;
    auto_free char *wanted = all ? NULL : json_format(metrics);
    auto_reset *stmt = store_query(
        db,
        EVENT_WANTED(3) "SELECT id, metric, variant, x_axis_label FROM event_series"
                        " WHERE task = ?1 AND (type = ?2 OR ?2 = 5) AND (?3 IS NULL"
                        " OR " EVENT_IS_WANTED(
                            "metric", "variant") ")"
                                                 " ORDER BY metric, variant, type",
        "tit", task, (int64_t)type, wanted);
    while (store_row(stmt))
        list_add(&list, &cap, stmt);
    return list;
}

void event_series_free(struct event_series_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].metric);
        free(list->items[i].variant);
        free(list->items[i].x_axis_label);
    }
    free(list->items);
    *list = (struct event_series_list){0};
}

/* ---- the first events of several series ---- */

struct picker {
    sqlite3 *db;
    bool distinct, down;
    struct event_pick from;
    int64_t bound; /* iterations behind it are not among the first */
    size_t limit, count, cap;
    struct event_pick *picks;
};

static int compare_up(const void *a, const void *b)
{
    const struct event_pick *x = a, *y = b;
    if (x->iter != y->iter)
        return x->iter < y->iter ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* Of one iteration the first comes first here too, as in ClearML. */
static int compare_down(const void *a, const void *b)
{
    const struct event_pick *x = a, *y = b;
    if (x->iter != y->iter)
        return x->iter > y->iter ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static void drop_doubles(struct picker *p)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->count; i++)
        if (!kept || p->picks[kept - 1].iter != p->picks[i].iter)
            p->picks[kept++] = p->picks[i];
    p->count = kept;
}

/* Keeps the first, and lowers the bound when there are enough of them. */
static void picker_trim(struct picker *p)
{
    if (p->count)
        qsort(p->picks, p->count, sizeof *p->picks,
              p->down ? compare_down : compare_up);
    if (p->distinct)
        drop_doubles(p);
    if (p->count > p->limit)
        p->count = p->limit;
    if (p->count == p->limit && p->limit)
        p->bound = p->picks[p->count - 1].iter;
}

static sqlite3_stmt *picker_select(const struct picker *p, int64_t series)
{
    static const char *const sql[2][2] = {
        {"SELECT iter, id FROM series_events WHERE series = ?1 AND"
         " (iter, id) > (?2, ?3) AND iter <= ?4 ORDER BY iter, id LIMIT ?5",
         "SELECT iter, id FROM series_events WHERE series = ?1 AND"
         " iter <= ?2 AND iter >= ?4 AND (iter < ?2 OR id > ?3)"
         " ORDER BY iter DESC, id LIMIT ?5"},
        {"SELECT DISTINCT iter, 0 FROM series_events WHERE series = ?1 AND"
         " iter > ?2 AND iter <= ?4 ORDER BY iter LIMIT ?5",
         "SELECT DISTINCT iter, 0 FROM series_events WHERE series = ?1 AND"
         " iter < ?2 AND iter >= ?4 ORDER BY iter DESC LIMIT ?5"}};
    return store_query(p->db, sql[p->distinct][p->down], "iiiii", series, p->from.iter,
                       p->from.id, p->bound, (int64_t)p->limit);
}

static void picker_read(struct picker *p, const struct event_series_list *list,
                        size_t i)
{
    auto_reset *stmt = picker_select(p, list->items[i].id);
    while (store_row(stmt)) {
        if (p->count == p->cap) {
            p->cap = p->cap ? p->cap * 2 : 64;
            p->picks = xreallocarray(p->picks, p->cap, sizeof *p->picks);
        }
        p->picks[p->count++] = (struct event_pick){sqlite3_column_int64(stmt, 0),
                                                   sqlite3_column_int64(stmt, 1), i};
    }
    bool bounded = p->bound != INT64_MIN && p->bound != INT64_MAX;
    if (p->count >= (bounded ? 2 : 1) * p->limit)
        picker_trim(p);
}

struct event_pick *event_pick(sqlite3 *db, const struct event_series_list *list,
                              bool distinct, bool down, struct event_pick from,
                              size_t limit, size_t *n)
{
    struct picker p = {.db = db,
                       .distinct = distinct,
                       .down = down,
                       .from = from,
                       .bound = down ? INT64_MIN : INT64_MAX,
                       .limit = limit};
    for (size_t i = 0; limit && i < list->count; i++)
        picker_read(&p, list, i);
    picker_trim(&p);
    *n = p.count;
    return p.picks;
}

sqlite3_stmt *event_row(sqlite3 *db, int64_t id)
{
    sqlite3_stmt *stmt =
        store_query(db,
                    "SELECT " EVENT_COLUMNS " FROM series_events e JOIN event_series s"
                    " ON s.id = e.series WHERE e.id = ?",
                    "i", id);
    if (store_row(stmt))
        return stmt;
    sqlite3_reset(stmt);
    return NULL;
}

sqlite3_stmt *event_row_at(sqlite3 *db, int64_t series, int64_t iter)
{
    sqlite3_stmt *stmt =
        store_query(db,
                    "SELECT " EVENT_COLUMNS " FROM series_events e JOIN event_series s"
                    " ON s.id = e.series WHERE e.series = ? AND e.iter = ?"
                    " ORDER BY e.key DESC LIMIT 1",
                    "ii", series, iter);
    if (store_row(stmt))
        return stmt;
    sqlite3_reset(stmt);
    return NULL;
}
