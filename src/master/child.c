/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/child.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT_MAX 4096
#define CANCEL_MS 100

struct child {
    struct ev_loop *loop;
    pid_t pid;
    int pidfd;
    int out;
    ev_io watch;
    ev_timer limit;
    child_done_f done;
    void *arg;
    struct child *next;
};

static struct child *children;

/* Its exit code; -1 if it has none (yet). */
static int reap(struct child *c)
{
    siginfo_t info = {0};
    if (waitid((idtype_t)P_PIDFD, (id_t)c->pidfd, &info, WEXITED | WNOHANG) < 0 ||
        info.si_pid == 0 || info.si_code != CLD_EXITED)
        return -1;
    return info.si_status;
}

static void destroy(struct child *c)
{
    struct child **at = &children;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    ev_io_stop(c->loop, &c->watch);
    ev_timer_stop(c->loop, &c->limit);
    close(c->out);
    close(c->pidfd);
    free(c);
}

static void child_end_cb(struct ev_loop *loop, ev_io *w, int revents)
{
    struct child *c = w->data;
    char text[TEXT_MAX];
    ssize_t n = read(c->out, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    child_done_f done = c->done;
    void *arg = c->arg;
    int code = reap(c);
    destroy(c);
    done(arg, code, text);
}

/* Its end is seen as any other. */
static void child_late_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct child *c = w->data;
    proc_pidfd_signal(c->pidfd, SIGKILL);
}

struct child *child_start(struct ev_loop *loop, char *const argv[], int64_t timeout_ms,
                          child_done_f done, void *arg, struct reeve_error *err)
{
    int fds[2];
    pid_t pid;
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
        reeve_error_set(err, errno, "create a pipe");
        return NULL;
    }
    auto_close in = fds[0], out = fds[1];
    int code = spawn_program(argv[0], argv, out, out, &pid);
    auto_close pidfd = code ? -1 : proc_pidfd_open(pid);
    if (pidfd < 0) {
        reeve_error_set(err, code ? code : errno, "start %s", argv[0]);
        return NULL;
    }
    fd_set_cloexec(pidfd, 1);
    struct child *c = xcalloc(1, sizeof *c);
    *c = (struct child){.loop = loop,
                        .pid = pid,
                        .pidfd = fd_take(&pidfd),
                        .out = fd_take(&in),
                        .done = done,
                        .arg = arg,
                        .next = children};
    children = c;
    ev_io_init(&c->watch, child_end_cb, c->pidfd, EV_READ);
    ev_timer_init(&c->limit, child_late_cb, (double)timeout_ms / 1000.0, 0.0);
    c->watch.data = c->limit.data = c;
    ev_io_start(loop, &c->watch);
    ev_timer_start(loop, &c->limit);
    return c;
}

void child_cancel(struct child *c)
{
    if (!c)
        return;
    proc_pidfd_signal(c->pidfd, SIGKILL);
    /* One that cannot die yet is reaped by init. */
    struct pollfd p = {.fd = c->pidfd, .events = POLLIN};
    poll(&p, 1, CANCEL_MS);
    reap(c);
    destroy(c);
}

bool child_is(pid_t pid)
{
    const struct child *c = children;
    while (c && c->pid != pid)
        c = c->next;
    return c;
}
