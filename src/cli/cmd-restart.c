/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/find.h"

#include "base/alloc.h"
#include "base/json.h"

static const struct arg_spec specs[] = {ARGS_JSON, ARGS_SERVER, ARGS_LAST};

static int restart(struct session *s, const char *word, const char *who, cJSON **data,
                   struct reeve_error *err)
{
    auto_free char *id = NULL;
    int code = find_task(s, word, &id, err);
    if (code != CLI_DONE)
        return code;
    cJSON *request = cJSON_CreateObject();
    json_set_str(request, "cmd", "restart");
    json_set_str(request, "task", id);
    json_set_str(request, "by", who);
    code = control_call(s->target.run_dir, request, data, err);
    if (code == CLI_NOT_FOUND)
        reeve_error_set(err, 0,
                        "%s has no run on this host; `reeve enqueue` starts one", id);
    return code;
}

static int run(const struct args *args)
{
    struct reeve_error err = {0};
    auto_session s = {0};
    const struct words *tasks = args_words(args);
    auto_json *all = cJSON_CreateArray();
    int code = session_open_any(args, &s, &err);
    if (code != CLI_DONE)
        return cli_fail(code, "restart: %s", err.text);
    auto_free char *who = control_who_dup();
    for (size_t i = 0; i < tasks->n; i++) {
        cJSON *data = NULL;
        int one = restart(&s, tasks->v[i], who, &data, &err);
        if (one != CLI_DONE)
            cli_fail(one, "restart %s: %s", tasks->v[i], err.text);
        else if (!args_has(args, "json"))
            printf("%s\n", json_str(data, "id", ""));
        if (one == CLI_DONE)
            cJSON_AddItemToArray(all, data);
        else if (code == CLI_DONE)
            code = one;
    }
    if (args_has(args, "json"))
        cli_print_json(all);
    return code;
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
