/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/table.h"
#include "cli/target.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "config/config.h"
#include "config/mask.h"
#include "config/option-table.h"

#include <stdio.h>
#include <string.h>

static const struct arg_spec specs[] = {
    {ARG_VALUE, "check", 0, "FILE",
     "read this file alone: no defaults, no variables but those that it asks for"},
    {ARG_FLAG, "options", 0, NULL,
     "all options, variables and flags of clearml-agent, and what reeve does for each"},
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

/* ---- --options ---- */

static cJSON *option_json(const struct option_row *row)
{
    static const char *const says[] = {"nothing", "warn", "error"};
    cJSON *object = cJSON_CreateObject();
    json_set_str(object, "kind", option_kind_name(row->kind));
    json_set_str(object, "name", row->name);
    json_set_str(object, "reeve", option_fate_name(row->fate));
    json_set_str(object, "at_start", says[row->say]);
    json_set(object, "default",
             *row->fallback ? cJSON_Parse(row->fallback) : cJSON_CreateNull());
    json_set_str(object, "text", row->text);
    return object;
}

static int print_options(bool as_json)
{
    static const char *const titles[] = {"KIND", "NAME", "REEVE", "WHAT"};
    size_t n;
    const struct option_row *rows = option_rows(&n);
    auto_json *list = cJSON_CreateArray();
    struct table *t = table_create(titles, ARRAY_SIZE(titles));
    for (size_t i = 0; i < n; i++) {
        cJSON_AddItemToArray(list, option_json(&rows[i]));
        table_add(t, option_kind_name(rows[i].kind));
        table_add(t, rows[i].name);
        table_add(t, option_fate_name(rows[i].fate));
        table_add(t, rows[i].text);
    }
    if (as_json)
        cli_print_json(list);
    else
        table_print(t, stdout);
    table_free(t);
    return CLI_DONE;
}

/* ---- */

/* Here, where nothing runs, what is unknown is an error. */
static void say(void *arg, enum option_level level, const char *text)
{
    int *code = arg;
    if (level != OPTION_LEVEL_WARN)
        *code = CLI_FAILED;
    cli_fail(0, "config: %s%s", level == OPTION_LEVEL_WARN ? "warning: " : "", text);
}

static char *file_dup(const struct args *args)
{
    const char *named = args_value(args, "config", NULL);
    const char *data = target_named_data(args);
    if (named || !data)
        return named ? xstrdup(named) : NULL;
    return path_join_dup(data, "clearml.conf");
}

static void print(const struct args *args, const struct config *c, const char *where)
{
    auto_json *shown = cJSON_Duplicate(config_tree(c), true);
    auto_json *rows = cJSON_CreateArray();
    bool from = args_has(args, "origins");
    mask_secrets(shown);
    if (args_has(args, "json") && from)
        list_values(rows, "", shown, config_origins(c));
    if (args_has(args, "json"))
        cli_print_json(from ? rows : shown);
    else
        print_config(shown, from ? config_origins(c) : NULL, where);
}

static int run(const struct args *args)
{
    struct reeve_error err = {0};
    int code = CLI_DONE;
    const char *alone = args_value(args, "check", NULL);
    if (args_has(args, "options"))
        return print_options(args_has(args, "json"));
    auto_free char *file = alone ? xstrdup(alone) : file_dup(args);
    struct config *c = alone ? config_from_file(file, &err) : config_load(file, &err);
    if (!c)
        return cli_fail(CLI_FAILED, "config: %s", err.text);
    auto_free char *where = file ? xstrdup(file) : config_file_dup();
    print(args, c, where);
    option_check(c, say, &code);
    config_destroy(c);
    return code;
}

const struct command cmd_config = {
    .name = "config",
    .summary = "print the configuration, passwords hidden (as clearml-agent config)",
    .usage = "[--origins | --options] [--check FILE] [--json] [--config FILE]",
    .specs = specs,
    .run = run,
};
