/* buf.h - a growing byte buffer, always followed by a NUL that len does not count */
#ifndef REEVE_BUF_H
#define REEVE_BUF_H

#include <stddef.h>

struct buf {
    char *data; /* NULL while empty and never written */
    size_t len;
    size_t cap;
};

#define BUF_INIT                                                                       \
    {                                                                                  \
        NULL, 0, 0                                                                     \
    }

void buf_free(struct buf *b);
/* Forgets the content, keeps the memory. */
void buf_clear(struct buf *b);
/* Makes room for n more bytes and returns where they go; the caller adds to len. */
char *buf_reserve(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *data, size_t n);
void buf_add_str(struct buf *b, const char *s);
void buf_add_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Removes the first n bytes. */
void buf_consume(struct buf *b, size_t n);
/* Never NULL. Valid until the next mutating call. */
const char *buf_str(const struct buf *b);
/* Hands the content to the caller, who frees it; the buffer is empty afterwards. */
char *buf_take(struct buf *b);

#define auto_buf __attribute__((cleanup(buf_free))) struct buf

#endif
