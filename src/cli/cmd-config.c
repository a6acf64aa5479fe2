/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "config/config.h"
#include "config/hocon.h"
#include "config/mask.h"

#include <stdio.h>
#include <string.h>

static const struct arg_spec specs[] = {
    {ARG_VALUE, "check", 0, "FILE",
     "read this file alone: no defaults, no variables but those that it asks for"},
    {ARG_FLAG, "origins", 0, NULL, "with each value, where it came from"},
    {ARG_VALUE, "data", 0, "DIR", "the folder of `reeve up`: DIR/clearml.conf"},
    {ARG_VALUE, "config", 0, "FILE", "instead of ~/clearml.conf"},
    ARGS_JSON,
    ARGS_LAST,
};

/* ---- as clearml-agent prints it: one "a.b.c = value" a line ---- */

static void add_escaped(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("=!#\n", *text))
            buf_add_char(out, '\\');
        buf_add_char(out, *text);
    }
}

static void print_value(const char *path, const cJSON *value, const char *from)
{
    auto_buf line = BUF_INIT;
    buf_printf(&line, "%s = ", path);
    if (cJSON_IsBool(value))
        buf_add_str(&line, cJSON_IsTrue(value) ? "true" : "false");
    else
        add_escaped(&line, value->valuestring ? value->valuestring : "");
    if (from)
        buf_printf(&line, "    # %s", from);
    buf_add_char(&line, '\n');
    cli_print(buf_str(&line));
}

/* Where the values of a tree came from: its own members' origins, or one for all. */
static const cJSON *origin_below(const cJSON *origins, const cJSON *item)
{
    return cJSON_IsObject(origins) ? json_get(origins, item->string) : origins;
}

/* origins may be NULL. */
static void print_tree(const char *path, const cJSON *tree, const cJSON *origins)
{
    const cJSON *item;
    int index = 0;
    cJSON_ArrayForEach(item, tree)
    {
        const cJSON *from = origins ? origin_below(origins, item) : NULL;
        const char *dot = *path ? "." : "";
        auto_free char *below = item->string
                                    ? xasprintf("%s%s%s", path, dot, item->string)
                                    : xasprintf("%s%s%d", path, dot, index++);
        if (cJSON_IsObject(item) || cJSON_IsArray(item))
            print_tree(below, item, from);
        else if (!cJSON_IsNull(item))
            print_value(below, item, from ? from->valuestring : NULL);
    }
}

static void print_config(const cJSON *tree, const cJSON *origins, const char *where)
{
    printf("Current configuration (reeve v%s, location: ", PACKAGE_VERSION);
    cli_print(where);
    printf("):\n----------------------\n");
    print_tree("", tree, origins);
}

/* One object a value: {"name", "value", "from"}. */
static void list_values(cJSON *rows, const char *path, const cJSON *tree,
                        const cJSON *origins)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, tree)
    {
        const cJSON *from = origin_below(origins, item);
        auto_free char *below =
            xasprintf("%s%s%s", path, *path ? "." : "", item->string);
        if (cJSON_IsObject(item) && cJSON_IsObject(from)) {
            list_values(rows, below, item, from);
            continue;
        }
        cJSON *row = cJSON_CreateObject();
        json_set_str(row, "name", below);
        json_set(row, "value", cJSON_Duplicate(item, true));
        json_set_str(row, "from", from ? from->valuestring : NULL);
        cJSON_AddItemToArray(rows, row);
    }
}

/* ---- */

static char *file_dup(const struct args *args)
{
    const char *named = args_value(args, "config", NULL);
    const char *data = args_value(args, "data", getenv("REEVE_DATA"));
    if (named || !data || !*data)
        return named ? xstrdup(named) : NULL;
    return path_join_dup(data, "clearml.conf");
}

static int print(const struct args *args, const cJSON *tree, const cJSON *origins,
                 const char *where)
{
    auto_json *shown = cJSON_Duplicate(tree, true), *rows = cJSON_CreateArray();
    bool from = args_has(args, "origins");
    mask_secrets(shown);
    if (args_has(args, "json") && from)
        list_values(rows, "", shown, origins);
    if (args_has(args, "json"))
        cli_print_json(from ? rows : shown);
    else
        print_config(shown, from ? origins : NULL, where);
    return CLI_DONE;
}

static int check(const struct args *args, const char *file)
{
    struct reeve_error err = {0};
    auto_json *origins = NULL, *tree = hocon_parse_file(file, &origins, &err);
    if (!tree)
        return cli_fail(CLI_FAILED, "config: %s", err.text);
    return print(args, tree, origins, file);
}

static int run(const struct args *args)
{
    struct reeve_error err = {0};
    const char *alone = args_value(args, "check", NULL);
    if (alone)
        return check(args, alone);
    auto_free char *file = file_dup(args);
    struct config *c = config_load(file, &err);
    if (!c)
        return cli_fail(CLI_FAILED, "config: %s", err.text);
    auto_free char *where = file ? xstrdup(file) : config_file_dup();
    int code = print(args, config_tree(c), config_origins(c), where);
    config_destroy(c);
    return code;
}

const struct command cmd_config = {
    .name = "config",
    .summary = "print the configuration, passwords hidden (as clearml-agent config)",
    .usage = "[--origins] [--check FILE] [--json] [--config FILE]",
    .specs = specs,
    .run = run,
};
