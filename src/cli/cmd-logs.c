/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/find.h"
#include "cli/log-cursor.h"
#include "cli/runs.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"
#include "config/size.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH 2000
#define FOLLOW_MS 300
#define OUTAGE_MS 60000 /* how long a server may be gone meanwhile */

static const struct arg_spec specs[] = {
    {ARG_FLAG, "follow", 'f', NULL, "go on until the task has ended"},
    {ARG_VALUE, "since", 0, "TIME",
     "a time (2026-11-24T08:00:00Z), or how long ago (10m)"},
    ARGS_SERVER,
    ARGS_LAST,
};

struct reading {
    struct session *s;
    const char *id;
    struct log_cursor cursor;
    bool terminal;
    int64_t patience_ms;
    struct reeve_error *err;
};

static void print_event(const struct reading *r, const cJSON *event)
{
    const char *text = json_str(event, "msg", "");
    size_t n = strlen(text);
    auto_buf safe = BUF_INIT;
    if (r->terminal) {
        utf8_add_printable(&safe, text, n);
        text = buf_str(&safe);
        n = safe.len;
    }
    fwrite(text, 1, n, stdout);
    /* The SDK's own lines come without their end. */
    if (n == 0 || text[n - 1] != '\n')
        putchar('\n');
}

/* Prints what is there. *more: there may be more at once. */
static int read_batch(struct reading *r, bool *more)
{
    auto_json *data = NULL;
    cJSON *body = cJSON_CreateObject();
    const cJSON *event;
    int64_t from = log_cursor_from(&r->cursor);
    json_set_str(body, "task", r->id);
    json_set_int(body, "batch_size", BATCH);
    json_set_str(body, "order", "asc");
    json_set_bool(body, "navigate_earlier", false);
    if (from > 0)
        json_set_int(body, "from_timestamp", from);
    int code = session_call_until(r->s, "events.get_task_log", body, r->patience_ms,
                                  &data, r->err);
    if (code != CLI_DONE)
        return code;
    int printed = 0;
    log_cursor_begin(&r->cursor);
    cJSON_ArrayForEach(event, json_get(data, "events"))
    {
        if (!log_cursor_take(&r->cursor, json_int(event, "timestamp", 0)))
            continue;
        print_event(r, event);
        printed++;
    }
    *more = printed > 0;
    return fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
}

static int read_all(struct reading *r)
{
    bool more = true;
    int code = CLI_DONE;
    while (code == CLI_DONE && more)
        code = read_batch(r, &more);
    return code;
}

static int is_over(struct reading *r, bool *over)
{
    static const char *const fields[] = {"status"};
    auto_json *data = NULL;
    cJSON *body = cJSON_CreateObject();
    json_set(body, "id", cJSON_CreateStringArray(&r->id, 1));
    json_set(body, "only_fields", cJSON_CreateStringArray(fields, 1));
    json_set_bool(body, "search_hidden", true);
    int code =
        session_call_until(r->s, "tasks.get_all", body, r->patience_ms, &data, r->err);
    const cJSON *task = cJSON_GetArrayItem(json_get(data, "tasks"), 0);
    *over = !task || status_is_final(json_str(task, "status", ""));
    return code;
}

/* The status is asked before the lines are read: a final status comes after the last
 * line, so nothing is missing then. */
static int follow(struct reading *r)
{
    for (;;) {
        bool over = false;
        int code = is_over(r, &over);
        if (code == CLI_DONE)
            code = read_all(r);
        if (code != CLI_DONE || over)
            return code;
        struct timespec nap = {0, FOLLOW_MS * 1000000};
        nanosleep(&nap, NULL);
    }
}

static int parse_since(const char *text, int64_t *ms, struct reeve_error *err)
{
    int64_t ago;
    *ms = 0;
    if (!text || clock_iso_parse(text, ms) == 0)
        return 0;
    if (duration_parse(text, &ago, NULL) < 0)
        return reeve_error_set(
            err, 0,
            "--since: \"%.40s\" is no time; write 2026-11-24T08:00:00Z "
            "or how long ago: 30s, 10m, 2h",
            text);
    *ms = clock_wall_ms() - ago;
    return 0;
}

static int run(const struct args *args)
{
    struct reeve_error err = {0};
    auto_session s = {0};
    auto_free char *id = NULL;
    int64_t since;
    if (parse_since(args_value(args, "since", NULL), &since, &err) < 0)
        return cli_fail(CLI_USAGE, "logs: %s", err.text);
    int code = session_open(args, &s, &err);
    if (code == CLI_DONE)
        code = find_task(&s, args_words(args)->v[0], &id, &err);
    if (code == CLI_DONE) {
        struct reading r = {.s = &s, .id = id, .err = &err};
        r.terminal = isatty(STDOUT_FILENO);
        log_cursor_init(&r.cursor, since);
        code = read_all(&r);
        r.patience_ms = OUTAGE_MS;
        if (code == CLI_DONE && args_has(args, "follow"))
            code = follow(&r);
    }
    if (code != CLI_DONE && *err.text)
        return cli_fail(code, "logs: %s", err.text);
    return code;
}

const struct command cmd_logs = {
    .name = "logs",
    .summary = "print a task's log",
    .usage = "TASK [-f] [--since TIME]",
    .about =
        "The log comes from the server, so also after the run is gone. On a terminal, "
        "control bytes\nare shown as \\xNN; into a file or a pipe every byte goes as "
        "it "
        "is.",
    .specs = specs,
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
