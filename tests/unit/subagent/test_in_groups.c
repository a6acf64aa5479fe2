/* SPDX-License-Identifier: Apache-2.0 */
/* A payload in control groups: joined, signalled, swept. */
#include "../unit.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "cgroup/cgroup-dirs.h"
#include "driver.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static bool has_process(const char *group, pid_t pid)
{
    auto_free char *path = path_join_dup(group, "cgroup.procs");
    auto_buf procs = BUF_INIT;
    assert_int_equal(file_read(path, &procs, 1 << 20, NULL), 0);
    char *p = procs.data;
    for (char *line = p ? strtok(p, "\n") : NULL; line; line = strtok(NULL, "\n"))
        if (atoi(line) == pid)
            return true;
    return false;
}

static void assert_empty(struct driver *d)
{
    struct cgroup_dirs dirs = {.count = d->groups};
    for (int i = 0; i < d->groups; i++)
        snprintf(dirs.dir[i], sizeof dirs.dir[i], "%s", d->group[i]);
    assert_false(cgroup_dirs_populated(&dirs));
}

static void test_both_are_where_they_belong(void **state)
{
    struct driver *d = *state;
    driver_make_groups(d);
    driver_begin(d);
    assert_true(has_process(d->join, d->agent));
    driver_start(d, &(struct start){.script = "echo up; sleep 1000"});
    driver_expect(d, MESSAGE_STARTED);
    pid_t pid = (pid_t)driver_u64(d, TAG_PAYLOAD_PID, 0);
    assert_true(driver_wait_log(d, "up\n"));
    for (int i = 0; i < d->groups; i++) {
        assert_true(has_process(d->group[i], pid));
        assert_false(has_process(d->group[i], d->agent));
    }
    driver_stop(d, 0);
    driver_expect(d, MESSAGE_EXITED);
    assert_int_equal(driver_u64(d, TAG_EXIT_SIGNAL, 0), SIGKILL);
    assert_empty(d);
}

/* Every process of the group gets the signal, in whatever session it is. */
static void test_stop_reaches_all(void **state)
{
    struct driver *d = *state;
    driver_make_groups(d);
    driver_begin(d);
    driver_start(d, &(struct start){
                        .script =
                            "setsid bash -c 'trap \"echo other; exit\" TERM; echo up\n"
                            "while :; do sleep 0.05; done' &\n"
                            "trap 'sleep 0.5; echo first; exit 6' TERM\n"
                            "while :; do sleep 0.05; done"});
    assert_true(driver_wait_log(d, "up\n"));
    driver_stop(d, 20000);
    driver_expect(d, MESSAGE_EXITED);
    assert_int_equal(driver_u64(d, TAG_EXIT_CODE, 99), 6);
    assert_string_equal(driver_text(d, TAG_LEFT_BEHIND), "");
    /* bash says "Terminated" of its sleep in between. */
    auto_buf log = BUF_INIT;
    driver_read(d, &log);
    assert_non_null(strstr(log.data, "other\n"));
    assert_non_null(strstr(log.data, "first\n"));
}

static void test_what_is_left_is_named_and_ended(void **state)
{
    struct driver *d = *state;
    driver_make_groups(d);
    driver_begin(d);
    /* It closes its streams too, so that nothing but the group knows of it. */
    driver_start(d, &(struct start){
                        .script = "(setsid bash -c 'trap \"\" TERM HUP; echo $BASHPID\n"
                                  "exec sleep 1000 >/dev/null 2>&1' &)\n"
                                  "sleep 0.3; exit 0",
                        .linger_ms = 60000});
    driver_expect(d, MESSAGE_EXITED);
    assert_int_equal(driver_u64(d, TAG_EXIT_CODE, 99), 0);
    assert_int_equal(strncmp(driver_text(d, TAG_LEFT_BEHIND), "sleep (", 7), 0);
    assert_empty(d);
}

/* Processes that fork faster than one can look. */
static void test_forking_crowd(void **state)
{
    struct driver *d = *state;
    driver_make_groups(d);
    driver_begin(d);
    driver_start(d, &(struct start){
                        .script =
                            "f() { for i in 1 2 3 4 5 6 7 8; do\n"
                            "(trap '' TERM; while :; do sleep 0.01; done) & done; }\n"
                            "f; echo up; exit 2",
                        .linger_ms = 200});
    driver_expect(d, MESSAGE_EXITED);
    assert_int_equal(driver_u64(d, TAG_EXIT_CODE, 99), 2);
    assert_true(strlen(driver_text(d, TAG_LEFT_BEHIND)) > 20);
    assert_empty(d);
}

/* Never two payloads at a time. */
static void test_start_into_a_populated_group(void **state)
{
    struct driver *d = *state;
    driver_make_groups(d);
    driver_begin(d);
    pid_t old = fork();
    if (old == 0) {
        for (;;)
            pause();
    }
    auto_free char *procs = path_join_dup(d->group[0], "cgroup.procs");
    auto_close fd = open(procs, O_WRONLY | O_CLOEXEC);
    assert_true(dprintf(fd, "%d", (int)old) > 0);
    int status;
    /* One that has not ended yet is there to be seen; one that has is no process. */
    auto_free char *script =
        xasprintf("grep -v Z /proc/%d/stat 2>/dev/null || echo through", (int)old);
    driver_start(d, &(struct start){.script = script});
    assert_int_equal(waitpid(old, &status, 0), old);
    assert_int_equal(WTERMSIG(status), SIGKILL);
    driver_expect(d, MESSAGE_EXITED);
    assert_string_equal(driver_text(d, TAG_TEXT), "");
    assert_int_equal(driver_u64(d, TAG_EXIT_CODE, 99), 0);
    assert_true(driver_wait_log(d, "through\n"));
}

static void test_missing_group_of_its_own(void **state)
{
    struct driver *d = *state;
    snprintf(d->join, sizeof d->join, "%s/missing", d->top);
    driver_spawn(d);
    assert_int_equal(WEXITSTATUS(driver_wait_agent(d)), 1);
}

int main(void)
{
#define DRIVEN(f) cmocka_unit_test_setup_teardown(f, driver_setup, driver_teardown)
    const struct CMUnitTest tests[] = {
        DRIVEN(test_both_are_where_they_belong),
        DRIVEN(test_stop_reaches_all),
        DRIVEN(test_what_is_left_is_named_and_ended),
        DRIVEN(test_forking_crowd),
        DRIVEN(test_start_into_a_populated_group),
        DRIVEN(test_missing_group_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
