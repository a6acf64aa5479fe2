/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "config/size.h"

#include <string.h>

static void check_size(const char *text, int64_t expected)
{
    int64_t got = -7;
    struct reeve_error err = {0};
    if (size_parse(text, &got, &err) < 0)
        fail_msg("%s", err.text);
    assert_true(got == expected);
}

static void refuse_size(const char *text)
{
    int64_t got = -7;
    struct reeve_error err = {0};
    assert_int_equal(size_parse(text, &got, &err), -1);
    assert_true(got == -7);
    assert_non_null(strstr(err.text, text));
}

static void test_sizes(void **state)
{
    check_size("0", 0);
    check_size("1048576", 1048576);
    check_size("100b", 100);
    check_size("512m", 512 * 1024 * 1024);
    check_size("512MB", 512 * 1024 * 1024);
    check_size("1.5GiB", INT64_C(1610612736));
    check_size(" 2 g ", INT64_C(2147483648));
    check_size(".5k", 512);
    check_size("8p", INT64_C(9007199254740992));
    check_size("9223372036854775807", INT64_MAX);
}

static void test_no_sizes(void **state)
{
    const char *const bad[] = {"",      "m",
                               "1x",    "-1",
                               "1mm",   "1 m 2",
                               "1e3m",  "1.2.3m",
                               "1bb",   "lots",
                               "0x10",  "9223372036854775808",
                               "9000p", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refuse_size(bad[i]);
}

static void check_duration(const char *text, int64_t expected)
{
    int64_t got = -7;
    struct reeve_error err = {0};
    if (duration_parse(text, &got, &err) < 0)
        fail_msg("%s", err.text);
    assert_true(got == expected);
}

static void test_durations(void **state)
{
    check_duration("0", 0);
    check_duration("10", 10000);
    check_duration("1.5", 1500);
    check_duration("10s", 10000);
    check_duration("5m", 300000);
    check_duration("2h30m", 9000000);
    check_duration("2h 30m", 9000000);
    check_duration("250ms", 250);
    check_duration("1d", 86400000);
    check_duration("1w", 604800000);
    check_duration("0.5s", 500);
}

static void test_no_durations(void **state)
{
    const char *const bad[] = {"",
                               "s",
                               "10x",
                               "5m 3",
                               "-1s",
                               "1h-2m",
                               "ten",
                               "10s 20",
                               "1 2s",
                               "1e99s",
                               "99999999999999999w"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t got = -7;
        assert_int_equal(duration_parse(bad[i], &got, NULL), -1);
        assert_true(got == -7);
    }
}

static void test_formats_read_back(void **state)
{
    const int64_t times[] = {0, 1, 999, 1000, 61000, 9000000, 90061001, INT64_MAX};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        char text[DURATION_TEXT_SIZE];
        check_duration(duration_format(times[i], text), times[i]);
    }
    char text[SIZE_TEXT_SIZE];
    assert_string_equal(size_format(100, text), "100 B");
    assert_string_equal(size_format(1536, text), "1.5 KiB");
    assert_string_equal(size_format(INT64_C(536870912), text), "512 MiB");
    check_size(size_format(INT64_C(1610612736), text), INT64_C(1610612736));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_no_sizes),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_no_durations),
        cmocka_unit_test(test_formats_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
