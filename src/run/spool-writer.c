/* SPDX-License-Identifier: Apache-2.0 */
/* spool-writer.c - appending to a run's spool
 *
 * - Process death loses nothing that was written, so only a full segment and the exit
 *   record are synced.
 * - A write that fails half way is taken back, and the record written again later at
 * the same place; a reader sees a short record meanwhile, and waits.
 * - Texts are written from where they are, without a copy: this runs in the sub-agent,
 *   of which there are thousands. */
#include "config.h"

#include "run/spool-internal.h"
#include "base/alloc.h"
#include "base/bytes.h"
#include "base/fd.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

/* How much of a segment is sound, up to and with its last sound record. */
static uint64_t scan(const char *p, size_t n, uint64_t start, struct spool_writer *w,
                     bool *found)
{
    uint64_t sound = 0;
    for (size_t at = 0; at < n;) {
        struct spool_entry e;
        if (spool_parse(p + at, n - at, start + at, &e) != RECORD_OK) {
            at += spool_resync(p + at, n - at, start + at);
            continue;
        }
        at += (size_t)(e.next - e.offset);
        sound = at;
        w->attempt = e.attempt;
        w->raw_end = e.raw_end;
        *found = true;
        /* A power loss took what stood behind. */
        if (e.type == SPOOL_GAP && e.gap.next > w->end)
            w->end = e.gap.next;
    }
    return sound;
}

static int scan_segment(struct spool_writer *w, int fd, uint64_t start, uint64_t *sound,
                        bool *found)
{
    struct stat st;
    *sound = 0;
    if (fstat(fd, &st) < 0)
        return -1;
    if (st.st_size == 0)
        return 0;
    /* Mapped, so that what a long segment needs is given back at once. */
    char *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return -1;
    *sound = scan(p, (size_t)st.st_size, start, w, found);
    munmap(p, (size_t)st.st_size);
    return 0;
}

/* Opens the last segment for appending; earlier ones are looked at only until one has a
 * sound record, which says where the raw file is. */
static int open_segments(struct spool_writer *w, const uint64_t *starts, size_t count)
{
    bool found = false;
    for (size_t i = count; i-- > 0 && !found;) {
        char name[SPOOL_NAME_SIZE];
        uint64_t sound;
        auto_close fd = openat(w->dirfd, spool_name(starts[i], name),
                               O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || scan_segment(w, fd, starts[i], &sound, &found) < 0)
            return -1;
        if (i + 1 < count)
            continue;
        if (ftruncate(fd, (off_t)sound) < 0)
            return -1;
        if (w->end > starts[i])
            continue;
        w->segment = starts[i];
        w->end = starts[i] + sound;
        w->fd = fd_take(&fd);
    }
    return 0;
}

struct spool_writer *spool_writer_open(const char *dir, uint64_t *last_raw_end,
                                       struct reeve_error *err)
{
    struct spool_writer *w = xcalloc(1, sizeof *w);
    auto_free uint64_t *starts = NULL;
    size_t count;
    w->fd = -1;
    w->dir = xstrdup(dir);
    w->segment_bytes = SPOOL_SEGMENT_BYTES;
    w->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (w->dirfd < 0 || spool_list(w->dirfd, &starts, &count) < 0 ||
        open_segments(w, starts, count) < 0) {
        reeve_error_set(err, errno, "open spool in %s", dir);
        spool_writer_close(w);
        return NULL;
    }
    uint64_t acked = spool_acked(dir);
    w->gaps = w->end > acked && spool_held(dir) < w->end - acked;
    if (acked > w->end) {
        if (w->fd >= 0)
            close(fd_take(&w->fd));
        w->end = acked;
    }
    *last_raw_end = w->raw_end;
    return w;
}

static int new_segment(struct spool_writer *w)
{
    char name[SPOOL_NAME_SIZE];
    if (w->fd >= 0 && fdatasync(w->fd) < 0)
        return -1;
    int fd = openat(w->dirfd, spool_name(w->end, name),
                    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -1;
    if (w->fd >= 0)
        close(w->fd);
    w->fd = fd;
    w->segment = w->end;
    w->name_synced = false;
    return 0;
}

/* More than the budget is taken of what must not be lost, in the last segment: output
 * is not to follow it into a new one. */
static int ready_segment(struct spool_writer *w, uint8_t type)
{
    if (w->fd >= 0 && w->end - w->segment < w->segment_bytes)
        return 0;
    bool room = !w->budget || spool_make_room(w) == 0;
    if (!room && type == SPOOL_OUTPUT)
        return -1;
    return room || w->fd < 0 ? new_segment(w) : 0;
}

static void take_back(struct spool_writer *w)
{
    int saved = errno;
    /* Should this fail, the next record goes over what is there. */
    if (ftruncate(w->fd, (off_t)(w->end - w->segment)) < 0)
        saved = errno;
    errno = saved;
}

/* Writes without moving the end. */
static int write_record(struct spool_writer *w, uint8_t type, uint32_t attempt,
                        int64_t wall_ms, uint64_t raw_end, const void *body, size_t n,
                        size_t *size)
{
    unsigned char fixed[SPOOL_FIXED_SIZE], header[RECORD_HEADER_SIZE];
    if (ready_segment(w, type) < 0)
        return -1;
    put_le32(fixed, attempt);
    put_le64(fixed + 4, w->end);
    put_le64(fixed + 12, (uint64_t)wall_ms);
    put_le64(fixed + 20, raw_end);
    struct iovec iov[3] = {
        {header, sizeof header}, {fixed, sizeof fixed}, {(void *)(uintptr_t)body, n}};
    record_header(header, SPOOL_VERSION, type, iov + 1, 2);
    *size = sizeof header + sizeof fixed + n;
    ssize_t done = pwritev(w->fd, iov, 3, (off_t)(w->end - w->segment));
    if (done == (ssize_t)*size)
        return 0;
    /* A regular file takes less than all of it only when the disk is full. */
    if (done >= 0)
        errno = ENOSPC;
    take_back(w);
    return -1;
}

static void advance(struct spool_writer *w, size_t size, uint32_t attempt,
                    uint64_t raw_end)
{
    w->end += size;
    w->attempt = attempt;
    w->raw_end = raw_end;
}

/* Text as the contract wants it, for the rare input that is not. */
static void make_sound(struct buf *out, const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        int len = utf8_sequence(text + i, n - i);
        size_t used = len > 0 ? (size_t)len : 1;
        bool keep = len > 0 && text[i] != '\0';
        if (out->len + (keep ? used : 3) > SPOOL_TEXT_MAX - 1)
            break;
        buf_add(out, keep ? text + i : "\xef\xbf\xbd", keep ? used : 3);
        i += used;
    }
    if (out->len == 0 || out->data[out->len - 1] != '\n')
        buf_add_char(out, '\n');
}

int spool_writer_add(struct spool_writer *w, enum spool_type type, uint32_t attempt,
                     int64_t wall_ms, uint64_t raw_end, const char *text, size_t n,
                     struct reeve_error *err)
{
    if (n == 0 || n > SPOOL_TEXT_MAX)
        return reeve_error_set(err, EINVAL, "spool %zu bytes of text", n);
    auto_buf sound = BUF_INIT;
    if (text[n - 1] != '\n' || memchr(text, '\0', n) || !utf8_valid(text, n)) {
        make_sound(&sound, text, n);
        text = sound.data;
        n = sound.len;
    }
    size_t size;
    if (write_record(w, (uint8_t)type, attempt, wall_ms, raw_end, text, n, &size) < 0)
        return reeve_error_set(err, errno, "write spool");
    advance(w, size, attempt, raw_end);
    return 0;
}

static int sync_segment(struct spool_writer *w)
{
    if (fdatasync(w->fd) < 0)
        return -1;
    if (!w->name_synced && fsync(w->dirfd) < 0)
        return -1;
    w->name_synced = true;
    return 0;
}

int spool_writer_add_exit(struct spool_writer *w, uint32_t attempt, int64_t wall_ms,
                          uint64_t raw_end, const struct spool_exit *e,
                          struct reeve_error *err)
{
    unsigned char body[sizeof *e + 16];
    size_t n = spool_exit_encode(e, body, sizeof body), size;
    if (write_record(w, SPOOL_EXIT, attempt, wall_ms, raw_end, body, n, &size) < 0)
        return reeve_error_set(err, errno, "write exit record");
    if (sync_segment(w) < 0) {
        take_back(w);
        return reeve_error_set(err, errno, "sync exit record");
    }
    advance(w, size, attempt, raw_end);
    return 0;
}

uint64_t spool_writer_end(const struct spool_writer *w)
{
    return w->end;
}

uint32_t spool_writer_attempt(const struct spool_writer *w)
{
    return w->attempt;
}

void spool_writer_close(struct spool_writer *w)
{
    if (!w)
        return;
    int saved = errno;
    if (w->fd >= 0)
        close(w->fd);
    if (w->dirfd >= 0)
        close(w->dirfd);
    free(w->dir);
    free(w);
    errno = saved;
}
