/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/find.h"

#include "base/alloc.h"
#include "base/json.h"

static const struct arg_spec specs[] = {
    {ARG_VALUE, "name", 0, "NAME", "of the clone (\"Clone of NAME\")"},
    {ARG_VALUE, "project", 0, "ID", "another project than the task's"},
    {ARG_VALUE, "queue", 'q', "QUEUE", "enqueue the clone there"},
    ARGS_JSON,
    ARGS_SERVER,
    ARGS_LAST,
};

static cJSON *clone_body(const struct args *args, const cJSON *task)
{
    cJSON *body = cJSON_CreateObject();
    const char *name = args_value(args, "name", NULL);
    const char *project = args_value(args, "project", NULL);
    json_set_str(body, "task", json_str(task, "id", ""));
    /* As the SDK's Task.clone names it. */
    auto_free char *made = xasprintf("Clone of %s", json_str(task, "name", ""));
    json_set_str(body, "new_task_name", name ? name : made);
    if (project)
        json_set_str(body, "new_task_project", project);
    return body;
}

static int enqueue(struct session *s, const char *task, const char *queue,
                   struct reeve_error *err)
{
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "task", task);
    json_set_str(body, "queue", queue);
    return session_call(s, "tasks.enqueue", body, NULL, err);
}

static int run(const struct args *args)
{
    struct reeve_error err = {0};
    auto_session s = {0};
    auto_free char *id = NULL, *queue = NULL;
    auto_json *task = NULL, *made = NULL;
    const char *to = args_value(args, "queue", NULL);
    int code = session_open(args, &s, &err);
    if (code == CLI_DONE && to)
        code = find_queue(&s, to, &queue, &err);
    if (code == CLI_DONE)
        code = find_task(&s, args_words(args)->v[0], &id, &err);
    if (code == CLI_DONE)
        code = get_task(&s, id, &task, &err);
    if (code == CLI_DONE)
        code = session_call(&s, "tasks.clone", clone_body(args, task), &made, &err);
    if (code != CLI_DONE)
        return cli_fail(code, "clone: %s", err.text);
    const char *clone = json_str(made, "id", "");
    if (queue)
        code = enqueue(&s, clone, queue, &err);
    cli_print_task(args, clone, code == CLI_DONE ? queue : NULL);
    if (code != CLI_DONE)
        return cli_fail(code, "clone: made, but not enqueued: %s", err.text);
    return CLI_DONE;
}

const struct command cmd_clone = {
    .name = "clone",
    .summary = "make a copy of a task, and print its id",
    .usage = "TASK [--name NAME] [--project ID] [--queue QUEUE] [--json]",
    .specs = specs,
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
