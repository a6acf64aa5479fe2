/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/daemon-args.h"

#include "base/alloc.h"
#include "base/log.h"
#include "cli/cli.h"

#include <string.h>

const struct arg_spec daemon_specs[] = {
    {ARG_WORDS, "queue", 0, "QUEUE",
     "to serve, names or ids (the server's default one)"},
    {ARG_OPTIONAL, "services-mode", 0, "N",
     "runs at once; without N no bound but the host"},
    {ARG_FLAG, "create-queue", 0, NULL, "make queues that are missing"},
    {ARG_FLAG, "order-fairness", 0, NULL, "round robin over the queues"},
    {ARG_VALUE, "polling-interval", 0, "SECONDS", "longest wait between two looks (5)"},
    {ARG_VALUE, "worker-id", 0, "ID", "the master's name as a worker"},
    {ARG_VALUE, "on-exit", 0, "keep|stop", "what becomes of the runs (keep)"},
    {ARG_FLAG, "detached", 'd', NULL, "go into the background once it serves"},
    {ARG_FLAG, "foreground", 0, NULL, "the default"},
    {ARG_FLAG, "stop", 0, NULL, "end the master that runs"},
    {ARG_FLAG, "status", 0, NULL, "tell how the master is"},
    {ARG_VALUE, "git-user", 0, "USER", "for repositories"},
    {ARG_VALUE, "git-pass", 0, "TOKEN", "shown by ps(1): better in clearml.conf"},
    {ARG_VALUE, "state-dir", 0, "DIR", "what must survive (/var/lib/reeve)"},
    {ARG_VALUE, "cgroup-root", 0, "NAME", "of this master's groups"},
    {ARG_VALUE, "log-level", 0, "LEVEL", "error, warn, info, debug"},
    ARGS_JSON,
    ARGS_SERVER,
    /* Taken and without effect here: no GPU is given to a service unless it is asked
     * for, and environments are not built yet. */
    {ARG_FLAG, "cpu-only", 0, NULL, "the default"},
    {ARG_FLAG, "standalone-mode", 0, NULL, NULL},
    {ARG_FLAG, "force-current-version", 0, NULL, NULL},
    {ARG_FLAG, "optimization", 'O', NULL, NULL},
    /* Known, and refused. */
    {ARG_FLAG, "docker", 0, NULL, NULL},
    {ARG_FLAG, "podman", 0, NULL, NULL},
    {ARG_VALUE, "gpus", 0, "LIST", NULL},
    {ARG_FLAG, "dynamic-gpus", 0, NULL, NULL},
    {ARG_WORDS, "uptime", 0, "SPEC", NULL},
    {ARG_WORDS, "downtime", 0, "SPEC", NULL},
    {ARG_FLAG, "use-owner-token", 0, NULL, NULL},
    {ARG_WORDS, "child-report-tags", 0, "TAG", NULL},
    ARGS_LAST,
};

static int refuse(const struct args *args, struct reeve_error *err)
{
    static const struct {
        const char *name, *why;
    } refused[] = {
        {"docker", "this version runs tasks as processes only"},
        {"podman", "this version runs tasks as processes only"},
        {"gpus", "this version gives no GPUs to tasks"},
        {"dynamic-gpus", "this version gives no GPUs to tasks"},
        {"uptime", "this version has no schedule"},
        {"downtime", "this version has no schedule"},
        {"use-owner-token", "this version uses its own keys"},
        {"child-report-tags", "this version sets no tags on its workers"},
    };
    const struct words *words = args_words(args);
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        if (args_has(args, refused[i].name))
            return reeve_error_set(err, 0, "--%s: %s", refused[i].name, refused[i].why);
    if (words->n)
        return reeve_error_set(err, 0, "\"%.60s\": no word is expected here",
                               words->v[0]);
    return 0;
}

static int check(const struct args *args, struct reeve_error *err)
{
    const char *on_exit = args_value(args, "on-exit", "keep");
    const char *level = args_value(args, "log-level", "info");
    if (strcmp(on_exit, "keep") != 0 && strcmp(on_exit, "stop") != 0)
        return reeve_error_set(err, 0, "--on-exit: keep or stop, not \"%.40s\"",
                               on_exit);
    if (log_level_parse(level) < 0)
        return reeve_error_set(err, 0,
                               "--log-level: error, warn, info or debug, not "
                               "\"%.40s\"",
                               level);
    return 0;
}

int daemon_args(const struct args *args, struct words *argv, struct reeve_error *err)
{
    static const char *const values[] = {"polling-interval", "worker-id", "state-dir",
                                         "run-dir",          "config",    "cgroup-root",
                                         "on-exit",          "log-level"};
    static const char *const flags[] = {"create-queue", "order-fairness"};
    const struct words *queues = args_values(args, "queue");
    const char *limit = args_value(args, "services-mode", NULL);
    if (refuse(args, err) < 0 || check(args, err) < 0)
        return -1;
    words_add(argv, "reeved");
    for (size_t i = 0; queues && i < queues->n; i++) {
        words_add(argv, "--queue");
        words_add(argv, queues->v[i]);
    }
    if (args_has(args, "services-mode"))
        words_add(argv, "--services-mode");
    if (limit)
        words_add(argv, limit);
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
        auto_free char *name = xasprintf("--%s", flags[i]);
        if (args_has(args, flags[i]))
            words_add(argv, name);
    }
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        auto_free char *name = xasprintf("--%s", values[i]);
        if (!args_has(args, values[i]))
            continue;
        words_add(argv, name);
        words_add(argv, args_value(args, values[i], ""));
    }
    return 0;
}
