/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "subagent/lines.h"
#include "base/utf8.h"

#include <string.h>

struct span {
    const char *p;
    size_t n;
};

static struct span after_last_cr(const char *p, size_t n)
{
    const char *cr = memrchr(p, '\r', n);
    if (!cr)
        return (struct span){p, n};
    if (cr + 1 < p + n)
        return (struct span){cr + 1, (size_t)(p + n - cr - 1)};
    const char *before = memrchr(p, '\r', (size_t)(cr - p));
    const char *start = before ? before + 1 : p;
    return (struct span){start, (size_t)(cr - start)};
}

static bool resets_colour(struct span s)
{
    return s.n == 4 && memcmp(s.p, "\x1b[0m", 4) == 0;
}

static bool plain(unsigned char c)
{
    return c < 0x80 && c != '\0' && c != '\b';
}

/* Copies s into room bytes, made safe; returns how much of s that took. hold: bytes at
 * the end that may become a character stay. */
static size_t convert(struct span s, bool hold, char *out, size_t room, size_t *len)
{
    size_t i = 0, o = 0;
    while (i < s.n) {
        size_t run = i;
        while (run < s.n && run - i < room - o && plain((unsigned char)s.p[run]))
            run++;
        memcpy(out + o, s.p + i, run - i);
        o += run - i;
        i = run;
        if (i == s.n || (o == room && s.p[i] != '\b'))
            break;
        int seq = utf8_sequence(s.p + i, s.n - i);
        size_t need = s.p[i] == '\b' ? 0 : seq > 0 && s.p[i] ? (size_t)seq : 3;
        if ((seq < 0 && hold) || need > room - o)
            break;
        if (need)
            memcpy(out + o, seq > 0 && s.p[i] ? s.p + i : "\xef\xbf\xbd", need);
        o += need;
        i += seq > 0 ? (size_t)seq : 1;
    }
    *len = o;
    return i;
}

/* Copies as much of a line without its end as may be shown: a secret that is cut in two
 * would be found in neither half. */
static size_t convert_cut(const struct masker *m, struct span s, bool hold, char *out,
                          size_t *len)
{
    size_t used = convert(s, hold, out, SPOOL_TEXT_MAX - 1, len);
    size_t keep = masker_cut(m, out, *len);
    return keep < *len ? convert(s, hold, out, keep, len) : used;
}

/* What follows the last newline. */
static size_t take_rest(const struct masker *m, const char *raw, size_t n,
                        enum lines_mode mode, bool visible, char *out, size_t *text_len)
{
    bool full = n == LINES_WINDOW;
    if (mode == LINES_WAIT && !full)
        return 0;
    struct span s = after_last_cr(raw, n);
    size_t before = (size_t)(s.p - raw);
    if (!visible && mode == LINES_WAIT && before > 0)
        return before;
    if (!visible && resets_colour(s))
        return n;
    size_t len, used;
    if (mode == LINES_END)
        used = convert(s, false, out, SPOOL_TEXT_MAX - 1, &len);
    else
        used = convert_cut(m, s, true, out, &len);
    /* Bytes that have waited alone will not become a character. */
    if (used == 0 && s.n > 0 && mode != LINES_END)
        used = convert_cut(m, s, false, out, &len);
    if (used == 0 && s.n > 0 && !full)
        return visible ? 0 : before;
    /* No secret is as long. */
    if (used == 0 && s.n > 0)
        used = convert(s, false, out, SPOOL_TEXT_MAX - 1, &len);
    out[len] = '\n';
    *text_len = masker_apply(m, out, len + 1);
    return used == s.n ? n : before + used;
}

size_t lines_take(const struct masker *m, const char *raw, size_t n,
                  enum lines_mode mode, bool visible, char out[SPOOL_TEXT_MAX],
                  size_t *text_len)
{
    size_t used = 0, len = 0, made;
    *text_len = 0;
    while (used < n) {
        const char *newline = memchr(raw + used, '\n', n - used);
        if (!newline)
            break;
        struct span s = after_last_cr(raw + used, (size_t)(newline - raw) - used);
        size_t next = (size_t)(newline - raw) + 1;
        if (resets_colour(s) && !visible) {
            used = next;
            continue;
        }
        if (len == SPOOL_TEXT_MAX)
            break;
        size_t done = convert(s, false, out + len, SPOOL_TEXT_MAX - 1 - len, &made);
        bool whole = done == s.n;
        if (!whole && len > 0)
            break;
        size_t keep = whole ? made : masker_cut(m, out, made);
        if (keep > 0 && keep < made)
            done = convert(s, false, out, keep, &made);
        len += made;
        out[len++] = '\n';
        used = whole ? next : (size_t)(s.p - raw) + done;
        if (!whole)
            break;
    }
    *text_len = masker_apply(m, out, len);
    if (used == 0 && n > 0)
        return take_rest(m, raw, n, mode, visible, out, text_len);
    return used;
}
