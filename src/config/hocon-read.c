/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar, as clearml_agent's pyhocon has it in config_parser.py; more is read only
 * where that one refuses the file. */
#include <config.h>

#include "config/hocon-internal.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/utf8.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

struct reader {
    struct hocon_doc *doc;
    const struct hocon_options *options;
    const char *file; /* owned by the document, or NULL */
    const char *p, *end;
    int line, depth, include_depth;
};

static int fail(struct reader *r, int line, const char *what)
{
    return doc_fail(r->doc, r->file, line, what);
}

static struct node *new_node(struct reader *r, enum node_kind kind)
{
    struct node here = {.line = r->line, .file = r->file};
    return doc_node(r->doc, kind, &here);
}

static struct node *new_text(struct reader *r, const char *text, size_t n)
{
    struct node here = {.line = r->line, .file = r->file};
    return doc_text_node(r->doc, text, n, &here);
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

static bool at_any(const struct reader *r, const char *set)
{
    return r->p < r->end && *r->p && strchr(set, *r->p);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\f' || c == '\v';
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

static void skip_comment(struct reader *r)
{
    while (r->p < r->end && *r->p != '\n' && *r->p != '\r')
        r->p++;
}

/* Blanks, comments and the characters of set, which has the ends of lines. */
static void skip(struct reader *r, const char *set)
{
    for (;;) {
        skip_blanks(r);
        if (at_comment(r)) {
            skip_comment(r);
        } else if (at_any(r, set)) {
            r->line += *r->p == '\n';
            r->p++;
        } else {
            return;
        }
    }
}

static bool is_word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$';
}

/* The word, in any case, and no longer word. */
static bool at_keyword(const struct reader *r, const char *word)
{
    size_t n = strlen(word);
    return (size_t)(r->end - r->p) >= n && strncasecmp(r->p, word, n) == 0 &&
           (r->p + n == r->end || !is_word_char(r->p[n]));
}

/* ---- texts ---- */

/* What a backslash stands for; other pairs stay as they are. */
static void add_unescaped(struct buf *out, const char *text, size_t n)
{
    static const char from[] = "\\nrt=#!\"", to[] = "\\\n\r\t=#!\"";
    for (size_t i = 0; i < n; i++) {
        const char *found = text[i] == '\\' && i + 1 < n && text[i + 1]
                                ? strchr(from, text[i + 1])
                                : NULL;
        if (found) {
            buf_add_char(out, to[found - from]);
            i++;
        } else if (text[i] == '\\' && i + 1 < n) {
            buf_add(out, text + i, 2);
            i++;
        } else {
            buf_add_char(out, text[i]);
        }
    }
}

static struct node *unescaped(struct reader *r, const char *text, size_t n)
{
    auto_buf out = BUF_INIT;
    add_unescaped(&out, text, n);
    return new_text(r, buf_str(&out), out.len);
}

/* Past a text in quotes; *text and *n are between them. */
static int skip_quoted(struct reader *r, const char **text, size_t *n)
{
    *text = ++r->p;
    while (!at_char(r, '"')) {
        r->p += at_char(r, '\\');
        if (r->p >= r->end || *r->p == '\n')
            return fail(r, r->line, "a quoted text does not end on its line");
        r->p++;
    }
    *n = (size_t)(r->p++ - *text);
    return 0;
}

static struct node *read_quoted(struct reader *r)
{
    const char *text;
    size_t n;
    if (skip_quoted(r, &text, &n) < 0)
        return NULL;
    struct node *node = unescaped(r, text, n);
    const char *blank = r->p;
    while (at_any(r, " \t"))
        r->p++;
    node->style = TEXT_QUOTED;
    node->blank = doc_text(r->doc, blank, (size_t)(r->p - blank));
    return node;
}

/* Three quotes that do not end are an empty text and the begin of another. */
static bool at_triple(const struct reader *r)
{
    return at(r, "\"\"\"") &&
           memmem(r->p + 3, (size_t)(r->end - r->p - 3), "\"\"\"", 3);
}

/* Quotes beyond three at its end belong to the text. */
static struct node *read_triple(struct reader *r)
{
    int line = r->line;
    r->p += 3;
    const char *start = r->p;
    while (!at(r, "\"\"\""))
        r->line += *r->p++ == '\n';
    while (r->end - r->p > 3 && r->p[3] == '"')
        r->p++;
    struct node *node = new_text(r, start, (size_t)(r->p - start));
    node->line = line;
    r->p += 3;
    return node;
}

/* `//` begins a comment only where a text begins, since addresses are written without
 * quotes. */
static bool ends_word(const struct reader *r)
{
    return is_blank(*r->p) || strchr("\r\n,{}[]\"#", *r->p) || at(r, "${");
}

static struct node *read_word(struct reader *r)
{
    const char *start = r->p;
    if (at_char(r, '=') || at(r, "+=")) {
        fail(r, r->line, "a value may not begin with '='; put it in quotes");
        return NULL;
    }
    while (r->p < r->end && !ends_word(r)) {
        bool pair = *r->p == '\\';
        if (pair && (r->end - r->p < 2 || strchr("\r\n", r->p[1])))
            break;
        r->p += pair ? 2 : 1;
    }
    if (r->p == start) {
        fail(r, r->line,
             at_char(r, '\\') ? "'\\' stands before nothing"
                              : "a value is missing here");
        return NULL;
    }
    while (at_any(r, " \t"))
        r->p++;
    struct node *node = unescaped(r, start, (size_t)(r->p - start));
    node->style = TEXT_WORD;
    return node;
}

/* ---- numbers ---- */

static size_t digits(const char *p, const char *end)
{
    size_t n = 0;
    while (p + n < end && isdigit((unsigned char)p[n]))
        n++;
    return n;
}

/* [+-](D.D|.D|D)[e[+-]D]; 0 if it is none. */
static size_t number_length(const char *p, const char *end)
{
    const char *start = p;
    if (p < end && (*p == '+' || *p == '-'))
        p++;
    size_t whole = digits(p, end), part = 0;
    p += whole;
    if (p < end && *p == '.')
        part = digits(p + 1, end);
    p += part ? part + 1 : 0;
    if (!whole && !part)
        return 0;
    if (p < end && (*p == 'e' || *p == 'E')) {
        const char *q = p + 1;
        q += q < end && (*q == '+' || *q == '-');
        size_t n = digits(q, end);
        p = n ? q + n : p;
    }
    return (size_t)(p - start);
}

/* A number is one only before what ends a value; blanks at the end of the text make it
 * a word. */
static size_t at_number(const struct reader *r)
{
    size_t n = number_length(r->p, r->end);
    struct reader after = *r;
    after.p += n;
    if (after.p == after.end)
        return n;
    while (at_any(&after, " \t"))
        after.p++;
    return at_any(&after, "$}],#\n\r") || at(&after, "//") ? n : 0;
}

static struct node *read_literal(struct reader *r, enum node_kind kind, size_t n)
{
    struct node *node = new_node(r, kind);
    node->text = doc_text(r->doc, r->p, n);
    node->yes = tolower((unsigned char)*r->p) == 't';
    r->p += n;
    return node;
}

/* ---- substitutions ---- */

static struct node *read_substitution(struct reader *r)
{
    const char *path[HOCON_DEPTH_MAX];
    struct node *node = new_node(r, NODE_SUBST);
    r->p += 2;
    const char *close = memchr(r->p, '}', (size_t)(r->end - r->p));
    node->optional = at_char(r, '?');
    r->p += node->optional;
    if (!close || r->p >= close) {
        fail(r, r->line,
             close ? "a name is missing in ${}" : "a substitution ${...} does not end");
        return NULL;
    }
    node->text = doc_text(r->doc, r->p, (size_t)(close - r->p));
    for (; r->p <= close; r->p++)
        r->line += *r->p == '\n';
    const char *blank = r->p;
    while (at_any(r, " \t"))
        r->p++;
    node->blank = doc_text(r->doc, blank, (size_t)(r->p - blank));
    node->path_n = path_split(r->doc, node->text, path, HOCON_DEPTH_MAX);
    node->path = doc_alloc(r->doc, (node->path_n + 1) * sizeof *path);
    memcpy((void *)node->path, path, node->path_n * sizeof *path);
    return node;
}

/* ---- values ---- */

static int read_members(struct reader *r, struct node *tree, bool braces);
static struct node *read_value(struct reader *r);

static int enter(struct reader *r)
{
    if (++r->depth > HOCON_DEPTH_MAX)
        return fail(r, r->line, "nested too deeply");
    return 0;
}

static struct node *read_tree(struct reader *r)
{
    struct node *tree = new_node(r, NODE_TREE);
    r->p++;
    if (enter(r) < 0 || read_members(r, tree, true) < 0)
        return NULL;
    r->depth--;
    return tree;
}

static bool is_empty_text(const struct node *node)
{
    return node_is(node, NODE_TEXT) && !*node->text;
}

static struct node *read_list(struct reader *r)
{
    struct node *list = new_node(r, NODE_LIST);
    int line = r->line;
    r->p++;
    if (enter(r) < 0)
        return NULL;
    for (;;) {
        struct node *value = read_value(r);
        if (!value)
            return NULL;
        /* Empty texts are dropped, "" too. */
        if (!is_empty_text(value)) {
            value->parent = value->kind == NODE_VALUES ? list : value->parent;
            value->index = list->n;
            node_push(r->doc, list, value);
        }
        if (!at_any(r, ",\r\n"))
            break;
        for (; at_any(r, ",\r\n"); r->p++)
            r->line += *r->p == '\n';
    }
    if (!at_char(r, ']')) {
        bool open = r->p == r->end || at_char(r, '}');
        fail(r, open ? line : r->line, open ? "'[' has no ']'" : "',' or ']' expected");
        return NULL;
    }
    r->p++;
    r->depth--;
    return list;
}

/* Past what is no value inside one: comments, with the ends of lines and commas right
 * before them, and a backslash at the end of a line. True if there was any. */
static bool skip_inside(struct reader *r)
{
    struct reader ahead = *r;
    while (at_any(&ahead, "\r\n,")) {
        ahead.line += *ahead.p == '\n';
        ahead.p++;
    }
    skip_blanks(&ahead);
    bool comment = at_comment(&ahead);
    if (!comment && at_char(r, '\\') && r->end - r->p > 1 && strchr("\r\n", r->p[1])) {
        r->p++;
        while (at_any(r, "\r\n"))
            r->line += *r->p++ == '\n';
        return true;
    }
    if (comment) {
        *r = ahead;
        skip_comment(r);
    }
    return comment;
}

static bool at_include(const struct reader *r);

static struct node *read_part(struct reader *r)
{
    size_t n = at_number(r);
    if (at_include(r)) {
        fail(r, r->line, "include is no part of a value");
        return NULL;
    }
    if (at(r, "${"))
        return read_substitution(r);
    if (at_char(r, '{'))
        return read_tree(r);
    if (at_char(r, '['))
        return read_list(r);
    if (n)
        return read_literal(r, NODE_NUMBER, n);
    if (at_keyword(r, "true") || at_keyword(r, "null"))
        return read_literal(r, at_keyword(r, "true") ? NODE_BOOL : NODE_NULL, 4);
    if (at_keyword(r, "false"))
        return read_literal(r, NODE_BOOL, 5);
    if (at_triple(r))
        return read_triple(r);
    return at_char(r, '"') ? read_quoted(r) : read_word(r);
}

/* Up to what ends it: an empty text if there is nothing. */
static struct node *read_value(struct reader *r)
{
    struct node *values = new_node(r, NODE_VALUES);
    for (;;) {
        skip_blanks(r);
        if (skip_inside(r))
            continue;
        if (r->p == r->end || at_any(r, ",}]\r\n"))
            break;
        struct node *part = read_part(r);
        if (!part)
            return NULL;
        if (!values->n) {
            values->line = part->line;
        }
        node_push(r->doc, values, part);
    }
    values_recompute(r->doc, values);
    struct node *value = values_transform(r->doc, values);
    return r->doc->failed ? NULL : value;
}

/* ---- include ---- */

static char *included_dup(const struct reader *r, const char *name)
{
    const char *slash = strrchr(r->file, '/');
    if (strncmp(name, "file://", 7) == 0)
        return xstrdup(name + 7);
    if (name[0] == '/' || !slash)
        return xstrdup(name);
    return xasprintf("%.*s/%s", (int)(slash - r->file), r->file, name);
}

static int include_file(struct reader *r, struct node *tree, const char *name,
                        bool required)
{
    if (!r->options || !r->options->file)
        return fail(r, r->line, "include is not allowed here");
    if (r->include_depth >= HOCON_INCLUDE_MAX)
        return fail(r, r->line, "include goes too deep");
    if (strncmp(name, "http://", 7) == 0 || strncmp(name, "https://", 8) == 0)
        return fail(r, r->line,
                    "an address is not included; save it as a file, and include that");
    auto_free char *path = included_dup(r, name);
    auto_buf text = BUF_INIT;
    struct reeve_error why = {0};
    if (file_read(path, &text, HOCON_BYTES_MAX, &why) < 0) {
        if (!required && (why.code == ENOENT || why.code == ENOTDIR))
            return 0;
        return fail(r, r->line, why.text);
    }
    struct hocon_options options = {.file = path, .env = r->options->env};
    struct node *inner = new_node(r, NODE_TREE);
    inner->root = true;
    if (hocon_read(r->doc, inner, buf_str(&text), text.len, &options,
                   r->include_depth + 1) < 0)
        return -1;
    for (struct field *f = inner->fields; f; f = f->next)
        tree_assign(r->doc, tree, f->name, &f->name, 1, false, f->value);
    return r->doc->failed ? -1 : 0;
}

/* `include "f"`, include file("f"), include required("f"), include required(file("f")).
 */
static int read_include(struct reader *r, struct node *tree)
{
    static const char *const words[] = {"required", "file", "url"};
    const char *text;
    size_t used = 0, n;
    r->p += strlen("include");
    skip_blanks(r);
    bool required = at_keyword(r, "required");
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (!at_keyword(r, words[i]))
            continue;
        r->p += strlen(words[i]);
        skip_blanks(r);
        if (!at_char(r, '('))
            return fail(r, r->line, "'(' expected");
        r->p++;
        used++;
        skip_blanks(r);
    }
    if (!at_char(r, '"'))
        return fail(r, r->line, "include needs a file name in quotes");
    if (skip_quoted(r, &text, &n) < 0)
        return -1;
    auto_buf name = BUF_INIT;
    add_unescaped(&name, text, n);
    for (; used; used--) {
        skip_blanks(r);
        if (!at_char(r, ')'))
            return fail(r, r->line, "include has no ')'");
        r->p++;
    }
    return include_file(r, tree, buf_str(&name), required);
}

static bool at_include(const struct reader *r)
{
    if (!at_keyword(r, "include"))
        return false;
    struct reader after = *r;
    after.p += strlen("include");
    skip_blanks(&after);
    struct reader word = after;
    while (word.p < word.end && isalpha((unsigned char)*word.p))
        word.p++;
    bool named = at_keyword(&after, "required") || at_keyword(&after, "file") ||
                 at_keyword(&after, "url");
    skip_blanks(&word);
    return at_char(&after, '"') || (named && at_char(&word, '('));
}

/* ---- members ---- */

/* A key as it is written, quotes included; blanks around it are not part of it. */
static const char *read_key(struct reader *r)
{
    const char *start = r->p, *text;
    size_t n;
    while (r->p < r->end && !strchr("=:{}[],#$\r\n\t", *r->p) && !at(r, "+=")) {
        if (!at_char(r, '"'))
            r->p++;
        else if (skip_quoted(r, &text, &n) < 0)
            return NULL;
    }
    const char *end = r->p;
    while (end > start && is_blank(end[-1]))
        end--;
    return doc_text(r->doc, start, (size_t)(end - start));
}

/* What stands between key and value: '=', ':', "+=" or nothing before a brace. */
static int read_separator(struct reader *r, bool *append)
{
    int line = r->line;
    skip(r, "\r\n");
    *append = at(r, "+=");
    if (!*append && !at_char(r, '=') && !at_char(r, ':'))
        return at_char(r, '{')
                   ? 0
                   : fail(r, line, "'=', ':' or '{' expected after this name");
    r->p += *append ? 2 : 1;
    skip(r, "\r\n");
    return 1;
}

static int read_member(struct reader *r, struct node *tree)
{
    const char *names[HOCON_DEPTH_MAX];
    int line = r->line;
    bool append;
    const char *key = read_key(r);
    if (!key)
        return -1;
    size_t n = path_split(r->doc, key, names, HOCON_DEPTH_MAX);
    int separator = n ? read_separator(r, &append) : -1;
    if (!n)
        return fail(r, line,
                    at_char(r, '}') ? "'}' has no '{'" : "a name is missing here");
    if (separator < 0)
        return -1;
    if (n == HOCON_DEPTH_MAX || r->depth + (int)n > HOCON_DEPTH_MAX)
        return fail(r, line, "nested too deeply");
    const char **path = doc_alloc(r->doc, n * sizeof *path);
    memcpy(path, names, n * sizeof *path);
    r->depth += (int)n - 1;
    struct node *value = separator ? read_value(r) : read_tree(r);
    r->depth -= (int)n - 1;
    if (!value)
        return -1;
    tree_assign(r->doc, tree, key, path, n, append, value);
    return r->doc->failed ? -1 : 0;
}

static int read_members(struct reader *r, struct node *tree, bool braces)
{
    int line = r->line;
    for (;;) {
        skip(r, "\r\n,");
        if (braces && at_char(r, '}')) {
            r->p++;
            return 0;
        }
        if (r->p == r->end)
            return braces ? fail(r, line, "'{' has no '}'") : 0;
        int rc = at_include(r) ? read_include(r, tree) : read_member(r, tree);
        if (rc < 0)
            return -1;
    }
}

static int read_root(struct reader *r, struct node *tree)
{
    if (at(r, "\xef\xbb\xbf"))
        r->p += 3;
    skip(r, "\r\n");
    if (at_char(r, '['))
        return fail(r, r->line, "an object is expected, this is a list");
    if (!at_char(r, '{'))
        return read_members(r, tree, false);
    r->p++;
    if (read_members(r, tree, true) < 0)
        return -1;
    skip(r, "\r\n,");
    return r->p == r->end ? 0 : fail(r, r->line, "text after the last '}'");
}

int hocon_read(struct hocon_doc *doc, struct node *tree, const char *text, size_t n,
               const struct hocon_options *options, int include_depth)
{
    struct reader r = {
        .doc = doc,
        .options = options,
        .p = text,
        .end = text + n,
        .line = 1,
        .include_depth = include_depth,
    };
    if (options && options->file)
        r.file = doc_text(doc, options->file, strlen(options->file));
    tree->file = r.file;
    tree->line = 1;
    if (n > HOCON_BYTES_MAX)
        return fail(&r, 1, "too large for a configuration");
    if (n && (memchr(text, '\0', n) || !utf8_valid(text, n)))
        return fail(&r, 1, "not UTF-8 text");
    return read_root(&r, tree);
}
