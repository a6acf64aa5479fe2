/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "subagent/lines.h"

#include <string.h>

static char out[SPOOL_TEXT_MAX];

static void assert_lines(const char *raw, size_t n, enum lines_mode mode, size_t used,
                         const char *want)
{
    size_t len;
    assert_int_equal(lines_take(NULL, raw, n, mode, false, out, &len), used);
    assert_int_equal(len, strlen(want));
    assert_memory_equal(out, want, len);
}

#define ASSERT_LINES(raw, mode, used, want)                                            \
    assert_lines(raw, sizeof(raw) - 1, mode, used, want)

static void test_complete_lines(void **state)
{
    ASSERT_LINES("", LINES_END, 0, "");
    ASSERT_LINES("a\nb\n", LINES_WAIT, 4, "a\nb\n");
    ASSERT_LINES("a\n\nb", LINES_WAIT, 3, "a\n\n");
    ASSERT_LINES("abc", LINES_WAIT, 0, "");
    ASSERT_LINES("abc", LINES_PAUSED, 3, "abc\n");
    ASSERT_LINES("abc", LINES_END, 3, "abc\n");
}

/* clearml_agent/helper/console.py, decode_binary_lines with overwrite_cr. */
static void test_carriage_returns(void **state)
{
    ASSERT_LINES("a\r\n", LINES_WAIT, 3, "a\n");
    ASSERT_LINES("10%\r50%\r100%\n", LINES_WAIT, 13, "100%\n");
    ASSERT_LINES("a\rb\r\n", LINES_WAIT, 5, "b\n");
    ASSERT_LINES("a\r\r\n", LINES_WAIT, 4, "\n");
    ASSERT_LINES("\r\n", LINES_WAIT, 2, "\n");
    ASSERT_LINES("\ra\n", LINES_WAIT, 3, "a\n");
    ASSERT_LINES("10%\r50%\r", LINES_WAIT, 0, "");
    ASSERT_LINES("10%\r50%\r", LINES_PAUSED, 8, "50%\n");
}

static void test_left_out(void **state)
{
    ASSERT_LINES("a\bb\b\n", LINES_WAIT, 5, "ab\n");
    ASSERT_LINES("x\n\x1b[0m\ny\n", LINES_WAIT, 9, "x\ny\n");
    ASSERT_LINES("\x1b[0m\n", LINES_WAIT, 5, "");
    ASSERT_LINES("\x1b[0m", LINES_END, 4, "");
    ASSERT_LINES("\x1b[0mx\n", LINES_WAIT, 6, "\x1b[0mx\n");
    size_t len;
    assert_int_equal(lines_take(NULL, "\x1b[0m\n", 5, LINES_WAIT, true, out, &len), 5);
    assert_int_equal(len, 5);
}

#define R "\xef\xbf\xbd"

static void test_bytes_made_safe(void **state)
{
    ASSERT_LINES("a\0b\n", LINES_WAIT, 4, "a" R "b\n");
    ASSERT_LINES("\xff\xfe\n", LINES_WAIT, 3, R R "\n");
    ASSERT_LINES("\xe2\x82\xac\n", LINES_WAIT, 4, "\xe2\x82\xac\n");
    ASSERT_LINES("\xe2\x82\n", LINES_WAIT, 3, R R "\n");
    /* Half a character may be completed yet; alone, it had its time. */
    ASSERT_LINES("a\xe2\x82", LINES_PAUSED, 1, "a\n");
    ASSERT_LINES("\xe2\x82", LINES_PAUSED, 2, R R "\n");
    ASSERT_LINES("a\xe2\x82", LINES_END, 3, "a" R R "\n");
}

/* Whatever the bytes, everything is consumed in the end, and all text is sound. */
static void take_all(const char *raw, size_t n, struct buf *text)
{
    while (n > 0) {
        size_t window = n < LINES_WINDOW ? n : LINES_WINDOW, len;
        size_t used = lines_take(NULL, raw, window, LINES_WAIT, false, out, &len);
        if (!used)
            used = lines_take(NULL, raw, window, LINES_END, false, out, &len);
        assert_true(used > 0 && used <= window && len <= SPOOL_TEXT_MAX);
        assert_true(utf8_valid(out, len) && !memchr(out, '\0', len));
        assert_true(len == 0 || out[len - 1] == '\n');
        buf_add(text, out, len);
        raw += used;
        n -= used;
    }
}

static void test_long_line_is_cut(void **state)
{
    const size_t n = 200000;
    auto_free char *raw = xmalloc(n);
    memset(raw, 'x', n);
    raw[n - 1] = '\n';
    auto_buf text = BUF_INIT;
    take_all(raw, n, &text);
    /* Three cuts: one newline each. */
    assert_int_equal(text.len, n + 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(text.data[(i + 1) * SPOOL_TEXT_MAX - 1], '\n');

    /* No character is cut in two, and three bytes for one do not run over. */
    for (size_t i = 0; i + 3 <= n; i += 3)
        memcpy(raw + i, "\xe2\x82\xac", 3);
    buf_clear(&text);
    take_all(raw, n / 3 * 3, &text);
    assert_null(strstr(text.data, R));
    memset(raw, 0xff, n);
    buf_clear(&text);
    take_all(raw, n, &text);
    assert_true(text.len > 3 * n);
}

static void test_long_progress_bar(void **state)
{
    const size_t n = 300000;
    auto_free char *raw = xmalloc(n);
    memset(raw, '.', n);
    for (size_t i = 0; i < n; i += 100)
        raw[i] = '\r';
    memcpy(raw + n - 5, "\rend\n", 5);
    auto_buf text = BUF_INIT;
    take_all(raw, n, &text);
    assert_string_equal(text.data, "end\n");
    size_t len;
    assert_int_equal(lines_take(NULL, raw, LINES_WINDOW, LINES_WAIT, true, out, &len),
                     LINES_WINDOW);
    assert_true(len > 1 && len <= 100);
}

static void test_full_record(void **state)
{
    /* Lines that fill a record to its last byte, and one more. */
    char raw[64];
    memset(raw, 'y', sizeof raw);
    raw[63] = '\n';
    auto_buf all = BUF_INIT;
    for (int i = 0; i < SPOOL_TEXT_MAX / 64; i++)
        buf_add(&all, raw, sizeof raw);
    size_t len;
    assert_int_equal(lines_take(NULL, all.data, all.len, LINES_WAIT, false, out, &len),
                     SPOOL_TEXT_MAX);
    assert_int_equal(len, SPOOL_TEXT_MAX);
    all.data[0] = (char)0xff;
    assert_int_equal(lines_take(NULL, all.data, all.len, LINES_WAIT, false, out, &len),
                     SPOOL_TEXT_MAX - 64);
}

static void test_random_bytes(void **state)
{
    static const char alphabet[] = "\n\r\b\0\x1b[0mab\xe2\x82\xac\xff\xf0\x9f";
    uint32_t seed = 12345;
    for (int round = 0; round < 300; round++) {
        auto_buf raw = BUF_INIT;
        auto_buf text = BUF_INIT;
        size_t n = (size_t)round * 997 % 150000 + 1;
        for (size_t i = 0; i < n; i++) {
            seed = seed * 1664525u + 1013904223u;
            buf_add_char(&raw, alphabet[(seed >> 16) % (sizeof alphabet - 1)]);
        }
        take_all(raw.data, raw.len, &text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete_lines),
        cmocka_unit_test(test_carriage_returns),
        cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_bytes_made_safe),
        cmocka_unit_test(test_long_line_is_cut),
        cmocka_unit_test(test_long_progress_bar),
        cmocka_unit_test(test_full_record),
        cmocka_unit_test(test_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
