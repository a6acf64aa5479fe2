/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"

#include "base/alloc.h"
#include "base/nearest.h"
#include "config/option-table.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct command *const commands[] = {
    &cmd_up,      &cmd_daemon,  &cmd_execute, &cmd_server, &cmd_submit, &cmd_ps,
    &cmd_logs,    &cmd_wait,    &cmd_inspect, &cmd_set,    &cmd_stop,   &cmd_restart,
    &cmd_status,  &cmd_workers, &cmd_list,    &cmd_init,   &cmd_config, &cmd_enqueue,
    &cmd_dequeue, &cmd_queue,   &cmd_doctor,  &cmd_clone,  &cmd_top,    &cmd_drain,
    &cmd_undrain, &cmd_upgrade,
};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

/* One that clearml-agent has, and reeve not yet or never: the table says why. */
static int unknown_command(const char *name)
{
    const struct option_row *row = option_find(OPTION_FLAG, name);
    if (row && name[0] != '-')
        return cli_fail(CLI_USAGE, "%s: %s", name, row->text);
    struct nearest near = NEAREST_INIT(name);
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        nearest_try(&near, commands[i]->name);
    if (near.best)
        return cli_fail(CLI_USAGE,
                        "unknown command \"%.60s\"; is \"%s\" meant? see `reeve "
                        "help`",
                        name, near.best);
    return cli_fail(CLI_USAGE, "unknown command \"%.60s\"; see `reeve help`", name);
}

static int print_overview(FILE *out)
{
    fprintf(out, "reeve runs ClearML services on this host, each supervised in its own "
                 "cgroup.\n\nusage: reeve COMMAND [OPTION]...\n\n");
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        fprintf(out, "  %-9s  %s\n", commands[i]->name, commands[i]->summary);
    fprintf(out, "  %-9s  %s\n  %-9s  %s\n\n", "version", "print the version", "help",
            "print this, or with a command its options");
    fprintf(
        out,
        "`reeve COMMAND --help` lists the options. A server is found by --data DIR, "
        "$REEVE_DATA,\nthen clearml.conf and the CLEARML_* variables. Exit codes: 0 "
        "done, 1 failed, 2 usage,\n3 not reachable, 4 not found, 5 time-out.\n");
    return CLI_DONE;
}

static int print_help(const struct command *c)
{
    printf("usage: reeve %s %s\n\n%s.\n", c->name, c->usage, c->summary);
    if (c->about)
        printf("\n%s\n", c->about);
    printf("\n");
    args_print_help(c->specs, stdout);
    return CLI_DONE;
}

static int run_command(const struct command *c, int argc, char **argv)
{
    struct reeve_error err = {0};
    struct args *args = args_parse(c->specs, argc, argv, c->in_order, &err);
    if (!args)
        return cli_fail(CLI_USAGE, "%s: %s", c->name, err.text);
    int words = (int)args_words(args)->n, code;
    if (args_has(args, "help"))
        code = print_help(c);
    else if (words < c->words_min || (c->words_max >= 0 && words > c->words_max))
        code = cli_fail(CLI_USAGE, "%s: %s; usage: reeve %s %s", c->name,
                        words < c->words_min ? "a word is missing" : "too many words",
                        c->name, c->usage);
    else
        code = c->run(args);
    args_free(args);
    return code;
}

static int help(const char *name)
{
    if (!name)
        return print_overview(stdout);
    const struct command *c = find_command(name);
    return c ? print_help(c) : unknown_command(name);
}

/* ---- clearml-agent's flags before the command ---- */

static int take_config_file(const char *file)
{
    if (!file)
        return cli_fail(CLI_USAGE, "--config-file: a file is missing");
    auto_free char *path = realpath(file, NULL);
    if (!path)
        return cli_fail(CLI_USAGE, "--config-file: %.200s: %s", file, strerror(errno));
    setenv("CLEARML_CONFIG_FILE", path, 1);
    return CLI_DONE;
}

/* Takes them off; *used is how many words they were. */
static int take_front(int argc, char **argv, int *used)
{
    int code = CLI_DONE;
    for (*used = 0; code == CLI_DONE && *used + 1 < argc; ++*used) {
        const char *word = argv[*used + 1];
        if (strcmp(word, "--debug") == 0 || strcmp(word, "-d") == 0)
            setenv("CLEARML_AGENT__AGENT__DEBUG", "true", 1);
        else if (strncmp(word, "--config-file=", 14) == 0)
            code = take_config_file(word + 14);
        else if (strcmp(word, "--config-file") == 0)
            code = take_config_file(argv[++*used + 1]);
        else
            break;
    }
    return code;
}

static int dispatch(int argc, char **argv)
{
    int used, code = take_front(argc, argv, &used);
    if (code != CLI_DONE)
        return code;
    argc -= used;
    argv += used;
    const char *name = argc > 1 ? argv[1] : "";
    if (!*name) {
        print_overview(stderr);
        return CLI_USAGE;
    }
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 ||
        strcmp(name, "-h") == 0)
        return help(argc > 2 ? argv[2] : NULL);
    if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0) {
        printf("reeve %s\n", PACKAGE_VERSION);
        return CLI_DONE;
    }
    const struct command *c = find_command(name);
    if (!c)
        return unknown_command(name);
    return run_command(c, argc - 2, argv + 2);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    int code = dispatch(argc, argv);
    /* A full disk or a closed pipe behind stdout is no success. */
    if (fflush(stdout) != 0 || ferror(stdout))
        return code ? code : CLI_FAILED;
    return code;
}
