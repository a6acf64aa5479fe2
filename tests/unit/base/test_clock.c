/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/clock.h"

static void test_iso_round_trip(void **state)
{
    char text[CLOCK_ISO_SIZE];
    int64_t back;
    const int64_t values[] = {0, 1, 999, 1700000000123, 4102444800000, -1};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_int_equal(clock_iso_parse(clock_iso(values[i], text), &back), 0);
        assert_true(back == values[i]);
        assert_int_equal(clock_iso_parse(clock_iso_clearml(values[i], text), &back), 0);
        assert_true(back == values[i]);
    }
    assert_string_equal(clock_iso(1700000000123, text), "2023-11-14T22:13:20.123Z");
}

static void test_iso_forms(void **state)
{
    int64_t a, b;
    assert_int_equal(clock_iso_parse("2025-01-01 12:00:00", &a), 0);
    assert_int_equal(clock_iso_parse("2025-01-01T14:00:00+02:00", &b), 0);
    assert_true(a == b);
    assert_int_equal(clock_iso_parse("2025-01-01", &a), 0);
    assert_true(b - a == 12 * 3600 * 1000);
}

static void test_iso_refused(void **state)
{
    int64_t v;
    const char *bad[] = {"",
                         "2025",
                         "2025-13-01",
                         "2025-01-01T",
                         "2025-01-01T25:00",
                         "2025-01-01T12:00:00.",
                         "2025-01-01T12:00:00Zx",
                         "yesterday"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(clock_iso_parse(bad[i], &v), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_iso_round_trip),
        cmocka_unit_test(test_iso_forms),
        cmocka_unit_test(test_iso_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
