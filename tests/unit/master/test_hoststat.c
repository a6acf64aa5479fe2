/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "cgroup/cgroup.h"
#include "master/gpu-feed.h"
#include "master/hoststat-internal.h"
#include "master/hoststat.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const double mib = 1 << 20;

static double at(const cJSON *stats, const char *name, int i)
{
    const cJSON *v = cJSON_GetArrayItem(json_get(stats, name), i);
    assert_true(cJSON_IsNumber(v));
    return v->valuedouble;
}

static void test_run(void **state)
{
    struct cgroup_stat prev = {.cpu_usec = 1000000, .read_bytes = 100 << 20};
    struct cgroup_stat now = {.cpu_usec = 1250000,
                              .memory = 300 << 20,
                              .read_bytes = 101 << 20,
                              .write_bytes = 5 << 20};
    auto_json *s = run_machine_stats(&prev, &now, 2000, 512 << 20, 8LL << 30);
    assert_true(at(s, "cpu_usage", 0) == 12.5);
    assert_true(json_num(s, "memory_used", -1) == 300);
    assert_true(json_num(s, "memory_free", -1) == 212);
    assert_true(json_num(s, "disk_read", -1) == 0.5);
    assert_true(json_num(s, "disk_write", -1) == 2.5);
    assert_null(json_get(s, "pids"));
}

static void test_run_memory_free(void **state)
{
    struct cgroup_stat now = {.memory = 300 << 20};
    const struct {
        int64_t limit, host;
        double expected; /* -1: absent */
    } cases[] = {
        {LIMIT_NONE, 50 << 20, 50}, {LIMIT_NONE, -1, -1},
        {512 << 20, 50 << 20, 50},  {512 << 20, -1, 212},
        {200 << 20, 8LL << 30, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        auto_json *s = run_machine_stats(NULL, &now, 0, cases[i].limit, cases[i].host);
        assert_true(json_num(s, "memory_free", -1) == cases[i].expected);
        /* Without a first sample there are no rates. */
        assert_null(json_get(s, "cpu_usage"));
    }
}

/* The next attempt has a new group, whose counters start at 0. */
static void test_run_new_group(void **state)
{
    struct cgroup_stat prev = {.cpu_usec = 90000000, .write_bytes = 900 << 20};
    struct cgroup_stat now = {.cpu_usec = 500000, .write_bytes = 10 << 20};
    auto_json *s = run_machine_stats(&prev, &now, 1000, LIMIT_NONE, -1);
    assert_true(at(s, "cpu_usage", 0) == 50);
    assert_true(json_num(s, "disk_write", -1) == 10);
}

static void test_rounding(void **state)
{
    auto_json *s = cJSON_CreateObject();
    stats_set(s, "a", 1.23456789);
    stats_set(s, "nan", NAN);
    stats_append(s, "list", 0.0004);
    stats_append(s, "list", 7.7777);
    stats_append(s, "list", INFINITY);
    auto_free char *text = json_format(s);
    assert_string_equal(text, "{\"a\":1.235,\"list\":[0,7.778]}");
}

static void write_file(const char *root, const char *name, const char *text)
{
    auto_free char *path = path_join_dup(root, name);
    assert_int_equal(file_replace(path, text, strlen(text), 0600, false, NULL), 0);
}

static void test_temperature(void **state)
{
    char root[] = "/tmp/reeve-hwmon-XXXXXX";
    double degrees = -1;
    assert_non_null(mkdtemp(root));
    assert_false(hoststat_temperature(root, &degrees));
    const char *dirs[] = {"hwmon0", "hwmon1", "hwmon2"};
    for (int i = 0; i < 3; i++) {
        auto_free char *path = path_join_dup(root, dirs[i]);
        assert_int_equal(dir_make(path, 0700, NULL), 0);
    }
    write_file(root, "hwmon0/name", "nvme\n");
    write_file(root, "hwmon0/temp1_input", "99000\n");
    assert_false(hoststat_temperature(root, &degrees));
    write_file(root, "hwmon1/name", "coretemp\n");
    write_file(root, "hwmon1/temp1_input", "41000\n");
    write_file(root, "hwmon1/temp30_input", "53500\n");
    write_file(root, "hwmon1/temp31_input", "broken\n");
    write_file(root, "hwmon2/name", "coretemp\n");
    write_file(root, "hwmon2/temp2_input", "47000\n");
    assert_true(hoststat_temperature(root, &degrees));
    assert_true(degrees == 53.5);
    assert_false(hoststat_temperature("/nonexistent", &degrees));
    assert_int_equal(dir_remove_tree(root, NULL), 0);
}

static void test_host(void **state)
{
    setenv("NVIDIA_VISIBLE_DEVICES", "none", 1);
    struct hoststat *h = hoststat_create();
    hoststat_set_disk_path(h, "/");
    assert_true(hoststat_available(h) > 1 << 20);
    /* Work for a while, so that the counters move. */
    int64_t until = clock_boot_ms() + 60;
    while (clock_boot_ms() < until)
        hoststat_sample(h);
    auto_json *s = hoststat_machine_stats(h);
    assert_true(at(s, "cpu_usage", 0) > 0 && at(s, "cpu_usage", 0) <= 100);
    assert_true(json_num(s, "memory_used", -1) > 0);
    double unused = (double)hoststat_available(h) / mib;
    assert_true(fabs(json_num(s, "memory_free", -1) - unused) < unused / 2);
    const char *rates[] = {"disk_read", "disk_write", "network_rx", "network_tx"};
    for (size_t i = 0; i < ARRAY_SIZE(rates); i++)
        assert_true(json_num(s, rates[i], -1) >= 0);
    const cJSON *disk = json_get(s, "disk_free_home");
    assert_true(!disk || (disk->valuedouble > 0 && disk->valuedouble <= 100));
    assert_null(json_get(s, "gpu_usage"));
    hoststat_destroy(h);
    hoststat_destroy(NULL);
    unsetenv("NVIDIA_VISIBLE_DEVICES");
}

static char *built_dup(const char *name)
{
    const char *top = getenv("REEVE_TOP_BUILDDIR");
    return path_join_dup(top ? top : ".", name);
}

static void use_fake_gpus(const char *library, const char *gpus, const char *mode,
                          const char *visible)
{
    const char *top = getenv("REEVE_TOP_BUILDDIR");
    auto_free char *path = built_dup(library);
    setenv("REEVE_NVML_LIBRARY", path, 1);
    setenv("FAKE_NVML_GPUS", gpus, 1);
    setenv("FAKE_NVML", mode, 1);
    setenv("NVIDIA_VISIBLE_DEVICES", visible, 1);
    setenv("REEVE_LIBEXEC_DIR", top ? top : ".", 1);
}

/* The report once it has GPUs, or after the time. */
static cJSON *report_with_gpus(struct hoststat *h, int64_t wait_ms)
{
    int64_t until = clock_boot_ms() + wait_ms;
    for (;;) {
        hoststat_sample(h);
        cJSON *s = hoststat_machine_stats(h);
        if (json_get(s, "gpu_memory_used") || clock_boot_ms() > until)
            return s;
        cJSON_Delete(s);
        usleep(5000);
    }
}

#define FAKE "tests/unit/master/fake-nvml.so"

static void test_gpus(void **state)
{
    use_fake_gpus(FAKE, "3", "", "0,GPU-fake-2");
    struct hoststat *h = hoststat_create();
    auto_json *s = report_with_gpus(h, 10000);
    assert_int_equal(cJSON_GetArraySize(json_get(s, "gpu_usage")), 2);
    assert_true(at(s, "gpu_usage", 0) == 10 && at(s, "gpu_usage", 1) == 12);
    assert_true(at(s, "gpu_temperature", 1) == 52);
    assert_true(at(s, "gpu_memory_used", 1) == 102);
    assert_true(at(s, "gpu_memory_free", 0) == 900);
    /* The next packet comes in 10 s; the last one still holds. */
    auto_json *again = hoststat_machine_stats(h);
    assert_true(at(again, "gpu_usage", 1) == 12);
    hoststat_destroy(h);
}

static void test_gpu_without_usage(void **state)
{
    use_fake_gpus(FAKE, "2", "usage", "all");
    struct hoststat *h = hoststat_create();
    auto_json *s = report_with_gpus(h, 10000);
    assert_null(json_get(s, "gpu_usage"));
    assert_int_equal(cJSON_GetArraySize(json_get(s, "gpu_memory_used")), 2);
    hoststat_destroy(h);
}

static bool gpus_process_left(void)
{
    return waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD;
}

static void test_no_gpus(void **state)
{
    const char *libraries[] = {FAKE, FAKE, FAKE, "tests/unit/master/missing.so"};
    const char *gpus[] = {"0", "2", "2", "2"};
    const char *modes[] = {"", "init", "", ""};
    const char *visible[] = {"all", "all", "7", "all"};
    for (size_t i = 0; i < ARRAY_SIZE(gpus); i++) {
        use_fake_gpus(libraries[i], gpus[i], modes[i], visible[i]);
        struct hoststat *h = hoststat_create();
        int64_t until = clock_boot_ms() + 10000;
        /* It ends by itself and is reaped by a later sample. */
        while (gpus_process_left() && clock_boot_ms() < until) {
            usleep(2000);
            hoststat_sample(h);
        }
        auto_json *s = hoststat_machine_stats(h);
        assert_null(json_get(s, "gpu_memory_used"));
        assert_false(gpus_process_left());
        hoststat_destroy(h);
    }
}

static void test_gpu_feed_without_program(void **state)
{
    struct nvml_gpu out[NVML_MAX_GPUS];
    struct gpu_feed *f = gpu_feed_create("/nonexistent/reeve-gpus");
    assert_int_equal(gpu_feed_read(f, out), 0);
    assert_int_equal(gpu_feed_read(f, out), 0);
    gpu_feed_destroy(f);
    gpu_feed_destroy(NULL);
}

/* A program that writes what is no packet, then hangs: no figures, no blocking, and it
 * is ended. */
static void test_gpu_feed_hostile_program(void **state)
{
    char path[] = "/tmp/reeve-gpus-XXXXXX";
    const char script[] = "#!/bin/sh\nprintf 'no packet at all'\nexec sleep 1000\n";
    struct nvml_gpu out[NVML_MAX_GPUS];
    int fd = mkstemp(path);
    assert_int_equal(write(fd, script, sizeof script - 1), sizeof script - 1);
    assert_int_equal(fchmod(fd, 0700), 0);
    close(fd);
    struct gpu_feed *f = gpu_feed_create(path);
    int64_t start = clock_boot_ms();
    while (clock_boot_ms() - start < 200)
        assert_int_equal(gpu_feed_read(f, out), 0);
    assert_true(gpus_process_left());
    gpu_feed_destroy(f);
    assert_false(gpus_process_left());
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_run_memory_free),
        cmocka_unit_test(test_run_new_group),
        cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_temperature),
        cmocka_unit_test(test_host),
        cmocka_unit_test(test_gpus),
        cmocka_unit_test(test_gpu_without_usage),
        cmocka_unit_test(test_no_gpus),
        cmocka_unit_test(test_gpu_feed_without_program),
        cmocka_unit_test(test_gpu_feed_hostile_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
