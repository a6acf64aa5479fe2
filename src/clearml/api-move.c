/* SPDX-License-Identifier: Apache-2.0 */
/* Redirects: a server that has moved to https, to another port or below another path of
 * the same host.
 *
 * - Only the base address changes; the call is sent there as it is, body and method
 *   included (the usual rules would make a GET without a body of it).
 * - What was learnt is forgotten at the next failure: the configured address may be
 *   right again. */
#include "config.h"

#include "clearml/api-internal.h"
#include "base/alloc.h"
#include "loop/url.h"

#include <string.h>

char *api_shown_dup(const char *url)
{
    struct url u;
    url_split(url, &u);
    const char *host = u.user.text ? u.user.text + u.user.n + 1 : NULL;
    return host ? xasprintf("%.*s://%s", (int)u.scheme.n, u.scheme.text, host)
                : xstrdup(url);
}

const char *api_base(const struct api *api)
{
    return api->moved ? api->moved : api->url;
}

void api_unmove(struct api *api)
{
    free(api->moved);
    free(api->moved_shown);
    api->moved = api->moved_shown = NULL;
}

/* How much of the redirect's path comes before the call's; -1: it is another call. */
static int base_length(struct url_part there, const char *path)
{
    size_t n = there.n ? strcspn(there.text, "?#") : 0, m = strlen(path);
    return n >= m && !memcmp(there.text + n - m, path, m) ? (int)(n - m) : -1;
}

static bool moves(int status)
{
    return status == 301 || status == 302 || status == 307 || status == 308;
}

int api_follow(struct api *api, const char *path, const struct http_answer *a,
               struct reeve_error *err)
{
    struct url here, there;
    url_split(api_base(api), &here);
    url_split(a->location, &there);
    int base = base_length(there.path, path);
    bool secure = url_part_is(there.scheme, "https");
    if (!moves(a->status) || base < 0 || there.user.n ||
        (!secure && !url_part_is(there.scheme, "http")))
        return reeve_error_set(err, 0,
                               "HTTP %d to %.200s, which is no ClearML API; is "
                               "api.api_server right?",
                               a->status, a->location);
    int length = (int)(there.path.text - a->location) + base;
    if (!url_same_part(here.host, there.host))
        return reeve_error_set(err, 0,
                               "it redirects to another host, where the keys are not "
                               "sent; set api.api_server to %.*s if that is right",
                               length < 200 ? length : 200, a->location);
    if (!secure && url_part_is(here.scheme, "https"))
        return reeve_error_set(
            err, 0, "it redirects out of https, where the keys are not sent");
    char *moved = xasprintf("%.*s://%.*s%s%.*s", (int)there.scheme.n, there.scheme.text,
                            (int)here.user.n, here.user.n ? here.user.text : "",
                            here.user.n ? "@" : "", length - (int)there.scheme.n - 3,
                            a->location + there.scheme.n + 3);
    api_unmove(api);
    api->moved = moved;
    api->moved_shown = api_shown_dup(moved);
    return 0;
}
