/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include "base/alloc.h"
#include "cgroup/cgroup-file.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static void the_host_has_what_is_required(void **state)
{
    struct cgroup_host *host = *state;
    unsigned need = CGROUP_CPU | CGROUP_MEMORY | CGROUP_PIDS;
    assert_int_equal(cgroup_host_controllers(host) & need, need);
    struct cgroup_dirs dirs;
    cgroup_dirs(host, "", &dirs);
    assert_true(dirs.count >= 1);
    assert_int_equal(access(dirs.dir[0], F_OK), 0);
    if (cgroup_host_mode(host) == CGROUP_V2)
        assert_int_equal(dirs.count, 1);
}

static void opening_twice_is_fine(void **state)
{
    struct cgroup_host *host = *state;
    struct limits l = LIMITS_NONE;
    rig_create(host, "run/a/payload", &l);
    struct reeve_error err = {0, ""};
    struct cgroup_host *second =
        cgroup_host_open_mode(host->name, host->mode != CGROUP_V1, &err);
    if (!second)
        fail_msg("%s", err.text);
    struct cgroup_stat stat;
    assert_int_equal(cgroup_read_stat(second, "run/a/payload", &stat, NULL), 0);
    /* A root with a run below stays. */
    cgroup_host_close(second, true);
    assert_int_equal(cgroup_read_stat(host, "run/a/payload", &stat, NULL), 0);
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

struct delegation {
    char dir[CGROUP_PATH_MAX];
};

static void own_line(char *out, size_t size)
{
    char text[4096];
    cgroup_file_read("/proc/self", "cgroup", text, sizeof text);
    snprintf(out, size, "%s", strstr(text, "0::"));
    out[strcspn(out, "\n")] = '\0';
}

/* A child of its own: it is moved about, and a mistake must not strand the test. */
static int live_in_delegated_group(void *arg)
{
    struct delegation *d = arg;
    char before[CGROUP_PATH_MAX], during[CGROUP_PATH_MAX], after[CGROUP_PATH_MAX];
    struct reeve_error err = {0, ""};
    if (cgroup_file_write(d->dir, "cgroup.procs", "0") < 0)
        return 2;
    own_line(before, sizeof before);
    struct cgroup_host *host = cgroup_host_open("reeve", &err);
    if (!host) {
        print_error("%s\n", err.text);
        return 3;
    }
    own_line(during, sizeof during);
    if (strcmp(host->base, d->dir) != 0 || !strstr(during, "/reeve/master"))
        return 4;
    struct limits l = LIMITS_NONE;
    l.pids = 5;
    if (cgroup_create(host, "run/a/payload", &l, &err) < 0) {
        print_error("%s\n", err.text);
        return 5;
    }
    /* A second start, from inside the master group, finds the same place. */
    struct cgroup_host *again = cgroup_host_open("reeve", &err);
    if (!again || strcmp(again->unified, host->unified) != 0)
        return 6;
    cgroup_host_close(again, false);
    if (cgroup_remove(host, "run", NULL) < 0)
        return 7;
    cgroup_host_close(host, true);
    own_line(after, sizeof after);
    return strcmp(before, after) == 0 ? 0 : 8;
}

/* The first is as a master that was killed: it never closes. */
static int take_over(void *arg)
{
    struct delegation *d = arg;
    char before[CGROUP_PATH_MAX], after[CGROUP_PATH_MAX], root[CGROUP_PATH_MAX];
    if (cgroup_file_write(d->dir, "cgroup.procs", "0") < 0)
        return 2;
    own_line(before, sizeof before);
    struct cgroup_host *killed = cgroup_host_open("reeve", NULL);
    struct cgroup_host *host = cgroup_host_open("reeve", NULL);
    if (!killed || !host)
        return 3;
    strcpy(root, host->unified);
    cgroup_host_close(killed, false);
    cgroup_host_close(host, true);
    own_line(after, sizeof after);
    if (strcmp(before, after) != 0)
        return 4;
    return access(root, F_OK) < 0 ? 0 : 5;
}

/* Two masters in one delegated group: the last to end leaves it as it was. */
static int live_side_by_side(void *arg)
{
    struct delegation *d = arg;
    char before[CGROUP_PATH_MAX], after[CGROUP_PATH_MAX];
    char roots[2][CGROUP_PATH_MAX];
    struct reeve_error err = {0, ""};
    struct limits l = LIMITS_NONE;
    if (cgroup_file_write(d->dir, "cgroup.procs", "0") < 0)
        return 2;
    own_line(before, sizeof before);
    struct cgroup_host *first = cgroup_host_open("reeve", NULL);
    struct cgroup_host *second = cgroup_host_open("other", NULL);
    if (!first || !second)
        return 3;
    strcpy(roots[0], first->unified);
    strcpy(roots[1], second->unified);
    cgroup_host_close(first, true);
    l.pids = 5;
    if (cgroup_create(second, "run/a/payload", &l, &err) < 0) {
        print_error("%s\n", err.text);
        return 4;
    }
    if (cgroup_remove(second, "run", NULL) < 0)
        return 5;
    cgroup_host_close(second, true);
    own_line(after, sizeof after);
    if (strcmp(before, after) != 0)
        return 6;
    return access(roots[0], F_OK) < 0 && access(roots[1], F_OK) < 0 ? 0 : 7;
}

static void in_delegated_group(struct cgroup_host *host, int (*fn)(void *arg))
{
    if (cgroup_host_mode(host) != CGROUP_V2)
        skip();
    struct delegation d;
    rig_create(host, "unit/service", NULL);
    struct cgroup_dirs dirs;
    cgroup_dirs(host, "unit/service", &dirs);
    strcpy(d.dir, dirs.dir[0]);
    assert_int_equal(setxattr(d.dir, "trusted.delegate", "1", 1, 0), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(fn(&d));
    assert_int_equal(rig_wait(pid), 0);
    rig_end(host, "unit");
}

static void a_delegated_group_is_vacated(void **state)
{
    in_delegated_group(*state, live_in_delegated_group);
}

static void the_next_master_gives_the_group_back(void **state)
{
    in_delegated_group(*state, take_over);
}

static void two_masters_share_a_delegated_group(void **state)
{
    in_delegated_group(*state, live_side_by_side);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_host_has_what_is_required),
        cmocka_unit_test(opening_twice_is_fine),
        cmocka_unit_test(a_delegated_group_is_vacated),
        cmocka_unit_test(the_next_master_gives_the_group_back),
        cmocka_unit_test(two_masters_share_a_delegated_group),
    };
    return rig_main("root", tests, ARRAY_SIZE(tests));
}
