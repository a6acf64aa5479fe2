/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/json-text.h"
#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void test_strings(void **state)
{
    auto_buf out = BUF_INIT;
    json_text_string(&out, "a\"b\\c\n\t\b\f\r\001\037\177\xc3\xa9", 16 - 1);
    assert_string_equal(out.data,
                        "\"a\\\"b\\\\c\\n\\t\\b\\f\\r\\u0001\\u001f\177\xc3\xa9\"");
    buf_clear(&out);
    json_text_string(&out, "", 0);
    assert_string_equal(out.data, "\"\"");
}

static void test_numbers_read_back(void **state)
{
    static const double numbers[] = {
        0, 1, -1, 0.1, 1.0 / 3, 1e308, 5e-324, 1e15, 123456789012345.0, 2147483648.5};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        auto_buf out = BUF_INIT;
        json_text_number(&out, numbers[i]);
        assert_true(strtod(out.data, NULL) == numbers[i]);
    }
    auto_buf out = BUF_INIT;
    json_text_number(&out, 0.1);
    buf_add_char(&out, ' ');
    json_text_number(&out, 7);
    buf_add_char(&out, ' ');
    json_text_number(&out, NAN);
    json_text_number(&out, INFINITY);
    assert_string_equal(out.data, "0.1 7 nullnull");
}

static void test_escaped_nul_cuts_nothing(void **state)
{
    static const char text[] = "[\"a\\u0000b\",\"a\\\\u0000b\",\"\\\\\\u0000\"]";
    auto_json *list = json_parse(text, strlen(text), NULL);
    assert_string_equal(cJSON_GetArrayItem(list, 0)->valuestring, "a\xef\xbf\xbd"
                                                                  "b");
    assert_string_equal(cJSON_GetArrayItem(list, 1)->valuestring, "a\\u0000b");
    assert_string_equal(cJSON_GetArrayItem(list, 2)->valuestring, "\\\xef\xbf\xbd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_numbers_read_back),
        cmocka_unit_test(test_escaped_nul_cuts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
