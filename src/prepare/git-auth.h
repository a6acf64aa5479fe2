/* git-auth.h - who we are to a git server, and whether it is the one it says
 *
 * What is in the URL itself wins over the configured user and password. ssh takes the
 * agent of SSH_AUTH_SOCK, then the usual key files without passphrase; a host that is
 * not in known_hosts is refused. */
#ifndef REEVE_GIT_AUTH_H
#define REEVE_GIT_AUTH_H

#include "prepare/git-identity.h"

#include <git2.h>

struct git_auth {
    const struct git_url *url;
    const struct git_identity *identity;
    int tried;         /* how many credentials were offered */
    char refusal[200]; /* why it ended, "" if not here */
};

/* What the callbacks of struct git_remote_callbacks of these names have to answer. */
int git_auth_credentials(git_credential **out, struct git_auth *auth,
                         const char *url_user, unsigned allowed);
int git_auth_check_host(struct git_auth *auth, const git_cert *cert, int valid,
                        const char *host);

#endif
