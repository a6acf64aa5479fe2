/* SPDX-License-Identifier: Apache-2.0 */
/* spool-budget.c - keeping a spool within its bound of disk
 *
 * - Whole segments are given up, from the middle: the beginning of an outage says why,
 *   the end says how things are. A gap file takes the name of the first of them by a
 *   rename, so that a reader finds the one or the other, and then swallows those that
 *   follow it.
 * - What follows `acked` closely may be on its way to the server: SPOOL_HEAD_MIN.
 */
#include "config.h"

#include "run/spool-internal.h"
#include "base/alloc.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define SEGMENT_MIN (64u << 10)
#define SEGMENTS 16
#define GAP_NEW "gap.new"
#define GAP_SIZE (RECORD_HEADER_SIZE + SPOOL_FIXED_SIZE + SPOOL_GAP_SIZE)

/* The segments from the one that holds `acked` on. */
struct held {
    uint64_t *starts;
    uint64_t *sizes;
    size_t count;
    uint64_t total;
};

static void held_free(struct held *h)
{
    free(h->starts);
    free(h->sizes);
}

static int held_read(int dirfd, uint64_t acked, struct held *h)
{
    size_t from = 0;
    if (spool_list(dirfd, &h->starts, &h->count) < 0)
        return -1;
    while (from + 1 < h->count && h->starts[from + 1] <= acked)
        from++;
    h->count -= from;
    if (from)
        memmove(h->starts, h->starts + from, h->count * sizeof *h->starts);
    h->sizes = xcalloc(h->count + 1, sizeof *h->sizes);
    for (size_t i = 0; i < h->count; i++) {
        char name[SPOOL_NAME_SIZE];
        struct stat st;
        if (fstatat(dirfd, spool_name(h->starts[i], name), &st, AT_SYMLINK_NOFOLLOW) ==
            0)
            h->sizes[i] = (uint64_t)st.st_size;
        h->total += h->sizes[i];
    }
    return 0;
}

uint64_t spool_held(const char *dir)
{
    auto_close dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct held h = {0};
    uint64_t acked = spool_acked(dir), held = 0;
    if (dirfd >= 0 && held_read(dirfd, acked, &h) == 0 && h.count) {
        uint64_t done = acked > h.starts[0] ? acked - h.starts[0] : 0;
        held = h.total - (done < h.sizes[0] ? done : h.sizes[0]);
    }
    held_free(&h);
    return held;
}

/* ---- giving up ---- */

struct count {
    struct spool_gap *gap;
    struct spool_entry *first;
    bool any, is_gap;
};

static void count_entry(const struct spool_entry *e, void *arg)
{
    struct count *c = arg;
    if (!c->any)
        *c->first = *e;
    c->any = true;
    if (e->type == SPOOL_GAP) {
        c->is_gap = true;
        c->gap->next = e->gap.next;
        c->gap->lines += e->gap.lines;
        c->gap->bytes += e->gap.bytes;
    } else if (e->type != SPOOL_EXIT) {
        c->gap->bytes += e->text_len;
        for (size_t i = 0; i < e->text_len; i++)
            c->gap->lines += e->text[i] == '\n';
    }
}

/* Adds what a segment has to the gap; *is_gap: it is one itself. */
static int count_segment(int dirfd, uint64_t start, struct spool_gap *gap,
                         struct spool_entry *first, bool *is_gap)
{
    struct count c = {gap, first, false, false};
    int result = spool_each(dirfd, start, count_entry, &c);
    *is_gap = c.is_gap;
    return result;
}

/* A segment with nothing but the gap record, in the place of the one at start. */
static int write_gap(int dirfd, uint64_t start, const struct spool_entry *like,
                     const struct spool_gap *gap)
{
    unsigned char header[RECORD_HEADER_SIZE], body[SPOOL_FIXED_SIZE + SPOOL_GAP_SIZE];
    char name[SPOOL_NAME_SIZE];
    put_le32(body, like->attempt);
    put_le64(body + 4, start);
    put_le64(body + 12, (uint64_t)like->wall_ms);
    put_le64(body + 20, like->raw_end);
    put_le64(body + SPOOL_FIXED_SIZE, gap->next);
    put_le64(body + SPOOL_FIXED_SIZE + 8, gap->lines);
    put_le64(body + SPOOL_FIXED_SIZE + 16, gap->bytes);
    put_le64(body + SPOOL_FIXED_SIZE + 24, gap->budget);
    struct iovec iov[2] = {{header, sizeof header}, {body, sizeof body}};
    record_header(header, SPOOL_VERSION, SPOOL_GAP, iov + 1, 1);
    auto_close fd = openat(dirfd, GAP_NEW,
                           O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fd_write_all(fd, header, sizeof header) < 0 ||
        fd_write_all(fd, body, sizeof body) < 0)
        return -1;
    return renameat(dirfd, GAP_NEW, dirfd, spool_name(start, name));
}

/* Gives up the segment h->starts[i], into the gap before it if there is one that may
 * still be changed. */
static int give_up(const struct spool_writer *w, const struct held *h, size_t i,
                   bool after_gap)
{
    struct spool_gap gap = {.budget = w->budget};
    struct spool_entry first = {0}, ignored = {0};
    bool is_gap;
    size_t at = after_gap ? i - 1 : i;
    char name[SPOOL_NAME_SIZE];
    if (count_segment(w->dirfd, h->starts[at], &gap, &first, &is_gap) < 0)
        return -1;
    /* One that is in it already is left of a sub-agent that died right here. */
    if (after_gap && h->starts[i] >= gap.next &&
        count_segment(w->dirfd, h->starts[i], &gap, &ignored, &is_gap) < 0)
        return -1;
    gap.next = h->starts[i + 1];
    gap.budget = w->budget;
    if (write_gap(w->dirfd, h->starts[at], &first, &gap) < 0)
        return -1;
    return after_gap ? unlinkat(w->dirfd, spool_name(h->starts[i], name), 0) : 0;
}

static bool is_gap(const struct spool_writer *w, const struct held *h, size_t i)
{
    struct spool_gap gap = {0};
    struct spool_entry first;
    bool yes = false;
    /* Only what is as small is read. */
    return h->sizes[i] <= GAP_SIZE &&
           count_segment(w->dirfd, h->starts[i], &gap, &first, &yes) == 0 && yes;
}

/* The first segment that may go. */
static bool find_victim(const struct spool_writer *w, const struct held *h,
                        size_t *victim, bool *after_gap)
{
    uint64_t done = h->count && w->acked > h->starts[0] ? w->acked - h->starts[0] : 0;
    uint64_t head = w->budget / 4 > SPOOL_HEAD_MIN ? w->budget / 4 : SPOOL_HEAD_MIN;
    uint64_t before = 0;
    head += done;
    for (size_t i = 0; i + 1 < h->count; before += h->sizes[i++]) {
        if (before < head || is_gap(w, h, i))
            continue;
        *victim = i;
        *after_gap =
            before - h->sizes[i - 1] >= SPOOL_HEAD_MIN + done && is_gap(w, h, i - 1);
        return true;
    }
    return false;
}

/* What give_up() has made of it. */
static void held_note(struct held *h, size_t victim, bool after_gap)
{
    h->total -= h->sizes[victim];
    if (!after_gap) {
        h->sizes[victim] = GAP_SIZE;
        h->total += GAP_SIZE;
        return;
    }
    size_t behind = --h->count - victim;
    memmove(h->starts + victim, h->starts + victim + 1, behind * sizeof *h->starts);
    memmove(h->sizes + victim, h->sizes + victim + 1, behind * sizeof *h->sizes);
}

/* Gives up what may be until there is room for so much more. */
static void shrink_for(struct spool_writer *w, uint64_t more)
{
    struct held h = {0};
    size_t victim;
    bool after_gap;
    if (held_read(w->dirfd, w->acked, &h) == 0)
        while (h.total + more > w->budget && find_victim(w, &h, &victim, &after_gap) &&
               give_up(w, &h, victim, after_gap) == 0) {
            held_note(&h, victim, after_gap);
            w->gaps = true;
        }
    held_free(&h);
}

static bool is_over(const struct spool_writer *w, uint64_t more)
{
    struct held h = {0};
    bool over = held_read(w->dirfd, w->acked, &h) == 0 && h.total + more > w->budget;
    held_free(&h);
    return over;
}

/* True while the server takes lines. */
static bool moves(struct spool_writer *w)
{
    uint64_t acked = spool_acked(w->dir);
    int64_t now = clock_boot_ms();
    if (acked != w->acked) {
        w->acked = acked;
        w->acked_boot = now;
    }
    return now - w->acked_boot < SPOOL_PATIENCE_MS;
}

int spool_make_room(struct spool_writer *w)
{
    /* Looked at in both cases: what the server has counts no more, even where it stays
     * for a terminal that has not shown it. */
    bool wait = w->full != SPOOL_FULL_DROP && (moves(w) || w->full == SPOOL_FULL_WAIT);
    if (!is_over(w, w->segment_bytes))
        return 0;
    if (wait) {
        errno = EDQUOT;
        return -1;
    }
    /* Segments of a larger budget may leave too little to give up: then it is more. */
    shrink_for(w, w->segment_bytes);
    return 0;
}

void spool_writer_shrink(struct spool_writer *w)
{
    w->acked = spool_acked(w->dir);
    if (w->budget)
        shrink_for(w, 0);
}

bool spool_writer_has_gaps(const struct spool_writer *w)
{
    return w->gaps;
}

void spool_writer_limit(struct spool_writer *w, uint64_t budget, enum spool_full full)
{
    if (budget && budget < SPOOL_BUDGET_MIN)
        budget = SPOOL_BUDGET_MIN;
    /* Who is to judge has seen nothing yet. */
    if (full == SPOOL_FULL_JUDGE && (w->full != full || !w->budget))
        w->acked_boot = clock_boot_ms();
    w->budget = budget;
    w->full = full;
    w->segment_bytes = budget && budget / SEGMENTS < SPOOL_SEGMENT_BYTES
                           ? budget / SEGMENTS
                           : SPOOL_SEGMENT_BYTES;
    if (w->segment_bytes < SEGMENT_MIN)
        w->segment_bytes = SEGMENT_MIN;
}
