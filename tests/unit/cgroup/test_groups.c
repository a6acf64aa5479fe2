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
#include <unistd.h>

#define MIB (1 << 20)

static void assert_limits_equal(const struct limits *got, const struct limits *want)
{
    assert_int_equal(got->cpu_milli, want->cpu_milli);
    assert_int_equal(got->cpu_weight, want->cpu_weight);
    /* On v1 a group that has had one keeps one, of all processors then. */
    if (want->cpuset[0])
        assert_string_equal(got->cpuset, want->cpuset);
    assert_int_equal(got->memory, want->memory);
    assert_int_equal(got->memory_reservation, want->memory_reservation);
    assert_int_equal(got->pids, want->pids);
}

static bool has_swap_limit(struct cgroup_host *host, const char *path)
{
    struct cgroup_dirs dirs;
    char text[64];
    cgroup_dirs(host, path, &dirs);
    for (int i = 0; i < dirs.count; i++) {
        if (cgroup_file_read(dirs.dir[i], "memory.memsw.limit_in_bytes", text, 64) >
                0 ||
            cgroup_file_read(dirs.dir[i], "memory.swap.max", text, sizeof text) > 0)
            return true;
    }
    return false;
}

static void limits_are_read_back_and_lifted(void **state)
{
    struct cgroup_host *host = *state;
    struct limits l = LIMITS_NONE, got;
    l.cpu_milli = 1500;
    l.cpu_weight = 37;
    l.memory = 64 * MIB;
    l.memory_reservation = 32 * MIB;
    l.memory_swap = 96 * MIB;
    l.pids = 17;
    if (cgroup_host_controllers(host) & CGROUP_CPUSET)
        strcpy(l.cpuset, "0");
    rig_create(host, "run/a/payload", &l);
    assert_int_equal(cgroup_read_limits(host, "run/a/payload", &got, NULL), 0);
    assert_limits_equal(&got, &l);
    if (has_swap_limit(host, "run/a/payload"))
        assert_int_equal(got.memory_swap, 96 * MIB);

    struct limits none = LIMITS_NONE;
    assert_int_equal(cgroup_apply(host, "run/a/payload", &none, NULL), 0);
    assert_int_equal(cgroup_read_limits(host, "run/a/payload", &got, NULL), 0);
    assert_limits_equal(&got, &none);
    assert_int_equal(got.memory_swap, LIMIT_NONE);
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

static void warming_moves_nobody(void **state)
{
    char before[4096], after[4096];
    assert_true(cgroup_file_read("/proc/self", "cgroup", before, sizeof before) > 0);
    /* It may be refused, where our own group is another's. */
    cgroup_warm(*state, NULL);
    assert_true(cgroup_file_read("/proc/self", "cgroup", after, sizeof after) > 0);
    assert_string_equal(before, after);
}

/* Else it would be set again for ever. */
static void a_cpuset_of_all_processors_is_read_back(void **state)
{
    struct cgroup_host *host = *state;
    struct limits l = LIMITS_NONE, got;
    struct cgroup_dirs above;
    if (!(cgroup_host_controllers(host) & CGROUP_CPUSET))
        return;
    strcpy(l.cpuset, "0");
    rig_create(host, "run/a/payload", &l);
    cgroup_dirs(host, "run/a", &above);
    for (int i = 0; i < above.count; i++)
        if (cgroup_file_read(above.dir[i], "cpuset.effective_cpus", l.cpuset, 128) > 0 ||
            cgroup_file_read(above.dir[i], "cpuset.cpus.effective", l.cpuset, 128) > 0)
            break;
    l.cpuset[strcspn(l.cpuset, "\n")] = '\0';
    assert_int_equal(cgroup_apply(host, "run/a/payload", &l, NULL), 0);
    assert_int_equal(cgroup_read_limits(host, "run/a/payload", &got, NULL), 0);
    assert_int_equal(limits_differ(&l, &got), 0);
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

/* A master that is killed while the kernel reclaims memory for a lower limit leaves
 * memory.high, which slows the run for ever. */
static void a_cut_short_apply_is_seen_and_undone(void **state)
{
    struct cgroup_host *host = *state;
    struct limits l = LIMITS_NONE, got;
    struct cgroup_dirs dirs;
    char text[64];
    if (cgroup_host_mode(host) != CGROUP_V2)
        return;
    l.memory = l.memory_swap = 64 * MIB;
    rig_create(host, "run/a/payload", &l);
    cgroup_dirs(host, "run/a/payload", &dirs);
    assert_int_equal(cgroup_file_write(dirs.dir[0], "memory.high", "8388608"), 0);
    assert_int_equal(cgroup_read_limits(host, "run/a/payload", &got, NULL), 0);
    assert_true(limits_differ(&l, &got) != 0);
    assert_int_equal(cgroup_apply(host, "run/a/payload", &l, NULL), 0);
    assert_int_equal(cgroup_read_limits(host, "run/a/payload", &got, NULL), 0);
    assert_int_equal(limits_differ(&l, &got), 0);
    cgroup_file_read(dirs.dir[0], "memory.high", text, sizeof text);
    assert_string_equal(text, "max\n");
    /* The new limit was recorded before, so that it is the wanted one. */
    assert_int_equal(cgroup_file_write(dirs.dir[0], "memory.max", "134217728"), 0);
    assert_int_equal(cgroup_file_write(dirs.dir[0], "memory.high", "67108864"), 0);
    assert_int_equal(cgroup_read_limits(host, "run/a/payload", &got, NULL), 0);
    assert_true(limits_differ(&l, &got) != 0);
    assert_int_equal(cgroup_apply(host, "run/a/payload", &l, NULL), 0);
    assert_int_equal(cgroup_read_limits(host, "run/a/payload", &got, NULL), 0);
    assert_int_equal(limits_differ(&l, &got), 0);
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

/* The order of two writes decides whether v1 takes them. */
static void memory_and_swap_go_up_and_down(void **state)
{
    struct cgroup_host *host = *state;
    static const int64_t sizes[][2] = {
        {64, 64}, {256, 512}, {32, 32}, {512, 512}, {8, 16}};
    struct limits l = LIMITS_NONE, got;
    rig_create(host, "run/a/payload", &l);
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct reeve_error err = {0, ""};
        l.memory = sizes[i][0] * MIB;
        l.memory_swap = sizes[i][1] * MIB;
        if (cgroup_apply(host, "run/a/payload", &l, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(cgroup_read_limits(host, "run/a/payload", &got, NULL), 0);
        assert_int_equal(got.memory, l.memory);
        if (has_swap_limit(host, "run/a/payload"))
            assert_int_equal(got.memory_swap, l.memory_swap);
    }
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

static void every_value_is_taken_by_the_kernel(void **state)
{
    struct cgroup_host *host = *state;
    static const int64_t values[] = {0, 1, 7, 999, 100000, INT32_MAX, INT64_MAX};
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        int64_t v = values[i];
        struct reeve_error err = {0, ""};
        struct limits l = {v, v, "", v, v, v, v, v, v, v, v, v}, got;
        if (cgroup_create(host, "run/a/payload", &l, &err) < 0)
            fail_msg("%s", err.text);
        limits_clamp(&l);
        assert_int_equal(cgroup_read_limits(host, "run/a/payload", &got, NULL), 0);
        assert_int_equal(got.pids, l.pids);
        assert_int_equal(got.cpu_milli, l.cpu_milli);
        assert_int_equal(got.memory, v == INT64_MAX ? LIMIT_NONE : l.memory);
        assert_int_equal(cgroup_remove(host, "run", NULL), 0);
    }
}

static void io_limits_apply_to_every_disk(void **state)
{
    struct cgroup_host *host = *state;
    if (!(cgroup_host_controllers(host) & CGROUP_IO))
        skip();
    struct limits l = LIMITS_NONE, got;
    l.read_bps = 5 * MIB;
    l.write_iops = 70;
    struct reeve_error err = {0, ""};
    if (cgroup_create(host, "run/a/payload", &l, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(cgroup_read_limits(host, "run/a/payload", &got, NULL), 0);
    /* A kernel without throttling, and a host without disks, have no limit to show. */
    if (got.read_bps != LIMIT_NONE) {
        assert_int_equal(got.read_bps, 5 * MIB);
        assert_int_equal(got.write_iops, 70);
        assert_int_equal(got.write_bps, LIMIT_NONE);
        l = (struct limits)LIMITS_NONE;
        assert_int_equal(cgroup_apply(host, "run/a/payload", &l, NULL), 0);
        assert_int_equal(cgroup_read_limits(host, "run/a/payload", &got, NULL), 0);
        assert_int_equal(got.read_bps, LIMIT_NONE);
    }
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

/* Which kernels have weights for disks is another matter: iocost or BFQ. */
static void io_weight_is_set_where_there_is_one(void **state)
{
    static const int64_t weights[] = {1, 4950, 10000};
    struct cgroup_host *host = *state;
    for (size_t i = 0; i < ARRAY_SIZE(weights); i++) {
        struct limits l = LIMITS_NONE, got;
        struct reeve_error err = {0, ""};
        l.io_weight = weights[i];
        if (cgroup_create(host, "run/a/payload", &l, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(cgroup_read_limits(host, "run/a/payload", &got, NULL), 0);
        bool weighs = got.io_weight != LIMIT_NONE;
        if (weighs)
            assert_int_equal(got.io_weight, weights[i]);
        l.io_weight = LIMIT_NONE;
        assert_int_equal(cgroup_apply(host, "run/a/payload", &l, NULL), 0);
        assert_int_equal(cgroup_read_limits(host, "run/a/payload", &got, NULL), 0);
        assert_int_equal(got.io_weight, LIMIT_NONE);
        assert_int_equal(cgroup_remove(host, "run", NULL), 0);
        if (!weighs)
            skip();
    }
}

static void weights_keep_their_value_on_the_other_scale(void **state)
{
    for (int docker = 10; docker <= 1000; docker++)
        assert_int_equal(cgroup_bfq_weight(1 + (docker - 10) * 9999 / 990), docker);
    assert_int_equal(cgroup_bfq_weight(10000), 1000);
}

static void refused_cpuset_is_named_and_leaves_nothing(void **state)
{
    struct cgroup_host *host = *state;
    if (!(cgroup_host_controllers(host) & CGROUP_CPUSET))
        skip();
    struct limits l = LIMITS_NONE;
    strcpy(l.cpuset, "zero");
    struct reeve_error err = {0, ""};
    assert_int_equal(cgroup_create(host, "run/a/payload", &l, &err), -1);
    assert_non_null(strstr(err.text, "cpuset.cpus"));
    struct cgroup_dirs dirs;
    cgroup_dirs(host, "run/a/payload", &dirs);
    for (int i = 0; i < dirs.count; i++)
        assert_int_equal(access(dirs.dir[i], F_OK), -1);
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

static void hostile_paths_are_refused(void **state)
{
    struct cgroup_host *host = *state;
    struct limits l = LIMITS_NONE;
    char too_long[CGROUP_PATH_MAX + 10];
    memset(too_long, 'a', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    const char *const paths[] = {"",       "/",      "/run",        "run/",
                                 "run//a", "..",     "run/../../x", ".",
                                 "a\nb",   "run/.a", "a b",         too_long};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        struct reeve_error err = {0, ""};
        struct cgroup_stat stat;
        int pidfd;
        char *argv[] = {"/bin/true", NULL};
        assert_int_equal(cgroup_create(host, paths[i], &l, &err), -1);
        assert_true(err.text[0] != '\0' && !strchr(err.text, '\n'));
        assert_int_equal(cgroup_apply(host, paths[i], &l, NULL), -1);
        assert_int_equal(cgroup_remove(host, paths[i], NULL), -1);
        assert_int_equal(cgroup_read_stat(host, paths[i], &stat, NULL), -1);
        if (paths[i][0] && host->unified[0])
            assert_int_equal(
                cgroup_spawn(host, paths[i], argv, argv + 1, NULL, 0, &pidfd, NULL),
                -1);
    }
    assert_null(cgroup_host_open("../x", NULL));
    assert_null(cgroup_host_open("", NULL));
}

static void what_is_there_is_eexist(void **state)
{
    struct cgroup_host *host = *state;
    struct limits l = LIMITS_NONE;
    struct reeve_error err = {0, ""};
    rig_create(host, "run/a/payload", &l);
    assert_int_equal(cgroup_create(host, "run/a/payload", &l, &err), -1);
    assert_int_equal(err.code, EEXIST);
    rig_create(host, "run/a/agent", NULL);
    assert_int_equal(cgroup_create(host, "run/a/agent", NULL, &err), -1);
    assert_int_equal(err.code, EEXIST);
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

static void what_is_not_there_is_enoent(void **state)
{
    struct cgroup_host *host = *state;
    struct limits l = LIMITS_NONE;
    struct cgroup_stat stat;
    struct reeve_error err = {0, ""};
    assert_int_equal(cgroup_apply(host, "run/none", &l, &err), -1);
    assert_int_equal(err.code, ENOENT);
    assert_int_equal(cgroup_read_limits(host, "run/none", &l, &err), -1);
    assert_int_equal(err.code, ENOENT);
    assert_int_equal(cgroup_read_stat(host, "run/none", &stat, &err), -1);
    assert_int_equal(err.code, ENOENT);
    assert_int_equal(cgroup_read_cpu(host, "run/none"), -1);
    assert_int_equal(cgroup_remove(host, "run/none", &err), 0);
    struct cgroup_dirs dirs;
    cgroup_dirs(host, "run/none", &dirs);
    assert_false(cgroup_dirs_populated(&dirs));
    assert_true(cgroup_dirs_kill_step(&dirs));
}

static void count_name(const char *name, void *arg)
{
    strcat(strcat(arg, name), " ");
}

/* A run that was half removed is in some hierarchies only, and still a run. */
static void list_names_each_group_once(void **state)
{
    struct cgroup_host *host = *state;
    struct limits l = LIMITS_NONE;
    struct cgroup_dirs dirs;
    char names[128] = "";
    rig_create(host, "run/a/payload", &l);
    rig_create(host, "run/b/payload", &l);
    cgroup_dirs(host, "run/b/payload", &dirs);
    for (int i = 0; i < dirs.count - 1; i++) {
        rmdir(dirs.dir[i]);
        *strrchr(dirs.dir[i], '/') = '\0';
        rmdir(dirs.dir[i]);
    }
    assert_int_equal(cgroup_list(host, "run", count_name, names, NULL), 0);
    if (strcmp(names, "b a ") != 0)
        assert_string_equal(names, "a b ");
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
    names[0] = '\0';
    assert_int_equal(cgroup_list(host, "run", count_name, names, NULL), 0);
    assert_string_equal(names, "");
}

/* Nobody may start in what is left of a group that lost one of its quotas. */
static void a_group_without_a_quota_cannot_be_joined(void **state)
{
    struct cgroup_host *host = *state;
    struct limits l = LIMITS_NONE;
    struct cgroup_dirs all, dirs;
    struct reeve_error err = {0, ""};
    assert_int_equal(cgroup_dirs_enforced(host, "run/a/payload", &dirs, &err), -1);
    assert_int_equal(err.code, ENOENT);
    cgroup_dirs(host, "run/a/payload", &all);
    int refused = 0;
    for (int i = 0; i < all.count; i++) {
        rig_create(host, "run/a/payload", &l);
        assert_int_equal(cgroup_dirs_enforced(host, "run/a/payload", &dirs, NULL), 0);
        for (int k = 0; k < dirs.count; k++)
            assert_int_equal(access(dirs.dir[k], F_OK), 0);
        rmdir(all.dir[i]);
        refused += cgroup_dirs_enforced(host, "run/a/payload", &dirs, NULL) < 0;
        assert_int_equal(cgroup_remove(host, "run", NULL), 0);
    }
    /* cpu, memory, pids and the unified tree, where each is a directory of its own. */
    assert_true(refused >= (all.count == 1 ? 1 : 3));
    if (host->mode != CGROUP_V2)
        assert_true(refused < all.count);
}

static void a_light_group_is_one_directory(void **state)
{
    struct cgroup_host *host = *state;
    struct cgroup_dirs dirs;
    struct cgroup_stat stat;
    struct limits got;
    rig_create(host, "run/a/agent", NULL);
    cgroup_dirs(host, "run/a/agent", &dirs);
    int there = 0;
    for (int i = 0; i < dirs.count; i++)
        there += access(dirs.dir[i], F_OK) == 0;
    assert_int_equal(there, 1);
    assert_int_equal(cgroup_read_stat(host, "run/a/agent", &stat, NULL), 0);
    assert_int_equal(cgroup_read_limits(host, "run/a/agent", &got, NULL), 0);
    struct limits none = LIMITS_NONE;
    assert_limits_equal(&got, &none);
    cgroup_dirs_to_join(host, "run/a/agent", &dirs);
    assert_int_equal(dirs.count, host->unified[0] ? 0 : 1);
    pid_t pid = rig_fork(host, "run/a/agent", rig_pause, NULL);
    cgroup_dirs(host, "run/a/agent", &dirs);
    assert_true(cgroup_dirs_populated(&dirs));
    rig_end(host, "run/a/agent");
    assert_int_equal(WTERMSIG(rig_wait(pid)), SIGKILL);
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

static void a_group_with_a_process_is_busy_and_whole(void **state)
{
    struct cgroup_host *host = *state;
    struct limits l = LIMITS_NONE, got;
    struct reeve_error err = {0, ""};
    l.pids = 9;
    rig_create(host, "run/a/payload", &l);
    pid_t pid = rig_fork(host, "run/a/payload", rig_pause, NULL);
    assert_int_equal(cgroup_remove(host, "run/a", &err), -1);
    assert_int_equal(err.code, EBUSY);
    assert_int_equal(cgroup_read_limits(host, "run/a/payload", &got, NULL), 0);
    assert_int_equal(got.pids, 9);
    rig_end(host, "run/a/payload");
    rig_wait(pid);
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

/* Whoever removes the group need not be the one who reaps. */
static void a_group_of_an_unreaped_process_goes(void **state)
{
    struct cgroup_host *host = *state;
    struct limits l = LIMITS_NONE;
    rig_create(host, "run/a/payload", &l);
    pid_t pid = rig_fork(host, "run/a/payload", rig_pause, NULL);
    kill(pid, SIGKILL);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    rig_end(host, "run/a/payload");
    assert_int_equal(WTERMSIG(rig_wait(pid)), SIGKILL);
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

static void groups_of_the_payload_go_too(void **state)
{
    struct cgroup_host *host = *state;
    struct limits l = LIMITS_NONE;
    struct cgroup_dirs dirs;
    rig_create(host, "run/a/payload", &l);
    cgroup_dirs(host, "run/a/payload", &dirs);
    for (int i = 0; i < dirs.count; i++) {
        static const char *const below[] = {"/x y", "/x y/\xff\n", "/z"};
        char path[CGROUP_PATH_MAX + 32];
        for (size_t k = 0; access(dirs.dir[i], F_OK) == 0 && k < ARRAY_SIZE(below);
             k++) {
            snprintf(path, sizeof path, "%s%s", dirs.dir[i], below[k]);
            if (mkdir(path, 0755) < 0)
                snprintf(path, sizeof path, "%s/n%zu", dirs.dir[i], k),
                    mkdir(path, 0755);
        }
    }
    assert_int_equal(cgroup_remove(host, "run/a", NULL), 0);
    for (int i = 0; i < dirs.count; i++)
        assert_int_equal(access(dirs.dir[i], F_OK), -1);
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_read_back_and_lifted),
        cmocka_unit_test(a_cpuset_of_all_processors_is_read_back),
        cmocka_unit_test(a_cut_short_apply_is_seen_and_undone),
        cmocka_unit_test(memory_and_swap_go_up_and_down),
        cmocka_unit_test(warming_moves_nobody),
        cmocka_unit_test(every_value_is_taken_by_the_kernel),
        cmocka_unit_test(io_limits_apply_to_every_disk),
        cmocka_unit_test(io_weight_is_set_where_there_is_one),
        cmocka_unit_test(weights_keep_their_value_on_the_other_scale),
        cmocka_unit_test(refused_cpuset_is_named_and_leaves_nothing),
        cmocka_unit_test(hostile_paths_are_refused),
        cmocka_unit_test(what_is_there_is_eexist),
        cmocka_unit_test(what_is_not_there_is_enoent),
        cmocka_unit_test(list_names_each_group_once),
        cmocka_unit_test(a_group_without_a_quota_cannot_be_joined),
        cmocka_unit_test(a_light_group_is_one_directory),
        cmocka_unit_test(a_group_with_a_process_is_busy_and_whole),
        cmocka_unit_test(a_group_of_an_unreaped_process_goes),
        cmocka_unit_test(groups_of_the_payload_go_too),
    };
    return rig_main("groups", tests, ARRAY_SIZE(tests));
}
