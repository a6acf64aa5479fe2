/* events-internal.h - how the parts of the events service share its tables
 *
 * Log events are a table of their own, in order of insertion and never merged. All
 * other events belong to a series (task, type, metric, variant) and are unique in it by
 * iteration and key: the same coordinates again replace what was there. A series also
 * carries what the task's last_metrics say about it. */
#ifndef REEVE_SERVER_EVENTS_INTERNAL_H
#define REEVE_SERVER_EVENTS_INTERNAL_H

#include "base/buf.h"
#include "server/api-error.h"
#include "server/call.h"

#include <cjson/cJSON.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

enum event_type {
    EVENT_LOG,
    EVENT_SCALAR,
    EVENT_VECTOR,
    EVENT_IMAGE,
    EVENT_PLOT,
    EVENT_TYPES /* how many; also "all of them" ("*") */
};

/* What an event without iteration has in the column. */
#define EVENT_NO_ITER INT64_MIN
/* The iteration of values that are reported once (the SDK's report_single_value). */
#define EVENT_SINGLE_ITER (-2147483648LL)

const char *event_type_name(enum event_type type);
/* By ClearML's name, spaces read as underscores; -1 if there is no such type. */
int event_type_parse(const char *name);

/* One event to be stored; all pointers are borrowed. */
struct event {
    enum event_type type;
    const char *task, *worker, *metric, *variant, *key, *level, *msg;
    int64_t timestamp, stored;
    int64_t iter; /* EVENT_NO_ITER if it has none */
    bool has_value;
    double value;
    const char *x_axis_label;
    const char *extra; /* the members that have no column, as a JSON object; or NULL */
    bool model;        /* task is a model's id */
};

/* 0, or -1 if it could not be written. */
int event_insert_log(sqlite3 *db, const struct event *event);
int event_insert(sqlite3 *db, int64_t series, const struct event *event);
/* The number of the event's series, made if it is new; -1 if that failed. scalars: how
 * many of scalars its task has, -1 if they are not counted yet. */
int64_t event_series_open(sqlite3 *db, const struct event *event, int64_t *scalars);

/* ---- answers as JSON text ---- */

/* Both expect the columns of EVENT_LOG_COLUMNS or EVENT_COLUMNS from column 0 on, and
 * append one JSON object. */
#define EVENT_LOG_COLUMNS                                                              \
    "l.task, l.timestamp, l.level, l.worker, l.msg, l.extra, l.metric, "               \
    "l.variant, l.stored"
#define EVENT_LOG_COLUMN_COUNT 9
#define EVENT_COLUMNS                                                                  \
    "s.task, s.type, s.metric, s.variant, e.iter, e.key, e.timestamp, e.value, "       \
    "e.worker, e.extra, s.model, e.stored"
/* No answer grows much beyond this, however long the events are. */
#define EVENT_ANSWER_MAX ((size_t)32 << 20)
/* Nor much beyond this where it cannot be parted, or where clients ask for all of a
 * task at once: what is behind is left out. */
#define EVENT_WHOLE_MAX ((size_t)128 << 20)
/* ClearML never returns more events than this at once. */
#define EVENT_BATCH_MAX 10000
void event_log_add_json(struct buf *out, sqlite3_stmt *stmt);
void event_add_json(struct buf *out, sqlite3_stmt *stmt);

/* Appends a text column as a JSON string; NULL as "". */
void event_add_column(struct buf *out, sqlite3_stmt *stmt, int column);
/* Sets call->raw_data to out's content, which is taken. Returns 0. */
int event_answer(struct call *call, struct buf *out);

/* ---- what several requests have in common ---- */

/* Fails the call with 400/error, "<text>: ids=(a, b)". ids: array of strings, or one.
 * Returns -1. */
int event_fail_ids(struct call *call, enum api_error error, const cJSON *ids);
/* 0 if the task exists, else the call's failure, 400/101. */
int event_require_task(struct call *call, const char *task);
/* The same for what a request is about: a model (400/201) where it says model_events.
 */
int event_require_source(struct call *call, const char *id);
/* The same for each of request["tasks"], a list of 1 to max strings. */
int event_require_sources(struct call *call, int max, const cJSON **ids);
/* That a task's or model's events may be changed: not published, or allow_locked. */
int event_require_unlocked(struct call *call, const char *id, bool model);
/* The task's name or, where the request says model_events, the model's. */
void event_source_name(struct call *call, const char *id, char name[512]);
/* request["metrics"], checked to be ClearML's list of {metric, variants}: 0 or -1. */
int event_metrics_requested(struct call *call, const cJSON **metrics);
/* True if an item's "variants" are strings, or there are none. */
bool event_variants_sound(const cJSON *item);
/* request["iters"], 1 to EVENT_BATCH_MAX. 0 or -1. */
int event_iters_requested(struct call *call, int64_t *out);
/* request["order"], "asc" or "desc". 0 or -1. */
int event_order_requested(struct call *call, const char *fallback, bool *down);
/* request[name] in the bounds; a failed call if it is out of them: -1. */
int event_bounded(struct call *call, const char *name, int64_t fallback, int64_t min,
                  int64_t max, int64_t *out);
/* Type named by request["event_type"]; required or not. -1 after call_fail. */
int event_type_requested(struct call *call, bool required);

/* SQL: the table w of a list of {metric, variants} in parameter n, and the condition
 * that a metric and a variant are in it. */
#define EVENT_WANTED(n)                                                                \
    "WITH w (metric, variants) AS (SELECT json_extract(value, '$.metric'),"            \
    " json_extract(value, '$.variants') FROM json_each(?" #n ")) "
#define EVENT_IS_WANTED(metric, variant)                                               \
    "(" metric " IN (SELECT metric FROM w WHERE"                                       \
    " ifnull(json_array_length(variants), 0) = 0) OR (" metric ", " variant ") IN"     \
    " (SELECT w.metric, v.value FROM w, json_each(w.variants) v))"

struct event_series {
    int64_t id;
    char *metric, *variant, *x_axis_label; /* the last may be NULL */
};
struct event_series_list {
    struct event_series *items;
    size_t count;
};
/* The series of a task or model, of one type (EVENT_TYPES: all), that metrics wants
 * (NULL or an empty list: all), in the order of their names. */
struct event_series_list event_series_load(sqlite3 *db, const char *task, int type,
                                           const cJSON *metrics);
void event_series_free(struct event_series_list *list);
#define auto_series __attribute__((cleanup(event_series_free))) struct event_series_list

/* ---- events of several series in the order of their iterations ---- */

/* An event; or an iteration, with id 0. */
struct event_pick {
    int64_t iter, id;
    size_t series; /* its place in the list */
};
/* The first events (or, with distinct, iterations) behind `from`, at most so many, for
 * the caller to free; *n is how many. Reads of each series no more than can be among
 * them. */
struct event_pick *event_pick(sqlite3 *db, const struct event_series_list *list,
                              bool distinct, bool down, struct event_pick from,
                              size_t limit, size_t *n);
/* The row of one event with EVENT_COLUMNS, to be reset; NULL if it is gone. */
sqlite3_stmt *event_row(sqlite3 *db, int64_t id);
/* The event of this series and iteration that shows: of several keys the last. NULL if
 * there is none; to be reset. */
sqlite3_stmt *event_row_at(sqlite3 *db, int64_t series, int64_t iter);

/* Where a client is in a list that it pages through: behind the event with these two
 * sort values. The scroll id carries it, so that the server keeps nothing. */
struct event_scroll {
    int64_t first, second;
    int64_t total; /* -1 before it was counted */
    int64_t batch;
    int phase;
    bool given;
    cJSON *request; /* what the first page asked for; may be NULL */
};
/* Fills scroll from request["scroll_id"], if there is one. kind: what list it must be
 * of. 0, or the call's failure (400/1104). */
int event_scroll_read(struct call *call, const char *kind, struct event_scroll *scroll);
/* Appends the scroll id as a JSON string. */
void event_scroll_write(struct buf *out, const char *kind,
                        const struct event_scroll *scroll);
void event_scroll_free(struct event_scroll *scroll);
#define auto_scroll __attribute__((cleanup(event_scroll_free))) struct event_scroll
/* 400/1104; returns -1. */
int event_fail_scroll(struct call *call, const char *id);

/* Appends a comma unless out ends in the bracket that opens its list. */
void event_add_comma(struct buf *out);

/* ---- handlers, one file a subject ---- */
int events_add(struct call *call);
int events_add_batch(struct call *call);

int events_get_task_log(struct call *call);
int events_get_task_log_scroll(struct call *call);
int events_download_task_log(struct call *call);
int events_clear_task_log(struct call *call);

int events_get_task_events(struct call *call);
int events_get_task_plots(struct call *call);
int events_get_multi_task_plots(struct call *call);
int events_debug_images(struct call *call);
int events_debug_images_flat(struct call *call);
int events_plots(struct call *call);
int events_get_debug_image_sample(struct call *call);
int events_next_debug_image_sample(struct call *call);
int events_get_plot_sample(struct call *call);
int events_next_plot_sample(struct call *call);

int events_scalar_histogram(struct call *call);
int events_multi_scalar_histogram(struct call *call);
int events_scalar_raw(struct call *call);
int events_scalar_metric_data(struct call *call);
int events_single_values(struct call *call);
int events_latest_scalars(struct call *call);
int events_scalar_metrics_and_variants(struct call *call);
int events_vector_metrics_and_variants(struct call *call);
int events_vector_histogram(struct call *call);
int events_get_task_metrics(struct call *call);
int events_get_multi_task_metrics(struct call *call);

#endif
