/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* A master that is killed with a batch under way cannot know whether the server has it.
 * So the batch is on disk before it is sent: its name, and of each event the run, the
 * stretch of its spool, the time stamp and a sum. The next master makes the very same
 * events again, looks which of them the server has, and sends the rest under the same
 * name.
 *
 * The file has two slots, of which each batch takes the one that the last did not, so
 * that a write which is cut short leaves that of the last; and its full length from the
 * start, so that a full disk stops no write. The newest sound slot counts, even where
 * it is stale: what it names is then at the server, recorded as such, or not of a run
 * that there is.
 *
 * A slot: "reeve-batch 2 <length> <crc>", both in 8 hex digits and of what follows: a
 * line "<epoch> <number>", and "<task> <begin> <end> <ms> <sum>" for each event. */

#include "master/ship-internal.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/record.h"
#include "master/master.h"
#include "run/run-dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* A batch has 513 events at most, of 140 bytes here. */
#define SLOT_BYTES (128 << 10)
#define MAGIC "reeve-batch 2 "
#define FIRST_MAGIC "reeve-batch 1 "
#define HEAD_BYTES 32

static char *journal_path_dup(const struct ship *s)
{
    return path_join_dup(s->master->state_root, "batch");
}

void ship_journal_open(struct ship *s)
{
    auto_free char *path = journal_path_dup(s);
    s->journal = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int error = s->journal < 0 ? errno : posix_fallocate(s->journal, 0, 2 * SLOT_BYTES);
    if (error)
        log_warn("%s: %s; lines may come twice if this master dies while the disk is "
                 "full",
                 path, strerror(error));
}

uint32_t ship_sum(const struct run *run, const char *text)
{
    return crc32c(crc32c(0, run->claim, strlen(run->claim)), text, strlen(text));
}

static void add_parts(const struct batch *b, struct buf *text)
{
    for (size_t i = 0; i < b->count; i++) {
        const struct part *p = &b->parts[i];
        /* Of a run that is gone. */
        if (p->task[0])
            buf_printf(text, "%s %" PRIu64 " %" PRIu64 " %" PRId64 " %08x\n", p->task,
                       p->begin, p->end, p->ms, p->sum);
    }
}

static int write_slot(struct ship *s, const struct buf *body, struct reeve_error *err)
{
    auto_buf text = BUF_INIT;
    buf_printf(&text, MAGIC "%08zx %08x\n", body->len,
               crc32c(0, body->data, body->len));
    buf_add(&text, body->data, body->len);
    off_t at = (off_t)(s->number % 2 * SLOT_BYTES);
    if (text.len > SLOT_BYTES)
        errno = EFBIG;
    else if (fd_pwrite_all(s->journal, text.data, text.len, at) == 0)
        return 0;
    return reeve_error_set(err, errno, "write $STATE/batch");
}

void ship_journal_write(struct ship *s)
{
    auto_buf body = BUF_INIT;
    struct reeve_error err;
    if (s->journal < 0)
        ship_journal_open(s);
    buf_printf(&body, "%s %" PRIu64 "\n", s->epoch, s->number);
    add_parts(&s->batch, &body);
    ship_tell_write(&s->journal_failing, write_slot(s, &body, &err), &err);
}

/* The event's text from the spool; false if it is not there any more, or another
 * run's, which came later. */
static bool read_text(struct run *run, const struct part *p, struct buf *text)
{
    auto_free char *dir = run_dir_dup(run->master->state_root, run->id);
    struct spool_entry e;
    struct spool_reader *r = spool_reader_open(dir, p->begin, NULL);
    uint64_t at = p->begin;
    bool later = false;
    while (r && !later && at < p->end && spool_reader_next(r, &e, NULL) == 1 &&
           e.offset == at && e.next <= p->end) {
        at = e.next;
        if (e.type != SPOOL_OUTPUT && e.type != SPOOL_NOTE)
            continue;
        later = !text->len && e.wall_ms > p->ms;
        ship_text_add(text, &e);
    }
    spool_reader_close(r);
    return !later && at == p->end && text->len > 0 &&
           (!p->has_sum || ship_sum(run, buf_str(text)) == p->sum);
}

/* Where an event of the batch may begin. All that stands before its first one of a run
 * was at the server when it was made, whether `acked` says so or not; between two there
 * are exit records. */
static bool follows(const struct run *run, const struct part *p, bool first)
{
    return p->end > run->ship.read && p->begin >= run->ship.read &&
           (first || p[-1].end <= run->ship.read);
}

/* Events keep their places in the batch, as its windows are named by them. */
static void restore_part(struct ship *s, size_t i)
{
    struct part *p = &s->batch.parts[i];
    struct run *run = runs_find(s->master->runs, p->task);
    bool first = i == 0 || strcmp(p[-1].task, p->task) != 0;
    auto_buf text = BUF_INIT;
    if (!run) {
        p->task[0] = '\0';
        return;
    }
    if (!follows(run, p, first) || !read_text(run, p, &text))
        return;
    if (first && run->ship.acked < p->begin)
        run->ship.acked = p->begin;
    if (p->ms > run->ship.last_ms)
        run->ship.last_ms = p->ms;
    run->ship.read = p->end;
    p->event = ship_event_make(run, buf_str(&text), p->ms);
}

static bool parse_part(const char *line, struct part *p)
{
    int end = 0, more = 0;
    memset(p, 0, sizeof *p);
    _Static_assert(TASK_ID_SIZE == 65, "as in the format below");
    if (sscanf(line, "%64s %" SCNu64 " %" SCNu64 " %" SCNd64 "%n", p->task, &p->begin,
               &p->end, &p->ms, &end) != 4)
        return false;
    p->has_sum = line[end] == ' ' && sscanf(line + end, " %8x%n", &p->sum, &more) == 1;
    return line[end + more] == '\n' && id_valid(p->task) && p->begin < p->end;
}

static void parse_parts(struct batch *b, const char *line)
{
    struct part p;
    for (; line && parse_part(line, &p); line = strchr(line, '\n') + 1) {
        b->parts = xreallocarray(b->parts, b->count + 1, sizeof *b->parts);
        b->parts[b->count++] = p;
    }
}

/* A slot's name and number; returns the first line of its events, or NULL. */
static const char *parse_head(const char *body, char epoch[33], uint64_t *number)
{
    int end = 0;
    if (sscanf(body, "%32s %" SCNu64 "%n", epoch, number, &end) != 2 ||
        body[end] != '\n' || !id_valid(epoch))
        return NULL;
    return body + end + 1;
}

enum slot { SLOT_NONE, SLOT_DAMAGED, SLOT_SOUND };

/* body: what follows the head, a string. */
static enum slot read_slot(const struct ship *s, unsigned slot, struct buf *body)
{
    char head[HEAD_BYTES + 1] = "";
    unsigned len, crc;
    int end = 0;
    off_t at = (off_t)slot * SLOT_BYTES;
    if (fd_pread_full(s->journal, head, HEAD_BYTES, at) < 0 ||
        strncmp(head, MAGIC, sizeof MAGIC - 1) != 0)
        return SLOT_NONE;
    if (sscanf(head, MAGIC "%8x %8x%n", &len, &crc, &end) != 2 || head[end] != '\n' ||
        len > SLOT_BYTES)
        return SLOT_DAMAGED;
    char *to = buf_reserve(body, len);
    if (fd_pread_full(s->journal, to, len, at + end + 1) != (ssize_t)len ||
        crc != crc32c(0, to, len) || memchr(to, '\0', len))
        return SLOT_DAMAGED;
    body->len = len;
    return SLOT_SOUND;
}

/* The newest sound slot. */
static bool find_slot(struct ship *s, struct buf *newest)
{
    bool damaged = false;
    for (unsigned i = 0; i < 2; i++) {
        auto_buf body = BUF_INIT;
        char epoch[sizeof s->epoch];
        uint64_t number;
        enum slot found = read_slot(s, i, &body);
        damaged = damaged || found == SLOT_DAMAGED;
        if (found != SLOT_SOUND || !parse_head(buf_str(&body), epoch, &number) ||
            (newest->len && number <= s->number))
            continue;
        s->number = number;
        buf_clear(newest);
        buf_add(newest, body.data, body.len);
    }
    if (damaged && !newest->len)
        log_warn("$STATE/batch is damaged: lines that were on their way may come "
                 "twice");
    return newest->len > 0;
}

/* That of an earlier version, from which this one may have been upgraded in place: the
 * same in one piece and without sums, "crc <hex>" behind it. */
static bool read_first_version(const struct ship *s, struct buf *body)
{
    auto_buf text = BUF_INIT;
    char *to = buf_reserve(&text, 2 * SLOT_BYTES);
    ssize_t n = fd_pread_full(s->journal, to, 2 * SLOT_BYTES, 0);
    text.len = n > 0 ? strnlen(to, (size_t)n) : 0;
    const char *begin = buf_str(&text), *end = strstr(begin, "\ncrc ");
    unsigned crc;
    if (strncmp(begin, FIRST_MAGIC, sizeof FIRST_MAGIC - 1) != 0 || !end++ ||
        sscanf(end, "crc %8x\n", &crc) != 1 ||
        crc != crc32c(0, begin, (size_t)(end - begin)))
        return false;
    begin += sizeof FIRST_MAGIC - 1;
    buf_add(body, begin, (size_t)(end - begin));
    return true;
}

bool ship_journal_read(struct ship *s)
{
    auto_buf newest = BUF_INIT;
    char epoch[sizeof s->epoch];
    uint64_t number;
    bool open = false;
    if (s->journal < 0 || (!find_slot(s, &newest) && !read_first_version(s, &newest)))
        return false;
    const char *events = parse_head(buf_str(&newest), epoch, &number);
    if (!events)
        return false;
    s->number = number;
    parse_parts(&s->batch, events);
    for (size_t i = 0; i < s->batch.count; i++) {
        restore_part(s, i);
        open = open || s->batch.parts[i].event;
    }
    if (open)
        memcpy(s->epoch, epoch, sizeof epoch);
    return open;
}
