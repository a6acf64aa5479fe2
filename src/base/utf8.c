/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/utf8.h"

#include <string.h>

static bool continuation(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

int utf8_sequence(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    if (p[0] < 0x80)
        return 1;
    int len = p[0] >= 0xc2 && p[0] <= 0xdf   ? 2
              : p[0] >= 0xe0 && p[0] <= 0xef ? 3
              : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                             : 0;
    if (!len)
        return 0;
    for (int i = 1; i < len; i++) {
        if ((size_t)i >= n)
            return -1;
        if (!continuation(p[i]))
            return 0;
        /* Overlong forms, surrogates and what lies above U+10FFFF (RFC 3629, section
         * 4). */
        if (i == 1 && ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
                       (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)))
            return 0;
    }
    return len;
}

size_t utf8_sound(const char *p, size_t n)
{
    size_t i = 0;
    while (i < n) {
        int len = utf8_sequence(p + i, n - i);
        if (len <= 0)
            break;
        i += (size_t)len;
    }
    return i;
}

bool utf8_valid(const char *p, size_t n)
{
    return utf8_sound(p, n) == n;
}

void utf8_trim(char *text)
{
    text[utf8_sound(text, strlen(text))] = '\0';
}

size_t utf8_count(const char *p, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += !continuation((unsigned char)p[i]);
    return count;
}

void utf8_add_safe(struct buf *out, const char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        int len = utf8_sequence(p + i, n - i);
        if (len > 0) {
            buf_add(out, p + i, (size_t)len);
            i += (size_t)len;
        } else {
            buf_add(out, "\xef\xbf\xbd", 3);
            i++;
        }
    }
}

void utf8_add_printable(struct buf *out, const char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        int len = utf8_sequence(p + i, n - i);
        unsigned char c = (unsigned char)p[i];
        if (len == 1 && (c < 0x20 || c == 0x7f) && c != '\t' && c != '\n')
            buf_printf(out, "\\x%02x", c);
        else if (len == 2 && c == 0xc2 && (unsigned char)p[i + 1] < 0xa0)
            buf_printf(out, "\\x%02x", (unsigned char)p[i + 1]);
        else if (len > 0)
            buf_add(out, p + i, (size_t)len);
        else
            buf_add(out, "\xef\xbf\xbd", 3);
        i += len > 0 ? (size_t)len : 1;
    }
}
