/* SPDX-License-Identifier: Apache-2.0 */
/* Groups on v2. libcgroup is not used here: it reports the removal of a group that has
 * several controllers as failed, since it removes the one directory once for each. */
#include "config.h"

#include "base/alloc.h"
#include "cgroup/cgroup-disks.h"
#include "cgroup/cgroup-file.h"
#include "cgroup/cgroup-internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int enable_each(const char *dir, void *arg, struct reeve_error *err)
{
    struct cgroup_host *host = arg;
    return cgroup_v2_enable(dir, host->controllers, err);
}

static int v2_create(struct cgroup_host *host, const char *path,
                     const struct limits *limits, struct reeve_error *err)
{
    char dir[CGROUP_PATH_MAX];
    if (cgroup_path_format(dir, host->unified, path, err) < 0 ||
        cgroup_make_parents(host->unified, path, enable_each, host, err) < 0)
        return -1;
    if (mkdir(dir, 0755) < 0)
        return reeve_error_set(err, errno, "make cgroup %s", dir);
    /* A run that is out of memory ends as a whole: half a run is no use to anyone, and
     * its first process would go on waiting for a child that is gone. But not all runs
     * because of one, where their common group is full. */
    if (limits && strchr(path, '/'))
        cgroup_file_write(dir, "memory.oom.group", "1");
    return 0;
}

struct setting {
    const char *dir;
    unsigned controllers;
    bool fresh;
    struct reeve_error *err;
};

/* A limit that is lifted (set false) needs no write where there never was one. */
static int put(struct setting *s, unsigned controller, const char *file, bool set,
               const char *value)
{
    if ((!set && s->fresh) || !(s->controllers & controller))
        return 0;
    if (cgroup_file_write(s->dir, file, value) == 0 || (!set && errno == ENOENT))
        return 0;
    return reeve_error_set(s->err, errno, "set %s of cgroup %s to %s", file, s->dir,
                           value);
}

static int put_or_max(struct setting *s, unsigned controller, const char *file,
                      int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    bool set = value != LIMIT_NONE;
    return put(s, controller, file, set, set ? text : "max");
}

static int put_cpu(struct setting *s, const struct limits *l)
{
    char text[64] = "max 100000";
    bool set = l->cpu_milli != LIMIT_NONE;
    if (set) {
        int64_t quota, period;
        cgroup_cpu_quota(l->cpu_milli, &quota, &period);
        snprintf(text, sizeof text, "%" PRId64 " %" PRId64, quota, period);
    }
    return put(s, CGROUP_CPU, "cpu.max", set, text);
}

static int put_cpu_weight(struct setting *s, const struct limits *l)
{
    bool set = l->cpu_weight != LIMIT_NONE;
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, set ? l->cpu_weight : 100);
    return put(s, CGROUP_CPU, "cpu.weight", set, text);
}

/* Below what is in use the kernel would take memory.max and end the processes, where v1
 * refuses. memory.high reclaims what can be and ends nobody; if that was not enough, it
 * is EBUSY here too. */
static int put_memory_max(struct setting *s, int64_t value)
{
    bool above = !s->fresh && value != LIMIT_NONE &&
                 cgroup_file_number(s->dir, "memory.current", 0) > value;
    /* An apply that was cut short has left it. */
    if (!above && put_or_max(s, CGROUP_MEMORY, "memory.high", LIMIT_NONE) < 0)
        return -1;
    if (!above)
        return put_or_max(s, CGROUP_MEMORY, "memory.max", value);
    put_or_max(s, CGROUP_MEMORY, "memory.high", value);
    int rc;
    if (cgroup_file_number(s->dir, "memory.current", 0) > value)
        rc = reeve_error_set(s->err, EBUSY, "set memory.max of cgroup %s to %" PRId64,
                             s->dir, value);
    else
        rc = put_or_max(s, CGROUP_MEMORY, "memory.max", value);
    int saved = errno;
    cgroup_file_write(s->dir, "memory.high", "max");
    errno = saved;
    return rc;
}

static int put_memory_low(struct setting *s, const struct limits *l)
{
    bool set = l->memory_reservation != LIMIT_NONE;
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, set ? l->memory_reservation : 0);
    return put(s, CGROUP_MEMORY, "memory.low", set, text);
}

static int put_memory(struct setting *s, const struct limits *l)
{
    if (put_memory_max(s, l->memory) < 0)
        return -1;
    /* v2 counts swap alone; the file is missing where swap is not accounted for. */
    int64_t swap =
        l->memory_swap == LIMIT_NONE ? LIMIT_NONE : l->memory_swap - l->memory;
    int rc = put_or_max(s, CGROUP_MEMORY, "memory.swap.max", swap);
    return rc < 0 && errno == ENOENT ? 0 : rc;
}

static int put_cpuset(struct setting *s, const struct limits *l)
{
    bool set = l->cpuset[0] != '\0';
    return put(s, CGROUP_CPUSET, "cpuset.cpus", set, set ? l->cpuset : "\n");
}

static void add_io_key(char *text, size_t size, const char *key, int64_t value)
{
    size_t n = strlen(text);
    if (value == LIMIT_NONE)
        snprintf(text + n, size - n, " %s=max", key);
    else
        snprintf(text + n, size - n, " %s=%" PRId64, key, value);
}

static int put_io(struct setting *s, const struct limits *l)
{
    bool set = l->read_bps != LIMIT_NONE || l->write_bps != LIMIT_NONE ||
               l->read_iops != LIMIT_NONE || l->write_iops != LIMIT_NONE;
    if (!set && s->fresh)
        return 0;
    struct cgroup_disks disks;
    cgroup_disks_find(&disks);
    for (int i = 0; i < disks.count; i++) {
        char text[192];
        snprintf(text, sizeof text, "%s", disks.id[i]);
        add_io_key(text, sizeof text, "rbps", l->read_bps);
        add_io_key(text, sizeof text, "wbps", l->write_bps);
        add_io_key(text, sizeof text, "riops", l->read_iops);
        add_io_key(text, sizeof text, "wiops", l->write_iops);
        /* A disk can go at any time. */
        if (put(s, CGROUP_IO, "io.max", set, text) < 0 && errno != ENODEV)
            return -1;
    }
    return 0;
}

/* io.weight is iocost's, io.bfq.weight BFQ's; either may be missing, and with both the
 * disk's scheduler decides which counts. */
static int put_io_weight(struct setting *s, const struct limits *l)
{
    bool set = l->io_weight != LIMIT_NONE;
    char text[32];
    snprintf(text, sizeof text, "default %" PRId64, set ? l->io_weight : 100);
    if (put(s, CGROUP_IO, "io.weight", set, text) < 0 && errno != ENOENT)
        return -1;
    snprintf(text, sizeof text, "%" PRId64,
             set ? cgroup_bfq_weight(l->io_weight) : CGROUP_BFQ_WEIGHT_DEFAULT);
    int rc = put(s, CGROUP_IO, "io.bfq.weight", set, text);
    return rc < 0 && errno == ENOENT ? 0 : rc;
}

static int put_shares(struct setting *s, const struct limits *l)
{
    return put_cpu_weight(s, l) < 0 || put_io_weight(s, l) < 0 ||
                   put_memory_low(s, l) < 0
               ? -1
               : 0;
}

/* What a group gets beside others is shared out among siblings: a payload's are those
 * of its own run, so the run's group says it too. What is protected of a group's memory
 * is bounded by what is of the one above; all runs' sum is set on their common group
 * (reassert.c), and on the root. */
static int put_shares_above(struct setting *s, const char *path, const struct limits *l)
{
    char above[CGROUP_PATH_MAX];
    int depth = cgroup_path_depth(path);
    if (depth != 1 && depth != 3)
        return 0;
    strcpy(above, s->dir);
    *strrchr(above, '/') = '\0';
    /* Perhaps the last attempt's are there. */
    struct setting up = {above, s->controllers, false, s->err};
    return depth == 3 ? put_shares(&up, l) : put_memory_low(&up, l);
}

static int v2_apply(struct cgroup_host *host, const char *path, const struct limits *l,
                    bool fresh, struct reeve_error *err)
{
    char dir[CGROUP_PATH_MAX];
    if (cgroup_path_format(dir, host->unified, path, err) < 0)
        return -1;
    struct setting s = {dir, host->controllers, fresh, err};
    if (put_cpu(&s, l) < 0 || put_memory(&s, l) < 0 ||
        put_or_max(&s, CGROUP_PIDS, "pids.max", l->pids) < 0 || put_cpuset(&s, l) < 0 ||
        put_io(&s, l) < 0 || put_shares(&s, l) < 0)
        return -1;
    return put_shares_above(&s, path, l);
}

static void read_cpu_max(const char *dir, struct limits *out)
{
    char text[64];
    int64_t quota, period;
    cgroup_file_read(dir, "cpu.max", text, sizeof text);
    if (sscanf(text, "%" SCNd64 " %" SCNd64, &quota, &period) == 2 && period > 0)
        out->cpu_milli = (quota * 1000 + period / 2) / period;
    int64_t weight = cgroup_file_number(dir, "cpu.weight", 100);
    if (weight != 100)
        out->cpu_weight = weight;
}

static int64_t io_key(const char *line, const char *key)
{
    const char *p = strstr(line, key);
    int64_t v;
    return p && sscanf(p + strlen(key), "%" SCNd64, &v) == 1 ? v : LIMIT_NONE;
}

static void read_io_max(const char *dir, struct limits *out)
{
    char line[256];
    cgroup_file_read(dir, "io.max", line, sizeof line);
    line[strcspn(line, "\n")] = '\0';
    out->read_bps = io_key(line, " rbps=");
    out->write_bps = io_key(line, " wbps=");
    out->read_iops = io_key(line, " riops=");
    out->write_iops = io_key(line, " wiops=");
}

static void read_io_weight(const char *dir, struct limits *out)
{
    char text[64];
    int64_t weight = 100;
    if (cgroup_file_read(dir, "io.weight", text, sizeof text) > 0)
        weight = cgroup_text_number(text, "default", 100);
    out->io_weight = weight != 100
                         ? weight
                         : cgroup_read_bfq_weight(dir, "io.bfq.weight", LIMIT_NONE);
}

/* memory.high is left below memory.max by an apply that was cut short: as long as it
 * stands, that is the limit; a byte less, since whole pages are wanted, and it may be
 * the wanted limit itself, which slows where it should end. */
static int64_t read_memory_limit(const char *dir)
{
    int64_t max = cgroup_file_number(dir, "memory.max", LIMIT_NONE);
    int64_t high = cgroup_file_number(dir, "memory.high", LIMIT_NONE);
    return high > 0 && (max == LIMIT_NONE || high < max) ? high - 1 : max;
}

static void v2_read_limits(struct cgroup_host *host, const char *path,
                           struct limits *out)
{
    char dir[CGROUP_PATH_MAX];
    if (cgroup_path_format(dir, host->unified, path, NULL) < 0)
        return;
    read_cpu_max(dir, out);
    out->memory = read_memory_limit(dir);
    int64_t low = cgroup_file_number(dir, "memory.low", 0);
    out->memory_reservation = low > 0 ? low : LIMIT_NONE;
    int64_t swap = cgroup_file_number(dir, "memory.swap.max", LIMIT_NONE);
    if (swap != LIMIT_NONE && out->memory != LIMIT_NONE &&
        __builtin_add_overflow(out->memory, swap, &out->memory_swap))
        out->memory_swap = LIMIT_NONE;
    out->pids = cgroup_read_pids_max(dir);
    cgroup_file_read(dir, "cpuset.cpus", out->cpuset, sizeof out->cpuset);
    out->cpuset[strcspn(out->cpuset, "\n")] = '\0';
    read_io_max(dir, out);
    read_io_weight(dir, out);
}

static void read_io_stat(const char *dir, struct cgroup_stat *out)
{
    char text[8192];
    cgroup_file_read(dir, "io.stat", text, sizeof text);
    char *save;
    for (char *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        int64_t r = io_key(line, " rbytes="), w = io_key(line, " wbytes=");
        out->read_bytes += r > 0 ? (uint64_t)r : 0;
        out->write_bytes += w > 0 ? (uint64_t)w : 0;
    }
}

static int64_t v2_read_cpu(struct cgroup_host *host, const char *path)
{
    char dir[CGROUP_PATH_MAX], text[512];
    if (cgroup_path_format(dir, host->unified, path, NULL) < 0 ||
        cgroup_file_read(dir, "cpu.stat", text, sizeof text) < 0)
        return -1;
    return cgroup_text_number(text, "usage_usec", -1);
}

static void v2_read_stat(struct cgroup_host *host, const char *path,
                         struct cgroup_stat *out)
{
    char dir[CGROUP_PATH_MAX], text[8192];
    if (cgroup_path_format(dir, host->unified, path, NULL) < 0)
        return;
    cgroup_file_read(dir, "cpu.stat", text, sizeof text);
    out->cpu_usec = (uint64_t)cgroup_text_number(text, "usage_usec", 0);
    out->cpu_throttled_usec = (uint64_t)cgroup_text_number(text, "throttled_usec", 0);
    out->memory = cgroup_file_number(dir, "memory.current", 0);
    out->memory_peak = cgroup_file_number(dir, "memory.peak", -1);
    cgroup_file_read(dir, "memory.events", text, sizeof text);
    out->memory_high = (uint64_t)cgroup_text_number(text, "high", 0);
    out->memory_max = (uint64_t)cgroup_text_number(text, "max", 0);
    out->oom = (uint64_t)cgroup_text_number(text, "oom", 0);
    out->oom_kill = (uint64_t)cgroup_text_number(text, "oom_kill", 0);
    out->pids = cgroup_file_number(dir, "pids.current", 0);
    cgroup_file_read(dir, "pids.events", text, sizeof text);
    out->pids_refused = (uint64_t)cgroup_text_number(text, "max", 0);
    read_io_stat(dir, out);
}

const struct cgroup_backend cgroup_backend_v2 = {
    .create = v2_create,
    .apply = v2_apply,
    .read_limits = v2_read_limits,
    .read_stat = v2_read_stat,
    .read_cpu = v2_read_cpu,
};
