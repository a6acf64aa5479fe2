/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/up-child.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAUSE_MIN_MS 500
#define PAUSE_MAX_MS 30000
#define HEALTHY_MS 60000

extern char **environ;

void up_child_init(struct up_child *c, const char *name)
{
    *c = (struct up_child){.name = name, .pidfd = -1};
}

static void forget_process(struct up_child *c)
{
    if (c->pidfd >= 0)
        close(c->pidfd);
    c->pidfd = -1;
    c->process = (struct up_process){0};
}

void up_child_free(struct up_child *c)
{
    forget_process(c);
    free(c->program);
    words_free(&c->argv);
}

/* Between fork and exec: async-signal-safe calls alone. */
static _Noreturn void run_child(const struct up_child *c, int gate, int null,
                                int keep_fd)
{
    char go;
    sigset_t none;
    ssize_t n;
    setsid();
    dup2(null, STDIN_FILENO);
    if (keep_fd >= 0)
        fcntl(keep_fd, F_SETFD, 0);
    do {
        n = read(gate, &go, 1);
    } while (n < 0 && errno == EINTR);
    /* `up` died before it could record this process: nobody would ever end it. */
    if (n != 1)
        _exit(126);
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(c->program, c->argv.v, environ);
    _exit(127);
}

static int settle(struct up_child *c, pid_t pid, int gate, int (*record)(void *),
                  void *arg, struct reeve_error *err)
{
    c->process = (struct up_process){pid, proc_start_time(pid)};
    c->pidfd = proc_pidfd_open(pid);
    c->started_ms = clock_boot_ms();
    c->restart_ms = 0;
    if (c->pidfd < 0)
        reeve_error_set(err, errno, "watch %s", c->name);
    else if (record(arg) < 0)
        reeve_error_set(err, 0, "record %s", c->name);
    else if (fd_write_all(gate, "g", 1) == 0)
        return 0;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    forget_process(c);
    return -1;
}

int up_child_start(struct up_child *c, int keep_fd, int (*record)(void *arg), void *arg,
                   struct reeve_error *err)
{
    int ends[2];
    auto_close null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || pipe2(ends, O_CLOEXEC) < 0)
        return reeve_error_set(err, errno, "start %s", c->name);
    auto_close gate_out = ends[1], gate = ends[0];
    pid_t pid = fork();
    if (pid == 0) {
        /* With its own copy of the writing end, the child would never see the end of
         * file. */
        close(gate_out);
        run_child(c, gate, null, keep_fd);
    }
    if (pid < 0)
        return reeve_error_set(err, errno, "start %s", c->name);
    return settle(c, pid, gate_out, record, arg, err);
}

bool up_child_reap(struct up_child *c, int *status)
{
    if (!c->process.pid || waitpid(c->process.pid, status, WNOHANG) != c->process.pid)
        return false;
    forget_process(c);
    return true;
}

void up_child_schedule(struct up_child *c)
{
    int64_t now = clock_boot_ms();
    if (!c->pause_ms || now - c->started_ms >= HEALTHY_MS)
        c->pause_ms = PAUSE_MIN_MS;
    else
        c->pause_ms = c->pause_ms * 2 < PAUSE_MAX_MS ? c->pause_ms * 2 : PAUSE_MAX_MS;
    c->restart_ms = now + c->pause_ms;
}

void up_child_signal(const struct up_child *c, int sig)
{
    if (c->pidfd >= 0)
        proc_pidfd_signal(c->pidfd, sig);
}

const char *up_status_text(int status, char *out, size_t size)
{
    if (WIFSIGNALED(status))
        snprintf(out, size, "signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(out, size, "exit code %d", WEXITSTATUS(status));
    return out;
}
