/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "clearml/envelope.h"

#include <string.h>

static struct envelope decode(int status, const char *body)
{
    struct envelope e;
    /* Of exactly this size, so that a sanitizer sees a step beyond it. */
    size_t n = strlen(body);
    char *copy = xmalloc(n ? n : 1);
    memcpy(copy, body, n);
    envelope_decode(status, copy, n, &e);
    free(copy);
    return e;
}

static void test_ok(void **state)
{
    struct envelope e = decode(200, "{\"meta\": {\"result_code\": 200, \"result_msg\": "
                                    "\"OK\"}, \"data\": {\"id\": \"x\"}}");
    assert_int_equal(e.kind, ENVELOPE_OK);
    assert_string_equal(json_str(e.data, "id", ""), "x");
    envelope_free(&e);
    assert_null(e.data);
}

static void test_refused(void **state)
{
    struct envelope e =
        decode(400, "{\"meta\": {\"result_code\": 400, \"result_subcode\": 110, "
                    "\"result_msg\": \"Invalid\\ntask\\u0007 status\"}, \"data\": {}}");
    assert_int_equal(e.kind, ENVELOPE_REFUSED);
    assert_int_equal(e.code, 400);
    assert_int_equal(e.subcode, 110);
    assert_string_equal(e.message, "Invalid task  status");
    assert_null(e.data);
    e = decode(200, "{\"meta\": {\"result_code\": 404}}");
    assert_int_equal(e.kind, ENVELOPE_REFUSED);
    assert_string_equal(e.message, "error 404/0");
    e = decode(500, "{\"meta\": {\"result_code\": 500, \"result_msg\": \"General\"}}");
    assert_int_equal(e.kind, ENVELOPE_FAILED);
    assert_int_equal(e.code, 500);
}

static void test_foreign(void **state)
{
    static const struct {
        int status;
        const char *body;
    } bad[] = {
        {200, ""},
        {200, "<html><body>It works!</body></html>"},
        {200, "null"},
        {200, "[]"},
        {200, "\"meta\""},
        {200, "{}"},
        {200, "{\"meta\": null, \"data\": {}}"},
        {200, "{\"meta\": [], \"data\": {}}"},
        {200, "{\"meta\": {}, \"data\": {}}"},
        {200, "{\"META\": {\"result_code\": 200}, \"data\": {}}"},
        {200, "{\"meta\": {\"result_code\": \"200\"}, \"data\": {}}"},
        {200, "{\"meta\": {\"result_code\": 200.5}, \"data\": {}}"},
        {200, "{\"meta\": {\"result_code\": 1e300}, \"data\": {}}"},
        {200, "{\"meta\": {\"result_code\": -400}, \"data\": {}}"},
        {200, "{\"meta\": {\"result_code\": 202}, \"data\": {}}"},
        {200, "{\"meta\": {\"result_code\": 200}}"},
        {200, "{\"meta\": {\"result_code\": 200}, \"data\": null}"},
        {200, "{\"meta\": {\"result_code\": 200}, \"data\": []}"},
        {200, "{\"meta\": {\"result_code\": 200}, \"data\": {"},
        {200, "{\"meta\": {\"result_code\": 200}, \"data\": {}} trailing"},
        {200, "{\"meta\": {\"result_code\": 200}, \"data\": {\"a\": \"\xff\"}}"},
        {400, "{\"meta\": {\"result_code\": 400, \"result_subcode\": \"x\"}}"},
        {502, "{\"meta\": {\"result_code\": 200}, \"data\": {}}"},
        {401, "Unauthorized"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct envelope e = decode(bad[i].status, bad[i].body);
        assert_int_equal(e.kind, ENVELOPE_FOREIGN);
        assert_int_equal(e.code, 0);
        assert_null(e.data);
        assert_true(e.message[0]);
    }
}

/* Of a page its title is told, whole or not, and what its status hints at. */
static void test_pages(void **state)
{
    static const struct {
        int status;
        const char *body, *words;
    } pages[] = {
        {502, "<html><title>Bad Gateway</title>", "\"Bad Gateway\" (a proxy answers"},
        {200, "\r\n <!doctype html><head><title>Sign\nin</title>", "\"Sign in\""},
        {200, "<html>", "a web page"},
        {200, "<", "a web page"},
        {200, "<title>", "\"\""},
        {200, "<title>cut off", "\"cut off\""},
        {200, "<title>\xff\xfe</title>", "a web page, \""},
        {401, "<title>Who?</title>", "wants a user and a password"},
        {407, "", "wants a user and a password"},
        {503, "<title>Soon</title>", "(maintenance)"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
        struct envelope e = decode(pages[i].status, pages[i].body);
        assert_int_equal(e.kind, ENVELOPE_FOREIGN);
        if (!strstr(e.message, pages[i].words))
            fail_msg("%s: %s", pages[i].words, e.message);
    }
}

/* A proxy's bound on bodies is a no, whatever comes with it. */
static void test_too_large(void **state)
{
    struct envelope e = decode(413, "<html><title>Request Entity Too Large</title>");
    assert_int_equal(e.kind, ENVELOPE_REFUSED);
    assert_int_equal(e.code, 413);
    e = decode(413, "");
    assert_int_equal(e.kind, ENVELOPE_REFUSED);
}

static void test_message_types_are_checked(void **state)
{
    struct envelope e =
        decode(400, "{\"meta\": {\"result_code\": 400, \"result_msg\": {\"a\": 1}}}");
    assert_int_equal(e.kind, ENVELOPE_REFUSED);
    assert_string_equal(e.message, "error 400/0");
}

/* A message that is cut is cut between characters. */
static void test_long_message(void **state)
{
    auto_buf b = BUF_INIT;
    buf_add_str(&b, "{\"meta\": {\"result_code\": 400, \"result_msg\": \"");
    for (int i = 0; i < 2000; i++)
        buf_add_str(&b, "\u20ac");
    buf_add_str(&b, "\"}}");
    struct envelope e = decode(400, b.data);
    assert_int_equal(strlen(e.message), 1023);
    assert_int_equal(e.message[1022] & 0xff, 0xac);
}

/* Three bytes a value in the text, 64 in memory: refused before it is built. */
static void test_value_bomb(void **state)
{
    auto_buf b = BUF_INIT;
    for (int i = 0; i < 2500000; i++)
        buf_add_str(&b, i ? ",0" : "[0");
    buf_add_char(&b, ']');
    struct envelope e = decode(200, b.data);
    assert_int_equal(e.kind, ENVELOPE_FOREIGN);
    assert_non_null(strstr(e.message, "too many values"));
    /* Commas in a string are no values. */
    buf_clear(&b);
    buf_add_str(&b, "{\"meta\": {\"result_code\": 200}, \"data\": {\"a\": \"\\\"");
    for (int i = 0; i < 2500000; i++)
        buf_add_char(&b, ',');
    buf_add_str(&b, "\"}}");
    e = decode(200, b.data);
    assert_int_equal(e.kind, ENVELOPE_OK);
    envelope_free(&e);
}

static void test_deep_nesting(void **state)
{
    auto_buf b = BUF_INIT;
    for (int i = 0; i < 100000; i++)
        buf_add_str(&b, "{\"meta\":");
    struct envelope e = decode(200, b.data);
    assert_int_equal(e.kind, ENVELOPE_FOREIGN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ok),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_message_types_are_checked),
        cmocka_unit_test(test_long_message),
        cmocka_unit_test(test_value_bomb),
        cmocka_unit_test(test_deep_nesting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
