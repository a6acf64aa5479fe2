/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/url.h"

#include <string.h>
#include <strings.h>

static void split_host(const char *from, size_t n, struct url *out)
{
    bool bracket = n > 0 && *from == '[';
    const char *end = memchr(from, bracket ? ']' : ':', n);
    size_t host_end = end ? (size_t)(end - from) : n;
    out->host = (struct url_part){from + bracket, host_end - bracket};
    if (bracket && end)
        host_end++;
    if (host_end < n && from[host_end] == ':')
        out->port = (struct url_part){from + host_end + 1, n - host_end - 1};
}

void url_split(const char *text, struct url *out)
{
    *out = (struct url){0};
    const char *from = strstr(text, "://");
    out->scheme = (struct url_part){text, from ? (size_t)(from - text) : 0};
    from = from ? from + 3 : text;
    size_t n = strcspn(from, "/?#");
    out->path = (struct url_part){from + n, strlen(from + n)};
    const char *at = memrchr(from, '@', n);
    if (at) {
        out->user = (struct url_part){from, (size_t)(at - from)};
        n -= out->user.n + 1;
        from = at + 1;
    }
    split_host(from, n, out);
}

bool url_part_is(struct url_part part, const char *text)
{
    return part.n == strlen(text) && !strncasecmp(part.text, text, part.n);
}

bool url_same_part(struct url_part a, struct url_part b)
{
    return a.n == b.n && (!a.n || !strncasecmp(a.text, b.text, a.n));
}
