/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are written again and again. */
#include "config.h"

#include "../unit.h"

#include "base/alloc.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(const char *path, const char *text)
{
    auto_buf content = BUF_INIT;
    struct stat st;
    assert_int_equal(file_renew(path, text, strlen(text), 0600, NULL), 0);
    assert_int_equal(file_read(path, &content, 4096, NULL), 0);
    assert_string_equal(buf_str(&content), text);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static ino_t inode(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_ino;
}

static void test_renew(void **state)
{
    char dir[] = "/tmp/reeve-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    mode_t before = umask(0777);
    auto_free char *path = path_join_dup(dir, "a");
    auto_free char *tmp = path_join_dup(dir, "a.new");
    check(path, "one");
    check(path, "a longer one");
    ino_t both[] = {inode(path), inode(tmp)};
    check(path, "short");
    check(path, "");
    check(path, "again");
    /* The same two files in turn. */
    assert_int_equal(inode(path), both[1]);
    assert_int_equal(inode(tmp), both[0]);
    /* What a writer that was killed has left there is no part of the next one. */
    assert_int_equal(file_replace(tmp, "left by a dead writer", 21, 0600, false, NULL),
                     0);
    check(path, "new");
    umask(before);
    assert_int_equal(dir_remove_tree(dir, NULL), 0);
    struct reeve_error err;
    assert_int_equal(file_renew(path, "x", 1, 0600, &err), -1);
    assert_int_equal(err.code, ENOENT);
}

/* What a program can make with mkdir and chdir: neither descriptors nor the stack may
 * grow with it. */
static void test_deep_tree_is_removed(void **state)
{
    char dir[] = "/tmp/reeve-test-XXXXXX";
    struct rlimit before, few;
    assert_non_null(mkdtemp(dir));
    int at = open(dir, O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(mkdirat(at, "n", 0700), 0);
        assert_int_equal(mkdirat(at, "deep.1", 0700), 0);
        int below = openat(at, "n", O_RDONLY | O_DIRECTORY);
        close(at);
        at = below;
    }
    close(at);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 100;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    atomic_bool stop = true;
    struct reeve_error err = {0};
    assert_int_equal(dir_remove_tree_until(dir, &stop, &err), -1);
    assert_int_equal(err.code, ECANCELED);
    if (dir_remove_tree(dir, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(access(dir, F_OK), -1);
}

/* A chain of folders, which are made if they are missing; the last have this mode. */
static void make_chain(const char *dir, mode_t mode)
{
    int at = open(dir, O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 100; i++) {
        mkdirat(at, "n", 0700);
        int below = openat(at, "n", O_RDONLY | O_DIRECTORY);
        if (i > 50)
            fchmod(at, mode);
        close(at);
        at = below;
    }
    close(at);
}

static int remove_chain(void)
{
    char dir[] = "/tmp/reeve-test-XXXXXX";
    struct reeve_error err = {0};
    /* Nothing is closed to root. */
    if (geteuid() == 0 && (setegid(65534) < 0 || seteuid(65534) < 0))
        return 2;
    if (!mkdtemp(dir))
        return 3;
    make_chain(dir, 0500);
    alarm(20);
    int rc = dir_remove_tree(dir, &err);
    bool failed = rc < 0 && err.code == EACCES;
    make_chain(dir, 0700);
    return dir_remove_tree(dir, NULL) < 0 ? 4 : !failed;
}

/* It fails, and does not try for ever. */
static void test_deep_tree_is_closed(void **state)
{
    int status = -1;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(remove_chain());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_renew),
                                       cmocka_unit_test(test_deep_tree_is_removed),
                                       cmocka_unit_test(test_deep_tree_is_closed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
