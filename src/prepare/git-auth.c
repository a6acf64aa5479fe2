/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "prepare/git-auth.h"
#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const key_names[] = {"id_ed25519", "id_ecdsa", "id_rsa"};

static int refuse(struct git_auth *auth, const char *text)
{
    snprintf(auth->refusal, sizeof auth->refusal, "%s", text);
    git_error_set_str(GIT_ERROR_CALLBACK, text);
    return GIT_EAUTH;
}

static int offer_password(git_credential **out, struct git_auth *auth)
{
    const struct git_url *url = auth->url;
    char text[160];
    bool own = url->user[0] && url->pass[0];
    struct git_login login = {url->user, url->pass};
    bool configured = !own && git_identity_find(auth->identity, url, &login);
    if (!own && !configured) {
        snprintf(text, sizeof text,
                 "%.100s asks for a user and a password, and there are none for it",
                 url->host);
        return refuse(auth, text);
    }
    if (auth->tried++) {
        snprintf(text, sizeof text, "%.100s refused the user and password", url->host);
        return refuse(auth, text);
    }
    return git_credential_userpass_plaintext_new(out, login.user, login.pass);
}

/* The agent is number 0, key files follow. */
static int offer_key(git_credential **out, struct git_auth *auth, const char *user)
{
    const char *home = getenv("HOME");
    int count = (int)ARRAY_SIZE(key_names);
    while (auth->tried <= count) {
        int n = auth->tried++;
        if (n == 0) {
            if (getenv("SSH_AUTH_SOCK") &&
                git_credential_ssh_key_from_agent(out, user) == 0)
                return 0;
            continue;
        }
        auto_free char *path =
            xasprintf("%s/.ssh/%s", home ? home : "", key_names[n - 1]);
        if (access(path, R_OK) == 0 &&
            git_credential_ssh_key_new(out, user, NULL, path, NULL) == 0)
            return 0;
    }
    char text[200];
    snprintf(text, sizeof text,
             "%.80s accepts none of our ssh keys (agent, ~/.ssh/id_ed25519, id_ecdsa, "
             "id_rsa)",
             auth->url->host);
    return refuse(auth, text);
}

int git_auth_credentials(git_credential **out, struct git_auth *auth,
                         const char *url_user, unsigned allowed)
{
    const char *user = url_user && url_user[0] ? url_user
                       : auth->url->user[0]    ? auth->url->user
                                               : "git";
    if (auth->url->kind == GIT_URL_SSH) {
        if (allowed & GIT_CREDENTIAL_USERNAME)
            return git_credential_username_new(out, user);
        if (allowed & GIT_CREDENTIAL_SSH_KEY)
            return offer_key(out, auth, user);
    } else if (allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT) {
        return offer_password(out, auth);
    }
    return refuse(auth, "the server asks for a way to log in that reeve does not have");
}

int git_auth_check_host(struct git_auth *auth, const git_cert *cert, int valid,
                        const char *host)
{
    if (valid)
        return 0;
    char text[200];
    if (cert->cert_type == GIT_CERT_HOSTKEY_LIBSSH2)
        snprintf(
            text, sizeof text,
            "the ssh key of %.100s is not the one in ~/.ssh/known_hosts, or none is "
            "there",
            host);
    else
        snprintf(text, sizeof text, "the TLS certificate of %.100s is not valid", host);
    refuse(auth, text);
    return GIT_ECERTIFICATE;
}
