/* lines.h - a payload's bytes turned into the lines that a log shows
 *
 * As clearml-agent does it (wire.md, 2.5): of a line with carriage returns what follows
 * the last one (or, if that is nothing, what is before it), backspaces dropped, a line
 * that only resets the terminal's colour left out. Bytes that are no UTF-8, and NULs,
 * become U+FFFD. A pure function of the bytes, so that a replacement that starts again
 * at a recorded offset makes the same lines. */
#ifndef REEVE_LINES_H
#define REEVE_LINES_H

#include "base/masker.h"
#include "run/spool.h"

#include <stdbool.h>
#include <stddef.h>

/* A line of as many bytes without a newline is cut. */
#define LINES_WINDOW SPOOL_TEXT_MAX

enum lines_mode {
    LINES_WAIT,   /* complete lines, and what is cut because the window is full */
    LINES_PAUSED, /* also the rest, but for bytes that may become a character */
    LINES_END     /* everything */
};

/* Makes text, with secrets hidden by m (or NULL), of raw's n <= LINES_WINDOW bytes, as
 * much as one record takes; each line in out ends in a newline. Returns how many bytes
 * are done with, 0 if more must come first; *text_len is 0 where bytes were passed over
 * that make no text. visible: nothing is passed over, since what has no record can't be
 * given up in the raw file. Of a line that is cut, what may be the beginning of a
 * secret stays for the next record, but at the end. */
size_t lines_take(const struct masker *m, const char *raw, size_t n,
                  enum lines_mode mode, bool visible, char out[SPOOL_TEXT_MAX],
                  size_t *text_len);

#endif
