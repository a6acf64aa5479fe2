/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/find.h"
#include "cli/runs.h"

#include "base/alloc.h"
#include "base/json.h"
#include "config/size.h"

static const struct arg_spec specs[] = {
    {ARG_VALUE, "grace", 0, "TIME", "between the stop signal and the end (10s)"},
    ARGS_SERVER,
    ARGS_LAST,
};

/* tasks.stop would give a task that has ended another reason for that. */
static int stop_by_server(struct session *s, const char *id, struct reeve_error *err)
{
    auto_json *task = NULL;
    int code = get_task(s, id, &task, err);
    if (code != CLI_DONE)
        return code;
    const char *status = json_str(task, "status", "");
    if (status_is_final(status)) {
        reeve_error_set(err, 0, "the task has ended already: it is %s", status);
        return CLI_FAILED;
    }
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "task", id);
    json_set_str(body, "status_reason", "reeve stop");
    return session_call(s, "tasks.stop", body, NULL, err);
}

/* The master stops its own run at once; any other task is stopped through the server,
 * whose agents see it when they next ask. */
static int stop_one(struct session *s, const char *word, int64_t grace_ms)
{
    struct reeve_error err = {0};
    auto_free char *id = NULL;
    int code = find_task(s, word, &id, &err);
    if (code != CLI_DONE)
        return cli_fail(code, "stop: %s", err.text);
    cJSON *request = cJSON_CreateObject();
    json_set_str(request, "cmd", "stop");
    json_set_str(request, "task", id);
    if (grace_ms >= 0)
        json_set_int(request, "grace_ms", grace_ms);
    code = control_call(s->target.run_dir, request, NULL, &err);
    if (code == CLI_UNREACHABLE || code == CLI_NOT_FOUND)
        code = stop_by_server(s, id, &err);
    if (code != CLI_DONE)
        return cli_fail(code, "stop %s: %s", id, err.text);
    printf("%s\n", id);
    return CLI_DONE;
}

static int run(const struct args *args)
{
    struct reeve_error err = {0};
    auto_session s = {0};
    const struct words *tasks = args_words(args);
    const char *grace = args_value(args, "grace", NULL);
    int64_t grace_ms = -1;
    if (grace && duration_parse(grace, &grace_ms, &err) < 0)
        return cli_fail(CLI_USAGE, "stop: --grace: %s", err.text);
    int code = session_open_any(args, &s, &err);
    if (code != CLI_DONE)
        return cli_fail(code, "stop: %s", err.text);
    for (size_t i = 0; i < tasks->n; i++) {
        int one = stop_one(&s, tasks->v[i], grace_ms);
        if (code == CLI_DONE)
            code = one;
    }
    return code;
}

const struct command cmd_stop = {
    .name = "stop",
    .summary = "stop tasks: signal, grace, then the whole cgroup",
    .usage = "[--grace TIME] TASK...",
    .about =
        "Prints the id of each task whose stop was taken on. A run of another host is "
        "stopped\nthrough the server.",
    .specs = specs,
    .words_min = 1,
    .words_max = -1,
    .run = run,
};
