/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "server/auth.h"
#include "server/http.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct world {
    char *dir;
    struct server *server;
    char *token;
};

static int setup(void **state)
{
    struct world *w = xcalloc(1, sizeof *w);
    struct caller who = {.role = "admin", .company = AUTH_COMPANY};
    w->dir = fixture_dir();
    w->server = fixture_server(w->dir);
    strcpy(who.user, "0123456789abcdef0123456789abcdef");
    w->token = auth_token_dup(w->server, &who, 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    server_stop(w->server);
    fixture_dir_remove(w->dir);
    free(w->token);
    free(w);
    return 0;
}

static int api(struct world *w)
{
    return fixture_connect(http_port(w->server->api));
}

/* One request on an open connection; its status, and the body in *body. */
static int ask(struct world *w, int fd, const char *method, const char *path,
               const char *more_headers, const char *text, char **body)
{
    auto_free char *request =
        xasprintf("%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s"
                  "Content-Length: %zu\r\n\r\n%s",
                  method, path, w->token, more_headers, strlen(text), text);
    fixture_send(fd, request);
    return fixture_answer(fd, body);
}

static void test_keeps_the_connection(void **state)
{
    struct world *w = *state;
    auto_close fd = api(w);
    for (int i = 0; i < 3; i++) {
        auto_free char *body = NULL;
        /* The SDK sends its body along with GET. */
        assert_int_equal(ask(w, fd, "GET", "/debug.ping", "", "{\"n\": 5}", &body),
                         200);
        assert_non_null(strstr(body, "\"n\":5"));
    }
    assert_int_equal(ask(w, fd, "POST", "/queues.nothing", "", "{}", NULL), 404);
}

static void test_two_requests_at_once(void **state)
{
    struct world *w = *state;
    auto_close fd = api(w);
    fixture_send(fd, "GET /debug.ping HTTP/1.1\r\nHost: x\r\n\r\n"
                     "GET /server.info HTTP/1.1\r\nHost: x\r\n\r\n");
    auto_free char *first = NULL, *second = NULL;
    assert_int_equal(fixture_answer(fd, &first), 200);
    assert_int_equal(fixture_answer(fd, &second), 200);
    assert_non_null(strstr(first, "ClearML server"));
    assert_non_null(strstr(second, "api_version"));
}

/* What follows the headers of a refused GET is its body, never a request. */
static void test_an_early_answer_ends_the_connection(void **state)
{
    struct world *w = *state;
    auto_close fd = api(w);
    fixture_send(fd,
                 "GET /queues.get_all HTTP/1.1\r\nHost: x\r\nContent-Length: 44\r\n\r\n"
                 "GET /debug.ping HTTP/1.1\r\nHost: smuggled\r\n\r\n");
    assert_int_equal(fixture_answer(fd, NULL), 401);
    assert_int_equal(fixture_answer(fd, NULL), -1);
}

static void test_limits_bodies(void **state)
{
    struct world *w = *state;
    auto_close fd = api(w);
    fixture_send(fd, "POST /debug.ping HTTP/1.1\r\nHost: x\r\n"
                     "Content-Length: 99999999999\r\n\r\n");
    auto_free char *body = NULL;
    assert_int_equal(fixture_answer(fd, &body), 413);
    assert_non_null(strstr(body, "\"data\":{}"));
    auto_close chunked = api(w);
    fixture_send(chunked, "POST /debug.ping HTTP/1.1\r\nHost: x\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n");
    auto_free char *chunk = xcalloc(1, 65536 + 16);
    memcpy(chunk, "10000\r\n", 7);
    memset(chunk + 7, ' ', 65536);
    memcpy(chunk + 7 + 65536, "\r\n", 2);
    for (int i = 0; i < 20; i++)
        fixture_send(chunked, chunk);
    fixture_send(chunked, "0\r\n\r\n");
    assert_int_equal(fixture_answer(chunked, NULL), 413);
}

static void test_refuses_encoded_bodies(void **state)
{
    struct world *w = *state;
    auto_close fd = api(w);
    assert_int_equal(
        ask(w, fd, "POST", "/debug.ping", "Content-Encoding: gzip\r\n", "x", NULL),
        415);
}

static void test_bad_requests(void **state)
{
    struct world *w = *state;
    auto_close fd = api(w);
    auto_free char *one = NULL, *two = NULL, *three = NULL;
    assert_int_equal(ask(w, fd, "POST", "/queues.get_all", "", "{\"a\":", &one), 400);
    assert_non_null(strstr(one, "\"result_code\":400"));
    assert_int_equal(ask(w, fd, "POST", "/queues.create", "", "{}", &two), 400);
    assert_non_null(strstr(two, "\"result_subcode\":12"));
    auto_close other = api(w);
    assert_int_equal(ask(w, other, "POST", "/x", "", "", &three), 400);
    assert_non_null(strstr(three, "Invalid request path"));
    auto_close garbage = api(w);
    fixture_send(garbage, "\x16\x03\x01\x02\x00 not http at all\r\n\r\n");
    assert_int_not_equal(fixture_answer(garbage, NULL), 200);
    assert_int_equal(ask(w, fd, "GET", "/debug.ping", "", "", NULL), 200);
}

static void test_options(void **state)
{
    struct world *w = *state;
    auto_close fd = api(w);
    fixture_send(fd, "OPTIONS /queues.get_all HTTP/1.1\r\nHost: x\r\n\r\n");
    auto_free char *body = NULL;
    assert_int_equal(fixture_answer(fd, &body), 200);
    assert_string_equal(body, "");
}

static void test_cookie(void **state)
{
    struct world *w = *state;
    static const char *const sites[] = {"same-origin", "cross-site"};
    for (int i = 0; i < 2; i++) {
        auto_close fd = api(w);
        auto_free char *request =
            xasprintf("GET /queues.get_all HTTP/1.1\r\nHost: x\r\n"
                      "Cookie: a=b; " AUTH_COOKIE "=%s\r\nSec-Fetch-Site: %s\r\n\r\n",
                      w->token, sites[i]);
        fixture_send(fd, request);
        assert_int_equal(fixture_answer(fd, NULL), i == 0 ? 200 : 401);
    }
}

static void test_web_port(void **state)
{
    struct world *w = *state;
    auto_free char *page = xasprintf("%s/index.html", w->dir);
    FILE *f = fopen(page, "w");
    fputs("hello", f);
    fclose(f);
    auto_close fd = fixture_connect(http_port(w->server->web));
    auto_free char *body = NULL, *info = NULL;
    assert_int_equal(ask(w, fd, "GET", "/", "", "", &body), 200);
    assert_string_equal(body, "hello");
    assert_int_equal(ask(w, fd, "GET", "/api/v2.12/server.info", "", "", &info), 200);
    assert_non_null(strstr(info, "api_version"));
    static const char *const no[] = {"/../index.html",      "/%2e%2e/etc/passwd",
                                     "/credentials.json/x", "/.hidden",
                                     "//etc/passwd",        "/missing"};
    for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
        auto_close one = fixture_connect(http_port(w->server->web));
        assert_int_equal(ask(w, one, "GET", no[i], "", "", NULL), 404);
    }
    auto_close post = fixture_connect(http_port(w->server->web));
    assert_int_equal(ask(w, post, "POST", "/", "", "", NULL), 405);
}

static cJSON *call(struct world *w, const char *path, const char *json)
{
    cJSON *out = NULL;
    assert_int_equal(fixture_call(w->server, path, json, &out), 200);
    return out;
}

static char *default_queue(struct world *w)
{
    auto_json *answer = call(w, "/queues.get_default", "{}");
    return xstrdup(json_path(answer, "data", "id", NULL)->valuestring);
}

static void test_waits_for_a_task(void **state)
{
    struct world *w = *state;
    auto_free char *queue = default_queue(w);
    auto_free char *peek = xasprintf("{\"queue\":\"%s\",\"wait\":9000}", queue);
    auto_free char *add = xasprintf("{\"queue\":\"%s\",\"task\":\"t1\"}", queue);
    auto_free char *request = xasprintf(
        "POST /queues.peek_task HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
        "Content-Length: %zu\r\n\r\n%s",
        w->token, strlen(peek), peek);
    int fds[20];
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = api(w);
        fixture_send(fds[i], request);
    }
    cJSON_Delete(call(w, "/queues.add_task", add));
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        auto_free char *body = NULL;
        assert_int_equal(fixture_answer(fds[i], &body), 200);
        assert_non_null(strstr(body, "\"task\":\"t1\""));
        close(fds[i]);
    }
}

static void test_one_waiter_gets_the_task(void **state)
{
    struct world *w = *state;
    auto_free char *queue = default_queue(w);
    auto_free char *next = xasprintf("{\"queue\":\"%s\",\"wait\":700}", queue);
    auto_free char *add = xasprintf("{\"queue\":\"%s\",\"task\":\"t1\"}", queue);
    auto_free char *request =
        xasprintf("POST /queues.get_next_task HTTP/1.1\r\nHost: x\r\n"
                  "Authorization: Bearer %s\r\nContent-Length: %zu\r\n\r\n%s",
                  w->token, strlen(next), next);
    int fds[5], got = 0;
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = api(w);
        fixture_send(fds[i], request);
    }
    cJSON_Delete(call(w, "/queues.add_task", add));
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        auto_free char *body = NULL;
        assert_int_equal(fixture_answer(fds[i], &body), 200);
        got += strstr(body, "\"task\":\"t1\"") != NULL;
        close(fds[i]);
    }
    assert_int_equal(got, 1);
}

static void test_a_wait_ends(void **state)
{
    struct world *w = *state;
    auto_free char *queue = default_queue(w);
    auto_free char *peek = xasprintf("{\"queue\":\"%s\",\"wait\":150}", queue);
    int64_t before = clock_boot_ms();
    auto_json *answer = call(w, "/queues.peek_task", peek);
    assert_true(clock_boot_ms() - before >= 150);
    assert_true(cJSON_IsNull(json_path(answer, "data", "task", NULL)));
}

static void test_stop_answers_who_waits(void **state)
{
    struct world *w = *state;
    auto_free char *queue = default_queue(w);
    auto_free char *peek = xasprintf("{\"queue\":\"%s\",\"wait\":9000}", queue);
    auto_free char *request = xasprintf(
        "POST /queues.peek_task HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
        "Content-Length: %zu\r\n\r\n%s",
        w->token, strlen(peek), peek);
    auto_close fd = api(w);
    auto_close silent = api(w);
    auto_close half = api(w);
    assert_true(silent >= 0);
    fixture_send(fd, request);
    fixture_send(
        half, "POST /debug.ping HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nab");
    /* The next answer comes after the server has taken what was sent before. */
    cJSON_Delete(call(w, "/queues.get_default", "{}"));
    int64_t before = clock_boot_ms();
    server_stop(w->server);
    w->server = NULL;
    assert_true(clock_boot_ms() - before < 5000);
    int status = fixture_answer(fd, NULL);
    assert_true(status == 200 || status == -1);
}

/* Clients that hang up in the middle of a write or of a long poll. */
static void test_stops_after_clients_left(void **state)
{
    struct world *w = *state;
    static const char *const names[] = {"peek_task", "get_next_task"};
    auto_free char *queue = default_queue(w);
    auto_free char *json = xasprintf("{\"queue\":\"%s\",\"wait\":200}", queue);
    for (int i = 0; i < 20; i++) {
        auto_free char *request = xasprintf(
            "POST /queues.%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
            "Content-Length: %zu\r\n\r\n%s",
            names[i % 2], w->token, strlen(json), json);
        auto_close fd = api(w);
        struct linger reset = {1, 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        fixture_send(fd, request);
        cJSON_Delete(call(w, "/queues.get_default", "{}"));
    }
    cJSON_Delete(call(w, "/queues.peek_task", json));
    /* Without an end of its own a server that cannot stop would hang the test. */
    alarm(20);
    server_stop(w->server);
    alarm(0);
    w->server = NULL;
}

static void test_two_servers_do_not_share_a_folder(void **state)
{
    struct world *w = *state;
    struct server_options options;
    struct reeve_error err = {0};
    server_options_default(&options);
    options.data_dir = w->dir;
    options.api_port = options.web_port = options.files_port = 0;
    assert_null(server_start(&options, &err));
    assert_non_null(strstr(err.text, "another reeve-server"));
}

static void test_a_port_in_use(void **state)
{
    struct world *w = *state;
    struct server_options options;
    struct reeve_error err = {0};
    char *dir = fixture_dir();
    server_options_default(&options);
    options.data_dir = dir;
    options.web_port = options.files_port = 0;
    options.api_port = http_port(w->server->api);
    assert_null(server_start(&options, &err));
    assert_non_null(strstr(err.text, "in use"));
    fixture_dir_remove(dir);
}

static void test_logout(void **state)
{
    struct world *w = *state;
    auto_close fd = api(w);
    assert_int_equal(ask(w, fd, "POST", "/queues.get_all", "", "{}", NULL), 200);
    assert_int_equal(ask(w, fd, "POST", "/auth.logout", "", "{}", NULL), 200);
    assert_int_equal(ask(w, fd, "POST", "/queues.get_all", "", "{}", NULL), 401);
}

static void test_expiration_limits(void **state)
{
    struct world *w = *state;
    assert_int_equal(
        fixture_call(w->server, "/auth.login?expiration_sec=31536000", "", NULL), 200);
    assert_int_equal(
        fixture_call(w->server, "/auth.login?expiration_sec=31536001", "", NULL), 400);
    assert_int_equal(
        fixture_call(w->server, "/auth.login", "{\"expiration_sec\":null}", NULL), 200);
    assert_int_equal(
        fixture_call(w->server, "/auth.login", "{\"expiration_sec\":-5}", NULL), 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_keeps_the_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_requests_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_early_answer_ends_the_connection, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_limits_bodies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses_encoded_bodies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(test_options, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cookie, setup, teardown),
        cmocka_unit_test_setup_teardown(test_web_port, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waits_for_a_task, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_waiter_gets_the_task, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_wait_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_answers_who_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stops_after_clients_left, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_servers_do_not_share_a_folder, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_port_in_use, setup, teardown),
        cmocka_unit_test_setup_teardown(test_logout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_expiration_limits, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
