/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "server/conditional.h"

#include <stddef.h>

#define ETAG "\"a-1\""
#define MODIFIED 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */
#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"

static void test_ranges(void **state)
{
    static const struct {
        const char *header;
        uint64_t size;
        enum range range;
        uint64_t offset, n;
    } cases[] = {
        {NULL, 100, RANGE_ALL, 0, 100},
        {"bytes=0-9", 100, RANGE_PART, 0, 10},
        {"bytes=90-", 100, RANGE_PART, 90, 10},
        {"BYTES=50-500", 100, RANGE_PART, 50, 50},
        {"bytes=0-0", 1, RANGE_PART, 0, 1},
        {"bytes=-5", 100, RANGE_PART, 95, 5},
        {"bytes=-500", 100, RANGE_PART, 0, 100},
        {"bytes=-0", 100, RANGE_BAD, 0, 100},
        {"bytes=-1", 0, RANGE_BAD, 0, 0},
        {"bytes=100-", 100, RANGE_BAD, 0, 100},
        {"bytes=0-", 0, RANGE_BAD, 0, 0},
        {"bytes=5-2", 100, RANGE_ALL, 0, 100},
        {"bytes=1-2,4-5", 100, RANGE_ALL, 0, 100},
        {"bytes=a-b", 100, RANGE_ALL, 0, 100},
        {"bytes=", 100, RANGE_ALL, 0, 100},
        {"lines=1-2", 100, RANGE_ALL, 0, 100},
        {"bytes=99999999999999999999999-", 100, RANGE_ALL, 0, 100},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t offset, n;
        assert_int_equal(conditional_range(cases[i].header, cases[i].size, &offset, &n),
                         cases[i].range);
        assert_int_equal(offset, cases[i].offset);
        assert_int_equal(n, cases[i].n);
    }
}

static void test_what_the_client_has(void **state)
{
    assert_true(conditional_known(ETAG, NULL, ETAG, MODIFIED));
    assert_true(conditional_known("W/" ETAG, NULL, ETAG, MODIFIED));
    assert_true(conditional_known("\"b\", " ETAG " ,\"c\"", NULL, ETAG, MODIFIED));
    assert_true(conditional_known("*", NULL, ETAG, MODIFIED));
    assert_false(conditional_known("", NULL, ETAG, MODIFIED));
    assert_false(conditional_known("\"a\"", NULL, ETAG, MODIFIED));
    assert_true(conditional_known(NULL, DATE, ETAG, MODIFIED));
    assert_true(conditional_known(NULL, DATE, ETAG, MODIFIED - 1));
    assert_false(conditional_known(NULL, DATE, ETAG, MODIFIED + 1));
    assert_false(conditional_known(NULL, "yesterday", ETAG, MODIFIED));
    assert_false(conditional_known(NULL, DATE " and more", ETAG, MODIFIED));
    assert_false(conditional_known(NULL, NULL, ETAG, MODIFIED));
    /* A tag says more than a date. */
    assert_false(conditional_known("\"b\"", DATE, ETAG, MODIFIED));
}

static void test_same_version(void **state)
{
    assert_true(conditional_same(NULL, ETAG, MODIFIED));
    assert_true(conditional_same(ETAG, ETAG, MODIFIED));
    assert_true(conditional_same(DATE, ETAG, MODIFIED));
    assert_false(conditional_same("\"b\"", ETAG, MODIFIED));
    assert_false(conditional_same("W/" ETAG, ETAG, MODIFIED));
    assert_false(conditional_same(DATE, ETAG, MODIFIED - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_what_the_client_has),
        cmocka_unit_test(test_same_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
