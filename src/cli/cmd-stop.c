/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/each-task.h"
#include "cli/find.h"
#include "cli/runs.h"

#include "base/alloc.h"
#include "base/json.h"
#include "config/size.h"
#include "master/quota.h"

static const struct arg_spec specs[] = {
    {ARG_VALUE, "signal", 0, "NAME", "instead of the task's stop signal (TERM)"},
    {ARG_VALUE, "grace", 0, "TIME", "between the stop signal and the end (10s)"},
    {ARG_FLAG, "now", 0, NULL, "end the whole cgroup at once: no signal, no grace"},
    ARGS_JSON,
    ARGS_SERVER,
    ARGS_LAST,
};

/* How, as the flags say. */
struct how {
    int64_t grace_ms; /* -1: the task's */
    const char *signal;
    char *who;
};

/* tasks.stop would give a task that has ended another reason for that. */
static int stop_by_server(struct session *s, const char *id, const struct how *how,
                          struct reeve_error *err)
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
    auto_free char *reason = xasprintf("reeve stop by %s", how->who);
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "task", id);
    json_set_str(body, "status_reason", reason);
    return session_call(s, "tasks.stop", body, NULL, err);
}

static cJSON *make_request(const char *id, const struct how *how)
{
    cJSON *request = control_request("stop", id);
    json_set_str(request, "by", how->who);
    if (how->grace_ms >= 0)
        json_set_int(request, "grace_ms", how->grace_ms);
    if (how->signal)
        json_set_str(request, "signal", how->signal);
    return request;
}

/* The master stops its own run at once; any other task is stopped through the server,
 * whose agents see it when they next ask, and go by the task's own words. */
static int stop(struct session *s, const char *id, void *arg, cJSON *data,
                struct reeve_error *err)
{
    const struct how *how = arg;
    struct reeve_error master = {0};
    int code = control_call(s->target.run_dir, make_request(id, how), NULL, &master);
    bool by_server = code == CLI_UNREACHABLE || code == CLI_NOT_FOUND;
    json_set_str(data, "by", by_server ? "server" : "master");
    if (!by_server) {
        *err = master;
        return code;
    }
    code = stop_by_server(s, id, how, err);
    if (code == CLI_DONE && (how->grace_ms >= 0 || how->signal))
        cli_fail(0,
                 "stop %s: through the server, which hands on neither --now nor "
                 "--signal or --grace: %s",
                 id, master.text);
    return code;
}

/* A wrong signal is found before anything is stopped. */
static int read_how(const struct args *args, struct how *how, struct reeve_error *err)
{
    const char *grace = args_value(args, "grace", NULL);
    how->signal = args_value(args, "signal", NULL);
    how->grace_ms = args_has(args, "now") ? 0 : -1;
    if (args_has(args, "now") && (grace || how->signal))
        return reeve_error_set(err, 0, "--now leaves no time for --grace or --signal");
    if (how->signal && stop_signal_parse(how->signal, err) < 0)
        return reeve_error_wrap(err, "--signal");
    if (grace && duration_parse(grace, &how->grace_ms, err) < 0)
        return reeve_error_wrap(err, "--grace");
    return 0;
}

static int run(const struct args *args)
{
    struct reeve_error err = {0};
    struct how how;
    if (read_how(args, &how, &err) < 0)
        return cli_fail(CLI_USAGE, "stop: %s", err.text);
    auto_free char *name = how.who = control_who_dup();
    return each_task(args, "stop", stop, &how);
}

const struct command cmd_stop = {
    .name = "stop",
    .summary = "stop tasks: signal, grace, then the whole cgroup",
    .usage = "[--signal NAME] [--grace TIME | --now] TASK... [--json]",
    .about =
        "Prints the id of each task whose stop was taken on. A run of another host is "
        "stopped\nthrough the server, with the signal and the grace of its own agent.",
    .specs = specs,
    .words_min = 1,
    .words_max = -1,
    .run = run,
};
