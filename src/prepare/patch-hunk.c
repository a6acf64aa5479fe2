/* SPDX-License-Identifier: Apache-2.0 */
/* Placing the hunks of one file: text in, text out. */
#include "config.h"

#include "base/alloc.h"
#include "prepare/patch-apply.h"

#include <string.h>

struct line {
    const char *p;
    size_t n; /* without the newline */
    bool newline;
};

struct lines {
    struct line *v;
    size_t n, cap;
};

static void lines_free(struct lines *l)
{
    free(l->v);
}
#define auto_lines __attribute__((cleanup(lines_free))) struct lines

static void lines_add(struct lines *l, const char *p, size_t n, bool newline)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->v = xreallocarray(l->v, l->cap, sizeof *l->v);
    }
    l->v[l->n++] = (struct line){p, n, newline};
}

static void lines_split(struct lines *l, const char *p, size_t n)
{
    for (const char *end = p + n; p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((newline ? newline : end) - p);
        lines_add(l, p, len, newline != NULL);
        p += len + 1;
    }
}

static void lines_write(struct buf *out, const struct lines *l, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        buf_add(out, l->v[i].p, l->v[i].n);
        if (l->v[i].newline)
            buf_add_char(out, '\n');
    }
}

/* What the hunk expects and what it leaves. */
static void hunk_sides(const struct patch_hunk *h, struct lines *old, struct lines *new)
{
    char last = 0;
    for (const char *p = h->body, *end = h->body + h->body_len; p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((newline ? newline : end) - p);
        char c = n == 0 || (n == 1 && p[0] == '\r') ? ' ' : p[0];
        size_t skip = n > 0 && p[0] == c;
        if (c == '\\') {
            if (last != '+' && old->n)
                old->v[old->n - 1].newline = false;
            if (last != '-' && new->n)
                new->v[new->n - 1].newline = false;
        }
        if (c == ' ' || c == '-')
            lines_add(old, p + skip, n - skip, true);
        if (c == ' ' || c == '+')
            lines_add(new, p + skip, n - skip, true);
        last = c;
        p += n + 1;
    }
}

static bool matches_at(const struct lines *file, const struct lines *old, size_t at)
{
    if (old->n > file->n || at > file->n - old->n)
        return false;
    for (size_t i = 0; i < old->n; i++) {
        const struct line *a = &file->v[at + i], *b = &old->v[i];
        if (a->n != b->n || a->newline != b->newline || memcmp(a->p, b->p, a->n) != 0)
            return false;
    }
    return true;
}

/* Where the hunk goes, not before `from`, nearest to `expected`; -1: nowhere. */
static ssize_t find_place(const struct lines *file, const struct lines *old,
                          size_t from, size_t expected)
{
    if (expected < from)
        expected = from;
    if (expected > file->n)
        expected = file->n;
    /* Without anything to compare the header alone decides. */
    if (old->n == 0)
        return (ssize_t)expected;
    for (size_t step = 0;; step++) {
        bool below = expected + step + old->n <= file->n;
        bool above = step <= expected - from;
        if (!below && !above)
            return -1;
        if (below && matches_at(file, old, expected + step))
            return (ssize_t)(expected + step);
        if (above && matches_at(file, old, expected - step))
            return (ssize_t)(expected - step);
    }
}

/* An insertion after the last line needs that line's end, which a diff with context
 * would have shown as changed. */
static bool insertion_fits(const struct lines *file, const struct lines *old,
                           const struct lines *new, size_t at)
{
    return old->n || !new->n || at == 0 || file->v[at - 1].newline;
}

int patch_apply_hunks(const struct patch_file *f, const char *content, size_t n,
                      struct buf *out, struct reeve_error *err)
{
    auto_lines file = {0};
    lines_split(&file, content, n);
    size_t done = 0;
    ptrdiff_t drift = 0; /* how far the last hunk was from where it should be */
    for (size_t i = 0; i < f->hunk_count; i++) {
        const struct patch_hunk *h = &f->hunks[i];
        auto_lines old = {0}, new = {0};
        hunk_sides(h, &old, &new);
        /* "-5,0" means after line 5, "-5,2" means from line 5. */
        size_t stated =
            h->old_lines == 0 || h->old_start == 0 ? h->old_start : h->old_start - 1;
        ptrdiff_t expected = (ptrdiff_t)stated + drift;
        ssize_t at = find_place(&file, &old, done, expected < 0 ? 0 : (size_t)expected);
        if (at < 0 || !insertion_fits(&file, &old, &new, (size_t)at))
            return reeve_error_set(
                err, 0, "hunk %zu (@@ -%zu,%zu +%zu,%zu @@) does not fit", h->number,
                h->old_start, h->old_lines, h->new_start, h->new_lines);
        lines_write(out, &file, done, (size_t)at);
        lines_write(out, &new, 0, new.n);
        done = (size_t)at + old.n;
        drift = at - (ptrdiff_t)stated;
    }
    lines_write(out, &file, done, file.n);
    return 0;
}
