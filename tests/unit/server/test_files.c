/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "server/files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char root[64], uploads[80], files[80];

static int setup(void **state)
{
    strcpy(root, "/tmp/reeve-files-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    snprintf(uploads, sizeof uploads, "%s/uploads", root);
    snprintf(files, sizeof files, "%s/files", root);
    return mkdir(uploads, 0700) || mkdir(files, 0700);
}

static int teardown(void **state)
{
    return dir_remove_tree(root, NULL);
}

static int store(const char *path, const char *text)
{
    auto_free char *temporary = NULL;
    auto_close fd = files_create(uploads, &temporary);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
    return files_publish(temporary, files, path);
}

static void test_normalise(void **state)
{
    static const char *const good[][2] = {
        {"/a//b/../c", "a/c"},  {"./x", "x"},    {"a/..//b", "b"},
        {"..a/b..", "..a/b.."}, {"a/b/", "a/b"}, {"a/./b/../../c", "c"}};
    static const char *const bad[] = {
        "", "/", "..", "../a", "a/../..", "/../etc/passwd", "a/../../a", "."};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        auto_free char *path = files_normalise_dup(good[i][0]);
        assert_string_equal(path, good[i][1]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_null(files_normalise_dup(bad[i]));
}

static void test_store_read_remove(void **state)
{
    struct stat st;
    assert_int_equal(store("a/b/c.txt", "one"), 0);
    assert_int_equal(store("a/b/c.txt", "three"), 0);
    int fd = files_open(files, "a/b/c.txt", &st);
    assert_true(fd >= 0);
    assert_int_equal(st.st_size, 5);
    close(fd);
    assert_int_equal(files_open(files, "a/b", &st), -1);
    assert_int_equal(files_remove(files, "a/b"), -1);
    assert_int_equal(store("a/b", "x"), -1); /* a folder is there */
    assert_int_equal(store("a/b/c.txt/d", "x"), -1);
    assert_int_equal(files_remove(files, "a/b/c.txt"), 0);
    assert_int_equal(files_open(files, "a/b/c.txt", &st), -1);
    assert_int_equal(store("a/b/d/e", "x"), 0);
    assert_int_equal(files_remove_tree(files, "a/b", NULL), 0);
    assert_int_equal(files_open(files, "a/b/d/e", &st), -1);
    struct reeve_error err;
    assert_int_equal(files_remove_tree(files, "a/b", &err), -1);
    assert_int_equal(err.code, ENOENT);
}

static void test_links_lead_nowhere(void **state)
{
    struct stat st;
    auto_free char *link_dir = path_join_dup(files, "out");
    auto_free char *link_file = path_join_dup(files, "passwd");
    assert_int_equal(symlink("/tmp", link_dir), 0);
    assert_int_equal(symlink("/etc/passwd", link_file), 0);
    assert_int_equal(files_open(files, "passwd", &st), -1);
    assert_int_equal(store("out/reeve-escaped", "x"), -1);
    assert_int_equal(access("/tmp/reeve-escaped", F_OK), -1);
    assert_int_equal(files_remove(files, "passwd"), -1);
    assert_int_equal(files_open(files, "out/anything", &st), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_normalise, setup, teardown),
        cmocka_unit_test_setup_teardown(test_store_read_remove, setup, teardown),
        cmocka_unit_test_setup_teardown(test_links_lead_nowhere, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
