/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

static void test_cut_texts(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"plain", "plain"},
        {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"caf\xc3", "caf"},
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
        {"a\xf0\x9f\x98", "a"},
        {"a\xf0\x9f", "a"},
        {"\xe2\x82", ""},
        {"a\xff"
         "b",
         "a"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[16];
        snprintf(text, sizeof text, "%s", cases[i][0]);
        utf8_trim(text);
        assert_string_equal(text, cases[i][1]);
        assert_int_equal(utf8_sound(cases[i][0], strlen(cases[i][0])), strlen(text));
        assert_int_equal(utf8_valid(cases[i][0], strlen(cases[i][0])),
                         strcmp(cases[i][0], cases[i][1]) == 0);
    }
}

static void test_characters_are_counted(void **state)
{
    static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
    assert_int_equal(utf8_count(text, strlen(text)), 4);
    assert_int_equal(utf8_count(text, 3), 2);
    assert_int_equal(utf8_count("", 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_texts),
        cmocka_unit_test(test_characters_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
