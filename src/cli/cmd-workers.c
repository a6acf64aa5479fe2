/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/session.h"
#include "cli/table.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"

static const struct arg_spec specs[] = {ARGS_JSON, ARGS_SERVER, ARGS_LAST};

static void add_queues(struct table *t, const cJSON *worker)
{
    auto_buf names = BUF_INIT;
    const cJSON *queue;
    cJSON_ArrayForEach(queue, json_get(worker, "queues"))
        buf_printf(&names, "%s%s", names.len ? "," : "", json_str(queue, "name", "?"));
    table_add(t, buf_str(&names));
}

static void print_workers(const cJSON *workers)
{
    static const char *const titles[] = {"WORKER", "TASK",  "NAME",
                                         "IP",     ">SEEN", "QUEUES"};
    struct table *t = table_create(titles, ARRAY_SIZE(titles));
    const cJSON *worker;
    int64_t now = clock_wall_ms();
    cJSON_ArrayForEach(worker, workers)
    {
        const cJSON *task = json_get(worker, "task");
        table_add_text(t, worker, "id");
        table_add_id(t, task, "id");
        table_add_text(t, task, "name");
        table_add_text(t, worker, "ip");
        table_add_age(t, worker, "last_activity_time", now);
        add_queues(t, worker);
    }
    table_print(t, stdout);
    table_free(t);
}

/* Those too that have not been heard of for the last hour, if they are registered. */
static cJSON *all_of_them(void)
{
    cJSON *body = cJSON_CreateObject();
    json_set_int(body, "last_seen", 0);
    return body;
}

static int run(const struct args *args)
{
    struct reeve_error err = {0};
    auto_session s = {0};
    auto_json *data = NULL;
    int code = session_open(args, &s, &err);
    if (code == CLI_DONE)
        code = session_call(&s, "workers.get_all", all_of_them(), &data, &err);
    if (code != CLI_DONE)
        return cli_fail(code, "workers: %s", err.text);
    auto_json *none = cJSON_CreateArray();
    const cJSON *workers = json_get(data, "workers");
    if (args_has(args, "json"))
        cli_print_json(workers ? workers : none);
    else
        print_workers(workers);
    return CLI_DONE;
}

const struct command cmd_workers = {
    .name = "workers",
    .summary = "list the workers that the server sees",
    .usage = "[--json]",
    .specs = specs,
    .run = run,
};

const struct command cmd_list = {
    .name = "list",
    .summary = "the same, by clearml-agent's name for it",
    .usage = "[--json]",
    .specs = specs,
    .run = run,
};
