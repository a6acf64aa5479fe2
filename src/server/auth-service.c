/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "server/auth.h"
#include "server/call.h"
#include "server/server.h"
#include "server/store.h"

#include <string.h>

static void set_cookie(struct call *call, const char *token)
{
    free(call->set_cookie);
    call->set_cookie =
        token ? xasprintf(AUTH_COOKIE
                          "=%s; Max-Age=99999999999; HttpOnly; Path=/; SameSite=Lax",
                          token)
              : xstrdup(AUTH_COOKIE
                        "=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; "
                        "HttpOnly; Path=/; SameSite=Lax");
}

static int give_token(struct call *call, const struct caller *who)
{
    int64_t expiration = json_int(call->request, "expiration_sec", 0);
    int64_t max_s = auth_token_max_s(call->server);
    if (expiration > max_s)
        return call_fail(call, 400, 12,
                         "Validation error (error for field 'expiration_sec'. value is "
                         "bigger than maximum: %lld.)",
                         (long long)max_s);
    if (expiration < 0)
        return call_fail(call, 400, 12,
                         "Validation error (error for field 'expiration_sec'. value is "
                         "negative.)");
    auto_free char *token = auth_token_dup(call->server, who, expiration);
    if (!token)
        return call_fail(call, 500, 0, "General server error (cannot sign a token)");
    json_set_str(call->data, "token", token);
    set_cookie(call, token);
    return 0;
}

static int login(struct call *call)
{
    if (call->session.access_key[0])
        auth_note_use(call->server, call->session.access_key,
                      call->worker[0] ? call->worker : call->client_ip);
    return give_token(call, &call->caller);
}

static int logout(struct call *call)
{
    auth_revoke(call->server->auth, call->db, &call->session);
    set_cookie(call, NULL);
    return 0;
}

static int get_token_for_user(struct call *call)
{
    const char *user = json_str(call->request, "user", "");
    const char *company = json_str(call->request, "company", call->caller.company);
    struct caller who;
    if (strcmp(call->caller.role, "admin") != 0 && strcmp(call->caller.user, user) != 0)
        return call_fail(call, 400, 301,
                         "Invalid user id (cannot generate token for another user)");
    if (strcmp(company, call->caller.company) != 0)
        return call_fail(
            call, 400, 10,
            "Invalid object id (cannot generate token in another company)");
    if (!auth_user(call->db, user, &who)) {
        call_fail(call, 400, 301, "Invalid user id");
        return call_fail_arg(call, "id", user);
    }
    int result = give_token(call, &who);
    /* The caller's own session stays what it is. */
    free(steal(&call->set_cookie));
    return result;
}

static int validate_token(struct call *call)
{
    char why[256] = "";
    struct caller who;
    int refused = auth_check_token(call->server, json_str(call->request, "token", ""),
                                   &who, NULL, why);
    json_set_bool(call->data, "valid", !refused);
    if (refused) {
        json_set_str(call->data, "msg", why);
        return 0;
    }
    json_set_str(call->data, "user", who.user);
    json_set_str(call->data, "company", who.company);
    return 0;
}

static int create_credentials(struct call *call)
{
    const char *label = json_str(call->request, "label", NULL);
    struct auth_keys keys;
    if (auth_keys_create(call->db, call->caller.user, label, &keys) < 0)
        return -1;
    cJSON *out = json_set(call->data, "credentials", cJSON_CreateObject());
    json_set_str(out, "access_key", keys.access_key);
    json_set_str(out, "secret_key", keys.secret_key);
    if (label)
        json_set_str(out, "label", label);
    return 0;
}

static int get_credentials(struct call *call)
{
    char iso[CLOCK_ISO_SIZE];
    cJSON *list = json_set(call->data, "credentials", cJSON_CreateArray());
    sqlite3_stmt *find = store_query(
        call->db,
        "SELECT access_key, label, last_used, last_used_from FROM credentials"
        " WHERE user = ? ORDER BY created",
        "t", call->caller.user);
    while (store_row(find)) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddItemToArray(list, one);
        json_set_str(one, "access_key", (const char *)sqlite3_column_text(find, 0));
        if (sqlite3_column_type(find, 1) != SQLITE_NULL)
            json_set_str(one, "label", (const char *)sqlite3_column_text(find, 1));
        if (sqlite3_column_type(find, 2) == SQLITE_NULL)
            continue;
        json_set_str(one, "last_used",
                     clock_iso_clearml(sqlite3_column_int64(find, 2), iso));
        json_set_str(one, "last_used_from", (const char *)sqlite3_column_text(find, 3));
    }
    sqlite3_reset(find);
    return 0;
}

static int edit_credentials(struct call *call)
{
    const char *key = json_str(call->request, "access_key", "");
    int n = store_change(
        call->db, "UPDATE credentials SET label = ? WHERE access_key = ? AND user = ?",
        "ttt", json_str(call->request, "label", NULL), key, call->caller.user);
    if (n < 1) {
        call_fail(call, 400, 75,
                  "Access key not found (invalid user or invalid access key)");
        call_fail_arg(call, "user", call->caller.user);
        return call_fail_arg(call, "access_key", key);
    }
    json_set_int(call->data, "updated", n);
    return 0;
}

static int revoke_credentials(struct call *call)
{
    const char *key = json_str(call->request, "access_key", "");
    int n = store_change(call->db,
                         "DELETE FROM credentials WHERE access_key = ? AND user = ?",
                         "tt", key, call->caller.user);
    if (n < 1) {
        call_fail(call, 400, 300, "Invalid user (invalid user or invalid access key)");
        call_fail_arg(call, "id", call->caller.user);
        return call_fail_arg(call, "credentials__key", key);
    }
    json_set_int(call->data, "revoked", n);
    return 0;
}

/* ---- users ---- */

#define USER_NAME_MAX 100

/* Administrators alone. 0 or -1. */
static int require_admin(struct call *call)
{
    if (!strcmp(call->caller.role, "admin"))
        return 0;
    call_fail(call, 403, 20, "Forbidden (operation not allowed for role)");
    return call_fail_arg(call, "role", call->caller.role);
}

/* The request's role for a user; NULL after failing. */
static const char *role_requested(struct call *call)
{
    static const char *const roles[] = {"admin", "superuser", "user", "annotator",
                                        "guest"};
    const char *role = json_str(call->request, "role", "user");
    for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
        if (!strcmp(role, roles[i]))
            return roles[i];
    call_fail(call, 400, 12, "Validation error (role: %.100s)", role);
    return NULL;
}

/* A user without keys: others act as it, or make it some. */
static int create_user(struct call *call)
{
    static const char *const given[] = {"family_name", "given_name", "avatar"};
    const char *name = json_str(call->request, "name", "");
    if (require_admin(call) < 0)
        return -1;
    if (strcmp(json_str(call->request, "company", ""), call->caller.company) != 0)
        return call_fail(call, 400, 10,
                         "Invalid object id (cannot create user in another company)");
    if (strlen(name) > USER_NAME_MAX)
        return call_fail(call, 400, 12, "Validation error (name: too long)");
    const char *role = role_requested(call);
    if (!role)
        return -1;
    char id[ID_SIZE], iso[CLOCK_ISO_SIZE];
    auto_json *doc = cJSON_CreateObject();
    json_set_str(doc, "id", id_new(id));
    json_set_str(doc, "name", name);
    json_set_str(doc, "company", call->caller.company);
    json_set_str(doc, "role", role);
    json_set_str(doc, "created", clock_iso_clearml(call->now_ms, iso));
    for (size_t i = 0; i < ARRAY_SIZE(given); i++)
        if (json_str(call->request, given[i], NULL))
            json_set_str(doc, given[i], json_str(call->request, given[i], ""));
    auto_free char *text = json_format(doc);
    store_change(call->db, "INSERT INTO users (id, name, doc) VALUES (?, ?, ?)", "ttt",
                 id, name, text);
    json_set_str(call->data, "id", id);
    return 0;
}

static int edit_user(struct call *call)
{
    if (require_admin(call) < 0)
        return -1;
    const char *user = json_str(call->request, "user", "");
    const char *role = role_requested(call);
    if (!role)
        return -1;
    int n = store_change(
        call->db, "UPDATE users SET doc = json_set(doc, '$.role', ?) WHERE id = ?",
        "tt", role, user);
    if (n < 1)
        return call_fail(call, 400, 301, "Invalid user id");
    json_set_int(call->data, "updated", n);
    json_set_str(json_set(call->data, "fields", cJSON_CreateObject()), "role", role);
    return 0;
}

static void set_basic_mode(cJSON *basic)
{
    json_set_bool(basic, "enabled", false);
    json_set_bool(json_set(basic, "guest", cJSON_CreateObject()), "enabled", false);
}

static int fixed_users_mode(struct call *call)
{
    set_basic_mode(call->data);
    json_set(call->data, "server_errors", cJSON_CreateObject());
    return 0;
}

static int supported_modes(struct call *call)
{
    set_basic_mode(json_set(call->data, "basic", cJSON_CreateObject()));
    json_set(call->data, "server_errors", cJSON_CreateObject());
    json_set(call->data, "sso", cJSON_CreateObject());
    json_set(call->data, "sso_providers", cJSON_CreateArray());
    json_set_bool(call->data, "authenticated", call->caller.authenticated);
    return 0;
}

static const struct field login_fields[] = {{"expiration_sec", FIELD_INTEGER, false},
                                            {0}};
static const struct field token_for_user_fields[] = {
    {"user", FIELD_STRING, true},
    {"company", FIELD_STRING, false},
    {"expiration_sec", FIELD_INTEGER, false},
    {0}};
static const struct field create_user_fields[] = {
    {"name", FIELD_STRING, true},         {"company", FIELD_STRING, true},
    {"email", FIELD_STRING, true},        {"role", FIELD_STRING, false},
    {"family_name", FIELD_STRING, false}, {"given_name", FIELD_STRING, false},
    {"avatar", FIELD_STRING, false},      {0}};
static const struct field edit_user_fields[] = {
    {"user", FIELD_STRING, true}, {"role", FIELD_STRING, true}, {0}};
static const struct field token_fields[] = {{"token", FIELD_STRING, true}, {0}};
static const struct field label_fields[] = {{"label", FIELD_STRING, false}, {0}};
static const struct field key_fields[] = {
    {"access_key", FIELD_STRING, true}, {"label", FIELD_STRING, false}, {0}};

const struct endpoint auth_endpoints[] = {
    {"auth.login", "1.0", ENDPOINT_READ, login, login_fields},
    {"auth.logout", "2.2", ENDPOINT_WRITE, logout, NULL},
    {"auth.get_token_for_user", "1.0", ENDPOINT_READ, get_token_for_user,
     token_for_user_fields},
    {"auth.validate_token", "1.0", ENDPOINT_READ, validate_token, token_fields},
    {"auth.create_credentials", "1.0", ENDPOINT_WRITE, create_credentials,
     label_fields},
    {"auth.get_credentials", "1.0", ENDPOINT_READ, get_credentials, NULL},
    {"auth.edit_credentials", "1.0", ENDPOINT_WRITE, edit_credentials, key_fields},
    {"auth.revoke_credentials", "1.0", ENDPOINT_WRITE, revoke_credentials, key_fields},
    {"auth.create_user", "1.0", ENDPOINT_WRITE, create_user, create_user_fields},
    {"auth.edit_user", "1.0", ENDPOINT_WRITE, edit_user, edit_user_fields},
    {"auth.fixed_users_mode", "1.0", ENDPOINT_READ | ENDPOINT_PUBLIC, fixed_users_mode,
     NULL},
    {0}};

const struct endpoint login_endpoints[] = {
    {"login.supported_modes", "1.0", ENDPOINT_READ | ENDPOINT_PUBLIC, supported_modes,
     NULL},
    {"login.logout", "2.13", ENDPOINT_WRITE | ENDPOINT_PUBLIC, logout, NULL},
    {0}};
