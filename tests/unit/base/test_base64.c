/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/base64.h"

#include <string.h>

static void test_vectors(void **state)
{
    const char *pairs[][2] = {{"", ""},
                              {"f", "Zg=="},
                              {"fo", "Zm8="},
                              {"foo", "Zm9v"},
                              {"foob", "Zm9vYg=="},
                              {"fooba", "Zm9vYmE="},
                              {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        auto_buf text = BUF_INIT;
        auto_buf back = BUF_INIT;
        base64_add(&text, pairs[i][0], strlen(pairs[i][0]));
        assert_string_equal(buf_str(&text), pairs[i][1]);
        assert_int_equal(base64_decode(text.data, text.len, &back), 0);
        assert_string_equal(buf_str(&back), pairs[i][0]);
    }
}

static void test_all_bytes_both_alphabets(void **state)
{
    unsigned char bytes[256];
    auto_buf text = BUF_INIT;
    for (int i = 0; i < 256; i++)
        bytes[i] = (unsigned char)(255 - i);
    base64_add(&text, bytes, sizeof bytes);
    for (int url = 0; url < 2; url++) {
        auto_buf back = BUF_INIT;
        for (size_t i = 0; url && i < text.len; i++) {
            if (text.data[i] == '+')
                text.data[i] = '-';
            if (text.data[i] == '/')
                text.data[i] = '_';
        }
        while (url && text.data[text.len - 1] == '=')
            text.len--;
        assert_int_equal(base64_decode(text.data, text.len, &back), 0);
        assert_int_equal(back.len, 256);
        assert_memory_equal(back.data, bytes, 256);
    }
}

static void test_refused(void **state)
{
    const char *bad[] = {"A",    "AAAAA", "AA A", "AA\n=",   "=",
                         "====", "A===",  "AA=A", "\xff\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        auto_buf out = BUF_INIT;
        buf_add_str(&out, "kept");
        assert_int_equal(base64_decode(bad[i], strlen(bad[i]), &out), -1);
        assert_string_equal(buf_str(&out), "kept");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_all_bytes_both_alphabets),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
