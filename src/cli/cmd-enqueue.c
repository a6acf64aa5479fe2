/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/find.h"

#include "base/alloc.h"
#include "base/json.h"

static const struct arg_spec specs[] = {
    {ARG_VALUE, "queue", 'q', "QUEUE", "name or id (services)"},
    {ARG_FLAG, "front", 0, NULL, "before all others"},
    ARGS_JSON,
    ARGS_SERVER,
    ARGS_LAST,
};

static int enqueue(struct session *s, const char *task, const char *queue, bool front,
                   struct reeve_error *err)
{
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "task", task);
    json_set_str(body, "queue", queue);
    cJSON *move = front ? cJSON_Duplicate(body, 1) : NULL;
    int code = session_call(s, "tasks.enqueue", body, NULL, err);
    if (code != CLI_DONE || !front) {
        cJSON_Delete(move);
        return code;
    }
    return session_call(s, "queues.move_task_to_front", move, NULL, err);
}

static int run(const struct args *args)
{
    struct reeve_error err = {0};
    auto_session s = {0};
    auto_free char *task = NULL, *queue = NULL;
    int code = session_open(args, &s, &err);
    if (code == CLI_DONE)
        code = find_queue(&s, args_value(args, "queue", "services"), &queue, &err);
    if (code == CLI_DONE)
        code = find_task(&s, args_words(args)->v[0], &task, &err);
    if (code == CLI_DONE)
        code = enqueue(&s, task, queue, args_has(args, "front"), &err);
    if (code != CLI_DONE)
        return cli_fail(code, "enqueue: %s", err.text);
    cli_print_task(args, task, queue);
    return CLI_DONE;
}

const struct command cmd_enqueue = {
    .name = "enqueue",
    .summary = "put a task into a queue",
    .usage = "TASK [--queue QUEUE] [--front] [--json]",
    .specs = specs,
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
