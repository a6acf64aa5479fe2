/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "cli/args.h"

#include <string.h>

static const struct arg_spec specs[] = {
    {ARG_FLAG, "follow", 'f', NULL, "help"},
    {ARG_FLAG, "quiet", 'q', NULL, "help"},
    {ARG_VALUE, "name", 'n', "NAME", "help"},
    {ARG_OPTIONAL, "limit", 0, "N", "help"},
    {ARG_LIST, "env", 'e', "K=V", "help"},
    {ARG_WORDS, "queue", 0, "Q", "help"},
    {ARG_SOME, "stop", 0, "ID", "help"},
    {ARG_REFUSED, "gpus", 0, NULL, "not here"},
    {ARG_END, NULL, 0, NULL, NULL},
};

/* Splits the line at blanks; the words live until the next call. */
static struct args *parse(const char *line, bool in_order, struct reeve_error *err)
{
    static struct words words;
    words_free(&words);
    assert_int_equal(words_split(line, &words, NULL), 0);
    return args_parse(specs, (int)words.n, words.v, in_order, err);
}

static void check_words(const struct words *w, const char *expected)
{
    auto_free char *line = words_join_dup(w->v, w->n);
    assert_string_equal(line, expected);
}

static void test_forms_of_an_option(void **state)
{
    const char *const lines[] = {"-fq --name x word", "word --follow -nx --quiet",
                                 "-f -q --name=x word", "-fqn x word", "-fqn=x word"};
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct args *a = parse(lines[i], false, NULL);
        assert_non_null(a);
        assert_true(args_has(a, "follow") && args_has(a, "quiet"));
        assert_string_equal(args_value(a, "name", ""), "x");
        check_words(args_words(a), "word");
        assert_false(args_has(a, "help"));
        assert_false(args_after_dashes(a));
        args_free(a);
    }
}

static void test_lists(void **state)
{
    struct args *a =
        parse("-e A=1 --env B=2 --queue a b --limit 5 --queue c -f", false, NULL);
    assert_non_null(a);
    check_words(args_values(a, "env"), "A=1 B=2");
    check_words(args_values(a, "queue"), "a b c");
    assert_string_equal(args_value(a, "limit", ""), "5");
    assert_null(args_values(a, "name"));
    assert_string_equal(args_value(a, "name", "none"), "none");
    args_free(a);
    a = parse("--limit word", false, NULL);
    assert_true(args_has(a, "limit"));
    assert_null(args_value(a, "limit", NULL));
    check_words(args_words(a), "word");
    args_free(a);
    /* The last of several single values counts. */
    a = parse("--name a --name b --limit -1", false, NULL);
    assert_string_equal(args_value(a, "name", ""), "b");
    assert_string_equal(args_value(a, "limit", ""), "-1");
    args_free(a);
}

static void test_some_or_none(void **state)
{
    struct args *a = parse("--stop -f", false, NULL);
    assert_true(args_has(a, "stop") && args_has(a, "follow"));
    assert_int_equal(args_values(a, "stop")->n, 0);
    args_free(a);
    a = parse("--stop a b --quiet", false, NULL);
    check_words(args_values(a, "stop"), "a b");
    args_free(a);
    a = parse("--stop", false, NULL);
    assert_int_equal(args_values(a, "stop")->n, 0);
    args_free(a);
}

static void test_command_lines_inside(void **state)
{
    struct args *a = parse("-f script.py -q --name x", true, NULL);
    assert_non_null(a);
    check_words(args_words(a), "script.py -q --name x");
    assert_false(args_has(a, "quiet"));
    assert_false(args_after_dashes(a));
    args_free(a);
    a = parse("-f -- sleep -q -- x", true, NULL);
    check_words(args_words(a), "sleep -q -- x");
    assert_true(args_after_dashes(a));
    args_free(a);
    a = parse("a -- -f", false, NULL);
    check_words(args_words(a), "a -f");
    assert_false(args_after_dashes(a));
    args_free(a);
}

static void refuse(const char *line, const char *expected)
{
    struct reeve_error err = {0};
    assert_null(parse(line, false, &err));
    assert_string_equal(err.text, expected);
}

static void test_errors(void **state)
{
    refuse("--bogus", "unknown option --bogus; see --help");
    refuse("--folow=yes", "unknown option --folow; is --follow meant? see --help");
    refuse("--gpus 0", "--gpus: not here");
    refuse("-x", "unknown option -x; see --help");
    refuse("--name", "--name needs a value: NAME");
    refuse("--queue -f", "--queue needs a value: Q");
    refuse("--follow=1", "--follow takes no value");
}

static void test_help(void **state)
{
    struct args *a = parse("--help -f", false, NULL);
    assert_true(args_has(a, "help"));
    args_free(a);
    a = parse("-h", false, NULL);
    assert_true(args_has(a, "help"));
    args_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms_of_an_option),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_some_or_none),
        cmocka_unit_test(test_command_lines_inside),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
