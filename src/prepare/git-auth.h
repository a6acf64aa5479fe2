/* git-auth.h - who we are to a git server, and whether it is the one it says
 *
 * The configured user and password go to the configured host alone (to any https or
 * http host if none is configured, as the official agent has it); what is in the URL
 * itself wins. ssh takes the agent of SSH_AUTH_SOCK, then the usual key files without
 * passphrase; a host that is not in known_hosts is refused. */
#ifndef REEVE_GIT_AUTH_H
#define REEVE_GIT_AUTH_H

#include "prepare/git-url.h"

#include <git2.h>

struct git_identity {
    const char *user, *pass,
        *host; /* agent.git_user, git_pass, git_host; "" for none */
};

struct git_auth {
    const struct git_url *url;
    const struct git_identity *identity;
    int tried;         /* how many credentials were offered */
    char refusal[200]; /* why it ended, "" if not here */
};

/* True if the configured identity may be shown to this host. */
bool git_identity_applies(const struct git_identity *id, const struct git_url *url);
/* What the callbacks of struct git_remote_callbacks of these names have to answer. */
int git_auth_credentials(git_credential **out, struct git_auth *auth,
                         const char *url_user, unsigned allowed);
int git_auth_check_host(struct git_auth *auth, const git_cert *cert, int valid,
                        const char *host);

#endif
