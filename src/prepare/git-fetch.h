/* git-fetch.h - one fetch from a remote into a bare repository, bounded in time */
#ifndef REEVE_GIT_FETCH_H
#define REEVE_GIT_FETCH_H

#include "base/error.h"
#include "prepare/git-auth.h"

struct report;

struct git_source {
    const struct git_url *url;
    const struct git_identity *identity;
    const char *shown;      /* the URL as it may be shown */
    int stall_ms, total_ms; /* without a byte; in all */
    const struct report *report;
};

/* Starts libgit2; before any other use of it. It reads all the host's certificates,
 * which takes some 7 ms: a task without a repository does not pay that. GIT_SSL_CAINFO,
 * SSL_CERT_FILE and SSL_CERT_DIR name other certificates. */
void git_start(void);
/* Branches become refs/remotes/origin/ *, tags refs/tags/ *, HEAD
 * refs/remotes/origin/HEAD; what is gone at the remote goes here. Neither URL nor
 * password is written anywhere. */
int git_fetch_all(git_repository *repo, const struct git_source *source,
                  struct reeve_error *err);
/* A commit by its full id that no branch leads to, where the server gives it out. */
int git_fetch_commit(git_repository *repo, const struct git_source *source,
                     const char *id, struct reeve_error *err);

#endif
