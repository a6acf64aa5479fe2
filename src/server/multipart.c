/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/multipart.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/utf8.h"

#include <string.h>
#include <strings.h>

enum state { PREAMBLE, BOUNDARY, HEADERS, BODY, EPILOGUE, FAILED };

struct multipart {
    const struct multipart_ops *ops;
    void *arg;
    enum state state;
    char *delimiter; /* "\r\n--" and the boundary */
    size_t delimiter_len;
    struct buf pending; /* what cannot be told yet */
};

/* ---- parameters of a header: "; name=value", quoted, plain or extended ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A quoted string from behind its first quote; returns behind its last. Clients escape
 * quotes by a backslash or, as browsers do, as %22. */
static const char *read_quoted(const char *p, struct buf *out)
{
    for (; *p && *p != '"'; p++) {
        if (*p == '\\' && (p[1] == '"' || p[1] == '\\'))
            buf_add_char(out, *++p);
        else if (!strncmp(p, "%22", 3))
            buf_add_char(out, '"'), p += 2;
        else
            buf_add_char(out, *p);
    }
    return *p ? p + 1 : p;
}

/* RFC 2231: charset'language'percent-encoded. False if it is none, or not UTF-8. */
static bool decode_extended(const char *value, struct buf *out)
{
    if (strncasecmp(value, "utf-8'", 6) != 0)
        return false;
    const char *p = strchr(value + 6, '\'');
    if (!p)
        return false;
    for (p++; *p; p++) {
        if (*p != '%') {
            buf_add_char(out, *p);
            continue;
        }
        int high = hex_digit(p[1]);
        int low = high < 0 ? -1 : hex_digit(p[2]);
        if (low < 0)
            return false;
        buf_add_char(out, (char)(high << 4 | low));
        p += 2;
    }
    return true;
}

struct params {
    struct buf name;
    bool has_name, name_is_extended, has_file;
};

static const char *read_value(const char *p, struct buf *value)
{
    if (*p == '"')
        return read_quoted(p + 1, value);
    size_t n = strcspn(p, "; \t");
    buf_add(value, p, n);
    return p + n;
}

static void note_param(struct params *params, const char *key, const struct buf *value)
{
    if (!strncasecmp(key, "filename", 8) && (!key[8] || !strcmp(key + 8, "*"))) {
        params->has_file = true;
        return;
    }
    bool extended = !strcasecmp(key, "name*");
    if ((!extended && strcasecmp(key, "name") != 0) || params->name_is_extended)
        return;
    struct buf decoded = BUF_INIT;
    if (!extended)
        buf_add(&decoded, value->data, value->len);
    if (!extended || decode_extended(buf_str(value), &decoded)) {
        buf_free(&params->name);
        params->name = decoded;
        params->has_name = true;
        params->name_is_extended = extended;
    } else {
        buf_free(&decoded);
    }
}

static void read_params(const char *p, struct params *params)
{
    while (*(p += strcspn(p, ";"))) {
        p++;
        while (is_space(*p))
            p++;
        size_t n = strcspn(p, "=;");
        if (p[n] != '=')
            continue;
        auto_free char *key = xstrndup(p, n);
        while (n && is_space(key[n - 1]))
            key[--n] = '\0';
        p += strcspn(p, "=") + 1;
        while (is_space(*p))
            p++;
        auto_buf value = BUF_INIT;
        p = read_value(p, &value);
        note_param(params, key, &value);
    }
}

/* ---- life ---- */

static char *find_boundary_dup(const char *content_type)
{
    static const char type[] = "multipart/form-data";
    if (strncasecmp(content_type, type, strlen(type)) != 0)
        return NULL;
    const char *p = content_type + strlen(type);
    while (*(p += strcspn(p, ";"))) {
        p++;
        while (is_space(*p))
            p++;
        if (strncasecmp(p, "boundary=", 9) != 0)
            continue;
        auto_buf value = BUF_INIT;
        read_value(p + 9, &value);
        /* RFC 2046 allows 70; be liberal, but bounded. */
        if (value.len == 0 || value.len > 200)
            return NULL;
        return buf_take(&value);
    }
    return NULL;
}

struct multipart *multipart_create(const char *content_type,
                                   const struct multipart_ops *ops, void *arg)
{
    auto_free char *boundary = content_type ? find_boundary_dup(content_type) : NULL;
    if (!boundary)
        return NULL;
    struct multipart *m = xcalloc(1, sizeof *m);
    m->ops = ops;
    m->arg = arg;
    m->delimiter = xasprintf("\r\n--%s", boundary);
    m->delimiter_len = strlen(m->delimiter);
    /* The first boundary may be the very first bytes. */
    buf_add_str(&m->pending, "\r\n");
    return m;
}

void multipart_destroy(struct multipart *m)
{
    if (!m)
        return;
    buf_free(&m->pending);
    free(m->delimiter);
    free(m);
}

bool multipart_complete(const struct multipart *m)
{
    return m->state == EPILOGUE;
}

/* ---- the stream; each step returns true if there is more to do with what is there
 * ---- */

static bool fail(struct multipart *m)
{
    m->state = FAILED;
    return false;
}

/* Hands on what is sure to be no part of a delimiter. */
static bool step_content(struct multipart *m)
{
    struct buf *b = &m->pending;
    char *at = memmem(b->data, b->len, m->delimiter, m->delimiter_len);
    size_t sure = at                           ? (size_t)(at - b->data)
                  : b->len >= m->delimiter_len ? b->len - (m->delimiter_len - 1)
                                               : 0;
    if (m->state == BODY && sure && m->ops->data(m->arg, b->data, sure) < 0)
        return fail(m);
    if (!at) {
        buf_consume(b, sure);
        return false;
    }
    buf_consume(b, sure + m->delimiter_len);
    if (m->state == BODY && m->ops->end(m->arg) < 0)
        return fail(m);
    m->state = BOUNDARY;
    return true;
}

/* Behind a boundary: "--" ends all, else blanks and a line end. */
static bool step_boundary(struct multipart *m)
{
    struct buf *b = &m->pending;
    if (b->len < 2)
        return false;
    if (!memcmp(b->data, "--", 2)) {
        m->state = EPILOGUE;
        return true;
    }
    size_t n = 0;
    while (n < b->len && is_space(b->data[n]))
        n++;
    if (n > MULTIPART_HEADERS_MAX)
        return fail(m);
    if (b->len < n + 2)
        return false;
    if (memcmp(b->data + n, "\r\n", 2) != 0)
        return fail(m);
    buf_consume(b, n); /* the line end stays: it may be that of empty headers */
    m->state = HEADERS;
    return true;
}

static bool begin_part(struct multipart *m, const char *headers)
{
    static const char wanted[] = "content-disposition:";
    struct params params = {.name = BUF_INIT};
    for (const char *line = headers; line; line = strstr(line, "\r\n")) {
        if (!strncmp(line, "\r\n", 2))
            line += 2;
        if (!strncasecmp(line, wanted, strlen(wanted))) {
            auto_free char *value = xstrndup(line, strcspn(line, "\r\n"));
            read_params(value + strlen(wanted), &params);
        }
    }
    const char *name = buf_str(&params.name);
    bool sound = params.has_name && utf8_valid(name, params.name.len) &&
                 strlen(name) == params.name.len;
    bool ok = sound && m->ops->begin(m->arg, name, params.has_file) == 0;
    buf_free(&params.name);
    return ok;
}

static bool step_headers(struct multipart *m)
{
    struct buf *b = &m->pending;
    char *end = memmem(b->data, b->len, "\r\n\r\n", 4);
    if (!end)
        return b->len > MULTIPART_HEADERS_MAX ? fail(m) : false;
    size_t n = (size_t)(end - b->data);
    if (n > MULTIPART_HEADERS_MAX || memchr(b->data, '\0', n))
        return fail(m);
    auto_free char *headers = xstrndup(b->data, n);
    buf_consume(b, n + 4);
    if (!begin_part(m, headers))
        return fail(m);
    m->state = BODY;
    return true;
}

static bool step(struct multipart *m)
{
    switch (m->state) {
    case PREAMBLE:
    case BODY:
        return step_content(m);
    case BOUNDARY:
        return step_boundary(m);
    case HEADERS:
        return step_headers(m);
    default:
        buf_clear(&m->pending);
        return false;
    }
}

int multipart_feed(struct multipart *m, const char *data, size_t n)
{
    buf_add(&m->pending, data, n);
    while (step(m))
        continue;
    return m->state == FAILED ? -1 : 0;
}
