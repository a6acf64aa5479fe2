/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/daemon-args.h"

#include "base/alloc.h"
#include "base/log.h"
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

#define LATER_SCHEDULE "there is no schedule; that comes with a later version"

const struct arg_spec daemon_specs[] = {
    {ARG_WORDS, "queue", 0, "QUEUE",
     "to serve, names or ids (the server's default one)"},
    {ARG_OPTIONAL, "services-mode", 0, "N",
     "tasks at once, without N all that there are; one if not given"},
    {ARG_FLAG, "create-queue", 0, NULL, "make queues that are missing"},
    {ARG_FLAG, "order-fairness", 0, NULL, "round robin over the queues"},
    {ARG_VALUE, "polling-interval", 0, "SECONDS", "longest wait between two looks (5)"},
    {ARG_VALUE, "worker-id", 0, "ID", "the master's name as a worker"},
    {ARG_WORDS, "child-report-tags", 0, "TAG", "tags of the workers that run tasks"},
    {ARG_VALUE, "on-exit", 0, "keep|stop", "what becomes of the runs (keep)"},
    {ARG_FLAG, "detached", 'd', NULL, "go into the background once it serves"},
    {ARG_FLAG, "foreground", 0, NULL, "the default"},
    {ARG_SOME, "stop", 0, "WORKER", "end the master that runs, if that is its name"},
    {ARG_FLAG, "status", 0, NULL, "tell how the master is"},
    ARGS_WORKER,
    ARGS_JSON,
    ARGS_SERVER,
    /* Taken and without effect here. */
    {ARG_FLAG, "force-current-version", 0, NULL, NULL},
    {ARG_FLAG, "check-bootstrap", 0, NULL, NULL},
    {ARG_REFUSED, "podman", 0, NULL,
     "tasks run as processes; containers come with a later version"},
    {ARG_REFUSED, "dynamic-gpus", 0, NULL,
     "no GPU is given to a task; that comes with a later version"},
    {ARG_REFUSED, "uptime", 0, NULL, LATER_SCHEDULE},
    {ARG_REFUSED, "downtime", 0, NULL, LATER_SCHEDULE},
    {ARG_REFUSED, "use-owner-token", 0, NULL,
     "needs a ClearML Enterprise Server; tasks get a token of the agent's own keys"},
    ARGS_LAST,
};

const struct arg_spec execute_specs[] = {
    {ARG_VALUE, "id", 0, "TASK", "the task"},
    {ARG_FLAG, "clone", 0, NULL, "run a clone of it"},
    {ARG_FLAG, "require-queue", 0, NULL, "fail unless the task is queued"},
    {ARG_VALUE, "log-file", 0, "FILE", "its log goes there too"},
    {ARG_FLAG, "disable-monitoring", 0, NULL,
     "no log, worker or final status on the server"},
    {ARG_FLAG, "full-monitoring", 0, NULL, "the default"},
    ARGS_WORKER,
    ARGS_SERVER,
    ARGS_LAST,
};

static int check(const struct args *args, struct reeve_error *err)
{
    const struct words *words = args_words(args);
    const char *level = args_value(args, "log-level", "info");
    if (words->n)
        return reeve_error_set(err, 0, "\"%.60s\": no word is expected here",
                               words->v[0]);
    if (log_level_parse(level) < 0)
        return reeve_error_set(err, 0,
                               "--log-level: error, warn, info or debug, not "
                               "\"%.40s\"",
                               level);
    return 0;
}

static void add_flags(const struct args *args, const char *const *names, size_t n,
                      struct words *argv)
{
    for (size_t i = 0; i < n; i++) {
        auto_free char *name = xasprintf("--%s", names[i]);
        if (args_has(args, names[i]))
            words_add(argv, name);
    }
}

static void add_value(struct words *argv, const char *option, const char *value)
{
    auto_free char *name = xasprintf("--%s", option);
    words_add(argv, name);
    words_add(argv, value);
}

static void add_values(const struct args *args, const char *const *names, size_t n,
                       struct words *argv)
{
    for (size_t i = 0; i < n; i++)
        if (args_has(args, names[i]))
            add_value(argv, names[i], args_value(args, names[i], ""));
}

static void add_each(const struct args *args, const char *option, const char *as,
                     struct words *argv)
{
    const struct words *values = args_values(args, option);
    for (size_t i = 0; values && i < values->n; i++)
        add_value(argv, as, values->v[i]);
}

int daemon_args(const struct args *args, struct words *argv, struct reeve_error *err)
{
    static const char *const values[] = {"polling-interval", "worker-id", "state-dir",
                                         "run-dir",          "config",    "cgroup-root",
                                         "on-exit",          "log-level"};
    static const char *const flags[] = {"create-queue", "order-fairness"};
    const char *limit = args_value(args, "services-mode", NULL);
    const char *on_exit = args_value(args, "on-exit", "keep");
    if (check(args, err) < 0)
        return -1;
    if (strcmp(on_exit, "keep") != 0 && strcmp(on_exit, "stop") != 0)
        return reeve_error_set(err, 0, "--on-exit: keep or stop, not \"%.40s\"",
                               on_exit);
    words_add(argv, "reeved");
    add_each(args, "queue", "queue", argv);
    add_each(args, "child-report-tags", "child-report-tag", argv);
    /* clearml-agent runs one task at a time but for services. */
    words_add(argv, "--services-mode");
    if (limit || !args_has(args, "services-mode"))
        words_add(argv, limit ? limit : "1");
    add_flags(args, flags, ARRAY_SIZE(flags), argv);
    add_values(args, values, ARRAY_SIZE(values), argv);
    return 0;
}

int execute_args(const struct args *args, const char *task, struct words *argv,
                 struct reeve_error *err)
{
    static const char *const values[] = {"run-dir", "config", "cgroup-root",
                                         "log-file"};
    if (check(args, err) < 0)
        return -1;
    words_add(argv, "reeved");
    add_value(argv, "task", task);
    /* A clone is in no queue (worker.py, execute). */
    if (args_has(args, "require-queue") && !args_has(args, "clone"))
        words_add(argv, "--require-queue");
    if (args_has(args, "disable-monitoring"))
        words_add(argv, "--disable-monitoring");
    /* The terminal is the task's. */
    add_value(argv, "log-level", args_value(args, "log-level", "warn"));
    add_values(args, values, ARRAY_SIZE(values), argv);
    return 0;
}

void worker_args_set_git(const struct args *args)
{
    if (args_has(args, "git-user"))
        setenv("CLEARML_AGENT_GIT_USER", args_value(args, "git-user", ""), 1);
    if (args_has(args, "git-pass"))
        setenv("CLEARML_AGENT_GIT_PASS", args_value(args, "git-pass", ""), 1);
}
