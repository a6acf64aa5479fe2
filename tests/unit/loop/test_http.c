/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "fake-server.h"
#include "loop/http.h"

#include <arpa/inet.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct fixture {
    struct ev_loop *loop;
    struct fake_server *server;
    struct http *http;
    ev_timer guard;
    int answers;
    /* the last answer */
    enum http_outcome outcome;
    int status;
    char body[256];
    size_t body_len;
    char why[256];
    int64_t retry_after_ms;
    bool crowded;
    /* of the last request */
    char head[1024];
    char request_body[64];
};

static void guard_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    fprintf(stderr, "the test hangs\n");
    abort();
}

static struct fixture *setup(fake_f handler, int connections, size_t max_response)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct reeve_error err;
    f->loop = ev_loop_new(0);
    f->server = fake_server_create(f->loop, handler, f);
    struct http_config config = {.user_agent = "reeve-test/1",
                                 .max_connections = connections,
                                 .verify = true,
                                 .max_response = max_response};
    f->http = http_create(f->loop, &config, &err);
    assert_non_null(f->http);
    ev_timer_init(&f->guard, guard_cb, 20., 0.);
    ev_timer_start(f->loop, &f->guard);
    return f;
}

/* Fails the test if anything of ours is still registered with the loop. */
static void teardown(struct fixture *f)
{
    http_destroy(f->http);
    fake_server_destroy(f->server);
    ev_timer_stop(f->loop, &f->guard);
    assert_false(ev_run(f->loop, EVRUN_NOWAIT));
    ev_loop_destroy(f->loop);
    free(f);
}

static void done(void *arg, const struct http_answer *a)
{
    struct fixture *f = arg;
    f->answers++;
    f->outcome = a->outcome;
    f->status = a->status;
    f->body_len = a->body->len;
    snprintf(f->body, sizeof f->body, "%s", buf_str(a->body));
    snprintf(f->why, sizeof f->why, "%s", a->error ? a->error : "");
    f->retry_after_ms = a->retry_after_ms;
    f->crowded = a->crowded;
    ev_break(f->loop, EVBREAK_ALL);
}

static struct http_request *send_to(struct fixture *f, const char *url, int64_t timeout)
{
    struct reeve_error err;
    const char *headers[] = {"X-One: 1", NULL};
    struct http_params p = {.method = "POST",
                            .url = url,
                            .headers = headers,
                            .body = "hello",
                            .body_len = 5,
                            .timeout_ms = timeout};
    struct http_request *r = http_send(f->http, &p, done, f, &err);
    assert_non_null(r);
    return r;
}

static void ask(struct fixture *f, int64_t timeout)
{
    send_to(f, fake_server_url(f->server), timeout);
    ev_run(f->loop, 0);
}

static void note(struct fixture *f, const struct fake_request *r)
{
    snprintf(f->head, sizeof f->head, "%s", r->head);
    snprintf(f->request_body, sizeof f->request_body, "%s", r->body);
}

static void answer_ok(void *arg, const struct fake_request *r)
{
    note(arg, r);
    fake_answer(r->conn, 200, NULL, "world");
}

static void test_answered(void **state)
{
    struct fixture *f = setup(answer_ok, 0, 0);
    ask(f, 0);
    assert_int_equal(f->outcome, HTTP_ANSWERED);
    assert_int_equal(f->status, 200);
    assert_string_equal(f->body, "world");
    assert_true(f->retry_after_ms == -1);
    assert_non_null(strstr(f->head, "POST / HTTP/1.1\r\n"));
    assert_non_null(strstr(f->head, "X-One: 1\r\n"));
    assert_non_null(strstr(f->head, "User-Agent: reeve-test/1\r\n"));
    assert_null(strstr(f->head, "Expect"));
    assert_null(strstr(f->head, "urlencoded"));
    assert_string_equal(f->request_body, "hello");
    teardown(f);
}

static void test_get_with_body(void **state)
{
    struct fixture *f = setup(answer_ok, 0, 0);
    struct reeve_error err;
    struct http_params p = {.method = "GET",
                            .url = fake_server_url(f->server),
                            .body = "{}",
                            .body_len = 2};
    assert_non_null(http_send(f->http, &p, done, f, &err));
    ev_run(f->loop, 0);
    assert_non_null(strstr(f->head, "GET / HTTP/1.1\r\n"));
    assert_string_equal(f->request_body, "{}");
    p.body = NULL;
    assert_non_null(http_send(f->http, &p, done, f, &err));
    ev_run(f->loop, 0);
    assert_null(strstr(f->head, "Content-Length"));
    assert_string_equal(f->body, "world");
    teardown(f);
}

static void test_connection_is_kept(void **state)
{
    struct fixture *f = setup(answer_ok, 0, 0);
    for (int i = 0; i < 20; i++)
        ask(f, 0);
    assert_int_equal(f->answers, 20);
    assert_int_equal(fake_server_connections(f->server), 1);
    teardown(f);
}

static void count_done(void *arg, const struct http_answer *a)
{
    struct fixture *f = arg;
    assert_int_equal(a->outcome, HTTP_ANSWERED);
    if (++f->answers == 50)
        ev_break(f->loop, EVBREAK_ALL);
}

static void test_connections_are_bounded(void **state)
{
    struct fixture *f = setup(answer_ok, 3, 0);
    struct reeve_error err;
    struct http_params p = {.method = "GET", .url = fake_server_url(f->server)};
    for (int i = 0; i < 50; i++)
        assert_non_null(http_send(f->http, &p, count_done, f, &err));
    ev_run(f->loop, 0);
    assert_int_equal(fake_server_requests(f->server), 50);
    assert_in_range(fake_server_connections(f->server), 1, 3);
    teardown(f);
}

/* A port on which certainly nobody listens: bound, never listening. */
static int refused_port(int *fd)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    *fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(*fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(getsockname(*fd, (struct sockaddr *)&a, &n), 0);
    return ntohs(a.sin_port);
}

static void test_refused_is_not_sent(void **state)
{
    struct fixture *f = setup(answer_ok, 0, 0);
    int fd;
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", refused_port(&fd));
    send_to(f, url, 0);
    ev_run(f->loop, 0);
    assert_int_equal(f->outcome, HTTP_NOT_SENT);
    assert_true(f->why[0]);
    close(fd);
    teardown(f);
}

static void test_bad_urls_are_not_sent(void **state)
{
    struct fixture *f = setup(answer_ok, 0, 0);
    const char *urls[] = {"http://", "gopher://127.0.0.1/", "file:///etc/passwd", "",
                          "http://name.invalid/"};
    for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
        f->outcome = HTTP_ANSWERED;
        send_to(f, urls[i], 15000);
        ev_run(f->loop, 0);
        assert_int_equal(f->outcome, HTTP_NOT_SENT);
    }
    teardown(f);
}

static void never_answer(void *arg, const struct fake_request *r)
{
}

static void test_silence_is_no_answer(void **state)
{
    struct fixture *f = setup(never_answer, 0, 0);
    int64_t start = clock_boot_ms();
    ask(f, 150);
    int64_t took = clock_boot_ms() - start;
    assert_int_equal(f->outcome, HTTP_NO_ANSWER);
    assert_non_null(strstr(f->why, "150 ms"));
    assert_in_range(took, 145, 3000);
    teardown(f);
}

static void test_waiting_for_a_connection_is_not_sent(void **state)
{
    struct fixture *f = setup(never_answer, 1, 0);
    struct http_request *first = send_to(f, fake_server_url(f->server), 10000);
    ask(f, 100);
    assert_int_equal(f->answers, 1);
    assert_int_equal(f->outcome, HTTP_NOT_SENT);
    assert_true(f->crowded);
    http_cancel(first);
    teardown(f);
}

/* With the one connection taken: b waits, urgent c overtakes it. */
static void test_urgent_goes_first(void **state)
{
    struct fixture *f = setup(answer_ok, 1, 0);
    struct reeve_error err;
    const char *paths[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        auto_free char *url = xasprintf("%s/%s", fake_server_url(f->server), paths[i]);
        struct http_params p = {.method = "GET", .url = url, .urgent = i == 2};
        assert_non_null(http_send(f->http, &p, done, f, &err));
    }
    while (f->answers < 2)
        ev_run(f->loop, 0);
    assert_non_null(strstr(f->head, "GET /c "));
    while (f->answers < 3)
        ev_run(f->loop, 0);
    assert_non_null(strstr(f->head, "GET /b "));
    assert_false(f->crowded);
    teardown(f);
}

static void close_at_once(void *arg, const struct fake_request *r)
{
    fake_close(r->conn);
}

static void reset_at_once(void *arg, const struct fake_request *r)
{
    fake_reset(r->conn);
}

static void half_an_answer(void *arg, const struct fake_request *r)
{
    const char half[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"meta\"";
    fake_send(r->conn, half, sizeof half - 1);
    fake_close(r->conn);
}

static void half_a_chunk(void *arg, const struct fake_request *r)
{
    const char half[] =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    fake_send(r->conn, half, sizeof half - 1);
    fake_close(r->conn);
}

static void garbage(void *arg, const struct fake_request *r)
{
    fake_send(r->conn, "\0\1\2 no HTTP\r\n\r\n", 16);
    fake_close(r->conn);
}

static void test_closed_without_whole_answer(void **state)
{
    fake_f handlers[] = {close_at_once, reset_at_once, half_an_answer, half_a_chunk,
                         garbage};
    for (size_t i = 0; i < ARRAY_SIZE(handlers); i++) {
        struct fixture *f = setup(handlers[i], 0, 0);
        ask(f, 0);
        assert_int_equal(f->outcome, HTTP_NO_ANSWER);
        assert_int_equal(fake_server_requests(f->server), 1);
        assert_true(f->why[0]);
        teardown(f);
    }
}

static void answer_then_close(void *arg, const struct fake_request *r)
{
    if (r->number == 1)
        fake_answer(r->conn, 200, NULL, "first");
    else
        fake_close(r->conn);
}

/* The second request travels on the kept connection and is read by the server, which
 * then closes: libcurl alone would send it again. */
static void test_sent_at_most_once(void **state)
{
    struct fixture *f = setup(answer_then_close, 0, 0);
    ask(f, 0);
    assert_int_equal(f->outcome, HTTP_ANSWERED);
    ask(f, 0);
    assert_int_equal(f->outcome, HTTP_NO_ANSWER);
    assert_int_equal(fake_server_requests(f->server), 2);
    teardown(f);
}

static void answer_and_close(void *arg, const struct fake_request *r)
{
    fake_answer(r->conn, 200, NULL, "bye");
    fake_close(r->conn);
}

/* A connection that the server closed while it was idle is noticed before anything is
 * written to it. */
static void test_stale_connection_is_replaced(void **state)
{
    struct fixture *f = setup(answer_and_close, 0, 0);
    for (int i = 1; i <= 3; i++) {
        ask(f, 0);
        assert_int_equal(f->outcome, HTTP_ANSWERED);
        assert_int_equal(fake_server_connections(f->server), i);
        ev_run(f->loop, EVRUN_NOWAIT);
    }
    teardown(f);
}

static void answer_long(void *arg, const struct fake_request *r)
{
    char *body = xmalloc(1 << 20);
    memset(body, 'x', (1 << 20) - 1);
    body[(1 << 20) - 1] = '\0';
    fake_answer(r->conn, 200, NULL, body);
    free(body);
}

static void answer_endless(void *arg, const struct fake_request *r)
{
    const char head[] = "HTTP/1.1 200 OK\r\n\r\n";
    fake_send(r->conn, head, sizeof head - 1);
    char *body = xcalloc(1, 300000);
    fake_send(r->conn, body, 300000);
    free(body);
}

static void answer_long_header(void *arg, const struct fake_request *r)
{
    char line[1024];
    memset(line, 'h', sizeof line);
    memcpy(line, "X-Long: ", 8);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    fake_send(r->conn, "HTTP/1.1 200 OK\r\n", 17);
    for (int i = 0; i < 300; i++)
        fake_send(r->conn, line, sizeof line);
}

static void test_answer_is_bounded(void **state)
{
    fake_f handlers[] = {answer_long, answer_endless, answer_long_header};
    for (size_t i = 0; i < ARRAY_SIZE(handlers); i++) {
        struct fixture *f = setup(handlers[i], 0, 100000);
        ask(f, 0);
        assert_int_equal(f->outcome, HTTP_NO_ANSWER);
        assert_non_null(strstr(f->why, "longer"));
        teardown(f);
    }
    struct fixture *f = setup(answer_long, 0, (1 << 20) - 1);
    ask(f, 0);
    assert_int_equal(f->outcome, HTTP_ANSWERED);
    assert_true(f->body_len == (1 << 20) - 1);
    teardown(f);
}

static void answer_redirect(void *arg, const struct fake_request *r)
{
    fake_answer(r->conn, 302, "Location: http://127.0.0.1:1/\r\n", "");
}

static void test_redirect_is_an_answer(void **state)
{
    struct fixture *f = setup(answer_redirect, 0, 0);
    ask(f, 0);
    assert_int_equal(f->outcome, HTTP_ANSWERED);
    assert_int_equal(f->status, 302);
    teardown(f);
}

static void answer_retry(void *arg, const struct fake_request *r)
{
    static const char *const values[] = {
        "Retry-After: 7\r\n",
        "retry-after:0 \r\n",
        "Retry-After: Thu, 01 Jan 1970 00:00:10 GMT\r\n",
        "Retry-After: soon\r\n",
        "Retry-After: 99999999999999999999\r\n",
        "Retry-After: -5\r\n",
        "Retry-After:\r\n",
        "Date: Thu, 01 Jan 2060 00:00:00 GMT\r\n"
        "Retry-After: Thu, 01 Jan 2060 00:00:10 GMT\r\n"};
    fake_answer(r->conn, 503, values[r->number - 1], "");
}

static void test_retry_after(void **state)
{
    struct fixture *f = setup(answer_retry, 0, 0);
    const int64_t expected[] = {7000, 0, 0, -1, 1000000000000, -1, -1, 10000};
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        ask(f, 0);
        assert_int_equal(f->status, 503);
        assert_true(f->retry_after_ms == expected[i]);
    }
    teardown(f);
}

struct chain {
    struct fixture *f;
    struct http_request *victim;
    int left;
};

static void chain_done(void *arg, const struct http_answer *a)
{
    struct chain *c = arg;
    struct reeve_error err;
    struct http_params p = {.method = "GET", .url = fake_server_url(c->f->server)};
    c->f->answers++;
    if (c->victim)
        http_cancel(c->victim);
    c->victim = NULL;
    if (--c->left > 0)
        assert_non_null(http_send(c->f->http, &p, chain_done, c, &err));
    else
        ev_break(c->f->loop, EVBREAK_ALL);
}

static void test_send_and_cancel_inside_callback(void **state)
{
    struct fixture *f = setup(answer_ok, 2, 0);
    struct reeve_error err;
    struct http_params p = {.method = "GET", .url = fake_server_url(f->server)};
    struct chain c = {f, NULL, 5};
    assert_non_null(http_send(f->http, &p, chain_done, &c, &err));
    c.victim = http_send(f->http, &p, chain_done, &c, &err);
    ev_run(f->loop, 0);
    assert_int_equal(f->answers, 5);
    teardown(f);
}

static void destroy_done(void *arg, const struct http_answer *a)
{
    struct fixture *f = arg;
    f->answers++;
    http_destroy(f->http);
    f->http = NULL;
    ev_break(f->loop, EVBREAK_ALL);
}

static void test_destroy_inside_callback(void **state)
{
    struct fixture *f = setup(answer_ok, 2, 0);
    struct reeve_error err;
    struct http_params p = {.method = "GET", .url = fake_server_url(f->server)};
    for (int i = 0; i < 5; i++)
        assert_non_null(http_send(f->http, &p, destroy_done, f, &err));
    ev_run(f->loop, 0);
    assert_int_equal(f->answers, 1);
    teardown(f);
}

static void test_destroy_with_requests_under_way(void **state)
{
    struct fixture *f = setup(never_answer, 2, 0);
    for (int i = 0; i < 5; i++)
        send_to(f, fake_server_url(f->server), 0);
    while (fake_server_requests(f->server) < 2)
        ev_run(f->loop, EVRUN_ONCE);
    assert_int_equal(f->answers, 0);
    teardown(f);
}

static void cancel_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    http_cancel(w->data);
}

static void test_cancel_lets_the_next_run(void **state)
{
    struct fixture *f = setup(never_answer, 1, 0);
    struct http_request *first = send_to(f, fake_server_url(f->server), 0);
    send_to(f, fake_server_url(f->server), 200);
    ev_timer t;
    ev_timer_init(&t, cancel_cb, 0.02, 0.);
    t.data = first;
    ev_timer_start(f->loop, &t);
    ev_run(f->loop, 0);
    assert_int_equal(f->answers, 1);
    assert_int_equal(f->outcome, HTTP_NO_ANSWER);
    assert_int_equal(fake_server_connections(f->server), 2);
    teardown(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answered),
        cmocka_unit_test(test_get_with_body),
        cmocka_unit_test(test_connection_is_kept),
        cmocka_unit_test(test_connections_are_bounded),
        cmocka_unit_test(test_refused_is_not_sent),
        cmocka_unit_test(test_bad_urls_are_not_sent),
        cmocka_unit_test(test_silence_is_no_answer),
        cmocka_unit_test(test_waiting_for_a_connection_is_not_sent),
        cmocka_unit_test(test_urgent_goes_first),
        cmocka_unit_test(test_closed_without_whole_answer),
        cmocka_unit_test(test_sent_at_most_once),
        cmocka_unit_test(test_stale_connection_is_replaced),
        cmocka_unit_test(test_answer_is_bounded),
        cmocka_unit_test(test_redirect_is_an_answer),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_send_and_cancel_inside_callback),
        cmocka_unit_test(test_destroy_inside_callback),
        cmocka_unit_test(test_destroy_with_requests_under_way),
        cmocka_unit_test(test_cancel_lets_the_next_run),
    };
    signal(SIGPIPE, SIG_IGN);
    /* The tests speak to loopback, whatever proxy the machine has. */
    setenv("no_proxy", "*", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
