/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/base64.h"
#include "clearml/token.h"

#include <stdio.h>
#include <string.h>

static char *jwt_dup(const char *claims)
{
    auto_buf b = BUF_INIT;
    buf_add_str(&b, "eyJhbGciOiJIUzI1NiJ9.");
    base64_add(&b, claims, strlen(claims));
    while (b.data[b.len - 1] == '=')
        b.len--;
    b.data[b.len] = '\0';
    for (size_t i = 0; i < b.len; i++)
        if (b.data[i] == '+' || b.data[i] == '/')
            b.data[i] = b.data[i] == '+' ? '-' : '_';
    buf_add_str(&b, ".c2lnbmF0dXJl");
    return buf_take(&b);
}

static struct token *make(const char *claims)
{
    struct reeve_error err;
    auto_free char *text = jwt_dup(claims);
    return token_parse(text, &err);
}

static void test_claims(void **state)
{
    struct token *t =
        make("{\"exp\": 2000, \"iat\": 1000, \"api_version\": \"2.31\","
             "\"identity\": {\"user\": \"u1\"}, \"reeve\": [\"wait\", 7, \"batch\"]}");
    assert_non_null(t);
    assert_string_equal(token_api_version(t), "2.31");
    assert_string_equal(token_user(t), "u1");
    assert_true(token_has_extension(t, "wait"));
    assert_true(token_has_extension(t, "batch"));
    assert_false(token_has_extension(t, "wai"));
    assert_int_equal(token_issued_s(t), 1000);
    assert_true(token_seconds_left(t, false, 1500 * 1000) == 500);
    assert_true(token_seconds_left(t, false, 2500 * 1000) == 0);
    /* Fresh: this host's clock does not matter. */
    assert_true(token_seconds_left(t, true, 2500 * 1000) == 1000);
    token_free(t);
}

static void test_hostile_claims(void **state)
{
    const char *claims[] = {
        "{}",
        "{\"exp\": null, \"api_version\": 2.31, \"reeve\": \"wait\"}",
        "{\"exp\": \"soon\", \"api_version\": \"2;rm\", \"identity\": {\"user\": 1}}",
        "{\"exp\": 1e308, \"iat\": -1e308, \"reeve\": {\"wait\": 1}}",
        "{\"exp\": -1e308, \"iat\": 1e308}",
        "{\"exp\": [[[[]]]], \"iat\": {}, \"identity\": []}"};
    const int64_t left[] = {INT64_MAX, INT64_MAX, 0, INT64_MAX, 0, 0};
    for (size_t i = 0; i < ARRAY_SIZE(claims); i++) {
        struct token *t = make(claims[i]);
        assert_non_null(t);
        assert_string_equal(token_api_version(t), "");
        assert_string_equal(token_user(t), "");
        assert_false(token_has_extension(t, "wait"));
        assert_true(token_seconds_left(t, false, 0) == left[i]);
        assert_true(token_seconds_left(t, true, 0) >= 0);
        token_free(t);
    }
}

static void test_no_tokens(void **state)
{
    struct reeve_error err;
    const char *bad[] = {"",           ".",       "..",     "a.b",         "a.b.c.d",
                         "a b",        "a.\r\n.", "a.!!!.", "a.e30=e30.c", "a.W10.c",
                         "a.e30\x80.c"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_null(token_parse(bad[i], &err));
    char *long_one = xmalloc(100001);
    memset(long_one, 'a', 100000);
    long_one[100000] = '\0';
    assert_null(token_parse(long_one, &err));
    free(long_one);
    assert_null(make("[1]"));
    assert_null(make("{\"exp\": 1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_hostile_claims),
        cmocka_unit_test(test_no_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
