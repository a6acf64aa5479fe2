/* git-identity.h - which user and password a git server may see, and which way leads to
 * it: agent.git_user and the settings beside it
 *
 * Rules of clearml_agent/helper/repo.py. The first entry of extra_credentials whose
 * host matches wins; else git_user and git_pass, for any host unless git_host is set.
 */
#ifndef REEVE_GIT_IDENTITY_H
#define REEVE_GIT_IDENTITY_H

#include "prepare/git-url.h"

#include <cjson/cJSON.h>

struct git_identity {
    const char *user, *pass, *host; /* agent.git_user, git_pass, git_host; "": none */
    bool by_prefix; /* agent.git_host_match_prefix: a host is how an address begins */
    const cJSON *extra;   /* agent.git.extra_credentials, or NULL */
    bool translate;       /* agent.translate_ssh */
    const char *scheme;   /* agent.translate_ssl_replacement_scheme */
    bool ssh;             /* agent.force_git_ssh_protocol */
    int ssh_port;         /* agent.force_git_ssh_port, 0: none */
    const char *ssh_user; /* agent.force_git_ssh_user, "": git */
};

struct git_login {
    const char *user, *pass;
};

/* From the spec's member `git`, which may be NULL; everything is borrowed. */
void git_identity_read(const cJSON *git, struct git_identity *out);
/* False if nothing may be shown to this host. login may be NULL. */
bool git_identity_find(const struct git_identity *id, const struct git_url *url,
                       struct git_login *login);
/* The address to take instead (an ssh one for https or the other way round), or NULL;
 * *why: "Using ... url", up to the addresses. To be freed by the caller. */
char *git_identity_way_dup(const struct git_identity *id, const struct git_url *url,
                           const char **why);

#endif
