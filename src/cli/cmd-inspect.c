/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/find.h"
#include "cli/runs.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "config/config.h"
#include "config/mask.h"

static const struct arg_spec specs[] = {ARGS_JSON, ARGS_SERVER, ARGS_LAST};

/* "a.b: value" lines; arrays and long texts stay on one line. */
static void print_tree(const char *prefix, const cJSON *value)
{
    const cJSON *item;
    if (!cJSON_IsObject(value)) {
        auto_free char *text =
            cJSON_IsString(value) ? xstrdup(value->valuestring) : json_format(value);
        printf("%s: ", prefix);
        cli_print(text);
        printf("\n");
        return;
    }
    cJSON_ArrayForEach(item, value)
    {
        auto_buf path = BUF_INIT;
        buf_printf(&path, "%s%s%s", prefix, *prefix ? "." : "", item->string);
        print_tree(buf_str(&path), item);
    }
}

/* What only the master has is null where the run is gone or another host's. */
static cJSON *row_of_task(const cJSON *task)
{
    cJSON *row = run_row_from_task(task);
    json_set(row, "spec", cJSON_CreateNull());
    json_set(row, "limits", cJSON_CreateNull());
    json_set(row, "events", cJSON_CreateArray());
    return row;
}

/* The task's document says what its user wrote, secrets of this host among it. */
static void mask_task(const struct args *args, cJSON *task)
{
    auto_buf secrets = BUF_INIT;
    struct config *c = config_load(args_value(args, "config", NULL), NULL);
    struct masker *masker = mask_for_showing();
    if (c)
        mask_gather(&secrets, c);
    masker_load(masker, buf_str(&secrets), secrets.len);
    mask_texts(masker, task);
    masker_destroy(masker);
    config_destroy(c);
}

static int collect(struct session *s, const char *word, cJSON **row,
                   struct reeve_error *err)
{
    auto_free char *id = NULL;
    cJSON *task = NULL;
    struct reeve_error server = {0};
    int code = find_task(s, word, &id, err);
    if (code != CLI_DONE)
        return code;
    code = control_call(s->target.run_dir, control_request("inspect", id), row, err);
    int known = get_task(s, id, &task, &server);
    if (code != CLI_DONE && known != CLI_DONE) {
        *err = server;
        return known;
    }
    if (code != CLI_DONE || !cJSON_IsObject(*row)) {
        cJSON_Delete(*row);
        *row = row_of_task(task);
    }
    mask_task(s->args, task);
    json_set(*row, "task", task ? task : cJSON_CreateNull());
    return CLI_DONE;
}

static int run(const struct args *args)
{
    struct reeve_error err = {0};
    auto_session s = {0};
    auto_json *row = NULL;
    session_open_any(args, &s);
    int code = collect(&s, args_words(args)->v[0], &row, &err);
    if (code != CLI_DONE)
        return cli_fail(code, "inspect: %s", err.text);
    if (args_has(args, "json"))
        cli_print_json(row);
    else
        print_tree("", row);
    return CLI_DONE;
}

const struct command cmd_inspect = {
    .name = "inspect",
    .summary = "show all that is known of one run",
    .usage = "TASK [--json]",
    .about = "TASK is an id, six or more of its first digits, or a unique name. A run "
             "that is "
             "gone is\nshown from the master's history and the server.",
    .specs = specs,
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
