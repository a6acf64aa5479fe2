/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "../unit.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "server/head.h"

#include <string.h>

/* A copy without a byte behind it, for the sanitizers. */
static int check_n(const char *text, size_t n)
{
    const char *why = NULL;
    char *copy = malloc(n > 0 ? n : 1);
    memcpy(copy, text, n);
    int status = head_check(copy, n, &why);
    free(copy);
    assert_int_equal(why != NULL, status != HEAD_GOOD && status != HEAD_MORE);
    return status;
}

static int check(const char *text)
{
    return check_n(text, strlen(text));
}

/* Fields, each with its line end, in an otherwise good head. */
static int check_fields(const char *fields)
{
    auto_free char *text = xasprintf("POST /x HTTP/1.1\r\n%s\r\n", fields);
    return check(text);
}

static void test_good(void **state)
{
    (void)state;
    assert_int_equal(check("GET / HTTP/1.1\r\n\r\n"), HEAD_GOOD);
    assert_int_equal(check("GET / HTTP/1.0\n\n"), HEAD_GOOD);
    assert_int_equal(check("\r\n\r\nGET / HTTP/1.1\r\n\r\n"), HEAD_GOOD);
    assert_int_equal(check("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"), HEAD_GOOD);
    assert_int_equal(check("GET /a?b=c&d HTTP/1.1\r\nA:\r\nB:  \t x y \r\n\r\n"),
                     HEAD_GOOD);
    assert_int_equal(check("GET /\xc3\xa4 HTTP/1.1\r\nA: \xff\r\n\r\n\x01\x02"),
                     HEAD_GOOD);
    assert_int_equal(check_fields("Content-Length: 5\r\ncontent-length: 5\r\n"),
                     HEAD_GOOD);
}

static void test_every_prefix_is_incomplete(void **state)
{
    (void)state;
    const char *text = "\r\nPOST /a?b HTTP/1.1\r\nHost: x\r\nCookie: a=b; c=d\r\n"
                       "Transfer-Encoding: Chunked\r\n\r\n5;x=y\r\n";
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(check_n(text, i), HEAD_MORE);
    assert_int_equal(check(text), HEAD_GOOD);
}

static void test_request_lines(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "GARBAGE\r\n\r\n",
        "GET\r\n\r\n",
        "GET \r\n\r\n",
        "GET /\r\n\r\n",
        "GET / \r\n\r\n",
        "GET  HTTP/1.1\r\n\r\n",
        " GET / HTTP/1.1\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET /a b HTTP/1.1\r\n\r\n",
        "GET\t/\tHTTP/1.1\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.11\r\n\r\n",
        "GET / HTTP/1x1\r\n\r\n",
        "GET / HTTP/1.\r\n\r\n",
        "GET / http/1.1\r\n\r\n",
        "GET / HTTP/1.1 \r\n\r\n",
        "G(T / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\rA: b\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\n\r\n",
        "\r\n\r\n\r\n\r\n\r\n\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(check(bad[i]), 400);
}

static void test_fields(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "nocolon\r\n",
        ": empty\r\n",
        "A : b\r\n",
        " A: b\r\n",
        "A: b\r\n c\r\n",
        "A(: b\r\n",
        "A: b\rc\r\n",
        "A: b\x7f\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: abc\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: 1\r\nContent-Length: 01\r\n",
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(check_fields(bad[i]), 400);
    assert_int_equal(check_fields("Content-Length: 999999999999999999999\r\n"), 413);
    assert_int_equal(check_n("GET / HTTP/1.1\r\nA: \0", 20), 400);
    assert_int_equal(check_n("G\0", 2), 400);
}

static void test_chunks(void **state)
{
    (void)state;
    static const char *const bad[] = {"zz\r\n", "\r\n",    "-5\r\n",
                                      "5x\r\n", "0x5\r\n", "1234567890abcdef\r\n"};
    const char *head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n";
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        auto_free char *text = xasprintf("%s\r\n%s", head, bad[i]);
        assert_int_equal(check(text), 400);
    }
    auto_free char *waits = xasprintf("%sExpect: 100-continue\r\n\r\n", head);
    assert_int_equal(check(waits), HEAD_GOOD);
    auto_free char *old =
        xasprintf("%s", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n");
    assert_int_equal(check(old), 400);
    auto_free char *endless = xasprintf("%s\r\n5;%0300d", head, 0);
    assert_int_equal(check(endless), 400);
}

static int check_long(const char *before, char fill, size_t n, const char *after)
{
    auto_buf text = BUF_INIT;
    buf_add_str(&text, before);
    for (size_t i = 0; i < n; i++)
        buf_add_char(&text, fill);
    buf_add_str(&text, after);
    return check_n(text.data, text.len);
}

static void test_sizes(void **state)
{
    (void)state;
    const char *line = "GET / HTTP/1.1\r\nA: ", *end = "\r\n\r\n";
    assert_int_equal(check_long(line, 'a', 20000, end), HEAD_GOOD);
    assert_int_equal(check_long(line, 'a', 40000, end), 431);
    assert_int_equal(check_long(line, 'a', 40000, ""), 431);
    assert_int_equal(check_long("GET /", 'a', 20000, " HTTP/1.1\r\n\r\n"), HEAD_GOOD);
    assert_int_equal(check_long("GET /", 'a', 40000, " HTTP/1.1\r\n\r\n"), 414);
    assert_int_equal(check_long("GET /", 'a', 40000, ""), 414);
    /* A body is no part of it. */
    assert_int_equal(check_long("POST / HTTP/1.1\r\n\r\n", 'a', 100000, ""), HEAD_GOOD);
    /* What libmicrohttpd would have to note of it is. */
    assert_int_equal(check_long("GET /?", '&', 1000, " HTTP/1.1\r\n\r\n"), 431);
    assert_int_equal(check_long("GET / HTTP/1.1\r\nCookie: a", ';', 1000, end), 431);
    assert_int_equal(check_long("GET / HTTP/1.1\r\nCookie: a", 'a', 15000, end), 431);
}

static void test_number_of_fields(void **state)
{
    (void)state;
    auto_buf text = BUF_INIT;
    for (int i = 0; i < HEAD_FIELDS_MAX; i++)
        buf_add_str(&text, "A: b\r\n");
    assert_int_equal(check_fields(buf_str(&text)), HEAD_GOOD);
    buf_add_str(&text, "A: b\r\n");
    assert_int_equal(check_fields(buf_str(&text)), 431);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_every_prefix_is_incomplete),
        cmocka_unit_test(test_request_lines),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_number_of_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
