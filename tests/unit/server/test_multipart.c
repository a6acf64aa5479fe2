/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/buf.h"
#include "server/multipart.h"

#include <string.h>

/* What the parser said, as one text: "(name|file)bytes" for each part. */
struct log {
    struct buf text;
    int refuse; /* fails the nth begin */
    int begun;
};

static int on_begin(void *arg, const char *name, bool is_file)
{
    struct log *l = arg;
    buf_printf(&l->text, "(%s%s)", name, is_file ? "|file" : "");
    return ++l->begun == l->refuse ? -1 : 0;
}

static int on_data(void *arg, const char *data, size_t n)
{
    struct log *l = arg;
    buf_add(&l->text, data, n);
    return 0;
}

static int on_end(void *arg)
{
    struct log *l = arg;
    buf_add_char(&l->text, ';');
    return 0;
}

static const struct multipart_ops ops = {on_begin, on_data, on_end};
static const char type[] = "multipart/form-data; boundary=B";

/* Feeds text in pieces; 1 if all of it was there, 0 if not, -1 if it was refused. */
static int feed(struct log *l, const char *content_type, const char *text, size_t piece)
{
    struct multipart *m = multipart_create(content_type, &ops, l);
    assert_non_null(m);
    int result = 0;
    for (size_t at = 0, n = strlen(text); at < n && result == 0; at += piece)
        result = multipart_feed(m, text + at, n - at < piece ? n - at : piece);
    if (result == 0)
        result = multipart_complete(m);
    multipart_destroy(m);
    return result;
}

static void expect(const char *text, int result, const char *said)
{
    for (size_t piece = 1; piece <= strlen(text); piece++) {
        struct log l = {.text = BUF_INIT};
        assert_int_equal(feed(&l, type, text, piece), result);
        if (said)
            assert_string_equal(buf_str(&l.text), said);
        buf_free(&l.text);
    }
}

#define PART(params, body)                                                             \
    "--B\r\nContent-Disposition: form-data; " params "\r\n\r\n" body "\r\n"

static void test_parts_in_pieces_of_any_size(void **state)
{
    expect(PART("name=\"/a/b.txt\"; filename=\"x\"", "one\r\n--no\r\n-")
               PART("name=plain", "two") "--B--\r\n",
           1, "(/a/b.txt|file)one\r\n--no\r\n-;(plain)two;");
    expect("preamble\r\n" PART("name=\"e\"; filename=\"\"", "") "--B--", 1,
           "(e|file);");
    expect("--B--\r\n", 1, "");
}

static void test_names(void **state)
{
    expect(PART("name*=utf-8''%2Fa%C3%A9%20b; name=\"x\"; filename*=utf-8''y",
                "1") "--B--",
           1, "(/a\xc3\xa9 b|file)1;");
    expect(PART("filename=\"name=z\"; name=\"q%22 \\\"\\\\ a%20b;c\"", "1") "--B--", 1,
           "(q\" \"\\ a%20b;c|file)1;");
    expect(PART("name*=utf-8''%zz", "1") "--B--", -1, NULL);
    expect(PART("name*=latin1''a", "1") "--B--", -1, NULL);
    expect(PART("name*=utf-8''a%00b", "1") "--B--", -1, NULL);
    expect(PART("name=\"\xff\"", "1") "--B--", -1, NULL);
    expect(PART("filename=\"f\"", "1") "--B--", -1, NULL);
}

static void test_malformed(void **state)
{
    expect("--B\r\n\r\n1\r\n--B--", -1, NULL);
    expect("--Bx\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--B--", -1,
           NULL);
    expect(PART("name=\"a\"", "1"), 0, NULL);
    expect("nothing at all", 0, "");
}

static void test_headers_are_bounded(void **state)
{
    struct log l = {.text = BUF_INIT};
    struct buf text = BUF_INIT;
    buf_add_str(&text, "--B\r\nX: ");
    memset(buf_reserve(&text, 100000), 'x', 100000);
    text.len += 100000;
    text.data[text.len] = '\0';
    assert_int_equal(feed(&l, type, text.data, 1000), -1);
    buf_free(&text);
    buf_free(&l.text);
}

static void test_stops_when_told(void **state)
{
    struct log l = {.text = BUF_INIT, .refuse = 2};
    assert_int_equal(feed(&l, type, PART("name=a", "1") PART("name=b", "2") "--B--", 7),
                     -1);
    assert_string_equal(l.text.data, "(a)1;(b)");
    buf_free(&l.text);
}

static void test_content_types(void **state)
{
    static const char *const bad[] = {
        "", "text/plain", "multipart/form-data",
        "multipart/form-data; boundary=", "multipart/mixed; boundary=B"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_null(multipart_create(bad[i], &ops, NULL));
    assert_null(multipart_create(NULL, &ops, NULL));
    struct log l = {.text = BUF_INIT};
    assert_int_equal(feed(&l, "Multipart/Form-Data; charset=utf-8; boundary=\"B\"",
                          PART("name=a", "1") "--B--", 5),
                     1);
    buf_free(&l.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_in_pieces_of_any_size),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_headers_are_bounded),
        cmocka_unit_test(test_stops_when_told),
        cmocka_unit_test(test_content_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
