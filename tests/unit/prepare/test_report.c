/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "prepare/payload-env.h"
#include "prepare/report.h"
#include "prepare/spec.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void read_pipe(int fd, char *out, size_t size)
{
    ssize_t n = read(fd, out, size - 1);
    out[n > 0 ? n : 0] = '\0';
}

/* A name may forge neither a line of the log nor a status. */
static void test_control_bytes(void **state)
{
    int log_pipe[2], status_pipe[2];
    char text[4096];
    assert_int_equal(pipe2(log_pipe, O_NONBLOCK), 0);
    assert_int_equal(pipe2(status_pipe, O_NONBLOCK), 0);
    struct report r = {log_pipe[1], status_pipe[1], "", false};
    report_step(&r, "diff");
    report_fail(&r, "a\nfail clone b\x1b[2J\xff");
    read_pipe(log_pipe[0], text, sizeof text);
    assert_string_equal(text,
                        "reeve: diff failed: a\\x0afail clone b\\x1b[2J\xef\xbf\xbd\n");
    read_pipe(status_pipe[0], text, sizeof text);
    assert_string_equal(
        text, "step diff\nfail diff a\\x0afail clone b\\x1b[2J\xef\xbf\xbd\n");
    auto_free char *big = xmalloc(100001);
    memset(big, '\xc3', 100000);
    for (size_t i = 1; i < 100000; i += 2)
        big[i] = '\xa4';
    big[100000] = '\0';
    report_fail(&r, big);
    read_pipe(status_pipe[0], text, sizeof text);
    assert_true(strlen(text) < 1024);
    assert_int_equal(text[strlen(text) - 1], '\n');
    for (int i = 0; i < 2; i++) {
        close(log_pipe[i]);
        close(status_pipe[i]);
    }
}

/* Held lines come with a failure, and in their order. */
static void test_held_lines(void **state)
{
    int log_pipe[2], status_pipe[2];
    char text[4096];
    assert_int_equal(pipe2(log_pipe, O_NONBLOCK), 0);
    assert_int_equal(pipe2(status_pipe, O_NONBLOCK), 0);
    struct report r = {log_pipe[1], status_pipe[1], "", true};
    report_line(&r, "one");
    read_pipe(log_pipe[0], text, sizeof text);
    assert_string_equal(text, "");
    report_line(&r, "two");
    report_release(&r);
    read_pipe(log_pipe[0], text, sizeof text);
    assert_string_equal(text, "one\ntwo\n");
    r.hold = true;
    report_step(&r, "execute");
    report_line(&r, "three");
    report_fail(&r, "no");
    read_pipe(log_pipe[0], text, sizeof text);
    assert_string_equal(text, "three\nreeve: execute failed: no\n");
    for (int i = 0; i < 2; i++) {
        close(log_pipe[i]);
        close(status_pipe[i]);
    }
}

#define DIRS "\"state_dir\":\"/s\",\"run_dir\":\"/r\",\"cache_dir\":\"/c\""

static void test_specs(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{\"version\":2,\"task\":\"a\"," DIRS "}",
        "{\"version\":1,\"task\":\"../a\"," DIRS "}",
        "{\"version\":1,\"task\":\"a\"}",
        "{\"version\":1,\"task\":\"a\",\"state_dir\":\"s\"}",
        "{\"version\":1,\"task\":\"a\"," DIRS ",\"env\":{\"A=B\":\"x\"}}",
        "{\"version\":1,\"task\":\"a\"," DIRS ",\"env\":{\"A\":1}}",
        "{\"version\":1,\"task\":\"a\"," DIRS ",\"unset\":[1]}",
    };
    struct spec s;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct reeve_error err;
        assert_int_equal(spec_parse(bad[i], strlen(bad[i]), &s, &err), -1);
        assert_null(s.json);
    }
    static const char good[] = "{\"version\":1,\"task\":\"a\"," DIRS
                               ",\"script\":{\"branch\":\" main\\n\",\"tag\":null}}";
    assert_int_equal(spec_parse(good, strlen(good), &s, NULL), 0);
    assert_string_equal(s.branch, "main");
    assert_string_equal(s.tag, "");
    assert_string_equal(s.python, "python3");
    spec_free(&s);
}

static void test_script_too_large(void **state)
{
    size_t n = 20u << 20;
    auto_free char *text = xmalloc(n + 200);
    int head =
        sprintf(text, "{\"version\":1,\"task\":\"a\"," DIRS ",\"script\":{\"diff\":\"");
    memset(text + head, 'x', n);
    strcpy(text + head + n, "\"}}");
    struct spec s;
    struct reeve_error err;
    assert_int_equal(spec_parse(text, strlen(text), &s, &err), -1);
    assert_non_null(strstr(err.text, "too large"));
}

static void test_environment(void **state)
{
    static const char text[] =
        "{\"version\":1,\"task\":\"a\"," DIRS ",\"env\":{\"A\":\"new\",\"B\":\"\"},"
        "\"unset\":[\"SECRET\"],\"sdk_config\":\"api {}\"}";
    const char *const inherited[] = {"A=old", "SECRET=x", "SECRETS=y", "no-value",
                                     NULL};
    struct spec s;
    assert_int_equal(spec_parse(text, strlen(text), &s, NULL), 0);
    auto_words env = WORDS_INIT;
    payload_env_make(&s, inherited, &env);
    assert_string_equal(payload_env_get(&env, "A"), "new");
    assert_string_equal(payload_env_get(&env, "B"), "");
    assert_null(payload_env_get(&env, "SECRET"));
    assert_string_equal(payload_env_get(&env, "SECRETS"), "y");
    assert_string_equal(payload_env_get(&env, "CLEARML_CONFIG_FILE"), "/r/conf");
    payload_env_add_python_path(&env, "/w", ".");
    assert_string_equal(payload_env_get(&env, "PYTHONPATH"), "/w");
    payload_env_add_python_path(&env, "/w", "sub");
    assert_string_equal(payload_env_get(&env, "PYTHONPATH"), "/w:/w:/w/sub");
    spec_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control_bytes), cmocka_unit_test(test_held_lines),
        cmocka_unit_test(test_specs),         cmocka_unit_test(test_script_too_large),
        cmocka_unit_test(test_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
