/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"
#include "base/clock.h"

#include "base/alloc.h"
#include "cgroup/cgroup-file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1 << 20)
#define PAYLOAD "run/a/payload"

static struct cgroup_stat read_stat(struct cgroup_host *host)
{
    struct cgroup_stat stat;
    struct reeve_error err = {0, ""};
    if (cgroup_read_stat(host, PAYLOAD, &stat, &err) < 0)
        fail_msg("%s", err.text);
    return stat;
}

/* Touches every page of so many MiB, by mmap, so that no allocator is in between. */
static int eat(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++) {
        char *p =
            mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            return 3;
        memset(p, 1, MIB);
    }
    return 0;
}

static struct limits memory_quota(void)
{
    struct limits l = LIMITS_NONE;
    l.memory = 24 * MIB;
    l.memory_swap = 24 * MIB;
    return l;
}

static void too_much_memory_is_oom(void **state)
{
    struct cgroup_host *host = *state;
    struct limits l = memory_quota();
    int mib = 200;
    rig_create(host, PAYLOAD, &l);
    int status = rig_wait(rig_fork(host, PAYLOAD, eat, &mib));
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    struct cgroup_stat stat = read_stat(host);
    assert_true(stat.oom >= 1);
    assert_true(stat.oom_kill >= 1);
    if (stat.memory_peak >= 0) {
        assert_true(stat.memory_peak > 16 * MIB);
        assert_true(stat.memory_peak <= 24 * MIB);
    }
    rig_end(host, PAYLOAD);
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

static void enough_memory_is_no_oom(void **state)
{
    struct cgroup_host *host = *state;
    struct limits l = memory_quota();
    int mib = 8;
    rig_create(host, PAYLOAD, &l);
    assert_int_equal(rig_wait(rig_fork(host, PAYLOAD, eat, &mib)), 0);
    struct cgroup_stat stat = read_stat(host);
    assert_int_equal(stat.oom, 0);
    assert_int_equal(stat.oom_kill, 0);
    rig_end(host, PAYLOAD);
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

static int64_t swap_free(void)
{
    char text[8192];
    cgroup_file_read("/proc", "meminfo", text, sizeof text);
    const char *line = strstr(text, "SwapFree:");
    return line ? strtoll(line + 9, NULL, 10) * 1024 : 0;
}

/* What memory and swap together allow, and not a page more. */
static void swap_is_bounded(void **state)
{
    struct cgroup_host *host = *state;
    struct limits l = memory_quota(), got;
    int fits = 34, too_much = 60;
    if (swap_free() < 21 * MIB)
        skip();
    l.memory_swap = 44 * MIB;
    rig_create(host, PAYLOAD, &l);
    assert_int_equal(cgroup_read_limits(host, PAYLOAD, &got, NULL), 0);
    if (got.memory_swap == l.memory_swap) {
        assert_int_equal(rig_wait(rig_fork(host, PAYLOAD, eat, &fits)), 0);
        assert_int_equal(read_stat(host).oom_kill, 0);
        assert_int_equal(WTERMSIG(rig_wait(rig_fork(host, PAYLOAD, eat, &too_much))),
                         SIGKILL);
    }
    rig_end(host, PAYLOAD);
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

/* The same signal as the kernel's, from someone else. */
static void a_plain_sigkill_is_no_oom(void **state)
{
    struct cgroup_host *host = *state;
    struct limits l = memory_quota();
    rig_create(host, PAYLOAD, &l);
    pid_t pid = rig_fork(host, PAYLOAD, rig_pause, NULL);
    kill(pid, SIGKILL);
    assert_int_equal(WTERMSIG(rig_wait(pid)), SIGKILL);
    struct cgroup_stat stat = read_stat(host);
    assert_int_equal(stat.oom, 0);
    assert_int_equal(stat.oom_kill, 0);
    rig_end(host, PAYLOAD);
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

/* A file's pages fill the quota and are given back: the limit was hit, nobody died. */
static int fill_page_cache(void *arg)
{
    char name[] = "/var/tmp/reeve-test-XXXXXX";
    int fd = mkstemp(name);
    if (fd < 0)
        return 3;
    unlink(name);
    char *block = calloc(1, MIB);
    if (!block)
        return 3;
    for (int i = 0; i < 48; i++) {
        if (write(fd, block, MIB) != MIB)
            return 4;
    }
    return 0;
}

static void page_cache_at_the_limit_is_no_oom(void **state)
{
    struct cgroup_host *host = *state;
    struct limits l = memory_quota();
    struct statfs fs;
    assert_int_equal(statfs("/var/tmp", &fs), 0);
    /* Files in memory cannot be given back, and below an overlay there may be such. */
    if (fs.f_type == TMPFS_MAGIC || fs.f_type == OVERLAYFS_SUPER_MAGIC)
        skip();
    rig_create(host, PAYLOAD, &l);
    assert_int_equal(rig_wait(rig_fork(host, PAYLOAD, fill_page_cache, NULL)), 0);
    assert_int_equal(read_stat(host).oom, 0);
    rig_end(host, PAYLOAD);
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

static int fork_until_refused(void *arg)
{
    for (int i = 0; i < 100; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(rig_pause(NULL));
        if (pid < 0)
            return errno == EAGAIN ? i : 200;
    }
    return 201;
}

static void forks_beyond_the_quota_are_refused(void **state)
{
    struct cgroup_host *host = *state;
    struct limits l = LIMITS_NONE;
    l.pids = 8;
    rig_create(host, PAYLOAD, &l);
    int status = rig_wait(rig_fork(host, PAYLOAD, fork_until_refused, NULL));
    assert_true(WIFEXITED(status));
    /* Eight with the one that forks. */
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_true(read_stat(host).pids_refused >= 1);
    rig_end(host, PAYLOAD);
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

/* Spins until it is killed, or for a minute of wall time, whatever CPU time that gives.
 */
static int spin(void *arg)
{
    int64_t end = clock_boot_ms() + 60000;
    while (clock_boot_ms() < end) {
    }
    return 0;
}

/* How long that takes depends on what else the host has to do. */
static void cpu_beyond_the_quota_is_throttled(void **state)
{
    struct cgroup_host *host = *state;
    struct limits l = LIMITS_NONE;
    l.cpu_milli = 200;
    rig_create(host, PAYLOAD, &l);
    int64_t start = clock_boot_ms();
    pid_t pid = rig_fork(host, PAYLOAD, spin, NULL);
    while (read_stat(host).cpu_throttled_usec <= 100000 &&
           waitpid(pid, NULL, WNOHANG) == 0)
        rig_sleep_ms(20);
    struct cgroup_stat stat = read_stat(host);
    uint64_t wall_usec = (uint64_t)(clock_boot_ms() - start) * 1000;
    rig_end(host, PAYLOAD);
    waitpid(pid, NULL, 0);
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
    assert_true(stat.cpu_throttled_usec > 100000);
    assert_true(stat.cpu_usec > 20000);
    /* A fifth, and the slices of 5 ms that each processor has taken in advance. */
    assert_true(stat.cpu_usec < wall_usec / 5 + 200000);
}

/* Both on one processor, so that they are in each other's way. */
static int spin_on_one(void *arg)
{
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all) < 0)
        return 3;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, &one);
    return sched_setaffinity(0, sizeof one, &one) < 0 ? 3 : spin(arg);
}

static uint64_t cpu_of(struct cgroup_host *host, const char *path)
{
    struct cgroup_stat stat;
    assert_int_equal(cgroup_read_stat(host, path, &stat, NULL), 0);
    return stat.cpu_usec;
}

/* A payload has no sibling but its own sub-agent: the weight is the run's. */
static void weights_count_between_runs(void **state)
{
    struct cgroup_host *host = *state;
    struct limits heavy = LIMITS_NONE, light = LIMITS_NONE;
    heavy.cpu_weight = 2000;
    light.cpu_weight = 20;
    rig_create(host, "run/a/payload", &heavy);
    rig_create(host, "run/b/payload", &light);
    pid_t a = rig_fork(host, "run/a/payload", spin_on_one, NULL);
    pid_t b = rig_fork(host, "run/b/payload", spin_on_one, NULL);
    uint64_t a0 = cpu_of(host, "run/a/payload"), b0 = cpu_of(host, "run/b/payload");
    for (int i = 0; i < 3000 && cpu_of(host, "run/a/payload") - a0 < 300000; i++)
        rig_sleep_ms(10);
    uint64_t used_a = cpu_of(host, "run/a/payload") - a0;
    uint64_t used_b = cpu_of(host, "run/b/payload") - b0;
    rig_end(host, "run/a/payload");
    rig_end(host, "run/b/payload");
    rig_wait(a);
    rig_wait(b);
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
    assert_true(used_a >= 300000);
    /* A hundredth, and what each slice takes in advance. */
    assert_true(used_b < used_a / 2);
}

#define DIRECT_BYTES (4 * MIB)

/* Past the page cache, whose writing out is the host's. */
static int write_direct(void *arg)
{
    char name[] = "/var/tmp/reeve-test-XXXXXX";
    int fd = mkostemp(name, O_DIRECT);
    void *block;
    if (fd < 0)
        return 3;
    unlink(name);
    if (posix_memalign(&block, 4096, MIB))
        return 3;
    memset(block, 1, MIB);
    for (int i = 0; i < DIRECT_BYTES / MIB; i++)
        if (write(fd, block, MIB) != MIB)
            return 4;
    return 0;
}

static bool on_a_disk(const char *dir)
{
    struct stat st;
    char path[64];
    if (stat(dir, &st) < 0)
        return false;
    snprintf(path, sizeof path, "/sys/dev/block/%u:%u", major(st.st_dev),
             minor(st.st_dev));
    return access(path, F_OK) == 0;
}

static void a_writer_beyond_its_rate_is_slowed(void **state)
{
    struct cgroup_host *host = *state;
    struct limits l = LIMITS_NONE, got;
    l.write_bps = 2 * MIB;
    rig_create(host, PAYLOAD, &l);
    assert_int_equal(cgroup_read_limits(host, PAYLOAD, &got, NULL), 0);
    int64_t start = clock_boot_ms();
    int status = got.write_bps == l.write_bps && on_a_disk("/var/tmp")
                     ? rig_wait(rig_fork(host, PAYLOAD, write_direct, NULL))
                     : 3 << 8;
    int64_t took = clock_boot_ms() - start;
    rig_end(host, PAYLOAD);
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
    /* No disk, no throttling or no O_DIRECT here. */
    if (WIFEXITED(status) && WEXITSTATUS(status) == 3)
        skip();
    assert_int_equal(status, 0);
    assert_true(took >= 1000);
}

static int hold_memory(void *arg)
{
    int mib = 10;
    eat(&mib);
    char done = 'x';
    if (write(*(int *)arg, &done, 1) != 1)
        return 1;
    return rig_pause(NULL);
}

static void figures_are_the_groups_own(void **state)
{
    struct cgroup_host *host = *state;
    struct limits l = LIMITS_NONE;
    rig_create(host, PAYLOAD, &l);
    struct cgroup_stat before = read_stat(host);
    assert_int_equal(before.pids, 0);
    assert_int_equal(before.cpu_usec, 0);
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = rig_fork(host, PAYLOAD, hold_memory, &ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    close(ends[1]);
    struct cgroup_stat stat = read_stat(host);
    assert_int_equal(stat.pids, 1);
    assert_true(stat.cpu_usec > 0);
    /* The kernel's counters of pages lag by some per CPU. */
    assert_true(stat.memory >= 9 * MIB && stat.memory < 200 * MIB);
    /* What sleeps stays at that. */
    int64_t cpu = cgroup_read_cpu(host, PAYLOAD);
    assert_true(cpu >= (int64_t)stat.cpu_usec);
    assert_int_equal(cgroup_read_cpu(host, PAYLOAD), cpu);
    rig_end(host, PAYLOAD);
    rig_wait(pid);
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(too_much_memory_is_oom),
        cmocka_unit_test(enough_memory_is_no_oom),
        cmocka_unit_test(swap_is_bounded),
        cmocka_unit_test(a_plain_sigkill_is_no_oom),
        cmocka_unit_test(page_cache_at_the_limit_is_no_oom),
        cmocka_unit_test(forks_beyond_the_quota_are_refused),
        cmocka_unit_test(cpu_beyond_the_quota_is_throttled),
        cmocka_unit_test(figures_are_the_groups_own),
        cmocka_unit_test(weights_count_between_runs),
        cmocka_unit_test(a_writer_beyond_its_rate_is_slowed),
    };
    return rig_main("quota", tests, ARRAY_SIZE(tests));
}
