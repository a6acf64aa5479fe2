/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/find.h"

#include "base/alloc.h"
#include "base/json.h"

#include <string.h>

static const struct arg_spec specs[] = {ARGS_JSON, ARGS_SERVER, ARGS_LAST};

/* For a task that is in no queue the server answers without an error, and with dequeued
 * or updated 0. */
static int dequeue(struct session *s, const char *task, struct reeve_error *err)
{
    auto_json *data = NULL, *doc = NULL;
    int code = get_task(s, task, &doc, err);
    if (code != CLI_DONE)
        return code;
    /* A run that started is moved by tasks.dequeue too; that is not what was asked. */
    const char *status = json_str(doc, "status", "");
    if (strcmp(status, "queued") != 0) {
        reeve_error_set(err, 0, "the task is %s, not queued", status);
        return CLI_FAILED;
    }
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "task", task);
    code = session_call(s, "tasks.dequeue", body, &data, err);
    if (code == CLI_DONE && json_int(data, "updated", 0) < 1) {
        reeve_error_set(err, 0, "the task is in no queue any more");
        return CLI_FAILED;
    }
    return code;
}

static int run(const struct args *args)
{
    struct reeve_error err = {0};
    auto_session s = {0};
    auto_free char *task = NULL;
    int code = session_open(args, &s, &err);
    if (code == CLI_DONE)
        code = find_task(&s, args_words(args)->v[0], &task, &err);
    if (code == CLI_DONE)
        code = dequeue(&s, task, &err);
    if (code != CLI_DONE)
        return cli_fail(code, "dequeue: %s", err.text);
    cli_print_task(args, task, NULL);
    return CLI_DONE;
}

const struct command cmd_dequeue = {
    .name = "dequeue",
    .summary = "take a task out of its queue",
    .usage = "TASK [--json]",
    .specs = specs,
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
