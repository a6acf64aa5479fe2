/* cli.h - what the commands of `reeve` share: exit codes, the command table, messages
 */
#ifndef REEVE_CLI_H
#define REEVE_CLI_H

#include "base/error.h"
#include "cli/args.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

enum cli_exit {
    CLI_DONE = 0,
    CLI_FAILED = 1,      /* what was asked about failed */
    CLI_USAGE = 2,       /* the command line is wrong */
    CLI_UNREACHABLE = 3, /* no server or master */
    CLI_NOT_FOUND = 4,
    CLI_TIMEOUT = 5
};

struct command {
    const char *name;
    const char *summary; /* one line in `reeve help` */
    const char *usage;   /* what follows the name */
    const char *about;   /* more lines for --help; NULL: none */
    const struct arg_spec *specs;
    bool in_order;            /* see args_parse */
    int words_min, words_max; /* -1: any number */
    int (*run)(const struct args *args);
};

/* The options with which every command finds its server. */
#define ARGS_SERVER                                                                    \
    {ARG_VALUE, "data", 0, "DIR", "the folder of `reeve up` (or $REEVE_DATA)"},        \
        {ARG_VALUE, "config", 0, "FILE", "instead of ~/clearml.conf"},                 \
    {                                                                                  \
        ARG_VALUE, "run-dir", 0, "DIR", "where the master's control.sock is"           \
    }
#define ARGS_JSON                                                                      \
    {                                                                                  \
        ARG_FLAG, "json", 0, NULL, "print JSON"                                        \
    }
#define ARGS_LAST                                                                      \
    {                                                                                  \
        ARG_END, NULL, 0, NULL, NULL                                                   \
    }

/* One line on stderr, "reeve: ...", control bytes made printable. Returns code. */
int cli_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The JSON value on stdout, indented for a terminal. */
void cli_print_json(const cJSON *value);
/* What a command did to a task: its id, or with --json an object with it and, unless
 * NULL, the queue's. */
void cli_print_task(const struct args *args, const char *id, const char *queue);
/* The text on stdout, control bytes made printable. */
void cli_print(const char *text);

#endif
