/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "prepare/patch.h"
#include "base/alloc.h"
#include "base/buf.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

#define LINES_MAX 100000000 /* keeps sums of line numbers far from overflow */

/* Where the reader is; a line is [line, line + len), without its newline. */
struct reader {
    const char *at, *end;
    const char *line;
    size_t len;
    size_t number;
};

static bool next_line(struct reader *r)
{
    if (r->at >= r->end)
        return false;
    const char *newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
    r->line = r->at;
    r->len = (size_t)((newline ? newline : r->end) - r->at);
    r->at = newline ? newline + 1 : r->end;
    r->number++;
    return true;
}

static void unread_line(struct reader *r)
{
    r->at = r->line;
    r->number--;
}

static bool starts(const struct reader *r, const char *prefix)
{
    size_t n = strlen(prefix);
    return r->len >= n && memcmp(r->line, prefix, n) == 0;
}

bool patch_is_diff(const char *text)
{
    text += strspn(text, " \t\r\n\v\f");
    if (strncasecmp(text, "diff ", 5) == 0)
        return true;
    if (strncasecmp(text, "submodule ", 10) != 0)
        return false;
    const char *second = text + strcspn(text, "\n");
    second += strspn(second, " \t\r\n\v\f");
    return strncasecmp(second, "diff ", 5) == 0;
}

/* A C-style quoted name, as git writes names with special bytes. Returns how many bytes
 * it took, 0 if it is unsound. */
static size_t unquote(const char *p, size_t n, struct buf *out)
{
    static const char letters[] = "abtnvfr\"\\", bytes[] = "\a\b\t\n\v\f\r\"\\";
    for (size_t i = 1; i < n; i++) {
        if (p[i] == '"')
            return i + 1;
        if (p[i] != '\\') {
            buf_add_char(out, p[i]);
            continue;
        }
        if (++i >= n)
            return 0;
        const char *letter = p[i] ? strchr(letters, p[i]) : NULL;
        if (letter) {
            buf_add_char(out, bytes[letter - letters]);
        } else if (i + 2 < n && p[i] >= '0' && p[i] <= '3' && (p[i + 1] & ~7) == '0' &&
                   (p[i + 2] & ~7) == '0') {
            buf_add_char(out, (char)((p[i] - '0') << 6 | (p[i + 1] - '0') << 3 |
                                     (p[i + 2] - '0')));
            i += 2;
        } else {
            return 0;
        }
    }
    return 0;
}

/* "a/dir/file" is "dir/file" (git apply's -p1). */
static char *strip_dup(const char *name, bool strip)
{
    const char *slash = strip ? strchr(name, '/') : NULL;
    return xstrdup(slash ? slash + 1 : name);
}

/* A name alone on the rest of a line. */
static char *name_dup(const char *p, size_t n, bool strip)
{
    auto_buf name = BUF_INIT;
    if (n > 0 && p[0] == '"') {
        if (!unquote(p, n, &name))
            return NULL;
    } else {
        /* git ends a name that has blanks with a tab; others add a date after one. */
        const char *tab = memchr(p, '\t', n);
        size_t len = tab ? (size_t)(tab - p) : n;
        if (len > 0 && p[len - 1] == '\r')
            len--;
        buf_add(&name, p, len);
    }
    if (name.len == 0 || memchr(name.data, '\0', name.len))
        return NULL;
    return strip_dup(buf_str(&name), strip);
}

/* True if the two names of "diff --git X Y" are the same but for their first part, or
 * (diff.noprefix) altogether. */
static bool same_name(const char *a, size_t a_n, const char *b, size_t b_n, bool *strip)
{
    const char *a_slash = memchr(a, '/', a_n), *b_slash = memchr(b, '/', b_n);
    *strip = !(a_n == b_n && memcmp(a, b, a_n) == 0);
    if (!*strip)
        return true;
    if (!a_slash || !b_slash)
        return false;
    a_n -= (size_t)(a_slash - a), b_n -= (size_t)(b_slash - b);
    return a_n == b_n && memcmp(a_slash, b_slash, a_n) == 0;
}

/* The only place of the name when a file is empty or just its mode changed. Without
 * quotes the border between the names has to be guessed: where both are the same. */
static void parse_git_line(const struct reader *r, struct patch_file *f, bool *strip)
{
    const char *p = r->line + strlen("diff --git ");
    size_t n = r->len - strlen("diff --git ");
    if (n > 0 && p[n - 1] == '\r')
        n--;
    if (n > 2 * PATH_MAX)
        return;
    auto_buf first = BUF_INIT, second = BUF_INIT;
    if (n > 0 && p[0] == '"') {
        size_t used = unquote(p, n, &first);
        if (!used || used + 1 >= n || p[used] != ' ')
            return;
        const char *q = p + used + 1;
        size_t q_n = n - used - 1;
        if (q[0] != '"')
            buf_add(&second, q, q_n);
        else if (!unquote(q, q_n, &second))
            return;
        if (!same_name(buf_str(&first), first.len, buf_str(&second), second.len, strip))
            return;
    } else {
        size_t i = 0;
        for (; i < n; i++)
            if (p[i] == ' ' && same_name(p, i, p + i + 1, n - i - 1, strip))
                break;
        if (i == 0 || i >= n)
            return;
        buf_add(&first, p, i);
    }
    if (first.len == 0 || memchr(first.data, '\0', first.len))
        return;
    f->old_path = strip_dup(buf_str(&first), *strip);
    f->new_path = xstrdup(f->old_path);
}

static void set_name(char **name, const char *p, size_t n, bool strip)
{
    char *value = name_dup(p, n, strip);
    if (!value)
        return;
    free(*name);
    *name = value;
}

static mode_t parse_mode(const char *p, size_t n)
{
    mode_t mode = 0;
    for (size_t i = 0; i < n && i < 6 && p[i] >= '0' && p[i] <= '7'; i++)
        mode = mode << 3 | (mode_t)(p[i] - '0');
    return mode;
}

/* "index 1234..5678 100644" */
static void parse_index(const struct reader *r, struct patch_file *f)
{
    const char *dots = memmem(r->line, r->len, "..", 2);
    size_t left = dots ? r->len - (size_t)(dots + 2 - r->line) : 0;
    size_t id = 0;
    while (id < left && isxdigit((unsigned char)dots[2 + id]))
        id++;
    if (id == sizeof f->new_id - 1)
        memcpy(f->new_id, dots + 2, id);
    const char *blank = memrchr(r->line, ' ', r->len);
    if (!blank || blank == r->line + 5)
        return;
    mode_t mode = parse_mode(blank + 1, r->len - (size_t)(blank + 1 - r->line));
    f->old_mode = f->old_mode ? f->old_mode : mode;
    f->new_mode = f->new_mode ? f->new_mode : mode;
}

/* One extended header line. False if it is none. */
static bool parse_header(const struct reader *r, struct patch_file *f)
{
    const char *p = r->line;
    size_t n = r->len;
#define AFTER(text) p + strlen(text), n - strlen(text)
    if (starts(r, "old mode ")) {
        f->old_mode = parse_mode(AFTER("old mode "));
    } else if (starts(r, "new mode ")) {
        f->new_mode = parse_mode(AFTER("new mode "));
    } else if (starts(r, "deleted file mode ")) {
        f->kind = PATCH_DELETE;
        f->old_mode = parse_mode(AFTER("deleted file mode "));
    } else if (starts(r, "new file mode ")) {
        f->kind = PATCH_CREATE;
        f->new_mode = parse_mode(AFTER("new file mode "));
    } else if (starts(r, "rename from ")) {
        f->kind = PATCH_RENAME;
        set_name(&f->old_path, AFTER("rename from "), false);
    } else if (starts(r, "rename to ")) {
        f->kind = PATCH_RENAME;
        set_name(&f->new_path, AFTER("rename to "), false);
    } else if (starts(r, "copy from ")) {
        f->kind = PATCH_COPY;
        set_name(&f->old_path, AFTER("copy from "), false);
    } else if (starts(r, "copy to ")) {
        f->kind = PATCH_COPY;
        set_name(&f->new_path, AFTER("copy to "), false);
    } else if (starts(r, "index ")) {
        parse_index(r, f);
    } else if (!starts(r, "similarity index ") && !starts(r, "dissimilarity index ")) {
        return false;
    }
#undef AFTER
    return true;
}

static bool is_dev_null(const struct reader *r)
{
    return r->len >= 13 && memcmp(r->line + 4, "/dev/null", 9) == 0;
}

/* "--- X" and "+++ Y". */
static int parse_names(struct reader *r, struct patch_file *f, bool strip,
                       struct reeve_error *err)
{
    bool none = is_dev_null(r);
    if (none)
        f->kind = PATCH_CREATE;
    else if (f->kind != PATCH_RENAME && f->kind != PATCH_COPY)
        set_name(&f->old_path, r->line + 4, r->len - 4, strip);
    if (!next_line(r) || !starts(r, "+++ "))
        return reeve_error_set(err, 0, "line %zu: no \"+++\" after \"---\"", r->number);
    if (is_dev_null(r))
        f->kind = none ? PATCH_MODIFY : PATCH_DELETE;
    else if (f->kind != PATCH_RENAME && f->kind != PATCH_COPY)
        set_name(&f->new_path, r->line + 4, r->len - 4, strip);
    return 0;
}

static bool parse_number(const char **p, const char *end, size_t *out)
{
    size_t value = 0;
    const char *start = *p;
    for (; *p < end && isdigit((unsigned char)**p); ++*p) {
        value = value * 10 + (size_t)(**p - '0');
        if (value > LINES_MAX)
            return false;
    }
    *out = value;
    return *p > start;
}

/* "-3,4" */
static bool parse_range(const char **p, const char *end, char sign, size_t *start,
                        size_t *lines)
{
    if (*p >= end || *(*p)++ != sign || !parse_number(p, end, start))
        return false;
    *lines = 1;
    if (*p < end && **p == ',') {
        ++*p;
        return parse_number(p, end, lines);
    }
    return true;
}

static bool parse_ranges(const struct reader *r, struct patch_hunk *h)
{
    const char *p = r->line + 3, *end = r->line + r->len;
    if (!parse_range(&p, end, '-', &h->old_start, &h->old_lines) || p >= end ||
        *p++ != ' ' || !parse_range(&p, end, '+', &h->new_start, &h->new_lines))
        return false;
    return end - p >= 3 && memcmp(p, " @@", 3) == 0;
}

/* The lines of a hunk, counted against its header. */
static int parse_body(struct reader *r, struct patch_hunk *h, struct reeve_error *err)
{
    size_t old = h->old_lines, new = h->new_lines;
    h->body = r->at;
    while (old || new) {
        bool more = next_line(r);
        /* Whoever stored the diff may have cut the empty lines at its end. */
        if (!more && old == new)
            break;
        /* And an empty line may have lost its blank on the way. */
        bool bare = r->len == 0 || (r->len == 1 && r->line[0] == '\r');
        char c = bare ? ' ' : r->line[0];
        if (more && c == '\\')
            continue;
        bool is_old = c == ' ' || c == '-', is_new = c == ' ' || c == '+';
        if (!more || (!is_old && !is_new) || (is_old && !old) || (is_new && !new))
            return reeve_error_set(err, 0, "line %zu: the hunk ends early", r->number);
        old -= is_old;
        new -= is_new;
    }
    if (next_line(r) && !starts(r, "\\"))
        unread_line(r);
    h->body_len = (size_t)(r->at - h->body);
    return 0;
}

static int parse_hunk(struct reader *r, struct patch_file *f, struct reeve_error *err)
{
    struct patch_hunk h = {.number = f->hunk_count + 1};
    if (!parse_ranges(r, &h))
        return reeve_error_set(err, 0, "line %zu: invalid hunk header", r->number);
    if (parse_body(r, &h, err) < 0)
        return -1;
    /* Grown by doubling: a diff may have a hundred thousand hunks. */
    if ((f->hunk_count & (f->hunk_count - 1)) == 0)
        f->hunks = xreallocarray(f->hunks, f->hunk_count ? f->hunk_count * 2 : 1,
                                 sizeof *f->hunks);
    f->hunks[f->hunk_count++] = h;
    return 0;
}

/* From after the first line of a file to the first of the next. */
static int parse_file(struct reader *r, struct patch_file *f, bool strip,
                      struct reeve_error *err)
{
    while (next_line(r)) {
        if (starts(r, "diff ") || (f->hunk_count && starts(r, "--- "))) {
            unread_line(r);
            break;
        }
        if (f->hunk_count == 0 && !f->binary && parse_header(r, f))
            continue;
        if (f->hunk_count == 0 && !f->binary && starts(r, "GIT binary patch")) {
            f->binary = true;
            f->binary_text = r->at;
        } else if (f->hunk_count == 0 && starts(r, "Binary files "))
            f->binary_missing = true;
        else if (!f->binary && f->hunk_count == 0 && starts(r, "--- ") &&
                 parse_names(r, f, strip, err) < 0)
            return -1;
        else if (!f->binary && starts(r, "@@ -") && parse_hunk(r, f, err) < 0)
            return -1;
    }
    return 0;
}

static int finish_file(struct reader *r, struct patch_file *f, struct reeve_error *err)
{
    if (f->binary)
        f->binary_len = (size_t)(r->at - f->binary_text);
    if (f->kind == PATCH_CREATE) {
        free(f->old_path);
        f->old_path = NULL;
    } else if (f->kind == PATCH_DELETE) {
        free(f->new_path);
        f->new_path = NULL;
    }
    if ((f->kind != PATCH_CREATE && !f->old_path) ||
        (f->kind != PATCH_DELETE && !f->new_path))
        return reeve_error_set(err, 0, "no file name before line %zu", r->number + 1);
    return 0;
}

static struct patch_file *add_file(struct patch *p)
{
    if ((p->count & (p->count - 1)) == 0)
        p->files =
            xreallocarray(p->files, p->count ? p->count * 2 : 1, sizeof *p->files);
    struct patch_file *f = &p->files[p->count++];
    memset(f, 0, sizeof *f);
    return f;
}

static int parse_all(struct reader *r, struct patch *out, struct reeve_error *err)
{
    while (next_line(r)) {
        if (starts(r, "@@ -"))
            return reeve_error_set(err, 0, "line %zu: a hunk without a file",
                                   r->number);
        bool git = starts(r, "diff --git "), plain = starts(r, "--- ");
        if (!git && !plain)
            continue;
        struct patch_file *f = add_file(out);
        bool strip = true;
        if (git)
            parse_git_line(r, f, &strip);
        else
            unread_line(r);
        if (parse_file(r, f, strip, err) < 0 || finish_file(r, f, err) < 0)
            return -1;
    }
    if (out->count == 0)
        return reeve_error_set(err, 0, "there is no file in the diff");
    return 0;
}

int patch_parse(const char *text, size_t n, struct patch *out, struct reeve_error *err)
{
    memset(out, 0, sizeof *out);
    struct reader r = {.at = text, .end = text + n, .line = text};
    if (parse_all(&r, out, err) == 0)
        return 0;
    patch_free(out);
    return -1;
}

void patch_free(struct patch *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->files[i].old_path);
        free(p->files[i].new_path);
        free(p->files[i].hunks);
    }
    free(p->files);
    memset(p, 0, sizeof *p);
}

const char *patch_file_name(const struct patch_file *f)
{
    return f->new_path ? f->new_path : f->old_path;
}
