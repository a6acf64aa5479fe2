/* auth.h - who calls: access keys, session tokens, the signing key */
#ifndef REEVE_SERVER_AUTH_H
#define REEVE_SERVER_AUTH_H

#include "base/error.h"
#include "server/call.h"

#include <sqlite3.h>
#include <stdint.h>

struct auth;
struct server;
struct store;

#define AUTH_COOKIE "clearml_token_basic"
#define AUTH_COMPANY                                                                   \
    "d1bd92a3b039400cbafc60a7a5b1e52b" /* ClearML's default company                    \
                                        */
#define AUTH_COMPANY_NAME "clearml"
#define AUTH_EXPIRATION_DEFAULT_S 2592000
#define AUTH_EXPIRATION_MAX_S 31536000

#define AUTH_KEY_SIZE 64
struct auth_keys {
    char access_key[AUTH_KEY_SIZE];
    char secret_key[AUTH_KEY_SIZE];
};

/* Reads the signing key and the first pair of keys from dir, makes both (0600) and the
 * default user if they are not there. NULL with err. */
struct auth *auth_open(const char *dir, struct store *store, struct reeve_error *err);
void auth_close(struct auth *auth);
/* The pair that was made at the first start. */
const struct auth_keys *auth_first_keys(const struct auth *auth);

/* authorization: that header's value, or NULL; cookie: a token, or NULL, which counts
 * if there is no header. 0 with caller (and session, if not NULL) filled; else
 * ClearML's 401 subcode, with why it was refused. */
int auth_check(struct server *server, const char *authorization, const char *cookie,
               struct caller *caller, struct auth_session *session, char why[256]);
/* A token alone; the same result. */
int auth_check_token(struct server *server, const char *token, struct caller *caller,
                     struct auth_session *session, char why[256]);
/* ClearML's text of a 401 subcode. */
int auth_fail(struct call *call, int subcode, const char *why);

/* How long a token of this server may live, in seconds. */
int64_t auth_token_max_s(const struct server *server);
/* How long one lives that was asked for without a time. */
int64_t auth_token_default_s(const struct server *server);
/* A signed token for a user; expiration_s 0: auth_token_default_s. NULL when the claims
 * cannot be signed; to be freed with free(3). */
char *auth_token_dup(struct server *server, const struct caller *who,
                     int64_t expiration_s);
/* From now on the session's tokens are refused. Writer thread. */
void auth_revoke(struct auth *auth, sqlite3 *db, const struct auth_session *session);

/* New keys for a user, stored salted and hashed; the secret is nowhere but in keys. 0
 * or -1. Writer thread. */
int auth_keys_create(sqlite3 *db, const char *user, const char *label,
                     struct auth_keys *keys);
/* The user's id, name and role into caller; false if there is none. */
bool auth_user(sqlite3 *db, const char *user, struct caller *caller);
/* Notes that a key was used, at most once a minute. */
void auth_note_use(struct server *server, const char *access_key, const char *from);

#endif
