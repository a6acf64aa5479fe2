/* base64.h - bytes as text: RFC 4648, both alphabets */
#ifndef REEVE_BASE64_H
#define REEVE_BASE64_H

#include "base/buf.h"

#include <stddef.h>

/* Appends n bytes in the standard alphabet, padded. */
void base64_add(struct buf *out, const void *data, size_t n);
/* Appends the bytes that text stands for: standard or URL alphabet, padded or not. 0,
 * or -1 if it is no base64 (a foreign byte, white space, one character too many);
 * out is then as it was. */
int base64_decode(const char *text, size_t n, struct buf *out);

#endif
