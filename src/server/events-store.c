/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/events-internal.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json-text.h"
#include "base/json.h"
#include "server/schema.h"
#include "server/services.h"
#include "server/store.h"

#include <string.h>

/* A log row is written once and read by its task's time stamps, hence the one index;
 * its number breaks ties, so that lines of one millisecond keep their order. */
const char events_schema[] =
    "CREATE TABLE log_events (id INTEGER PRIMARY KEY, task TEXT NOT NULL,"
    " timestamp INTEGER NOT NULL, level TEXT, worker TEXT, extra TEXT, msg TEXT);"
    "CREATE INDEX log_events_by_time ON log_events (task, timestamp);"
    "CREATE TABLE event_series (id INTEGER PRIMARY KEY, task TEXT NOT NULL,"
    " type INTEGER NOT NULL, metric TEXT NOT NULL, variant TEXT NOT NULL,"
    " listed INTEGER NOT NULL DEFAULT 0, count INTEGER NOT NULL DEFAULT 0,"
    " total REAL NOT NULL DEFAULT 0, value REAL, min_value REAL, min_iter INTEGER,"
    " max_value REAL, max_iter INTEGER, first_value REAL, first_iter INTEGER,"
    " x_axis_label TEXT, UNIQUE (task, type, metric, variant));"
    "CREATE TABLE series_events (id INTEGER PRIMARY KEY,"
    " series INTEGER NOT NULL, iter INTEGER NOT NULL, key TEXT NOT NULL,"
    " timestamp INTEGER NOT NULL, value REAL, worker TEXT, extra TEXT);"
    "CREATE UNIQUE INDEX series_events_by_iter ON series_events (series, iter, key);"
    "CREATE TABLE event_batches (name TEXT NOT NULL, user TEXT NOT NULL,"
    " added INTEGER NOT NULL, answer TEXT NOT NULL, PRIMARY KEY (name, user))"
    " WITHOUT ROWID;"
    "CREATE INDEX event_batches_by_age ON event_batches (added);";

/* Models have events too, and log lines may have a metric, which few do. */
const char event_models_schema[] =
    "ALTER TABLE event_series ADD COLUMN model INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE log_events ADD COLUMN metric TEXT;"
    "ALTER TABLE log_events ADD COLUMN variant TEXT;"
    "CREATE INDEX log_events_by_metric ON log_events (task, metric)"
    " WHERE metric IS NOT NULL;";

/* When an event was written, which ClearML tells as "@timestamp"; its own timestamp is
 * the client's. */
const char event_times_schema[] =
    "ALTER TABLE log_events ADD COLUMN stored INTEGER;"
    "ALTER TABLE series_events ADD COLUMN stored INTEGER;";

static const char *const type_names[EVENT_TYPES] = {
    [EVENT_LOG] = "log",
    [EVENT_SCALAR] = "training_stats_scalar",
    [EVENT_VECTOR] = "training_stats_vector",
    [EVENT_IMAGE] = "training_debug_image",
    [EVENT_PLOT] = "plot",
};

const char *event_type_name(enum event_type type)
{
    return type < EVENT_TYPES ? type_names[type] : "*";
}

static bool same_type(const char *name, const char *type)
{
    for (; *name && *type; name++, type++)
        if ((*name == ' ' ? '_' : *name) != *type)
            return false;
    return *name == *type;
}

int event_type_parse(const char *name)
{
    for (int i = 0; i < EVENT_TYPES; i++)
        if (same_type(name, type_names[i]))
            return i;
    return -1;
}

/* The event outlives the step, so its texts need no copies. */
static void bind_text(sqlite3_stmt *stmt, int index, const char *text)
{
    if (text)
        sqlite3_bind_text(stmt, index, text, -1, SQLITE_STATIC);
}

/* Drops the borrowed pointers with the reset. */
static int finish(sqlite3_stmt *stmt)
{
    int result = store_exec(stmt);
    sqlite3_clear_bindings(stmt);
    return result;
}

int event_insert_log(sqlite3 *db, const struct event *event)
{
    sqlite3_stmt *stmt = store_prepare(
        db, "INSERT INTO log_events (task, timestamp, level, worker, extra, msg,"
            " metric, variant, stored) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    bind_text(stmt, 1, event->task);
    sqlite3_bind_int64(stmt, 2, event->timestamp);
    bind_text(stmt, 3, event->level);
    bind_text(stmt, 4, event->worker);
    bind_text(stmt, 5, event->extra);
    bind_text(stmt, 6, event->msg);
    bind_text(stmt, 7, *event->metric ? event->metric : NULL);
    bind_text(stmt, 8, *event->variant ? event->variant : NULL);
    sqlite3_bind_int64(stmt, 9, event->stored);
    return finish(stmt);
}

int event_insert(sqlite3 *db, int64_t series, const struct event *event)
{
    sqlite3_stmt *stmt = store_prepare(
        db, "INSERT OR REPLACE INTO series_events"
            " (series, iter, key, timestamp, value, worker, extra, stored)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    sqlite3_bind_int64(stmt, 1, series);
    sqlite3_bind_int64(stmt, 2, event->iter);
    bind_text(stmt, 3, event->key ? event->key : "");
    sqlite3_bind_int64(stmt, 4, event->timestamp);
    if (event->has_value)
        sqlite3_bind_double(stmt, 5, event->value);
    bind_text(stmt, 6, event->worker);
    bind_text(stmt, 7, event->extra);
    sqlite3_bind_int64(stmt, 8, event->stored);
    return finish(stmt);
}

/* ClearML keeps at most so many last_metrics of a task. */
#define LISTED_MAX 2000

/* Whether a new series of scalars is among those that the task lists. */
static bool is_listed(sqlite3 *db, const struct event *event, int64_t *scalars)
{
    if (event->type != EVENT_SCALAR)
        return false;
    if (*scalars < 0)
        *scalars = store_int(db,
                             "SELECT count(*) FROM event_series WHERE task = ?"
                             " AND type = ?",
                             0, "ti", event->task, (int64_t)event->type);
    return (*scalars)++ < LISTED_MAX;
}

int64_t event_series_open(sqlite3 *db, const struct event *event, int64_t *scalars)
{
    int64_t id = store_int(db,
                           "SELECT id FROM event_series WHERE task = ? AND type = ?"
                           " AND metric = ? AND variant = ?",
                           -1, "titt", event->task, (int64_t)event->type, event->metric,
                           event->variant);
    if (id >= 0)
        return id;
    bool listed = is_listed(db, event, scalars);
    if (store_change(db,
                     "INSERT INTO event_series (task, type, metric, variant, listed,"
                     " model) VALUES (?, ?, ?, ?, ?, ?)",
                     "tittii", event->task, (int64_t)event->type, event->metric,
                     event->variant, (int64_t)listed, (int64_t)event->model) < 0)
        return -1;
    return sqlite3_last_insert_rowid(db);
}

int events_delete_task(sqlite3 *db, const char *task)
{
    int deleted = store_change(db,
                               "DELETE FROM series_events WHERE series IN"
                               " (SELECT id FROM event_series WHERE task = ?)",
                               "t", task);
    int logs = store_change(db, "DELETE FROM log_events WHERE task = ?", "t", task);
    store_change(db, "DELETE FROM event_series WHERE task = ?", "t", task);
    /* A run names its batches "<task>/<offset>"; the next run of a task that was reset
     * counts from 0 again, and must not be taken for the one that was deleted. */
    store_change(
        db, "DELETE FROM event_batches WHERE name >= ?1 || '/' AND name < ?1 || '0'",
        "t", task);
    return (deleted > 0 ? deleted : 0) + (logs > 0 ? logs : 0);
}

/* ---- as JSON ---- */

void event_add_column(struct buf *out, sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    json_text_string(out, text ? text : "", (size_t)sqlite3_column_bytes(stmt, column));
}

static void add_member(struct buf *out, const char *name, sqlite3_stmt *stmt,
                       int column)
{
    buf_printf(out, ",\"%s\":", name);
    event_add_column(out, stmt, column);
}

static void add_optional(struct buf *out, const char *name, sqlite3_stmt *stmt,
                         int column)
{
    if (sqlite3_column_type(stmt, column) != SQLITE_NULL)
        add_member(out, name, stmt, column);
}

static void add_stored(struct buf *out, sqlite3_stmt *stmt, int column)
{
    char iso[CLOCK_ISO_SIZE];
    if (sqlite3_column_type(stmt, column) == SQLITE_NULL)
        return;
    clock_iso(sqlite3_column_int64(stmt, column), iso);
    buf_printf(out, ",\"@timestamp\":\"%s\"", iso);
}

/* The stored object's members, spliced in, and the end of the object. */
static void add_extra(struct buf *out, sqlite3_stmt *stmt, int column)
{
    const char *extra = (const char *)sqlite3_column_text(stmt, column);
    size_t n = (size_t)sqlite3_column_bytes(stmt, column);
    if (extra && n > 2) {
        buf_add_char(out, ',');
        buf_add(out, extra + 1, n - 2);
    }
    buf_add_char(out, '}');
}

void event_log_add_json(struct buf *out, sqlite3_stmt *stmt)
{
    buf_add_str(out, "{\"type\":\"log\",\"task\":");
    event_add_column(out, stmt, 0);
    buf_add_str(out, ",\"timestamp\":");
    json_text_int(out, sqlite3_column_int64(stmt, 1));
    add_optional(out, "level", stmt, 2);
    add_optional(out, "worker", stmt, 3);
    add_member(out, "msg", stmt, 4);
    add_member(out, "metric", stmt, 6);
    add_member(out, "variant", stmt, 7);
    add_stored(out, stmt, 8);
    buf_add_str(out, ",\"model_event\":false");
    add_extra(out, stmt, 5);
}

void event_add_json(struct buf *out, sqlite3_stmt *stmt)
{
    buf_printf(out, "{\"type\":\"%s\",\"task\":",
               event_type_name((enum event_type)sqlite3_column_int(stmt, 1)));
    event_add_column(out, stmt, 0);
    add_member(out, "metric", stmt, 2);
    add_member(out, "variant", stmt, 3);
    if (sqlite3_column_int64(stmt, 4) != EVENT_NO_ITER) {
        buf_add_str(out, ",\"iter\":");
        json_text_int(out, sqlite3_column_int64(stmt, 4));
    }
    if (sqlite3_column_bytes(stmt, 5) > 0)
        add_member(out, "key", stmt, 5);
    buf_add_str(out, ",\"timestamp\":");
    json_text_int(out, sqlite3_column_int64(stmt, 6));
    if (sqlite3_column_type(stmt, 7) != SQLITE_NULL) {
        buf_add_str(out, ",\"value\":");
        json_text_number(out, sqlite3_column_double(stmt, 7));
    }
    add_optional(out, "worker", stmt, 8);
    buf_printf(out, ",\"model_event\":%s",
               sqlite3_column_int(stmt, 10) ? "true" : "false");
    add_stored(out, stmt, 11);
    add_extra(out, stmt, 9);
}

int event_answer(struct call *call, struct buf *out)
{
    free(call->raw_data);
    call->raw_data = buf_take(out);
    return 0;
}
