/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/find.h"
#include "cli/quota-options.h"

#include "base/alloc.h"
#include "base/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SET_MS 120000 /* the kernel may have to reclaim memory, page by page */

static const struct arg_spec specs[] = {
    ARGS_QUOTAS, {ARG_LIST, "unset", 0, "NAME", "lift one: as --NAME none; repeatable"},
    ARGS_JSON,   ARGS_SERVER,
    ARGS_LAST,
};

static void add_value(cJSON *values, const char *option, const char *value)
{
    auto_free char *key = quota_option_key_dup(option);
    json_set_str(values, key, value);
}

static cJSON *read_values(const struct args *args)
{
    cJSON *values = cJSON_CreateObject();
    const struct words *unset = args_values(args, "unset");
    for (const struct quota_option *o = quota_options; o->name; o++)
        if (args_has(args, o->name))
            add_value(values, o->name, args_value(args, o->name, ""));
    for (size_t i = 0; unset && i < unset->n; i++)
        add_value(values, unset->v[i], "none");
    return values;
}

static int set(struct session *s, const char *word, cJSON **values, cJSON **data,
               struct reeve_error *err)
{
    auto_free char *id = NULL;
    int code = find_task(s, word, &id, err);
    if (code != CLI_DONE)
        return code;
    cJSON *request = control_request("set", id);
    json_set(request, "values", steal(values));
    code = control_call_for(s->target.run_dir, request, SET_MS, data, err);
    if (code != CLI_UNREACHABLE || err->code != ETIMEDOUT)
        return code;
    reeve_error_set(err, 0,
                    "no answer within %d s; it may apply yet: see reeve inspect",
                    SET_MS / 1000);
    return CLI_TIMEOUT;
}

static void print_data(const cJSON *data)
{
    const cJSON *note;
    cJSON_ArrayForEach(note, json_get(data, "notes"))
    {
        cli_print(note->valuestring);
        printf("\n");
    }
    if (!json_bool(data, "live", true))
        printf("the next attempt begins with it\n");
}

static int run(const struct args *args)
{
    struct reeve_error err = {0};
    auto_session s = {0};
    auto_json *values = read_values(args);
    auto_json *data = NULL;
    if (!values->child)
        return cli_fail(CLI_USAGE, "set: nothing to set; see `reeve set --help`");
    session_open_any(args, &s);
    int code = set(&s, args_words(args)->v[0], &values, &data, &err);
    if (code != CLI_DONE)
        return cli_fail(code, "set: %s", err.text);
    if (args_has(args, "json"))
        cli_print_json(data);
    else
        print_data(data);
    return CLI_DONE;
}

const struct command cmd_set = {
    .name = "set",
    .summary = "change the quotas of a run while it lives",
    .usage = "TASK [--memory SIZE] [--cpus X] [--pids N]... [--unset NAME]... [--json]",
    .about = "At once, and for the attempts that follow; the host's ceilings bound it. "
             "\"none\" "
             "as a\nvalue lifts a limit. Memory below what is in use is refused if the "
             "kernel "
             "can't\nreclaim it. The task itself is not changed.",
    .specs = specs,
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
