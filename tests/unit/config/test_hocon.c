/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "config/hocon.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The document as JSON text, or the error's text. */
static char *read_text(const char *text, bool env)
{
    struct reeve_error err = {0};
    struct hocon_options options = {.env = env};
    auto_json *doc = hocon_parse(text, strlen(text), &options, &err);
    return doc ? json_format(doc) : xasprintf("error: %s", err.text);
}

static void check(const char *text, const char *expected)
{
    auto_free char *got = read_text(text, false);
    assert_string_equal(got, expected);
}

static void test_plain_json(void **state)
{
    check("{\"a\": {\"b\": [1, 2.5, true, null, \"x\"]}}",
          "{\"a\":{\"b\":[1,2.5,true,null,\"x\"]}}");
}

static void test_braces_commas_and_colons_are_optional(void **state)
{
    check("", "{}");
    check("a = 1\nb: 2, c 	{ d = e }\n", "{\"a\":1,\"b\":2,\"c\":{\"d\":\"e\"}}");
    check("a\n{\n b: 1\n}\n", "{\"a\":{\"b\":1}}");
    check("a:\n  1", "{\"a\":1}");
    check("a: [1\n2\n3,]", "{\"a\":[1,2,3]}");
    check("a: 1,\nb: 2,\n", "{\"a\":1,\"b\":2}");
}

static void test_keys(void **state)
{
    check("a.b.c: 1, a.b.d: 2, a : { e: 3 }",
          "{\"a\":{\"b\":{\"c\":1,\"d\":2},\"e\":3}}");
    check("\"a.b\".c: 1", "{\"a.b\":{\"c\":1}}");
    check("a b : 1", "{\"a b\":1}");
    check("include: 1", "{\"include\":1}");
    check("a: 1, a: 2", "{\"a\":2}");
    check("a: {x: 1}, a: 5, a: {y: 2}", "{\"a\":{\"y\":2}}");
}

static void test_comments(void **state)
{
    check("# one\na: 1 # two\n// three\nb: x // four\nc: [ 1 # five\n ]",
          "{\"a\":1,\"b\":\"x\",\"c\":[1]}");
}

static void test_unquoted_values_as_clearml_has_them(void **state)
{
    check("u: https://host:8008/api\np: ~/.clearml/x\nd = --ipc=host --cpus 2",
          "{\"u\":\"https://host:8008/api\",\"p\":\"~/.clearml/x\",\"d\":\"--ipc=host "
          "--cpus 2\"}");
    check("a: True, b: FALSE, c: 5 days, d: 0123, e: 1.2.3",
          "{\"a\":true,\"b\":false,\"c\":\"5 days\",\"d\":123,\"e\":\"1.2.3\"}");
    check("a: C:\\temp, b: two  words # c",
          "{\"a\":\"C:\\temp\",\"b\":\"two  words\"}");
    check("a:, b: 1", "{\"a\":\"\",\"b\":1}");
    check("a: x \\\n  y\nb: 1", "{\"a\":\"x y\",\"b\":1}");
}

static void test_numbers_keep_their_text(void **state)
{
    auto_json *doc = hocon_parse("v: 3.10", 7, NULL, NULL);
    assert_non_null(doc);
    assert_string_equal(json_get(doc, "v")->valuestring, "3.10");
    check("v: 3.10, w: ${v}-slim", "{\"v\":3.1,\"w\":\"3.10-slim\"}");
}

static void test_quotes(void **state)
{
    check("a: \"x\\n\\t\\\"é😀\"", "{\"a\":\"x\\n\\t\\\"é😀\"}");
    /* As ClearML's agent has it: pairs that it does not know stay as they are. */
    check("a: \"\\u00e9\\/\\b\"", "{\"a\":\"\\\\u00e9\\\\/\\\\b\"}");
    check("a: \"^\\d+$\"", "{\"a\":\"^\\\\d+$\"}");
    check("a: \"\"\"one\n\"two\" \\n\"\"\"\"\nb: 1",
          "{\"a\":\"one\\n\\\"two\\\" \\\\n\\\"\",\"b\":1}");
    check("a: \"x\"  y \"z\"", "{\"a\":\"x  y z\"}");
}

static void test_substitution(void **state)
{
    check("a: 1, b: ${a}", "{\"a\":1,\"b\":1}");
    check("b: ${a.c}, a { c: [1] }", "{\"b\":[1],\"a\":{\"c\":[1]}}");
    check("a { b: 1, c: ${a.b} }", "{\"a\":{\"b\":1,\"c\":1}}");
    check("a: x, b: \"<\"${a}\">\"", "{\"a\":\"x\",\"b\":\"<x>\"}");
    check("a: ${?none}, b: 1", "{\"b\":1}");
    check("a: 1, a: ${?none}", "{\"a\":1}");
    check("a: [5, ${?none}, 2]", "{\"a\":[5,null,2]}");
    check("base {x: 1, y: 2}, a: ${base} {y: 3}",
          "{\"base\":{\"x\":1,\"y\":2},\"a\":{\"x\":1,\"y\":3}}");
    check("base {x: 1}, a: ${base}\na {y: 2}",
          "{\"base\":{\"x\":1},\"a\":{\"x\":1,\"y\":2}}");
    /* ClearML's agent forgets the base here. */
    check("base {x: 1}, a: ${base}, a.y: 2", "{\"base\":{\"x\":1},\"a\":{\"y\":2}}");
    /* The last value counts, wherever the substitution is. */
    check("b: ${a}, a: 1, a: 2", "{\"b\":2,\"a\":2}");
}

static void test_self_reference_and_append(void **state)
{
    check("p: /bin, p: ${p}\":/usr\"", "{\"p\":\"/bin:/usr\"}");
    check("a: [1], a: ${a} [2]", "{\"a\":[1,2]}");
    check("a: [1], a: [${a}, 2]", "{\"a\":[[1],2]}");
    check("a: [1], a += [2], a += [x]", "{\"a\":[1,2,\"x\"]}");
    check("a: x, a += y", "{\"a\":\"x y\"}");
    check("a { l: [1] }, a.l += [2]", "{\"a\":{\"l\":[1,2]}}");
    /* A number takes the place of what was there; inside braces, += asks for the name
     * in the whole document. */
    check("a: [1], a += 2", "{\"a\":2}");
    check("a { l: [1], l += [2] }", "{\"a\":{\"l\":[2]}}");
    check("a: {x: 1}, a: ${a} {y: 2}", "{\"a\":{\"x\":1,\"y\":2}}");
}

static void test_environment(void **state)
{
    setenv("REEVE_TEST_HOCON", "from outside", 1);
    auto_free char *got =
        read_text("a: ${REEVE_TEST_HOCON}, b: ${?REEVE_TEST_NONE}", true);
    assert_string_equal(got, "{\"a\":\"from outside\"}");
    /* Texts from elsewhere don't see the environment. */
    check("a: ${?REEVE_TEST_HOCON}", "{}");
    auto_free char *own =
        read_text("REEVE_TEST_HOCON: mine, a: ${REEVE_TEST_HOCON}", true);
    assert_string_equal(own, "{\"REEVE_TEST_HOCON\":\"mine\",\"a\":\"mine\"}");
    unsetenv("REEVE_TEST_HOCON");
}

static void test_errors_name_the_line(void **state)
{
    check("a: 1\nb: {\n c: 2\n", "error: line 2: '{' has no '}'");
    check("a: [1, 2\n", "error: line 1: '[' has no ']'");
    check("a: 1\nb\n\n", "error: line 2: '=', ':' or '{' expected after this name");
    check("\n\na: \"x\n", "error: line 3: a quoted text does not end on its line");
    check("a: 1 }", "error: line 1: '}' has no '{'");
    check("a: {} x: 1\n", "error: line 1: values of different kinds side by side; put "
                          "the text in quotes");
    check("[1]", "error: line 1: an object is expected, this is a list");
    check("a: ${b}", "error: line 1: ${b} is set nowhere");
    check("a: ${b}, b: ${a}", "error: line 1: this value means itself");
    check("a: = 1", "error: line 1: a value may not begin with '='; put it in quotes");
    check("include \"x\"", "error: line 1: include is not allowed here");
    check("{a: 1} b", "error: line 1: text after the last '}'");
    check("a: 1 = 2",
          "error: line 1: a value may not begin with '='; put it in quotes");
    check(".: 1", "error: line 1: a name is missing here");
}

static void test_unsound_bytes(void **state)
{
    struct reeve_error err;
    assert_null(hocon_parse("a: \xff", 4, NULL, &err));
    assert_string_equal(err.text, "line 1: not UTF-8 text");
    assert_null(hocon_parse("a: \0", 4, NULL, &err));
}

static void test_bounds(void **state)
{
    struct reeve_error err;
    auto_buf deep = BUF_INIT;
    for (int i = 0; i < 100000; i++)
        buf_add_str(&deep, "a:[{");
    assert_null(hocon_parse(deep.data, deep.len, NULL, &err));
    assert_non_null(strstr(err.text, "nested too deeply"));

    auto_buf dots = BUF_INIT;
    for (int i = 0; i < 1000; i++)
        buf_add_str(&dots, "a.");
    buf_add_str(&dots, "a: 1");
    assert_null(hocon_parse(dots.data, dots.len, NULL, &err));

    /* Forty lines that would be a terabyte. */
    auto_buf twice = BUF_INIT;
    buf_add_str(&twice, "x0: aaaaaaaa\n");
    for (int i = 1; i < 40; i++)
        buf_printf(&twice, "x%d: ${x%d}${x%d}\n", i, i - 1, i - 1);
    assert_null(hocon_parse(twice.data, twice.len, NULL, &err));
    assert_non_null(strstr(err.text, "too large"));

    auto_buf many = BUF_INIT;
    for (int i = 0; i < 60000; i++)
        buf_printf(&many, "k%d=1\n", i);
    assert_null(hocon_parse(many.data, many.len, NULL, &err));
    assert_non_null(strstr(err.text, "too many values"));

    auto_buf chain = BUF_INIT;
    for (int i = 0; i < 5000; i++)
        buf_printf(&chain, "c%d=${c%d}\n", i % 1900, (i + 1) % 1900);
    assert_null(hocon_parse(chain.data, chain.len, NULL, &err));
}

/* Every prefix of a text that uses everything, and every byte of it replaced. */
static void test_torn_input_never_crashes(void **state)
{
    static const char text[] =
        "include: 1\na.\"b c\" { d = [1, \"x\\u00e9\", ${?e}], f += "
        "${a.\"b c\".d} }\n\"\"\"k\"\"\": \"\"\"t\"\"\" # c\n";
    size_t n = sizeof text - 1;
    for (size_t i = 0; i <= n; i++)
        cJSON_Delete(hocon_parse(text, i, NULL, NULL));
    for (size_t i = 0; i < n; i++) {
        for (const char *c = "\"{}[]:=,.$#\n\\ +?"; *c; c++) {
            char copy[sizeof text];
            memcpy(copy, text, sizeof copy);
            copy[i] = *c;
            cJSON_Delete(hocon_parse(copy, n, NULL, NULL));
        }
    }
}

static void write_file(const char *dir, const char *name, const char *text)
{
    auto_free char *path = path_join_dup(dir, name);
    assert_int_equal(file_replace(path, text, strlen(text), 0600, false, NULL), 0);
}

static void test_include(void **state)
{
    char dir[] = "/tmp/reeve-hocon-XXXXXX";
    assert_non_null(mkdtemp(dir));
    write_file(dir, "main.conf",
               "a { include \"part.conf\" }\ninclude \"missing.conf\"\nb: ${a.v}\n");
    write_file(dir, "part.conf", "u: 7\nv: ${a.u}\nw: ${top}\n");
    write_file(dir, "loop.conf", "include \"loop.conf\"\n");
    write_file(dir, "need.conf", "x: 1\ninclude required(file(\"gone.conf\"))\n");
    struct reeve_error err = {0};
    auto_free char *main_path = path_join_dup(dir, "main.conf");
    write_file(dir, "top.conf", "top: T\ninclude \"main.conf\"\n");
    auto_free char *top_path = path_join_dup(dir, "top.conf");
    auto_json *doc = hocon_parse_file(top_path, NULL, &err);
    assert_non_null(doc);
    auto_free char *text = json_format(doc);
    /* Inside an included file names are those of the whole, as for ClearML's agent. */
    assert_string_equal(text,
                        "{\"top\":\"T\",\"a\":{\"u\":7,\"v\":7,\"w\":\"T\"},\"b\":7}");
    assert_null(hocon_parse_file(main_path, NULL, &err));
    assert_non_null(strstr(err.text, "part.conf:3: ${top} is set nowhere"));
    auto_free char *loop = path_join_dup(dir, "loop.conf");
    auto_json *origins = NULL, *again = hocon_parse_file(top_path, &origins, &err);
    assert_non_null(again);
    auto_free char *top_line = xasprintf("%s:1", top_path);
    auto_free char *part_line = xasprintf("%s/part.conf:3", dir);
    assert_string_equal(json_str(origins, "top", ""), top_line);
    assert_string_equal(json_str(json_get(origins, "a"), "w", ""), part_line);
    assert_null(hocon_parse_file(loop, NULL, &err));
    assert_non_null(strstr(err.text, "include goes too deep"));
    auto_free char *need = path_join_dup(dir, "need.conf");
    assert_null(hocon_parse_file(need, NULL, &err));
    assert_non_null(strstr(err.text, "need.conf:2: open "));
    assert_int_equal(dir_remove_tree(dir, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_json),
        cmocka_unit_test(test_braces_commas_and_colons_are_optional),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_comments),
        cmocka_unit_test(test_unquoted_values_as_clearml_has_them),
        cmocka_unit_test(test_numbers_keep_their_text),
        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_substitution),
        cmocka_unit_test(test_self_reference_and_append),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_errors_name_the_line),
        cmocka_unit_test(test_unsound_bytes),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_torn_input_never_crashes),
        cmocka_unit_test(test_include),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
