/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/events-internal.h"
#include "base/alloc.h"
#include "base/json-text.h"
#include "base/json.h"
#include "server/scrolls.h"
#include "server/server.h"
#include "server/sql.h"
#include "server/store.h"
#include "server/tasks-internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One image, or the plots of one metric, and the way to the next: the viewer of the web
 * page. */

struct sample {
    struct call *call;
    enum event_type type;
    const char *task;
    char *metric, *variant; /* where the viewer is; NULL: nowhere */
    bool current;           /* it stays with its metric */
    int64_t iter;
    struct event_series_list series; /* in the order of metric and variant */
    char scroll[ID_SIZE];            /* "": a new one */
};

static void sample_free(struct sample *s)
{
    free(s->metric);
    free(s->variant);
    event_series_free(&s->series);
}
#define auto_sample __attribute__((cleanup(sample_free))) struct sample

static const char *kind_of(const struct sample *s)
{
    return s->type == EVENT_IMAGE ? "image" : "plot";
}

static void load_series(struct sample *s)
{
    auto_json *metrics = NULL;
    if (s->current) {
        metrics = cJSON_CreateArray();
        cJSON *item = cJSON_CreateObject();
        json_set_str(item, "metric", s->metric);
        cJSON_AddItemToArray(metrics, item);
    }
    s->series = event_series_load(s->call->db, s->task, s->type, metrics);
}

static void stand_at(struct sample *s, const struct event_series *series, int64_t iter)
{
    char *metric = xstrdup(series->metric), *variant = xstrdup(series->variant);
    free(s->metric);
    free(s->variant);
    s->metric = metric;
    s->variant = variant;
    s->iter = iter;
}

/* ---- the scroll id ---- */

/* The state of the request's scroll id if it is one of this kind; the caller's. */
static cJSON *read_state(struct sample *s)
{
    const char *id = json_str(s->call->request, "scroll_id", "");
    cJSON *state = scrolls_get(s->call->server->scrolls, id, s->call->now_ms);
    if (state && !strcmp(json_str(state, "of", ""), kind_of(s))) {
        snprintf(s->scroll, sizeof s->scroll, "%s", id);
        return state;
    }
    cJSON_Delete(state);
    return NULL;
}

/* Keeps where the viewer is, and appends the scroll id. */
static void write_state(struct sample *s, struct buf *out)
{
    char iter[24];
    auto_json *state = cJSON_CreateObject();
    json_set_str(state, "of", kind_of(s));
    json_set_str(state, "task", s->task);
    json_set_str(state, "metric", s->metric);
    json_set_bool(state, "current", s->current);
    if (s->variant) {
        /* As text, since doubles don't hold every 64 bit number. */
        snprintf(iter, sizeof iter, "%lld", (long long)s->iter);
        json_set_str(state, "variant", s->variant);
        json_set_str(state, "iter", iter);
    }
    scrolls_put(s->call->server->scrolls, s->scroll, state, s->call->now_ms);
    json_text_string(out, s->scroll, strlen(s->scroll));
}

/* A request for a sample names it; a scroll id that it brings must fit. */
static int sample_requested(struct sample *s)
{
    const struct call *call = s->call;
    s->metric = xstrdup(json_str(call->request, "metric", ""));
    s->current = request_true(call->request, "navigate_current_metric", true);
    auto_json *state = read_state(s);
    if (state &&
        (strcmp(json_str(state, "task", ""), s->task) != 0 ||
         json_bool(state, "current", true) != s->current ||
         (s->current && strcmp(json_str(state, "metric", ""), s->metric) != 0)))
        return call_fail(s->call, 400, 1104,
                         "Invalid scroll id (Task and metric stored in the state do "
                         "not match the passed ones)");
    load_series(s);
    return 0;
}

static int sample_continued(struct sample *s)
{
    auto_json *state = read_state(s);
    if (!state || strcmp(json_str(state, "task", ""), s->task) != 0)
        return event_fail_scroll(s->call, json_str(s->call->request, "scroll_id", ""));
    s->metric = xstrdup(json_str(state, "metric", ""));
    s->current = json_bool(state, "current", true);
    if (json_str(state, "variant", NULL))
        s->variant = xstrdup(json_str(state, "variant", ""));
    s->iter = strtoll(json_str(state, "iter", "0"), NULL, 10);
    load_series(s);
    return 0;
}

static void add_number(struct buf *out, const char *name, bool known, int64_t number)
{
    buf_printf(out, ",\"%s\":", name);
    if (known)
        json_text_int(out, number);
    else
        buf_add_str(out, "null");
}

/* ---- images ---- */

/* Which iterations of an image's series show what was there: a file's name is used
 * again after a while, so each is true from its last use on, and all of them from the
 * lowest of these on. False for a series without images. */
static bool true_range(sqlite3 *db, int64_t series, int64_t *lowest, int64_t *last)
{
    auto_reset *stmt = store_query(
        db,
        "SELECT min(last), max(last) FROM (SELECT max(iter) AS last FROM series_events"
        " WHERE series = ? AND json_extract(extra, '$.url') IS NOT NULL"
        " GROUP BY json_extract(extra, '$.url'))",
        "i", series);
    if (!store_row(stmt) || sqlite3_column_type(stmt, 0) == SQLITE_NULL)
        return false;
    *lowest = sqlite3_column_int64(stmt, 0);
    *last = sqlite3_column_int64(stmt, 1);
    return true;
}

/* found NULL: there is no such image. */
static int answer_image(struct sample *s, const struct event_series *found,
                        const struct event_series *range)
{
    auto_buf out = BUF_INIT;
    int64_t lowest = 0, last = 0;
    bool known = range && true_range(s->call->db, range->id, &lowest, &last);
    buf_add_str(&out, "{\"event\":");
    auto_reset *stmt = found ? event_row_at(s->call->db, found->id, s->iter) : NULL;
    if (stmt)
        event_add_json(&out, stmt);
    else
        buf_add_str(&out, "null");
    add_number(&out, "min_iteration", known, lowest);
    add_number(&out, "max_iteration", known, last);
    buf_add_str(&out, ",\"scroll_id\":");
    write_state(s, &out);
    buf_add_char(&out, '}');
    return event_answer(s->call, &out);
}

static const struct event_series *series_named(const struct sample *s,
                                               const char *variant)
{
    for (size_t i = 0; i < s->series.count; i++)
        if (!strcmp(s->series.items[i].metric, s->metric) &&
            !strcmp(s->series.items[i].variant, variant))
            return &s->series.items[i];
    return NULL;
}

int events_get_debug_image_sample(struct call *call)
{
    auto_sample s = {
        .call = call, .type = EVENT_IMAGE, .task = json_str(call->request, "task", "")};
    int64_t at, lowest, last;
    if (event_require_source(call, s.task) < 0 || sample_requested(&s) < 0)
        return -1;
    at = json_int(call->request, "iteration", INT64_MAX);
    const struct event_series *series =
        series_named(&s, json_str(call->request, "variant", ""));
    if (!series || !true_range(call->db, series->id, &lowest, &last))
        return answer_image(&s, NULL, NULL);
    int64_t iter = store_int(call->db,
                             "SELECT max(iter) FROM series_events WHERE series = ?"
                             " AND iter >= ? AND iter <= ?",
                             0, "iii", series->id, lowest, at);
    if (at < lowest)
        return answer_image(&s, NULL, series);
    stand_at(&s, series, iter);
    return answer_image(&s, series, series);
}

static int compare_series(const struct event_series *series, const struct sample *s)
{
    int order = strcmp(series->metric, s->metric);
    return order ? order : strcmp(series->variant, s->variant);
}

static bool shows_at(const struct sample *s, const struct event_series *series,
                     int64_t iter)
{
    int64_t lowest, last;
    return store_int(s->call->db,
                     "SELECT 1 FROM series_events WHERE series = ? AND iter = ?", 0,
                     "ii", series->id, iter) &&
           true_range(s->call->db, series->id, &lowest, &last) && iter >= lowest;
}

/* The next image of the same iteration, by name. */
static const struct event_series *next_here(const struct sample *s, bool earlier)
{
    for (size_t i = 0; i < s->series.count; i++) {
        const struct event_series *series =
            &s->series.items[earlier ? s->series.count - 1 - i : i];
        int order = compare_series(series, s);
        if ((earlier ? order < 0 : order > 0) && shows_at(s, series, s->iter))
            return series;
    }
    return NULL;
}

/* The nearest other iteration of a series; false if there is none. */
static bool other_iter(const struct sample *s, const struct event_series *series,
                       bool earlier, int64_t *iter)
{
    int64_t lowest, last;
    if (!true_range(s->call->db, series->id, &lowest, &last))
        return false;
    int64_t none = earlier ? INT64_MIN : INT64_MAX;
    *iter = earlier
                ? store_int(s->call->db,
                            "SELECT iter FROM series_events WHERE series = ?"
                            " AND iter < ? AND iter >= ? ORDER BY iter DESC LIMIT 1",
                            none, "iii", series->id, s->iter, lowest)
                : store_int(s->call->db,
                            "SELECT iter FROM series_events WHERE series = ?"
                            " AND iter > ? AND iter >= ? ORDER BY iter LIMIT 1",
                            none, "iii", series->id, s->iter, lowest);
    return *iter != none;
}

static const struct event_series *next_elsewhere(const struct sample *s, bool earlier,
                                                 int64_t *iter)
{
    const struct event_series *best = NULL;
    for (size_t i = 0; i < s->series.count; i++) {
        int64_t at;
        const struct event_series *series =
            &s->series.items[earlier ? s->series.count - 1 - i : i];
        if (!other_iter(s, series, earlier, &at))
            continue;
        if (!best || (earlier ? at > *iter : at < *iter)) {
            best = series;
            *iter = at;
        }
    }
    return best;
}

int events_next_debug_image_sample(struct call *call)
{
    auto_sample s = {
        .call = call, .type = EVENT_IMAGE, .task = json_str(call->request, "task", "")};
    if (event_require_source(call, s.task) < 0 || sample_continued(&s) < 0)
        return -1;
    if (!s.variant)
        return answer_image(&s, NULL, NULL);
    bool earlier = request_true(call->request, "navigate_earlier", true);
    int64_t iter = s.iter;
    const struct event_series *next = NULL;
    if (!request_true(call->request, "next_iteration", false))
        next = next_here(&s, earlier);
    if (!next)
        next = next_elsewhere(&s, earlier, &iter);
    if (next)
        stand_at(&s, next, iter);
    return answer_image(&s, next, next);
}

/* ---- plots ---- */

#define PLOTS_MAX 100

/* The series from `at` on that are of its metric. */
static size_t metric_length(const struct event_series_list *list, size_t at)
{
    size_t n = 1;
    while (at + n < list->count &&
           !strcmp(list->items[at].metric, list->items[at + n].metric))
        n++;
    return n;
}

static void plot_range(const struct sample *s, bool *known, int64_t *min, int64_t *max)
{
    *known = false;
    for (size_t i = 0; i < s->series.count; i++) {
        if (strcmp(s->series.items[i].metric, s->metric) != 0)
            continue;
        auto_reset *stmt = store_query(s->call->db,
                                       "SELECT min(iter), max(iter) FROM series_events"
                                       " WHERE series = ?",
                                       "i", s->series.items[i].id);
        if (!store_row(stmt) || sqlite3_column_type(stmt, 0) == SQLITE_NULL)
            continue;
        int64_t first = sqlite3_column_int64(stmt, 0);
        int64_t last = sqlite3_column_int64(stmt, 1);
        *min = *known && *min < first ? *min : first;
        *max = *known && *max > last ? *max : last;
        *known = true;
    }
}

/* The plots of the sample's metric and iteration, if found; its range, if known. */
static int answer_plots(struct sample *s, bool found, bool known)
{
    auto_buf out = BUF_INIT;
    int64_t min = 0, max = 0, n = 0;
    if (known)
        plot_range(s, &known, &min, &max);
    buf_add_str(&out, "{\"events\":[");
    for (size_t i = 0; found && i < s->series.count && n < PLOTS_MAX; i++) {
        if (strcmp(s->series.items[i].metric, s->metric) != 0)
            continue;
        if (out.len >= EVENT_WHOLE_MAX)
            break;
        auto_reset *stmt = event_row_at(s->call->db, s->series.items[i].id, s->iter);
        if (!stmt)
            continue;
        event_add_comma(&out);
        event_add_json(&out, stmt);
        n++;
    }
    buf_add_char(&out, ']');
    add_number(&out, "min_iteration", known, min);
    add_number(&out, "max_iteration", known, max);
    buf_add_str(&out, ",\"scroll_id\":");
    write_state(s, &out);
    buf_add_char(&out, '}');
    return event_answer(s->call, &out);
}

/* The nearest iteration of these series before or behind one; false if there is none.
 */
static bool nearest_iter(const struct sample *s, const struct event_series_list *list,
                         bool earlier, int64_t from, int64_t *iter)
{
    size_t n;
    auto_free struct event_pick *picks = event_pick(
        s->call->db, list, true, earlier, (struct event_pick){.iter = from}, 1, &n);
    if (n)
        *iter = picks[0].iter;
    return n > 0;
}

static struct event_series_list metric_series(const struct sample *s)
{
    for (size_t i = 0; i < s->series.count; i++)
        if (!strcmp(s->series.items[i].metric, s->metric))
            return (struct event_series_list){s->series.items + i,
                                              metric_length(&s->series, i)};
    return (struct event_series_list){0};
}

int events_get_plot_sample(struct call *call)
{
    auto_sample s = {
        .call = call, .type = EVENT_PLOT, .task = json_str(call->request, "task", "")};
    int64_t at, iter;
    if (event_require_source(call, s.task) < 0 || sample_requested(&s) < 0)
        return -1;
    at = json_int(call->request, "iteration", INT64_MAX);
    struct event_series_list list = metric_series(&s);
    int64_t behind = at < INT64_MAX ? at + 1 : at;
    if (!nearest_iter(&s, &list, true, behind, &iter))
        return answer_plots(&s, false, true);
    stand_at(&s, &list.items[0], iter);
    return answer_plots(&s, true, true);
}

static bool any_at(const struct sample *s, const struct event_series_list *list,
                   int64_t iter)
{
    for (size_t i = 0; i < list->count; i++)
        if (store_int(s->call->db,
                      "SELECT 1 FROM series_events WHERE series = ? AND iter = ?", 0,
                      "ii", list->items[i].id, iter))
            return true;
    return false;
}

/* The first metric (the last, if earlier) that has plots at this iteration; beyond the
 * sample's own, if asked. NULL if there is none. */
static const struct event_series *metric_at(const struct sample *s, bool earlier,
                                            bool beyond, int64_t iter)
{
    const struct event_series *found = NULL;
    for (size_t i = 0, n; i < s->series.count; i += n) {
        n = metric_length(&s->series, i);
        struct event_series_list group = {s->series.items + i, n};
        int order = strcmp(group.items[0].metric, s->metric);
        if (beyond && (earlier ? order >= 0 : order <= 0))
            continue;
        if (!any_at(s, &group, iter))
            continue;
        found = group.items;
        if (!earlier)
            break;
    }
    return found;
}

int events_next_plot_sample(struct call *call)
{
    auto_sample s = {
        .call = call, .type = EVENT_PLOT, .task = json_str(call->request, "task", "")};
    if (event_require_source(call, s.task) < 0 || sample_continued(&s) < 0)
        return -1;
    if (!s.variant)
        return answer_plots(&s, false, false);
    bool earlier = request_true(call->request, "navigate_earlier", true);
    int64_t iter = s.iter;
    const struct event_series *next = NULL;
    if (!request_true(call->request, "next_iteration", false) && !s.current)
        next = metric_at(&s, earlier, true, iter);
    if (!next && nearest_iter(&s, &s.series, earlier, s.iter, &iter))
        next = metric_at(&s, earlier, false, iter);
    if (next)
        stand_at(&s, next, iter);
    return answer_plots(&s, next != NULL, next != NULL);
}
