/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/auth.h"
#include "base/alloc.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/digest.h"
#include "server/schema.h"
#include "server/server.h"
#include "server/store.h"

#include <errno.h>
#include <jwt.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <unistd.h>

#define SIGNING_KEY_SIZE 64
#define CACHE_SLOTS 1024
#define USE_NOTED_EVERY_MS 60000

const char auth_schema[] =
    "CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT NOT NULL, doc TEXT NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE credentials (access_key TEXT PRIMARY KEY, user TEXT NOT NULL,"
    " salt TEXT NOT NULL, hash TEXT NOT NULL, label TEXT, created INTEGER NOT NULL,"
    " last_used INTEGER, last_used_from TEXT) WITHOUT ROWID;"
    "CREATE INDEX credentials_user ON credentials (user);"
    "CREATE TABLE revoked_sessions (id TEXT PRIMARY KEY, expires INTEGER NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;";

/* A token that was found sound is not checked again until it expires: the signature
 * costs as much as all the rest of a small request. */
struct cached {
    char *token;
    struct caller caller;
    struct auth_session session;
};

struct auth {
    struct store *store;
    unsigned char signing_key[SIGNING_KEY_SIZE];
    struct auth_keys first;
    pthread_mutex_t lock; /* of what follows */
    struct cached cache[CACHE_SLOTS];
    char noted_key[AUTH_KEY_SIZE];
    int64_t noted_ms;
};

/* ---- keys ---- */

static void random_text(char *out, size_t n, const char *alphabet, unsigned letters)
{
    unsigned char byte;
    for (size_t i = 0; i < n;) {
        if (getrandom(&byte, 1, 0) != 1)
            abort();
        /* Bytes above the last whole multiple would make some letters more likely. */
        if (byte < 256 - 256 % letters)
            out[i++] = alphabet[byte % letters];
    }
    out[n] = '\0';
}

static void hash_secret(const char *salt, const char *secret, char out[SHA256_HEX_SIZE])
{
    auto_free char *both = xasprintf("%s:%s", salt, secret);
    sha256_hex(both, strlen(both), out);
}

/* A secret key has about 300 random bits, so that one round of a plain hash is as good
 * as a slow one. */
static int keys_store(sqlite3 *db, const char *user, const char *label,
                      const struct auth_keys *keys)
{
    char salt[ID_SIZE], hash[SHA256_HEX_SIZE];
    hash_secret(id_new(salt), keys->secret_key, hash);
    int n = store_change(
        db,
        "INSERT OR REPLACE INTO credentials (access_key, user, salt, hash,"
        " label, created) VALUES (?, ?, ?, ?, ?, ?)",
        "ttttti", keys->access_key, user, salt, hash, label, clock_wall_ms());
    return n == 1 ? 0 : -1;
}

static void keys_make(struct auth_keys *keys)
{
    static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    static const char safe[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    random_text(keys->access_key, 30, upper, sizeof upper - 1);
    random_text(keys->secret_key, 50, safe, sizeof safe - 1);
}

int auth_keys_create(sqlite3 *db, const char *user, const char *label,
                     struct auth_keys *keys)
{
    keys_make(keys);
    return keys_store(db, user, label, keys);
}

/* ---- the first start ---- */

static int read_signing_key(struct auth *auth, const char *dir, struct reeve_error *err)
{
    auto_free char *path = path_join_dup(dir, "signing.key");
    auto_buf key = BUF_INIT;
    if (file_read(path, &key, SIGNING_KEY_SIZE, NULL) == 0 &&
        key.len == SIGNING_KEY_SIZE) {
        memcpy(auth->signing_key, key.data, SIGNING_KEY_SIZE);
        return 0;
    }
    if (getrandom(auth->signing_key, SIGNING_KEY_SIZE, 0) != SIGNING_KEY_SIZE)
        abort();
    return file_replace(path, auth->signing_key, SIGNING_KEY_SIZE, 0600, true, err);
}

static bool take_key(const cJSON *doc, const char *name, char out[AUTH_KEY_SIZE])
{
    const char *text = json_str(doc, name, "");
    if (!*text || strlen(text) >= AUTH_KEY_SIZE)
        return false;
    snprintf(out, AUTH_KEY_SIZE, "%s", text);
    return true;
}

/* A credentials file that cannot be read must not be replaced: its keys are in use. */
static int read_first_keys(struct auth *auth, const char *dir, struct reeve_error *err)
{
    auto_free char *path = path_join_dup(dir, "credentials.json");
    auto_buf text = BUF_INIT;
    if (access(path, F_OK) == 0) {
        if (file_read(path, &text, 65536, err) < 0)
            return -1;
        auto_json *doc = json_parse(buf_str(&text), text.len, NULL);
        if (take_key(doc, "access_key", auth->first.access_key) &&
            take_key(doc, "secret_key", auth->first.secret_key))
            return 0;
        return reeve_error_set(err, 0, "%s: no access_key and secret_key in it", path);
    }
    keys_make(&auth->first);
    auto_json *doc = cJSON_CreateObject();
    json_set_str(doc, "access_key", auth->first.access_key);
    json_set_str(doc, "secret_key", auth->first.secret_key);
    auto_free char *out = json_format(doc);
    return file_replace(path, out, strlen(out), 0600, true, err);
}

static void make_default_user(sqlite3 *db, char user[65])
{
    char now[CLOCK_ISO_SIZE];
    sqlite3_stmt *find =
        store_query(db, "SELECT value FROM settings WHERE name = 'default_user'", "");
    bool found = store_row(find);
    if (found)
        snprintf(user, 65, "%s", (const char *)sqlite3_column_text(find, 0));
    sqlite3_reset(find);
    if (found)
        return;
    id_new(user);
    auto_json *doc = cJSON_CreateObject();
    json_set_str(doc, "id", user);
    json_set_str(doc, "name", "Default User");
    json_set_str(doc, "given_name", "Default");
    json_set_str(doc, "family_name", "User");
    json_set_str(doc, "company", AUTH_COMPANY);
    json_set_str(doc, "role", "admin");
    json_set_str(doc, "created", clock_iso_clearml(clock_wall_ms(), now));
    auto_free char *text = json_format(doc);
    store_change(db, "INSERT INTO users (id, name, doc) VALUES (?, 'Default User', ?)",
                 "tt", user, text);
    store_change(db, "INSERT INTO settings (name, value) VALUES ('default_user', ?)",
                 "t", user);
}

static int first_start(sqlite3 *db, void *arg)
{
    struct auth *auth = arg;
    char user[65];
    make_default_user(db, user);
    store_change(db, "DELETE FROM revoked_sessions WHERE expires < ?", "i",
                 clock_wall_ms() / 1000);
    if (store_int(db, "SELECT 1 FROM credentials WHERE access_key = ?", 0, "t",
                  auth->first.access_key))
        return 0;
    return keys_store(db, user, NULL, &auth->first);
}

struct auth *auth_open(const char *dir, struct store *store, struct reeve_error *err)
{
    struct auth *auth = xcalloc(1, sizeof *auth);
    auth->store = store;
    pthread_mutex_init(&auth->lock, NULL);
    if (read_signing_key(auth, dir, err) == 0 && read_first_keys(auth, dir, err) == 0) {
        if (store_run(store, first_start, auth) == 0)
            return auth;
        reeve_error_set(err, 0, "cannot store the first credentials");
    }
    auth_close(auth);
    return NULL;
}

void auth_close(struct auth *auth)
{
    if (!auth)
        return;
    for (size_t i = 0; i < CACHE_SLOTS; i++)
        free(auth->cache[i].token);
    pthread_mutex_destroy(&auth->lock);
    free(auth);
}

const struct auth_keys *auth_first_keys(const struct auth *auth)
{
    return &auth->first;
}

/* ---- tokens ---- */

static cJSON *make_claims(const struct caller *who, int64_t expiration_s)
{
    char session[ID_SIZE];
    int64_t now = clock_wall_ms() / 1000;
    cJSON *claims = cJSON_CreateObject();
    cJSON *identity = json_set(claims, "identity", cJSON_CreateObject());
    json_set_str(identity, "user", who->user);
    json_set_str(identity, "company", who->company);
    json_set_str(identity, "role", who->role);
    json_set_str(identity, "user_name", who->user_name);
    json_set_str(identity, "company_name", AUTH_COMPANY_NAME);
    json_set(claims, "entities", cJSON_CreateNull());
    json_set_str(claims, "auth_type", "Bearer");
    json_set_str(claims, "env", "reeve");
    json_set_int(claims, "iat", now);
    json_set_int(claims, "exp", now + expiration_s);
    json_set_str(claims, "session_id", id_new(session));
    json_set_str(claims, "api_version", "2.31");
    json_set_str(claims, "server_version", "2.0.0");
    json_set_str(claims, "server_build", "reeve-" PACKAGE_VERSION);
    json_set_str(claims, "feature_set", "basic");
    return claims;
}

static void announce_extensions(cJSON *claims)
{
    cJSON *extensions = json_set(claims, "reeve", cJSON_CreateArray());
    cJSON_AddItemToArray(extensions, cJSON_CreateString("wait"));
    cJSON_AddItemToArray(extensions, cJSON_CreateString("batch"));
    cJSON_AddItemToArray(extensions, cJSON_CreateString("claim"));
    cJSON_AddItemToArray(extensions, cJSON_CreateString("needs"));
    cJSON_AddItemToArray(extensions, cJSON_CreateString("reports"));
    cJSON_AddItemToArray(extensions, cJSON_CreateString("behind"));
}

int64_t auth_token_max_s(const struct server *server)
{
    int64_t max_s = server->options.token_max_s;
    return max_s > 0 ? max_s : AUTH_EXPIRATION_MAX_S;
}

int64_t auth_token_default_s(const struct server *server)
{
    int64_t max_s = auth_token_max_s(server);
    return max_s < AUTH_EXPIRATION_DEFAULT_S ? max_s : AUTH_EXPIRATION_DEFAULT_S;
}

char *auth_token_dup(struct server *server, const struct caller *who,
                     int64_t expiration_s)
{
    struct auth *auth = server->auth;
    auto_json *claims = make_claims(
        who, expiration_s > 0 ? expiration_s : auth_token_default_s(server));
    if (!server->options.no_extensions)
        announce_extensions(claims);
    auto_free char *text = json_format(claims);
    jwt_t *jwt = NULL;
    if (jwt_new(&jwt) != 0)
        abort();
    char *token = NULL;
    if (jwt_set_alg(jwt, JWT_ALG_HS256, auth->signing_key, SIGNING_KEY_SIZE) == 0 &&
        jwt_add_grants_json(jwt, text) == 0)
        token = jwt_encode_str(jwt);
    jwt_free(jwt);
    return token;
}

static bool copy_claim(const cJSON *object, const char *name, char *out, size_t n)
{
    const char *text = json_str(object, name, NULL);
    if (!text || strlen(text) >= n)
        return false;
    strcpy(out, text);
    return true;
}

static bool take_claims(jwt_t *jwt, struct caller *caller, struct auth_session *session)
{
    char *text = jwt_get_grants_json(jwt, NULL);
    if (!text)
        return false;
    auto_json *claims = json_parse(text, strlen(text), NULL);
    free(text);
    const cJSON *identity = json_get(claims, "identity");
    session->expires = json_int(claims, "exp", 0);
    if (!copy_claim(claims, "session_id", session->id, sizeof session->id))
        session->id[0] = '\0';
    if (!copy_claim(identity, "user_name", caller->user_name, sizeof caller->user_name))
        caller->user_name[0] = '\0';
    return copy_claim(identity, "user", caller->user, sizeof caller->user) &&
           copy_claim(identity, "company", caller->company, sizeof caller->company) &&
           copy_claim(identity, "role", caller->role, sizeof caller->role);
}

static int refuse(char why[256], const char *text)
{
    snprintf(why, 256, "%s", text);
    return 30;
}

static int decode_token(struct server *server, const char *token, struct caller *caller,
                        struct auth_session *session, char why[256])
{
    jwt_t *jwt = NULL;
    int rc = jwt_decode(&jwt, token, server->auth->signing_key, SIGNING_KEY_SIZE);
    if (rc != 0)
        return refuse(
            why,
            "Invalid token (invalid jwt token): reason=Signature verification failed");
    bool sound = jwt_get_alg(jwt) == JWT_ALG_HS256 && take_claims(jwt, caller, session);
    jwt_free(jwt);
    if (!sound)
        return refuse(why, "Invalid token (failed parsing token)");
    store_watch();
    sqlite3 *db = store_reader(server->store);
    if (!db ||
        (session->id[0] && store_int(db, "SELECT 1 FROM revoked_sessions WHERE id = ?",
                                     0, "t", session->id)))
        return refuse(why, "Invalid token (revoked token)");
    return store_failed() ? refuse(why, "Invalid token (cannot be looked up)") : 0;
}

static struct cached *cache_slot(struct auth *auth, const char *token)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (const char *p = token; *p; p++)
        h = (h ^ (unsigned char)*p) * UINT64_C(1099511628211);
    return &auth->cache[(h >> 20) % CACHE_SLOTS];
}

static bool cache_find(struct auth *auth, const char *token, struct caller *caller,
                       struct auth_session *session)
{
    size_t n = strlen(token);
    pthread_mutex_lock(&auth->lock);
    const struct cached *c = cache_slot(auth, token);
    bool found = c->token && strlen(c->token) == n && secret_equal(c->token, token, n);
    if (found) {
        *caller = c->caller;
        *session = c->session;
    }
    pthread_mutex_unlock(&auth->lock);
    return found;
}

static void cache_put(struct auth *auth, const char *token, const struct caller *caller,
                      const struct auth_session *session)
{
    pthread_mutex_lock(&auth->lock);
    struct cached *c = cache_slot(auth, token);
    free(c->token);
    c->token = xstrdup(token);
    c->caller = *caller;
    c->session = *session;
    pthread_mutex_unlock(&auth->lock);
}

int auth_check_token(struct server *server, const char *token, struct caller *caller,
                     struct auth_session *session, char why[256])
{
    struct auth_session here;
    if (!session)
        session = &here;
    memset(caller, 0, sizeof *caller);
    memset(session, 0, sizeof *session);
    if (!cache_find(server->auth, token, caller, session)) {
        int refused = decode_token(server, token, caller, session, why);
        if (refused)
            return refused;
        caller->authenticated = true;
        cache_put(server->auth, token, caller, session);
    }
    if (session->expires > 0 && session->expires <= clock_wall_ms() / 1000)
        return refuse(
            why, "Invalid token (invalid jwt token): reason=Signature has expired");
    return 0;
}

void auth_revoke(struct auth *auth, sqlite3 *db, const struct auth_session *session)
{
    if (!session->id[0])
        return;
    int64_t expires = session->expires > 0
                          ? session->expires
                          : clock_wall_ms() / 1000 + AUTH_EXPIRATION_MAX_S;
    store_change(db,
                 "INSERT OR REPLACE INTO revoked_sessions (id, expires) VALUES (?, ?)",
                 "ti", session->id, expires);
    pthread_mutex_lock(&auth->lock);
    for (size_t i = 0; i < CACHE_SLOTS; i++)
        if (auth->cache[i].token && strcmp(auth->cache[i].session.id, session->id) == 0)
            free(steal(&auth->cache[i].token));
    pthread_mutex_unlock(&auth->lock);
}

/* ---- who calls ---- */

bool auth_user(sqlite3 *db, const char *user, struct caller *caller)
{
    sqlite3_stmt *find = store_query(
        db, "SELECT name, doc ->> '$.role' FROM users WHERE id = ?", "t", user);
    bool found = strlen(user) < sizeof caller->user && store_row(find);
    if (found) {
        const char *role = (const char *)sqlite3_column_text(find, 1);
        memset(caller, 0, sizeof *caller);
        snprintf(caller->user, sizeof caller->user, "%s", user);
        snprintf(caller->user_name, sizeof caller->user_name, "%s",
                 (const char *)sqlite3_column_text(find, 0));
        snprintf(caller->company, sizeof caller->company, "%s", AUTH_COMPANY);
        snprintf(caller->role, sizeof caller->role, "%s", role ? role : "user");
    }
    sqlite3_reset(find);
    return found;
}

static bool check_keys(sqlite3 *db, const char *access_key, const char *secret_key,
                       char user[65])
{
    sqlite3_stmt *find =
        store_query(db, "SELECT user, salt, hash FROM credentials WHERE access_key = ?",
                    "t", access_key);
    char hash[SHA256_HEX_SIZE];
    bool ok = false;
    if (store_row(find)) {
        hash_secret((const char *)sqlite3_column_text(find, 1), secret_key, hash);
        ok = sqlite3_column_bytes(find, 2) == 64 &&
             secret_equal(hash, sqlite3_column_text(find, 2), 64);
        snprintf(user, 65, "%s", (const char *)sqlite3_column_text(find, 0));
    }
    sqlite3_reset(find);
    return ok;
}

static int check_basic(struct server *server, const char *encoded,
                       struct caller *caller, struct auth_session *session,
                       char why[256])
{
    auto_buf pair = BUF_INIT;
    char user[65];
    if (base64_decode(encoded, strlen(encoded), &pair) < 0)
        return 21;
    char *access_key = (char *)buf_str(&pair);
    size_t n = strcspn(access_key, ":");
    const char *secret_key = n < pair.len ? access_key + n + 1 : "";
    if (n < pair.len)
        access_key[n] = '\0';
    sqlite3 *db = store_reader(server->store);
    if (!db || !check_keys(db, access_key, secret_key, user) ||
        !auth_user(db, user, caller)) {
        snprintf(why, 256, "failed to locate provided credentials");
        return 22;
    }
    caller->authenticated = true;
    if (session)
        snprintf(session->access_key, sizeof session->access_key, "%s", access_key);
    return 0;
}

int auth_check(struct server *server, const char *authorization, const char *cookie,
               struct caller *caller, struct auth_session *session, char why[256])
{
    why[0] = '\0';
    if (session)
        memset(session, 0, sizeof *session);
    if (!authorization)
        return cookie ? auth_check_token(server, cookie, caller, session, why) : 20;
    size_t n = strcspn(authorization, " ");
    const char *rest = authorization + n + (authorization[n] == ' ');
    if (n == 6 && strncmp(authorization, "Bearer", n) == 0)
        return auth_check_token(server, rest, caller, session, why);
    if (n == 5 && strncmp(authorization, "Basic", n) == 0)
        return check_basic(server, rest, caller, session, why);
    return 10;
}

int auth_fail(struct call *call, int subcode, const char *why)
{
    switch (subcode) {
    case 10:
        return call_fail(call, 401, 10,
                         "Unauthorized (bad authentication header type)");
    case 20:
        return call_fail(call, 401, 20, "Unauthorized (missing credentials)");
    case 21:
        return call_fail(call, 401, 21, "Unauthorized (malformed credentials)");
    case 22:
        return call_fail(call, 401, 22, "Unauthorized (invalid credentials) (%s)", why);
    default:
        return call_fail(call, 401, subcode, "%s", why);
    }
}

/* ---- use of keys ---- */

struct use {
    struct store_job job;
    char access_key[AUTH_KEY_SIZE];
    char from[256];
    int64_t now_ms;
};

static int use_run(sqlite3 *db, void *arg)
{
    const struct use *u = arg;
    store_change(db,
                 "UPDATE credentials SET last_used = ?, last_used_from = ?"
                 " WHERE access_key = ?",
                 "itt", u->now_ms, u->from, u->access_key);
    return 0;
}

static void use_done(void *arg, int result)
{
    free(arg);
}

void auth_note_use(struct server *server, const char *access_key, const char *from)
{
    struct auth *auth = server->auth;
    int64_t now = clock_wall_ms();
    pthread_mutex_lock(&auth->lock);
    bool again = strcmp(auth->noted_key, access_key) == 0 &&
                 now - auth->noted_ms < USE_NOTED_EVERY_MS && now >= auth->noted_ms;
    if (!again) {
        snprintf(auth->noted_key, sizeof auth->noted_key, "%s", access_key);
        auth->noted_ms = now;
    }
    pthread_mutex_unlock(&auth->lock);
    if (again)
        return;
    struct use *u = xcalloc(1, sizeof *u);
    snprintf(u->access_key, sizeof u->access_key, "%s", access_key);
    snprintf(u->from, sizeof u->from, "%s", from);
    u->now_ms = now;
    u->job = (struct store_job){use_run, use_done, u, NULL};
    store_submit(auth->store, &u->job);
}
