/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/events-internal.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json-text.h"
#include "base/json.h"
#include "server/services.h"
#include "server/store.h"

#include <ctype.h>
#include <string.h>

/* ClearML never returns more events than this at once. */
#define BATCH_MAX 10000
/* Nor does an answer grow much beyond this, however long the events are. */
#define ANSWER_MAX ((size_t)32 << 20)

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
    p->last_id = sqlite3_column_int64(stmt, 6);
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

static int64_t count_log(sqlite3 *db, const char *task)
{
    return store_int(db, "SELECT count(*) FROM log_events WHERE task = ?", 0, "t",
                     task);
}

static sqlite3_stmt *select_log(sqlite3 *db, const char *task, bool earlier,
                                int64_t time, int64_t id)
{
    static const char down[] =
        "SELECT " EVENT_LOG_COLUMNS ", l.id FROM log_events l WHERE task = ?"
        " AND (timestamp, id) < (?, ?) ORDER BY timestamp DESC, id DESC";
    static const char up[] =
        "SELECT " EVENT_LOG_COLUMNS ", l.id FROM log_events l WHERE task = ?"
        " AND (timestamp, id) > (?, ?) ORDER BY timestamp, id";
    return store_query(db, earlier ? down : up, "tii", task, time, id);
}

/* Fills the page with batch events and, since clients go on from the last time stamp,
 * all that share that one. */
static void read_page(struct page *p, sqlite3_stmt *stmt, size_t batch)
{
    while (store_row(stmt)) {
        bool full = p->count >= batch || p->text.len >= ANSWER_MAX;
        if (full && (sqlite3_column_int64(stmt, 1) != p->last_time ||
                     p->count >= batch + BATCH_MAX))
            break;
        page_add(p, stmt);
    }
    sqlite3_reset(stmt);
}

static int64_t batch_size(struct call *call, int64_t fallback)
{
    int64_t n = json_int(call->request, "batch_size", fallback);
    return n < 1 ? 1 : n > BATCH_MAX ? BATCH_MAX : n;
}

int events_get_task_log(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    if (event_require_task(call, task) < 0)
        return -1;
    bool earlier = json_bool(call->request, "navigate_earlier", true);
    /* 0 is "from the end", as an absent one. */
    int64_t from = json_int(call->request, "from_timestamp", 0);
    int64_t time = from ? from : earlier ? INT64_MAX : INT64_MIN;
    auto_page page = {0};
    read_page(
        &page,
        select_log(call->db, task, earlier, time, earlier ? INT64_MIN : INT64_MAX),
        (size_t)batch_size(call, 5000));
    const char *order = json_str(call->request, "order", earlier ? "desc" : "asc");
    auto_buf out = BUF_INIT;
    buf_add_str(&out, "{\"events\":");
    page_write(&page, !strcmp(order, earlier ? "asc" : "desc"), &out);
    buf_printf(&out, ",\"returned\":%zu,\"total\":%lld}", page.count,
               (long long)count_log(call->db, task));
    return event_answer(call, &out);
}

/* Before API 2.9: pages by scroll id, from the head or the tail. */
int events_get_task_log_scroll(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    struct event_scroll scroll = {.total = -1};
    if (event_require_task(call, task) < 0 ||
        event_scroll_read(call, "log", &scroll) < 0)
        return -1;
    const char *order = json_str(call->request, "order", "desc");
    const char *from = json_str(call->request, "from", "head");
    bool down = call->api_version < API_VERSION(1, 7) ? !strcmp(order, "desc")
                                                      : strcmp(from, "head") != 0;
    if (!scroll.given)
        scroll.first = scroll.second = down ? INT64_MAX : INT64_MIN;
    sqlite3_stmt *stmt = select_log(call->db, task, down, scroll.first, scroll.second);
    auto_page page = {0};
    size_t batch = (size_t)batch_size(call, 500);
    while (page.count < batch && page.text.len < ANSWER_MAX && store_row(stmt))
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
               (long long)count_log(call->db, task));
    event_scroll_write(&out, "log", &scroll);
    buf_add_char(&out, '}');
    return event_answer(call, &out);
}

/* ---- as a file ---- */

/* Puts the fields of a line in place of their names in braces; NULL if the format asks
 * for something else. stmt NULL: only looks at the format. */
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
    for (const char *p = format; *p; p++) {
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

/* What a browser is given to save, at most. */
#define DOWNLOAD_MAX ((size_t)512 << 20)

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
    buf_clear(&out);
    sqlite3_stmt *stmt = select_log(call->db, task, false, INT64_MIN, INT64_MIN);
    while (out.len < DOWNLOAD_MAX && store_row(stmt)) {
        if (json) {
            json_line(&out, stmt);
        } else {
            format_line(&out, format, stmt);
            buf_add_char(&out, '\n');
        }
    }
    sqlite3_reset(stmt);
    call->raw_type = "text/plain; charset=utf-8";
    call->raw_file = xasprintf("task_%s.log", task);
    return event_answer(call, &out);
}

/* ---- removal ---- */

int event_require_unlocked(struct call *call, const char *task)
{
    char status[16];
    if (!task_brief(call->db, task, status, NULL, NULL))
        return event_require_task(call, task);
    if (json_bool(call->request, "allow_locked", false) ||
        (strcmp(status, "published") && strcmp(status, "publishing")))
        return 0;
    call_fail(call, 400, 101, "Cannot update events for a published task");
    call_fail_arg(call, "company", call->caller.company);
    return call_fail_arg(call, "id", task);
}

int events_clear_task_log(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    if (event_require_unlocked(call, task) < 0)
        return -1;
    int64_t seconds = json_int(call->request, "threshold_sec", 0);
    int64_t before = INT64_MAX;
    if (seconds > 0)
        before = seconds < call->now_ms / 1000 ? call->now_ms - seconds * 1000 : 0;
    int deleted = store_change(
        call->db, "DELETE FROM log_events WHERE task = ? AND timestamp < ?", "ti", task,
        before);
    json_set_int(call->data, "deleted", deleted < 0 ? 0 : deleted);
    return 0;
}
