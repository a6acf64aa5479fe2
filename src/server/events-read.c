/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/events-internal.h"
#include "base/alloc.h"
#include "base/json-text.h"
#include "base/json.h"
#include "server/sql.h"
#include "server/tasks-internal.h"
#include "server/store.h"

#include <string.h>

/* ---- get_task_events: all events of a type, by iteration, page by page ---- */

struct pager {
    struct call *call;
    const char *task;
    int type;
    bool down;
    int64_t batch, returned;
    struct event_scroll scroll;
    struct event_series_list series;
    struct buf out;
};

enum { PHASE_SERIES, PHASE_LOG };

static void pager_restart(struct pager *p, int phase)
{
    p->scroll.phase = phase;
    p->scroll.first = p->scroll.second = p->down ? INT64_MAX : INT64_MIN;
}

static bool pager_full(const struct pager *p)
{
    return p->returned >= p->batch || p->out.len >= EVENT_ANSWER_MAX;
}

static void page_series(struct pager *p)
{
    size_t n;
    struct event_pick from = {.iter = p->scroll.first, .id = p->scroll.second};
    auto_free struct event_pick *picks =
        event_pick(p->call->db, &p->series, false, p->down, from,
                   (size_t)(p->batch - p->returned), &n);
    for (size_t i = 0; i < n && !pager_full(p); i++) {
        auto_reset *stmt = event_row(p->call->db, picks[i].id);
        if (!stmt)
            continue;
        event_add_comma(&p->out);
        event_add_json(&p->out, stmt);
        p->scroll.first = picks[i].iter;
        p->scroll.second = picks[i].id;
        p->returned++;
    }
}

static void page_log(struct pager *p)
{
    static const char up[] =
        "SELECT " EVENT_LOG_COLUMNS ", l.id FROM log_events l WHERE task = ?"
        " AND (timestamp, id) > (?, ?) ORDER BY timestamp, id";
    static const char down[] =
        "SELECT " EVENT_LOG_COLUMNS ", l.id FROM log_events l WHERE task = ?"
        " AND (timestamp, id) < (?, ?) ORDER BY timestamp DESC, id DESC";
    auto_reset *stmt = store_query(p->call->db, p->down ? down : up, "tii", p->task,
                                   p->scroll.first, p->scroll.second);
    while (!pager_full(p) && store_row(stmt)) {
        event_add_comma(&p->out);
        event_log_add_json(&p->out, stmt);
        p->scroll.first = sqlite3_column_int64(stmt, 1);
        p->scroll.second = sqlite3_column_int64(stmt, EVENT_LOG_COLUMN_COUNT);
        p->returned++;
    }
}

static int64_t count_series(sqlite3 *db, const struct event_series_list *list)
{
    int64_t n = 0;
    for (size_t i = 0; i < list->count; i++)
        n += store_int(db, "SELECT count(*) FROM series_events WHERE series = ?", 0,
                       "i", list->items[i].id);
    return n;
}

static bool has_log(const struct pager *p)
{
    return p->type == EVENT_LOG || p->type == EVENT_TYPES;
}

static int64_t count_events(const struct pager *p)
{
    int64_t n = count_series(p->call->db, &p->series);
    if (has_log(p))
        n += store_int(p->call->db, "SELECT count(*) FROM log_events WHERE task = ?", 0,
                       "t", p->task);
    return n;
}

static void pager_run(struct pager *p)
{
    if (!p->scroll.given)
        pager_restart(p, p->type == EVENT_LOG ? PHASE_LOG : PHASE_SERIES);
    if (p->scroll.phase == PHASE_SERIES) {
        page_series(p);
        /* Log events have no iteration: they come last, whatever the order. */
        if (!pager_full(p) && has_log(p))
            pager_restart(p, PHASE_LOG);
    }
    if (p->scroll.phase == PHASE_LOG)
        page_log(p);
}

/* A scroll goes on with what its first page asked for. */
static void keep_request(struct call *call, struct event_scroll *scroll)
{
    static const char *const kept[] = {"metrics", "event_type", "order"};
    if (scroll->request) {
        for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
            const cJSON *value = json_get(scroll->request, kept[i]);
            json_remove(call->request, kept[i]);
            if (value)
                json_set(call->request, kept[i], cJSON_Duplicate(value, true));
        }
        return;
    }
    scroll->request = cJSON_CreateObject();
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        const cJSON *value = json_get(call->request, kept[i]);
        if (value)
            json_set(scroll->request, kept[i], cJSON_Duplicate(value, true));
    }
}

static int pager_read(struct pager *p)
{
    struct call *call = p->call;
    const cJSON *metrics;
    if (event_require_source(call, p->task) < 0 ||
        event_scroll_read(call, "events", &p->scroll) < 0)
        return -1;
    keep_request(call, &p->scroll);
    p->type = event_type_requested(call, false);
    if (p->type < 0 || event_metrics_requested(call, &metrics) < 0 ||
        event_order_requested(call, "asc", &p->down) < 0)
        return -1;
    p->batch = json_int(call->request, "batch_size", 500);
    p->batch = p->batch < 1                 ? 1
               : p->batch > EVENT_BATCH_MAX ? EVENT_BATCH_MAX
                                            : p->batch;
    p->series = event_series_load(call->db, p->task, p->type, metrics);
    return 0;
}

static void pager_free(struct pager *p)
{
    event_series_free(&p->series);
    event_scroll_free(&p->scroll);
    buf_free(&p->out);
}
#define auto_pager __attribute__((cleanup(pager_free))) struct pager

static void add_total(struct buf *out, int64_t total)
{
    if (total < 0)
        buf_add_str(out, ",\"total\":null");
    else
        buf_printf(out, ",\"total\":%lld", (long long)total);
}

int events_get_task_events(struct call *call)
{
    auto_pager p = {.call = call,
                    .task = json_str(call->request, "task", ""),
                    .scroll = {.total = -1}};
    if (pager_read(&p) < 0)
        return -1;
    buf_add_str(&p.out, "{\"events\":[");
    pager_run(&p);
    if (p.scroll.total < 0 && request_true(call->request, "count_total", true))
        p.scroll.total = count_events(&p);
    buf_printf(&p.out, "],\"returned\":%lld", (long long)p.returned);
    add_total(&p.out, p.scroll.total);
    buf_add_str(&p.out, ",\"scroll_id\":");
    event_scroll_write(&p.out, "events", &p.scroll);
    buf_add_char(&p.out, '}');
    return event_answer(call, &p.out);
}

/* ---- get_scalar_metric_data: a metric's events, newest iteration first ---- */

#define METRIC_DATA_BATCH 500

int events_scalar_metric_data(struct call *call)
{
    auto_pager p = {.call = call,
                    .task = json_str(call->request, "task", ""),
                    .type = EVENT_SCALAR,
                    .down = true,
                    .batch = METRIC_DATA_BATCH,
                    .scroll = {.total = -1}};
    if (event_require_source(call, p.task) < 0 ||
        event_scroll_read(call, "data", &p.scroll) < 0)
        return -1;
    auto_json *metrics = cJSON_CreateArray();
    cJSON *metric = cJSON_CreateObject();
    json_set_str(metric, "metric", json_str(call->request, "metric", ""));
    cJSON_AddItemToArray(metrics, metric);
    p.series = event_series_load(call->db, p.task, p.type, metrics);
    buf_add_str(&p.out, "{\"events\":[");
    pager_run(&p);
    if (p.scroll.total < 0)
        p.scroll.total = count_events(&p);
    buf_printf(&p.out, "],\"returned\":%lld", (long long)p.returned);
    add_total(&p.out, p.scroll.total);
    buf_add_str(&p.out, ",\"scroll_id\":");
    if (request_true(call->request, "no_scroll", false))
        buf_add_str(&p.out, "null");
    else
        event_scroll_write(&p.out, "data", &p.scroll);
    buf_add_char(&p.out, '}');
    return event_answer(call, &p.out);
}

/* ---- the last iterations of each series ---- */

/* A page of plots or images: what does not fit is in the next one. */
struct last_page {
    struct call *call;
    enum event_type type;
    struct event_scroll scroll; /* first: series, second: events of it that are done */
    struct buf out;
    int64_t iters, returned;
};

#define LAST_PAGE_EVENTS EVENT_BATCH_MAX

static bool last_page_full(const struct last_page *p)
{
    return p->returned >= LAST_PAGE_EVENTS || p->out.len >= EVENT_WHOLE_MAX;
}

/* Appends what is left of the last iterations of a series, newest first. */
static void add_last(struct last_page *p, int64_t series)
{
    auto_reset *stmt =
        store_query(p->call->db,
                    "SELECT " EVENT_COLUMNS " FROM series_events e JOIN event_series s"
                    " ON s.id = e.series WHERE e.series = ? ORDER BY e.iter DESC,"
                    " e.key DESC LIMIT ? OFFSET ?",
                    "iii", series, p->iters - p->scroll.second, p->scroll.second);
    while (!last_page_full(p) && store_row(stmt)) {
        event_add_comma(&p->out);
        event_add_json(&p->out, stmt);
        p->returned++;
        p->scroll.second++;
    }
}

/* True if everything is told. */
static bool add_all_last(struct last_page *p, const struct event_series_list *list)
{
    while (p->scroll.first < (int64_t)list->count) {
        add_last(p, list->items[p->scroll.first].id);
        if (last_page_full(p))
            return false;
        p->scroll.first++;
        p->scroll.second = 0;
    }
    return true;
}

static void last_page_free(struct last_page *p)
{
    event_scroll_free(&p->scroll);
    buf_free(&p->out);
}

/* Series of a task one after the other, as name has them: "plots" or "images". */
static int answer_last(struct call *call, enum event_type type, const char *name)
{
    __attribute__((cleanup(last_page_free))) struct last_page p = {.call = call,
                                                                   .type = type};
    const char *task = json_str(call->request, "task", "");
    const cJSON *metrics;
    if (event_require_source(call, task) < 0 ||
        event_metrics_requested(call, &metrics) < 0 ||
        event_iters_requested(call, &p.iters) < 0 ||
        event_scroll_read(call, name, &p.scroll) < 0)
        return -1;
    if (p.scroll.first < 0 || p.scroll.second < 0 || p.scroll.second > EVENT_BATCH_MAX)
        return event_fail_scroll(call, json_str(call->request, "scroll_id", ""));
    auto_series list = event_series_load(call->db, task, type, metrics);
    buf_add_char(&p.out, '{');
    if (type == EVENT_IMAGE) {
        buf_add_str(&p.out, "\"task\":");
        json_text_string(&p.out, task, strlen(task));
        buf_add_char(&p.out, ',');
    }
    buf_printf(&p.out, "\"%s\":[", name);
    bool done = add_all_last(&p, &list);
    buf_printf(&p.out, "],\"returned\":%lld,\"total\":%lld,\"scroll_id\":",
               (long long)p.returned, (long long)p.returned);
    if (done)
        buf_add_str(&p.out, "null");
    else
        event_scroll_write(&p.out, name, &p.scroll);
    buf_add_char(&p.out, '}');
    return event_answer(call, &p.out);
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

#define MULTI_PLOTS_PAGE 1000
#define MULTI_TASKS_MAX 1000

struct multi_plots {
    struct call *call;
    cJSON *plots;
    const char *task, *name;
    size_t bytes;
    int64_t iters, returned;
    struct event_scroll scroll; /* first: task, second: metric (phase: iteration) */
};

/* Each series' event of one iteration. */
static void add_plots_at(struct multi_plots *m, const struct event_series_list *list,
                         int64_t iter)
{
    auto_buf number = BUF_INIT;
    json_text_int(&number, iter);
    for (size_t i = 0; i < list->count && m->bytes < EVENT_WHOLE_MAX; i++) {
        auto_reset *stmt = event_row_at(m->call->db, list->items[i].id, iter);
        if (!stmt)
            continue;
        auto_buf text = BUF_INIT;
        event_add_json(&text, stmt);
        m->bytes += text.len;
        m->returned++;
        cJSON *metric = json_member(m->plots, list->items[i].metric);
        cJSON *task = json_member(json_member(metric, list->items[i].variant), m->task);
        cJSON *entry = json_member(task, buf_str(&number));
        cJSON *plots = json_get(entry, "plots");
        if (!plots) {
            json_set_str(entry, "name", m->name);
            plots = json_set(entry, "plots", cJSON_CreateArray());
        }
        cJSON_AddItemToArray(plots, cJSON_CreateRaw(buf_str(&text)));
    }
}

/* The last iterations of these series taken together. */
static void add_last_plots(struct multi_plots *m, const struct event_series_list *list)
{
    size_t n;
    auto_free struct event_pick *iters =
        event_pick(m->call->db, list, true, true,
                   (struct event_pick){.iter = INT64_MAX}, (size_t)m->iters, &n);
    for (size_t i = 0; i < n; i++)
        add_plots_at(m, list, iters[i].iter);
}

static bool multi_full(const struct multi_plots *m)
{
    return m->returned >= MULTI_PLOTS_PAGE || m->bytes >= EVENT_ANSWER_MAX;
}

/* The series from `at` on that are one metric's or, with whole, all of them. */
static struct event_series_list group_at(const struct event_series_list *list,
                                         size_t at, bool whole)
{
    size_t n = whole ? list->count - at : 1;
    while (at + n < list->count &&
           !strcmp(list->items[at].metric, list->items[at + n].metric))
        n++;
    return (struct event_series_list){list->items + at, n};
}

/* One task's metrics from the scroll's place on; false if the page is full before the
 * end. */
static bool add_task_plots(struct multi_plots *m, const cJSON *metrics)
{
    bool by_metric = request_true(m->call->request, "last_iters_per_task_metric", true);
    auto_series list = event_series_load(m->call->db, m->task, EVENT_PLOT, metrics);
    while (m->scroll.second < (int64_t)list.count) {
        if (multi_full(m))
            return false;
        struct event_series_list group =
            group_at(&list, (size_t)m->scroll.second, !by_metric);
        add_last_plots(m, &group);
        m->scroll.second += (int64_t)group.count;
    }
    return true;
}

static bool add_tasks_plots(struct multi_plots *m, const cJSON *tasks,
                            const cJSON *metrics)
{
    char name[512];
    const cJSON *task = cJSON_GetArrayItem(tasks, (int)m->scroll.first);
    for (; task; task = task->next) {
        event_source_name(m->call, task->valuestring, name);
        m->task = task->valuestring;
        m->name = name;
        if (!add_task_plots(m, metrics))
            return false;
        m->scroll.first++;
        m->scroll.second = 0;
    }
    return true;
}

static void multi_free(struct multi_plots *m)
{
    event_scroll_free(&m->scroll);
}

int events_get_multi_task_plots(struct call *call)
{
    const cJSON *tasks, *metrics;
    __attribute__((cleanup(multi_free))) struct multi_plots m = {.call = call};
    if (event_require_sources(call, MULTI_TASKS_MAX, &tasks) < 0 ||
        event_metrics_requested(call, &metrics) < 0 ||
        event_iters_requested(call, &m.iters) < 0 ||
        event_scroll_read(call, "multi", &m.scroll) < 0)
        return -1;
    if (m.scroll.first < 0 || m.scroll.second < 0 || m.scroll.first > MULTI_TASKS_MAX)
        return event_fail_scroll(call, json_str(call->request, "scroll_id", ""));
    m.plots = json_set(call->data, "plots", cJSON_CreateObject());
    bool done = add_tasks_plots(&m, tasks, metrics);
    json_set_int(call->data, "returned", cJSON_GetArraySize(m.plots));
    json_set_int(call->data, "total", m.returned);
    auto_buf scroll = BUF_INIT;
    event_scroll_write(&scroll, "multi", &m.scroll);
    bool last = done && request_true(call->request, "no_scroll", false);
    json_set(call->data, "scroll_id",
             last ? cJSON_CreateNull() : cJSON_CreateRaw(buf_str(&scroll)));
    return 0;
}
