/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "prepare/git-identity.h"

#include "base/json.h"

#include <string.h>
#include <strings.h>

void git_identity_read(const cJSON *git, struct git_identity *out)
{
    out->user = json_str(git, "user", "");
    out->pass = json_str(git, "pass", "");
    out->host = json_str(git, "host", "");
    out->by_prefix = json_bool(git, "host_match_prefix", false);
    out->extra = json_get(git, "extra_credentials");
    out->translate = json_bool(git, "translate_ssh", true);
    out->scheme = json_str(git, "scheme", "https");
    out->ssh = json_bool(git, "force_ssh", false);
    out->ssh_port = (int)json_int(git, "ssh_port", 0);
    out->ssh_user = json_str(git, "ssh_user", "");
}

/* "https://host/path", "ssh://git@host/path", "host:path" of ssh's short form. */
static const char *address_of(const struct git_url *url)
{
    const char *at = strchr(url->fetch, '@');
    return strstr(url->fetch, "://") || !at ? url->fetch : at + 1;
}

/* A prefix that ends inside the host's name would match other hosts too
 * (https://host and https://host.elsewhere): those are not let in. */
static bool begins(const char *address, const char *prefix)
{
    size_t n = strlen(prefix);
    if (!n || strncasecmp(address, prefix, n) != 0)
        return false;
    const char *scheme = strstr(address, "://");
    const char *host = scheme ? scheme + strlen("://") : address;
    const char *end = host + strcspn(host, "/:");
    return address + n >= end;
}

static bool matches(const struct git_identity *id, const struct git_url *url,
                    const char *host)
{
    return id->by_prefix ? begins(address_of(url), host)
                         : strcasecmp(host, url->host) == 0;
}

static const char *either(const cJSON *entry, const char *name, const char *other)
{
    return json_str(entry, name, json_str(entry, other, ""));
}

static bool find_extra(const struct git_identity *id, const struct git_url *url,
                       struct git_login *login)
{
    const cJSON *entry;
    cJSON_ArrayForEach(entry, id->extra)
    {
        const char *host = json_str(entry, "host", "");
        struct git_login found = {either(entry, "user", "username"),
                                  either(entry, "pass", "password")};
        if (!*found.user || !*found.pass || !*host || !matches(id, url, host))
            continue;
        *login = found;
        return true;
    }
    return false;
}

bool git_identity_find(const struct git_identity *id, const struct git_url *url,
                       struct git_login *login)
{
    struct git_login found;
    if (url->kind == GIT_URL_FILE)
        return false;
    if (!find_extra(id, url, &found)) {
        if (!*id->user || !*id->pass || (*id->host && !matches(id, url, id->host)))
            return false;
        found = (struct git_login){id->user, id->pass};
    }
    if (login)
        *login = found;
    return true;
}

char *git_identity_way_dup(const struct git_identity *id, const struct git_url *url,
                           const char **why)
{
    bool ssh = url->kind == GIT_URL_SSH;
    if (id->ssh && (ssh || url->kind == GIT_URL_HTTPS)) {
        if ((*id->host && strcasecmp(id->host, url->host) != 0) ||
            (ssh && !id->ssh_port && !*id->ssh_user))
            return NULL;
        *why = ssh ? "Using SSH credentials - ssh url"
                   : "Using SSH credentials - replacing https url";
        return git_url_ssh_dup(url, id->ssh_user, id->ssh_port);
    }
    if (!ssh || !id->translate || !git_identity_find(id, url, NULL))
        return NULL;
    *why = "Using user/pass credentials - replacing ssh url";
    return git_url_web_dup(url, id->scheme);
}
