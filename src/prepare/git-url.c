/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "prepare/git-url.h"
#include "base/alloc.h"
#include "base/buf.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define URL_BYTES_MAX 4096

static const struct scheme {
    const char *prefix;
    enum git_url_kind kind;
} schemes[] = {
    {"http://", GIT_URL_HTTP},   {"https://", GIT_URL_HTTPS}, {"ssh://", GIT_URL_SSH},
    {"git+ssh://", GIT_URL_SSH}, {"ssh+git://", GIT_URL_SSH}, {"git://", GIT_URL_GIT},
    {"file://", GIT_URL_FILE},
};

static const struct scheme *find_scheme(const char *text)
{
    for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
        if (strncasecmp(text, schemes[i].prefix, strlen(schemes[i].prefix)) == 0)
            return &schemes[i];
    return NULL;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static char *decode_dup(const char *p, size_t n)
{
    auto_buf out = BUF_INIT;
    for (size_t i = 0; i < n; i++) {
        int high = p[i] == '%' && i + 2 < n ? hex_digit(p[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(p[i + 2]) : -1;
        if (low >= 0 && (high || low)) {
            buf_add_char(&out, (char)(high << 4 | low));
            i += 2;
        } else {
            buf_add_char(&out, p[i]);
        }
    }
    return out.data ? buf_take(&out) : xstrdup("");
}

static char *name_dup(const char *path)
{
    size_t n = strcspn(path, "?#");
    while (n > 0 && path[n - 1] == '/')
        n--;
    size_t start = n;
    while (start > 0 && path[start - 1] != '/' && path[start - 1] != ':')
        start--;
    if (n - start > 4 && strncmp(path + n - 4, ".git", 4) == 0)
        n -= 4;
    char *name = xstrndup(path + start, n - start > 100 ? 100 : n - start);
    for (char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
            *p = '_';
    if (!name[0] || name[0] == '.') {
        free(name);
        return xstrdup("repository");
    }
    return name;
}

static bool sound_host(const char *host)
{
    if (!host[0] || host[0] == '-' || strlen(host) > 255)
        return false;
    for (const char *p = host; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr(".-_:[]", *p))
            return false;
    return true;
}

/* "[user[:pass]@]host[:port]" of n bytes. */
static int parse_authority(const char *p, size_t n, struct git_url *out,
                           struct reeve_error *err)
{
    const char *at = memrchr(p, '@', n);
    size_t info = at ? (size_t)(at - p) : 0;
    const char *colon = info ? memchr(p, ':', info) : NULL;
    size_t user = colon ? (size_t)(colon - p) : info;
    out->user = decode_dup(p, user);
    out->pass = colon ? decode_dup(colon + 1, info - user - 1) : xstrdup("");
    const char *host = at ? at + 1 : p;
    size_t host_n = n - (size_t)(host - p);
    const char *end = host_n && host[0] == '[' ? memchr(host, ']', host_n) : NULL;
    size_t skip = end ? (size_t)(end - host) : 0;
    const char *port = memchr(host + skip, ':', host_n - skip);
    out->port_given = port != NULL;
    out->host = xstrndup(host, port ? (size_t)(port - host) : host_n);
    for (const char *d = port ? port + 1 : ""; port && d < host + host_n; d++)
        if (!isdigit((unsigned char)*d))
            return reeve_error_set(err, EINVAL, "invalid port in the repository's URL");
    if (!sound_host(out->host) || out->user[0] == '-')
        return reeve_error_set(err, EINVAL, "invalid host in the repository's URL");
    return 0;
}

static int parse_scheme(const char *text, const struct scheme *scheme,
                        struct git_url *out, struct reeve_error *err)
{
    const char *rest = text + strlen(scheme->prefix);
    size_t n = strcspn(rest, "/?#");
    out->kind = scheme->kind;
    out->name = name_dup(rest + n);
    if (scheme->kind == GIT_URL_FILE) {
        if (n && !(n == 9 && strncmp(rest, "localhost", 9) == 0))
            return reeve_error_set(err, EINVAL, "a file URL with a host");
        out->user = xstrdup(""), out->pass = xstrdup(""), out->host = xstrdup("");
        out->fetch = xasprintf("file://%s", rest + n);
        return 0;
    }
    if (parse_authority(rest, n, out, err) < 0)
        return -1;
    const char *at = memrchr(rest, '@', n);
    const char *host = at ? at + 1 : rest;
    if (scheme->kind == GIT_URL_SSH)
        out->fetch =
            xasprintf("ssh://%s%s%s", out->user, out->user[0] ? "@" : "", host);
    else
        out->fetch = xasprintf("%s%s", scheme->prefix, host);
    return 0;
}

/* user@host:path */
static int parse_short(const char *text, struct git_url *out, struct reeve_error *err)
{
    const char *colon = strchr(text, ':');
    if (!colon || memchr(text, '/', (size_t)(colon - text)) || colon[1] == ':' ||
        strncmp(colon, "://", 3) == 0 || !colon[1])
        return reeve_error_set(err, EINVAL,
                               "the repository is no URL that reeve understands (http, "
                               "https, ssh, git, file, or an absolute path)");
    out->kind = GIT_URL_SSH;
    out->name = name_dup(colon + 1);
    out->fetch = xstrdup(text);
    return parse_authority(text, (size_t)(colon - text), out, err);
}

static int parse(const char *text, struct git_url *out, struct reeve_error *err)
{
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return reeve_error_set(err, EINVAL,
                                   "a control byte in the repository's URL");
    if (strlen(text) > URL_BYTES_MAX)
        return reeve_error_set(err, EINVAL, "the repository's URL is too long");
    const struct scheme *scheme = find_scheme(text);
    if (scheme)
        return parse_scheme(text, scheme, out, err);
    if (text[0] != '/')
        return parse_short(text, out, err);
    out->kind = GIT_URL_FILE;
    out->name = name_dup(text);
    out->fetch = xstrdup(text);
    out->user = xstrdup(""), out->pass = xstrdup(""), out->host = xstrdup("");
    return 0;
}

int git_url_parse(const char *text, struct git_url *out, struct reeve_error *err)
{
    memset(out, 0, sizeof *out);
    if (parse(text, out, err) == 0)
        return 0;
    git_url_free(out);
    return -1;
}

void git_url_free(struct git_url *u)
{
    free(u->fetch);
    free(u->user);
    if (u->pass)
        explicit_bzero(u->pass, strlen(u->pass));
    free(u->pass);
    free(u->host);
    free(u->name);
    memset(u, 0, sizeof *u);
}

/* What follows the host. */
static const char *path_of(const struct git_url *u)
{
    const char *scheme = strstr(u->fetch, "://");
    if (!scheme)
        return strchr(u->fetch, ':') + 1;
    return scheme + 3 + strcspn(scheme + 3, "/");
}

char *git_url_web_dup(const struct git_url *u, const char *scheme)
{
    const char *path = path_of(u);
    /* A port that was given is ssh's own. */
    return xasprintf("%s://%s%s%s", scheme, u->host, path[0] == '/' ? "" : "/", path);
}

char *git_url_ssh_dup(const struct git_url *u, const char *user, int port)
{
    const char *path = path_of(u);
    auto_free char *number = port > 0 ? xasprintf(":%d", port) : xstrdup("");
    return xasprintf("ssh://%s@%s%s%s%s", *user ? user : "git", u->host, number,
                     path[0] == '/' ? "" : "/", path);
}

/* The end of the user's part of an address, or NULL. A password with an unescaped slash
 * makes no sound URL, but it is shown as little as any other. */
static const char *find_userinfo_end(const char *rest)
{
    size_t n = strcspn(rest, "/?#");
    const char *at = memrchr(rest, '@', n);
    if (at)
        return at;
    const char *colon = memchr(rest, ':', n);
    if (!colon || strspn(colon + 1, "0123456789") == n - (size_t)(colon + 1 - rest))
        return NULL;
    return strrchr(rest, '@');
}

char *git_url_shown_dup(const char *text)
{
    const char *scheme = strstr(text, "://");
    const char *rest = scheme ? scheme + 3 : text;
    const char *at = find_userinfo_end(rest);
    /* Without a password, ssh's user is part of the address. */
    if (at && !memchr(rest, ':', (size_t)(at - rest)) && strncmp(text, "http", 4) != 0)
        at = NULL;
    const char *from = at ? at + 1 : rest;
    /* Tokens travel in queries too. */
    size_t n = strcspn(from, "?");
    return xasprintf("%.*s%.*s%s", (int)(rest - text), text, (int)n, from,
                     from[n] ? "?..." : "");
}

bool git_url_may_lead_to(const struct git_url *parent, const struct git_url *child)
{
    return child->kind != GIT_URL_FILE || parent->kind == GIT_URL_FILE;
}
