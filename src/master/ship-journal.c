/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* A master that is killed with a batch under way cannot know whether the server has it.
 * So the batch is on disk before it is sent: its name, and of each event the run, the
 * stretch of its spool and the time stamp. The next master makes the very same events
 * again, looks which of them the server has, and sends the rest under the same name.
 *
 * The file: "reeve-batch 1 <epoch> <number>", a line "<task> <begin> <end> <ms>" for
 * each event, "crc <hex>" over what stands before it. */

#include "master/ship-internal.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "base/record.h"
#include "master/master.h"
#include "run/run-dir.h"

#include <stdio.h>
#include <string.h>

#define JOURNAL_MAX (1 << 20)

static char *journal_path_dup(const struct ship *s)
{
    return path_join_dup(s->master->state_root, "batch");
}

void ship_journal_write(struct ship *s)
{
    auto_buf text = BUF_INIT;
    buf_printf(&text, "reeve-batch 1 %s %" PRIu64 "\n", s->epoch, s->number);
    for (size_t i = 0; i < s->batch.count; i++) {
        const struct part *p = &s->batch.parts[i];
        buf_printf(&text, "%s %" PRIu64 " %" PRIu64 " %" PRId64 "\n", p->task, p->begin,
                   p->end, p->ms);
    }
    uint32_t crc = crc32c(0, text.data, text.len);
    buf_printf(&text, "crc %08x\n", crc);
    auto_free char *path = journal_path_dup(s);
    struct reeve_error err;
    int result = file_renew(path, text.data, text.len, 0600, &err);
    ship_tell_write(&s->journal_failing, result, &err);
}

/* The event's text from the spool; false if it is not there any more. */
static bool read_text(struct run *run, const struct part *p, struct buf *text)
{
    auto_free char *dir = run_dir_dup(run->master->state_root, run->id);
    struct spool_entry e;
    struct spool_reader *r = spool_reader_open(dir, p->begin, NULL);
    uint64_t at = p->begin;
    while (r && at < p->end && spool_reader_next(r, &e, NULL) == 1 && e.offset == at &&
           e.next <= p->end) {
        at = e.next;
        if (e.type == SPOOL_OUTPUT || e.type == SPOOL_NOTE)
            ship_text_add(text, &e);
    }
    spool_reader_close(r);
    return at == p->end && text->len > 0;
}

/* Events keep their places in the batch, as its windows are named by them. */
static void restore_part(struct ship *s, struct part *p)
{
    struct run *run = runs_find(s->master->runs, p->task);
    auto_buf text = BUF_INIT;
    if (!run) {
        p->task[0] = '\0';
        return;
    }
    if (p->ms > run->ship.last_ms)
        run->ship.last_ms = p->ms;
    if (p->end <= run->ship.read || p->begin != run->ship.read ||
        !read_text(run, p, &text))
        return;
    run->ship.read = p->end;
    p->event = ship_event_make(run, buf_str(&text), p->ms);
}

static bool parse_part(const char *line, struct part *p)
{
    int end = 0;
    memset(p, 0, sizeof *p);
    _Static_assert(TASK_ID_SIZE == 65, "as in the format below");
    return sscanf(line, "%64s %" SCNu64 " %" SCNu64 " %" SCNd64 "%n", p->task,
                  &p->begin, &p->end, &p->ms, &end) == 4 &&
           line[end] == '\n' && id_valid(p->task) && p->begin < p->end;
}

static void parse_parts(struct ship *s, const char *line)
{
    struct part p;
    for (; line && parse_part(line, &p); line = strchr(line, '\n') + 1) {
        struct batch *b = &s->batch;
        b->parts = xreallocarray(b->parts, b->count + 1, sizeof *b->parts);
        b->parts[b->count++] = p;
    }
}

/* The first line after the head, or NULL if this is no journal. */
static const char *parse_head(struct ship *s, const char *text)
{
    char epoch[sizeof s->epoch];
    uint64_t number;
    int end = 0;
    _Static_assert(sizeof s->epoch == 33, "as in the format below");
    if (sscanf(text, "reeve-batch 1 %32s %" SCNu64 "%n", epoch, &number, &end) != 2 ||
        text[end] != '\n' || !id_valid(epoch))
        return NULL;
    memcpy(s->epoch, epoch, sizeof epoch);
    s->number = number;
    return text + end + 1;
}

static bool sound(struct buf *text)
{
    unsigned crc;
    char *line = strstr(buf_str(text), "\ncrc ");
    if (!line || sscanf(line + 1, "crc %8x\n", &crc) != 1 ||
        crc != crc32c(0, text->data, (size_t)(line + 1 - text->data)))
        return false;
    line[1] = '\0';
    return true;
}

bool ship_journal_read(struct ship *s)
{
    auto_free char *path = journal_path_dup(s);
    auto_buf text = BUF_INIT;
    if (file_read(path, &text, JOURNAL_MAX, NULL) < 0)
        return false;
    if (!sound(&text)) {
        log_warn("%s is damaged: lines that were on their way may come twice", path);
        return false;
    }
    parse_parts(s, parse_head(s, text.data));
    bool open = false;
    for (size_t i = 0; i < s->batch.count; i++) {
        restore_part(s, &s->batch.parts[i]);
        open = open || s->batch.parts[i].event;
    }
    return open;
}
