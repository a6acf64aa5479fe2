/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/events-internal.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json-text.h"
#include "base/json.h"
#include "server/sql.h"
#include "server/store.h"
#include "server/tasks-internal.h"

#include <ctype.h>
#include <string.h>

/* Events as JSON, one after the other, so that they can be given in either order. */
struct page {
    struct buf text;
    size_t *ends;
    size_t count, cap;
    int64_t last_time, last_id;
};

static void page_free(struct page *p)
{
    buf_free(&p->text);
    free(p->ends);
}
#define auto_page __attribute__((cleanup(page_free))) struct page

static void page_add(struct page *p, sqlite3_stmt *stmt)
{
    if (p->count == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 64;
        p->ends = xreallocarray(p->ends, p->cap, sizeof *p->ends);
    }
    event_log_add_json(&p->text, stmt);
    p->ends[p->count++] = p->text.len;
    p->last_time = sqlite3_column_int64(stmt, 1);
    p->last_id = sqlite3_column_int64(stmt, EVENT_LOG_COLUMN_COUNT);
}

static void page_write(const struct page *p, bool reverse, struct buf *out)
{
    buf_add_char(out, '[');
    for (size_t i = 0; i < p->count; i++) {
        size_t n = reverse ? p->count - 1 - i : i;
        size_t start = n ? p->ends[n - 1] : 0;
        if (i)
            buf_add_char(out, ',');
        buf_add(out, p->text.data + start, p->ends[n] - start);
    }
    buf_add_char(out, ']');
}

#define LOG_IS_WANTED EVENT_IS_WANTED("ifnull(l.metric, '')", "ifnull(l.variant, '')")

/* wanted: the text of ClearML's list of {metric, variants}, or NULL for all lines. */
static int64_t count_log(sqlite3 *db, const char *task, const char *wanted)
{
    if (wanted)
        return store_int(db,
                         EVENT_WANTED(2) "SELECT count(*) FROM log_events l WHERE"
                                         " task = ?1 AND " LOG_IS_WANTED,
                         0, "tt", task, wanted);
    return store_int(db, "SELECT count(*) FROM log_events WHERE task = ?", 0, "t",
                     task);
}

static sqlite3_stmt *select_log(sqlite3 *db, const char *task, bool earlier,
                                int64_t time, int64_t id, const char *wanted)
{
    static const char down[] =
        "SELECT " EVENT_LOG_COLUMNS ", l.id FROM log_events l WHERE task = ?"
        " AND (timestamp, id) < (?, ?) ORDER BY timestamp DESC, id DESC";
    static const char up[] =
        "SELECT " EVENT_LOG_COLUMNS ", l.id FROM log_events l WHERE task = ?"
        " AND (timestamp, id) > (?, ?) ORDER BY timestamp, id";
    static const char wanted_down[] =
        EVENT_WANTED(4) "SELECT " EVENT_LOG_COLUMNS
                        ", l.id FROM log_events l WHERE task = ?1"
                        " AND (timestamp, id) < (?2, ?3) AND " LOG_IS_WANTED
                        " ORDER BY timestamp DESC, id DESC";
    static const char wanted_up[] =
        EVENT_WANTED(4) "SELECT " EVENT_LOG_COLUMNS
                        ", l.id FROM log_events l WHERE task = ?1"
                        " AND (timestamp, id) > (?2, ?3) AND " LOG_IS_WANTED
                        " ORDER BY timestamp, id";
    if (wanted)
        return store_query(db, earlier ? wanted_down : wanted_up, "tiit", task, time,
                           id, wanted);
    return store_query(db, earlier ? down : up, "tii", task, time, id);
}

/* Fills the page with batch events and, since clients go on from the last time stamp,
 * all that share that one, as far as they can be held. */
static void read_page(struct page *p, sqlite3_stmt *stmt, size_t batch)
{
    while (batch && store_row(stmt)) {
        bool full = p->count >= batch || p->text.len >= EVENT_ANSWER_MAX;
        if (full &&
            (sqlite3_column_int64(stmt, 1) != p->last_time ||
             p->text.len >= EVENT_WHOLE_MAX || p->count >= batch + EVENT_BATCH_MAX))
            break;
        page_add(p, stmt);
    }
    sqlite3_reset(stmt);
}

static int64_t batch_size(struct call *call, int64_t fallback)
{
    int64_t n = json_int(call->request, "batch_size", fallback);
    return n < 0 || n > EVENT_BATCH_MAX ? EVENT_BATCH_MAX : n;
}

int events_get_task_log(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    const cJSON *metrics;
    if (event_require_task(call, task) < 0 ||
        event_metrics_requested(call, &metrics) < 0)
        return -1;
    auto_free char *wanted = metrics && metrics->child ? json_format(metrics) : NULL;
    bool earlier = request_true(call->request, "navigate_earlier", true), down;
    if (event_order_requested(call, earlier ? "desc" : "asc", &down) < 0)
        return -1;
    /* 0 is "from the end", as an absent one. */
    int64_t from = json_int(call->request, "from_timestamp", 0);
    int64_t time = from ? from : earlier ? INT64_MAX : INT64_MIN;
    int64_t behind = earlier ? INT64_MIN : INT64_MAX;
    auto_page page = {0};
    read_page(&page, select_log(call->db, task, earlier, time, behind, wanted),
              (size_t)batch_size(call, 5000));
    auto_buf out = BUF_INIT;
    buf_add_str(&out, "{\"events\":");
    page_write(&page, down != earlier, &out);
    buf_printf(&out, ",\"returned\":%zu,\"total\":%lld}", page.count,
               (long long)count_log(call->db, task, wanted));
    return event_answer(call, &out);
}

/* Before API 2.9: pages by scroll id, from the head or the tail. */
int events_get_task_log_scroll(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    auto_scroll scroll = {.total = -1};
    if (event_require_task(call, task) < 0 ||
        event_scroll_read(call, "log", &scroll) < 0)
        return -1;
    const char *order = json_str(call->request, "order", "desc");
    const char *from = json_str(call->request, "from", "head");
    bool down = call->api_version < API_VERSION(1, 7) ? !strcmp(order, "desc")
                                                      : strcmp(from, "head") != 0;
    if (!scroll.given)
        scroll.first = scroll.second = down ? INT64_MAX : INT64_MIN;
    sqlite3_stmt *stmt =
        select_log(call->db, task, down, scroll.first, scroll.second, NULL);
    auto_page page = {0};
    size_t batch = (size_t)batch_size(call, 500);
    while (page.count < batch && page.text.len < EVENT_ANSWER_MAX && store_row(stmt))
        page_add(&page, stmt);
    sqlite3_reset(stmt);
    if (page.count) {
        scroll.first = page.last_time;
        scroll.second = page.last_id;
    }
    auto_buf out = BUF_INIT;
    buf_add_str(&out, "{\"events\":");
    page_write(&page, !strcmp(order, down ? "asc" : "desc"), &out);
    buf_printf(&out, ",\"returned\":%zu,\"total\":%lld,\"scroll_id\":", page.count,
               (long long)count_log(call->db, task, NULL));
    event_scroll_write(&out, "log", &scroll);
    buf_add_char(&out, '}');
    return event_answer(call, &out);
}

/* ---- as a file ---- */

/* Puts the fields of a line in place of their names in braces; false if the format asks
 * for something else. stmt NULL: only looks at the format. A format may name a long
 * message any number of times: such a line is cut. */
static bool format_line(struct buf *out, const char *format, sqlite3_stmt *stmt)
{
    static const struct {
        const char *name;
        int column;
    } fields[] = {{"{asctime}", 1},
                  {"{timestamp}", 1},
                  {"{level}", 2},
                  {"{worker}", 3},
                  {"{msg}", 4}};
    for (const char *p = format; *p && out->len < EVENT_ANSWER_MAX; p++) {
        if ((*p == '{' || *p == '}') && p[1] == *p) {
            buf_add_char(out, *p++);
            continue;
        }
        if (*p == '}')
            return false;
        if (*p != '{') {
            buf_add_char(out, *p);
            continue;
        }
        size_t i = 0;
        while (i < ARRAY_SIZE(fields) &&
               strncmp(p, fields[i].name, strlen(fields[i].name)) != 0)
            i++;
        if (i == ARRAY_SIZE(fields))
            return false;
        p += strlen(fields[i].name) - 1;
        const char *text =
            stmt ? (const char *)sqlite3_column_text(stmt, fields[i].column) : NULL;
        buf_add_str(out, text ? text : "");
    }
    return true;
}

static void json_line(struct buf *out, sqlite3_stmt *stmt)
{
    buf_add_str(out, "{\"asctime\":");
    json_text_int(out, sqlite3_column_int64(stmt, 1));
    buf_add_str(out, ",\"level\":");
    event_add_column(out, stmt, 2);
    buf_add_str(out, ",\"worker\":");
    event_add_column(out, stmt, 3);
    buf_add_str(out, ",\"msg\":");
    event_add_column(out, stmt, 4);
    buf_add_str(out, "}\n");
}

/* A log on its way out: the line it has come to. */
struct download {
    char *task, *format; /* format NULL: a line of JSON each */
    int64_t time, id;
};

/* About so much is read at once. */
#define DOWNLOAD_PIECE ((size_t)256 << 10)

static int download_next(void *state, sqlite3 *db, struct buf *out)
{
    struct download *d = state;
    auto_reset *stmt = select_log(db, d->task, false, d->time, d->id, NULL);
    while (out->len < DOWNLOAD_PIECE && store_row(stmt)) {
        d->time = sqlite3_column_int64(stmt, 1);
        d->id = sqlite3_column_int64(stmt, EVENT_LOG_COLUMN_COUNT);
        if (!d->format) {
            json_line(out, stmt);
            continue;
        }
        format_line(out, d->format, stmt);
        buf_add_char(out, '\n');
    }
    return 0;
}

static void download_done(void *state)
{
    struct download *d = state;
    free(d->task);
    free(d->format);
    free(d);
}

int events_download_task_log(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    if (event_require_task(call, task) < 0)
        return -1;
    bool json = !strcmp(json_str(call->request, "line_type", "json"), "json");
    const char *format =
        json_str(call->request, "line_format", "{asctime} {worker} {level} {msg}");
    auto_buf out = BUF_INIT;
    if (!json && !format_line(&out, format, NULL))
        return call_fail(call, 400, 16,
                         "Invalid value for fields (invalid line format)");
    struct download *d = xcalloc(1, sizeof *d);
    *d = (struct download){xstrdup(task), json ? NULL : xstrdup(format), INT64_MIN,
                           INT64_MIN};
    call->stream = (struct call_stream){download_next, download_done, d};
    call->raw_type = "text/plain; charset=utf-8";
    call->raw_file = xasprintf("task_%s.log", task);
    return 0;
}

/* ---- removal ---- */

/* A list of strings, as JSON text for the caller; NULL if it is absent or empty. -1
 * after failing the call. */
static int names_requested(struct call *call, const char *name, char **out)
{
    const cJSON *list = json_get(call->request, name);
    *out = NULL;
    if (!list || cJSON_IsNull(list) || (cJSON_IsArray(list) && !list->child))
        return 0;
    list = request_strings(call, name);
    if (!list)
        return -1;
    *out = json_format(list);
    return 0;
}

int events_clear_task_log(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    auto_free char *include = NULL;
    auto_free char *exclude = NULL;
    if (event_require_unlocked(call, task, false) < 0 ||
        names_requested(call, "include_metrics", &include) < 0 ||
        names_requested(call, "exclude_metrics", &exclude) < 0)
        return -1;
    int64_t seconds = json_int(call->request, "threshold_sec", 0);
    int64_t before = INT64_MAX;
    if (seconds > 0)
        before = seconds < call->now_ms / 1000 ? call->now_ms - seconds * 1000 : 0;
    int deleted = store_change(
        call->db,
        "DELETE FROM log_events WHERE task = ?1 AND timestamp < ?2 AND (?3 IS NULL OR"
        " ifnull(metric, '') IN (SELECT value FROM json_each(?3))) AND (?4 IS NULL OR"
        " ifnull(metric, '') NOT IN (SELECT value FROM json_each(?4)))",
        "titt", task, before, include, exclude);
    json_set_int(call->data, "deleted", deleted < 0 ? 0 : deleted);
    return 0;
}
