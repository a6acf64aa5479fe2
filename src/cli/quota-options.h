/* quota-options.h - quotas and policies on the command line, for `submit` and `set` */
#ifndef REEVE_QUOTA_OPTIONS_H
#define REEVE_QUOTA_OPTIONS_H

#include "cli/args.h"

#define ARGS_QUOTAS                                                                    \
    {ARG_VALUE, "cpus", 0, "X", "CPUs, 0.5 or 2"},                                     \
        {ARG_VALUE, "memory", 'm', "SIZE", "256m, 2g"},                                \
        {ARG_VALUE, "pids", 0, "N", "processes and threads"},                          \
        {ARG_VALUE, "memory-swap", 0, "SIZE", "memory and swap together"},             \
        {ARG_VALUE, "memory-reservation", 0, "SIZE", "kept for it in need"},           \
        {ARG_VALUE, "cpu-shares", 0, "N", "its weight, 2 to 262144 (1024)"},           \
        {ARG_VALUE, "cpuset", 0, "LIST", "the CPUs that it may use: 0-2,4"},           \
        {ARG_VALUE, "read-bps", 0, "SIZE", "bytes a second from each disk"},           \
        {ARG_VALUE, "write-bps", 0, "SIZE", "... to each disk"},                       \
        {ARG_VALUE, "read-iops", 0, "N", "reads a second"},                            \
        {ARG_VALUE, "write-iops", 0, "N", "writes a second"},                          \
        {ARG_VALUE, "blkio-weight", 0, "N", "its weight for disks, 10 to 1000"},       \
        {ARG_VALUE, "nofile", 0, "N[:N]", "open files of a process, soft and hard"},   \
        {ARG_VALUE, "disk", 0, "SIZE", "of the run's own folder"},                     \
        {ARG_VALUE, "log-budget", 0, "SIZE",                                           \
         "disk for the log that the server has not yet"},                              \
        {ARG_VALUE, "timeout", 0, "TIME", "of each attempt: 90s, 2h"},                 \
        {ARG_VALUE, "setup-timeout", 0, "TIME", "of its set-up alone"},                \
        {ARG_VALUE, "stop-timeout", 0, "TIME", "between the stop signal and the end"}, \
        {ARG_VALUE, "stop-signal", 0, "NAME", "that asks it to end (TERM)"},           \
    {                                                                                  \
        ARG_VALUE, "restart", 0, "POLICY",                                             \
            "no, on-failure[:N], always, unless-stopped"                               \
    }

struct quota_option {
    const char *name; /* without dashes; NULL ends the table */
    const char
        *docker; /* the word for it in a task's container arguments, NULL: none */
};
extern const struct quota_option quota_options[];

/* "memory_swap" of "memory-swap": its name in properties, settings and requests. The
 * caller's. */
char *quota_option_key_dup(const char *name);

#endif
