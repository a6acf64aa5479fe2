/* SPDX-License-Identifier: Apache-2.0 */
/* The record of an attempt: the last one that was written stands, whatever comes after.
 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "subagent/attempt.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static char folder[] = "/tmp/reeve-unit-XXXXXX";
static struct message scratch;
static struct payload written, found;

static int set_up(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove_tree(folder, NULL);
}

static int write_one(struct attempt_file *f, uint32_t attempt)
{
    struct reeve_error err;
    payload_forget(&written);
    written.attempt = attempt;
    written.first_pid = 1000 + (pid_t)attempt;
    written.log_budget = 5000 + attempt;
    written.log_waits = attempt % 2;
    return attempt_write(f, &written, &scratch, &err);
}

/* As a replacement reads it. */
static uint32_t read_back(uint64_t *number)
{
    struct attempt_file f;
    payload_forget(&found);
    assert_int_equal(attempt_open(&f, folder, NULL), 0);
    bool sound = attempt_read(&f, &found, &scratch);
    close(f.fd);
    *number = f.written;
    assert_int_equal(found.first_pid, sound ? 1000 + (pid_t)found.attempt : 0);
    assert_int_equal(found.log_budget, sound ? 5000 + found.attempt : 0);
    assert_int_equal(found.log_waits, sound && found.attempt % 2);
    return sound ? found.attempt : 0;
}

static void open_new(struct attempt_file *f)
{
    auto_free char *path = path_join_dup(folder, "attempt");
    unlink(path);
    assert_int_equal(attempt_open(f, folder, NULL), 0);
}

static void test_the_last_one_counts(void **state)
{
    (void)state;
    struct attempt_file f;
    uint64_t number;
    open_new(&f);
    assert_int_equal(read_back(&number), 0);
    for (uint32_t i = 1; i < 6; i++) {
        assert_int_equal(write_one(&f, i), 0);
        assert_int_equal(read_back(&number), i);
        assert_int_equal(number, i);
    }
    close(f.fd);
    /* Who comes after goes on with the numbers. */
    assert_int_equal(attempt_open(&f, folder, NULL), 0);
    assert_true(attempt_read(&f, &found, &scratch));
    assert_int_equal(write_one(&f, 6), 0);
    assert_int_equal(read_back(&number), 6);
    close(f.fd);
}

static void test_failed_write_leaves_the_last(void **state)
{
    (void)state;
    struct attempt_file f;
    uint64_t number;
    open_new(&f);
    for (uint32_t i = 1; i < 5; i++) {
        assert_int_equal(write_one(&f, i), 0);
        int fd = f.fd;
        f.fd = open("/dev/full", O_RDWR | O_CLOEXEC);
        assert_int_equal(write_one(&f, 100), -1);
        close(f.fd);
        f.fd = fd;
        assert_int_equal(read_back(&number), i);
    }
    close(f.fd);
}

/* The disk, or a quota, takes a part of it. */
static void test_short_write_leaves_the_last(void **state)
{
    (void)state;
    struct attempt_file f;
    struct rlimit all;
    uint64_t number;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &all), 0);
    for (uint32_t i = 1; i < 5; i++) {
        open_new(&f);
        for (uint32_t k = 1; k <= i; k++)
            assert_int_equal(write_one(&f, k), 0);
        /* Slot 0 is written at even numbers, and the limit cuts its first bytes off. */
        struct rlimit some = {(i + 1) % 2 ? 8192 + 40 : 40, all.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &some), 0);
        int result = write_one(&f, 100);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
        assert_int_equal(result, -1);
        assert_int_equal(read_back(&number), i);
        assert_int_equal(write_one(&f, i + 1), 0);
        assert_int_equal(read_back(&number), i + 1);
        close(f.fd);
    }
}

/* The groups of a host with all hierarchies and long names. */
static void test_largest_record(void **state)
{
    (void)state;
    struct attempt_file f;
    struct reeve_error err;
    open_new(&f);
    payload_forget(&written);
    written.attempt = 7;
    written.failed = true;
    written.groups.count = CGROUP_DIRS_MAX;
    for (int i = 0; i < CGROUP_DIRS_MAX; i++)
        memset(written.groups.dir[i], 'a' + i, CGROUP_PATH_MAX - 1);
    memset(written.exit.step, 's', sizeof written.exit.step - 1);
    memset(written.exit.text, 't', sizeof written.exit.text - 1);
    memset(written.exit.left, 'l', sizeof written.exit.left - 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(attempt_write(&f, &written, &scratch, &err), 0);
        payload_forget(&found);
        assert_true(attempt_read(&f, &found, &scratch));
        assert_string_equal(found.groups.dir[9], written.groups.dir[9]);
        assert_string_equal(found.exit.left, written.exit.left);
    }
    close(f.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_one_counts),
        cmocka_unit_test(test_failed_write_leaves_the_last),
        cmocka_unit_test(test_short_write_leaves_the_last),
        cmocka_unit_test(test_largest_record),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
