/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/proc.h"
#include "cli/cli.h"
#include "cli/target.h"
#include "cli/up-child.h"
#include "cli/up-dir.h"
#include "config/config.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];
static struct up_dir up;

static int setup(void **state)
{
    strcpy(dir, "/tmp/reeve-up-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    clearenv();
    return up_dir_open(dir, &up, NULL) == CLI_DONE ? 0 : -1;
}

static int teardown(void **state)
{
    up_dir_close(&up);
    return dir_remove_tree(dir, NULL);
}

static cJSON *endpoint(void)
{
    return cJSON_Parse(
        "{\"api\":\"http://127.0.0.1:18008\",\"web\":\"http://127.0.0.1:1\","
        "\"files\":\"http://127.0.0.1:2\",\"access_key\":\"A\\\"K\","
        "\"secret_key\":\"S$K\",\"pid\":1}");
}

static mode_t mode_of(const char *name)
{
    struct stat st;
    auto_free char *path = path_join_dup(dir, name);
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

static void test_second_is_refused(void **state)
{
    struct up_dir second;
    struct reeve_error err = {0};
    auto_free char *expected =
        xasprintf("`reeve up` runs on %s already, as process %d", dir, (int)getpid());
    assert_int_equal(up_dir_open(dir, &second, &err), CLI_FAILED);
    assert_string_equal(err.text, expected);
    up_dir_close(&up);
    assert_int_equal(up_dir_open(dir, &up, &err), CLI_DONE);
}

static void test_record(void **state)
{
    struct up_record r = {.ports = {1, 2, 3}}, back;
    r.server = (struct up_process){getpid(), proc_start_time(getpid())};
    r.master = (struct up_process){getpid(), proc_start_time(getpid()) + 1};
    assert_int_equal(up_record_write(&up, &r, NULL), 0);
    up_record_read(&up, &back);
    assert_int_equal(back.server.pid, getpid());
    /* Same number, another process. */
    assert_int_equal(back.master.pid, 0);
    assert_int_equal(back.ports[2], 3);
    auto_free char *path = path_join_dup(dir, "up.json");
    const char *bad[] = {"", "{", "[]", "{\"boot\":1,\"server\":{\"pid\":-1}}"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(file_replace(path, bad[i], strlen(bad[i]), 0600, false, NULL),
                         0);
        up_record_read(&up, &back);
        assert_int_equal(back.server.pid, 0);
    }
}

static void test_published(void **state)
{
    struct reeve_error err = {0};
    auto_json *doc = endpoint();
    auto_free char *config = NULL;
    assert_int_equal(up_write_config(&up, doc, NULL, &config, &err), 0);
    assert_int_equal(up_publish(&up, doc, &err), 0);
    assert_int_equal(mode_of("clearml.conf"), 0600);
    assert_int_equal(mode_of("endpoint.json"), 0600);
    struct config *c = config_load(config, &err);
    assert_non_null(c);
    assert_string_equal(config_str(c, "api.credentials.access_key", ""), "A\"K");
    assert_string_equal(config_str(c, "api.api_server", ""), "http://127.0.0.1:18008");
    config_destroy(c);
    up_unpublish(&up);
    auto_free char *path = path_join_dup(dir, "endpoint.json");
    assert_int_equal(access(path, F_OK), -1);
}

static void test_users_configuration_for_the_master(void **state)
{
    struct reeve_error err = {0};
    auto_json *doc = endpoint();
    auto_free char *config = NULL;
    auto_free char *user = path_join_dup(dir, "my.conf");
    const char *text =
        "api.api_server: http://other\nagent.reeve.defaults.memory: 1g\n";
    assert_int_equal(file_replace(user, text, strlen(text), 0600, false, NULL), 0);
    assert_int_equal(up_write_config(&up, doc, user, &config, &err), 0);
    struct config *c = config_load(config, &err);
    assert_non_null(c);
    assert_string_equal(config_str(c, "api.api_server", ""), "http://127.0.0.1:18008");
    assert_string_equal(config_str(c, "agent.reeve.defaults.memory", ""), "1g");
    config_destroy(c);
}

static struct args *parse(const char *line)
{
    static const struct arg_spec specs[] = {ARGS_SERVER, ARGS_LAST};
    static struct words words;
    words_free(&words);
    assert_int_equal(words_split(line, &words, NULL), 0);
    return args_parse(specs, (int)words.n, words.v, false, NULL);
}

static void test_target(void **state)
{
    struct target t;
    struct reeve_error err = {0};
    auto_json *doc = endpoint();
    auto_free char *line = xasprintf("--data %s", dir);
    setenv("HOME", dir, 1);
    setenv("XDG_DATA_HOME", dir, 1);
    struct args *args = parse(line);
    assert_int_equal(target_find(args, &t, &err), CLI_UNREACHABLE);
    assert_non_null(strstr(err.text, "no server runs on"));
    target_free(&t);
    assert_int_equal(up_publish(&up, doc, &err), 0);
    assert_int_equal(target_find(args, &t, &err), CLI_DONE);
    assert_string_equal(t.api, "http://127.0.0.1:18008");
    assert_string_equal(t.secret_key, "S$K");
    auto_free char *run = path_join_dup(dir, "run");
    assert_string_equal(t.run_dir, run);
    target_free(&t);
    args_free(args);

    args = parse("");
    setenv("REEVE_DATA", dir, 1);
    assert_int_equal(target_find(args, &t, &err), CLI_DONE);
    assert_string_equal(t.api, "http://127.0.0.1:18008");
    target_free(&t);
    unsetenv("REEVE_DATA");
    setenv("CLEARML_API_HOST", "http://variable", 1);
    assert_int_equal(target_find(args, &t, &err), CLI_UNREACHABLE);
    assert_non_null(strstr(err.text, "no keys for it"));
    target_free(&t);
    setenv("CLEARML_AUTH_TOKEN", "T", 1);
    assert_int_equal(target_find(args, &t, &err), CLI_DONE);
    assert_string_equal(t.api, "http://variable");
    assert_string_equal(t.token, "T");
    assert_null(t.access_key);
    target_free(&t);
    args_free(args);
}

static void test_ports(void **state)
{
    assert_int_equal(url_port("http://127.0.0.1:8008"), 8008);
    assert_int_equal(url_port("http://[::1]:9/"), 9);
    assert_int_equal(url_port("http://host"), 0);
    assert_int_equal(url_port("x:99999"), 0);
}

static int count_call(void *arg)
{
    ++*(int *)arg;
    return 0;
}

static void wait_for(const struct up_child *c)
{
    struct pollfd p = {.fd = c->pidfd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 10000), 1);
}

static void test_child(void **state)
{
    struct up_child c;
    int recorded = 0, status = -1;
    up_child_init(&c, "true");
    c.program = xstrdup("/bin/sh");
    words_add(&c.argv, "sh");
    words_add(&c.argv, "-c");
    words_add(&c.argv, "exit 7");
    assert_int_equal(up_child_start(&c, -1, count_call, &recorded, NULL), 0);
    assert_int_equal(recorded, 1);
    assert_true(c.process.start > 0);
    wait_for(&c);
    assert_true(up_child_reap(&c, &status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_int_equal(c.process.pid, 0);
    assert_false(up_child_reap(&c, &status));
    up_child_schedule(&c);
    int64_t first = c.pause_ms;
    up_child_schedule(&c);
    assert_true(first > 0 && c.pause_ms == 2 * first);
    up_child_free(&c);
}

/* What an earlier `up` left behind is ended by pid and start time. */
static void test_take_over(void **state)
{
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    struct up_record r = {.server = {pid, proc_start_time(pid) + 1}};
    assert_int_equal(up_take_over(&up, &r, NULL), 0);
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
    r.server.start--;
    assert_int_equal(up_take_over(&up, &r, NULL), 0);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_second_is_refused),
        TEST(test_record),
        TEST(test_published),
        TEST(test_users_configuration_for_the_master),
        TEST(test_target),
        TEST(test_ports),
        TEST(test_child),
        TEST(test_take_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
