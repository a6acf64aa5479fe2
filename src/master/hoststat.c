/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/hoststat.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "master/gpu-feed.h"
#include "master/hoststat-internal.h"
#include "master/procfs.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    MAX_PROC_FILE = 4 << 20,
    MAX_SYSFS_FILE = 4096,
    MAX_SENSOR_GAP = 32,
    MIB = 1 << 20,
    /* GPU figures older than this say nothing about now. */
    GPU_STALE_MS = 3 * GPU_FEED_INTERVAL_MS
};

struct counters {
    bool valid;
    int64_t at; /* clock_boot_ms */
    struct procfs_cpu cpu;
    struct procfs_traffic disk, network;
};

/* Sums of what was read since the last report. */
struct gpu_mean {
    int samples, count;
    struct nvml_gpu sum[NVML_MAX_GPUS];
};

struct hoststat {
    char *disk_path;
    struct counters last;
    int memory_samples;
    double memory_used, memory_available; /* sums */
    int64_t available;
    struct gpu_feed *gpus; /* NULL: none wanted */
    struct gpu_mean gpu;
    struct gpu_mean gpu_before; /* repeated until new figures come or it is stale */
    int64_t gpu_at;
};

static bool read_text(const char *path, struct buf *text, size_t max)
{
    buf_clear(text);
    return file_read(path, text, max, NULL) == 0 && text->len > 0;
}

/* A whole disk with a device behind it: partitions, loop, dm, md and zram would count
 * the same bytes again. */
static bool is_physical_disk(void *arg, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "/sys/block/%s/device", name);
    return access(path, F_OK) == 0;
}

static void read_counters(struct counters *c)
{
    auto_buf text = BUF_INIT;
    *c = (struct counters){.at = clock_boot_ms()};
    c->valid = read_text("/proc/stat", &text, MAX_PROC_FILE) &&
               procfs_cpu(buf_str(&text), &c->cpu);
    if (read_text("/proc/diskstats", &text, MAX_PROC_FILE))
        procfs_disks(buf_str(&text), is_physical_disk, NULL, &c->disk);
    if (read_text("/proc/net/dev", &text, MAX_PROC_FILE))
        procfs_network(buf_str(&text), &c->network);
}

static const char *library_dir(void)
{
    const char *dir = getenv("REEVE_LIBEXEC_DIR");
    return dir && *dir ? dir : REEVE_LIBEXECDIR;
}

struct hoststat *hoststat_create(void)
{
    struct hoststat *h = xcalloc(1, sizeof *h);
    const char *visible = getenv("NVIDIA_VISIBLE_DEVICES");
    h->available = -1;
    hoststat_set_disk_path(h, NULL);
    read_counters(&h->last);
    if (!visible || (strcmp(visible, "none") != 0 && strcmp(visible, "void") != 0)) {
        auto_free char *program = path_join_dup(library_dir(), "reeve-gpus");
        h->gpus = gpu_feed_create(program);
    }
    hoststat_sample(h);
    return h;
}

void hoststat_destroy(struct hoststat *h)
{
    if (!h)
        return;
    gpu_feed_destroy(h->gpus);
    free(h->disk_path);
    free(h);
}

bool hoststat_reap(struct hoststat *h, pid_t pid)
{
    return gpu_feed_reap(h->gpus, pid);
}

void hoststat_set_disk_path(struct hoststat *h, const char *path)
{
    const char *home = getenv("HOME");
    if (!path || !*path)
        path = home && home[0] == '/' ? home : "/";
    free(h->disk_path);
    h->disk_path = xstrdup(path);
}

static void sample_memory(struct hoststat *h)
{
    auto_buf text = BUF_INIT;
    struct procfs_memory m;
    if (!read_text("/proc/meminfo", &text, MAX_PROC_FILE) ||
        !procfs_memory(buf_str(&text), &m))
        return;
    h->available = m.available;
    h->memory_used += (double)m.used;
    h->memory_available += (double)m.available;
    h->memory_samples++;
}

static void sample_gpus(struct hoststat *h)
{
    struct nvml_gpu gpus[NVML_MAX_GPUS];
    int count = h->gpus ? gpu_feed_read(h->gpus, gpus) : 0;
    if (count == 0)
        return;
    if (h->gpu.samples == 0 || h->gpu.count != count)
        h->gpu = (struct gpu_mean){.count = count};
    for (int i = 0; i < count; i++) {
        struct nvml_gpu *sum = &h->gpu.sum[i];
        bool first = h->gpu.samples == 0;
        sum->has_usage = gpus[i].has_usage && (first || sum->has_usage);
        sum->has_temperature =
            gpus[i].has_temperature && (first || sum->has_temperature);
        sum->has_memory = gpus[i].has_memory && (first || sum->has_memory);
        sum->usage += gpus[i].usage;
        sum->temperature += gpus[i].temperature;
        sum->memory_used += gpus[i].memory_used / MIB;
        sum->memory_free += gpus[i].memory_free / MIB;
    }
    h->gpu.samples++;
    h->gpu_at = clock_boot_ms();
}

void hoststat_sample(struct hoststat *h)
{
    sample_memory(h);
    sample_gpus(h);
}

int64_t hoststat_available(const struct hoststat *h)
{
    return h->available;
}

static bool is_cpu_sensor(const char *root, const char *chip)
{
    static const char *const names[] = {"coretemp\n", "k10temp\n", "zenpower\n",
                                        "cpu_thermal\n"};
    auto_buf text = BUF_INIT;
    auto_free char *path = xasprintf("%s/%s/name", root, chip);
    if (!read_text(path, &text, MAX_SYSFS_FILE))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (!strcmp(buf_str(&text), names[i]))
            return true;
    return false;
}

/* Reading other chips may take a walk over a slow bus; these read a register. */
static bool hottest(const char *root, const char *chip, double *degrees)
{
    bool found = false;
    /* The numbers follow the cores' ids, which have gaps. */
    for (int i = 1, missing = 0; missing < MAX_SENSOR_GAP; i++) {
        auto_buf text = BUF_INIT;
        auto_free char *path = xasprintf("%s/%s/temp%d_input", root, chip, i);
        if (!read_text(path, &text, MAX_SYSFS_FILE)) {
            missing++;
            continue;
        }
        double value = strtod(buf_str(&text), NULL) / 1000.0;
        if (!found || value > *degrees)
            *degrees = value;
        found = true;
        missing = 0;
    }
    return found;
}

bool hoststat_temperature(const char *root, double *degrees)
{
    DIR *dir = opendir(root);
    struct dirent *e;
    bool found = false;
    if (!dir)
        return false;
    while ((e = readdir(dir))) {
        double value;
        if (e->d_name[0] == '.' || !is_cpu_sensor(root, e->d_name) ||
            !hottest(root, e->d_name, &value))
            continue;
        if (!found || value > *degrees)
            *degrees = value;
        found = true;
    }
    closedir(dir);
    return found;
}

static void add_rates(struct hoststat *h, cJSON *stats)
{
    struct counters now, *last = &h->last;
    read_counters(&now);
    double ticks = (double)(now.cpu.busy - last->cpu.busy) +
                   (double)(now.cpu.idle - last->cpu.idle);
    double seconds = (double)(now.at - last->at) / 1000.0;
    /* Idle time is known to go back a little on some kernels. */
    bool forward = now.cpu.busy >= last->cpu.busy && now.cpu.idle >= last->cpu.idle;
    if (now.valid && last->valid && forward && ticks > 0)
        stats_append(stats, "cpu_usage",
                     100.0 * (double)(now.cpu.busy - last->cpu.busy) / ticks);
    if (seconds > 0) {
        const struct {
            const char *name;
            uint64_t before, after;
        } rates[] = {
            {"disk_read", last->disk.in, now.disk.in},
            {"disk_write", last->disk.out, now.disk.out},
            {"network_rx", last->network.in, now.network.in},
            {"network_tx", last->network.out, now.network.out},
        };
        /* An interface or disk that left takes its bytes with it. */
        for (size_t i = 0; i < ARRAY_SIZE(rates); i++)
            stats_set(stats, rates[i].name,
                      rates[i].after < rates[i].before
                          ? 0
                          : (double)(rates[i].after - rates[i].before) / MIB / seconds);
    }
    h->last = now;
}

static void add_memory(struct hoststat *h, cJSON *stats)
{
    if (h->memory_samples == 0)
        sample_memory(h);
    if (h->memory_samples == 0)
        return;
    stats_set(stats, "memory_used", h->memory_used / h->memory_samples / MIB);
    stats_set(stats, "memory_free", h->memory_available / h->memory_samples / MIB);
    h->memory_used = h->memory_available = 0;
    h->memory_samples = 0;
}

/* A file system on a network may not answer, with the loop stopped: it isn't asked. */
static void add_disk_free(struct hoststat *h, cJSON *stats)
{
    auto_buf mounts = BUF_INIT;
    struct statvfs fs;
    if (!read_text("/proc/self/mountinfo", &mounts, MAX_PROC_FILE) ||
        !procfs_is_local(buf_str(&mounts), h->disk_path) ||
        statvfs(h->disk_path, &fs) != 0)
        return;
    double used = (double)(fs.f_blocks - fs.f_bfree);
    double all = used + (double)fs.f_bavail;
    if (all > 0)
        stats_set(stats, "disk_free_home", 100.0 - 100.0 * used / all);
}

static void add_gpus(struct hoststat *h, cJSON *stats)
{
    bool usage = true, temperature = true, memory = true;
    if (h->gpu.samples)
        h->gpu_before = h->gpu;
    h->gpu.samples = 0;
    const struct gpu_mean *g = &h->gpu_before;
    if (g->samples == 0 || clock_boot_ms() - h->gpu_at > GPU_STALE_MS)
        return;
    /* The lists speak of the same GPUs in the same order: all of them or none. */
    for (int i = 0; i < g->count; i++) {
        usage &= g->sum[i].has_usage;
        temperature &= g->sum[i].has_temperature;
        memory &= g->sum[i].has_memory;
    }
    for (int i = 0; i < g->count; i++) {
        const struct nvml_gpu *sum = &g->sum[i];
        if (usage)
            stats_append(stats, "gpu_usage", sum->usage / g->samples);
        if (temperature)
            stats_append(stats, "gpu_temperature", sum->temperature / g->samples);
        if (memory) {
            stats_append(stats, "gpu_memory_used",
                         (double)sum->memory_used / g->samples);
            stats_append(stats, "gpu_memory_free",
                         (double)sum->memory_free / g->samples);
        }
    }
}

cJSON *hoststat_machine_stats(struct hoststat *h)
{
    double degrees;
    cJSON *stats = cJSON_CreateObject();
    if (!stats)
        abort();
    add_rates(h, stats);
    add_memory(h, stats);
    add_disk_free(h, stats);
    if (hoststat_temperature("/sys/class/hwmon", &degrees))
        stats_append(stats, "cpu_temperature", degrees);
    add_gpus(h, stats);
    return stats;
}
