/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/hosts.h"

#include "base/alloc.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define URL_MAX 2048

/* In the order of struct hosts. */
static const struct role {
    const char *name; /* first label of the host's name */
    const char *port;
} roles[] = {{"api.", ":8008"}, {"app.", ":8080"}, {"files.", ":8081"}};

void hosts_free(struct hosts *h)
{
    free(h->api);
    free(h->web);
    free(h->files);
    *h = (struct hosts){0};
}

static bool sound_host(const char *host)
{
    size_t n = strcspn(host, "/");
    if (!n || strchr("/:?#@", host[0]))
        return false;
    for (const char *c = host; *c; c++)
        if (isspace((unsigned char)*c) || iscntrl((unsigned char)*c) ||
            strchr("\"\\?#", *c))
            return false;
    return true;
}

char *host_url_dup(const char *text, struct reeve_error *err)
{
    const char *scheme = "", *rest = strstr(text, "://");
    if (strlen(text) > URL_MAX) {
        reeve_error_set(err, 0, "a URL of more than %d bytes", URL_MAX);
        return NULL;
    }
    if (!rest)
        scheme = strchr(text, ':') ? "http://" : "https://";
    const char *host = rest ? rest + 3 : text;
    bool known =
        !rest || strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
    if (!known || !sound_host(host)) {
        reeve_error_set(err, 0, "\"%.80s\" is no http or https URL", text);
        return NULL;
    }
    char *url = xasprintf("%s%s", scheme, text);
    for (size_t n = strlen(url); n && url[n - 1] == '/'; n--)
        url[n - 1] = '\0';
    return url;
}

/* The URL with `from` replaced by `to` at `at`. */
static char *replaced_dup(const char *url, const char *at, const char *from,
                          const char *to)
{
    return xasprintf("%.*s%s%s", (int)(at - url), url, to, at + strlen(from));
}

/* The URL of the other role on the same server, or NULL. */
static char *other_dup(const char *url, const struct role *role,
                       const struct role *other)
{
    const char *host = strstr(url, "://") + 3;
    size_t n = strcspn(host, "/");
    const char *port = memchr(host, ']', n); /* of an IPv6 address */
    port = memchr(port ? port : host, ':', n - (size_t)((port ? port : host) - host));
    if (strncmp(host, role->name, strlen(role->name)) == 0)
        return replaced_dup(url, host, role->name, other->name);
    size_t length = strlen(role->port);
    if (port && (size_t)(host + n - port) == length &&
        memcmp(port, role->port, length) == 0)
        return replaced_dup(url, port, role->port, other->port);
    return NULL;
}

void hosts_complete(struct hosts *h)
{
    char **const all[] = {&h->api, &h->web, &h->files};
    for (size_t from = 0; from < ARRAY_SIZE(all); from++)
        for (size_t to = 0; to < ARRAY_SIZE(all); to++)
            if (*all[from] && !*all[to])
                *all[to] = other_dup(*all[from], &roles[from], &roles[to]);
}
