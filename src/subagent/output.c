/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "subagent/output.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/masker.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PAGE 4096
/* Taken, but in no record yet; the rest waits in the FIFO. */
#define BACKLOG_MAX (256u << 10)
/* Passed over without a record (a progress bar's carriage returns): then one line is
 * recorded all the same, so that the raw file can be given back. */
#define UNRECORDED_MAX (1u << 20)
#define FREE_STEP (64u << 10)
#define ROUNDS 16
#define MASK_FILE_MAX (1u << 20)
#define NOTE_MAX 4096
/* While they wait; what does not fit then is told in our own log alone. */
#define NOTES_MAX (16u << 10)

/* Two windows for the one output of the process, on pages of their own: an idle
 * sub-agent gives them back. */
static char raw_window[LINES_WINDOW] __attribute__((aligned(PAGE)));
static char text_window[SPOOL_TEXT_MAX] __attribute__((aligned(PAGE)));

static int open_fifo(struct output *o, struct reeve_error *err)
{
    if (mkfifo(o->fifo_path, 0600) < 0 && errno != EEXIST)
        return reeve_error_set(err, errno, "create %s", o->fifo_path);
    o->fifo = open(o->fifo_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    if (o->fifo < 0 || fstat(o->fifo, &st) < 0)
        return reeve_error_set(err, errno, "open %s", o->fifo_path);
    if (!S_ISFIFO(st.st_mode))
        return reeve_error_set(err, 0, "%s is no FIFO", o->fifo_path);
    return 0;
}

static int open_raw(struct output *o, const char *run_dir, struct reeve_error *err)
{
    auto_free char *path = path_join_dup(run_dir, "raw");
    struct stat st;
    o->raw = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (o->raw < 0 || fstat(o->raw, &st) < 0)
        return reeve_error_set(err, errno, "open %s", path);
    o->taken = (uint64_t)st.st_size;
    if (o->taken >= o->recorded)
        return 0;
    /* A raw file of an earlier boot is gone; offsets go on where the spool says. */
    if (ftruncate(o->raw, (off_t)o->recorded) < 0)
        return reeve_error_set(err, errno, "extend %s", path);
    o->taken = o->recorded;
    return 0;
}

int output_open(struct output *o, const char *state_dir, const char *run_dir,
                struct reeve_error *err)
{
    *o = (struct output){
        .fifo = -1, .raw = -1, .line_ms = o->line_ms, .full_ms = o->full_ms};
    o->fifo_path = path_join_dup(run_dir, "out");
    o->spool = spool_writer_open(state_dir, &o->recorded, err);
    if (!o->spool || open_fifo(o, err) < 0 || open_raw(o, run_dir, err) < 0)
        return -1;
    o->done = o->recorded;
    o->attempt = spool_writer_attempt(o->spool);
    return 0;
}

int output_mask(struct output *o, int fd, struct reeve_error *err)
{
    auto_buf text = BUF_INIT;
    if (lseek(fd, 0, SEEK_SET) < 0 || fd_read_to_buf(fd, &text, MASK_FILE_MAX) < 0)
        return reeve_error_set(err, errno, "read what is to be masked");
    masker_destroy(o->masker);
    o->masker = masker_create();
    masker_load(o->masker, buf_str(&text), text.len);
    explicit_bzero(text.data, text.len);
    return 0;
}

static enum spool_full full(const struct output *o)
{
    if (o->budget_waits || o->server == SERVER_TAKES)
        return SPOOL_FULL_WAIT;
    return o->server == SERVER_AWAY ? SPOOL_FULL_DROP : SPOOL_FULL_JUDGE;
}

void output_limit(struct output *o, uint64_t budget, bool waits,
                  enum output_server server)
{
    o->budget = budget;
    o->budget_waits = waits;
    o->server = server;
    spool_writer_limit(o->spool, budget, full(o));
    if (full(o) == SPOOL_FULL_DROP)
        spool_writer_shrink(o->spool);
    if (o->lifted)
        spool_writer_limit(o->spool, 0, full(o));
}

void output_lift_limit(struct output *o)
{
    o->lifted = true;
    spool_writer_limit(o->spool, 0, full(o));
    if (o->over_budget)
        o->retry_at = 0;
}

int output_open_for_payload(struct output *o, struct reeve_error *err)
{
    int fd = open(o->fifo_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return reeve_error_set(err, errno, "open %s", o->fifo_path);
    o->eof = o->lifted = false;
    spool_writer_limit(o->spool, o->budget, full(o));
    return fd;
}

bool output_wants_fifo(const struct output *o)
{
    return !o->eof && !o->retry_at;
}

/* One line in our own log for each time that a disk fills up. */
static void stall(struct output *o, int64_t now, const char *what)
{
    o->retry_at = now + o->full_ms;
    o->over_budget = false;
    if (!o->told_full)
        log_warn("the payload's output waits: %s", what);
    o->told_full = true;
}

/* One line in our own log for a whole life: it is how a run goes that prints faster
 * than the server takes. */
static void wait_for_server(struct output *o, int64_t now)
{
    o->retry_at = now + OUTPUT_BUDGET_MS;
    o->over_budget = true;
    if (!o->told_budget)
        log_info(
            "the payload's output waits for the server: its log budget is reached");
    o->told_budget = true;
}

/* A hole where bytes are in records; a file system without holes gives the file back as
 * a whole when nothing else is in it. */
static void free_recorded(struct output *o)
{
    uint64_t from = o->freed & ~(uint64_t)(PAGE - 1);
    uint64_t to = o->recorded & ~(uint64_t)(PAGE - 1);
    bool all = o->recorded == o->taken;
    if (all)
        to = (o->recorded + PAGE - 1) & ~(uint64_t)(PAGE - 1);
    o->freed = o->recorded;
    if (to <= from || fallocate(o->raw, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                (off_t)from, (off_t)(to - from)) == 0)
        return;
    if (all && errno == EOPNOTSUPP && ftruncate(o->raw, 0) == 0 &&
        ftruncate(o->raw, (off_t)o->taken) < 0)
        log_error("extend the raw file: %s", strerror(errno));
}

static bool record(struct output *o, enum spool_type type, uint64_t raw_end,
                   const char *text, size_t n, int64_t now)
{
    struct reeve_error err;
    if (spool_writer_add(o->spool, type, o->attempt, clock_wall_ms(), raw_end, text, n,
                         &err) < 0) {
        if (err.code == EDQUOT)
            wait_for_server(o, now);
        else
            stall(o, now, err.text);
        return false;
    }
    o->told_full = false;
    /* A note goes through while the payload waits. */
    if (type == SPOOL_OUTPUT)
        o->over_budget = false;
    o->done = o->recorded = raw_end;
    if (o->recorded - o->freed >= FREE_STEP)
        free_recorded(o);
    return true;
}

/* 1 got further, 0 what is there must wait for more, -1 the disk is full. */
static int make_record(struct output *o, enum lines_mode mode, int64_t now)
{
    uint64_t left = o->taken - o->done;
    size_t n = left < LINES_WINDOW ? (size_t)left : LINES_WINDOW;
    if (n == 0)
        return 0;
    ssize_t got = fd_pread_full(o->raw, raw_window, n, (off_t)o->done);
    if (got != (ssize_t)n) {
        stall(o, now, got < 0 ? strerror(errno) : "the raw file is short");
        return -1;
    }
    bool visible = o->done - o->recorded >= UNRECORDED_MAX;
    size_t text_len;
    size_t used =
        lines_take(o->masker, raw_window, n, mode, visible, text_window, &text_len);
    if (used == 0)
        return 0;
    if (text_len &&
        !record(o, SPOOL_OUTPUT, o->done + used, text_window, text_len, now))
        return -1;
    if (!text_len)
        o->done += used;
    o->pause_at = 0;
    return 1;
}

/* False: the disk is full. */
static bool make_records(struct output *o, enum lines_mode mode, int64_t now)
{
    int result;
    while ((result = make_record(o, mode, now)) == 1)
        ;
    if (o->done < o->taken && !o->pause_at)
        o->pause_at = now + o->line_ms;
    return result == 0;
}

/* 1 took something, 0 nothing there. */
static int take(struct output *o, int64_t now)
{
    loff_t at = (loff_t)o->taken;
    ssize_t n = splice(o->fifo, NULL, o->raw, &at, BACKLOG_MAX,
                       SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (n > 0) {
        o->taken += (uint64_t)n;
        return 1;
    }
    if (n == 0)
        o->eof = true;
    else if (errno != EAGAIN && errno != EINTR)
        stall(o, now, strerror(errno));
    return 0;
}

void output_pump(struct output *o, int64_t now)
{
    if (o->retry_at)
        return;
    for (int i = 0; i < ROUNDS; i++) {
        if (!make_records(o, LINES_WAIT, now))
            return;
        if (o->eof || !take(o, now))
            return;
    }
    make_records(o, LINES_WAIT, now);
}

void output_drain(struct output *o, int64_t now)
{
    int there = 0;
    if (ioctl(o->fifo, FIONREAD, &there) < 0)
        there = 0;
    uint64_t end = o->taken + (uint64_t)there, before;
    do {
        before = o->taken;
        output_pump(o, now);
    } while (o->taken < end && o->taken != before);
}

/* True: none waits. */
static bool write_notes(struct output *o, int64_t now)
{
    static char text[NOTE_MAX];
    size_t done = 0;
    while (done < o->notes.len && (!o->retry_at || o->over_budget)) {
        size_t size = strlen(o->notes.data + done) + 1;
        memcpy(text, o->notes.data + done, size);
        size_t n = masker_apply(o->masker, text, size - 1);
        if (n && !record(o, SPOOL_NOTE, o->done, text, n, now))
            break;
        done += size;
    }
    if (done < o->notes.len)
        buf_consume(&o->notes, done);
    else
        buf_free(&o->notes);
    return !o->notes.len;
}

void output_note(struct output *o, const char *text, int64_t now)
{
    size_t n = strnlen(text, NOTE_MAX - 1);
    if (o->notes.len + n >= NOTES_MAX) {
        log_warn("the disk has no room for a note: %s", text);
        return;
    }
    buf_add(&o->notes, text, n);
    buf_add_char(&o->notes, '\0');
    output_pump(o, now);
    write_notes(o, now);
}

void output_tick(struct output *o, int64_t now)
{
    if (o->retry_at && now >= o->retry_at) {
        o->retry_at = 0;
        output_pump(o, now);
    }
    write_notes(o, now);
    if (!o->pause_at || now < o->pause_at || o->retry_at)
        return;
    /* Once only: bytes that are held back wait for the next pause. */
    o->pause_at = 0;
    if (make_record(o, LINES_PAUSED, now) >= 0)
        make_records(o, LINES_WAIT, now);
}

bool output_finish(struct output *o, int64_t now)
{
    return !o->retry_at && make_records(o, LINES_END, now) && write_notes(o, now);
}

bool output_exit(struct output *o, struct spool_exit *e, int64_t now)
{
    struct reeve_error err;
    if (o->retry_at)
        return false;
    e->text[masker_apply(o->masker, e->text, strlen(e->text))] = '\0';
    if (spool_writer_add_exit(o->spool, o->attempt, clock_wall_ms(), o->done, e, &err) <
        0) {
        stall(o, now, err.text);
        return false;
    }
    o->recorded = o->done;
    return true;
}

void output_rest(struct output *o)
{
    if (o->freed < o->recorded)
        free_recorded(o);
    madvise(raw_window, sizeof raw_window, MADV_DONTNEED);
    madvise(text_window, sizeof text_window, MADV_DONTNEED);
}
