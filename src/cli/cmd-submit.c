/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/find.h"
#include "cli/submit-task.h"

#include "base/alloc.h"
#include "base/json.h"

#include <string.h>

static int find_project(struct session *s, const char *name, char **id,
                        struct reeve_error *err)
{
    static const char *const fields[] = {"id", "name"};
    auto_json *data = NULL;
    auto_free char *pattern = exact_pattern_dup(name);
    cJSON *body = cJSON_CreateObject();
    const cJSON *project;
    json_set_str(body, "name", pattern);
    json_set(body, "only_fields", cJSON_CreateStringArray(fields, ARRAY_SIZE(fields)));
    json_set_bool(body, "search_hidden", true);
    int code = session_call(s, "projects.get_all", body, &data, err);
    cJSON_ArrayForEach(project, json_get(data, "projects"))
    {
        if (!*id && strcmp(json_str(project, "name", ""), name) == 0)
            *id = xstrdup(json_str(project, "id", ""));
    }
    return code;
}

static int make_project(struct session *s, const char *name, char **id,
                        struct reeve_error *err)
{
    auto_json *data = NULL;
    cJSON *body = cJSON_CreateObject();
    struct reeve_error first;
    json_set_str(body, "name", name);
    json_set_str(body, "description", "");
    int code = session_call(s, "projects.create", body, &data, &first);
    if (code == CLI_DONE) {
        *id = xstrdup(json_str(data, "id", ""));
        return CLI_DONE;
    }
    /* Somebody else was faster. */
    if (s->subcode == 801 && find_project(s, name, id, err) == CLI_DONE && *id)
        return CLI_DONE;
    *err = first;
    return code;
}

static int set_project(struct session *s, cJSON *task, struct reeve_error *err)
{
    auto_free char *id = NULL;
    auto_free char *name = xstrdup(json_str(task, "project", ""));
    int code = find_project(s, name, &id, err);
    if (code == CLI_DONE && !id)
        code = make_project(s, name, &id, err);
    if (code == CLI_DONE)
        json_set_str(task, "project", id);
    else
        reeve_error_wrap(err, "project %.60s", name);
    return code;
}

/* A task that could not be queued is of no use to anybody. */
static void remove_task(struct session *s, const char *id)
{
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "task", id);
    json_set_bool(body, "force", true);
    session_call(s, "tasks.delete", body, NULL, NULL);
}

static int create(struct session *s, cJSON **task, const char *queue, char **id,
                  struct reeve_error *err)
{
    auto_json *data = NULL;
    int code = session_call(s, "tasks.create", steal(task), &data, err);
    if (code != CLI_DONE)
        return code;
    *id = xstrdup(json_str(data, "id", ""));
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "task", *id);
    json_set_str(body, "queue", queue);
    code = session_call(s, "tasks.enqueue", body, NULL, err);
    /* Without an answer it may be queued after all. */
    if (code == CLI_FAILED || code == CLI_NOT_FOUND)
        remove_task(s, *id);
    else if (code != CLI_DONE)
        reeve_error_wrap(err, "task %s was created, perhaps not queued", *id);
    return code;
}

static int submit(const struct args *args, cJSON **task, char **id,
                  struct reeve_error *err)
{
    auto_session s = {0};
    auto_free char *queue = NULL;
    int code = session_open(args, &s, err);
    if (code == CLI_DONE)
        code = find_queue(&s, args_value(args, "queue", "services"), &queue, err);
    if (code == CLI_DONE)
        code = set_project(&s, *task, err);
    if (code == CLI_DONE)
        code = create(&s, task, queue, id, err);
    return code;
}

static int run(const struct args *args)
{
    struct reeve_error err = {0};
    auto_free char *id = NULL;
    auto_json *task = submit_task(args, &err);
    if (!task)
        return cli_fail(CLI_USAGE, "submit: %s", err.text);
    if (args_has(args, "dry-run")) {
        cli_print_json(task);
        return CLI_DONE;
    }
    int code = submit(args, &task, &id, &err);
    if (code != CLI_DONE)
        return cli_fail(code, "submit: %s", err.text);
    cli_print_task(args, id, NULL);
    return CLI_DONE;
}

const struct command cmd_submit = {
    .name = "submit",
    .summary = "create a task and put it into a queue",
    .usage = "[OPTION]... SCRIPT [ARG]... | [OPTION]... -- PROGRAM [ARG]...",
    .about =
        "Prints the task's id alone. A lone script travels whole in the task; "
        "with --repo, "
        "SCRIPT is\na path in the repository. After -- stands a command line, which "
        "runs in the\ncheckout if there is a --repo.",
    .specs = submit_specs,
    .in_order = true,
    .words_min = 1,
    .words_max = -1,
    .run = run,
};
