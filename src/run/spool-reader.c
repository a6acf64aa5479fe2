/* SPDX-License-Identifier: Apache-2.0 */
/* spool-reader.c - reading a run's spool, also while it is written
 *
 * What does not parse is judged only after the list of segments was made and the bytes
 * were read once more, in that order: a segment that has a successor is final, so that
 * what is unsound there was lost; in the last one it may still be on its way. */
#include "config.h"

#include "run/spool-internal.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define WINDOW (2 * SPOOL_RECORD_MAX)

struct spool_reader {
    char *dir;
    int dirfd;
    int fd; /* segment that holds offset, or -1 */
    uint64_t segment;
    uint64_t offset; /* of the next entry */
    struct buf window;
    uint64_t window_start; /* stream offset of its first byte */
    uint32_t attempt;      /* of the last entry, for notes */
    char note[160];
};

#define SIZE_TEXT 24

/* "12 MiB"; src/config has more words for it, and the sub-agent none of that. */
static const char *size_text(uint64_t bytes, char out[SIZE_TEXT])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (bytes >= 10240 && unit + 1 < sizeof units / sizeof units[0]) {
        bytes >>= 10;
        unit++;
    }
    snprintf(out, SIZE_TEXT, "%llu %s", (unsigned long long)bytes, units[unit]);
    return out;
}

struct spool_reader *spool_reader_open(const char *dir, uint64_t offset,
                                       struct reeve_error *err)
{
    struct spool_reader *r = xcalloc(1, sizeof *r);
    r->fd = -1;
    r->offset = offset;
    r->dir = xstrdup(dir);
    r->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->dirfd < 0) {
        reeve_error_set(err, errno, "open spool in %s", dir);
        spool_reader_close(r);
        return NULL;
    }
    return r;
}

void spool_reader_close(struct spool_reader *r)
{
    if (!r)
        return;
    int saved = errno;
    if (r->fd >= 0)
        close(r->fd);
    if (r->dirfd >= 0)
        close(r->dirfd);
    buf_free(&r->window);
    free(r->dir);
    free(r);
    errno = saved;
}

static const char *window_at(const struct spool_reader *r, size_t *n)
{
    if (r->offset < r->window_start || r->offset > r->window_start + r->window.len) {
        *n = 0;
        return NULL;
    }
    size_t skip = (size_t)(r->offset - r->window_start);
    *n = r->window.len - skip;
    return r->window.data ? r->window.data + skip : NULL;
}

/* Reads the window anew, from offset on. */
static int refill(struct spool_reader *r)
{
    buf_clear(&r->window);
    r->window_start = r->offset;
    if (r->fd < 0)
        return 0;
    char *to = buf_reserve(&r->window, WINDOW);
    ssize_t n = fd_pread_full(r->fd, to, WINDOW, (off_t)(r->offset - r->segment));
    if (n < 0)
        return -1;
    r->window.len = (size_t)n;
    return 0;
}

static int open_segment(struct spool_reader *r, uint64_t start)
{
    char name[SPOOL_NAME_SIZE];
    if (r->fd >= 0)
        close(fd_take(&r->fd));
    buf_clear(&r->window);
    r->fd =
        openat(r->dirfd, spool_name(start, name), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    r->segment = start;
    return r->fd < 0 ? -1 : 0;
}

/* The segment that holds offset, or the one it goes on in. */
static const uint64_t *choose(const struct spool_reader *r, const uint64_t *starts,
                              size_t count)
{
    for (size_t i = count; i-- > 0;)
        if (starts[i] <= r->offset)
            return &starts[i];
    return count ? &starts[0] : NULL;
}

static int make_note(struct spool_reader *r, uint64_t next, struct spool_entry *out)
{
    unsigned long long lost = next - r->offset;
    snprintf(r->note, sizeof r->note,
             "reeve: %llu bytes of this log could not be read and are left out\n",
             lost);
    *out = (struct spool_entry){.type = SPOOL_NOTE,
                                .attempt = r->attempt,
                                .wall_ms = clock_wall_ms(),
                                .offset = r->offset,
                                .next = next,
                                .text = r->note,
                                .text_len = strlen(r->note)};
    r->offset = next;
    return 1;
}

/* A record of a gap as its reader sees it. */
static void gap_to_note(struct spool_reader *r, struct spool_entry *e)
{
    char bytes[SIZE_TEXT], budget[SIZE_TEXT];
    snprintf(r->note, sizeof r->note,
             "reeve: %llu lines (%s) dropped here: log budget of %s reached\n",
             (unsigned long long)e->gap.lines, size_text(e->gap.bytes, bytes),
             size_text(e->gap.budget, budget));
    e->type = SPOOL_NOTE;
    e->next = e->gap.next;
    e->text = r->note;
    e->text_len = strlen(r->note);
}

static bool parse(struct spool_reader *r, struct spool_entry *out)
{
    size_t n;
    const char *p = window_at(r, &n);
    if (n == 0 || spool_parse(p, n, r->offset, out) != RECORD_OK)
        return false;
    if (out->type == SPOOL_GAP)
        gap_to_note(r, out);
    r->offset = out->next;
    r->attempt = out->attempt;
    return true;
}

/* Looks through what follows in this segment. 1: skipped to the next sound record. */
static int skip_damage(struct spool_reader *r, struct spool_entry *out)
{
    uint64_t damaged = r->offset;
    for (;;) {
        size_t n;
        const char *p = window_at(r, &n);
        size_t at = n > 1 ? spool_resync(p, n, r->offset) : n;
        if (at < n) {
            uint64_t next = r->offset + at;
            r->offset = damaged;
            return make_note(r, next, out);
        }
        /* The last record in the window may have its end outside. */
        if (n < WINDOW)
            break;
        r->offset += n - SPOOL_RECORD_MAX;
        if (refill(r) < 0)
            return -1;
    }
    r->offset = damaged;
    return refill(r);
}

/* At the end of what parses: 1 an entry, 0 none yet, 2 go on in another segment. */
static int look_further(struct spool_reader *r, struct spool_entry *out)
{
    auto_free uint64_t *starts = NULL;
    size_t count;
    if (spool_list(r->dirfd, &starts, &count) < 0)
        return -1;
    const uint64_t *at = choose(r, starts, count);
    if (!at)
        return 0;
    if (r->fd < 0 || *at != r->segment) {
        if (open_segment(r, *at) < 0)
            /* Acknowledged and removed between the two looks. */
            return errno == ENOENT ? 2 : -1;
        uint64_t from = spool_acked(r->dir);
        if (from < r->offset)
            from = r->offset;
        if (*at <= r->offset)
            return 2;
        if (*at <= from) {
            r->offset = *at;
            return 2;
        }
        r->offset = from;
        return make_note(r, *at, out);
    }
    if (refill(r) < 0)
        return -1;
    if (parse(r, out))
        return 1;
    size_t n;
    window_at(r, &n);
    int skipped = n > 0 ? skip_damage(r, out) : 0;
    if (skipped)
        return skipped;
    bool last = at == &starts[count - 1];
    if (last)
        return 0;
    return make_note(r, at[1], out);
}

int spool_reader_next(struct spool_reader *r, struct spool_entry *out,
                      struct reeve_error *err)
{
    for (;;) {
        if (parse(r, out))
            return 1;
        int result = look_further(r, out);
        if (result < 0)
            return reeve_error_set(err, errno, "read spool in %s", r->dir);
        if (result == 1)
            return 1;
        if (result == 0) {
            /* Thousands of idle readers must cost no buffer each. */
            buf_free(&r->window);
            return 0;
        }
    }
}
