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
/* Quotas beside cpus, memory and pids, for `submit` and `set`. */
#define ARGS_QUOTAS                                                                    \
    {ARG_VALUE, "memory-swap", 0, "SIZE", "memory and swap together"},                 \
        {ARG_VALUE, "memory-reservation", 0, "SIZE", "kept for it in need"},           \
        {ARG_VALUE, "cpu-shares", 0, "N", "its weight, 2 to 262144 (1024)"},           \
        {ARG_VALUE, "cpuset", 0, "LIST", "the CPUs that it may use: 0-2,4"},           \
        {ARG_VALUE, "read-bps", 0, "SIZE", "bytes a second from each disk"},           \
        {ARG_VALUE, "write-bps", 0, "SIZE", "... to each disk"},                       \
        {ARG_VALUE, "read-iops", 0, "N", "reads a second"},                            \
        {ARG_VALUE, "write-iops", 0, "N", "writes a second"},                          \
        {ARG_VALUE, "blkio-weight", 0, "N", "its weight for disks, 10 to 1000"},       \
        {ARG_VALUE, "nofile", 0, "N[:N]", "open files of a process, soft and hard"},   \
    {                                                                                  \
        ARG_VALUE, "disk", 0, "SIZE", "of the run's own folder"                        \
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
/* The text on stdout, control bytes made printable. */
void cli_print(const char *text);

#endif
