/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tracee.h"
#include "base/alloc.h"
#include "base/fd.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>

struct tracee *tracees_find(const struct tracees *all, pid_t tid)
{
    struct tracee *t = all->first;
    while (t && t->tid != tid)
        t = t->next;
    return t;
}

struct tracee *tracees_add(struct tracees *all, pid_t tid)
{
    struct tracee *t = xcalloc(1, sizeof *t);
    t->tid = t->tgid = tid;
    t->next = all->first;
    return all->first = t;
}

void tracees_remove(struct tracees *all, pid_t tid)
{
    for (struct tracee **p = &all->first; *p; p = &(*p)->next)
        if ((*p)->tid == tid) {
            struct tracee *gone = *p;
            *p = gone->next;
            free(gone);
            return;
        }
}

/* What /proc/<pid>/<name> has, up to size - 1 bytes; "" if nothing. */
static void proc_read(pid_t pid, const char *name, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    auto_close fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : fd_read_full(fd, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
}

pid_t thread_group(pid_t tid)
{
    char text[512];
    proc_read(tid, "status", text, sizeof text);
    const char *line = strstr(text, "\nTgid:");
    return line ? (pid_t)strtol(line + strlen("\nTgid:"), NULL, 10) : -1;
}

static void proc_link(pid_t pid, const char *name, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    ssize_t n = readlink(path, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
}

void program_name(pid_t pid, char *name, size_t size)
{
    char path[512];
    proc_link(pid, "exe", path, sizeof path);
    const char *slash = strrchr(path, '/');
    snprintf(name, size, "%s", slash ? slash + 1 : path);
}

void tracee_name(struct tracee *t)
{
    if (t->fresh) {
        strcpy(t->role, "forked");
    } else if (t->tid == t->tgid) {
        strcpy(t->role, "main");
    } else {
        proc_read(t->tid, "comm", t->role, sizeof t->role);
        t->role[strcspn(t->role, "\n")] = '\0';
    }
}

/* ---- what a call is about */

/* Up to size - 1 bytes from there; a page that is not there ends it. */
static void read_memory(const struct tracee *t, uint64_t from, char *text, size_t size)
{
    size_t n = 0;
    while (n < size - 1) {
        size_t page = 4096 - ((from + n) & 4095);
        size_t want = size - 1 - n < page ? size - 1 - n : page;
        struct iovec here = {text + n, want};
        struct iovec there = {(void *)(uintptr_t)(from + n), want};
        ssize_t got = process_vm_readv(t->tid, &here, 1, &there, 1, 0);
        if (got <= 0)
            break;
        n += (size_t)got;
        if (memchr(text + n - got, '\0', (size_t)got))
            break;
    }
    text[n] = '\0';
}

static void make_printable(char *text)
{
    text[strcspn(text, "\r\n")] = '\0';
    for (; *text; text++)
        if (!isprint((unsigned char)*text))
            *text = '?';
}

static void descriptor_name(const struct tracee *t, int fd, char *text, size_t size)
{
    char name[32];
    snprintf(name, sizeof name, fd == AT_FDCWD ? "cwd" : "fd/%d", fd);
    proc_link(t->tid, name, text, size);
}

/* The first line of what goes to a socket: of a request it says which. */
static void add_first_line(const struct tracee *t, const uint64_t *args, char *text,
                           size_t size)
{
    char data[80];
    read_memory(t, args[1], data, args[2] < sizeof data ? args[2] + 1 : sizeof data);
    make_printable(data);
    size_t n = strlen(text);
    snprintf(text + n, size - n, " %s", data);
}

void call_detail(const struct tracee *t, const struct call *call, const uint64_t *args,
                 char *text, size_t size)
{
    char path[256] = "";
    text[0] = '\0';
    if (call->path != NONE) {
        read_memory(t, args[call->path], path, sizeof path);
        make_printable(path);
    }
    if (call->fd != NONE && path[0] != '/')
        descriptor_name(t, (int)args[call->fd], text, size);
    size_t n = strlen(text);
    snprintf(text + n, size - n, "%s%s", n > 0 && path[0] ? "/" : "", path);
    if (strncmp(text, "socket:", 7) == 0 &&
        (call->number == SYS_sendto || call->number == SYS_write))
        add_first_line(t, args, text, size);
}

/* ---- tampering */

#ifdef __x86_64__
static int set_number(struct tracee *t, uint64_t number)
{
    size_t at = offsetof(struct user_regs_struct, orig_rax);
    return (int)ptrace(PTRACE_POKEUSER, t->tid, at, number);
}

static int set_result(struct tracee *t, uint64_t result)
{
    size_t at = offsetof(struct user_regs_struct, rax);
    return (int)ptrace(PTRACE_POKEUSER, t->tid, at, result);
}

static int set_argument(struct tracee *t, int which, uint64_t value)
{
    static const size_t at[] = {
        offsetof(struct user_regs_struct, rdi), offsetof(struct user_regs_struct, rsi),
        offsetof(struct user_regs_struct, rdx), offsetof(struct user_regs_struct, r10),
        offsetof(struct user_regs_struct, r8),  offsetof(struct user_regs_struct, r9)};
    return (int)ptrace(PTRACE_POKEUSER, t->tid, at[which], value);
}
#else /* nothing but kills and counts elsewhere: inject.c says so */
static int set_number(struct tracee *t, uint64_t number)
{
    (void)t, (void)number;
    errno = ENOSYS;
    return -1;
}

static int set_result(struct tracee *t, uint64_t result)
{
    return set_number(t, result);
}

static int set_argument(struct tracee *t, int which, uint64_t value)
{
    (void)which;
    return set_number(t, value);
}
#endif

int tracee_skip(struct tracee *t, int error)
{
    t->altered = t->skipped = true;
    t->result = -error;
    return set_number(t, UINT64_MAX);
}

int tracee_shorten(struct tracee *t, const struct call *call, const uint64_t *args,
                   uint64_t most)
{
    if (call->length == NONE || args[call->length] <= most)
        return -1;
    t->altered = true;
    t->skipped = false;
    t->call = call;
    t->saved_length = args[call->length];
    return set_argument(t, call->length, most);
}

void tracee_settle(struct tracee *t)
{
    if (!t->altered)
        return;
    t->altered = false;
    if (t->skipped)
        set_result(t, (uint64_t)t->result);
    else /* the kernel preserves the arguments' registers, and so must we */
        set_argument(t, t->call->length, t->saved_length);
}

void tracee_return(struct tracee *t, int error)
{
    set_result(t, (uint64_t)-error);
}
