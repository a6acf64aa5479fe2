/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "api-rig.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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
        api_send(f->api, NULL, "tasks.edit", NULL, &o, done, f);
        ev_run(f->loop, 0);
        assert_int_equal(f->result, API_UNSURE);
        assert_int_equal(f->calls, 1);
        assert_true(f->message[0]);
        assert_int_equal(f->code, handlers[i] == failed_half_way ? 500 : 0);
        /* That a kept-alive connection is closed says nothing of the server. */
        bool outage = handlers[i] != failed_half_way && handlers[i] != reset;
        assert_int_equal(f->edges, outage);
        teardown(f);
    }
}

static void reset_first(void *arg, const struct fake_request *r)
{
    struct fixture *f = arg;
    if (f->calls == 1)
        fake_reset(r->conn);
    else
        answer_ok(arg, r);
}

/* What only reads goes again when the connection that the login left was closed. */
static void test_reads_are_repeated(void **state)
{
    struct fixture *f = setup(reset_first);
    call(f, NULL);
    assert_int_equal(f->result, API_OK);
    assert_int_equal(f->calls, 2);
    assert_int_equal(f->edges, 0);
    teardown(f);
    f = setup(reset_first);
    api_send(f->api, NULL, "queues.get_next_task", NULL, NULL, done, f);
    ev_run(f->loop, 0);
    assert_int_equal(f->result, API_UNSURE);
    assert_int_equal(f->calls, 1);
    teardown(f);
}

static void limit_first(void *arg, const struct fake_request *r)
{
    struct fixture *f = arg;
    if (f->calls == 1)
        fake_answer(r->conn, 429, "Retry-After: 1\r\n", "slow down");
    else
        answer_ok(arg, r);
}

/* Retry-After holds for every call, also for one that is tried only once. */
static void test_retry_after_holds_all(void **state)
{
    struct fixture *f = setup(limit_first);
    int64_t start = clock_boot_ms();
    call(f, NULL);
    assert_int_equal(f->result, API_UNSURE);
    f->replies = 0;
    call(f, NULL);
    assert_int_equal(f->result, API_OK);
    assert_true(clock_boot_ms() - start >= 990);
    assert_int_equal(f->calls, 2);
    teardown(f);
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
        cmocka_unit_test(test_json_lines_and_headers),
        cmocka_unit_test(test_unsound_calls),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_unsure),
        cmocka_unit_test(test_reads_are_repeated),
        cmocka_unit_test(test_retry_after_holds_all),
        cmocka_unit_test(test_not_sent),
        cmocka_unit_test(test_crowd_is_no_outage),
        cmocka_unit_test(test_safe_call_is_tried_until_answered),
        cmocka_unit_test(test_safe_500_is_final),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_deadline),
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
