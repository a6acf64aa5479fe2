/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a program in a group without copying the caller.
 * - clone3 with CLONE_VM and CLONE_VFORK: the child borrows our memory and a stack in
 *   our frame, and we go on once it has executed or ended. The C library has no such
 *   call (posix_spawn knows no group before glibc 2.39), and syscall(2) must not be
 * used for it, since the child would come back on a stack that is not its own: hence a
 * few lines of assembly.
 * - Where clone3 is missing (before Linux 5.7, seccomp, other machines) a plain fork,
 *   whose child moves itself before it executes anything.
 * - The child's functions use raw system calls alone: it shares the C library's state,
 *   and the sanitizers', with us. */
#include "config.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/proc.h"
#include "cgroup/cgroup-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define FDS_MAX 16
#define SIGNALS 64
#define CHILD_STACK 16384

#if defined(__x86_64__) || defined(__aarch64__)
#define HAVE_CLONE_VM 1
#endif

struct child {
    const struct spawn_request *r;
    int fds[FDS_MAX];
    int report; /* descriptor for the error of a forked child, or -1 */
    volatile int error;
};

#define CHILD_CODE __attribute__((noinline, no_sanitize("address", "undefined")))

/* Descriptors that are in the way of another's final number go above all of them
 * first. */
CHILD_CODE static int child_fds(struct child *c)
{
    int n = c->r->nfds;
    for (int i = 0; i < n; i++) {
        if (c->fds[i] < 0 || c->fds[i] >= n || c->fds[i] == i)
            continue;
        c->fds[i] = (int)syscall(SYS_fcntl, c->fds[i], F_DUPFD_CLOEXEC, n);
        if (c->fds[i] < 0)
            return -1;
    }
    for (int i = 0; i < n; i++) {
        if (c->fds[i] < 0)
            syscall(SYS_close, i);
        else if (c->fds[i] == i && syscall(SYS_fcntl, i, F_SETFD, 0) < 0)
            return -1;
        else if (c->fds[i] != i && syscall(SYS_dup3, c->fds[i], i, 0) < 0)
            return -1;
    }
    return 0;
}

CHILD_CODE static void child_signals(void)
{
    /* All zero is SIG_DFL without flags in every machine's struct, and an empty mask.
     */
    static const uint64_t zero[8];
    for (int sig = 1; sig <= SIGNALS; sig++)
        syscall(SYS_rt_sigaction, sig, zero, NULL, SIGNALS / 8);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, zero, NULL, SIGNALS / 8);
}

CHILD_CODE static void child_main(void *arg)
{
    struct child *c = arg;
    if (child_fds(c) == 0) {
        child_signals();
        syscall(SYS_execve, c->r->argv[0], c->r->argv, c->r->envp);
    }
    c->error = errno;
    if (c->report >= 0) {
        int error = c->error;
        syscall(SYS_write, c->report, &error, sizeof error);
    }
    syscall(SYS_exit_group, 127);
}

static void child_init(struct child *c, const struct spawn_request *r)
{
    c->r = r;
    c->report = -1;
    c->error = 0;
    for (int i = 0; i < r->nfds; i++)
        c->fds[i] = r->fds[i];
}

/* No handler of ours may run in the child, which has our memory. The C library's
 * wrapper leaves its own signals out, so this too is the raw call. */
static void block_signals(uint64_t *old)
{
    uint64_t all = UINT64_MAX;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, old, SIGNALS / 8);
}

static void restore_signals(const uint64_t *old)
{
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, old, NULL, SIGNALS / 8);
}

#ifdef HAVE_CLONE_VM
/* Returns as clone3(2) does, in the parent alone; the child calls fn, which does not
 * return, on the stack in args. */
static long clone_call(struct clone_args *args, void (*fn)(void *), void *arg)
{
#if defined(__x86_64__)
    long rc = SYS_clone3;
    register void (*f)(void *) __asm__("r8") = fn;
    register void *a __asm__("r9") = arg;
    __asm__ volatile("syscall\n\t"
                     "testq %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xorl %%ebp, %%ebp\n\t"
                     "movq %%r9, %%rdi\n\t"
                     "callq *%%r8\n\t"
                     "hlt\n"
                     "1:"
                     : "+a"(rc)
                     : "D"(args), "S"(sizeof *args), "r"(f), "r"(a)
                     : "rcx", "r11", "memory", "cc");
    return rc;
#else
    register long rc __asm__("x0") = (long)args;
    register size_t size __asm__("x1") = sizeof *args;
    register long number __asm__("x8") = SYS_clone3;
    register void (*f)(void *) __asm__("x2") = fn;
    register void *a __asm__("x3") = arg;
    __asm__ volatile("svc #0\n\t"
                     "cbnz x0, 1f\n\t"
                     "mov x29, xzr\n\t"
                     "mov x0, x3\n\t"
                     "blr x2\n\t"
                     "brk #1\n"
                     "1:"
                     : "+r"(rc)
                     : "r"(size), "r"(number), "r"(f), "r"(a)
                     : "memory", "cc");
    return rc;
#endif
}

pid_t cgroup_spawn_clone(const struct spawn_request *r, int *pidfd, int *exec_errno)
{
    _Alignas(16) char stack[CHILD_STACK];
    struct child c;
    uint64_t mask;
    child_init(&c, r);
    *pidfd = -1;
    struct clone_args args = {
        .flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD |
                 (r->into >= 0 ? CLONE_INTO_CGROUP : 0),
        .pidfd = (uint64_t)(uintptr_t)pidfd,
        .exit_signal = SIGCHLD,
        .stack = (uint64_t)(uintptr_t)stack,
        .stack_size = sizeof stack,
        .cgroup = r->into >= 0 ? (uint64_t)r->into : 0,
    };
    block_signals(&mask);
    long rc = clone_call(&args, child_main, &c);
    restore_signals(&mask);
    *exec_errno = rc > 0 ? c.error : 0;
    if (rc > 0)
        return (pid_t)rc;
    errno = (int)-rc;
    return -1;
}
#else
pid_t cgroup_spawn_clone(const struct spawn_request *r, int *pidfd, int *exec_errno)
{
    *exec_errno = 0;
    errno = ENOSYS;
    return -1;
}
#endif

static void forked_child(struct child *c)
{
    if (c->r->into >= 0) {
        int fd = openat(c->r->into, "cgroup.procs", O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "0", 1) < 0) {
            int error = errno;
            fd_write_all(c->report, &error, sizeof error);
            _exit(127);
        }
        close(fd);
    }
    child_main(c);
}

pid_t cgroup_spawn_fork(const struct spawn_request *r, int *pidfd, int *exec_errno)
{
    int ends[2];
    uint64_t mask;
    struct child c;
    child_init(&c, r);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    auto_close in = ends[0];
    auto_close out = ends[1];
    /* The pipe, too, may be in the way of what the child is to get. */
    c.report = fcntl(out, F_DUPFD_CLOEXEC, FDS_MAX);
    if (c.report < 0)
        return -1;
    block_signals(&mask);
    pid_t pid = fork();
    if (pid == 0)
        forked_child(&c);
    int saved = errno;
    restore_signals(&mask);
    close(c.report);
    close(fd_take(&out));
    errno = saved;
    if (pid < 0)
        return -1;
    if (fd_read_full(in, exec_errno, sizeof *exec_errno) != sizeof *exec_errno)
        *exec_errno = 0;
    *pidfd = proc_pidfd_open(pid);
    return pid;
}

static pid_t spawn_any(const struct spawn_request *r, int *pidfd, int *exec_errno)
{
    pid_t pid = cgroup_spawn_clone(r, pidfd, exec_errno);
    if (pid < 0 && (errno == ENOSYS || errno == EINVAL || errno == E2BIG))
        pid = cgroup_spawn_fork(r, pidfd, exec_errno);
    return pid;
}

pid_t cgroup_spawn(struct cgroup_host *host, const char *path, char *const argv[],
                   char *const envp[], const int *fds, int nfds, int *pidfd,
                   struct reeve_error *err)
{
    *pidfd = -1;
    if (nfds < 0 || nfds > FDS_MAX)
        return reeve_error_set(err, EINVAL, "spawn %s with %d descriptors", argv[0],
                               nfds);
    auto_close into = -1;
    if (host->unified[0]) {
        struct cgroup_dirs dirs;
        cgroup_dirs(host, path, &dirs);
        into = dirs.count ? open(dirs.dir[0], O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
        if (into < 0)
            return reeve_error_set(err, dirs.count ? errno : EINVAL, "open cgroup %s",
                                   path);
    }
    struct spawn_request r = {argv, envp, fds, nfds, into};
    int exec_errno = 0;
    pid_t pid = spawn_any(&r, pidfd, &exec_errno);
    if (pid < 0)
        return reeve_error_set(err, errno, "spawn %s", argv[0]);
    if (!exec_errno && *pidfd >= 0)
        return pid;
    int failed = exec_errno ? exec_errno : errno;
    if (!exec_errno)
        kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (*pidfd >= 0)
        close(*pidfd);
    *pidfd = -1;
    return reeve_error_set(err, failed, "execute %s", argv[0]);
}
