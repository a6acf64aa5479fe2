/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BOUND_MS 30000

static struct cgroup_host *open_host(bool use_unified, struct reeve_error *err)
{
    char name[64];
    snprintf(name, sizeof name, "reeve-test-%d", (int)getpid());
    return cgroup_host_open_mode(name, use_unified, err);
}

static int setup(void **state, bool use_unified)
{
    struct reeve_error err;
    *state = open_host(use_unified, &err);
    if (!*state)
        print_error("%s\n", err.text);
    return *state ? 0 : -1;
}

static int setup_all(void **state)
{
    return setup(state, true);
}

static int setup_plain(void **state)
{
    return setup(state, false);
}

static void print_left(const char *name, void *arg)
{
    /* Where the host moved us to; it goes with the root, which is looked at later. */
    if (strcmp(name, "master") == 0)
        return;
    print_error("cgroup left behind: %s\n", name);
    ++*(int *)arg;
}

static int teardown(void **state)
{
    struct cgroup_host *host = *state;
    struct cgroup_dirs roots;
    int left = 0;
    cgroup_list(host, "", print_left, &left, NULL);
    if (left)
        rig_end(host, "run");
    cgroup_dirs(host, "", &roots);
    cgroup_host_close(host, true);
    for (int i = 0; i < roots.count; i++) {
        if (access(roots.dir[i], F_OK) == 0)
            print_left(roots.dir[i], &left);
    }
    return left ? -1 : 0;
}

int rig_main(const char *name, const struct CMUnitTest *tests, size_t count)
{
    struct reeve_error err;
    struct cgroup_host *host = open_host(true, &err);
    if (!host) {
        printf("skipped: %s\n", err.text);
        return 77;
    }
    enum cgroup_mode mode = cgroup_host_mode(host);
    cgroup_host_close(host, true);
    char group[80];
    snprintf(group, sizeof group, "%s on %s", name, cgroup_mode_name(mode));
    int failed = _cmocka_run_group_tests(group, tests, count, setup_all, teardown);
    if (mode == CGROUP_HYBRID) {
        snprintf(group, sizeof group, "%s on v1", name);
        failed += _cmocka_run_group_tests(group, tests, count, setup_plain, teardown);
    }
    return failed ? 1 : 0;
}

void rig_create(struct cgroup_host *host, const char *path, const struct limits *limits)
{
    struct reeve_error err = {0, ""};
    if (cgroup_create(host, path, limits, &err) < 0)
        fail_msg("%s", err.text);
}

static void existing_dirs(struct cgroup_host *host, const char *path,
                          struct cgroup_dirs *out)
{
    struct cgroup_dirs all;
    cgroup_dirs(host, path, &all);
    out->count = 0;
    for (int i = 0; i < all.count; i++) {
        if (access(all.dir[i], F_OK) == 0)
            strcpy(out->dir[out->count++], all.dir[i]);
    }
}

pid_t rig_fork(struct cgroup_host *host, const char *path, int (*fn)(void *), void *arg)
{
    struct cgroup_dirs dirs;
    existing_dirs(host, path, &dirs);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char joined = cgroup_dirs_join(&dirs) == 0 ? 'y' : 'n';
        if (write(ends[1], &joined, 1) != 1 || joined != 'y')
            _exit(99);
        close(ends[0]);
        close(ends[1]);
        _exit(fn(arg));
    }
    char joined = 0;
    close(ends[1]);
    assert_int_equal(read(ends[0], &joined, 1), 1);
    close(ends[0]);
    assert_int_equal(joined, 'y');
    return pid;
}

void rig_sleep_ms(int ms)
{
    poll(NULL, 0, ms);
}

int rig_wait(pid_t pid)
{
    int64_t end = clock_boot_ms() + BOUND_MS;
    int status;
    pid_t got;
    while ((got = waitpid(pid, &status, WNOHANG)) == 0 && clock_boot_ms() < end)
        rig_sleep_ms(5);
    if (got != pid)
        fail_msg("process %d has not ended", (int)pid);
    return status;
}

bool rig_wait_empty(struct cgroup_host *host, const char *path)
{
    struct cgroup_dirs dirs;
    cgroup_dirs(host, path, &dirs);
    int64_t end = clock_boot_ms() + BOUND_MS;
    while (cgroup_dirs_populated(&dirs) && clock_boot_ms() < end)
        rig_sleep_ms(5);
    return !cgroup_dirs_populated(&dirs);
}

void rig_end(struct cgroup_host *host, const char *path)
{
    struct cgroup_dirs dirs;
    struct reeve_error err = {0, ""};
    cgroup_dirs(host, path, &dirs);
    int64_t end = clock_boot_ms() + BOUND_MS;
    while (!cgroup_dirs_kill_step(&dirs)) {
        if (clock_boot_ms() > end)
            fail_msg("processes are left in %s", path);
        rig_sleep_ms(2);
    }
    while (cgroup_remove(host, path, &err) < 0) {
        if (err.code != EBUSY || clock_boot_ms() > end)
            fail_msg("%s", err.text);
        rig_sleep_ms(2);
    }
}

int rig_pause(void *arg)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
        pause();
}
