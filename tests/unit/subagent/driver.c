/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "driver.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

int driver_setup(void **state)
{
    struct driver *d = xcalloc(1, sizeof *d);
    d->listener = d->sock = d->fifo = -1;
    /* What a killed sub-agent leaves comes to us, to be ended and reaped here. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    signal(SIGPIPE, SIG_IGN);
    d->top = xstrdup("/tmp/reeve-unit-XXXXXX");
    assert_non_null(mkdtemp(d->top));
    auto_free char *pad = xasprintf("%s/%0110d", d->top, 0);
    d->run_root = path_join_dup(pad, "run");
    d->state_dir = xasprintf("%s/state/runs/" TASK, pad);
    d->run_dir = xasprintf("%s/runs/" TASK, d->run_root);
    assert_int_equal(dir_make(d->state_dir, 0700, NULL), 0);
    assert_int_equal(dir_make(d->run_dir, 0700, NULL), 0);
    driver_listen(d);
    *state = d;
    return 0;
}

static void end_children(void)
{
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    for (int i = 0; i < 1000; i++) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        auto_close fd = open(path, O_RDONLY);
        ssize_t n = fd_read_full(fd, text, sizeof text - 1);
        text[n > 0 ? n : 0] = '\0';
        if (n <= 0)
            return;
        for (char *p = strtok(text, " "); p; p = strtok(NULL, " "))
            kill(atoi(p), SIGKILL);
        driver_sleep(2);
    }
}

/* The kernel may need a moment after the last process. */
static void remove_group(const char *dir)
{
    for (int i = 0; i < 1000 && rmdir(dir) < 0 && errno == EBUSY; i++)
        driver_sleep(2);
}

void driver_make_groups(struct driver *d)
{
    static const char *const roots[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup",
                                        "/sys/fs/cgroup/freezer",
                                        "/sys/fs/cgroup/pids"};
    for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
        auto_free char *procs = path_join_dup(roots[i], "cgroup.procs");
        snprintf(d->group[d->groups], sizeof d->group[0], "%s/reeve-unit-%d", roots[i],
                 (int)getpid());
        if (access(procs, W_OK) == 0 && mkdir(d->group[d->groups], 0755) == 0)
            d->groups++;
    }
    snprintf(d->join, sizeof d->join, "%s-agent", d->groups ? d->group[0] : "");
    if (d->groups == 0 || mkdir(d->join, 0755) < 0) {
        d->join[0] = '\0';
        print_message("no control groups to write to\n");
        skip();
    }
}

int driver_teardown(void **state)
{
    struct driver *d = *state;
    driver_unlisten(d);
    end_children();
    if (d->fifo >= 0)
        close(d->fifo);
    for (int i = 0; i < d->groups; i++)
        remove_group(d->group[i]);
    if (*d->join)
        remove_group(d->join);
    umount2(d->state_dir, MNT_DETACH);
    umount2(d->run_dir, MNT_DETACH);
    int result = dir_remove_tree(d->top, NULL);
    free(d->top);
    free(d->run_root);
    free(d->state_dir);
    free(d->run_dir);
    free(d);
    return result;
}

void driver_sleep(int ms)
{
    poll(NULL, 0, ms);
}

void driver_listen(struct driver *d)
{
    auto_close dir = open(d->run_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/agent.sock", dir);
    unlink(a.sun_path);
    d->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(d->listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(d->listener, 16), 0);
}

void driver_unlisten(struct driver *d)
{
    if (d->sock >= 0)
        close(fd_take(&d->sock));
    if (d->listener >= 0)
        close(fd_take(&d->listener));
}

void driver_spawn(struct driver *d)
{
    const char *top = getenv("REEVE_TOP_BUILDDIR");
    auto_free char *program = path_join_dup(top ? top : ".", "reeve-subagent");
    auto_free char *socket_path = path_join_dup(d->run_root, "agent.sock");
    fflush(NULL);
    d->agent = fork();
    if (d->agent == 0) {
        execl(program, program, "--task", TASK, "--state-dir", d->state_dir,
              "--run-dir", d->run_dir, "--socket", socket_path,
              *d->join ? "--join" : (char *)NULL, d->join, (char *)NULL);
        _exit(126);
    }
    assert_true(d->agent > 0);
}

void driver_kill(struct driver *d)
{
    kill(d->agent, SIGKILL);
    assert_int_equal(waitpid(d->agent, NULL, 0), d->agent);
    d->agent = 0;
    if (d->sock >= 0)
        close(fd_take(&d->sock));
}

int driver_wait_agent(struct driver *d)
{
    int status;
    for (int64_t end = clock_boot_ms() + WAIT_MS; clock_boot_ms() < end;
         driver_sleep(2))
        if (waitpid(d->agent, &status, WNOHANG) == d->agent) {
            d->agent = 0;
            return status;
        }
    fail_msg("the sub-agent does not end");
    return -1;
}

static bool readable(int fd, int64_t end)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int64_t left = end - clock_boot_ms();
    return poll(&p, 1, left > 0 ? (int)left : 0) == 1;
}

bool driver_hears(struct driver *d, enum message_type type, int ms)
{
    int64_t end = clock_boot_ms() + ms;
    struct reeve_error err = {0, ""};
    int fd;
    while (readable(d->sock, end)) {
        int result = message_receive(d->sock, &d->in, &fd, &err);
        if (result < 0)
            fail_msg("the sub-agent's connection: %s", err.text);
        assert_int_equal(fd, -1);
        if (result == 1 && message_get_type(&d->in) == type)
            return true;
    }
    return false;
}

void driver_expect(struct driver *d, enum message_type type)
{
    if (!driver_hears(d, type, WAIT_MS))
        fail_msg("no message of type %d came", (int)type);
}

void driver_accept(struct driver *d)
{
    if (!readable(d->listener, clock_boot_ms() + WAIT_MS))
        fail_msg("the sub-agent does not connect");
    d->sock = accept4(d->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct ucred cred;
    socklen_t n = sizeof cred;
    assert_int_equal(getsockopt(d->sock, SOL_SOCKET, SO_PEERCRED, &cred, &n), 0);
    assert_int_equal(cred.pid, d->agent);
    driver_expect(d, MESSAGE_HELLO);
    assert_int_equal(driver_u64(d, TAG_PID, 0), d->agent);
    assert_string_equal(driver_text(d, TAG_TASK), TASK);
}

void driver_begin(struct driver *d)
{
    driver_spawn(d);
    driver_accept(d);
    if (d->fifo >= 0)
        return;
    auto_free char *path = path_join_dup(d->run_dir, "out");
    d->fifo = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(d->fifo >= 0);
}

void driver_send(struct driver *d, int fd)
{
    struct reeve_error err = {0, ""};
    int result = message_send(d->sock, &d->out, fd, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(result, 0);
}

void driver_start(struct driver *d, const struct start *s)
{
    static int number;
    auto_free char *path = xasprintf("%s/prepare-%d", d->top, number++);
    auto_free char *text = xasprintf("#!/bin/bash\n%s\n", s->script ? s->script : "");
    if (s->script)
        assert_int_equal(file_replace(path, text, strlen(text), 0700, false, NULL), 0);
    auto_close spec = fd_sealed("spec", "the spec", 8);
    message_begin(&d->out, MESSAGE_START, 0);
    message_add_u64(&d->out, TAG_ATTEMPT, s->attempt ? s->attempt : 1);
    message_add_text(&d->out, TAG_PREPARE_PATH, path);
    for (int i = 0; i < d->groups; i++)
        message_add_text(&d->out, TAG_GROUP_DIR, d->group[i]);
    if (MESSAGE_VERSION > 1)
        message_add_text(&d->out, (enum message_tag)40000, "a field of later versions");
    message_add_u64(&d->out, TAG_GRACE_MS, (uint64_t)s->grace_ms);
    message_add_u64(&d->out, TAG_LINGER_MS, (uint64_t)s->linger_ms);
    message_add_u64(&d->out, TAG_TIMEOUT_MS, (uint64_t)s->timeout_ms);
    driver_send(d, spec);
}

void driver_stop(struct driver *d, int64_t grace_ms)
{
    message_begin(&d->out, MESSAGE_STOP, 0);
    message_add_u64(&d->out, TAG_GRACE_MS, (uint64_t)grace_ms);
    driver_send(d, -1);
}

void driver_note(struct driver *d, const char *text)
{
    message_begin(&d->out, MESSAGE_NOTE, 0);
    message_add_text(&d->out, TAG_TEXT, text);
    driver_send(d, -1);
}

void driver_seen(struct driver *d, pid_t payload, int code)
{
    message_begin(&d->out, MESSAGE_SEEN, 0);
    message_add_u64(&d->out, TAG_PAYLOAD_PID, (uint64_t)payload);
    if (code >= 0)
        message_add_u64(&d->out, TAG_EXIT_CODE, (uint64_t)code);
    driver_send(d, -1);
}

void driver_ack(struct driver *d, uint32_t attempt)
{
    message_begin(&d->out, MESSAGE_ACK_EXIT, 0);
    message_add_u64(&d->out, TAG_ATTEMPT, attempt);
    driver_send(d, -1);
}

void driver_quit(struct driver *d)
{
    message_begin(&d->out, MESSAGE_QUIT, 0);
    driver_send(d, -1);
}

uint64_t driver_u64(struct driver *d, enum message_tag tag, uint64_t fallback)
{
    uint64_t v;
    return message_get_u64(&d->in, tag, &v) ? v : fallback;
}

const char *driver_text(struct driver *d, enum message_tag tag)
{
    static char text[512];
    return message_get_text(&d->in, tag, text, sizeof text) ? text : "";
}

void driver_read(struct driver *d, struct buf *out)
{
    struct spool_reader *r = spool_reader_open(d->state_dir, 0, NULL);
    struct spool_entry e;
    int result;
    uint64_t raw_end = 0;
    assert_non_null(r);
    while ((result = spool_reader_next(r, &e, NULL)) == 1) {
        assert_true(e.raw_end >= raw_end);
        raw_end = e.raw_end;
        if (e.type != SPOOL_EXIT)
            buf_add(out, e.text, e.text_len);
    }
    assert_int_equal(result, 0);
    spool_reader_close(r);
}

void driver_assert_log(struct driver *d, const char *want)
{
    auto_buf log = BUF_INIT;
    driver_read(d, &log);
    assert_string_equal(buf_str(&log), want);
}

bool driver_wait_log(struct driver *d, const char *part)
{
    for (int64_t end = clock_boot_ms() + WAIT_MS; clock_boot_ms() < end;
         driver_sleep(5)) {
        auto_buf log = BUF_INIT;
        driver_read(d, &log);
        if (strstr(buf_str(&log), part))
            return true;
    }
    return false;
}

bool driver_process_gone(pid_t pid)
{
    for (int i = 0; i < 2000; i++) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (kill(pid, 0) < 0 && errno == ESRCH)
            return true;
        driver_sleep(1);
    }
    return false;
}
