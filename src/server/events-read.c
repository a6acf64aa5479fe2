/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/events-internal.h"
#include "base/alloc.h"
#include "base/json-text.h"
#include "base/json.h"
#include "server/services.h"
#include "server/store.h"

#include <string.h>

/* ClearML never returns more events than this at once; nor does an answer grow much
 * beyond so many bytes. */
#define BATCH_MAX 10000
#define ANSWER_MAX ((size_t)32 << 20)

static void add_comma(struct buf *out)
{
    if (out->len && out->data[out->len - 1] != '[')
        buf_add_char(out, ',');
}

/* ---- get_task_events: all events of a type, by iteration, page by page ---- */

struct pager {
    struct call *call;
    const char *task;
    int type;
    bool down;
    int64_t batch, returned;
    struct event_scroll scroll;
    struct buf out;
};

enum { PHASE_SERIES, PHASE_LOG, PHASE_START };

static void pager_restart(struct pager *p, int phase)
{
    p->scroll.phase = phase;
    p->scroll.first = p->scroll.second = p->down ? INT64_MAX : INT64_MIN;
}

static bool pager_full(const struct pager *p)
{
    return p->returned >= p->batch || p->out.len >= ANSWER_MAX;
}

static void page_series(struct pager *p, const char *series)
{
    /* The page is picked from the index alone; only its rows are read and sorted. */
    static const char up[] =
        "SELECT " EVENT_COLUMNS ", e.id FROM series_events e JOIN event_series s"
        " ON s.id = e.series WHERE e.id IN (SELECT id FROM series_events WHERE series "
        "IN"
        " (SELECT value FROM json_each(?1)) AND (iter, id) > (?2, ?3)"
        " ORDER BY iter, id LIMIT ?4) ORDER BY e.iter, e.id";
    static const char down[] =
        "SELECT " EVENT_COLUMNS ", e.id FROM series_events e JOIN event_series s"
        " ON s.id = e.series WHERE e.id IN (SELECT id FROM series_events WHERE series "
        "IN"
        " (SELECT value FROM json_each(?1)) AND (iter, id) < (?2, ?3)"
        " ORDER BY iter DESC, id DESC LIMIT ?4) ORDER BY e.iter DESC, e.id DESC";
    sqlite3_stmt *stmt =
        store_query(p->call->db, p->down ? down : up, "tiii", series, p->scroll.first,
                    p->scroll.second, p->batch - p->returned);
    while (!pager_full(p) && store_row(stmt)) {
        add_comma(&p->out);
        event_add_json(&p->out, stmt);
        p->scroll.first = sqlite3_column_int64(stmt, 4);
        p->scroll.second = sqlite3_column_int64(stmt, 10);
        p->returned++;
    }
    sqlite3_reset(stmt);
}

static void page_log(struct pager *p)
{
    static const char up[] =
        "SELECT " EVENT_LOG_COLUMNS ", l.id FROM log_events l WHERE task = ?"
        " AND (timestamp, id) > (?, ?) ORDER BY timestamp, id";
    static const char down[] =
        "SELECT " EVENT_LOG_COLUMNS ", l.id FROM log_events l WHERE task = ?"
        " AND (timestamp, id) < (?, ?) ORDER BY timestamp DESC, id DESC";
    sqlite3_stmt *stmt = store_query(p->call->db, p->down ? down : up, "tii", p->task,
                                     p->scroll.first, p->scroll.second);
    while (!pager_full(p) && store_row(stmt)) {
        add_comma(&p->out);
        event_log_add_json(&p->out, stmt);
        p->scroll.first = sqlite3_column_int64(stmt, 1);
        p->scroll.second = sqlite3_column_int64(stmt, 6);
        p->returned++;
    }
    sqlite3_reset(stmt);
}

static int64_t count_events(struct pager *p, const char *series)
{
    int64_t n = store_int(p->call->db,
                          "SELECT count(*) FROM series_events WHERE series IN"
                          " (SELECT value FROM json_each(?))",
                          0, "t", series);
    if (p->type == EVENT_LOG || p->type == EVENT_TYPES)
        n += store_int(p->call->db, "SELECT count(*) FROM log_events WHERE task = ?", 0,
                       "t", p->task);
    return n;
}

static void pager_run(struct pager *p, const char *series)
{
    if (!p->scroll.given)
        pager_restart(p, p->type == EVENT_LOG ? PHASE_LOG : PHASE_SERIES);
    if (p->scroll.phase == PHASE_SERIES) {
        page_series(p, series);
        /* Log events have no iteration: they come last, whatever the order. */
        if (!pager_full(p) && p->type == EVENT_TYPES)
            pager_restart(p, PHASE_LOG);
    }
    if (p->scroll.phase == PHASE_LOG)
        page_log(p);
}

int events_get_task_events(struct call *call)
{
    struct pager p = {.call = call,
                      .task = json_str(call->request, "task", ""),
                      .down = !strcmp(json_str(call->request, "order", "asc"), "desc"),
                      .batch = json_int(call->request, "batch_size", 500),
                      .scroll = {.total = -1}};
    p.batch = p.batch < 1 ? 1 : p.batch > BATCH_MAX ? BATCH_MAX : p.batch;
    p.type = event_type_requested(call, false);
    if (p.type < 0 || event_require_task(call, p.task) < 0 ||
        event_scroll_read(call, "events", &p.scroll) < 0)
        return -1;
    auto_free char *series = event_series_wanted(call->db, p.task, p.type,
                                                 json_get(call->request, "metrics"));
    buf_add_str(&p.out, "{\"events\":[");
    pager_run(&p, series);
    if (p.scroll.total < 0)
        p.scroll.total = count_events(&p, series);
    buf_printf(&p.out, "],\"returned\":%lld,\"total\":%lld,\"scroll_id\":",
               (long long)p.returned, (long long)p.scroll.total);
    event_scroll_write(&p.out, "events", &p.scroll);
    buf_add_char(&p.out, '}');
    event_answer(call, &p.out);
    buf_free(&p.out);
    return 0;
}

/* ---- the last iterations of each series ---- */

/* Appends the events of the last iters iterations of a series, newest first. Returns
 * how many. */
static int64_t add_last(sqlite3 *db, struct buf *out, int64_t series, int64_t iters)
{
    sqlite3_stmt *stmt =
        store_query(db,
                    "SELECT " EVENT_COLUMNS " FROM series_events e JOIN event_series s"
                    " ON s.id = e.series WHERE e.series = ? ORDER BY e.iter DESC, "
                    "e.key DESC LIMIT ?",
                    "ii", series, iters);
    int64_t n = 0;
    for (; out->len < ANSWER_MAX && store_row(stmt); n++) {
        add_comma(out);
        event_add_json(out, stmt);
    }
    sqlite3_reset(stmt);
    return n;
}

static int64_t iters_requested(struct call *call)
{
    int64_t iters = json_int(call->request, "iters", 1);
    return iters < 1 ? 1 : iters > BATCH_MAX ? BATCH_MAX : iters;
}

/* Series of a task one after the other, as name has them: "plots" or "images". */
static int answer_last(struct call *call, enum event_type type, const char *name)
{
    const char *task = json_str(call->request, "task", "");
    if (event_require_task(call, task) < 0)
        return -1;
    auto_free char *wanted =
        event_series_wanted(call->db, task, type, json_get(call->request, "metrics"));
    auto_json *series = json_parse(wanted, strlen(wanted), NULL);
    auto_buf out = BUF_INIT;
    buf_add_str(&out, "{\"task\":");
    json_text_string(&out, task, strlen(task));
    buf_printf(&out, ",\"%s\":[", name);
    /* Everything is in the first page: a scroll finds nothing more. */
    const char *scroll = json_str(call->request, "scroll_id", "");
    int64_t returned = 0;
    for (const cJSON *s = *scroll ? NULL : series->child; s; s = s->next)
        returned +=
            add_last(call->db, &out, (int64_t)s->valuedouble, iters_requested(call));
    buf_printf(&out, "],\"returned\":%lld,\"total\":%lld,\"scroll_id\":\"end\"}",
               (long long)returned, (long long)returned);
    return event_answer(call, &out);
}

int events_get_task_plots(struct call *call)
{
    return answer_last(call, EVENT_PLOT, "plots");
}

int events_debug_images_flat(struct call *call)
{
    return answer_last(call, EVENT_IMAGE, "images");
}

/* ---- get_multi_task_plots: {metric: {variant: {task: {iter: {name, plots}}}}} ---- */

static int64_t add_task_plots(sqlite3 *db, cJSON *by_iter, int64_t series,
                              const char *task_name, int64_t iters)
{
    sqlite3_stmt *stmt = store_query(
        db,
        "SELECT " EVENT_COLUMNS " FROM series_events e JOIN event_series s"
        " ON s.id = e.series WHERE e.series = ? ORDER BY e.iter DESC LIMIT ?",
        "ii", series, iters);
    int64_t n = 0;
    for (; store_row(stmt); n++) {
        auto_buf text = BUF_INIT;
        event_add_json(&text, stmt);
        auto_buf iter = BUF_INIT;
        json_text_int(&iter, sqlite3_column_int64(stmt, 4));
        cJSON *entry = json_member(by_iter, buf_str(&iter));
        if (!json_get(entry, "plots")) {
            json_set_str(entry, "name", task_name);
            json_set(entry, "plots", cJSON_CreateArray());
        }
        cJSON_AddItemToArray(json_get(entry, "plots"), cJSON_CreateRaw(buf_str(&text)));
    }
    sqlite3_reset(stmt);
    return n;
}

static int64_t add_plots_of(struct call *call, cJSON *plots, const char *task)
{
    char name[512] = "";
    task_brief(call->db, task, NULL, NULL, name);
    auto_free char *wanted = event_series_wanted(call->db, task, EVENT_PLOT,
                                                 json_get(call->request, "metrics"));
    sqlite3_stmt *stmt =
        store_query(call->db,
                    "SELECT id, metric, variant FROM event_series WHERE id IN"
                    " (SELECT value FROM json_each(?)) ORDER BY metric, variant",
                    "t", wanted);
    int64_t total = 0;
    while (store_row(stmt)) {
        cJSON *metric = json_member(plots, (const char *)sqlite3_column_text(stmt, 1));
        cJSON *variant =
            json_member(metric, (const char *)sqlite3_column_text(stmt, 2));
        total +=
            add_task_plots(call->db, json_member(variant, task),
                           sqlite3_column_int64(stmt, 0), name, iters_requested(call));
    }
    sqlite3_reset(stmt);
    return total;
}

int events_get_multi_task_plots(struct call *call)
{
    const cJSON *tasks;
    if (event_require_tasks(call, &tasks) < 0)
        return -1;
    cJSON *plots = cJSON_CreateObject();
    int64_t total = 0;
    for (const cJSON *t = tasks->child; t; t = t->next)
        total += add_plots_of(call, plots, t->valuestring);
    json_set(call->data, "plots", plots);
    json_set_int(call->data, "returned", cJSON_GetArraySize(plots));
    json_set_int(call->data, "total", total);
    json_set_str(call->data, "scroll_id", "end");
    return 0;
}

/* ---- debug_images and plots by iteration, back and forth ---- */

/* An image's file is overwritten after a while, its name used again: of the series'
 * last name, the iteration before the last is the newest that shows something else.
 * Returns the lowest iteration that is still true. */
static int64_t first_true_iter(sqlite3 *db, int64_t series)
{
    return store_int(
        db,
        "SELECT iter + 1 FROM series_events WHERE series = ?1 AND"
        " json_extract(extra, '$.url') = (SELECT json_extract(extra, '$.url')"
        " FROM series_events WHERE series = ?1 ORDER BY iter DESC LIMIT 1)"
        " AND iter < (SELECT max(iter) FROM series_events WHERE series = ?1)"
        " ORDER BY iter DESC LIMIT 1",
        INT64_MIN, "i", series);
}

struct iterations {
    struct call *call;
    enum event_type type;
    int64_t count;
    bool earlier;
    int64_t min, max; /* what the client has; min > max: nothing yet */
    cJSON *series;    /* numbers */
    struct buf *out;
};

static bool add_iteration(struct iterations *it, int64_t iter)
{
    size_t before = it->out->len;
    add_comma(it->out);
    buf_add_str(it->out, "{\"iter\":");
    json_text_int(it->out, iter);
    buf_add_str(it->out, ",\"events\":[");
    bool any = false;
    for (const cJSON *s = it->series->child; s; s = s->next) {
        int64_t id = (int64_t)s->valuedouble;
        if (it->type == EVENT_IMAGE && iter < first_true_iter(it->call->db, id))
            continue;
        sqlite3_stmt *stmt = store_query(
            it->call->db,
            "SELECT " EVENT_COLUMNS " FROM series_events e JOIN event_series s"
            " ON s.id = e.series WHERE e.series = ? AND e.iter = ?"
            " ORDER BY e.key DESC LIMIT 1",
            "ii", id, iter);
        if (store_row(stmt)) {
            add_comma(it->out);
            event_add_json(it->out, stmt);
            any = true;
        }
        sqlite3_reset(stmt);
    }
    buf_add_str(it->out, "]}");
    if (!any)
        it->out->len = before;
    return any;
}

/* The iterations to show, newest first, as a JSON array; the caller's. */
static cJSON *pick_iterations(struct iterations *it)
{
    static const char earlier[] =
        "SELECT DISTINCT iter FROM series_events WHERE series IN"
        " (SELECT value FROM json_each(?1)) AND iter < ?2 ORDER BY iter DESC LIMIT ?3";
    static const char later[] =
        "SELECT iter FROM (SELECT DISTINCT iter FROM series_events WHERE series IN"
        " (SELECT value FROM json_each(?1)) AND iter > ?2 ORDER BY iter LIMIT ?3)"
        " ORDER BY iter DESC";
    bool none = it->min > it->max;
    bool back = it->earlier || none;
    auto_free char *series = json_format(it->series);
    sqlite3_stmt *stmt =
        store_query(it->call->db, back ? earlier : later, "tii", series,
                    none   ? INT64_MAX
                    : back ? it->min
                           : it->max,
                    it->count);
    cJSON *iters = cJSON_CreateArray();
    while (store_row(stmt))
        cJSON_AddItemToArray(iters,
                             cJSON_CreateNumber((double)sqlite3_column_int64(stmt, 0)));
    sqlite3_reset(stmt);
    return iters;
}

static void add_iterations(struct iterations *it)
{
    auto_json *iters = pick_iterations(it);
    bool first = true;
    for (const cJSON *i = iters->child; i && it->out->len < ANSWER_MAX; i = i->next) {
        int64_t iter = (int64_t)i->valuedouble;
        if (!add_iteration(it, iter))
            continue;
        if (first)
            it->max = iter;
        it->min = iter;
        first = false;
    }
}

/* {task: {metric: variants}} of the request as the list that event_series_wanted takes;
 * a request for the task without a metric wants all. The caller's. */
static cJSON *metrics_of_task(const cJSON *metrics, const char *task)
{
    cJSON *list = cJSON_CreateArray();
    for (const cJSON *m = metrics->child; m; m = m->next) {
        if (strcmp(json_str(m, "task", ""), task) != 0)
            continue;
        if (!json_str(m, "metric", NULL)) {
            cJSON_Delete(list);
            return cJSON_CreateArray();
        }
        cJSON_AddItemToArray(list, cJSON_Duplicate(m, 1));
    }
    return list;
}

static void add_task_iterations(struct call *call, enum event_type type,
                                const cJSON *metrics, const char *task, cJSON *state,
                                struct buf *out)
{
    struct iterations it = {.call = call,
                            .type = type,
                            .count = iters_requested(call),
                            .earlier =
                                json_bool(call->request, "navigate_earlier", true),
                            .min = 1,
                            .max = 0,
                            .out = out};
    const cJSON *seen = json_get(state, task);
    if (cJSON_GetArraySize(seen) == 2 && !json_bool(call->request, "refresh", false)) {
        it.min = (int64_t)cJSON_GetNumberValue(cJSON_GetArrayItem(seen, 0));
        it.max = (int64_t)cJSON_GetNumberValue(cJSON_GetArrayItem(seen, 1));
    }
    auto_json *wanted = metrics_of_task(metrics, task);
    auto_free char *series = event_series_wanted(call->db, task, type, wanted);
    auto_json *numbers = json_parse(series, strlen(series), NULL);
    it.series = numbers;
    add_comma(out);
    buf_add_str(out, "{\"task\":");
    json_text_string(out, task, strlen(task));
    buf_add_str(out, ",\"iterations\":[");
    add_iterations(&it);
    buf_add_str(out, "]}");
    if (it.min <= it.max) {
        const double pair[] = {(double)it.min, (double)it.max};
        json_set(state, task, cJSON_CreateDoubleArray(pair, 2));
    }
}

/* The tasks of the request, each once, all of them there; NULL after call_fail. */
static cJSON *tasks_of_metrics(struct call *call, const cJSON *metrics)
{
    auto_json *tasks = cJSON_CreateObject();
    for (const cJSON *m = metrics->child; m; m = m->next) {
        const char *task = json_str(m, "task", NULL);
        if (!task) {
            call_fail(call, 400, 12, "Validation error (metrics: task is missing)");
            return NULL;
        }
        if (json_get(tasks, task))
            continue;
        if (event_require_task(call, task) < 0)
            return NULL;
        json_set_bool(tasks, task, true);
    }
    return steal(&tasks);
}

static int answer_iterations(struct call *call, enum event_type type)
{
    const cJSON *metrics = json_get(call->request, "metrics");
    if (!cJSON_IsArray(metrics) || !metrics->child)
        return call_fail(call, 400, 12, "Validation error (metrics: at least one)");
    auto_json *tasks = tasks_of_metrics(call, metrics);
    if (!tasks)
        return -1;
    const char *id = json_str(call->request, "scroll_id", "");
    auto_json *state = *id ? json_parse(id, strlen(id), NULL) : cJSON_CreateObject();
    if (!cJSON_IsObject(state)) {
        call_fail(call, 400, 1104, "Invalid scroll id");
        return call_fail_arg(call, "scroll_id", id);
    }
    auto_buf out = BUF_INIT;
    buf_add_str(&out, "{\"metrics\":[");
    for (const cJSON *t = tasks->child; t; t = t->next)
        add_task_iterations(call, type, metrics, t->string, state, &out);
    auto_free char *next = json_format(state);
    buf_add_str(&out, "],\"scroll_id\":");
    json_text_string(&out, next, strlen(next));
    buf_add_char(&out, '}');
    return event_answer(call, &out);
}

int events_debug_images(struct call *call)
{
    return answer_iterations(call, EVENT_IMAGE);
}

int events_plots(struct call *call)
{
    return answer_iterations(call, EVENT_PLOT);
}

/* ---- one image ---- */

int events_get_debug_image_sample(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    if (event_require_task(call, task) < 0)
        return -1;
    int64_t series = store_int(
        call->db,
        "SELECT id FROM event_series WHERE task = ? AND type = ? AND metric = ?"
        " AND variant = ?",
        -1, "titt", task, (int64_t)EVENT_IMAGE, json_str(call->request, "metric", ""),
        json_str(call->request, "variant", ""));
    int64_t lowest = first_true_iter(call->db, series);
    int64_t at = json_int(call->request, "iteration", INT64_MAX);
    sqlite3_stmt *stmt = store_query(
        call->db,
        "SELECT " EVENT_COLUMNS ", (SELECT min(iter) FROM series_events WHERE"
        " series = ?1 AND iter >= ?2), (SELECT max(iter) FROM series_events WHERE"
        " series = ?1) FROM series_events e JOIN event_series s ON s.id = e.series"
        " WHERE e.series = ?1 AND e.iter >= ?2 AND e.iter <= ?3"
        " ORDER BY e.iter DESC, e.key DESC LIMIT 1",
        "iii", series, lowest, at);
    auto_buf out = BUF_INIT;
    if (store_row(stmt)) {
        buf_add_str(&out, "{\"event\":");
        event_add_json(&out, stmt);
        buf_printf(&out, ",\"min_iteration\":%lld,\"max_iteration\":%lld",
                   (long long)sqlite3_column_int64(stmt, 10),
                   (long long)sqlite3_column_int64(stmt, 11));
        buf_add_str(&out, ",\"scroll_id\":null}");
    } else {
        buf_add_str(&out, "{\"event\":null,\"min_iteration\":null,"
                          "\"max_iteration\":null,\"scroll_id\":null}");
    }
    sqlite3_reset(stmt);
    return event_answer(call, &out);
}
