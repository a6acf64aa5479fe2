/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/find.h"
#include "cli/log-cursor.h"
#include "cli/log-local.h"
#include "cli/runs.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"
#include "config/size.h"
#include "run/run-dir.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH 2000
#define TAIL_MAX 10000
#define FOLLOW_MS 300
#define OUTAGE_MS 60000 /* how long a server may be gone meanwhile */

static const struct arg_spec specs[] = {
    {ARG_FLAG, "follow", 'f', NULL, "go on until the task has ended"},
    {ARG_VALUE, "since", 0, "TIME",
     "a time (2026-11-24T08:00:00Z), or how long ago (10m)"},
    {ARG_VALUE, "tail", 'n', "N", "only the last N lines, 10000 at most"},
    {ARG_FLAG, "json", 0, NULL,
     "one JSON object a line: time, worker, level, text (of one or more lines)"},
    {ARG_VALUE, "state-dir", 0, "DIR", "of the master, if none answers"},
    ARGS_SERVER,
    ARGS_LAST,
};

struct reading {
    struct session *s;
    const struct args *args;
    const char *id;
    struct log_cursor cursor;
    struct log_local local;
    int64_t since;
    cJSON *tail; /* the last events, while only so many lines are wanted; or NULL */
    int tail_lines;
    bool terminal, json, away;
    struct reeve_error *err;
};

static void print_text(const struct reading *r, const char *text)
{
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

static void print_json(const cJSON *event, const char *text)
{
    char time[CLOCK_ISO_SIZE];
    auto_json *line = cJSON_CreateObject();
    clock_iso(json_int(event, "timestamp", 0), time);
    json_set_str(line, "time", time);
    json_set_str(line, "worker", json_str(event, "worker", NULL));
    json_set_str(line, "level", json_str(event, "level", "INFO"));
    json_set_str(line, "text", text);
    auto_free char *out = json_format(line);
    puts(out);
}

static void print_event(const struct reading *r, const cJSON *event, const char *text)
{
    if (r->json)
        print_json(event, text);
    else
        print_text(r, text);
}

/* Prints it, or keeps it among the last. Taken. */
static void take_event(struct reading *r, cJSON *event)
{
    if (!r->tail) {
        print_event(r, event, json_str(event, "msg", ""));
        cJSON_Delete(event);
        return;
    }
    cJSON_AddItemToArray(r->tail, event);
    if (cJSON_GetArraySize(r->tail) > r->tail_lines)
        cJSON_DeleteItemFromArray(r->tail, 0);
}

/* The last lines of a text, `left` at most, which are taken off it. */
static const char *last_lines(const char *text, int *left)
{
    const char *at = text + strlen(text);
    if (at > text && at[-1] == '\n')
        at--;
    for (; *left > 0; --*left) {
        const char *newline = memrchr(text, '\n', (size_t)(at - text));
        if (!newline) {
            --*left;
            return text;
        }
        at = newline;
    }
    return at + 1;
}

/* What was kept is printed; from now on everything is. */
static void print_tail(struct reading *r)
{
    auto_json *tail = r->tail;
    const cJSON *event;
    int left = r->tail_lines;
    if (!tail)
        return;
    r->tail = NULL;
    int n = cJSON_GetArraySize(tail), first = n;
    auto_free const char **texts = xcalloc((size_t)n + 1, sizeof *texts);
    while (first > 0 && left > 0) {
        first--;
        texts[first] =
            last_lines(json_str(cJSON_GetArrayItem(tail, first), "msg", ""), &left);
    }
    int i = 0;
    cJSON_ArrayForEach(event, tail)
    {
        if (i >= first)
            print_event(r, event, texts[i]);
        i++;
    }
}

/* ---- from the server ---- */

/* Prints what is there. *more: there may be more at once. */
static int read_batch(struct reading *r, bool *more)
{
    auto_json *data = NULL;
    cJSON *body = cJSON_CreateObject(), *event;
    int64_t from = log_cursor_from(&r->cursor);
    bool last = r->tail && from == 0;
    json_set_str(body, "task", r->id);
    json_set_int(body, "batch_size", last ? r->tail_lines : BATCH);
    json_set_str(body, "order", last ? "desc" : "asc");
    json_set_bool(body, "navigate_earlier", last);
    if (from > 0)
        json_set_int(body, "from_timestamp", from);
    int code = session_call(r->s, "events.get_task_log", body, &data, r->err);
    if (code != CLI_DONE)
        return code;
    int printed = 0;
    log_cursor_begin(&r->cursor);
    cJSON *events = json_get(data, "events");
    int count = cJSON_GetArraySize(events);
    for (int i = 0; i < count; i++) {
        event = cJSON_DetachItemFromArray(events, last ? count - 1 - i : 0);
        int64_t time = json_int(event, "timestamp", 0);
        bool fresh = log_cursor_take(&r->cursor, time);
        printed += fresh;
        if (fresh && !log_local_shown(&r->local, time, json_str(event, "msg", "")))
            take_event(r, event);
        else
            cJSON_Delete(event);
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

/* ---- from this host ---- */

/* Only when it is needed: a master that is stopped would be waited for. */
static void find_local(struct reading *r)
{
    if (r->local.dir)
        return;
    auto_json *row = NULL;
    cJSON *request = control_request("inspect", r->id);
    const char *path = NULL;
    char *dir;
    if (control_call(r->s->target.run_dir, request, &row, NULL) == CLI_DONE)
        path = json_str(json_get(row, "log"), "path", NULL);
    if (path) {
        dir = xstrdup(path);
    } else {
        auto_free char *option = target_state_dir_dup(r->args);
        auto_free char *root = state_root_dup(option);
        dir = run_dir_dup(root, r->id);
    }
    log_local_init(&r->local, dir);
}

/* Prints what is here; false if there is nothing to read from. */
static bool read_local(struct reading *r, bool all)
{
    cJSON *event;
    find_local(r);
    if (!log_local_open(&r->local, all))
        return false;
    if (!r->away)
        cli_fail(0, "logs: %s; what this host has of the log follows", r->err->text);
    r->away = true;
    while ((event = log_local_next(&r->local))) {
        if (json_int(event, "timestamp", 0) >= r->since)
            take_event(r, event);
        else
            cJSON_Delete(event);
    }
    fflush(stdout);
    return true;
}

/* The server is back: what it has of what was shown from here is passed over. */
static void leave_local(struct reading *r)
{
    if (!r->away)
        return;
    r->away = false;
    log_local_close(&r->local);
    cli_fail(0, "logs: the server answers again");
}

/* All that there is, from the server or else from this host. */
static int read_first(struct reading *r)
{
    int code = read_all(r);
    if (code == CLI_UNREACHABLE && read_local(r, true)) {
        /* What the server had by then was here, or is too old to be. */
        if (r->local.acked_ms >= r->cursor.last)
            log_cursor_init(&r->cursor, r->local.acked_ms + 1);
        code = CLI_DONE;
    }
    print_tail(r);
    fflush(stdout);
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
    int code = session_call(r->s, "tasks.get_all", body, &data, r->err);
    const cJSON *task = cJSON_GetArrayItem(json_get(data, "tasks"), 0);
    *over =
        code == CLI_DONE && (!task || status_is_final(json_str(task, "status", "")));
    return code;
}

/* The status is asked before the lines are read: a final status comes after the last
 * line, so nothing is missing then. */
static int follow(struct reading *r)
{
    for (int64_t heard_ms = clock_boot_ms();;) {
        bool over = false;
        int code = is_over(r, &over);
        if (code == CLI_DONE) {
            leave_local(r);
            code = read_all(r);
        }
        if (code != CLI_UNREACHABLE && (code != CLI_DONE || over))
            return code;
        /* With the spool at hand an outage is no wait. */
        if (code == CLI_DONE || read_local(r, false))
            heard_ms = clock_boot_ms();
        else if (clock_boot_ms() - heard_ms > OUTAGE_MS)
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

static int parse_tail(const char *text, int *lines, struct reeve_error *err)
{
    char *end;
    long n = text ? strtol(text, &end, 10) : 0;
    *lines = (int)n;
    if (text && (!*text || *end || n < 1 || n > TAIL_MAX))
        return reeve_error_set(err, 0,
                               "--tail: \"%.40s\" is no number of lines from 1 to %d",
                               text, TAIL_MAX);
    return 0;
}

static int read_task(struct reading *r, const struct args *args)
{
    r->terminal = isatty(STDOUT_FILENO);
    r->json = args_has(args, "json");
    r->tail = r->tail_lines ? cJSON_CreateArray() : NULL;
    log_cursor_init(&r->cursor, r->since);
    r->args = args;
    int code = read_first(r);
    if (code == CLI_DONE && args_has(args, "follow"))
        code = follow(r);
    log_local_free(&r->local);
    return code;
}

static int run(const struct args *args)
{
    struct reeve_error err = {0};
    auto_session s = {0};
    auto_free char *id = NULL;
    struct reading r = {.s = &s, .err = &err};
    if (parse_since(args_value(args, "since", NULL), &r.since, &err) < 0 ||
        parse_tail(args_value(args, "tail", NULL), &r.tail_lines, &err) < 0)
        return cli_fail(CLI_USAGE, "logs: %s", err.text);
    session_open_any(args, &s);
    int code = find_task(&s, args_words(args)->v[0], &id, &err);
    r.id = id;
    if (code == CLI_DONE)
        code = read_task(&r, args);
    if (code != CLI_DONE && *err.text)
        return cli_fail(code, "logs: %s", err.text);
    return code;
}

const struct command cmd_logs = {
    .name = "logs",
    .summary = "print a task's log",
    .usage = "TASK [-f] [--since TIME] [--tail N] [--json]",
    .about =
        "The log comes from the server, so also after the run is gone; while the "
        "server "
        "is away, from\nthe run's host, if that is this one. On a terminal, control "
        "bytes are shown as \\xNN; into a\nfile or a pipe every byte goes as it is.",
    .specs = specs,
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
