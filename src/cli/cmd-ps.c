/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/runs.h"
#include "cli/session.h"
#include "cli/table.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"

#include <string.h>

static const struct arg_spec specs[] = {
    {ARG_FLAG, "all", 'a', NULL,
     "also ended ones, and tasks that the server alone knows"},
    ARGS_JSON,
    ARGS_SERVER,
    ARGS_LAST,
};

static bool has_row(const cJSON *rows, const char *id)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        if (strcmp(json_str(row, "id", ""), id) == 0)
            return true;
    }
    return false;
}

/* The server's latest tasks, as far as they are not rows already. */
static int add_tasks(struct session *s, cJSON *rows, struct reeve_error *err)
{
    static const char *const order[] = {"-last_update"};
    auto_json *data = NULL;
    cJSON *body = cJSON_CreateObject(), *task;
    json_set(body, "order_by", cJSON_CreateStringArray(order, 1));
    json_set_int(body, "page_size", 500);
    json_set(body, "only_fields", run_row_fields());
    int code = session_call(s, "tasks.get_all", body, &data, err);
    cJSON_ArrayForEach(task, json_get(data, "tasks"))
    {
        const char *status = json_str(task, "status", "created");
        if (strcmp(status, "created") != 0 && !has_row(rows, json_str(task, "id", "")))
            cJSON_AddItemToArray(rows, run_row_from_task(task));
    }
    return code;
}

/* What is not gone yet, how it ended, or how the attempt before did. */
static void add_reason(struct table *t, const cJSON *row)
{
    const char *stuck = json_str(row, "stuck", NULL);
    auto_free char *text = stuck ? xasprintf("can't be ended: %s", stuck) : NULL;
    if (text)
        table_add(t, text);
    else
        table_add_text(t, row,
                       json_str(row, "reason", NULL) ? "reason" : "last_reason");
}

static void print_rows(const cJSON *rows)
{
    static const char *const titles[] = {
        "TASK",   "NAME",  "STATUS", "PHASE",   ">TRY",  ">CPU%", ">MEMORY",
        ">LIMIT", ">PIDS", ">AGE",   "RESTART", ">NEXT", "QUEUE", "REASON"};
    struct table *t = table_create(titles, ARRAY_SIZE(titles));
    const cJSON *row;
    int64_t now = clock_wall_ms();
    cJSON_ArrayForEach(row, rows)
    {
        table_add_id(t, row, "id");
        table_add_text(t, row, "name");
        table_add_text(t, row, "status");
        table_add_text(t, row, "phase");
        table_add_number(t, row, "attempt", 0);
        table_add_number(t, row, "cpu_percent", 1);
        table_add_bytes(t, row, "memory_bytes");
        table_add_bytes(t, row, "memory_limit");
        table_add_number(t, row, "pids", 0);
        table_add_age(t, row, "started", now);
        table_add_text(t, row, "restart");
        table_add_until(t, row, "next_start", now);
        table_add_text(t, row, "queue_name");
        add_reason(t, row);
    }
    table_print(t, stdout);
    table_free(t);
}

/* Why a row is missing that somebody waits for. */
static void print_drain(const struct session *s)
{
    struct reeve_error err;
    auto_json *status = NULL;
    if (control_call(s->target.run_dir, control_request("status", NULL), &status,
                     &err) == CLI_DONE &&
        cJSON_IsObject(json_get(status, "draining")))
        printf("draining: no more tasks are taken\n");
}

static int collect(struct session *s, bool all, cJSON **rows, struct reeve_error *err)
{
    cJSON *request = control_request("ps", NULL);
    if (all)
        json_set_bool(request, "all", true);
    int code = control_call(s->target.run_dir, request, rows, err);
    if (!all)
        return code;
    if (!cJSON_IsArray(*rows)) {
        cJSON_Delete(*rows);
        *rows = cJSON_CreateArray();
    }
    /* Either of the two is an answer: the master for its runs, the server for the rest.
     */
    struct reeve_error second;
    int more = add_tasks(s, *rows, code == CLI_DONE ? &second : err);
    return code == CLI_DONE ? CLI_DONE : more;
}

static int run(const struct args *args)
{
    struct reeve_error err = {0};
    auto_session s = {0};
    auto_json *rows = NULL;
    session_open_any(args, &s);
    int code = collect(&s, args_has(args, "all"), &rows, &err);
    if (code != CLI_DONE)
        return cli_fail(code, "ps: %s", err.text);
    if (args_has(args, "json"))
        cli_print_json(rows);
    else {
        print_rows(rows);
        print_drain(&s);
    }
    return CLI_DONE;
}

const struct command cmd_ps = {
    .name = "ps",
    .summary = "list this host's runs",
    .usage = "[--all] [--json]",
    .specs = specs,
    .run = run,
};
