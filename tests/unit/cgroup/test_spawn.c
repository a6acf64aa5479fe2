/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

typedef pid_t spawn_f(const struct spawn_request *, int *pidfd, int *exec_errno);

static void expect_readable(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};
    assert_int_equal(poll(&p, 1, 30000), 1);
}

static void the_program_is_in_the_group(void **state)
{
    struct cgroup_host *host = *state;
    rig_create(host, "run/a/agent", NULL);
    char *argv[] = {"/bin/cat", NULL}, *envp[] = {NULL};
    int in[2], pidfd;
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    struct reeve_error err = {0, ""};
    const int fds[] = {in[0]};
    pid_t pid = cgroup_spawn(host, "run/a/agent", argv, envp, fds, 1, &pidfd, &err);
    if (pid < 0)
        fail_msg("%s", err.text);
    assert_int_equal(fcntl(pidfd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    struct cgroup_dirs dirs;
    cgroup_dirs(host, "run/a/agent", &dirs);
    /* On plain v1 the program joins by itself, so nobody is in yet. */
    assert_int_equal(cgroup_dirs_populated(&dirs), host->unified[0] != '\0');
    close(in[1]);
    close(in[0]);
    expect_readable(pidfd);
    close(pidfd);
    assert_int_equal(rig_wait(pid), 0);
    rig_end(host, "run/a/agent");
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

static void a_failed_exec_is_told_and_reaped(void **state)
{
    struct cgroup_host *host = *state;
    rig_create(host, "run/a/agent", NULL);
    static const struct {
        const char *program;
        int code;
    } cases[] = {
        {"/no/such/program", ENOENT}, {"/etc/passwd", EACCES}, {"/tmp", EACCES}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char *argv[] = {(char *)cases[i].program, NULL}, *envp[] = {NULL};
        struct reeve_error err = {0, ""};
        int pidfd = 7;
        assert_int_equal(
            cgroup_spawn(host, "run/a/agent", argv, envp, NULL, 0, &pidfd, &err), -1);
        assert_int_equal(err.code, cases[i].code);
        assert_non_null(strstr(err.text, cases[i].program));
        assert_int_equal(pidfd, -1);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
    }
    rig_end(host, "run/a/agent");
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

static void a_missing_group_is_told(void **state)
{
    struct cgroup_host *host = *state;
    char *argv[] = {"/bin/true", NULL}, *envp[] = {NULL};
    struct reeve_error err = {0, ""};
    int pidfd;
    if (!host->unified[0])
        skip();
    assert_int_equal(cgroup_spawn(host, "run/no", argv, envp, NULL, 0, &pidfd, &err),
                     -1);
    assert_int_equal(err.code, ENOENT);
    assert_int_equal(cgroup_spawn(host, "run/no", argv, envp, NULL, 17, &pidfd, &err),
                     -1);
    assert_int_equal(err.code, EINVAL);
}

static char *output_of(spawn_f *spawn, char *script, const int *fds, int nfds, int out)
{
    char *argv[] = {"/bin/sh", "-c", script, NULL};
    char *envp[] = {"PATH=/usr/bin:/bin", "A=b", NULL};
    struct spawn_request r = {argv, envp, fds, nfds, -1};
    int pidfd, exec_errno;
    pid_t pid = spawn(&r, &pidfd, &exec_errno);
    assert_true(pid > 0);
    assert_int_equal(exec_errno, 0);
    assert_true(pidfd >= 0);
    close(pidfd);
    assert_int_equal(rig_wait(pid), 0);
    static char text[4096];
    lseek(out, 0, SEEK_SET);
    ssize_t n = fd_read_full(out, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

/* Numbers that cross over are the ones that a naive loop of dup2 gets wrong. */
static void descriptors_cross_over(spawn_f *spawn)
{
    char name[] = "/tmp/reeve-test-XXXXXX";
    auto_close out = mkostemp(name, O_CLOEXEC);
    unlink(name);
    auto_close three = open("/proc/version", O_RDONLY | O_CLOEXEC);
    auto_close four = open("/proc/uptime", O_RDONLY | O_CLOEXEC);
    assert_true(out >= 0 && three >= 0 && four >= 0);
    int fds[16], n = (three > four ? three : four) + 1;
    assert_true(n < 16);
    for (int i = 0; i < n; i++)
        fds[i] = -1;
    fds[0] = four;
    fds[1] = out;
    fds[2] = 1;
    fds[three] = four;
    fds[four] = three;
    auto_close secret = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
    char script[256];
    snprintf(script, sizeof script,
             "readlink /proc/self/fd/0 /proc/self/fd/%d /proc/self/fd/%d; echo $A; "
             "ls -l /proc/$$/fd | grep -c loadavg; :",
             three, four);
    assert_true(secret >= 0);
    assert_string_equal(output_of(spawn, script, fds, n, out),
                        "/proc/uptime\n/proc/uptime\n/proc/version\nb\n0\n");
}

static void signals_are_as_after_login(spawn_f *spawn)
{
    char name[] = "/tmp/reeve-test-XXXXXX";
    auto_close out = mkostemp(name, O_CLOEXEC);
    unlink(name);
    sigset_t set, old;
    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, &old);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    const int fds[] = {0, out, 2};
    char *text =
        output_of(spawn, "grep -E '^Sig(Blk|Ign):' /proc/self/status", fds, 3, out);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGUSR1, SIG_DFL);
    sigprocmask(SIG_SETMASK, &old, NULL);
    assert_string_equal(text, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

static void clone_passes_descriptors(void **state)
{
    descriptors_cross_over(cgroup_spawn_clone);
}

static void fork_passes_descriptors(void **state)
{
    descriptors_cross_over(cgroup_spawn_fork);
}

static void clone_resets_signals(void **state)
{
    signals_are_as_after_login(cgroup_spawn_clone);
}

static void fork_resets_signals(void **state)
{
    signals_are_as_after_login(cgroup_spawn_fork);
}

static void our_own_mask_stays(void **state)
{
    sigset_t set, before, after;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_SETMASK, &set, NULL);
    sigprocmask(SIG_SETMASK, NULL, &before);
    char *argv[] = {"/bin/true", NULL}, *envp[] = {NULL};
    struct spawn_request r = {argv, envp, NULL, 0, -1};
    int pidfd, exec_errno;
    pid_t pid = cgroup_spawn_clone(&r, &pidfd, &exec_errno);
    sigprocmask(SIG_SETMASK, NULL, &after);
    sigemptyset(&set);
    sigprocmask(SIG_SETMASK, &set, NULL);
    close(pidfd);
    rig_wait(pid);
    for (int sig = 1; sig < 32; sig++)
        assert_int_equal(sigismember(&before, sig), sigismember(&after, sig));
}

/* The way of old kernels, and of hosts whose seccomp has no clone3. */
static void fork_places_and_tells(void **state)
{
    struct cgroup_host *host = *state;
    if (!host->unified[0])
        skip();
    rig_create(host, "run/a/agent", NULL);
    struct cgroup_dirs dirs;
    cgroup_dirs(host, "run/a/agent", &dirs);
    auto_close into = open(dirs.dir[0], O_PATH | O_DIRECTORY | O_CLOEXEC);
    char *sleeper[] = {"/bin/sleep", "100", NULL}, *envp[] = {NULL};
    struct spawn_request r = {sleeper, envp, NULL, 0, into};
    int pidfd, exec_errno;
    pid_t pid = cgroup_spawn_fork(&r, &pidfd, &exec_errno);
    assert_true(pid > 0);
    assert_int_equal(exec_errno, 0);
    assert_true(cgroup_dirs_populated(&dirs));
    rig_end(host, "run/a/agent");
    expect_readable(pidfd);
    close(pidfd);
    assert_int_equal(WTERMSIG(rig_wait(pid)), SIGKILL);

    char *missing[] = {"/no/such", NULL};
    r = (struct spawn_request){missing, envp, NULL, 0, -1};
    pid = cgroup_spawn_fork(&r, &pidfd, &exec_errno);
    assert_int_equal(exec_errno, ENOENT);
    close(pidfd);
    rig_wait(pid);
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The caller may be large: what is measured is that its size costs nothing. */
static void a_spawn_does_not_copy_the_caller(void **state)
{
    struct cgroup_host *host = *state;
    enum { SIZE = 128 << 20, N = 40 };
    char *ballast =
        mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(ballast, MAP_FAILED);
    memset(ballast, 1, SIZE);
    rig_create(host, "run/a/agent", NULL);
    char *argv[] = {"/bin/true", NULL}, *envp[] = {NULL};
    int64_t took[N];
    for (int i = 0; i < N; i++) {
        int pidfd;
        int64_t start = now_us();
        pid_t pid =
            cgroup_spawn(host, "run/a/agent", argv, envp, NULL, 0, &pidfd, NULL);
        took[i] = now_us() - start;
        assert_true(pid > 0);
        close(pidfd);
        rig_wait(pid);
    }
    qsort(took, N, sizeof took[0], compare);
    print_message("spawn with 128 MiB in use: median %d us, largest %d us\n",
                  (int)took[N / 2], (int)took[N - 1]);
    munmap(ballast, SIZE);
    rig_end(host, "run/a/agent");
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_program_is_in_the_group),
        cmocka_unit_test(a_failed_exec_is_told_and_reaped),
        cmocka_unit_test(a_missing_group_is_told),
        cmocka_unit_test(clone_passes_descriptors),
        cmocka_unit_test(fork_passes_descriptors),
        cmocka_unit_test(clone_resets_signals),
        cmocka_unit_test(fork_resets_signals),
        cmocka_unit_test(our_own_mask_stays),
        cmocka_unit_test(fork_places_and_tells),
        cmocka_unit_test(a_spawn_does_not_copy_the_caller),
    };
    return rig_main("spawn", tests, ARRAY_SIZE(tests));
}
