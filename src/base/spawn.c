/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/spawn.h"

#include "base/fd.h"
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAID_MAX 65536

extern char **environ;

int spawn_program(const char *file, char *const argv[], int out, int errors, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    if (errors >= 0)
        posix_spawn_file_actions_adddup2(&actions, errors, 2);
    else
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int code = posix_spawnp(pid, file, &actions, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

/* Its end, or after wait_ms its death. */
static int wait_end(pid_t pid, int64_t wait_ms, bool *late)
{
    auto_close pidfd = proc_pidfd_open(pid);
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    int status = 0, n;
    do {
        n = poll(&p, 1, (int)wait_ms);
    } while (n < 0 && errno == EINTR);
    *late = n == 0;
    if (*late)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void read_last_line(int fd, char *line, size_t size)
{
    static char said[SAID_MAX + 1];
    ssize_t n, all = 0;
    while ((n = read(fd, said + all, (size_t)(SAID_MAX - all))) > 0)
        all += n;
    while (all && (said[all - 1] == '\n' || said[all - 1] == ' '))
        all--;
    said[all] = '\0';
    const char *newline = strrchr(said, '\n');
    snprintf(line, size, "%s", newline ? newline + 1 : said);
}

int spawn_run(char *const argv[], int64_t wait_ms, char *line, size_t size,
              struct reeve_error *err)
{
    int fds[2];
    pid_t pid;
    bool late;
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return reeve_error_set(err, errno, "create a pipe");
    auto_close in = fds[0], out = fds[1];
    int rc = spawn_program(argv[0], argv, out, out, &pid);
    if (rc)
        return reeve_error_set(err, rc, "start %s", argv[0]);
    int code = wait_end(pid, wait_ms, &late);
    if (late)
        return reeve_error_set(err, ETIMEDOUT, "%s", argv[0]);
    read_last_line(in, line, size);
    return code;
}
