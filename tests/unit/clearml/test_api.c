/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/json.h"
#include "clearml/api.h"
#include "../loop/fake-server.h"

#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OK_BODY                                                                        \
    "{\"meta\":{\"result_code\":200,\"result_msg\":\"OK\"},\"data\":{\"a\":1}}"

struct fixture {
    struct ev_loop *loop;
    struct fake_server *server;
    struct api *api;
    ev_timer guard;
    /* The server's side: what it does with request number n of each kind. */
    fake_f on_login, on_call;
    int logins, calls;
    int64_t token_life_s;
    char last_head[2048], last_body[512], login_head[2048];
    /* The client's side. */
    int replies;
    enum api_result result;
    int code, subcode;
    char message[512];
    int a; /* data.a, -1 without data */
    int stop_after;
    int edges;
    bool reachable;
    char why[512];
};

static void guard_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    fprintf(stderr, "the test hangs\n");
    abort();
}

static void answer(const struct fake_request *r, int status, const char *body)
{
    fake_answer(r->conn, status, NULL, body);
}

static void answer_token(void *arg, const struct fake_request *r)
{
    struct fixture *f = arg;
    auto_buf b = BUF_INIT;
    auto_free char *claims =
        xasprintf("{\"iat\":%lld,\"exp\":%lld,\"api_version\":\"2.31\",\"n\":%d,"
                  "\"identity\":{\"user\":\"me\"},\"reeve\":[\"wait\"]}",
                  1000LL, 1000LL + (long long)f->token_life_s, f->logins);
    buf_add_str(&b, "{\"meta\":{\"result_code\":200},\"data\":{\"token\":\"e30.");
    base64_add(&b, claims, strlen(claims));
    buf_printf(&b, ".login%d\"}}", f->logins);
    answer(r, 200, b.data);
}

static void answer_ok(void *arg, const struct fake_request *r)
{
    answer(r, 200, OK_BODY);
}

static void serve(void *arg, const struct fake_request *r)
{
    struct fixture *f = arg;
    if (strstr(r->head, "/auth.login")) {
        f->logins++;
        snprintf(f->login_head, sizeof f->login_head, "%s", r->head);
        f->on_login(f, r);
    } else {
        f->calls++;
        snprintf(f->last_head, sizeof f->last_head, "%s", r->head);
        snprintf(f->last_body, sizeof f->last_body, "%s", r->body);
        f->on_call(f, r);
    }
}

static void on_reachable(void *arg, bool reachable, const char *why)
{
    struct fixture *f = arg;
    f->edges++;
    f->reachable = reachable;
    snprintf(f->why, sizeof f->why, "%s", why);
}

static struct fixture *setup_config(fake_f on_call, struct api_config config)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct reeve_error err = {0};
    f->loop = ev_loop_new(0);
    f->server = fake_server_create(f->loop, serve, f);
    f->on_login = answer_token;
    f->on_call = on_call;
    f->token_life_s = 100000;
    f->stop_after = 1;
    auto_free char *url = xasprintf("%s/", fake_server_url(f->server));
    config.url = url;
    config.worker = "host:1";
    config.client = "reeve-test";
    config.retry_min_ms = 5;
    config.retry_max_ms = 40;
    f->api = api_create(f->loop, &config, &err);
    assert_non_null(f->api);
    api_on_reachable(f->api, on_reachable, f);
    ev_timer_init(&f->guard, guard_cb, 30., 0.);
    ev_timer_start(f->loop, &f->guard);
    return f;
}

static struct fixture *setup(fake_f on_call)
{
    return setup_config(
        on_call, (struct api_config){.access_key = "key", .secret_key = "secret"});
}

static void teardown(struct fixture *f)
{
    api_destroy(f->api);
    fake_server_destroy(f->server);
    ev_timer_stop(f->loop, &f->guard);
    assert_false(ev_run(f->loop, EVRUN_NOWAIT));
    ev_loop_destroy(f->loop);
    free(f);
}

static void done(void *arg, const struct api_reply *reply)
{
    struct fixture *f = arg;
    f->replies++;
    f->result = reply->result;
    f->code = reply->code;
    f->subcode = reply->subcode;
    snprintf(f->message, sizeof f->message, "%s", reply->message);
    f->a = (int)json_int(reply->data, "a", -1);
    if (reply->result == API_OK)
        assert_true(cJSON_IsObject(reply->data));
    if (f->replies >= f->stop_after)
        ev_break(f->loop, EVBREAK_ALL);
}

static const struct api_options safe = {.retry = API_RETRY_SAFE};

static void call(struct fixture *f, const struct api_options *options)
{
    assert_non_null(api_send(f->api, NULL, "tasks.get_all", NULL, options, done, f));
    ev_run(f->loop, 0);
}

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

static void test_json_lines_and_headers(void **state)
{
    struct fixture *f = setup(answer_ok);
    struct api_options o = {
        .json_lines = true,
        .headers = {"x-reeve-batch: a/1", "x-clearml-WORKER: other"}};
    api_send(f->api, NULL, "events.add_batch",
             cJSON_Parse("[{\"a\":1},{\"b\":\"x\\ny\"}]"), &o, done, f);
    ev_run(f->loop, 0);
    assert_string_equal(f->last_body, "{\"a\":1}\n{\"b\":\"x\\ny\"}");
    assert_non_null(strstr(f->last_head, "Content-Type: application/json-lines\r\n"));
    assert_non_null(strstr(f->last_head, "x-reeve-batch: a/1\r\n"));
    assert_non_null(strstr(f->last_head, "x-clearml-WORKER: other\r\n"));
    assert_null(strstr(f->last_head, "host:1"));
    teardown(f);
}

static void test_unsound_calls(void **state)
{
    struct fixture *f = setup(answer_ok);
    const char *names[] = {"", "tasks/../x", "a b", "x\r\nHost: y", "a?b"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        f->result = API_OK;
        api_send(f->api, NULL, names[i], cJSON_CreateObject(), NULL, done, f);
        ev_run(f->loop, 0);
        assert_int_equal(f->result, API_NOT_SENT);
    }
    struct api_options o = {.headers = {"A: b\r\nC: d"}};
    call(f, &o);
    assert_int_equal(f->result, API_NOT_SENT);
    struct api_options lines = {.json_lines = true};
    call(f, &lines);
    assert_int_equal(f->result, API_NOT_SENT);
    assert_int_equal(f->calls, 0);
    teardown(f);
}

static void refuse(void *arg, const struct fake_request *r)
{
    answer(r, 400,
           "{\"meta\":{\"result_code\":400,\"result_subcode\":110,"
           "\"result_msg\":\"Invalid task status\"},\"data\":{}}");
}

static void test_refused(void **state)
{
    struct fixture *f = setup(refuse);
    call(f, &safe);
    assert_int_equal(f->result, API_REFUSED);
    assert_int_equal(f->code, 400);
    assert_int_equal(f->subcode, 110);
    assert_string_equal(f->message, "Invalid task status");
    assert_int_equal(f->calls, 1);
    assert_int_equal(f->edges, 0);
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

static void html(void *arg, const struct fake_request *r)
{
    answer(r, 200, "<html>It works!</html>");
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

static void silent(void *arg, const struct fake_request *r)
{
}

static void reset(void *arg, const struct fake_request *r)
{
    fake_reset(r->conn);
}

static void truncated(void *arg, const struct fake_request *r)
{
    const char half[] = "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"meta\":{";
    fake_send(r->conn, half, sizeof half - 1);
    fake_close(r->conn);
}

static void cut_json(void *arg, const struct fake_request *r)
{
    answer(r, 200, "{\"meta\":{\"result_code\":200},\"data\":{");
}

static void wrong_types(void *arg, const struct fake_request *r)
{
    answer(r, 200, "{\"meta\":{\"result_code\":200},\"data\":[1]}");
}

static void bad_gateway(void *arg, const struct fake_request *r)
{
    answer(r, 502, "<html>Bad Gateway</html>");
}

static void failed_half_way(void *arg, const struct fake_request *r)
{
    answer(r, 500, "{\"meta\":{\"result_code\":500,\"result_msg\":\"General\"}}");
}

static void huge(void *arg, const struct fake_request *r)
{
    const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n";
    fake_send(r->conn, head, sizeof head - 1);
    char *part = xcalloc(1, 1 << 20);
    fake_send(r->conn, part, 1 << 20);
    free(part);
}

static void test_unsure(void **state)
{
    fake_f handlers[] = {silent,      reset, truncated,       cut_json, wrong_types,
                         bad_gateway, html,  failed_half_way, huge};
    for (size_t i = 0; i < ARRAY_SIZE(handlers); i++) {
        struct fixture *f = setup(handlers[i]);
        struct api_options o = {.timeout_ms = 200};
        call(f, &o);
        assert_int_equal(f->result, API_UNSURE);
        assert_int_equal(f->calls, 1);
        assert_true(f->message[0]);
        assert_int_equal(f->code, handlers[i] == failed_half_way ? 500 : 0);
        assert_int_equal(f->edges, handlers[i] == failed_half_way ? 0 : 1);
        teardown(f);
    }
}

static void test_not_sent(void **state)
{
    struct fixture *f = setup(answer_ok);
    call(f, NULL);
    fake_server_destroy(f->server);
    call(f, NULL);
    assert_int_equal(f->result, API_NOT_SENT);
    assert_int_equal(f->edges, 1);
    assert_non_null(strstr(f->message, "http://127.0.0.1:"));
    /* Told once, however many calls see it. */
    call(f, NULL);
    assert_int_equal(f->edges, 1);
    f->server = fake_server_create(f->loop, serve, f);
    teardown(f);
}

/* Calls whose turn does not come in time tell nothing about the server. */
static void test_crowd_is_no_outage(void **state)
{
    struct fixture *f = setup(answer_ok);
    struct api_options held = {.timeout_ms = 20000, .held = true};
    struct api_options brief = {.timeout_ms = 100};
    struct api_call *calls[4];
    call(f, NULL);
    f->on_call = silent;
    for (int i = 0; i < 4; i++)
        calls[i] = api_send(f->api, NULL, "queues.peek_task", NULL, &held, done, f);
    call(f, &brief);
    assert_int_equal(f->result, API_NOT_SENT);
    assert_int_equal(f->edges, 0);
    for (int i = 0; i < 4; i++)
        api_cancel(calls[i]);
    teardown(f);
}

static void worse_and_worse(void *arg, const struct fake_request *r)
{
    struct fixture *f = arg;
    static const int status[] = {429, 502, 503, 504, 509};
    if (f->calls <= 5)
        answer(r, status[f->calls - 1], "<html>busy</html>");
    else if (f->calls == 6)
        reset(arg, r);
    else if (f->calls == 7)
        html(arg, r);
    else if (f->calls == 8)
        silent(arg, r);
    else
        answer_ok(arg, r);
}

static void test_safe_call_is_tried_until_answered(void **state)
{
    struct fixture *f = setup(worse_and_worse);
    struct api_options o = {.retry = API_RETRY_SAFE, .timeout_ms = 150};
    call(f, &o);
    assert_int_equal(f->result, API_OK);
    assert_int_equal(f->calls, 9);
    assert_int_equal(f->replies, 1);
    /* 429 is an answer; the row of failures after it is one edge down, one up. */
    assert_int_equal(f->edges, 2);
    teardown(f);
}

static void test_safe_500_is_final(void **state)
{
    struct fixture *f = setup(failed_half_way);
    call(f, &safe);
    assert_int_equal(f->calls, 1);
    assert_int_equal(f->code, 500);
    teardown(f);
}

static void retry_after_one(void *arg, const struct fake_request *r)
{
    struct fixture *f = arg;
    if (f->calls == 1)
        fake_answer(r->conn, 429, "Retry-After: 1\r\n", "slow down");
    else
        answer_ok(arg, r);
}

static void test_retry_after(void **state)
{
    struct fixture *f = setup(retry_after_one);
    int64_t start = clock_boot_ms();
    call(f, &safe);
    int64_t took = clock_boot_ms() - start;
    assert_int_equal(f->result, API_OK);
    assert_in_range(took, 990, 25000);
    teardown(f);
}

static void test_deadline(void **state)
{
    fake_f handlers[] = {bad_gateway, silent, retry_after_one};
    for (size_t i = 0; i < ARRAY_SIZE(handlers); i++) {
        struct fixture *f = setup(handlers[i]);
        struct api_options o = {.retry = API_RETRY_SAFE, .deadline_ms = 300};
        int64_t start = clock_boot_ms();
        call(f, &o);
        int64_t took = clock_boot_ms() - start;
        assert_int_equal(f->result, API_UNSURE);
        assert_in_range(took, 200, 25000);
        teardown(f);
    }
    /* Waiting for a login only: certainly not applied. */
    struct fixture *f = setup(answer_ok);
    f->on_login = html;
    struct api_options o = {.retry = API_RETRY_SAFE, .deadline_ms = 200};
    call(f, &o);
    assert_int_equal(f->result, API_NOT_SENT);
    assert_non_null(strstr(f->message, "login"));
    assert_in_range(f->logins, 2, 100);
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
    auto_free char *token = token_dup(now + 4);
    struct fixture *f = setup_config(answer_ok, (struct api_config){.token = token});
    f->stop_after = 0;
    int64_t give_up = clock_boot_ms() + 8000;
    while (f->logins == 0 && clock_boot_ms() < give_up) {
        call(f, NULL);
        assert_int_equal(f->result, API_OK);
    }
    assert_non_null(strstr(f->last_head, ".given\r\n"));
    /* At a quarter before its end: 3 s or so after now, not when it is over. */
    assert_in_range(clock_wall_ms() / 1000 - now, 2, 3);
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

static void test_bad_config(void **state)
{
    struct reeve_error err;
    struct ev_loop *loop = ev_loop_new(0);
    const struct api_config bad[] = {
        {.url = NULL},
        {.url = "ftp://x"},
        {.url = "http://x/?a=b"},
        {.url = "http://x y"},
        {.url = "http://x", .access_key = "only"},
        {.url = "http://x", .worker = "a\r\nb"},
        {.url = "http://x", .token = "no token"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_null(api_create(loop, &bad[i], &err));
    assert_false(ev_run(loop, EVRUN_NOWAIT));
    ev_loop_destroy(loop);
}

static void test_password_in_url_is_not_told(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct reeve_error err;
    f->loop = ev_loop_new(0);
    struct api_config c = {.url = "http://user:hidden@127.0.0.1:1/base"};
    f->stop_after = 1;
    f->api = api_create(f->loop, &c, &err);
    call(f, NULL);
    assert_int_equal(f->result, API_NOT_SENT);
    assert_null(strstr(f->message, "hidden"));
    assert_non_null(strstr(f->message, "http://127.0.0.1:1/base"));
    api_destroy(f->api);
    ev_loop_destroy(f->loop);
    free(f);
}

static void test_cancel(void **state)
{
    struct fixture *f = setup(answer_ok);
    /* Waiting for the login. */
    api_cancel(api_send(f->api, NULL, "a.b", NULL, NULL, done, f));
    call(f, NULL);
    assert_int_equal(f->replies, 1);
    /* Sent. */
    f->on_call = silent;
    struct api_call *c = api_send(f->api, NULL, "a.b", NULL, NULL, done, f);
    int before = f->calls;
    while (f->calls == before)
        ev_run(f->loop, EVRUN_ONCE);
    api_cancel(c);
    /* Finished, not yet announced. */
    api_cancel(api_send(f->api, NULL, "un sound", NULL, NULL, done, f));
    /* Paused. */
    f->on_call = bad_gateway;
    before = f->calls;
    c = api_send(f->api, NULL, "a.b", NULL, &safe, done, f);
    while (f->calls < before + 3)
        ev_run(f->loop, EVRUN_ONCE);
    api_cancel(c);
    f->on_call = answer_ok;
    call(f, NULL);
    assert_int_equal(f->replies, 2);
    teardown(f);
}

struct pair {
    struct fixture *f;
    struct api_call *self, *other;
};

static void cancel_both(void *arg, const struct api_reply *reply)
{
    struct pair *p = arg;
    api_cancel(p->other);
    api_cancel(p->self);
    assert_int_equal(json_int(reply->data, "a", -1), 1);
    ev_break(p->f->loop, EVBREAK_ALL);
}

static void test_cancel_inside_callback(void **state)
{
    struct fixture *f = setup(answer_ok);
    struct pair p = {.f = f};
    p.self = api_send(f->api, NULL, "a.b", NULL, NULL, cancel_both, &p);
    p.other = api_send(f->api, NULL, "a.b", NULL, NULL, done, f);
    ev_run(f->loop, 0);
    assert_int_equal(f->replies, 0);
    teardown(f);
}

static void destroy_done(void *arg, const struct api_reply *reply)
{
    struct fixture *f = arg;
    f->replies++;
    api_destroy(f->api);
    f->api = NULL;
    assert_non_null(reply->message);
    ev_break(f->loop, EVBREAK_ALL);
}

static void test_destroy_inside_callback(void **state)
{
    fake_f handlers[] = {answer_ok, refuse, reset};
    for (size_t i = 0; i < ARRAY_SIZE(handlers); i++) {
        struct fixture *f = setup(handlers[i]);
        for (int k = 0; k < 10; k++)
            api_send(f->api, NULL, "a.b", NULL, NULL, destroy_done, f);
        ev_run(f->loop, 0);
        assert_int_equal(f->replies, 1);
        teardown(f);
    }
}

static void destroy_unreachable(void *arg, bool reachable, const char *why)
{
    struct fixture *f = arg;
    api_destroy(f->api);
    f->api = NULL;
    ev_break(f->loop, EVBREAK_ALL);
}

static void test_destroy_inside_reachable(void **state)
{
    for (int login = 0; login < 2; login++) {
        struct fixture *f = setup(html);
        if (login)
            f->on_login = html;
        api_on_reachable(f->api, destroy_unreachable, f);
        for (int k = 0; k < 10; k++)
            api_send(f->api, NULL, "a.b", NULL, k % 2 ? &safe : NULL, done, f);
        ev_run(f->loop, 0);
        assert_null(f->api);
        teardown(f);
    }
}

static void test_destroy_at_every_turn(void **state)
{
    for (int turns = 0; turns < 40; turns++) {
        struct fixture *f = setup(worse_and_worse);
        f->stop_after = 1000;
        for (int k = 0; k < 6; k++)
            api_send(f->api, NULL, "a.b", NULL, k % 2 ? &safe : NULL, done, f);
        for (int i = 0; i < turns; i++)
            ev_run(f->loop, EVRUN_NOWAIT);
        teardown(f);
    }
}

/* The synchronous form runs a loop of its own, so its server is a process. */
static void test_sync(void **state)
{
    struct fixture *f = setup(refuse);
    struct reeve_error err = {0};
    cJSON *data = NULL;
    int code = 0, subcode = 0;
    char url[64];
    snprintf(url, sizeof url, "%s", fake_server_url(f->server));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        ev_loop_fork(f->loop);
        alarm(20);
        ev_run(f->loop, 0);
        _exit(0);
    }
    struct api_config c = {.url = url, .access_key = "k", .secret_key = "s"};
    struct api_sync *s = api_sync_create(&c, &err);
    assert_non_null(s);
    assert_int_equal(
        api_sync_call(s, "tasks.get_all", NULL, NULL, &data, &code, &subcode, &err),
        API_REFUSED);
    assert_null(data);
    assert_int_equal(code, 400);
    assert_int_equal(subcode, 110);
    assert_string_equal(err.text, "Invalid task status");
    assert_int_equal(
        api_sync_call(s, "auth.login", NULL, NULL, &data, NULL, NULL, NULL), API_OK);
    assert_non_null(json_get(data, "token"));
    cJSON_Delete(data);
    assert_string_equal(api_user(api_sync_api(s)), "me");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    api_sync_destroy(s);
    api_sync_destroy(NULL);
    teardown(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_login_then_call),
        cmocka_unit_test(test_one_login_one_connection),
        cmocka_unit_test(test_expiration_is_asked_for),
        cmocka_unit_test(test_json_lines_and_headers),
        cmocka_unit_test(test_unsound_calls),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_one_refresh_on_401),
        cmocka_unit_test(test_second_401_is_final),
        cmocka_unit_test(test_login_refused),
        cmocka_unit_test(test_login_without_clearml),
        cmocka_unit_test(test_safe_call_waits_for_login),
        cmocka_unit_test(test_unsure),
        cmocka_unit_test(test_not_sent),
        cmocka_unit_test(test_crowd_is_no_outage),
        cmocka_unit_test(test_safe_call_is_tried_until_answered),
        cmocka_unit_test(test_safe_500_is_final),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_short_tokens_do_not_spin),
        cmocka_unit_test(test_given_token),
        cmocka_unit_test(test_refresh_before_expiry),
        cmocka_unit_test(test_without_keys),
        cmocka_unit_test(test_bad_config),
        cmocka_unit_test(test_password_in_url_is_not_told),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_inside_callback),
        cmocka_unit_test(test_destroy_inside_callback),
        cmocka_unit_test(test_destroy_inside_reachable),
        cmocka_unit_test(test_destroy_at_every_turn),
        cmocka_unit_test(test_sync),
    };
    signal(SIGPIPE, SIG_IGN);
    setenv("no_proxy", "*", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
