/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "config/hocon-internal.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/utf8.h"

#include <errno.h>
#include <string.h>

struct reader {
    struct hocon_doc *doc;
    const struct hocon_options *options;
    const char *file; /* owned by the document, or NULL */
    const char *p, *end;
    int line;
    const char *names[HOCON_DEPTH_MAX]; /* where the reader is */
    size_t names_n, prefix_n;
    int depth, arrays, include_depth;
    struct reeve_error *err;
};

static int fail(struct reader *r, int line, const char *what)
{
    if (r->file)
        return reeve_error_set(r->err, 0, "%s:%d: %s", r->file, line, what);
    return reeve_error_set(r->err, 0, "line %d: %s", line, what);
}

static int fail_full(struct reader *r)
{
    return fail(r, r->line, "too many values for a configuration");
}

static struct node *new_node(struct reader *r, enum node_kind kind)
{
    struct node *node = doc_node(r->doc, kind);
    if (!node) {
        fail_full(r);
        return NULL;
    }
    node->line = r->line;
    node->file = r->file;
    return node;
}

static bool at(const struct reader *r, const char *text)
{
    size_t n = strlen(text);
    return (size_t)(r->end - r->p) >= n && memcmp(r->p, text, n) == 0;
}

static bool at_char(const struct reader *r, char c)
{
    return r->p < r->end && *r->p == c;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static void skip_blanks(struct reader *r)
{
    while (r->p < r->end && is_blank(*r->p))
        r->p++;
}

static bool at_comment(const struct reader *r)
{
    return at_char(r, '#') || at(r, "//");
}

/* Blanks, newlines and comments. Returns true if a newline was among them. */
static bool skip_space(struct reader *r)
{
    bool newline = false;
    for (;;) {
        skip_blanks(r);
        if (at_comment(r)) {
            while (r->p < r->end && *r->p != '\n')
                r->p++;
        }
        if (!at_char(r, '\n'))
            return newline;
        newline = true;
        r->line++;
        r->p++;
    }
}

/* ---- texts in quotes ---- */

static int hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        v = v << 4 | digit;
    }
    return v;
}

static void add_code_point(struct buf *out, unsigned c)
{
    if (c < 0x80) {
        buf_add_char(out, (char)c);
    } else if (c < 0x800) {
        buf_add_char(out, (char)(0xc0 | c >> 6));
        buf_add_char(out, (char)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        buf_add_char(out, (char)(0xe0 | c >> 12));
        buf_add_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
        buf_add_char(out, (char)(0x80 | (c & 0x3f)));
    } else {
        buf_add_char(out, (char)(0xf0 | c >> 18));
        buf_add_char(out, (char)(0x80 | (c >> 12 & 0x3f)));
        buf_add_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
        buf_add_char(out, (char)(0x80 | (c & 0x3f)));
    }
}

/* After "\u": one code point, a surrogate pair as one. */
static int read_unicode(struct reader *r, struct buf *out)
{
    int c = r->end - r->p >= 4 ? hex4(r->p) : -1;
    if (c < 0)
        return fail(r, r->line, "\\u needs four hexadecimal digits");
    r->p += 4;
    if (c >= 0xd800 && c <= 0xdbff && at(r, "\\u") && r->end - r->p >= 6) {
        int low = hex4(r->p + 2);
        if (low >= 0xdc00 && low <= 0xdfff) {
            r->p += 6;
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    if (c == 0 || (c >= 0xd800 && c <= 0xdfff))
        return fail(r, r->line, "\\u names no character");
    add_code_point(out, (unsigned)c);
    return 0;
}

/* After the backslash. */
static int read_escape(struct reader *r, struct buf *out)
{
    static const char from[] = "\"\\/bfnrt=#!", to[] = "\"\\/\b\f\n\r\t=#!";
    if (r->p == r->end || *r->p == '\n')
        return fail(r, r->line, "a quoted text does not end on its line");
    char c = *r->p++;
    if (c == 'u')
        return read_unicode(r, out);
    const char *found = strchr(from, c);
    if (found) {
        buf_add_char(out, to[found - from]);
    } else {
        buf_add_char(out, '\\');
        buf_add_char(out, c);
    }
    return 0;
}

static int read_quoted(struct reader *r, struct buf *out)
{
    r->p++;
    for (;;) {
        if (r->p == r->end || *r->p == '\n')
            return fail(r, r->line, "a quoted text does not end on its line");
        char c = *r->p++;
        if (c == '"')
            return 0;
        if (c != '\\')
            buf_add_char(out, c);
        else if (read_escape(r, out) < 0)
            return -1;
    }
}

/* Quotes beyond three at its end belong to the text. */
static int read_triple(struct reader *r, struct buf *out)
{
    int line = r->line;
    r->p += 3;
    const char *start = r->p;
    while (!at(r, "\"\"\"")) {
        if (r->p == r->end)
            return fail(r, line, "a text in triple quotes does not end");
        if (*r->p++ == '\n')
            r->line++;
    }
    while (r->end - r->p > 3 && r->p[3] == '"')
        r->p++;
    buf_add(out, start, (size_t)(r->p - start));
    r->p += 3;
    return 0;
}

static int read_any_quoted(struct reader *r, struct buf *out)
{
    return at(r, "\"\"\"") ? read_triple(r, out) : read_quoted(r, out);
}

/* ---- paths: keys and substitutions ---- */

static int path_add(struct reader *r, const char **path, size_t *n, struct buf *name,
                    bool quoted)
{
    while (!quoted && name->len && is_blank(name->data[name->len - 1]))
        name->len--;
    if (!quoted && !name->len)
        return fail(r, r->line, "a name is missing here");
    if (*n == HOCON_DEPTH_MAX)
        return fail(r, r->line, "a key has too many parts");
    path[(*n)++] = doc_text(r->doc, name->data, name->len);
    buf_clear(name);
    return 0;
}

/* Reads names joined by dots up to one of the characters in stop. */
static int read_path(struct reader *r, const char *stop, const char **path, size_t *n)
{
    auto_buf name = BUF_INIT;
    bool quoted = false;
    *n = 0;
    skip_blanks(r);
    for (; r->p < r->end && !strchr(stop, *r->p) && !at(r, "+=");) {
        char c = *r->p;
        if (c == '"') {
            if (read_any_quoted(r, &name) < 0)
                return -1;
            quoted = true;
            continue;
        }
        r->p++;
        if (c == '.') {
            if (path_add(r, path, n, &name, quoted) < 0)
                return -1;
            quoted = false;
            skip_blanks(r);
        } else if (!quoted || !is_blank(c)) {
            buf_add_char(&name, c);
        }
    }
    return path_add(r, path, n, &name, quoted);
}

static struct node *read_substitution(struct reader *r)
{
    struct node *node = new_node(r, NODE_SUBST);
    if (!node)
        return NULL;
    r->p += 2;
    if (at_char(r, '?')) {
        node->optional = true;
        r->p++;
    }
    const char *path[HOCON_DEPTH_MAX];
    size_t n;
    if (read_path(r, "}\n${[]#", path, &n) < 0)
        return NULL;
    if (!at_char(r, '}')) {
        fail(r, r->line, "a substitution ${...} does not end");
        return NULL;
    }
    r->p++;
    /* Inside an included file a path is first looked up below the place of the include.
     */
    node->prefix_n = r->arrays ? 0 : r->prefix_n;
    node->path_n = node->prefix_n + n;
    node->path = doc_alloc(r->doc, node->path_n * sizeof *node->path);
    for (size_t i = 0; i < node->prefix_n; i++)
        node->path[i] = r->names[i];
    for (size_t i = 0; i < n; i++)
        node->path[node->prefix_n + i] = path[i];
    return node;
}

/* ---- values ---- */

static int read_members(struct reader *r, struct node *object, bool braces);
static struct node *read_value(struct reader *r);

static int enter(struct reader *r)
{
    if (++r->depth > HOCON_DEPTH_MAX)
        return fail(r, r->line, "nested too deeply");
    return 0;
}

static struct node *read_object(struct reader *r)
{
    struct node *object = new_node(r, NODE_OBJECT);
    if (!object || enter(r) < 0)
        return NULL;
    r->p++;
    if (read_members(r, object, true) < 0)
        return NULL;
    r->depth--;
    return object;
}

static struct node *read_array(struct reader *r)
{
    struct node *array = new_node(r, NODE_ARRAY);
    if (!array || enter(r) < 0)
        return NULL;
    int line = r->line;
    r->p++;
    r->arrays++;
    skip_space(r);
    while (!at_char(r, ']')) {
        if (r->p == r->end) {
            fail(r, line, "'[' has no ']'");
            return NULL;
        }
        struct node *value = read_value(r);
        if (!value)
            return NULL;
        node_append(array, value);
        bool newline = skip_space(r);
        if (at_char(r, ',')) {
            r->p++;
            skip_space(r);
        } else if (!newline && !at_char(r, ']')) {
            fail(r, r->line, "',' or ']' expected");
            return NULL;
        }
    }
    r->p++;
    r->arrays--;
    r->depth--;
    return array;
}

/* True where an unquoted text ends. `//` begins a comment only where a text begins,
 * since addresses are written without quotes. */
static bool ends_word(const struct reader *r)
{
    return is_blank(*r->p) || strchr("\n,{}[]\"#", *r->p) || at(r, "${");
}

static struct node *read_word(struct reader *r)
{
    const char *start = r->p;
    while (r->p < r->end && !ends_word(r))
        r->p++;
    struct node *node = new_node(r, NODE_TEXT);
    if (node)
        node->text = doc_text(r->doc, start, (size_t)(r->p - start));
    return node;
}

static struct node *read_text(struct reader *r)
{
    auto_buf text = BUF_INIT;
    struct node *node = new_node(r, NODE_TEXT);
    if (!node || read_any_quoted(r, &text) < 0)
        return NULL;
    node->quoted = true;
    node->text = doc_text(r->doc, text.data, text.len);
    return node;
}

static struct node *read_part(struct reader *r)
{
    if (at_char(r, '{'))
        return read_object(r);
    if (at_char(r, '['))
        return read_array(r);
    if (at_char(r, '"'))
        return read_text(r);
    if (at(r, "${"))
        return read_substitution(r);
    if (at_char(r, '=') || at_char(r, ':')) {
        fail(r, r->line, "a value may not begin with '=' or ':'; put it in quotes");
        return NULL;
    }
    return read_word(r);
}

static bool ends_value(const struct reader *r)
{
    return r->p == r->end || strchr("\n,}]", *r->p) || at_comment(r);
}

/* Parts on one line are one value; the blanks between them belong to it. */
static struct node *read_value(struct reader *r)
{
    struct node *value = NULL;
    while (!ends_value(r)) {
        struct node *part = read_part(r);
        if (!part)
            return NULL;
        const char *blank = r->p;
        skip_blanks(r);
        if (!value && ends_value(r))
            return part;
        if (!value && !(value = new_node(r, NODE_CONCAT)))
            return NULL;
        node_append(value, part);
        if (r->p > blank && !ends_value(r)) {
            struct node *space = new_node(r, NODE_TEXT);
            if (!space)
                return NULL;
            space->text = doc_text(r->doc, blank, (size_t)(r->p - blank));
            node_append(value, space);
        }
    }
    if (!value)
        fail(r, r->line, "a value is missing here");
    return value;
}

/* ---- include ---- */

static int include_file(struct reader *r, struct node *object, const char *name,
                        bool required)
{
    if (!r->options || !r->options->file)
        return fail(r, r->line, "include is not allowed here");
    if (r->include_depth >= HOCON_INCLUDE_MAX)
        return fail(r, r->line, "include goes too deep");
    if (++r->doc->nodes > HOCON_NODES_MAX)
        return fail_full(r);
    const char *slash = strrchr(r->file, '/');
    auto_free char *path =
        name[0] == '/' || !slash
            ? xstrdup(name)
            : xasprintf("%.*s/%s", (int)(slash - r->file), r->file, name);
    auto_buf text = BUF_INIT;
    struct reeve_error why = {0};
    if (file_read(path, &text, HOCON_BYTES_MAX, &why) < 0) {
        if (!required && (why.code == ENOENT || why.code == ENOTDIR))
            return 0;
        return fail(r, r->line, why.text);
    }
    struct hocon_options options = {path, r->options->env};
    return hocon_read(r->doc, object, buf_str(&text), text.len, &options,
                      r->arrays ? NULL : r->names, r->arrays ? 0 : r->names_n,
                      r->include_depth + 1, r->err);
}

/* `include "f"`, include file("f"), include required("f"), include required(file("f")).
 */
static int read_include(struct reader *r, struct node *object)
{
    static const char *const words[] = {"required(", "file("};
    size_t used = 0;
    r->p += strlen("include");
    skip_blanks(r);
    bool required = at(r, "required(");
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (at(r, words[i])) {
            used++;
            r->p += strlen(words[i]);
            skip_blanks(r);
        }
    }
    if (!at_char(r, '"'))
        return fail(r, r->line, "include needs a file name in quotes");
    auto_buf name = BUF_INIT;
    if (read_quoted(r, &name) < 0)
        return -1;
    for (; used; used--) {
        skip_blanks(r);
        if (!at_char(r, ')'))
            return fail(r, r->line, "include has no ')'");
        r->p++;
    }
    return include_file(r, object, buf_str(&name), required);
}

static bool at_include(const struct reader *r)
{
    if (!at(r, "include"))
        return false;
    const char *p = r->p + strlen("include");
    const char *after = p;
    while (p < r->end && is_blank(*p))
        p++;
    size_t left = (size_t)(r->end - p);
    return p < r->end &&
           (*p == '"' || (p > after && ((left >= 5 && memcmp(p, "file(", 5) == 0) ||
                                        (left >= 9 && memcmp(p, "required(", 9) == 0) ||
                                        (left >= 4 && memcmp(p, "url(", 4) == 0))));
}

/* ---- members ---- */

/* What stands between key and value: '=', ':', "+=" or nothing before a brace. */
static int read_separator(struct reader *r, bool *append)
{
    *append = at(r, "+=");
    if (*append) {
        r->p += 2;
    } else if (at_char(r, '=') || at_char(r, ':')) {
        r->p++;
    } else {
        skip_space(r);
        return at_char(r, '{') ? 0 : fail(r, r->line, "'=', ':' or '{' expected");
    }
    skip_space(r);
    return 0;
}

static struct node *appended(struct reader *r, struct node *value)
{
    struct node *concat = new_node(r, NODE_CONCAT);
    struct node *previous = concat ? new_node(r, NODE_PREVIOUS) : NULL;
    struct node *array = previous ? new_node(r, NODE_ARRAY) : NULL;
    if (!array)
        return NULL;
    node_append(array, value);
    node_append(concat, previous);
    node_append(concat, array);
    return concat;
}

/* `a.b.c = v` is a { b { c = v } }. */
static int add_member(struct reader *r, struct node *object, const char *const *path,
                      size_t n, struct node *value)
{
    for (size_t i = n; i > 1; i--) {
        struct node *outer = new_node(r, NODE_OBJECT);
        struct field *f = outer ? node_field_make(r->doc, outer, path[i - 1]) : NULL;
        if (!f)
            return fail_full(r);
        field_add(r->doc, f, value);
        value = outer;
    }
    struct field *f = node_field_make(r->doc, object, path[0]);
    if (!f)
        return fail_full(r);
    field_add(r->doc, f, value);
    return r->doc->nodes > HOCON_NODES_MAX ? fail_full(r) : 0;
}

static int read_member(struct reader *r, struct node *object)
{
    const char *path[HOCON_DEPTH_MAX];
    size_t n;
    bool append;
    if (read_path(r, "=:{}[],#\n$", path, &n) < 0 || read_separator(r, &append) < 0)
        return -1;
    if (r->depth + (int)n > HOCON_DEPTH_MAX || r->names_n + n > HOCON_DEPTH_MAX)
        return fail(r, r->line, "nested too deeply");
    for (size_t i = 0; i < n; i++)
        r->names[r->names_n + i] = path[i];
    r->names_n += n;
    r->depth += (int)n - 1;
    struct node *value = read_value(r);
    r->names_n -= n;
    r->depth -= (int)n - 1;
    if (value && append)
        value = appended(r, value);
    return value ? add_member(r, object, path, n, value) : -1;
}

static int read_members(struct reader *r, struct node *object, bool braces)
{
    int line = r->line;
    skip_space(r);
    for (;;) {
        if (braces && at_char(r, '}')) {
            r->p++;
            return 0;
        }
        if (r->p == r->end)
            return braces ? fail(r, line, "'{' has no '}'") : 0;
        int rc = at_include(r) ? read_include(r, object) : read_member(r, object);
        if (rc < 0)
            return -1;
        bool newline = skip_space(r);
        if (at_char(r, ',')) {
            r->p++;
            skip_space(r);
        } else if (!newline && r->p < r->end && !(braces && *r->p == '}')) {
            return fail(r, r->line,
                        *r->p == '}' ? "'}' has no '{'" : "a new line or ',' expected");
        }
    }
}

static int read_root(struct reader *r, struct node *object)
{
    if (at(r, "\xef\xbb\xbf"))
        r->p += 3;
    skip_space(r);
    if (at_char(r, '['))
        return fail(r, r->line, "an object is expected, this is an array");
    if (!at_char(r, '{'))
        return read_members(r, object, false);
    r->p++;
    if (read_members(r, object, true) < 0)
        return -1;
    skip_space(r);
    return r->p == r->end ? 0 : fail(r, r->line, "text after the last '}'");
}

int hocon_read(struct hocon_doc *doc, struct node *object, const char *text, size_t n,
               const struct hocon_options *options, const char *const *names,
               size_t names_n, int include_depth, struct reeve_error *err)
{
    struct reader r = {
        .doc = doc,
        .options = options,
        .p = text,
        .end = text + n,
        .line = 1,
        .names_n = names_n,
        .prefix_n = names_n,
        .depth = (int)names_n,
        .include_depth = include_depth,
        .err = err,
    };
    for (size_t i = 0; i < names_n; i++)
        r.names[i] = names[i];
    if (options && options->file)
        r.file = doc_text(doc, options->file, strlen(options->file));
    if (n > HOCON_BYTES_MAX)
        return fail(&r, 1, "too large for a configuration");
    if (n && (memchr(text, '\0', n) || !utf8_valid(text, n)))
        return fail(&r, 1, "not UTF-8 text");
    return read_root(&r, object);
}
