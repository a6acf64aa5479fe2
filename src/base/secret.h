/* secret.h - comparing secrets */
#ifndef REEVE_SECRET_H
#define REEVE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* Compares n bytes in a time that does not depend on where they differ. */
static inline bool secret_equal(const void *a, const void *b, size_t n)
{
    const volatile unsigned char *p = a, *q = b;
    unsigned char diff = 0;
    for (size_t i = 0; i < n; i++)
        diff |= (unsigned char)(p[i] ^ q[i]);
    return diff == 0;
}

#endif
