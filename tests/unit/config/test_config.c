/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/buf.h"
#include "config/config.h"
#include "config/files.h"
#include "config/option-table.h"

#include <string.h>
#include <unistd.h>

extern char **environ;

static char dir[64];

static void write_file(const char *name, const char *text)
{
    auto_free char *path = path_join_dup(dir, name);
    assert_int_equal(file_replace(path, text, strlen(text), 0600, false, NULL), 0);
}

static void make_folder(const char *name)
{
    auto_free char *path = path_join_dup(dir, name);
    assert_int_equal(dir_make(path, 0700, NULL), 0);
}

/* A home folder of its own and no variable that would count. */
static int setup(void **state)
{
    strcpy(dir, "/tmp/reeve-config-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    clearenv();
    setenv("HOME", dir, 1);
    return 0;
}

static int teardown(void **state)
{
    return dir_remove_tree(dir, NULL);
}

static struct config *load(const char *file)
{
    struct reeve_error err = {0};
    struct config *c = config_load(file, &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

static void check_str(const char *path, const char *expected)
{
    struct config *c = load(NULL);
    const char *got = config_str(c, path, NULL);
    if (expected)
        assert_string_equal(got, expected);
    else
        assert_null(got);
    config_destroy(c);
}

static void test_defaults_alone(void **state)
{
    check_str("agent.package_manager.type", "pip");
    check_str("api.api_server", NULL);
    check_str("api.verify_certificate", "true");
}

static void test_order_of_sources(void **state)
{
    make_folder("conf/default/agent");
    write_file("conf/default/api.conf", "api_server: \"http://folder\", web_server: w");
    write_file("conf/default/agent/git.conf", "depth: 1");
    auto_free char *folder = path_join_dup(dir, "conf");
    setenv("CLEARML_CONFIG_PATH", folder, 1);
    check_str("api.api_server", "http://folder");
    check_str("agent.git.depth", "1");

    write_file("trains.conf", "api.api_server: http://trains");
    check_str("api.api_server", "http://trains");
    write_file("clearml.conf", "api { api_server: http://home:8008 }");
    check_str("api.api_server", "http://home:8008");
    check_str("api.web_server", "w");

    write_file("other.conf", "agent.worker_name: other");
    setenv("TRAINS_CONFIG_FILE", "~/other.conf", 1);
    check_str("api.api_server", "http://folder");
    check_str("agent.worker_name", "other");

    setenv("CLEARML_AGENT__API__API_SERVER", "http://extra", 1);
    setenv("CLEARML_AGENT__AGENT__REEVE__LIST", "[a, b]", 1);
    check_str("api.api_server", "http://extra");
    struct config *c = load(NULL);
    assert_int_equal(cJSON_GetArraySize(config_json(c, "agent.reeve.list")), 2);

    setenv("TRAINS_API_HOST", "http://old", 1);
    check_str("api.api_server", "http://old");
    setenv("CLEARML_API_HOST", "http://variable", 1);
    check_str("api.api_server", "http://variable");
    config_set(c, "api.api_server", "http://line");
    assert_string_equal(config_str(c, "api.api_server", ""), "http://line");
    config_destroy(c);
}

static void test_named_file(void **state)
{
    struct reeve_error err = {0};
    auto_free char *missing = path_join_dup(dir, "missing.conf");
    assert_null(config_load(missing, &err));
    assert_non_null(strstr(err.text, "missing.conf: No such file"));
    /* One that a variable names may be missing, as with ClearML's own tools. */
    setenv("CLEARML_CONFIG_FILE", missing, 1);
    check_str("api.api_server", NULL);
    write_file("clearml.conf", "api.api_server: http://home");
    check_str("api.api_server", NULL);
    write_file("bad.conf", "a: [\n");
    auto_free char *bad = path_join_dup(dir, "bad.conf");
    assert_null(config_load(bad, &err));
    assert_non_null(strstr(err.text, "bad.conf:1: '[' has no ']'"));
}

static void test_token_trumps_keys(void **state)
{
    write_file("clearml.conf",
               "api { auth.token: file, credentials { access_key: K } }");
    check_str("api.auth.token", NULL);
    check_str("api.credentials.access_key", "K");
    setenv("CLEARML_AUTH_TOKEN", "T", 1);
    check_str("api.auth.token", "T");
    check_str("api.credentials.access_key", NULL);
}

static void test_file_of_authorities(void **state)
{
    write_file("clearml.conf", "api.verify_certificate: /etc/ca.pem");
    check_str("api.ca_file", "/etc/ca.pem");
    check_str("api.verify_certificate", "true");
    setenv("CLEARML_API_HOST_VERIFY_CERT", "false", 1);
    check_str("api.ca_file", NULL);
    check_str("api.verify_certificate", "false");
}

static void test_unreadable_variable_hides_its_value(void **state)
{
    struct reeve_error err = {0};
    setenv("CLEARML_AGENT__AGENT__GIT_PASS", "secret[", 1);
    assert_null(config_load(NULL, &err));
    assert_non_null(strstr(err.text, "CLEARML_AGENT__AGENT__GIT_PASS"));
    assert_null(strstr(err.text, "secret"));
}

static void test_values(void **state)
{
    struct config *c = config_from_text(
        "s: \"\", n: 7, t: \"12\", f: 2.5, b: yes, m: 512m, d: 2h30m\n"
        "p: 10, v: 3.10, l: [a, 5, \"\"], w: \"x 'y z'\", o {}, z: null\n"
        "bad: lots\n",
        NULL);
    assert_non_null(c);
    assert_string_equal(config_str(c, "s", "none"), "none");
    assert_string_equal(config_str(c, "z", "none"), "none");
    assert_string_equal(config_str(c, "o", "none"), "none");
    assert_string_equal(config_str(c, "n.x.y", "none"), "none");
    assert_string_equal(config_str(c, "v", ""), "3.10");
    assert_int_equal(config_int(c, "n", 0), 7);
    assert_int_equal(config_int(c, "t", 0), 12);
    assert_int_equal(config_int(c, "f", 0), 2);
    assert_int_equal(config_int(c, "bad", 9), 9);
    assert_true(config_num(c, "f", 0) == 2.5);
    assert_true(config_bool(c, "b", false));
    assert_true(config_bool(c, "bad", true));
    assert_int_equal(config_size(c, "m", 0), 512 << 20);
    assert_int_equal(config_duration_ms(c, "d", 0), 9000000);
    assert_int_equal(config_duration_ms(c, "p", 0), 10000);
    assert_int_equal(config_size(c, "none", 4), 4);

    struct reeve_error err = {0};
    int64_t value = 5;
    assert_int_equal(config_read_size(c, "none", &value, &err), 0);
    assert_int_equal(value, 5);
    assert_int_equal(config_read_size(c, "bad", &value, &err), -1);
    assert_non_null(strstr(err.text, "bad: \"lots\" is no size"));
    assert_int_equal(config_read_size(c, "o", &value, &err), -1);

    auto_words words = WORDS_INIT;
    assert_int_equal(config_list(c, "l", &words, NULL), 0);
    assert_int_equal(config_list(c, "w", &words, NULL), 0);
    assert_int_equal(words.n, 4);
    assert_string_equal(words.v[1], "5");
    assert_string_equal(words.v[3], "y z");
    assert_int_equal(config_list(c, "o", &words, &err), -1);
    config_destroy(c);
}

static void test_set(void **state)
{
    struct config *c = config_from_text("a: 1, b { c: 2 }", NULL);
    config_set(c, "a.x", "y");
    config_set_json(c, "b.d", cJSON_CreateNumber(5));
    assert_string_equal(config_str(c, "a.x", ""), "y");
    assert_string_equal(config_str(c, "b.d", ""), "5");
    assert_int_equal(config_int(c, "b.c", 0), 2);
    config_destroy(c);
}

static void note(void *arg, enum option_level level, const char *text)
{
    buf_printf(arg, "%d %s\n", (int)level, text);
}

/* What belongs under names and has none. */
static void test_section_that_is_a_list(void **state)
{
    auto_buf said = BUF_INIT;
    write_file("clearml.conf", "files: [a, { path: b }]\nagent.reeve: [c]\n"
                               "environment: [d]\nlogging: e\nmine: f\n");
    struct config *c = load(NULL);
    files_apply(c, 022);
    option_check(c, note, &said);
    config_destroy(c);
    assert_non_null(strstr(buf_str(&said), "1 the section files is not read: it is"));
    assert_non_null(strstr(buf_str(&said), "1 the section environment is not read"));
    assert_non_null(strstr(buf_str(&said), "1 the section logging is not read"));
    assert_null(strstr(buf_str(&said), "mine"));
    assert_null(strstr(buf_str(&said), "null"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_defaults_alone),
        TEST(test_order_of_sources),
        TEST(test_named_file),
        TEST(test_token_trumps_keys),
        TEST(test_file_of_authorities),
        TEST(test_unreadable_variable_hides_its_value),
        TEST(test_values),
        TEST(test_set),
        TEST(test_section_that_is_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
