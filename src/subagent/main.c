/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/log.h"
#include "base/oom-score.h"
#include "cgroup/cgroup-dirs.h"
#include "run/run-dir.h"
#include "subagent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define EXIT_USAGE 2
#define EXIT_LOCKED 75

static const char usage[] =
    "usage: reeve-subagent --task ID --state-dir DIR --run-dir DIR --socket PATH\n"
    "                      [--mask FD] [--reconnect-ms N] [--unseen-ms N]\n"
    "                      [--launch-ms N] [--line-ms N] [--full-ms N]\n"
    "                      [--oom-score N] [--join CGROUP_DIR]...\n"
    "Started by reeved, one for each run. SIGTERM does not end it, as it outlives its\n"
    "master; it goes when its master says so. After SIGKILL another one goes on.\n";

static int add_group(struct cgroup_dirs *groups, const char *dir)
{
    if (groups->count == CGROUP_DIRS_MAX || strlen(dir) >= CGROUP_PATH_MAX)
        return -1;
    strcpy(groups->dir[groups->count++], dir);
    return 0;
}

/* -1 if it is none that is open. Not for the payload. */
static int read_fd(const char *text)
{
    int fd = strspn(text, "0123456789") == strlen(text) ? atoi(text) : -1;
    return fd > STDERR_FILENO && fd_set_cloexec(fd, 1) == 0 ? fd : -1;
}

/* True if it is one; a value that is none is 0. */
static bool read_wait(const char *name, const char *value, struct agent_options *o)
{
    const struct {
        const char *name;
        int64_t *ms;
    } waits[] = {{"--reconnect-ms", &o->reconnect_ms},
                 {"--unseen-ms", &o->unseen_ms},
                 {"--launch-ms", &o->launch_ms},
                 {"--line-ms", &o->line_ms},
                 {"--full-ms", &o->full_ms}};
    for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
        if (strcmp(name, waits[i].name) != 0)
            continue;
        int64_t ms = strtoll(value, NULL, 10);
        *waits[i].ms = ms < INT32_MAX ? ms : 0;
        return true;
    }
    return false;
}

static int read_arguments(int argc, char **argv, struct agent_options *o,
                          struct cgroup_dirs *groups)
{
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!value)
            return -1;
        if (strcmp(name, "--task") == 0)
            o->task = value;
        else if (strcmp(name, "--state-dir") == 0)
            o->state_dir = value;
        else if (strcmp(name, "--run-dir") == 0)
            o->run_dir = value;
        else if (strcmp(name, "--socket") == 0)
            o->socket = value;
        else if (strcmp(name, "--mask") == 0)
            o->mask = read_fd(value);
        else if (strcmp(name, "--oom-score") == 0)
            o->oom_score = value;
        else if (strcmp(name, "--join") == 0 ? add_group(groups, value) < 0
                                             : !read_wait(name, value, o))
            return -1;
    }
    return o->task && id_valid(o->task) && o->state_dir && o->run_dir && o->socket &&
                   o->reconnect_ms > 0 && o->unseen_ms > 0 && o->launch_ms > 0 &&
                   o->line_ms > 0 && o->full_ms > 0
               ? 0
               : -1;
}

/* 0 to 2 are there for certain, so that no file of a run gets their numbers. */
static void fill_standard_descriptors(void)
{
    int fd;
    while ((fd = open("/dev/null", O_RDWR | O_CLOEXEC)) >= 0 && fd <= 2)
        fd_set_cloexec(fd, 0);
    if (fd > 2)
        close(fd);
}

static int fail(const char *task, const struct reeve_error *err, int code)
{
    log_error("task=%s %s", task, err->text);
    return code;
}

int main(int argc, char **argv)
{
    static struct cgroup_dirs groups;
    struct agent_options o = {.mask = -1,
                              .reconnect_ms = 2000,
                              .unseen_ms = 10000,
                              .launch_ms = 5000,
                              .line_ms = 5000,
                              .full_ms = 1000};
    struct reeve_error err;
    fill_standard_descriptors();
    log_init("subagent", STDERR_FILENO);
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return fd_write_all(STDOUT_FILENO, usage, sizeof usage - 1) < 0;
    if (read_arguments(argc, argv, &o, &groups) < 0) {
        fd_write_all(STDERR_FILENO, usage, sizeof usage - 1);
        return EXIT_USAGE;
    }
    if (cgroup_dirs_join(&groups) < 0) {
        reeve_error_set(&err, errno, "join the sub-agent's group");
        return fail(o.task, &err, 1);
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    /* Not every kernel lets a replacement see how the payload has ended. */
    oom_score_lower();
    if (!o.oom_score)
        o.oom_score = oom_score_first();
    prctl(PR_SET_DUMPABLE, 0);
    o.lock = run_lock(o.state_dir, &err);
    if (o.lock < 0)
        return fail(o.task, &err, err.code == EWOULDBLOCK ? EXIT_LOCKED : 1);
    struct agent *a = agent_open(&o, &err);
    if (o.mask >= 0)
        close(fd_take(&o.mask));
    if (!a || agent_run(a, &err) < 0)
        return fail(o.task, &err, 1);
    return 0;
}
