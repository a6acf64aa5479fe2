/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "config/programs.h"
#include "cli/target.h"

#include "base/alloc.h"
#include "base/file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const struct arg_spec specs[] = {
    {ARG_VALUE, "data", 0, "DIR", "everything is kept here (or $REEVE_DATA)"},
    {ARG_VALUE, "listen", 0, "ADDR", "address to bind to (127.0.0.1)"},
    {ARG_VALUE, "api-port", 0, "N", "0 picks a free one (8008)"},
    {ARG_VALUE, "web-port", 0, "N", "(8080)"},
    {ARG_VALUE, "files-port", 0, "N", "(8081)"},
    {ARG_VALUE, "call-log", 0, "FILE",
     "append a line of JSON for each call of the API"},
    {ARG_VALUE, "watchdog-silence", 0, "SECONDS",
     "tasks of which nothing is heard so long are stopped (7200)"},
    {ARG_VALUE, "watchdog-interval", 0, "SECONDS",
     "they are looked for so often (900)"},
    {ARG_VALUE, "log-level", 0, "LEVEL", "error, warn, info, debug"},
    ARGS_LAST,
};

static int run(const struct args *args)
{
    static const char *const passed[] = {
        "listen",   "api-port",         "web-port",          "files-port",
        "call-log", "watchdog-silence", "watchdog-interval", "log-level"};
    struct reeve_error err = {0};
    auto_words argv = WORDS_INIT;
    auto_free char *data = data_dir_dup(args);
    auto_free char *own = path_join_dup(data, "server");
    auto_free char *endpoint = path_join_dup(data, "endpoint.json");
    auto_free char *program = program_find_dup("reeve-server", &err);
    if (!program || dir_make(own, 0700, &err) < 0)
        return cli_fail(CLI_FAILED, "server: %s", err.text);
    words_add(&argv, "reeve-server");
    words_add(&argv, "--data");
    words_add(&argv, own);
    words_add(&argv, "--endpoint");
    words_add(&argv, endpoint);
    for (size_t i = 0; i < ARRAY_SIZE(passed); i++) {
        auto_free char *name = xasprintf("--%s", passed[i]);
        if (!args_has(args, passed[i]))
            continue;
        words_add(&argv, name);
        words_add(&argv, args_value(args, passed[i], ""));
    }
    execv(program, argv.v);
    return cli_fail(CLI_FAILED, "server: %s: %s", program, strerror(errno));
}

const struct command cmd_server = {
    .name = "server",
    .summary = "start the embedded server alone, in the foreground",
    .usage = "[OPTION]...",
    .about = "Its data is in DIR/server, its address and keys in DIR/endpoint.json.",
    .specs = specs,
    .words_max = 0,
    .run = run,
};
