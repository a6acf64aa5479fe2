/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be masked, a line, and where it is cut: no value shows, nothing grows. */
#include "config.h"

#include "base/masker.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first value, if it is one line that is whole after a cut: a value within a value
 * or a mask that makes one is no fault. */
static void check(const char *value, size_t n, const char *out, size_t len)
{
    if (n >= MASKER_VALUE_MIN && n < 1024 && !memchr(value, '*', n) &&
        !memchr(value, '\n', n) && !memchr(value, '\r', n) && !memchr(value, '\0', n) &&
        memmem(out, len, value, n))
        abort();
}

/* A byte for the value's length, one for a cut; the rest is the line. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t n = data[0] < size - 2 ? data[0] : size - 2;
    const char *value = (const char *)data + 2, *line = value + n;
    size_t len = size - 2 - n;
    struct masker *m = masker_create();
    masker_add_value(m, value, n);
    masker_add_name(m, "NAME", 4);
    masker_add_name(m, "A*", 2);
    char *out = malloc(len + 1);
    size_t there = data[1] < len ? data[1] : len, cut = masker_cut(m, line, there);
    if (cut > there)
        abort();
    memcpy(out, line, len);
    size_t head = masker_apply(m, out, cut);
    size_t tail = masker_apply(m, out + cut, len - cut);
    if (head > cut || tail > len - cut)
        abort();
    memmove(out + head, out + cut, tail);
    check(value, n, out, head + tail);
    free(out);
    masker_destroy(m);
    return 0;
}
