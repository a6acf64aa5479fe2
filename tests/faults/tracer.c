/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tracer.h"
#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/wait.h>

#define OPTIONS                                                                        \
    (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |                \
     PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)

static volatile sig_atomic_t interrupted;

void tracer_interrupt(void)
{
    /* Again and again: the signal may come just before the loop waits. */
    struct itimerval every = {{0, 10000}, {0, 10000}};
    interrupted = 1;
    setitimer(ITIMER_REAL, &every, NULL);
}

/* ---- who is traced */

static void decide(struct tracer *r, struct tracee *t)
{
    char name[64];
    program_name(t->tgid, name, sizeof name);
    tracee_name(t);
    if (!r->plan->programs && t->tgid == r->root)
        r->plan->programs = strcpy(r->program, name);
    t->target = plan_wants_program(r->plan, name) && plan_wants_thread(r->plan, t);
    t->followed = t->tgid == r->root || plan_goes_through(r->plan, name);
}

static struct tracee *add(struct tracer *r, pid_t tid)
{
    struct tracee *t = tracees_add(&r->tracees, tid);
    pid_t group = thread_group(tid);
    if (group > 0)
        t->tgid = group;
    /* A thread, or a process that somebody forked; the root apart, which is executed.
     */
    t->fresh = t->tid == t->tgid && tid != r->root;
    decide(r, t);
    return t;
}

static void detach(struct tracer *r, struct tracee *t, int signal)
{
    ptrace(PTRACE_DETACH, t->tid, 0, signal);
    tracees_remove(&r->tracees, t->tid);
}

static void resume(struct tracer *r, struct tracee *t, int signal)
{
    /* What was tampered with is settled at its exit, before it is let go. */
    if (r->leaving && !t->altered && !t->kill_at_exit)
        detach(r, t, signal);
    else
        ptrace(t->target || t->altered ? PTRACE_SYSCALL : PTRACE_CONT, t->tid, 0,
               signal);
}

static void leave(struct tracer *r)
{
    if (r->leaving)
        return;
    r->leaving = true;
    for (struct tracee *t = r->tracees.first; t; t = t->next)
        ptrace(PTRACE_INTERRUPT, t->tid, 0, 0);
}

/* ---- stops */

/* It dies untraced: a parent that looks for it as soon as its pidfd says that it is
 * gone could not reap it before its tracer has, and might not look again. At an entry
 * the call is not carried out. */
static void do_kill(struct tracer *r, struct tracee *t)
{
    detach(r, t, SIGKILL);
    if (plan_over(r->plan))
        leave(r);
}

/* True if t is gone. */
static bool at_entry(struct tracer *r, struct tracee *t,
                     const struct __ptrace_syscall_info *info)
{
    struct plan *p = r->plan;
    const uint64_t *args = (const uint64_t *)info->entry.args;
    if (!t->target || !plan_call(p, t, info->entry.nr, args))
        return false;
    const struct call *call = call_by_number(info->entry.nr);
    if (p->action == PLAN_KILL && !p->at_exit) {
        do_kill(r, t);
        return true;
    }
    if (p->action == PLAN_KILL || (p->action == PLAN_ERRNO && p->at_exit))
        t->kill_at_exit = true;
    else if (p->action == PLAN_ERRNO)
        tracee_skip(t, p->error);
    else if (p->action == PLAN_SHORT && call)
        tracee_shorten(t, call, args, p->most);
    return false;
}

static bool at_exit_of_call(struct tracer *r, struct tracee *t)
{
    tracee_settle(t);
    if (!t->kill_at_exit)
        return false;
    t->kill_at_exit = false;
    if (r->plan->action == PLAN_KILL) {
        do_kill(r, t);
        return true;
    }
    tracee_return(t, r->plan->error);
    return false;
}

static void syscall_stop(struct tracer *r, struct tracee *t)
{
    struct __ptrace_syscall_info info = {.op = PTRACE_SYSCALL_INFO_NONE};
    bool gone = false;
    /* It fails if the process is being killed. */
    ptrace(PTRACE_GET_SYSCALL_INFO, t->tid, sizeof info, &info);
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
        gone = at_entry(r, t, &info);
    else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
        gone = at_exit_of_call(r, t);
    if (plan_over(r->plan))
        leave(r);
    if (!gone)
        resume(r, t, 0);
}

/* Its other threads are gone, and it has the number of the first one. */
static void executed(struct tracer *r, struct tracee *t)
{
    unsigned long before = (unsigned long)t->tid;
    ptrace(PTRACE_GETEVENTMSG, t->tid, 0, &before);
    if ((pid_t)before != t->tid)
        tracees_remove(&r->tracees, (pid_t)before);
    t->fresh = t->altered = t->kill_at_exit = false;
    t->number = 0;
    decide(r, t);
    if (!t->target && !t->followed)
        detach(r, t, 0);
    else
        resume(r, t, 0);
}

static bool is_stop_signal(int signal)
{
    return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN ||
           signal == SIGTTOU;
}

static void stopped(struct tracer *r, struct tracee *t, int status)
{
    int signal = WSTOPSIG(status), event = status >> 16;
    if (event == PTRACE_EVENT_EXEC) {
        executed(r, t);
    } else if (event == PTRACE_EVENT_STOP && is_stop_signal(signal) && !r->leaving) {
        ptrace(PTRACE_LISTEN, t->tid, 0, 0);
    } else if (event) {
        resume(r, t, 0);
    } else if (signal == (SIGTRAP | 0x80)) {
        syscall_stop(r, t);
    } else {
        resume(r, t, signal);
    }
}

static void ended(struct tracer *r, pid_t tid, int status)
{
    if (tid == r->root) {
        r->root_gone = true;
        r->root_status = status;
    }
    tracees_remove(&r->tracees, tid);
}

void tracer_run(struct tracer *r)
{
    while (r->tracees.first || (r->own && !r->root_gone)) {
        int status;
        pid_t tid = waitpid(-1, &status, __WALL);
        if (interrupted)
            leave(r);
        if (tid < 0 && errno == EINTR)
            continue;
        if (tid < 0)
            return;
        if (!WIFSTOPPED(status)) {
            ended(r, tid, status);
            continue;
        }
        struct tracee *t = tracees_find(&r->tracees, tid);
        stopped(r, t ? t : add(r, tid), status);
    }
}

/* ---- beginning */

static int seize(pid_t tid)
{
    return (int)ptrace(PTRACE_SEIZE, tid, 0, OPTIONS);
}

int tracer_spawn(struct tracer *r, char *const *argv, struct reeve_error *err)
{
    int go[2];
    if (pipe2(go, O_CLOEXEC) < 0)
        return reeve_error_set(err, errno, "make a pipe");
    r->own = true;
    r->root = fork();
    if (r->root == 0) {
        char byte;
        close(go[1]);
        if (read(go[0], &byte, 1) == 1)
            execvp(argv[0], argv);
        fprintf(stderr, "inject: execute %s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    close(go[0]);
    int failed = r->root < 0 || seize(r->root) < 0 ? errno : 0;
    if (failed || write(go[1], "", 1) != 1) {
        close(go[1]);
        return reeve_error_set(err, failed, "trace %s", argv[0]);
    }
    close(go[1]);
    /* It is still ourselves, and what it will be is not known yet. */
    tracees_add(&r->tracees, r->root);
    return 0;
}

int tracer_attach(struct tracer *r, pid_t pid, struct reeve_error *err)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    r->root = pid;
    DIR *folder = opendir(path);
    if (!folder)
        return reeve_error_set(err, errno, "open %s", path);
    for (struct dirent *e; (e = readdir(folder));) {
        pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);
        if (tid <= 0 || seize(tid) < 0)
            continue;
        add(r, tid);
        ptrace(PTRACE_INTERRUPT, tid, 0, 0);
    }
    closedir(folder);
    if (!tracees_find(&r->tracees, pid))
        return reeve_error_set(err, errno, "attach to %d", (int)pid);
    return 0;
}
