/* screen.h - a terminal that is drawn anew: its other screen, keys without Enter
 *
 * Plain escape codes that every terminal of the last decades knows; whatever ends the
 * program by a signal that can be caught gives the terminal back as it was. */
#ifndef REEVE_SCREEN_H
#define REEVE_SCREEN_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* Takes the terminal of standard input and output. 0, or -1 with err. */
int screen_open(struct reeve_error *err);
/* Gives it back; more than once is fine. */
void screen_close(void);
void screen_size(size_t *rows, size_t *columns);
/* Shows the first lines and columns of the text, as many as there is room for. */
void screen_draw(const char *text, size_t length);
/* The next key within ms; 0: none, or the size has changed; -1: a signal or the end of
 * the input wants the end. */
int screen_key(int64_t ms);

/* Appends at most `columns` characters of each of the first `rows` lines. */
struct buf;
void screen_clip(struct buf *out, const char *text, size_t length, size_t rows,
                 size_t columns);

#endif
