/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "master/syncer.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    char dir[64];
    struct ev_loop *loop;
    struct syncer *syncer;
    unsigned done, failed;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    strcpy(f->dir, "/tmp/reeve-syncer-XXXXXX");
    f->loop = ev_loop_new(0);
    f->syncer = syncer_create(f->loop, NULL);
    *state = f;
    return mkdtemp(f->dir) && f->syncer ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    syncer_destroy(f->syncer);
    ev_loop_destroy(f->loop);
    int rc = dir_remove_tree(f->dir, NULL);
    free(f);
    return rc;
}

static void count_done(void *arg, const struct reeve_error *err)
{
    struct fixture *f = arg;
    f->done++;
    f->failed += err != NULL;
}

static void run_until(struct fixture *f, unsigned done)
{
    for (int i = 0; f->done < done && i < 1000; i++)
        ev_run(f->loop, EVRUN_ONCE);
    assert_int_equal(f->done, done);
}

static void test_many_files_arrive(void **state)
{
    struct fixture *f = *state;
    char path[128];
    for (int i = 0; i < 50; i++) {
        snprintf(path, sizeof path, "%s/%d", f->dir, i);
        char *data = xasprintf("content %d", i);
        syncer_replace(f->syncer, path, data, strlen(data), count_done, f);
    }
    run_until(f, 50);
    assert_int_equal(f->failed, 0);
    for (int i = 0; i < 50; i++) {
        auto_buf text = BUF_INIT;
        snprintf(path, sizeof path, "%s/%d", f->dir, i);
        assert_int_equal(file_read(path, &text, 100, NULL), 0);
        auto_free char *expected = xasprintf("content %d", i);
        assert_string_equal(buf_str(&text), expected);
    }
}

static void test_later_content_wins(void **state)
{
    struct fixture *f = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/same", f->dir);
    for (int i = 0; i < 20; i++) {
        char *data = xasprintf("%d", i);
        syncer_replace(f->syncer, path, data, strlen(data), count_done, f);
    }
    run_until(f, 20);
    auto_buf text = BUF_INIT;
    assert_int_equal(file_read(path, &text, 100, NULL), 0);
    assert_string_equal(buf_str(&text), "19");
}

static void test_failure_is_told_and_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/missing/file", f->dir);
    syncer_replace(f->syncer, path, xstrdup("x"), 1, count_done, f);
    run_until(f, 1);
    assert_int_equal(f->failed, 1);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_forgotten_callback_does_not_run(void **state)
{
    struct fixture *f = *state, other = {0};
    char path[128];
    snprintf(path, sizeof path, "%s/a", f->dir);
    syncer_replace(f->syncer, path, xstrdup("x"), 1, count_done, &other);
    syncer_forget(f->syncer, &other);
    syncer_replace(f->syncer, path, xstrdup("y"), 1, count_done, f);
    run_until(f, 1);
    assert_int_equal(other.done, 0);
}

static void test_tree_is_removed(void **state)
{
    struct fixture *f = *state;
    char path[160], tree[128];
    snprintf(tree, sizeof tree, "%s/tree", f->dir);
    snprintf(path, sizeof path, "%s/a/b/c", tree);
    assert_int_equal(dir_make(path, 0700, NULL), 0);
    syncer_remove_tree(f->syncer, tree);
    snprintf(path, sizeof path, "%s/after", f->dir);
    syncer_replace(f->syncer, path, xstrdup("x"), 1, count_done, f);
    run_until(f, 1);
    assert_int_equal(access(tree, F_OK), -1);
}

static int sleep_briefly(void *arg, struct reeve_error *err)
{
    usleep(20000);
    return 0;
}

static unsigned left_of(const char *dir, unsigned n)
{
    unsigned left = 0;
    for (unsigned i = 0; i < n; i++) {
        auto_free char *path = xasprintf("%s/%u", dir, i);
        left += access(path, F_OK) == 0;
    }
    return left;
}

/* Removals that another master does as well are in nobody's way; those that fit are
 * done. */
static void test_what_has_not_begun_is_dropped(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 50; i++) {
        auto_free char *path = xasprintf("%s/%u", f->dir, i);
        assert_int_equal(dir_make(path, 0700, NULL), 0);
        syncer_call(f->syncer, sleep_briefly, NULL, NULL);
        syncer_remove_tree(f->syncer, path);
    }
    syncer_destroy_within(f->syncer, 0);
    unsigned left = left_of(f->dir, 50);
    assert_true(left >= 40);
    f->syncer = syncer_create(f->loop, NULL);
    for (unsigned i = 0; i < 50; i++) {
        auto_free char *path = xasprintf("%s/%u", f->dir, i);
        syncer_remove_tree(f->syncer, path);
    }
    syncer_destroy_within(f->syncer, 30000);
    assert_int_equal(left_of(f->dir, 50), 0);
    f->syncer = NULL;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_many_files_arrive),
        T(test_later_content_wins),
        T(test_failure_is_told_and_leaves_nothing),
        T(test_forgotten_callback_does_not_run),
        T(test_tree_is_removed),
        T(test_what_has_not_begun_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
