/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/options.h"

#include "base/alloc.h"
#include "base/id.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    OPT_STATE_DIR = 256,
    OPT_RUN_DIR,
    OPT_CONFIG,
    OPT_QUEUE,
    OPT_CREATE_QUEUE,
    OPT_SERVICES,
    OPT_FAIRNESS,
    OPT_POLL,
    OPT_WORKER,
    OPT_CGROUP_ROOT,
    OPT_ON_EXIT,
    OPT_LOG_LEVEL,
    OPT_READY_FD,
    OPT_TAG,
    OPT_TASK,
    OPT_REQUIRE_QUEUE,
    OPT_UNMONITORED,
    OPT_LOG_FILE,
    OPT_CHECK,
};

static const struct option long_options[] = {
    {"state-dir", required_argument, NULL, OPT_STATE_DIR},
    {"run-dir", required_argument, NULL, OPT_RUN_DIR},
    {"config", required_argument, NULL, OPT_CONFIG},
    {"queue", required_argument, NULL, OPT_QUEUE},
    {"create-queue", no_argument, NULL, OPT_CREATE_QUEUE},
    {"services-mode", optional_argument, NULL, OPT_SERVICES},
    {"order-fairness", no_argument, NULL, OPT_FAIRNESS},
    {"polling-interval", required_argument, NULL, OPT_POLL},
    {"worker-id", required_argument, NULL, OPT_WORKER},
    {"cgroup-root", required_argument, NULL, OPT_CGROUP_ROOT},
    {"on-exit", required_argument, NULL, OPT_ON_EXIT},
    {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
    {"ready-fd", required_argument, NULL, OPT_READY_FD},
    {"child-report-tag", required_argument, NULL, OPT_TAG},
    {"task", required_argument, NULL, OPT_TASK},
    {"require-queue", no_argument, NULL, OPT_REQUIRE_QUEUE},
    {"disable-monitoring", no_argument, NULL, OPT_UNMONITORED},
    {"log-file", required_argument, NULL, OPT_LOG_FILE},
    {"check", no_argument, NULL, OPT_CHECK},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static void print_help(void)
{
    puts("usage: reeved [OPTION]...\n"
         "Pulls tasks from ClearML queues and runs each in a sub-agent and a cgroup of "
         "its own.\n"
         "Stays in the foreground; `reeve daemon` starts it with clearml-agent's own "
         "flags.\n"
         "\n"
         "  --queue Q              a queue to serve, by name or id; again for more, "
         "the first has\n"
         "                         priority; none: the server's default queue\n"
         "  --create-queue         make queues that are missing\n"
         "  --services-mode [N]    at most N runs at a time; no N: no bound (the "
         "default)\n"
         "  --order-fairness       serve the queues in turn instead of by priority\n"
         "  --polling-interval S   seconds between looks at empty queues (5)\n"
         "  --worker-id ID         name as a worker (default <host>:services)\n"
         "  --config FILE          clearml.conf to read instead of ~/clearml.conf\n"
         "  --state-dir DIR        runs, spools, caches (/var/lib/reeve)\n"
         "  --run-dir DIR          sockets (/run/reeve)\n"
         "  --cgroup-root NAME     name of the cgroup that holds all runs (reeve)\n"
         "  --on-exit keep|stop    at SIGTERM leave the runs alive (keep, the default) "
         "or end them\n"
         "  --log-level LEVEL      error, warn, info, debug\n"
         "  --ready-fd N           descriptor that gets a byte once reeved serves\n"
         "  --child-report-tag TAG of the workers that run tasks; again for more\n"
         "  --task ID              run this task alone, its log on standard output, "
         "then end\n"
         "                         (`reeve execute`); with --require-queue, "
         "--log-file FILE,\n"
         "                         --disable-monitoring\n"
         "  --check                read the options and the configuration, then end: 0 "
         "if they are sound\n"
         "  --help, --version\n"
         "\n"
         "The server and its keys come from clearml.conf and the CLEARML_* variables.");
}

static int parse_count(const char *text, int *out)
{
    char *end;
    long v = strtol(text, &end, 10);
    if (!*text || *end || v < -1 || v > 1000000)
        return -1;
    *out = v < 0 ? 0 : (int)v;
    return 0;
}

/* The folder that it stands for is named by the id, so that is checked here. */
static int set_task(struct options *o, const char *id, struct reeve_error *err)
{
    if (!id_valid(id))
        return reeve_error_set(err, 0, "--task %.80s: no task's id", id);
    o->task = id;
    /* A signal aborts it: nobody would go on with it. */
    o->stop_runs = true;
    return 0;
}

static int open_log_file(struct options *o, const char *path, struct reeve_error *err)
{
    if (o->log_file >= 0)
        close(o->log_file);
    o->log_file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return o->log_file < 0 ? reeve_error_set(err, errno, "--log-file %s", path) : 0;
}

static int set_option(struct options *o, int c, const char *value,
                      struct reeve_error *err)
{
    char *end;
    switch (c) {
    case OPT_STATE_DIR:
        o->state_dir = value;
        return 0;
    case OPT_RUN_DIR:
        o->run_dir = value;
        return 0;
    case OPT_CONFIG:
        o->config_file = value;
        return 0;
    case OPT_QUEUE:
        o->queues = xreallocarray(o->queues, o->queue_count + 1, sizeof *o->queues);
        o->queues[o->queue_count++] = value;
        return 0;
    case OPT_CREATE_QUEUE:
        o->create_queue = true;
        return 0;
    case OPT_FAIRNESS:
        o->order_fairness = true;
        return 0;
    case OPT_POLL:
        o->polling_interval = strtod(value, &end);
        if (*end || !(o->polling_interval > 0) || o->polling_interval > 86400)
            return reeve_error_set(err, 0, "--polling-interval %s: seconds, above 0",
                                   value);
        return 0;
    case OPT_WORKER:
        o->worker_id = value;
        return 0;
    case OPT_CGROUP_ROOT:
        o->cgroup_root = value;
        return 0;
    case OPT_ON_EXIT:
        if (strcmp(value, "keep") != 0 && strcmp(value, "stop") != 0)
            return reeve_error_set(err, 0, "--on-exit %s: keep or stop", value);
        o->stop_runs = strcmp(value, "stop") == 0;
        return 0;
    case OPT_LOG_LEVEL:
        o->log_level = log_level_parse(value);
        if (o->log_level < 0)
            return reeve_error_set(err, 0, "--log-level %s: error, warn, info or debug",
                                   value);
        return 0;
    case OPT_TAG:
        o->tags = xreallocarray(o->tags, o->tag_count + 1, sizeof *o->tags);
        o->tags[o->tag_count++] = value;
        return 0;
    case OPT_TASK:
        return set_task(o, value, err);
    case OPT_CHECK:
        o->check = true;
        return 0;
    case OPT_REQUIRE_QUEUE:
        o->require_queue = true;
        return 0;
    case OPT_UNMONITORED:
        o->unmonitored = true;
        return 0;
    case OPT_LOG_FILE:
        return open_log_file(o, value, err);
    case OPT_READY_FD:
        if (parse_count(value, &o->ready_fd) < 0)
            return reeve_error_set(err, 0, "--ready-fd %s: a number", value);
        return 0;
    }
    return reeve_error_set(err, 0, "an unknown option; see reeved --help");
}

/* clearml-agent's "--services-mode 5": the number is a word of its own there, and
 * optional. */
static int take_services(struct options *o, int argc, char **argv,
                         struct reeve_error *err)
{
    const char *value = optarg;
    if (!value && optind < argc && argv[optind][0] != '\0' &&
        strspn(argv[optind], "-0123456789") == strlen(argv[optind]))
        value = argv[optind++];
    if (value && parse_count(value, &o->services) < 0)
        return reeve_error_set(err, 0, "--services-mode %s: a number of runs", value);
    return 0;
}

enum options_result options_parse(int argc, char **argv, struct options *out,
                                  struct reeve_error *err)
{
    *out = (struct options){.log_level = -1, .ready_fd = -1, .log_file = -1};
    int c;
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":hV", long_options, NULL)) != -1) {
        if (c == 'h') {
            print_help();
            return OPTIONS_DONE;
        }
        if (c == 'V') {
            puts(PACKAGE_STRING);
            return OPTIONS_DONE;
        }
        if (c == '?' || c == ':') {
            reeve_error_set(err, 0, "%s %s; see reeved --help", argv[optind - 1],
                            c == ':' ? "needs a value" : "is no option");
            return OPTIONS_BAD;
        }
        int rc = c == OPT_SERVICES ? take_services(out, argc, argv, err)
                                   : set_option(out, c, optarg, err);
        if (rc < 0)
            return OPTIONS_BAD;
    }
    if (optind < argc) {
        reeve_error_set(err, 0, "%s is no option; see reeved --help", argv[optind]);
        return OPTIONS_BAD;
    }
    return OPTIONS_RUN;
}

void options_free(struct options *o)
{
    free(o->queues);
    free(o->tags);
}
