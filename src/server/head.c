/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/head.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Of HEAD_MEMORY: what libmicrohttpd notes of each field, argument and cookie, and what
 * it needs afterwards for the body's first piece and the answer's headers. */
#define ITEM_MEMORY 64
#define ANSWER_MEMORY 4096
/* Its buffer for reading is never smaller; the body's first bytes fill it. */
#define READ_MEMORY (HEAD_MEMORY / 2)
#define CHUNK_LINE_MAX 256
#define LENGTH_DIGITS_MAX 18
#define CHUNK_DIGITS_MAX 15
#define EMPTY_LINES_MAX 4

struct text {
    const char *data;
    size_t n;
};

struct head {
    const char *data, *next, *end;
    size_t line;   /* length of the request line */
    size_t fields; /* header fields so far */
    size_t items;  /* fields, arguments and cookies */
    size_t copied; /* bytes of cookies: libmicrohttpd copies them */
    struct text length;
    bool chunked, expects, http10;
    const char **why;
};

static int refuse(struct head *h, int status, const char *why)
{
    *h->why = why;
    return status;
}

/* ---- characters ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Of a method or a field's name. */
static bool is_token(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

static size_t token_length(const struct text *t)
{
    size_t n = 0;
    while (n < t->n && is_token(t->data[n]))
        n++;
    return n;
}

static size_t count(const struct text *t, const char *set)
{
    size_t found = 0;
    for (size_t i = 0; i < t->n; i++)
        if (t->data[i] != '\0' && strchr(set, t->data[i]))
            found++;
    return found;
}

static bool equals(const struct text *t, const char *word)
{
    return t->n == strlen(word) && strncasecmp(t->data, word, t->n) == 0;
}

static void trim(struct text *t)
{
    while (t->n > 0 && (*t->data == ' ' || *t->data == '\t'))
        t->data++, t->n--;
    while (t->n > 0 && (t->data[t->n - 1] == ' ' || t->data[t->n - 1] == '\t'))
        t->n--;
}

/* ---- lines ---- */

/* libmicrohttpd takes a CR without LF for the end of a line, others do not; so it is
 * a control character here, like NUL. */
static int next_line(struct head *h, struct text *line)
{
    const char *end = memchr(h->next, '\n', (size_t)(h->end - h->next));
    const char *stop = end ? end : h->end;
    if (memchr(h->next, '\0', (size_t)(stop - h->next)))
        return refuse(h, 400, "NUL in the request");
    if (!end)
        return HEAD_MORE;
    line->data = h->next;
    line->n = (size_t)(end - h->next);
    h->next = end + 1;
    if (line->n > 0 && line->data[line->n - 1] == '\r')
        line->n--;
    for (size_t i = 0; i < line->n; i++)
        if (is_control(line->data[i]) && line->data[i] != '\t')
            return refuse(h, 400, "control character in the request");
    return HEAD_GOOD;
}

static int check_version(struct head *h, const struct text *version)
{
    const char *v = version->data;
    if (version->n != 8 || memcmp(v, "HTTP/", 5) != 0 || !is_digit(v[5]) ||
        v[6] != '.' || !is_digit(v[7]))
        return refuse(h, 400, "malformed request line");
    if (v[5] != '1')
        return refuse(h, 400, "HTTP version is not supported");
    h->http10 = v[7] == '0';
    return HEAD_GOOD;
}

static int check_target(struct head *h, const struct text *target)
{
    const char *query = memchr(target->data, '?', target->n);
    if (target->n == 0 || count(target, "\t") > 0)
        return refuse(h, 400, "malformed request line");
    if (query) {
        struct text args = {query, (size_t)(target->data + target->n - query)};
        h->items += 1 + count(&args, "&");
    }
    return HEAD_GOOD;
}

static int split_request_line(struct head *h, const struct text *line)
{
    size_t method = token_length(line);
    if (method == 0 || method == line->n || line->data[method] != ' ')
        return refuse(h, 400, "malformed request line");
    struct text target = {line->data + method + 1, 0};
    const char *end = line->data + line->n;
    const char *space = memchr(target.data, ' ', (size_t)(end - target.data));
    if (!space)
        return refuse(h, 400, "malformed request line");
    target.n = (size_t)(space - target.data);
    struct text version = {space + 1, (size_t)(end - space - 1)};
    int status = check_target(h, &target);
    return status == HEAD_GOOD ? check_version(h, &version) : status;
}

static int check_request_line(struct head *h)
{
    struct text line = {0};
    int status = HEAD_GOOD;
    /* Some clients end a request's body with an empty line more than they count. */
    for (int i = 0; status == HEAD_GOOD && line.n == 0; i++) {
        if (i > EMPTY_LINES_MAX)
            return refuse(h, 400, "malformed request line");
        status = next_line(h, &line);
    }
    h->line = line.n;
    return status == HEAD_GOOD ? split_request_line(h, &line) : status;
}

/* ---- fields ---- */

static int check_length(struct head *h, const struct text *value)
{
    size_t digits = 0;
    while (digits < value->n && is_digit(value->data[digits]))
        digits++;
    if (digits == 0 || digits < value->n)
        return refuse(h, 400, "malformed Content-Length");
    if (digits > LENGTH_DIGITS_MAX)
        return refuse(h, 413, "Content-Length is too large");
    if (h->length.data &&
        (h->length.n != value->n || memcmp(h->length.data, value->data, value->n) != 0))
        return refuse(h, 400, "several different Content-Length");
    h->length = *value;
    return HEAD_GOOD;
}

static int check_encoding(struct head *h, const struct text *value)
{
    if (h->chunked || !equals(value, "chunked"))
        return refuse(h, 400, "Transfer-Encoding is not supported");
    h->chunked = true;
    return HEAD_GOOD;
}

static int check_field(struct head *h, const struct text *line)
{
    struct text name = {line->data, token_length(line)};
    if (*line->data == ' ' || *line->data == '\t')
        return refuse(h, 400, "folded header line");
    if (name.n == line->n || line->data[name.n] != ':')
        return refuse(h, 400,
                      memchr(line->data, ':', line->n) ? "malformed header name"
                                                       : "header line without a colon");
    if (name.n == 0)
        return refuse(h, 400, "malformed header name");
    h->items++;
    if (++h->fields > HEAD_FIELDS_MAX)
        return refuse(h, 431, "too many header fields");
    struct text value = {line->data + name.n + 1, line->n - name.n - 1};
    trim(&value);
    if (equals(&name, "Content-Length"))
        return check_length(h, &value);
    if (equals(&name, "Transfer-Encoding"))
        return check_encoding(h, &value);
    if (equals(&name, "Expect"))
        h->expects = true;
    if (equals(&name, "Cookie")) {
        h->items += 1 + count(&value, ";,");
        h->copied += value.n + 1;
    }
    return HEAD_GOOD;
}

static int check_fields(struct head *h)
{
    for (;;) {
        struct text line;
        int status = next_line(h, &line);
        if (status == HEAD_GOOD && line.n == 0)
            return HEAD_GOOD;
        if (status == HEAD_GOOD)
            status = check_field(h, &line);
        if (status != HEAD_GOOD)
            return status;
    }
}

/* ---- the whole ---- */

static int check_size(struct head *h, size_t n)
{
    size_t read = n > READ_MEMORY ? n : READ_MEMORY;
    size_t all = read + h->copied + h->items * ITEM_MEMORY + ANSWER_MEMORY;
    if (all <= HEAD_MEMORY)
        return HEAD_GOOD;
    /* The request line takes the most of it, or has not even ended. */
    if (h->line == 0 || h->line > HEAD_MEMORY / 2)
        return refuse(h, 414, "request line is too long");
    return refuse(h, 431, "header fields are too large");
}

static int check_chunk(struct head *h)
{
    struct text line;
    int status = next_line(h, &line);
    if (status == HEAD_MORE)
        return h->end - h->next > CHUNK_LINE_MAX
                   ? refuse(h, 400, "malformed chunk size")
                   : HEAD_MORE;
    if (status != HEAD_GOOD)
        return status;
    size_t digits = 0;
    while (digits < line.n && is_hex(line.data[digits]))
        digits++;
    if (digits == 0 || digits > CHUNK_DIGITS_MAX ||
        (digits < line.n && !strchr("; \t", line.data[digits])))
        return refuse(h, 400, "malformed chunk size");
    return HEAD_GOOD;
}

static int check_framing(struct head *h)
{
    if (!h->chunked)
        return HEAD_GOOD;
    if (h->length.data)
        return refuse(h, 400, "Content-Length together with Transfer-Encoding");
    if (h->http10)
        return refuse(h, 400, "Transfer-Encoding in an HTTP/1.0 request");
    return h->expects ? HEAD_GOOD : check_chunk(h);
}

int head_check(const char *data, size_t n, const char **why)
{
    struct head h = {.data = data, .next = data, .end = data + n, .why = why};
    int status = check_request_line(&h);
    if (status == HEAD_GOOD)
        status = check_fields(&h);
    if (status != HEAD_GOOD && status != HEAD_MORE)
        return status;
    size_t size = status == HEAD_MORE ? n : (size_t)(h.next - data);
    int fits = check_size(&h, size);
    if (fits != HEAD_GOOD || status == HEAD_MORE)
        return fits != HEAD_GOOD ? fits : HEAD_MORE;
    return check_framing(&h);
}
