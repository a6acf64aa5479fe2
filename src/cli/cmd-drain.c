/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/session.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "config/size.h"

#include <time.h>

#define LOOK_NS 200000000
#define MISSED_MS 60000 /* without a master: one that starts again is back by then */

static const struct arg_spec drain_specs[] = {
    {ARG_VALUE, "deadline", 0, "TIME",
     "after it, what still runs is stopped with its grace"},
    {ARG_FLAG, "put-back", 0, NULL, "and enqueued again, for other hosts"},
    {ARG_FLAG, "wait", 0, NULL, "return when nothing runs any more"},
    ARGS_JSON,
    ARGS_SERVER,
    ARGS_LAST,
};

static const struct arg_spec undrain_specs[] = {ARGS_JSON, ARGS_SERVER, ARGS_LAST};

static int order(const struct session *s, int64_t deadline_ms, bool put_back,
                 cJSON **data, struct reeve_error *err)
{
    cJSON *request = control_request("drain", NULL);
    json_set_bool(request, "put_back", put_back);
    if (deadline_ms >= 0)
        json_set_int(request, "deadline_ms", deadline_ms);
    return control_call(s->target.run_dir, request, data, err);
}

/* Until nothing is left, or somebody ends the draining. A master that is being started
 * again goes on with it, and is waited for. */
static int wait_for_end(const struct session *s, struct reeve_error *err)
{
    for (int64_t seen_ms = clock_boot_ms();;) {
        auto_json *status = NULL;
        int code = control_call(s->target.run_dir, control_request("status", NULL),
                                &status, err);
        const cJSON *draining = json_get(status, "draining");
        bool missed = code == CLI_UNREACHABLE && clock_boot_ms() - seen_ms < MISSED_MS;
        if (code != CLI_DONE && !missed)
            return code;
        if (code == CLI_DONE && !cJSON_IsObject(draining)) {
            reeve_error_set(err, 0, "somebody has ended the draining: tasks are taken");
            return CLI_FAILED;
        }
        if (code == CLI_DONE && json_int(draining, "left", 0) == 0)
            return CLI_DONE;
        if (code == CLI_DONE)
            seen_ms = clock_boot_ms();
        nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
    }
}

static void print_state(const cJSON *draining)
{
    const char *deadline = json_str(draining, "deadline", NULL);
    printf("draining: no more tasks are taken, %d left%s%s\n",
           (int)json_int(draining, "left", 0), deadline ? ", deadline " : "",
           deadline ? deadline : "");
}

static int run_drain(const struct args *args)
{
    struct reeve_error err = {0};
    auto_session s = {0};
    auto_json *data = NULL;
    const char *deadline = args_value(args, "deadline", NULL);
    int64_t deadline_ms = -1;
    if (deadline && duration_parse(deadline, &deadline_ms, &err) < 0)
        return cli_fail(CLI_USAGE, "drain: --deadline: %s", err.text);
    if (args_has(args, "put-back") && !deadline)
        return cli_fail(CLI_USAGE, "drain: --put-back needs --deadline");
    session_open_any(args, &s);
    int code = order(&s, deadline_ms, args_has(args, "put-back"), &data, &err);
    if (code == CLI_DONE && args_has(args, "wait"))
        code = wait_for_end(&s, &err);
    if (code != CLI_DONE)
        return cli_fail(code, "drain: %s", err.text);
    if (args_has(args, "wait"))
        json_set_int(data, "left", 0);
    if (args_has(args, "json"))
        cli_print_json(data);
    else
        print_state(data);
    return CLI_DONE;
}

static int run_undrain(const struct args *args)
{
    struct reeve_error err = {0};
    auto_session s = {0};
    auto_json *data = NULL;
    session_open_any(args, &s);
    int code =
        control_call(s.target.run_dir, control_request("undrain", NULL), &data, &err);
    if (code != CLI_DONE)
        return cli_fail(code, "undrain: %s", err.text);
    if (args_has(args, "json"))
        cli_print_json(data);
    else
        printf("tasks are taken\n");
    return CLI_DONE;
}

const struct command cmd_drain = {
    .name = "drain",
    .summary = "finish what runs, take no more tasks",
    .usage = "[--deadline TIME [--put-back]] [--wait] [--json]",
    .about =
        "Holds over restarts of the master until `reeve undrain`. Given again, the "
        "new order takes\nthe old one's place. Restarts of a run go on until the "
        "deadline, which ends services for\ngood unless --put-back is given. A reboot "
        "needs no drain.",
    .specs = drain_specs,
    .run = run_drain,
};

const struct command cmd_undrain = {
    .name = "undrain",
    .summary = "take tasks again",
    .usage = "[--json]",
    .specs = undrain_specs,
    .run = run_undrain,
};
