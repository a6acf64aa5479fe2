/* events-internal.h - how the parts of the events service share its tables
 *
 * Log events are a table of their own, in order of insertion and never merged. All
 * other events belong to a series (task, type, metric, variant) and are unique in it by
 * iteration and key: the same coordinates again replace what was there. A series also
 * carries what the task's last_metrics say about it. */
#ifndef REEVE_SERVER_EVENTS_INTERNAL_H
#define REEVE_SERVER_EVENTS_INTERNAL_H

#include "base/buf.h"
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
    int64_t timestamp;
    int64_t iter; /* EVENT_NO_ITER if it has none */
    bool has_value;
    double value;
    const char *x_axis_label;
    const char *extra; /* the members that have no column, as a JSON object; or NULL */
};

/* 0, or -1 if it could not be written. */
int event_insert_log(sqlite3 *db, const struct event *event);
int event_insert(sqlite3 *db, int64_t series, const struct event *event);
/* The number of the event's series, made if it is new; -1 if that failed. */
int64_t event_series_open(sqlite3 *db, const struct event *event);

/* ---- answers as JSON text ---- */

/* Both expect the columns of EVENT_LOG_COLUMNS or EVENT_COLUMNS from column 0 on, and
 * append one JSON object. */
#define EVENT_LOG_COLUMNS "l.task, l.timestamp, l.level, l.worker, l.msg, l.extra"
#define EVENT_COLUMNS                                                                  \
    "s.task, s.type, s.metric, s.variant, e.iter, e.key, e.timestamp, e.value, "       \
    "e.worker, e.extra"
void event_log_add_json(struct buf *out, sqlite3_stmt *stmt);
void event_add_json(struct buf *out, sqlite3_stmt *stmt);

/* Appends a text column as a JSON string; NULL as "". */
void event_add_column(struct buf *out, sqlite3_stmt *stmt, int column);
/* Sets call->raw_data to out's content, which is taken. Returns 0. */
int event_answer(struct call *call, struct buf *out);

/* ---- what several requests have in common ---- */

/* 0 if the task exists, else the call's failure, 400/101. */
int event_require_task(struct call *call, const char *task);
/* The same, and that its events may be changed: not published, or allow_locked. */
int event_require_unlocked(struct call *call, const char *task);
/* The same as event_require_task for each of request["tasks"], which must be a list of
 * 1 to 1,000 strings. */
int event_require_tasks(struct call *call, const cJSON **tasks);
/* True if the series is wanted by metrics, ClearML's list of {metric, variants}; NULL
 * or an empty list wants all. */
bool event_metric_wanted(const cJSON *metrics, const char *metric, const char *variant);
/* request[name] in the bounds; a failed call if it is out of them: -1. */
int event_bounded(struct call *call, const char *name, int64_t fallback, int64_t min,
                  int64_t max, int64_t *out);
/* Type named by request["event_type"]; required or not. -1 after call_fail. */
int event_type_requested(struct call *call, bool required);

/* The numbers of a task's series of a type (EVENT_TYPES: all) that metrics wants, as
 * the text of a JSON array for json_each(), in the order of their names; the caller's.
 */
char *event_series_wanted(sqlite3 *db, const char *task, int type,
                          const cJSON *metrics);

/* Where a client is in a list that it pages through: behind the event with these two
 * sort values. The scroll id carries it, so that the server keeps nothing. */
struct event_scroll {
    int64_t first, second;
    int64_t total; /* -1 before it was counted */
    int phase;
    bool given;
};
/* Fills scroll from request["scroll_id"], if there is one. kind: what list it must be
 * of. 0, or the call's failure (400/1104). */
int event_scroll_read(struct call *call, const char *kind, struct event_scroll *scroll);
/* Appends the scroll id as a JSON string. */
void event_scroll_write(struct buf *out, const char *kind,
                        const struct event_scroll *scroll);

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
