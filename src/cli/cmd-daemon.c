/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/daemon-args.h"
#include "cli/master-status.h"
#include "config/programs.h"
#include "cli/session.h"
#include "cli/up-dir.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/proc.h"
#include "base/spawn.h"
#include "run/run-dir.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_MS 60000
#define STOP_MS 180000 /* a unit's TimeoutStopSec=, and some */

/* ---- --stop ---- */

static bool has_word(const struct words *words, const char *word)
{
    for (size_t i = 0; word && i < words->n; i++)
        if (strcmp(words->v[i], word) == 0)
            return true;
    return false;
}

static bool serves(const cJSON *queues, const char *word)
{
    const cJSON *queue;
    cJSON_ArrayForEach(queue, queues)
    {
        if (strcmp(json_str(queue, "name", ""), word) == 0 ||
            strcmp(json_str(queue, "id", ""), word) == 0)
            return true;
    }
    return false;
}

/* clearml-agent ends the one of this name; here one master has a folder, so the names
 * say which one is meant, and another is left alone. */
static int check_meant(const struct args *args, const cJSON *status,
                       struct reeve_error *err)
{
    const struct words *names = args_values(args, "stop");
    const struct words *queues = args_values(args, "queue");
    const char *worker = json_str(status, "worker", "");
    if (names->n && !has_word(names, worker)) {
        reeve_error_set(err, 0, "no master named %.80s runs here, but %.80s does",
                        names->v[0], worker);
        return CLI_NOT_FOUND;
    }
    for (size_t i = 0; queues && i < queues->n; i++) {
        if (serves(json_get(status, "queues"), queues->v[i]))
            continue;
        reeve_error_set(err, 0, "the master %.80s does not serve the queue %.80s",
                        worker, queues->v[i]);
        return CLI_NOT_FOUND;
    }
    return CLI_DONE;
}

/* A service's main process would be started again at once. */
static int stop_unit(const cJSON *unit, const char *on_exit, struct reeve_error *err)
{
    const char *name = json_str(unit, "name", "?");
    bool user = json_bool(unit, "user", false);
    char *argv[] = {"systemctl", user ? "--user" : "--system", "stop", (char *)name,
                    NULL};
    char said[160] = "";
    if (on_exit) {
        reeve_error_set(err, 0,
                        "it is the main process of %s, whose own --on-exit counts; "
                        "without this one it is `systemctl stop`",
                        name);
        return CLI_FAILED;
    }
    int code = spawn_run(argv, STOP_MS, said, sizeof said, err);
    if (code > 0)
        reeve_error_set(err, 0, "systemctl stop %s: exit code %d: %s", name, code,
                        said);
    return code ? CLI_FAILED : CLI_DONE;
}

static int ask_to_end(const char *run_dir, const char *on_exit, struct reeve_error *err)
{
    pid_t up = up_dir_holder(run_dir);
    if (up) {
        reeve_error_set(err, 0,
                        "`reeve up`, process %d, would start it again; end that one",
                        (int)up);
        return CLI_FAILED;
    }
    cJSON *request = control_request("shutdown", NULL);
    /* Not said: as it was started. */
    if (on_exit)
        json_set_str(request, "on_exit", on_exit);
    return control_call(run_dir, request, NULL, err);
}

/* It answers at once, and then ends. */
static int wait_gone(int pidfd, struct reeve_error *err)
{
    struct pollfd gone = {.fd = pidfd, .events = POLLIN};
    int n;
    do {
        n = pidfd < 0 ? 1 : poll(&gone, 1, STOP_MS);
    } while (n < 0 && errno == EINTR);
    if (n > 0)
        return CLI_DONE;
    reeve_error_set(err, 0, "the master still runs after %d s", STOP_MS / 1000);
    return CLI_TIMEOUT;
}

static int end_master(const struct args *args, struct reeve_error *err)
{
    auto_free char *run_dir = target_run_dir_dup(args);
    auto_json *status = NULL;
    const char *on_exit = args_value(args, "on-exit", NULL);
    int code = control_call(run_dir, control_request("status", NULL), &status, err);
    if (code == CLI_DONE)
        code = check_meant(args, status, err);
    if (code != CLI_DONE)
        return code;
    if (cJSON_IsObject(json_get(status, "unit")))
        return stop_unit(json_get(status, "unit"), on_exit, err);
    auto_close pidfd = proc_pidfd_open((pid_t)json_int(status, "pid", 0));
    code = ask_to_end(run_dir, on_exit, err);
    return code == CLI_DONE ? wait_gone(pidfd, err) : code;
}

static int stop_master(const struct args *args)
{
    struct reeve_error err = {0};
    int code = end_master(args, &err);
    return code == CLI_DONE ? code : cli_fail(code, "daemon --stop: %s", err.text);
}

/* ---- --detached ---- */

static _Noreturn void run_detached(const char *program, char *const *argv, int ready,
                                   int log, int null)
{
    setsid();
    dup2(null, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    fcntl(ready, F_SETFD, 0);
    signal(SIGPIPE, SIG_DFL);
    execv(program, argv);
    _exit(127);
}

/* 1 when it serves, 0 when it ended, -1 when it does neither in time. */
static int wait_ready(int ready)
{
    char byte;
    struct pollfd p = {.fd = ready, .events = POLLIN};
    int n;
    do {
        n = poll(&p, 1, READY_MS);
    } while (n < 0 && errno == EINTR);
    if (n <= 0)
        return -1;
    return read(ready, &byte, 1) == 1;
}

/* What it said last, from where the log ended before. */
static char *last_line_dup(const char *log_path, off_t from)
{
    char text[4096];
    auto_close fd = open(log_path, O_RDONLY | O_CLOEXEC);
    off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    off_t start = end - (off_t)sizeof text + 1;
    ssize_t n =
        fd < 0 ? -1
               : fd_pread_full(fd, text, sizeof text - 1, start > from ? start : from);
    while (n > 0 && text[n - 1] == '\n')
        n--;
    if (n <= 0)
        return NULL;
    text[n] = '\0';
    char *line = strrchr(text, '\n');
    return xstrdup(line ? line + 1 : text);
}

static int report_detached(pid_t pid, int ready, const char *log_path, off_t from)
{
    int status, up = wait_ready(ready);
    if (up == 1) {
        printf("reeved runs as process %d; its log is %s\n", (int)pid, log_path);
        return CLI_DONE;
    }
    if (up < 0)
        return cli_fail(CLI_TIMEOUT,
                        "daemon: process %d does not serve after %d s; see %s",
                        (int)pid, READY_MS / 1000, log_path);
    waitpid(pid, &status, 0);
    auto_free char *said = last_line_dup(log_path, from);
    cli_fail(CLI_FAILED, "daemon: %s; the log is %s",
             said ? said : "reeved ended at its start", log_path);
    return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : CLI_FAILED;
}

static int detach(const struct args *args, const char *program, struct words *argv)
{
    struct reeve_error err = {0};
    int ends[2];
    auto_free char *state = state_root_dup(args_value(args, "state-dir", NULL));
    auto_free char *log_path = path_join_dup(state, "reeved.log");
    if (dir_make(state, 0700, &err) < 0)
        return cli_fail(CLI_FAILED, "daemon: %s", err.text);
    auto_close log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    auto_close null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (log < 0 || null < 0 || pipe2(ends, O_CLOEXEC) < 0)
        return cli_fail(CLI_FAILED, "daemon: open %s: %s", log_path, strerror(errno));
    auto_close ready = ends[0];
    off_t before = lseek(log, 0, SEEK_END);
    auto_free char *number = xasprintf("%d", ends[1]);
    words_add(argv, "--ready-fd");
    words_add(argv, number);
    pid_t pid = fork();
    if (pid == 0)
        run_detached(program, argv->v, ends[1], log, null);
    close(ends[1]);
    if (pid < 0)
        return cli_fail(CLI_FAILED, "daemon: start reeved: %s", strerror(errno));
    return report_detached(pid, ready, log_path, before);
}

/* ---- */

static int run(const struct args *args)
{
    struct reeve_error err = {0};
    auto_words argv = WORDS_INIT;
    if (args_has(args, "status"))
        return print_master_status(args, "daemon --status");
    if (daemon_args(args, &argv, &err) < 0)
        return cli_fail(CLI_USAGE, "daemon: %s", err.text);
    if (args_has(args, "stop"))
        return stop_master(args);
    auto_free char *program = program_find_dup("reeved", &err);
    if (!program)
        return cli_fail(CLI_FAILED, "daemon: %s", err.text);
    worker_args_set_git(args);
    if (args_has(args, "detached"))
        return detach(args, program, &argv);
    signal(SIGPIPE, SIG_DFL);
    execv(program, argv.v);
    return cli_fail(CLI_FAILED, "daemon: %s: %s", program, strerror(errno));
}

const struct command cmd_daemon = {
    .name = "daemon",
    .summary = "start a master for a ClearML Server (clearml-agent's flags)",
    .usage = "[--queue QUEUE...] [--services-mode [N]] [OPTION]...",
    .about = "In the foreground unless --detached. The server and the keys come from "
             "clearml.conf and the\nCLEARML_* variables.",
    .specs = daemon_specs,
    .words_max = -1,
    .run = run,
};
