/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "subagent/attempt.h"
#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/proc.h"
#include "base/record.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

/* Of a slot: a record always fits, whatever its groups are called, and takes one page
 * of it as a rule. */
#define SLOT 8192
#define PAGE 4096
#define ATTEMPT_VERSION 1
#define ATTEMPT_TYPE 1

/* TAG_STATES: what else is true of the payload. */
#define STATES(X)                                                                      \
    X(executed, 0)                                                                     \
    X(failed, 1)                                                                       \
    X(ended, 2)                                                                        \
    X(swept, 3)                                                                        \
    X(killing, 4)                                                                      \
    X(timed_out, 5)                                                                    \
    X(setup_timed_out, 6)                                                              \
    X(log_waits, 7)

int attempt_open(struct attempt_file *f, const char *run_dir, struct reeve_error *err)
{
    auto_free char *path = path_join_dup(run_dir, "attempt");
    f->written = 0;
    f->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (f->fd < 0)
        return reeve_error_set(err, errno, "open %s", path);
    /* Where that cannot be, a write that finds no room says so. */
    for (off_t slot = 0; slot < 2; slot++)
        if (fallocate(f->fd, FALLOC_FL_KEEP_SIZE, slot * SLOT, PAGE) < 0)
            break;
    return 0;
}

static void add_times(struct message *m, const struct payload *p)
{
    message_add_u64(m, TAG_GRACE_MS, (uint64_t)p->grace_ms);
    message_add_u64(m, TAG_LINGER_MS, (uint64_t)p->linger_ms);
    message_add_u64(m, TAG_TIMEOUT_MS, (uint64_t)p->timeout_ms);
    message_add_u64(m, TAG_SETUP_TIMEOUT_MS, (uint64_t)p->setup_timeout_ms);
    message_add_u64(m, TAG_BEGUN_AT, (uint64_t)p->begun_at);
    message_add_u64(m, TAG_KILL_AT, (uint64_t)p->kill_at);
    message_add_u64(m, TAG_LINGER_AT, (uint64_t)p->linger_at);
    message_add_u64(m, TAG_STOP_SIGNAL, (uint64_t)p->stop_signal);
    message_add_u64(m, TAG_NOFILE_SOFT, p->nofile_soft);
    message_add_u64(m, TAG_NOFILE_HARD, p->nofile_hard);
    message_add_u64(m, TAG_LOG_BUDGET, p->log_budget);
}

static void add_exit(struct message *m, const struct payload *p)
{
    if (p->ended && p->exit.signal)
        message_add_u64(m, TAG_EXIT_SIGNAL, (uint64_t)p->exit.signal);
    else if (p->ended && p->exit.code >= 0)
        message_add_u64(m, TAG_EXIT_CODE, (uint64_t)p->exit.code);
    /* The step that failed, else the one under way: `failed` says which. */
    message_add_text(m, TAG_STEP, p->failed || p->ended ? p->exit.step : p->step);
    message_add_text(m, TAG_TEXT, p->exit.text);
    message_add_text(m, TAG_LEFT_BEHIND, p->exit.left);
}

static void make(struct message *m, const struct payload *p, uint64_t number)
{
    char boot[BOOT_IDENTITY_SIZE];
    uint64_t states = 0;
    message_begin(m, MESSAGE_STARTED, 0);
    message_add_u64(m, TAG_RECORD, number);
    message_add_text(m, TAG_BOOT, proc_boot_identity(boot));
    message_add_u64(m, TAG_ATTEMPT, p->attempt);
    message_add_u64(m, TAG_PAYLOAD_PID, (uint64_t)p->first_pid);
    message_add_u64(m, TAG_PAYLOAD_START, p->start);
    for (int i = 0; i < p->groups.count; i++)
        message_add_text(m, TAG_GROUP_DIR, p->groups.dir[i]);
    add_times(m, p);
    add_exit(m, p);
#define X(name, bit) states |= (uint64_t)p->name << (bit);
    STATES(X)
#undef X
    message_add_u64(m, TAG_STATES, states);
}

/* One that fails or is cut short leaves the other slot, and is written over. */
int attempt_write(struct attempt_file *f, const struct payload *p,
                  struct message *scratch, struct reeve_error *err)
{
    unsigned char header[RECORD_HEADER_SIZE];
    uint64_t next = f->written + 1;
    make(scratch, p, next);
    struct iovec v[] = {{header, sizeof header}, {scratch->data, scratch->len}};
    size_t n = sizeof header + scratch->len;
    if (n > SLOT)
        return reeve_error_set(err, E2BIG, "write the file attempt");
    record_header(header, ATTEMPT_VERSION, ATTEMPT_TYPE, v + 1, 1);
    ssize_t got = pwritev(f->fd, v, 2, (off_t)(next % 2 * SLOT));
    if (got != (ssize_t)n)
        return reeve_error_set(err, got < 0 ? errno : ENOSPC, "write the file attempt");
    f->written = next;
    return 0;
}

static void read_groups(struct payload *p, const struct message *m)
{
    size_t at = 0;
    struct cgroup_dirs *g = &p->groups;
    while (g->count < CGROUP_DIRS_MAX &&
           message_next_text(m, TAG_GROUP_DIR, &at, g->dir[g->count], sizeof g->dir[0]))
        g->count++;
}

static int64_t number(const struct message *m, enum message_tag tag, int64_t fallback)
{
    uint64_t v;
    return message_get_u64(m, tag, &v) && v <= INT64_MAX ? (int64_t)v : fallback;
}

static void read_exit(struct payload *p, const struct message *m)
{
    char *step = p->failed || p->ended ? p->exit.step : p->step;
    p->exit.code = (int)number(m, TAG_EXIT_CODE, -1);
    p->exit.signal = (int)number(m, TAG_EXIT_SIGNAL, 0);
    p->exit.timed_out = p->timed_out;
    message_get_text(m, TAG_STEP, step, sizeof p->step);
    message_get_text(m, TAG_TEXT, p->exit.text, sizeof p->exit.text);
    message_get_text(m, TAG_LEFT_BEHIND, p->exit.left, sizeof p->exit.left);
}

static void parse(struct payload *p, const struct message *m)
{
    uint64_t states = (uint64_t)number(m, TAG_STATES, 0);
    p->attempt = (uint32_t)number(m, TAG_ATTEMPT, 0);
    p->first_pid = (pid_t)number(m, TAG_PAYLOAD_PID, 0);
    p->start = (uint64_t)number(m, TAG_PAYLOAD_START, 0);
    p->grace_ms = number(m, TAG_GRACE_MS, 0);
    p->linger_ms = number(m, TAG_LINGER_MS, 0);
    p->timeout_ms = number(m, TAG_TIMEOUT_MS, 0);
    p->setup_timeout_ms = number(m, TAG_SETUP_TIMEOUT_MS, 0);
    p->begun_at = number(m, TAG_BEGUN_AT, 0);
    p->kill_at = number(m, TAG_KILL_AT, 0);
    p->linger_at = number(m, TAG_LINGER_AT, 0);
    p->stop_signal = (int)number(m, TAG_STOP_SIGNAL, SIGTERM);
    message_get_u64(m, TAG_NOFILE_SOFT, &p->nofile_soft);
    message_get_u64(m, TAG_NOFILE_HARD, &p->nofile_hard);
    message_get_u64(m, TAG_LOG_BUDGET, &p->log_budget);
#define X(name, bit) p->name = states >> (bit)&1;
    STATES(X)
#undef X
    read_groups(p, m);
    read_exit(p, m);
    payload_set_deadlines(p);
}

/* Of this boot, and sound. */
static bool read_slot(int fd, int slot, struct message *scratch)
{
    char boot[BOOT_IDENTITY_SIZE], was[BOOT_IDENTITY_SIZE];
    struct record r;
    ssize_t n = fd_pread_full(fd, scratch->data, SLOT, (off_t)slot * SLOT);
    if (n <= 0 || record_parse(scratch->data, (size_t)n, &r) != RECORD_OK ||
        r.type != ATTEMPT_TYPE)
        return false;
    memmove(scratch->data, r.body, r.len);
    scratch->len = r.len;
    if (message_check(scratch, NULL) < 0 ||
        !message_get_text(scratch, TAG_BOOT, was, sizeof was) ||
        strcmp(was, proc_boot_identity(boot)) != 0)
        return false;
    return true;
}

bool attempt_read(struct attempt_file *f, struct payload *p, struct message *scratch)
{
    int newest = -1;
    for (int slot = 0; slot < 2; slot++) {
        if (!read_slot(f->fd, slot, scratch))
            continue;
        uint64_t said = 0;
        message_get_u64(scratch, TAG_RECORD, &said);
        if (newest < 0 || said > f->written) {
            newest = slot;
            f->written = said;
        }
    }
    if (newest < 0 || !read_slot(f->fd, newest, scratch))
        return false;
    parse(p, scratch);
    return true;
}

bool attempt_has(struct attempt_file *f, uint32_t attempt, pid_t pid,
                 struct message *scratch)
{
    struct payload found = {.pidfd = -1};
    return attempt_read(f, &found, scratch) && found.attempt == attempt &&
           found.first_pid == pid && !found.ended;
}
