/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "base/alloc.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "server/auth.h"
#include "server/server.h"
#include "server/store.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A store and its keys are all that auth.c needs of a server. */
struct world {
    char *dir;
    struct server server;
};

static void open_world(struct world *w)
{
    struct reeve_error err = {0};
    w->server.store = store_open(w->dir, &err);
    assert_non_null(w->server.store);
    w->server.auth = auth_open(w->dir, w->server.store, &err);
    if (!w->server.auth)
        fail_msg("%s", err.text);
}

static void close_world(struct world *w)
{
    auth_close(w->server.auth);
    store_close(w->server.store);
}

static int setup(void **state)
{
    struct world *w = xcalloc(1, sizeof *w);
    w->dir = fixture_dir();
    open_world(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    close_world(w);
    fixture_dir_remove(w->dir);
    free(w);
    return 0;
}

static int check(struct world *w, const char *authorization, struct caller *caller)
{
    char why[256];
    return auth_check(&w->server, authorization, NULL, caller, NULL, why);
}

static int check_pair(struct world *w, const char *access, const char *secret,
                      struct caller *caller)
{
    auto_free char *pair = xasprintf("%s:%s", access, secret);
    auto_buf header = BUF_INIT;
    buf_add_str(&header, "Basic ");
    base64_add(&header, pair, strlen(pair));
    return check(w, buf_str(&header), caller);
}

static void test_first_keys(void **state)
{
    struct world *w = *state;
    const struct auth_keys *keys = auth_first_keys(w->server.auth);
    struct caller caller;
    assert_int_equal(strlen(keys->access_key), 30);
    assert_int_equal(strlen(keys->secret_key), 50);
    assert_int_equal(check_pair(w, keys->access_key, keys->secret_key, &caller), 0);
    assert_string_equal(caller.company, AUTH_COMPANY);
    assert_string_equal(caller.role, "admin");
    assert_int_equal(strlen(caller.user), 32);
    assert_int_equal(check_pair(w, keys->access_key, "wrong", &caller), 22);
    assert_int_equal(check_pair(w, keys->access_key, "", &caller), 22);
    assert_int_equal(check_pair(w, "", "", &caller), 22);
    assert_int_equal(check_pair(w, "' OR 1=1 --", keys->secret_key, &caller), 22);
}

static void test_refusals(void **state)
{
    struct world *w = *state;
    struct caller caller;
    assert_int_equal(check(w, NULL, &caller), 20);
    assert_int_equal(check(w, "", &caller), 10);
    assert_int_equal(check(w, "Digest x", &caller), 10);
    assert_int_equal(check(w, "Basic", &caller), 22);
    assert_int_equal(check(w, "Basic !!!", &caller), 21);
    assert_int_equal(check(w, "Bearer", &caller), 30);
    assert_int_equal(check(w, "Bearer a.b.c", &caller), 30);
    /* {"alg":"none","typ":"JWT"}.{"identity":{"user":"u","company":"c","role":"root"}}.
     */
    assert_int_equal(
        check(w,
              "Bearer eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0."
              "eyJpZGVudGl0eSI6eyJ1c2VyIjoidSIsImNvbXBhbnkiOiJjIiwicm9sZSI6InJvb"
              "3QifX0.",
              &caller),
        30);
}

static void default_caller(struct world *w, struct caller *caller)
{
    const struct auth_keys *keys = auth_first_keys(w->server.auth);
    assert_int_equal(check_pair(w, keys->access_key, keys->secret_key, caller), 0);
}

static int check_token(struct world *w, const char *token, struct auth_session *session)
{
    struct caller caller;
    char why[256];
    return auth_check_token(&w->server, token, &caller, session, why);
}

static void test_tokens(void **state)
{
    struct world *w = *state;
    struct caller who, seen;
    default_caller(w, &who);
    auto_free char *token = auth_token_dup(&w->server, &who, 100);
    auto_free char *header = xasprintf("Bearer %s", token);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(check(w, header, &seen), 0);
        assert_string_equal(seen.user, who.user);
        assert_true(seen.authenticated);
    }
    header[strlen(header) - 3] ^= 1;
    assert_int_equal(check(w, header, &seen), 30);
    /* Another claim under the same signature. */
    char *dot = strchr(token, '.');
    dot[10] = dot[10] == 'A' ? 'B' : 'A';
    assert_int_equal(check_token(w, token, NULL), 30);
}

static cJSON *claims_of(const char *token)
{
    const char *start = strchr(token, '.') + 1;
    auto_buf text = BUF_INIT;
    assert_int_equal(base64_decode(start, strcspn(start, "."), &text), 0);
    return json_parse(buf_str(&text), text.len, NULL);
}

static void test_claims(void **state)
{
    struct world *w = *state;
    struct caller who;
    default_caller(w, &who);
    auto_free char *token = auth_token_dup(&w->server, &who, 0);
    auto_json *claims = claims_of(token);
    assert_string_equal(json_str(claims, "api_version", ""), "2.31");
    assert_string_equal(json_str(claims, "feature_set", ""), "basic");
    assert_string_equal(json_str(claims, "auth_type", ""), "Bearer");
    assert_string_equal(json_str(json_get(claims, "identity"), "user", ""), who.user);
    auto_free char *extensions = json_format(json_get(claims, "reeve"));
    assert_string_equal(extensions, "[\"wait\",\"batch\",\"claim\",\"needs\",\"reports\",\"behind\"]");
    int64_t left = json_int(claims, "exp", 0) - clock_wall_ms() / 1000;
    assert_in_range(left, AUTH_EXPIRATION_DEFAULT_S - 5, AUTH_EXPIRATION_DEFAULT_S);
}

static void test_expiry(void **state)
{
    struct world *w = *state;
    struct caller who;
    default_caller(w, &who);
    auto_free char *token = auth_token_dup(&w->server, &who, 1);
    assert_int_equal(check_token(w, token, NULL), 0);
    /* Also from the cache, where it is now. */
    int64_t end = clock_boot_ms() + 5000;
    while (check_token(w, token, NULL) == 0 && clock_boot_ms() < end)
        usleep(20000);
    assert_int_equal(check_token(w, token, NULL), 30);
}

static int revoke_session(sqlite3 *db, void *arg)
{
    struct world *w = arg;
    struct auth_session session = {.id = "", .expires = 0};
    /* What was put aside by the test for this thread. */
    sqlite3_stmt *find =
        store_query(db, "SELECT value FROM settings WHERE name = 's'", "");
    if (store_row(find))
        strcpy(session.id, (const char *)sqlite3_column_text(find, 0));
    sqlite3_reset(find);
    auth_revoke(w->server.auth, db, &session);
    return 0;
}

static int put_session(sqlite3 *db, void *arg)
{
    return store_change(db, "INSERT INTO settings (name, value) VALUES ('s', ?)", "t",
                        arg);
}

static void test_revoked_for_good(void **state)
{
    struct world *w = *state;
    struct caller who;
    struct auth_session session;
    default_caller(w, &who);
    auto_free char *token = auth_token_dup(&w->server, &who, 100);
    auto_free char *other = auth_token_dup(&w->server, &who, 100);
    assert_int_equal(check_token(w, token, &session), 0);
    store_run(w->server.store, put_session, session.id);
    store_run(w->server.store, revoke_session, w);
    assert_int_equal(check_token(w, token, NULL), 30);
    assert_int_equal(check_token(w, other, NULL), 0);
    close_world(w);
    open_world(w);
    assert_int_equal(check_token(w, token, NULL), 30);
    assert_int_equal(check_token(w, other, NULL), 0);
}

static void test_keys_survive_and_stay_secret(void **state)
{
    struct world *w = *state;
    struct caller caller;
    struct stat st;
    struct auth_keys keys = *auth_first_keys(w->server.auth);
    close_world(w);
    static const char *const files[] = {"credentials.json", "signing.key"};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        auto_free char *path = path_join_dup(w->dir, files[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    /* The database alone gives no key away. */
    auto_free char *db = path_join_dup(w->dir, "reeve.db");
    auto_buf content = BUF_INIT;
    assert_int_equal(file_read(db, &content, 1 << 26, NULL), 0);
    assert_null(memmem(content.data, content.len, keys.secret_key, 50));
    assert_non_null(memmem(content.data, content.len, keys.access_key, 30));
    /* Nor does its loss lock anybody out. */
    assert_int_equal(unlink(db), 0);
    open_world(w);
    assert_int_equal(check_pair(w, keys.access_key, keys.secret_key, &caller), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tokens, setup, teardown),
        cmocka_unit_test_setup_teardown(test_claims, setup, teardown),
        cmocka_unit_test_setup_teardown(test_expiry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_revoked_for_good, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keys_survive_and_stay_secret, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
