/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/dir-usage.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char top[] = "/tmp/reeve-usage-XXXXXX";

static void write_file(const char *name, size_t n)
{
    auto_free char *path = path_join_dup(top, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (size_t i = 0; i < n; i++)
        putc('x', f);
    assert_int_equal(fclose(f), 0);
}

static int64_t usage(int64_t limit)
{
    int64_t bytes = 0;
    struct reeve_error err;
    if (dir_usage((const char *[]){top, NULL}, limit, NULL, &bytes, &err) < 0)
        fail_msg("%s", err.text);
    return bytes;
}

static void files_count_once(void **state)
{
    auto_free char *a = path_join_dup(top, "a"), *b = path_join_dup(top, "d/b");
    auto_free char *d = path_join_dup(top, "d"), *link = path_join_dup(top, "l");
    int64_t empty = usage(INT64_MAX);
    assert_int_equal(mkdir(d, 0700), 0);
    write_file("a", 1 << 20);
    int64_t one = usage(INT64_MAX);
    assert_true(one - empty >= 1 << 20 && one - empty < 2 << 20);
    assert_int_equal(symlink("/", link), 0);
    assert_int_equal(linkat(AT_FDCWD, a, AT_FDCWD, b, 0), 0);
    int64_t two = usage(INT64_MAX);
    assert_true(two - one < 1 << 18);
    write_file("c", 1 << 20);
    assert_true(usage(INT64_MAX) - two >= 1 << 20);
    /* Enough is known. */
    assert_true(usage(0) > 0);
}

static void what_is_not_there_is_nothing(void **state)
{
    int64_t bytes = 7;
    const char *none[] = {"/nonexistent/x", NULL}, *both[] = {top, NULL};
    assert_int_equal(dir_usage(none, 10, NULL, &bytes, NULL), 0);
    assert_int_equal(bytes, 0);
    atomic_bool stop = true;
    assert_int_equal(dir_usage(both, INT64_MAX, &stop, &bytes, NULL), 0);
}

/* Names elsewhere make a file no smaller, nor do names in two of the folders make it
 * larger. */
static void names_elsewhere_do_not_hide_a_file(void **state)
{
    auto_free char *in = path_join_dup(top, "in"), *out = path_join_dup(top, "out");
    auto_free char *file = path_join_dup(in, "f"), *other = path_join_dup(out, "f");
    const char *one[] = {in, NULL}, *both[] = {in, out, NULL};
    int64_t alone, linked, together;
    assert_int_equal(mkdir(in, 0700) | mkdir(out, 0700), 0);
    write_file("in/f", 1 << 20);
    assert_int_equal(dir_usage(one, INT64_MAX, NULL, &alone, NULL), 0);
    assert_int_equal(linkat(AT_FDCWD, file, AT_FDCWD, other, 0), 0);
    assert_int_equal(dir_usage(one, INT64_MAX, NULL, &linked, NULL), 0);
    assert_int_equal(linked, alone);
    assert_int_equal(dir_usage(both, INT64_MAX, NULL, &together, NULL), 0);
    assert_true(together < alone + (1 << 18));
    for (int i = 0; i < 500; i++) {
        auto_free char *name = xasprintf("%s/%d", in, i);
        auto_free char *twin = xasprintf("%s/%d", out, i);
        int fd = open(name, O_WRONLY | O_CREAT, 0600);
        assert_int_equal(write(fd, "x", 1), 1);
        close(fd);
        assert_int_equal(link(name, twin), 0);
    }
    assert_int_equal(dir_usage(both, INT64_MAX, NULL, &linked, NULL), 0);
    assert_int_equal(dir_usage(one, INT64_MAX, NULL, &alone, NULL), 0);
    assert_true(linked - alone < 1 << 18);
}

static void a_link_in_the_place_of_a_folder_is_told(void **state)
{
    auto_free char *link = path_join_dup(top, "elsewhere");
    const char *paths[] = {link, NULL};
    struct reeve_error err;
    int64_t bytes;
    assert_int_equal(symlink("/", link), 0);
    assert_int_equal(dir_usage(paths, INT64_MAX, NULL, &bytes, &err), -1);
    assert_int_equal(err.code, ELOOP);
}

static void depth_is_bounded(void **state)
{
    const char *paths[] = {top, NULL};
    struct reeve_error err;
    int64_t bytes = 0;
    int at = open(top, O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 1100; i++) {
        assert_int_equal(mkdirat(at, "n", 0700), 0);
        int below = openat(at, "n", O_RDONLY | O_DIRECTORY);
        close(at);
        at = below;
    }
    close(at);
    assert_int_equal(dir_usage(paths, INT64_MAX, NULL, &bytes, &err), -1);
    assert_int_equal(err.code, ELOOP);
}

static int set_up(void **state)
{
    return mkdtemp(top) ? 0 : -1;
}

static int tear_down(void **state)
{
    return dir_remove_tree(top, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_count_once),
        cmocka_unit_test(what_is_not_there_is_nothing),
        cmocka_unit_test(names_elsewhere_do_not_hide_a_file),
        cmocka_unit_test(a_link_in_the_place_of_a_folder_is_told),
        cmocka_unit_test(depth_is_bounded),
    };
    return cmocka_run_group_tests_name("dir_usage", tests, set_up, tear_down);
}
