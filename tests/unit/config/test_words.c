/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "config/words.h"

#include <string.h>

/* The words joined by '|', or the error. */
static char *split(const char *text)
{
    struct reeve_error err = {0};
    auto_words w = WORDS_INIT;
    if (words_split(text, &w, &err) < 0)
        return xasprintf("error: %s", err.text);
    char *joined = xstrdup("");
    for (size_t i = 0; i < w.n; i++) {
        char *more = xasprintf("%s%s%s", joined, i ? "|" : "", w.v[i]);
        free(joined);
        joined = more;
    }
    return joined;
}

static void check(const char *text, const char *expected)
{
    auto_free char *got = split(text);
    assert_string_equal(got, expected);
}

/* The expected words are what Python's shlex.split makes of the same texts. */
static void test_as_shlex(void **state)
{
    check("", "");
    check("  a\tb\nc ", "a|b|c");
    check("--memory=512m -e A=\"b c\"", "--memory=512m|-e|A=b c");
    check("'a \\ b' \"c \\\" d\" \"e \\x\"", "a \\ b|c \" d|e \\x");
    check("a\\ b c\\\\d", "a b|c\\d");
    check("a'b'\"c\"d", "abcd");
    check("'' \"\"", "|");
    check("# no comment", "#|no|comment");
    check("$HOME *", "$HOME|*");
}

static void test_errors(void **state)
{
    check("a 'b", "error: a ' is not closed");
    check("a \"b", "error: a \" is not closed");
    check("a \\", "error: nothing follows the backslash at the end");
}

static void test_too_many(void **state)
{
    size_t n = 2 * (WORDS_MAX + 1);
    auto_free char *text = xmalloc(n + 1);
    for (size_t i = 0; i < n; i++)
        text[i] = i % 2 ? ' ' : 'a';
    text[n] = '\0';
    auto_words w = WORDS_INIT;
    assert_int_equal(words_split(text, &w, NULL), -1);
}

static void test_join_reads_back(void **state)
{
    char *words[] = {"plain", "",       "a b",  "it's",   "\"q\"",
                     "\\",    "$x;`y`", "n\nl", "--x=1,2"};
    size_t n = sizeof words / sizeof words[0];
    auto_free char *line = words_join_dup(words, n);
    auto_words back = WORDS_INIT;
    assert_int_equal(words_split(line, &back, NULL), 0);
    assert_int_equal(back.n, n);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(back.v[i], words[i]);
    auto_free char *plain = words_join_dup(words, 1);
    assert_string_equal(plain, "plain");
    auto_free char *none = words_join_dup(NULL, 0);
    assert_string_equal(none, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_shlex),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_join_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
