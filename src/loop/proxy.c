/* SPDX-License-Identifier: Apache-2.0 */
/* requests/utils.py should_bypass_proxies and select_proxy, urllib/request.py
 * getproxies_environment and proxy_bypass_environment. Where curl reads the same
 * variables otherwise (no HTTP_PROXY in upper case, an ending in no_proxy only at a
 * dot), an installation that works with ClearML's clients would not work with reeve. */
#include "config.h"

#include "loop/proxy.h"
#include "base/alloc.h"
#include "loop/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct place {
    char *host;      /* in lower case, an IPv6 address without its brackets */
    char *host_port; /* the same, if the address names no port */
};

static char *lower_dup(const char *text, size_t n)
{
    char *out = xstrndup(text, n);
    for (char *p = out; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return out;
}

static void place_of(const char *url, struct place *place)
{
    struct url u;
    url_split(url, &u);
    place->host = lower_dup(u.host.text, u.host.n);
    place->host_port =
        u.port.n ? xasprintf("%s:%.*s", place->host, (int)u.port.n, u.port.text)
                 : xstrdup(place->host);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

/* "10.0.0.0/8" */
static bool in_network(const struct in_addr *address, const char *network)
{
    struct in_addr base;
    const char *slash = strchr(network, '/');
    if (!slash || strspn(slash + 1, "0123456789") != strlen(slash + 1))
        return false;
    int bits = atoi(slash + 1);
    auto_free char *text = xstrndup(network, (size_t)(slash - network));
    if (bits < 1 || bits > 32 || inet_pton(AF_INET, text, &base) != 1)
        return false;
    uint32_t mask = htonl(0xffffffffu << (32 - bits));
    return ((address->s_addr ^ base.s_addr) & mask) == 0;
}

static bool entry_names(const char *entry, const struct place *place)
{
    struct in_addr address;
    bool ipv4 = inet_pton(AF_INET, place->host, &address) == 1;
    const char *name = entry + strspn(entry, ".");
    if (!strcmp(place->host, name))
        return true;
    if (ipv4)
        return in_network(&address, entry);
    /* Any ending counts, not only one at a dot: "ample.com" names example.com. */
    return ends_with(place->host, entry) || ends_with(place->host_port, entry);
}

static bool is_named(const char *list, const struct place *place)
{
    if (!strcmp(list, "*"))
        return true;
    auto_free char *entries = lower_dup(list, strlen(list));
    char *left = entries, *entry;
    while ((entry = strsep(&left, ","))) {
        entry += strspn(entry, " \t");
        entry[strcspn(entry, " \t")] = '\0';
        if (*entry && entry_names(entry, place))
            return true;
    }
    return false;
}

/* lower case first; NULL if neither is set. An empty value in lower case hides the one
 * in upper case if hides. */
static const char *variable(const char *lower, const char *upper, bool hides)
{
    const char *value = getenv(lower);
    if (value && (*value || hides))
        return *value ? value : NULL;
    value = getenv(upper);
    return value && *value ? value : NULL;
}

char *proxy_for_url_dup(const char *url)
{
    const char *proxy = !strncasecmp(url, "https:", 6)
                            ? variable("https_proxy", "HTTPS_PROXY", true)
                            : variable("http_proxy", "HTTP_PROXY", true);
    if (!proxy)
        proxy = variable("all_proxy", "ALL_PROXY", true);
    const char *list = variable("no_proxy", "NO_PROXY", false);
    if (!proxy || !list)
        return proxy ? xstrdup(proxy) : NULL;
    struct place place;
    place_of(url, &place);
    bool named = is_named(list, &place);
    free(place.host);
    free(place.host_port);
    return named ? NULL : xstrdup(proxy);
}
