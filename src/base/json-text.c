/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/json-text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void add_escaped(struct buf *out, unsigned char c)
{
    static const char shorts[32] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    char text[8] = {'\\', (char)c, '\0'};
    if (c < 32 && shorts[c])
        text[1] = shorts[c];
    else if (c < 32)
        snprintf(text, sizeof text, "\\u%04x", c);
    buf_add_str(out, text);
}

void json_text_string(struct buf *out, const char *s, size_t n)
{
    buf_reserve(out, n + 2);
    buf_add_char(out, '"');
    size_t start = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c >= 32 && c != '"' && c != '\\')
            continue;
        buf_add(out, s + start, i - start);
        add_escaped(out, c);
        start = i + 1;
    }
    buf_add(out, s + start, n - start);
    buf_add_char(out, '"');
}

void json_text_number(struct buf *out, double value)
{
    if (!isfinite(value)) {
        buf_add_str(out, "null");
        return;
    }
    if (value == trunc(value) && fabs(value) < 1e15) {
        json_text_int(out, (int64_t)value);
        return;
    }
    char text[32];
    snprintf(text, sizeof text, "%.15g", value);
    if (strtod(text, NULL) != value)
        snprintf(text, sizeof text, "%.17g", value);
    buf_add_str(out, text);
}

void json_text_int(struct buf *out, int64_t value)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%" PRId64, value);
    buf_add(out, text, (size_t)n);
}
