/* utf8.h - bytes of unknown origin made safe to send and to show */
#ifndef REEVE_UTF8_H
#define REEVE_UTF8_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* Length of the sound UTF-8 sequence at p (1 to 4), 0 if the bytes are none, -1 if they
 * could become one with more input. n > 0. */
int utf8_sequence(const char *p, size_t n);
bool utf8_valid(const char *p, size_t n);
/* How many bytes from the beginning are sound: of a text that was cut, all but half a
 * character at its end. */
size_t utf8_sound(const char *p, size_t n);
/* Ends the text there. */
void utf8_trim(char *text);
/* How many characters that is, as Python counts them. */
size_t utf8_count(const char *p, size_t n);
/* Appends p with each unsound byte replaced by U+FFFD, as Python's errors="replace"
 * does. */
void utf8_add_safe(struct buf *out, const char *p, size_t n);
/* Appends p for a terminal: control bytes but tab and newline as \xNN. */
void utf8_add_printable(struct buf *out, const char *p, size_t n);

#endif
