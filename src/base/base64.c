/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/base64.h"

#include <stdint.h>

void base64_add(struct buf *out, const void *data, size_t n)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t v = (uint32_t)p[i] << 16;
        if (left > 1)
            v |= (uint32_t)p[i + 1] << 8;
        if (left > 2)
            v |= p[i + 2];
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63],
                        left > 1 ? digits[v >> 6 & 63] : '=',
                        left > 2 ? digits[v & 63] : '='};
        buf_add(out, four, sizeof four);
    }
}

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    if (c == '/' || c == '_')
        return 63;
    return -1;
}

int base64_decode(const char *text, size_t n, struct buf *out)
{
    size_t start = out->len;
    if (n % 4 == 0 && n && text[n - 1] == '=')
        n -= text[n - 2] == '=' ? 2 : 1;
    if (n % 4 == 1)
        return -1;
    uint32_t v = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < n; i++) {
        int d = digit(text[i]);
        if (d < 0) {
            out->len = start;
            if (out->data)
                out->data[start] = '\0';
            return -1;
        }
        v = v << 6 | (uint32_t)d;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            buf_add_char(out, (char)(v >> bits & 0xff));
        }
    }
    return 0;
}
