/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/screen.h"
#include "cli/session.h"
#include "cli/table.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "config/size.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define INTERVAL_MIN_MS 100
#define INTERVAL_MAX_MS 86400000
#define HEAD_LINES 4

static const struct arg_spec specs[] = {
    {ARG_VALUE, "interval", 0, "TIME", "between two looks (1s)"},
    {ARG_VALUE, "sort", 0, "ORDER", "cpu, memory or age (cpu)"},
    {ARG_FLAG, "once", 0, NULL, "print all once, without a terminal"},
    ARGS_SERVER,
    ARGS_LAST,
};

static void print_head(FILE *out, const cJSON *status)
{
    char up[DURATION_TEXT_SIZE], promised[SIZE_TEXT_SIZE];
    const cJSON *server = json_get(status, "server");
    const cJSON *admission = json_get(status, "admission");
    fprintf(out, "%s, up %s; server %s\n", json_str(status, "worker", "?"),
            duration_format(json_int(status, "uptime_s", 0) * 1000, up),
            json_bool(server, "reachable", false) ? "reachable" : "NOT REACHABLE");
    fprintf(out,
            "%" PRId64 " running, %" PRId64 " restarting; promised %s, %.4g CPUs%s\n\n",
            json_int(status, "running", 0), json_int(status, "restarting", 0),
            size_format(json_int(admission, "memory_promised", 0), promised),
            json_num(admission, "cpus_promised", 0),
            cJSON_IsObject(json_get(status, "draining")) ? "; draining" : "");
}

static void print_rows(FILE *out, const cJSON *rows)
{
    static const char *const titles[] = {"TASK",    "NAME",   "PHASE", ">CPU%",
                                         ">MEMORY", ">LIMIT", ">PIDS", ">AGE",
                                         ">TRY",    "QUEUE",  "REASON"};
    struct table *t = table_create(titles, ARRAY_SIZE(titles));
    const cJSON *row;
    int64_t now = clock_wall_ms();
    cJSON_ArrayForEach(row, rows)
    {
        table_add_id(t, row, "id");
        table_add_text(t, row, "name");
        table_add_text(t, row, "phase");
        table_add_number(t, row, "cpu_percent", 1);
        table_add_bytes(t, row, "memory_bytes");
        table_add_bytes(t, row, "memory_limit");
        table_add_number(t, row, "pids", 0);
        table_add_age(t, row, "started", now);
        table_add_number(t, row, "attempt", 0);
        table_add_text(t, row, "queue_name");
        table_add_text(t, row, "last_reason");
    }
    table_print(t, out);
    table_free(t);
}

/* One look as text; *text is the caller's. */
static int look(const struct session *s, const char *sort, size_t rows, char **text,
                size_t *length, struct reeve_error *err)
{
    auto_json *status = NULL, *runs = NULL;
    const char *run_dir = s->target.run_dir;
    cJSON *request = control_request("top", NULL);
    json_set_str(request, "sort", sort);
    json_set_int(request, "rows", (int64_t)rows);
    int code = control_call(run_dir, request, &runs, err);
    if (code == CLI_DONE)
        code = control_call(run_dir, control_request("status", NULL), &status, err);
    if (code != CLI_DONE)
        return code;
    FILE *out = open_memstream(text, length);
    if (!out)
        return CLI_FAILED;
    print_head(out, status);
    print_rows(out, runs);
    fclose(out);
    return CLI_DONE;
}

static const char *order_of_key(int key, const char *order)
{
    return key == 'c' ? "cpu" : key == 'm' ? "memory" : key == 'a' ? "age" : order;
}

/* Until q, a signal, or a master that is gone. */
static int watch(const struct session *s, const char *sort, int64_t interval_ms,
                 struct reeve_error *err)
{
    for (;;) {
        auto_free char *text = NULL;
        size_t length = 0, rows, columns;
        screen_size(&rows, &columns);
        int code = look(s, sort, rows > HEAD_LINES ? rows - HEAD_LINES : 1, &text,
                        &length, err);
        if (code != CLI_DONE)
            return code;
        screen_draw(text, length);
        int key = screen_key(interval_ms);
        if (key < 0 || key == 'q' || key == 'Q')
            return CLI_DONE;
        sort = order_of_key(key, sort);
    }
}

static int print_once(const struct session *s, const char *sort,
                      struct reeve_error *err)
{
    auto_free char *text = NULL;
    size_t length = 0;
    int code = look(s, sort, 1000000, &text, &length, err);
    if (code == CLI_DONE)
        fwrite(text, 1, length, stdout);
    return code;
}

static int run(const struct args *args)
{
    struct reeve_error err = {0};
    auto_session s = {0};
    const char *interval = args_value(args, "interval", "1s");
    const char *sort = args_value(args, "sort", "cpu");
    int64_t ms;
    if (duration_parse(interval, &ms, &err) < 0 || ms < INTERVAL_MIN_MS ||
        ms > INTERVAL_MAX_MS)
        return cli_fail(CLI_USAGE, "top: --interval %.40s: from 100ms to a day",
                        interval);
    bool once = args_has(args, "once");
    int code;
    session_open_any(args, &s);
    if (once)
        code = print_once(&s, sort, &err);
    else if (screen_open(&err) < 0)
        return cli_fail(CLI_USAGE, "top: %s; use --once, or reeve ps", err.text);
    else
        code = watch(&s, sort, ms, &err);
    screen_close();
    return code == CLI_DONE ? code : cli_fail(code, "top: %s", err.text);
}

const struct command cmd_top = {
    .name = "top",
    .summary = "watch what runs, those that take most first",
    .usage = "[--interval TIME] [--sort ORDER] [--once]",
    .about =
        "Keys: c, m and a sort by CPU, memory and age, the youngest first; q ends it.",
    .specs = specs,
    .run = run,
};
