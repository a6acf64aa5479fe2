/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "subagent/payload.h"
#include "base/fd.h"
#include "base/oom-score.h"
#include "base/proc.h"
#include "base/utf8.h"
#include "cgroup/cgroup-walk.h"
#include "subagent/attempt.h"
#include "subagent/children.h"
#include "subagent/link.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_MS 20
#define GRACE_MS 10000
#define LINGER_MS 5000
#define NAMED_MAX 5
/* Far enough that no sum of times overflows: 30 years. */
#define MS_MAX 1000000000000ull
/* Said by the child before it executes anything. */
#define JOINED "joined"

static int64_t read_ms(const struct message *m, enum message_tag tag, int64_t fallback)
{
    uint64_t v;
    if (!message_get_u64(m, tag, &v))
        return fallback;
    return (int64_t)(v < MS_MAX ? v : MS_MAX);
}

static int read_groups(struct cgroup_dirs *g, const struct message *m,
                       struct reeve_error *err)
{
    size_t at = 0;
    char dir[CGROUP_PATH_MAX + 1];
    g->count = 0;
    while (message_next_text(m, TAG_GROUP_DIR, &at, dir, sizeof dir)) {
        if (g->count == CGROUP_DIRS_MAX || strlen(dir) >= CGROUP_PATH_MAX)
            return reeve_error_set(err, 0, "too many or too long group folders");
        strcpy(g->dir[g->count++], dir);
    }
    return 0;
}

bool payload_read_change(struct payload *p, const struct message *m)
{
    uint64_t v;
    p->grace_ms = read_ms(m, TAG_GRACE_MS, p->grace_ms);
    p->timeout_ms = read_ms(m, TAG_TIMEOUT_MS, p->timeout_ms);
    p->setup_timeout_ms = read_ms(m, TAG_SETUP_TIMEOUT_MS, p->setup_timeout_ms);
    if (message_get_u64(m, TAG_STOP_SIGNAL, &v) && v > 0 && v < NSIG)
        p->stop_signal = (int)v;
    uint64_t soft = p->nofile_soft, hard = p->nofile_hard;
    message_get_u64(m, TAG_NOFILE_SOFT, &p->nofile_soft);
    message_get_u64(m, TAG_NOFILE_HARD, &p->nofile_hard);
    return p->nofile_soft != soft || p->nofile_hard != hard;
}

void payload_set_deadlines(struct payload *p)
{
    bool stopping = p->timed_out || p->setup_timed_out || p->kill_at;
    p->timeout_at =
        p->timeout_ms && !stopping && !p->ended ? p->begun_at + p->timeout_ms : 0;
    p->setup_timeout_at = p->setup_timeout_ms && !stopping && !p->ended && !p->executed
                              ? p->begun_at + p->setup_timeout_ms
                              : 0;
}

static int limit_files(const struct payload *p, pid_t pid)
{
    struct rlimit limit = {p->nofile_soft, p->nofile_hard};
    return p->nofile_hard && pid > 0 ? prlimit(pid, RLIMIT_NOFILE, &limit, NULL) : 0;
}

static bool limit_files_of(pid_t pid, void *arg)
{
    limit_files(arg, pid);
    return true;
}

static bool limit_files_in(int dirfd, void *arg)
{
    cgroup_walk_processes(dirfd, limit_files_of, arg);
    return true;
}

void payload_limit_files(const struct payload *p)
{
    limit_files(p, p->pid);
    auto_close fd = p->groups.count ? cgroup_walk_open(p->groups.dir[0]) : -1;
    if (fd >= 0)
        cgroup_walk_tree(fd, limit_files_in, (void *)(uintptr_t)p);
}

void payload_forget(struct payload *p)
{
    *p = (struct payload){.pidfd = -1,
                          .go_fd = -1,
                          .status_fd = -1,
                          .exit.code = -1,
                          .steps_path = p->steps_path};
}

int payload_read_start(struct payload *p, const struct message *m,
                       struct reeve_error *err)
{
    uint64_t v;
    memset(p, 0, offsetof(struct payload, exit));
    p->exit = (struct spool_exit){.code = -1};
    p->status_fd = p->pidfd = p->go_fd = -1;
    if (!message_get_u64(m, TAG_ATTEMPT, &v) || v == 0 || v > UINT32_MAX)
        return reeve_error_set(err, 0, "START without an attempt");
    p->attempt = (uint32_t)v;
    p->grace_ms = GRACE_MS;
    p->linger_ms = read_ms(m, TAG_LINGER_MS, LINGER_MS);
    p->stop_signal = SIGTERM;
    payload_read_change(p, m);
    if (!message_get_text(m, TAG_PREPARE_PATH, p->prepare_path,
                          sizeof p->prepare_path) ||
        p->prepare_path[0] != '/')
        return reeve_error_set(err, 0, "START without a program");
    return read_groups(&p->groups, m, err);
}

/* ---- in the child ---- */

static _Noreturn void child_fail(int status, const char *what, int error)
{
    char line[PAYLOAD_LINE_MAX];
    snprintf(line, sizeof line - 1, "fail start %s: %s", what, strerror(error));
    strcat(line, "\n");
    fd_write_all(status, line, strlen(line));
    _exit(127);
}

static void child_signals(void)
{
    sigset_t none;
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    for (int sig = 1; sig < NSIG; sig++)
        sigaction(sig, &dfl, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Moves a descriptor out of the way of the numbers it and others shall have. */
static int child_lift(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 16);
}

static int child_descriptors(int null, int fifo, int spec, int status)
{
    if (null < 0 || fifo < 0 || spec < 0 || dup2(null, 0) < 0 || dup2(fifo, 1) < 0 ||
        dup2(fifo, 2) < 0 || dup2(spec, PAYLOAD_SPEC_FD) < 0 ||
        dup2(status, PAYLOAD_STATUS_FD) < 0)
        return -1;
    return close_range(PAYLOAD_STATUS_FD + 1, ~0u, 0);
}

/* A sub-agent that dies before it has recorded this process takes it along, and nobody
 * knows of it. Once it is recorded a replacement goes on with it. */
static void child_wait(const struct payload *p, const struct payload_means *means,
                       int go)
{
    char byte;
    ssize_t n;
    while ((n = read(go, &byte, 1)) < 0 && errno == EINTR)
        ;
    if (n != 1 && !attempt_has(means->record, p->attempt, getpid(), means->scratch))
        _exit(127);
}

static _Noreturn void child(const struct payload *p, const struct payload_means *means,
                            int status, int go)
{
    /* A session of its own first: by it a master knows whose orphan this may become. */
    setsid();
    close(p->go_fd);
    close(means->lock);
    /* Signals first: a STOP may come while the groups are joined, which can take ms. */
    child_signals();
    int out = child_lift(status);
    if (out < 0)
        _exit(127);
    if (cgroup_dirs_join(&p->groups) < 0)
        child_fail(out, "join its groups", errno);
    oom_score_set(means->oom_score);
    fd_write_all(out, JOINED "\n", strlen(JOINED "\n"));
    child_wait(p, means, go);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (child_descriptors(child_lift(null), child_lift(means->fifo),
                          child_lift(means->spec), out) < 0)
        child_fail(out, "set its descriptors", errno);
    if (limit_files(p, getpid()) < 0)
        child_fail(PAYLOAD_STATUS_FD, "limit its open files", errno);
    char *argv[] = {(char *)(uintptr_t)p->prepare_path, NULL};
    execve(p->prepare_path, argv, environ);
    child_fail(PAYLOAD_STATUS_FD, p->prepare_path, errno);
}

/* ---- in the sub-agent ---- */

static int open_steps(const struct payload *p)
{
    struct stat st;
    auto_close fd = open(p->steps_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) ? fd_take(&fd) : -1;
}

/* What an earlier attempt has left there is read away. */
static int make_steps(struct payload *p, struct reeve_error *err)
{
    char bytes[1024];
    if (mkfifo(p->steps_path, 0600) < 0 && errno != EEXIST)
        return reeve_error_set(err, errno, "create %s", p->steps_path);
    p->status_fd = open_steps(p);
    if (p->status_fd < 0)
        return reeve_error_set(err, errno, "open %s", p->steps_path);
    while (read(p->status_fd, bytes, sizeof bytes) > 0)
        ;
    return 0;
}

static int fork_child(struct payload *p, const struct payload_means *means,
                      struct reeve_error *err)
{
    int go[2];
    /* For reading too, so that a reader that dies is no SIGPIPE. */
    auto_close status = open(p->steps_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (status < 0)
        return reeve_error_set(err, errno, "open %s", p->steps_path);
    if (pipe2(go, O_CLOEXEC) < 0)
        return reeve_error_set(err, errno, "create a pipe");
    auto_close wait = go[0];
    p->go_fd = go[1];
    pid_t pid = fork();
    if (pid == 0)
        child(p, means, status, wait);
    if (pid < 0) {
        reeve_error_set(err, errno, "fork");
        close(fd_take(&p->go_fd));
        return -1;
    }
    p->pid = p->first_pid = pid;
    p->start = proc_start_time(pid);
    return 0;
}

int payload_launch(struct payload *p, const struct payload_means *means,
                   struct reeve_error *err)
{
    if (make_steps(p, err) == 0 && fork_child(p, means, err) == 0)
        return 0;
    if (p->status_fd >= 0)
        close(fd_take(&p->status_fd));
    return -1;
}

void payload_go(struct payload *p)
{
    fd_write_all(p->go_fd, "g", 1);
    close(fd_take(&p->go_fd));
}

/* The pidfd comes first, so that what is compared cannot become another process. One
 * that only waits to be reaped is in no group any more. */
static bool is_payload(const struct payload *p)
{
    return proc_start_time(p->first_pid) == p->start &&
           (!p->groups.count || cgroup_dirs_hold(&p->groups, p->first_pid) ||
            proc_is_ending(p->first_pid));
}

bool payload_take_over(struct payload *p)
{
    if (!p->executed)
        p->status_fd = open_steps(p);
    if (p->ended)
        return false;
    p->pidfd = proc_pidfd_open(p->first_pid);
    if (p->pidfd >= 0 && is_payload(p)) {
        p->pid = p->first_pid;
        return true;
    }
    if (p->pidfd >= 0)
        close(fd_take(&p->pidfd));
    p->unseen = true;
    return false;
}

void payload_look(struct payload *p, int64_t now, int64_t unseen_ms)
{
    int code, signal;
    int seen = proc_pidfd_exit(p->pidfd, &code, &signal);
    if (seen == 1) {
        payload_ended(p, code, signal, now);
        return;
    }
    if (!p->look_until)
        p->look_until = now + unseen_ms;
    p->unseen = seen < 0 || now >= p->look_until;
    p->look_at = seen < 0 ? 0 : now + (p->unseen ? unseen_ms : LOOK_MS);
}

/* What comes from the payload's side is shown by others: sound UTF-8 or plain. */
static void copy_sound(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
    if (utf8_valid(out, strlen(out)))
        return;
    for (char *p = out; *p; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
}

static unsigned status_line(struct payload *p, char *line)
{
    char *text;
    if (p->go_fd >= 0 && strcmp(line, JOINED) == 0)
        p->joined = true;
    if (strncmp(line, "step ", 5) == 0 && !p->failed) {
        copy_sound(p->step, sizeof p->step, line + 5);
        return NEWS_STEP;
    }
    if (strncmp(line, "fail ", 5) == 0 && (text = strchr(line + 5, ' '))) {
        *text++ = '\0';
        copy_sound(p->exit.step, sizeof p->exit.step, line + 5);
        copy_sound(p->exit.text, sizeof p->exit.text, text);
        p->failed = true;
    }
    return 0;
}

static unsigned status_bytes(struct payload *p, const char *bytes, size_t n)
{
    unsigned news = 0;
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != '\n') {
            if (p->line_len < sizeof p->line - 1)
                p->line[p->line_len++] =
                    (unsigned char)bytes[i] < 0x20 || bytes[i] == 127 ? '?' : bytes[i];
            continue;
        }
        p->line[p->line_len] = '\0';
        p->line_len = 0;
        news |= status_line(p, p->line);
    }
    return news;
}

/* The end of the FIFO without "fail" is the exec of the task's program, or the death of
 * reeve-prepare; the step "execute" comes right before the exec. */
static unsigned status_end(struct payload *p)
{
    close(fd_take(&p->status_fd));
    if (p->failed || p->go_fd >= 0)
        return 0;
    if (p->step[0] && strcmp(p->step, "execute") != 0 &&
        (!p->pid || proc_is_ending(p->pid)))
        return 0;
    p->executed = true;
    p->setup_timeout_at = 0;
    return NEWS_RUNNING;
}

unsigned payload_read_status(struct payload *p)
{
    unsigned news = 0;
    char bytes[1024];
    while (p->status_fd >= 0) {
        ssize_t n = read(p->status_fd, bytes, sizeof bytes);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n > 0)
            news |= status_bytes(p, bytes, (size_t)n);
        else
            news |= status_end(p);
    }
    return news;
}

void payload_ended(struct payload *p, int code, int signal, int64_t now)
{
    p->pid = 0;
    p->ended = true;
    p->exit.code = code;
    p->exit.signal = signal;
    p->exit.timed_out = p->timed_out;
    p->unseen = false;
    p->look_at = 0;
    if (p->go_fd >= 0) {
        close(fd_take(&p->go_fd));
        strcpy(p->step, "start");
    }
    if (p->pidfd >= 0)
        close(fd_take(&p->pidfd));
    /* Killed in set-up. After "execute" the status FIFO may just be open elsewhere; and
     * a set-up that failed has no code 0, whatever words of it were lost. */
    if (!p->failed && !p->executed && strcmp(p->step, "execute") != 0 &&
        (code > 0 || signal))
        memcpy(p->exit.step, p->step, sizeof p->exit.step);
    /* Whatever reeve-prepare said when it was told to end. */
    if (p->setup_timed_out) {
        snprintf(p->exit.step, sizeof p->exit.step, "%s",
                 p->step[0] ? p->step : "start");
        snprintf(p->exit.text, sizeof p->exit.text, "time-out");
    }
    /* What was killed on purpose before is not left behind. */
    p->swept = p->killing;
    p->timeout_at = p->setup_timeout_at = 0;
    p->linger_at = now + p->linger_ms;
}

void payload_stop(struct payload *p, int sig, int64_t grace_ms, int64_t now)
{
    int64_t at = now + grace_ms;
    if (p->killing)
        return;
    p->timeout_at = p->setup_timeout_at = 0;
    if (!p->kill_at || at < p->kill_at)
        p->kill_at = at;
    if (grace_ms == 0)
        return;
    /* A payload that is not in its group yet, or has none, is our child alone. */
    if (cgroup_dirs_signal(&p->groups, sig) > 0)
        return;
    children_signal(sig);
    if (p->pidfd >= 0)
        proc_pidfd_signal(p->pidfd, sig);
}

static void name_all(const struct payload *p, struct proc_names *names)
{
    cgroup_dirs_name(&p->groups, names);
    if (!names->seen)
        children_name(names);
    proc_names_end(names);
}

static void name_left(struct payload *p)
{
    struct proc_names names;
    p->swept = true;
    proc_names_begin(&names, p->exit.left, sizeof p->exit.left, NAMED_MAX, false);
    name_all(p, &names);
}

void payload_name_stuck(const struct payload *p, char *out, size_t size)
{
    struct proc_names names;
    proc_names_begin(&names, out, size, NAMED_MAX, true);
    name_all(p, &names);
}

bool payload_empty(const struct payload *p)
{
    return children_signal(0) == 0 && !cgroup_dirs_populated(&p->groups);
}

bool payload_sweep(struct payload *p, char *strays, size_t size)
{
    struct proc_names names;
    if (p->ended && !p->swept)
        name_left(p);
    bool empty = cgroup_dirs_kill_step(&p->groups);
    proc_names_begin(&names, strays, size, NAMED_MAX, false);
    /* What moved itself out came to us when its parents were ended. Its own children
     * would only come one by one: back into the group, which ends as a whole. */
    if (empty)
        children_take_in(&p->groups, &names);
    proc_names_end(&names);
    if (p->pidfd >= 0)
        proc_pidfd_signal(p->pidfd, SIGKILL);
    return children_signal(SIGKILL) == 0 && empty;
}
