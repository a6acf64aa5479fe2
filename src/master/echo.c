/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/echo.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "master/master.h"
#include "master/ship.h"
#include "run/run-dir.h"
#include "run/spool.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define PUMP_BYTES (1 << 20) /* then the loop has its turn */

static const char SKIPPED[] = "reeve: some lines are not shown here, but in the log\n";

struct echo {
    struct master *master;
    struct run *run; /* the one that is being written; there is one at a time */
    struct spool_reader *reader;
    uint64_t at; /* offset of what it reads next */
    int out;     /* standard output; -1: nobody reads it any more */
    bool socket; /* out is one: not to block is said in each call */
    int file;    /* the log file, or -1 */
    struct buf pending;
    size_t sent;
    ev_io writable;
    ev_timer soon;
};

/* The terminal or pipe is shared with other programs, so it is opened anew rather than
 * made non-blocking for all. A file never blocks; a socket is asked in each call. */
static void open_output(struct echo *e)
{
    struct stat st;
    e->out = STDOUT_FILENO;
    if (fstat(STDOUT_FILENO, &st) < 0) {
        e->out = -1;
        return;
    }
    e->socket = S_ISSOCK(st.st_mode);
    if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
        return;
    int fd = open("/proc/self/fd/1",
                  O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_APPEND);
    if (fd >= 0)
        e->out = fd;
}

static void close_output(struct echo *e)
{
    ev_io_stop(e->master->loop, &e->writable);
    if (e->out > STDERR_FILENO)
        close(e->out);
    e->out = -1;
}

/* ---- writing ---- */

static ssize_t write_some(struct echo *e, const char *data, size_t n)
{
    return e->socket ? send(e->out, data, n, MSG_DONTWAIT | MSG_NOSIGNAL)
                     : write(e->out, data, n);
}

/* True if nothing is pending any more. */
static bool flush(struct echo *e)
{
    while (e->out >= 0 && e->sent < e->pending.len) {
        ssize_t n = write_some(e, e->pending.data + e->sent, e->pending.len - e->sent);
        if (n >= 0) {
            e->sent += (size_t)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            ev_io_start(e->master->loop, &e->writable);
            return false;
        } else if (errno != EINTR) {
            log_debug("standard output: %s", strerror(errno));
            close_output(e);
        }
    }
    buf_clear(&e->pending);
    e->sent = 0;
    return true;
}

static void take(struct echo *e, const char *text, size_t n)
{
    buf_add(&e->pending, text, n);
    if (e->file < 0 || fd_write_all(e->file, text, n) == 0)
        return;
    log_warn("the log file: %s; the log goes on without it", strerror(errno));
    close(e->file);
    e->file = -1;
}

/* ---- reading ---- */

static bool reader_ready(struct echo *e, struct run *run)
{
    struct reeve_error err;
    if (e->run != run)
        echo_forget(e, e->run);
    e->run = run;
    if (e->reader)
        return true;
    auto_free char *dir = run_dir_dup(run->master->state_root, run->id);
    e->at = run->ship.acked;
    e->reader = spool_reader_open(dir, run->ship.acked, &err);
    return e->reader != NULL;
}

bool echo_pump(struct echo *e, struct run *run)
{
    struct spool_entry entry;
    struct reeve_error err;
    size_t taken = 0;
    if (!reader_ready(e, run))
        return true; /* no spool yet; one that cannot be read is told by ship.c */
    while (flush(e)) {
        if (taken >= PUMP_BYTES) {
            ev_timer_start(e->master->loop, &e->soon);
            return false;
        }
        if (spool_reader_next(e->reader, &entry, &err) <= 0)
            return true;
        /* Nobody has read for so long that the rest of the budget was needed. */
        if (entry.offset > e->at)
            take(e, SKIPPED, strlen(SKIPPED));
        e->at = entry.next;
        if (entry.type == SPOOL_EXIT)
            continue;
        take(e, entry.text, entry.text_len);
        taken += entry.text_len;
    }
    return false;
}

uint64_t echo_offset(const struct echo *e, const struct run *run)
{
    return e->run == run && e->reader ? e->at : run->ship.acked;
}

/* ---- the loop ---- */

static void go_on(struct echo *e)
{
    if (e->run)
        ship_wake(e->run);
}

static void echo_writable_cb(struct ev_loop *loop, ev_io *w, int revents)
{
    ev_io_stop(loop, w);
    go_on(w->data);
}

static void echo_soon_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    go_on(w->data);
}

struct echo *echo_create(struct master *m, int file_fd)
{
    struct echo *e = xcalloc(1, sizeof *e);
    e->master = m;
    e->file = file_fd;
    open_output(e);
    ev_io_init(&e->writable, echo_writable_cb, e->out < 0 ? 0 : e->out, EV_WRITE);
    ev_timer_init(&e->soon, echo_soon_cb, 0.0, 0.0);
    e->writable.data = e->soon.data = e;
    return e;
}

void echo_forget(struct echo *e, const struct run *run)
{
    if (!run || e->run != run)
        return;
    spool_reader_close(e->reader);
    e->reader = NULL;
    e->run = NULL;
}

void echo_destroy(struct echo *e)
{
    if (!e)
        return;
    echo_forget(e, e->run);
    ev_timer_stop(e->master->loop, &e->soon);
    close_output(e);
    if (e->file >= 0)
        close(e->file);
    buf_free(&e->pending);
    free(e);
}
