/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* Lines of reeve's own in a run's log. While a sub-agent lives nobody else may write
 * there: one that is not connected just now is waited for. */

#include "master/run.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "master/link.h"
#include "master/master.h"
#include "master/run-mask.h"
#include "master/ship.h"
#include "run/run-dir.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NOTE_MAX 1024
#define HELD_MAX (16u << 10)

uint32_t run_note_attempt(const struct run *run)
{
    return run->attempt - (run->attempt && !run->start_sent);
}

static int add_to_spool(struct run *run, const char *dir, const char *text,
                        struct reeve_error *err)
{
    uint64_t raw_end;
    struct spool_writer *w = spool_writer_open(dir, &raw_end, err);
    int result = w ? spool_writer_add(w, SPOOL_NOTE, run_note_attempt(run),
                                      clock_wall_ms(), raw_end, text, strlen(text), err)
                   : -1;
    spool_writer_close(w);
    return result;
}

static int note_to_spool(struct run *run, const char *note, struct reeve_error *err)
{
    char text[NOTE_MAX];
    snprintf(text, sizeof text, "%s", note);
    struct masker *masker = run_mask_create(run->master->config, NULL);
    text[masker_apply(masker, text, strlen(text))] = '\0';
    masker_destroy(masker);
    auto_free char *dir = run_dir_dup(run->master->state_root, run->id);
    auto_close lock = run_lock(dir, err);
    if (lock < 0 || add_to_spool(run, dir, text, err) < 0)
        return -1;
    ship_wake(run);
    return 0;
}

static void hold(struct run *run, const char *text)
{
    size_t n = strlen(text) + 1;
    if (run->notes.len + n > HELD_MAX)
        log_warn("task=%s note not written: %s", run->id, text);
    else
        buf_add(&run->notes, text, n);
}

/* False: not now. */
static bool write_note(struct run *run, const char *text)
{
    struct reeve_error err;
    if (run->peer) {
        link_note(run, text);
        return true;
    }
    if (run->agent_pidfd >= 0)
        return false;
    if (note_to_spool(run, text, &err) == 0)
        return true;
    log_warn("task=%s note not written yet: %s", run->id, err.text);
    return false;
}

void run_notes_flush(struct run *run)
{
    size_t done = 0;
    while (done < run->notes.len && write_note(run, run->notes.data + done))
        done += strlen(run->notes.data + done) + 1;
    if (done && done == run->notes.len) {
        buf_free(&run->notes);
        run->notes_due = false;
    } else if (done) {
        buf_consume(&run->notes, done);
    }
}

void run_note(struct run *run, const char *fmt, ...)
{
    char text[NOTE_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    run_notes_flush(run);
    if (run->notes.len || !write_note(run, text))
        hold(run, text);
}

void run_notes_free(struct run *run)
{
    for (size_t at = 0; at < run->notes.len; at += strlen(run->notes.data + at) + 1)
        log_warn("task=%s note not written: %s", run->id, run->notes.data + at);
    buf_free(&run->notes);
}
