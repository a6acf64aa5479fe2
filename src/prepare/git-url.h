/* git-url.h - where a repository is, and what of that may be shown
 *
 * Understood: http, https, ssh, git, file, scp's short form (user@host:path) and an
 * absolute path. Nothing else: no `ext::` and other ways to have a command run. */
#ifndef REEVE_GIT_URL_H
#define REEVE_GIT_URL_H

#include "base/error.h"

#include <stdbool.h>

enum git_url_kind {
    GIT_URL_HTTP,
    GIT_URL_HTTPS,
    GIT_URL_SSH,
    GIT_URL_GIT,
    GIT_URL_FILE
};

struct git_url {
    enum git_url_kind kind;
    bool port_given;
    char *fetch; /* for libgit2: no password, and no user either but with ssh */
    char *user;  /* decoded; "" if there is none */
    char *pass;  /* decoded; "" if there is none */
    char *host;  /* without port; "" for a file */
    char *name;  /* last part of the path without ".git", safe as a folder's name */
};

/* git_url_free is due after success alone. */
int git_url_parse(const char *text, struct git_url *out, struct reeve_error *err);
void git_url_free(struct git_url *u);
/* The form of an ssh URL with another scheme (http or https; the agent's
 * `translate_ssh`). To be freed by the caller. */
char *git_url_web_dup(const struct git_url *u, const char *scheme);
/* The ssh form of an ssh or https URL; user "": git; port 0: ssh's. A port of https is
 * left out. To be freed by the caller. */
char *git_url_ssh_dup(const struct git_url *u, const char *user, int port);
/* A copy of any text that may be a URL, without what stands between "://" and "@"; for
 * showing what could not be parsed too. To be freed by the caller. */
char *git_url_shown_dup(const char *text);
/* May a repository fetched from parent send us on to child (a submodule)? A remote one
 * may not name files of this host. */
bool git_url_may_lead_to(const struct git_url *parent, const struct git_url *child);

#endif
