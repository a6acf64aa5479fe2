/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "api-rig.h"
#include "base/alloc.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/json.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static void test_login_then_call(void **state)
{
    struct fixture *f = setup(answer_ok);
    assert_string_equal(api_server_version(f->api), "");
    assert_null(api_token(f->api));
    assert_true(api_latency_ms(f->api) < 0);
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "id", "x");
    api_send(f->api, "2.14", "tasks.get_all", body, NULL, done, f);
    ev_run(f->loop, 0);
    assert_int_equal(f->result, API_OK);
    assert_int_equal(f->a, 1);
    assert_int_equal(f->code, 200);
    assert_non_null(strstr(f->login_head, "GET /auth.login HTTP/1.1\r\n"));
    assert_non_null(strstr(f->login_head, "Authorization: Basic a2V5OnNlY3JldA==\r\n"));
    assert_non_null(strstr(f->last_head, "POST /v2.14/tasks.get_all HTTP/1.1\r\n"));
    assert_non_null(strstr(f->last_head, ".login1\r\n"));
    assert_non_null(strstr(f->last_head, "X-ClearML-Worker: host:1\r\n"));
    assert_non_null(strstr(f->last_head, "X-ClearML-Client: reeve-test\r\n"));
    assert_non_null(strstr(f->last_head, "Content-Type: application/json\r\n"));
    assert_string_equal(f->last_body, "{\"id\":\"x\"}");
    assert_string_equal(api_server_version(f->api), "2.31");
    assert_string_equal(api_user(f->api), "me");
    assert_true(api_has_extension(f->api, "wait"));
    assert_false(api_has_extension(f->api, "batch"));
    assert_true(api_latency_ms(f->api) >= 0);
    assert_int_equal(f->edges, 0);
    teardown(f);
}

static void test_one_login_one_connection(void **state)
{
    struct fixture *f = setup(answer_ok);
    f->stop_after = 30;
    for (int i = 0; i < 30; i++)
        api_send(f->api, NULL, "tasks.ping", NULL, NULL, done, f);
    ev_run(f->loop, 0);
    assert_int_equal(f->logins, 1);
    assert_int_equal(f->calls, 30);
    f->stop_after = 0;
    for (int i = 0; i < 10; i++)
        call(f, NULL);
    assert_int_equal(f->logins, 1);
    assert_in_range(fake_server_connections(f->server), 1, 4);
    teardown(f);
}

static void test_expiration_is_asked_for(void **state)
{
    struct fixture *f = setup_config(
        answer_ok, (struct api_config){
                       .access_key = "k", .secret_key = "s", .token_expiration_s = 77});
    call(f, NULL);
    assert_non_null(strstr(f->login_head, "GET /auth.login?expiration_sec=77 "));
    teardown(f);
}

static void unauthorized(const struct fake_request *r)
{
    answer(r, 401,
           "{\"meta\":{\"result_code\":401,\"result_subcode\":30,"
           "\"result_msg\":\"token\"},\"data\":{}}");
}

static void first_token_fails(void *arg, const struct fake_request *r)
{
    if (strstr(r->head, ".login1\r\n"))
        unauthorized(r);
    else
        answer_ok(arg, r);
}

static void test_one_refresh_on_401(void **state)
{
    struct fixture *f = setup(first_token_fails);
    f->stop_after = 8;
    for (int i = 0; i < 8; i++)
        api_send(f->api, NULL, "tasks.ping", NULL, NULL, done, f);
    ev_run(f->loop, 0);
    assert_int_equal(f->result, API_OK);
    assert_int_equal(f->logins, 2);
    teardown(f);
}

static void always_401(void *arg, const struct fake_request *r)
{
    unauthorized(r);
}

static void test_second_401_is_final(void **state)
{
    struct fixture *f = setup(always_401);
    call(f, &safe);
    assert_int_equal(f->result, API_REFUSED);
    assert_int_equal(f->code, 401);
    assert_int_equal(f->subcode, 30);
    assert_int_equal(f->logins, 2);
    assert_int_equal(f->calls, 2);
    teardown(f);
}

static void test_login_refused(void **state)
{
    struct fixture *f = setup(answer_ok);
    f->on_login = always_401;
    f->stop_after = 3;
    for (int i = 0; i < 3; i++)
        api_send(f->api, NULL, "tasks.ping", NULL, i ? &safe : NULL, done, f);
    ev_run(f->loop, 0);
    assert_int_equal(f->result, API_REFUSED);
    assert_int_equal(f->code, 401);
    assert_non_null(strstr(f->message, "login"));
    assert_null(strstr(f->message, "secret"));
    assert_int_equal(f->logins, 1);
    assert_int_equal(f->calls, 0);
    teardown(f);
}

static void bad_token(void *arg, const struct fake_request *r)
{
    answer(r, 200,
           "{\"meta\":{\"result_code\":200},\"data\":{\"token\":\"x\\r\\nA: b\"}}");
}

static void test_login_without_clearml(void **state)
{
    fake_f logins[] = {html, bad_token};
    for (size_t i = 0; i < ARRAY_SIZE(logins); i++) {
        struct fixture *f = setup(answer_ok);
        f->on_login = logins[i];
        call(f, NULL);
        assert_int_equal(f->result, API_NOT_SENT);
        assert_int_equal(f->edges, 1);
        assert_false(api_reachable(f->api));
        teardown(f);
    }
}

static void html_twice(void *arg, const struct fake_request *r)
{
    struct fixture *f = arg;
    if (f->logins <= 2)
        html(arg, r);
    else
        answer_token(arg, r);
}

static void test_safe_call_waits_for_login(void **state)
{
    struct fixture *f = setup(answer_ok);
    f->on_login = html_twice;
    call(f, &safe);
    assert_int_equal(f->result, API_OK);
    assert_int_equal(f->logins, 3);
    assert_int_equal(f->edges, 2);
    assert_true(f->reachable);
    teardown(f);
}

/* A token of 40 s is renewed after 30 s: the clock cannot be moved here, so the life
 * is the shortest that the session takes, 10 s, and only its beginning is looked at. */
static void test_short_tokens_do_not_spin(void **state)
{
    struct fixture *f = setup(answer_ok);
    f->token_life_s = -5;
    f->stop_after = 0;
    for (int i = 0; i < 20; i++)
        call(f, NULL);
    assert_int_equal(f->result, API_OK);
    assert_int_equal(f->logins, 1);
    teardown(f);
}

static char *token_dup(long long exp)
{
    auto_buf b = BUF_INIT;
    auto_free char *claims = xasprintf("{\"exp\":%lld}", exp);
    buf_add_str(&b, "e30.");
    base64_add(&b, claims, strlen(claims));
    buf_add_str(&b, ".given");
    return buf_take(&b);
}

static void test_given_token(void **state)
{
    long long now = clock_wall_ms() / 1000;
    auto_free char *good = token_dup(now + 100000);
    struct fixture *f = setup_config(answer_ok, (struct api_config){.token = good});
    call(f, NULL);
    assert_int_equal(f->result, API_OK);
    assert_int_equal(f->logins, 0);
    assert_non_null(strstr(f->last_head, ".given\r\n"));
    teardown(f);

    /* Over by this host's clock: the server is asked before it is used. */
    auto_free char *old = token_dup(now - 10);
    f = setup_config(answer_ok, (struct api_config){.token = old});
    call(f, NULL);
    assert_int_equal(f->result, API_OK);
    assert_int_equal(f->logins, 1);
    assert_non_null(strstr(f->login_head, ".given\r\n"));
    assert_non_null(strstr(f->last_head, ".login1\r\n"));
    teardown(f);
}

/* Renewed while it still works: the call that notices does not wait for that. */
static void test_refresh_before_expiry(void **state)
{
    long long now = clock_wall_ms() / 1000;
    auto_free char *token = token_dup(now + 8);
    struct fixture *f = setup_config(answer_ok, (struct api_config){.token = token});
    f->stop_after = 0;
    int64_t give_up = clock_boot_ms() + 20000;
    while (f->logins == 0 && clock_boot_ms() < give_up) {
        call(f, NULL);
        assert_int_equal(f->result, API_OK);
    }
    assert_non_null(strstr(f->last_head, ".given\r\n"));
    /* At a quarter before its end: 5 to 6 s after now, not when it is over. */
    assert_in_range(clock_wall_ms() / 1000 - now, 5, 7);
    while (strstr(f->last_head, ".given\r\n"))
        call(f, NULL);
    assert_int_equal(f->logins, 1);
    assert_int_equal(f->result, API_OK);
    teardown(f);
}

static void test_without_keys(void **state)
{
    struct fixture *f = setup_config(answer_ok, (struct api_config){0});
    call(f, NULL);
    assert_int_equal(f->result, API_OK);
    assert_int_equal(f->logins, 0);
    assert_null(strstr(f->last_head, "Authorization"));
    teardown(f);
}

static void redirect(void *arg, const struct fake_request *r)
{
    struct fixture *f = arg;
    char headers[512], path[128] = "";
    sscanf(r->head, "%*s %127s", path);
    snprintf(headers, sizeof headers, "Location: %s%s\r\n", f->there, path);
    fake_answer(r->conn, f->redirect, headers, "moved");
}

/* Below /there is the server, all else leads there. */
static void moved(void *arg, const struct fake_request *r)
{
    if (strstr(r->head, " /there/"))
        (strstr(r->head, "/auth.login") ? answer_token : answer_ok)(arg, r);
    else
        redirect(arg, r);
}

static struct fixture *setup_moved(int status, const char *where)
{
    struct fixture *f = setup(moved);
    f->on_login = moved;
    f->redirect = status;
    snprintf(f->there, sizeof f->there, "%s%s",
             *where == '/' ? fake_server_url(f->server) : "", where);
    return f;
}

static void test_moved(void **state)
{
    static const int statuses[] = {301, 302, 307, 308};
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
        struct fixture *f = setup_moved(statuses[i], "/there");
        call(f, NULL);
        assert_int_equal(f->result, API_OK);
        assert_int_equal(f->logins, 2);
        assert_non_null(strstr(f->last_head, "POST /there/tasks.get_all HTTP/1.1\r\n"));
        assert_string_equal(f->last_body, "{}");
        assert_string_equal(api_moved(f->api), f->there);
        assert_int_equal(f->edges, 0);
        /* What was learnt is used, until it fails. */
        f->stop_after = 2;
        call(f, NULL);
        assert_int_equal(f->calls, 2);
        f->stop_after = 3;
        f->on_call = html;
        call(f, NULL);
        assert_null(api_moved(f->api));
        teardown(f);
    }
}

static void test_shown_without_password(void **state)
{
    static const char *const cases[][2] = {
        {"http://me:p@ss@127.0.0.1:1/base//", "http://127.0.0.1:1/base"},
        {"https://me@[::1]:1/a@b", "https://[::1]:1/a@b"},
        {"http://api/", "http://api"},
    };
    struct ev_loop *loop = ev_loop_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct api_config config = {.url = cases[i][0]};
        struct api *api = api_create(loop, &config, NULL);
        assert_non_null(api);
        assert_string_equal(api_shown(api), cases[i][1]);
        assert_null(api_moved(api));
        api_destroy(api);
    }
    ev_loop_destroy(loop);
}

/* Redirects to a place where the first eight calls fail. */
static void moved_and_away(void *arg, const struct fake_request *r)
{
    struct fixture *f = arg;
    if (!strstr(r->head, " /there/"))
        redirect(arg, r);
    else if (f->aways++ < 8)
        html(arg, r);
    else
        answer_ok(arg, r);
}

/* Each try is redirected anew: that is no circle. */
static void test_moved_in_each_try(void **state)
{
    struct fixture *f = setup_moved(307, "/there");
    f->on_call = moved_and_away;
    call(f, &safe);
    assert_int_equal(f->result, API_OK);
    assert_int_equal(f->aways, 9);
    teardown(f);
}

static void test_not_followed(void **state)
{
    static const struct {
        int status;
        const char *where, *words;
    } cases[] = {
        {302, "http://localhost:1", "another host"},
        {302, "https://127.0.0.2", "another host"},
        {302, "ftp://127.0.0.1", "no ClearML API"},
        {302, "http://me:pass@127.0.0.1", "no ClearML API"},
        {303, "/there", "no ClearML API"},
        {302, "/sign-in?from=", "no ClearML API"},
        {302, "/", "in circles"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fixture *f = setup_moved(cases[i].status, cases[i].where);
        call(f, NULL);
        assert_int_equal(f->result, API_NOT_SENT);
        assert_non_null(strstr(f->message, cases[i].words));
        assert_int_equal(f->calls, 0);
        assert_int_equal(f->edges, 1);
        assert_non_null(strstr(f->why, cases[i].words));
        assert_string_equal(api_outage_why(f->api), f->why);
        assert_true(api_outage_since_ms(f->api) > 0);
        teardown(f);
    }
}

static void less_than_a_year(void *arg, const struct fake_request *r)
{
    if (strstr(r->head, "expiration_sec"))
        answer(r, 400, "{\"meta\":{\"result_code\":400,\"result_subcode\":12}}");
    else
        answer_token(arg, r);
}

/* Its bound on what may be asked for is lower: its own default, then. */
static void test_shorter_session(void **state)
{
    struct fixture *f =
        setup_config(answer_ok, (struct api_config){.access_key = "key",
                                                    .secret_key = "secret",
                                                    .token_expiration_s = 31536000});
    f->on_login = less_than_a_year;
    call(f, NULL);
    assert_int_equal(f->result, API_OK);
    assert_int_equal(f->logins, 2);
    assert_int_equal(f->edges, 0);
    teardown(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_login_then_call),
        cmocka_unit_test(test_one_login_one_connection),
        cmocka_unit_test(test_expiration_is_asked_for),
        cmocka_unit_test(test_one_refresh_on_401),
        cmocka_unit_test(test_second_401_is_final),
        cmocka_unit_test(test_login_refused),
        cmocka_unit_test(test_login_without_clearml),
        cmocka_unit_test(test_safe_call_waits_for_login),
        cmocka_unit_test(test_short_tokens_do_not_spin),
        cmocka_unit_test(test_given_token),
        cmocka_unit_test(test_refresh_before_expiry),
        cmocka_unit_test(test_without_keys),
        cmocka_unit_test(test_shown_without_password),
        cmocka_unit_test(test_moved),
        cmocka_unit_test(test_moved_in_each_try),
        cmocka_unit_test(test_not_followed),
        cmocka_unit_test(test_shorter_session),
    };
    signal(SIGPIPE, SIG_IGN);
    setenv("no_proxy", "*", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
