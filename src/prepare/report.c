/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "prepare/report.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 4000
#define STATUS_MAX_BYTES 900 /* less than PIPE_BUF: a status line is never torn */

static struct buf held = BUF_INIT;

/* Tabs and newlines are printable to utf8_add_printable, but not inside one line. */
static void add_one_line(struct buf *out, const char *text, size_t max)
{
    auto_buf printable = BUF_INIT;
    utf8_add_printable(&printable, text, strlen(text));
    size_t start = out->len;
    for (size_t i = 0; i < printable.len && out->len - start < max; i++) {
        if (printable.data[i] == '\n')
            buf_add_str(out, "\\x0a");
        else
            buf_add_char(out, printable.data[i]);
    }
    /* A cut may have split a character. */
    out->len = start + utf8_sound(out->data + start, out->len - start);
    buf_add_char(out, '\n');
}

static void write_held(const struct report *r)
{
    fd_write_all(r->log_fd, held.data, held.len);
    buf_free(&held);
}

void report_line(const struct report *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    auto_free char *text = NULL;
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0) {
        text = NULL;
        return;
    }
    add_one_line(&held, text, LINE_MAX_BYTES);
    if (!r->hold)
        write_held(r);
}

void report_release(struct report *r)
{
    r->hold = false;
    write_held(r);
}

void report_step(struct report *r, const char *name)
{
    r->step = name;
    char line[64];
    int n = snprintf(line, sizeof line, "step %s\n", name);
    fd_write_all(r->status_fd, line, (size_t)n);
}

void report_fail(struct report *r, const char *text)
{
    report_release(r);
    report_line(r, "reeve: %s failed: %s", r->step, text);
    auto_buf line = BUF_INIT;
    buf_printf(&line, "fail %s ", r->step);
    add_one_line(&line, text, STATUS_MAX_BYTES);
    fd_write_all(r->status_fd, line.data, line.len);
}
