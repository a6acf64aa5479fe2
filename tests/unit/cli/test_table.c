/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "cli/log-cursor.h"
#include "cli/table.h"

#include <stdio.h>
#include <string.h>

static char *printed(const struct table *t)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    table_print(t, out);
    fclose(out);
    return text;
}

static void test_aligned(void **state)
{
    static const char *const titles[] = {"NAME", ">N", "LAST"};
    struct table *t = table_create(titles, 3);
    table_add(t, "é");
    table_add(t, "5");
    table_add(t, "");
    table_add(t, "longer");
    table_add(t, "123");
    table_add(t, "z");
    auto_free char *text = printed(t);
    assert_string_equal(text, "NAME      N  LAST\n"
                              "é         5  -\n"
                              "longer  123  z\n");
    table_free(t);
}

/* A task's name can't move the cursor, add a line or shift a column. */
static void test_hostile_cells(void **state)
{
    static const char *const titles[] = {"A", "B"};
    struct table *t = table_create(titles, 2);
    char wide[400] = "";
    for (int i = 0; i < 100; i++)
        strcat(wide, "é");
    table_add(t, "a\n\t\x1b[2J\xff");
    table_add(t, "b");
    table_add(t, wide);
    table_add(t, wide);
    auto_free char *text = printed(t);
    assert_non_null(strstr(text, "a  \\x1b[2J\xef\xbf\xbd"));
    assert_null(strchr(text, '\x1b'));
    size_t lines = 0;
    for (char *p = text; *p; p++)
        lines += *p == '\n';
    assert_int_equal(lines, 3);
    assert_non_null(strstr(text, "é>  éé"));
    table_free(t);
}

static void test_json_cells(void **state)
{
    static const char *const titles[] = {"A", "B", "C", "D", "E", "F"};
    static const char text_of_row[] =
        "{\"id\":\"0123456789abcdef\",\"n\":2.26,\"b\":1572864,"
        "\"t\":\"2026-11-24T08:00:00.000Z\",\"z\":null}";
    auto_json *row = json_parse(text_of_row, strlen(text_of_row), NULL);
    int64_t then;
    assert_non_null(row);
    assert_int_equal(clock_iso_parse(json_str(row, "t", ""), &then), 0);
    struct table *t = table_create(titles, 6);
    table_add_id(t, row, "id");
    table_add_number(t, row, "n", 1);
    table_add_bytes(t, row, "b");
    table_add_age(t, row, "t", then + 3 * 3600 * 1000);
    table_add_text(t, row, "z");
    table_add_number(t, row, "none", 0);
    auto_free char *text = printed(t);
    assert_non_null(strstr(text, "01234567  2.3  1.5 MiB  3h"));
    assert_non_null(strstr(text, "-  -\n"));
    table_free(t);
}

/* Lines of the same millisecond that come later are printed, and none twice. */
static void test_log_cursor(void **state)
{
    struct log_cursor c;
    log_cursor_init(&c, 0);
    assert_int_equal(log_cursor_from(&c), 0);
    log_cursor_begin(&c);
    assert_true(log_cursor_take(&c, 100));
    assert_true(log_cursor_take(&c, 101));
    assert_true(log_cursor_take(&c, 101));
    assert_int_equal(log_cursor_from(&c), 100);
    log_cursor_begin(&c);
    assert_false(log_cursor_take(&c, 101));
    assert_false(log_cursor_take(&c, 101));
    assert_true(log_cursor_take(&c, 101));
    assert_true(log_cursor_take(&c, 105));
    log_cursor_begin(&c);
    assert_false(log_cursor_take(&c, 105));
    assert_true(log_cursor_take(&c, 106));

    log_cursor_init(&c, 50);
    assert_int_equal(log_cursor_from(&c), 49);
    log_cursor_begin(&c);
    assert_false(log_cursor_take(&c, 49));
    assert_true(log_cursor_take(&c, 50));
    assert_true(log_cursor_take(&c, 50));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aligned),
        cmocka_unit_test(test_hostile_cells),
        cmocka_unit_test(test_json_cells),
        cmocka_unit_test(test_log_cursor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
