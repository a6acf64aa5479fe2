/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/each-task.h"

#include "base/alloc.h"
#include "base/json.h"

static const struct arg_spec specs[] = {ARGS_JSON, ARGS_SERVER, ARGS_LAST};

/* arg: who asks. */
static int restart(struct session *s, const char *id, void *arg, cJSON *data,
                   struct reeve_error *err)
{
    auto_json *answer = NULL;
    cJSON *request = control_request("restart", id);
    json_set_str(request, "by", arg);
    int code = control_call(s->target.run_dir, request, &answer, err);
    if (code == CLI_NOT_FOUND)
        reeve_error_set(err, 0,
                        "it has no run on this host; `reeve enqueue` starts one");
    json_set_int(data, "attempt", json_int(answer, "attempt", 0));
    return code;
}

static int run(const struct args *args)
{
    auto_free char *who = control_who_dup();
    return each_task(args, "restart", restart, who);
}

const struct command cmd_restart = {
    .name = "restart",
    .summary = "begin another attempt of runs now",
    .usage = "TASK... [--json]",
    .about =
        "Of a run that waits for its next attempt at once; one that is at work is "
        "ended first, with\nits stop signal and grace. The restart policy does not "
        "matter, and what it has counted is\nforgotten. Prints the ids.",
    .specs = specs,
    .words_min = 1,
    .words_max = -1,
    .run = run,
};
