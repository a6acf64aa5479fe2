/* json-text.h - JSON written straight into a buffer, where a tree would cost too much
 */
#ifndef REEVE_JSON_TEXT_H
#define REEVE_JSON_TEXT_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

/* Appends n bytes of sound UTF-8 as a JSON string, quotes included. */
void json_text_string(struct buf *out, const char *s, size_t n);
/* The shortest form that reads back as the same number; null for NaN and infinities. */
void json_text_number(struct buf *out, double value);
void json_text_int(struct buf *out, int64_t value);

#endif
