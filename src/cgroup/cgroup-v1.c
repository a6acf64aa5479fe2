/* SPDX-License-Identifier: Apache-2.0 */
/* Groups on v1 and hybrid hosts.
 * - With limits a group is a directory in every hierarchy that reeve uses, but in
 * cpuset only if asked: each costs kernel memory and 50 us.
 * - Without limits (a sub-agent's) it is in one: the unified tree, where clone3 puts
 * the process for nothing and cgroup.kill ends it; on plain v1 the freezer, or pids. */
#include "config.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "cgroup/cgroup-disks.h"
#include "cgroup/cgroup-file.h"
#include "cgroup/cgroup-internal.h"
#include "cgroup/cgroup-v1-tree.h"
#include "cgroup/cgroup-walk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REQUIRED (CGROUP_CPU | CGROUP_MEMORY | CGROUP_PIDS)
/* What an unlimited counter of bytes reads as: INT64_MAX in whole pages, which are 64
 * KiB at most. */
#define UNLIMITED (INT64_MAX - 65535)

/* ---- the hierarchies */

static void add_mount(const char *controller, const char *mount, void *arg)
{
    struct cgroup_host *host = arg;
    unsigned bit = cgroup_controller_parse(controller, strlen(controller));
    /* The unified tree freezes and kills by itself. */
    if (!bit || (bit == CGROUP_FREEZER && host->unified[0]) ||
        strlen(mount) + strlen(host->name) + 2 > CGROUP_PATH_MAX)
        return;
    struct hierarchy *h = host->hierarchy;
    int i = 0;
    while (i < host->hierarchies && strcmp(h[i].mount, mount) != 0)
        i++;
    if (i == CGROUP_DIRS_MAX - 1)
        return;
    if (i == host->hierarchies) {
        host->hierarchies++;
        strcpy(h[i].mount, mount);
        strcpy(h[i].root, mount);
        strcat(strcat(h[i].root, "/"), host->name);
    }
    h[i].controllers |= bit;
    host->controllers |= bit;
}

static const struct hierarchy *find_hierarchy(const struct cgroup_host *host,
                                              unsigned controller)
{
    for (int i = 0; i < host->hierarchies; i++) {
        if (host->hierarchy[i].controllers & controller)
            return &host->hierarchy[i];
    }
    return NULL;
}

static int check_required(const struct cgroup_host *host, struct reeve_error *err)
{
    for (unsigned c = 1; c <= REQUIRED; c <<= 1) {
        if (!(REQUIRED & c) || (host->controllers & c))
            continue;
        const char *name = cgroup_controller_name(c);
        return reeve_error_set(err, ENOTSUP,
                               "cgroup controller %s is not mounted; mount it with: "
                               "mkdir -p /sys/fs/cgroup/%s && mount -t cgroup -o %s %s "
                               "/sys/fs/cgroup/%s",
                               name, name, name, name, name);
    }
    return 0;
}

static int explain_open(const struct cgroup_host *host, struct reeve_error *err)
{
    if (err && (err->code == EACCES || err->code == EPERM || err->code == EROFS))
        return reeve_error_set(err, err->code,
                               "make cgroup \"%s\" (cgroup v1 needs root and writable "
                               "/sys/fs/cgroup; in a container, privileges for it)",
                               host->name);
    return -1;
}

int cgroup_v1_open(struct cgroup_host *host, const char *unified_mount,
                   struct reeve_error *err)
{
    if (unified_mount[0])
        snprintf(host->unified, sizeof host->unified, "%.300s/%s", unified_mount,
                 host->name);
    if (v1_tree_find(add_mount, host, err) < 0 || check_required(host, err) < 0)
        return -1;
    const char *names[CGROUP_DIRS_MAX];
    int count = 0;
    for (unsigned c = 1; c <= CGROUP_FREEZER; c <<= 1) {
        if ((host->controllers & c) && c != CGROUP_CPUSET)
            names[count++] = c == CGROUP_IO ? "blkio" : cgroup_controller_name(c);
    }
    if (v1_tree_make(host->name, names, count, err) < 0)
        return explain_open(host, err);
    if (host->unified[0] && mkdir(host->unified, 0755) < 0 && errno != EEXIST) {
        reeve_error_set(err, errno, "make cgroup %s", host->unified);
        return explain_open(host, err);
    }
    /* Kernels before 5.11 count groups below a group only if told so. */
    cgroup_file_write(find_hierarchy(host, CGROUP_MEMORY)->root, "memory.use_hierarchy",
                      "1");
    return 0;
}

/* ---- making a group */

/* A new group of cpuset has no processors and no memory nodes, and takes no process. */
static int inherit_cpuset(const char *dir, void *arg, struct reeve_error *err)
{
    static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
    char parent[CGROUP_PATH_MAX], value[512];
    strcpy(parent, dir);
    *strrchr(parent, '/') = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        if (cgroup_file_read(dir, files[i], value, sizeof value) > 0 &&
            value[0] != '\n')
            continue;
        if (cgroup_file_read(parent, files[i], value, sizeof value) < 0 ||
            cgroup_file_write(dir, files[i], value) < 0)
            return reeve_error_set(err, errno, "set %s of cgroup %s", files[i], dir);
    }
    return 0;
}

static int make_in(const char *root, bool cpuset, const char *path,
                   struct reeve_error *err)
{
    char dir[CGROUP_PATH_MAX];
    if (cgroup_path_format(dir, root, path, err) < 0)
        return -1;
    /* Mostly the parents are there. */
    if (!cpuset && mkdir(dir, 0755) == 0)
        return 0;
    if (cgroup_make_parents(root, path, cpuset ? inherit_cpuset : NULL, NULL, err) < 0)
        return -1;
    if (mkdir(dir, 0755) < 0)
        return reeve_error_set(err, errno, "make cgroup %s", dir);
    return cpuset ? inherit_cpuset(dir, NULL, err) : 0;
}

static int make_light(struct cgroup_host *host, const char *path,
                      struct reeve_error *err)
{
    if (host->unified[0])
        return make_in(host->unified, false, path, err);
    const struct hierarchy *h = find_hierarchy(host, CGROUP_FREEZER);
    if (!h)
        h = find_hierarchy(host, CGROUP_PIDS);
    return make_in(h->root, h->controllers & CGROUP_CPUSET, path, err);
}

static void remove_made(struct cgroup_host *host, const char *path, int made)
{
    char dir[CGROUP_PATH_MAX];
    if (host->unified[0] && cgroup_path_format(dir, host->unified, path, NULL) == 0)
        rmdir(dir);
    for (int i = 0; i < made; i++) {
        if (cgroup_path_format(dir, host->hierarchy[i].root, path, NULL) == 0)
            rmdir(dir);
    }
}

static int v1_create(struct cgroup_host *host, const char *path,
                     const struct limits *limits, struct reeve_error *err)
{
    if (!limits)
        return make_light(host, path, err);
    if (host->unified[0] && make_in(host->unified, false, path, err) < 0)
        return -1;
    for (int i = 0; i < host->hierarchies; i++) {
        const struct hierarchy *h = &host->hierarchy[i];
        bool cpuset = h->controllers & CGROUP_CPUSET;
        if (h->controllers == CGROUP_CPUSET && !limits->cpuset[0])
            continue;
        if (make_in(h->root, cpuset, path, err) < 0) {
            remove_made(host, path, i);
            return -1;
        }
    }
    return 0;
}

/* ---- setting limits */

struct setting {
    struct cgroup_host *host;
    const char *path;
    bool fresh;
    struct reeve_error *err;
};

static bool group_dir(struct cgroup_host *host, const char *path, unsigned controller,
                      char out[CGROUP_PATH_MAX])
{
    const struct hierarchy *h = find_hierarchy(host, controller);
    out[0] = '\0';
    return h && cgroup_path_format(out, h->root, path, NULL) == 0;
}

/* A limit that is lifted (set false) needs no write where there never was one. */
static int put(struct setting *s, unsigned controller, const char *file, bool set,
               const char *value)
{
    char dir[CGROUP_PATH_MAX];
    if (!set && s->fresh)
        return 0;
    group_dir(s->host, s->path, controller, dir);
    if (cgroup_file_write(dir, file, value) == 0 || (!set && errno == ENOENT))
        return 0;
    return reeve_error_set(s->err, errno, "set %s of cgroup %s/%s to %s", file,
                           s->host->name, s->path, value);
}

static int put_number(struct setting *s, unsigned controller, const char *file,
                      bool set, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    return put(s, controller, file, set, text);
}

static int put_cpu(struct setting *s, const struct limits *l)
{
    bool set = l->cpu_milli != LIMIT_NONE;
    int64_t quota = -1, period = 100000;
    if (set)
        cgroup_cpu_quota(l->cpu_milli, &quota, &period);
    if (put_number(s, CGROUP_CPU, "cpu.cfs_period_us", set, period) < 0 ||
        put_number(s, CGROUP_CPU, "cpu.cfs_quota_us", set, quota) < 0)
        return -1;
    return 0;
}

static int put_cpu_weight(struct setting *s, const struct limits *l)
{
    /* The kernel's own scale: v2's default of 100 is v1's default of 1024. */
    bool set = l->cpu_weight != LIMIT_NONE;
    int64_t shares = set ? (l->cpu_weight * 1024 + 50) / 100 : 1024;
    return put_number(s, CGROUP_CPU, "cpu.shares", set, shares);
}

static int put_memory_alone(struct setting *s, const struct limits *l)
{
    return put_number(s, CGROUP_MEMORY, "memory.limit_in_bytes",
                      l->memory != LIMIT_NONE, l->memory);
}

static int put_swap(struct setting *s, const struct limits *l)
{
    char dir[CGROUP_PATH_MAX], text[32];
    group_dir(s->host, s->path, CGROUP_MEMORY, dir);
    /* Not there unless the kernel was told to account for swap. */
    if (cgroup_file_read(dir, "memory.memsw.limit_in_bytes", text, sizeof text) < 0)
        return 0;
    return put_number(s, CGROUP_MEMORY, "memory.memsw.limit_in_bytes",
                      l->memory_swap != LIMIT_NONE, l->memory_swap);
}

static int put_memory(struct setting *s, const struct limits *l)
{
    char dir[CGROUP_PATH_MAX];
    group_dir(s->host, s->path, CGROUP_MEMORY, dir);
    int64_t sum = cgroup_file_number(dir, "memory.memsw.limit_in_bytes", INT64_MAX);
    /* Memory may at no moment be above memory and swap together. */
    bool sum_first = l->memory == LIMIT_NONE || l->memory > sum;
    if ((sum_first && put_swap(s, l) < 0) || put_memory_alone(s, l) < 0 ||
        (!sum_first && put_swap(s, l) < 0))
        return -1;
    bool set = l->memory_reservation != LIMIT_NONE;
    int rc = put_number(s, CGROUP_MEMORY, "memory.soft_limit_in_bytes", set,
                        l->memory_reservation);
    /* Real-time kernels have no soft limit. */
    return rc < 0 && errno == EOPNOTSUPP ? 0 : rc;
}

static int put_pids(struct setting *s, const struct limits *l)
{
    if (l->pids == LIMIT_NONE)
        return put(s, CGROUP_PIDS, "pids.max", false, "max");
    return put_number(s, CGROUP_PIDS, "pids.max", true, l->pids);
}

static bool move_group(int dirfd, void *arg)
{
    cgroup_walk_processes(dirfd, cgroup_move_process, arg);
    return true;
}

/* The group was made without one. Who is forked by a process that was not yet moved is
 * found by the next look. */
static int make_cpuset(struct setting *s, char *dir)
{
    const struct hierarchy *h = find_hierarchy(s->host, CGROUP_CPUSET);
    char from[CGROUP_PATH_MAX];
    if (make_in(h->root, true, s->path, s->err) < 0)
        return -1;
    group_dir(s->host, s->path, CGROUP_PIDS, from);
    for (int look = 0; look < 3; look++) {
        auto_close fd = cgroup_walk_open(from);
        if (fd >= 0)
            cgroup_walk_tree(fd, move_group, dir);
    }
    return 0;
}

static int put_cpuset(struct setting *s, const struct limits *l)
{
    if (!(s->host->controllers & CGROUP_CPUSET))
        return 0;
    char dir[CGROUP_PATH_MAX], parent[CGROUP_PATH_MAX], all[512];
    group_dir(s->host, s->path, CGROUP_CPUSET, dir);
    if (l->cpuset[0] && !s->fresh && access(dir, F_OK) < 0 && make_cpuset(s, dir) < 0)
        return -1;
    if (l->cpuset[0])
        return put(s, CGROUP_CPUSET, "cpuset.cpus", true, l->cpuset);
    strcpy(parent, dir);
    *strrchr(parent, '/') = '\0';
    if (s->fresh || cgroup_file_read(parent, "cpuset.cpus", all, sizeof all) < 0)
        return 0;
    return put(s, CGROUP_CPUSET, "cpuset.cpus", false, all);
}

static int put_throttle(struct setting *s, const struct cgroup_disks *disks,
                        const char *file, int64_t limit)
{
    char value[64];
    for (int i = 0; i < disks->count; i++) {
        snprintf(value, sizeof value, "%s %" PRId64, disks->id[i],
                 limit == LIMIT_NONE ? 0 : limit);
        /* A disk can go at any time. */
        if (put(s, CGROUP_IO, file, limit != LIMIT_NONE, value) < 0 && errno != ENODEV)
            return -1;
    }
    return 0;
}

/* By BFQ, or by CFQ in kernels before 5.0; where the kernel has neither there is no
 * file, and cgroup_weighs_io() says so. */
static int put_io_weight(struct setting *s, const struct limits *l)
{
    static const char *const files[] = {"blkio.bfq.weight", "blkio.weight"};
    bool set = l->io_weight != LIMIT_NONE;
    char dir[CGROUP_PATH_MAX], text[32];
    group_dir(s->host, s->path, CGROUP_IO, dir);
    for (size_t i = 0; dir[0] && i < ARRAY_SIZE(files); i++)
        if (cgroup_file_read(dir, files[i], text, sizeof text) >= 0)
            return put_number(s, CGROUP_IO, files[i], set,
                              set ? cgroup_bfq_weight(l->io_weight)
                                  : CGROUP_BFQ_WEIGHT_DEFAULT);
    return 0;
}

static int put_io(struct setting *s, const struct limits *l)
{
    bool set = l->read_bps != LIMIT_NONE || l->write_bps != LIMIT_NONE ||
               l->read_iops != LIMIT_NONE || l->write_iops != LIMIT_NONE;
    char dir[CGROUP_PATH_MAX], text[32];
    group_dir(s->host, s->path, CGROUP_IO, dir);
    if ((!set && s->fresh) || !dir[0] ||
        cgroup_file_read(dir, "blkio.throttle.read_bps_device", text, sizeof text) < 0)
        return 0;
    struct cgroup_disks disks;
    cgroup_disks_find(&disks);
    if (put_throttle(s, &disks, "blkio.throttle.read_bps_device", l->read_bps) < 0 ||
        put_throttle(s, &disks, "blkio.throttle.write_bps_device", l->write_bps) < 0 ||
        put_throttle(s, &disks, "blkio.throttle.read_iops_device", l->read_iops) < 0)
        return -1;
    return put_throttle(s, &disks, "blkio.throttle.write_iops_device", l->write_iops);
}

static int put_weights(struct setting *s, const struct limits *l)
{
    return put_cpu_weight(s, l) < 0 || put_io_weight(s, l) < 0 ? -1 : 0;
}

/* Weights count among siblings: a payload's are those of its own run, so the run's
 * group has them, too. */
static int put_weights_above(struct setting *s, const struct limits *l)
{
    char above[CGROUP_PATH_MAX];
    if (cgroup_path_depth(s->path) != 3)
        return 0;
    snprintf(above, sizeof above, "%s", s->path);
    *strrchr(above, '/') = '\0';
    /* Perhaps the last attempt's are there. */
    struct setting up = {s->host, above, false, s->err};
    return put_weights(&up, l);
}

static int v1_apply(struct cgroup_host *host, const char *path, const struct limits *l,
                    bool fresh, struct reeve_error *err)
{
    struct setting s = {host, path, fresh, err};
    if (put_cpu(&s, l) < 0 || put_memory(&s, l) < 0 || put_pids(&s, l) < 0 ||
        put_cpuset(&s, l) < 0 || put_io(&s, l) < 0 || put_weights(&s, l) < 0)
        return -1;
    return put_weights_above(&s, l);
}

/* ---- reading */

static int64_t bytes_or_none(const char *dir, const char *file)
{
    int64_t v = cgroup_file_number(dir, file, LIMIT_NONE);
    return v >= UNLIMITED ? LIMIT_NONE : v;
}

static int64_t read_throttle(const char *dir, const char *file)
{
    char line[64];
    if (cgroup_file_read(dir, file, line, sizeof line) <= 0)
        return LIMIT_NONE;
    line[strcspn(line, "\n")] = '\0';
    char *space = strchr(line, ' ');
    int64_t v;
    return space && sscanf(space, "%" SCNd64, &v) == 1 ? v : LIMIT_NONE;
}

static void read_cpu_limits(const char *dir, struct limits *out)
{
    int64_t quota = cgroup_file_number(dir, "cpu.cfs_quota_us", -1);
    int64_t period = cgroup_file_number(dir, "cpu.cfs_period_us", 0);
    if (quota > 0 && period > 0)
        out->cpu_milli = (quota * 1000 + period / 2) / period;
    int64_t shares = cgroup_file_number(dir, "cpu.shares", 1024);
    if (shares != 1024)
        out->cpu_weight = (shares * 100 + 512) / 1024;
}

static void read_cpuset(const char *dir, struct limits *out)
{
    cgroup_file_read(dir, "cpuset.cpus", out->cpuset, sizeof out->cpuset);
    out->cpuset[strcspn(out->cpuset, "\n")] = '\0';
}

static void v1_read_limits(struct cgroup_host *host, const char *path,
                           struct limits *out)
{
    char dir[CGROUP_PATH_MAX];
    if (group_dir(host, path, CGROUP_CPU, dir))
        read_cpu_limits(dir, out);
    if (group_dir(host, path, CGROUP_MEMORY, dir)) {
        out->memory = bytes_or_none(dir, "memory.limit_in_bytes");
        out->memory_swap = bytes_or_none(dir, "memory.memsw.limit_in_bytes");
        out->memory_reservation = bytes_or_none(dir, "memory.soft_limit_in_bytes");
    }
    if (group_dir(host, path, CGROUP_PIDS, dir))
        out->pids = cgroup_read_pids_max(dir);
    if (group_dir(host, path, CGROUP_CPUSET, dir))
        read_cpuset(dir, out);
    if (group_dir(host, path, CGROUP_IO, dir)) {
        out->read_bps = read_throttle(dir, "blkio.throttle.read_bps_device");
        out->write_bps = read_throttle(dir, "blkio.throttle.write_bps_device");
        out->read_iops = read_throttle(dir, "blkio.throttle.read_iops_device");
        out->write_iops = read_throttle(dir, "blkio.throttle.write_iops_device");
        out->io_weight = cgroup_read_bfq_weight(
            dir, "blkio.bfq.weight",
            cgroup_read_bfq_weight(dir, "blkio.weight", LIMIT_NONE));
    }
}

static bool add_oom_kills(int dirfd, void *arg)
{
    auto_close fd = openat(dirfd, "memory.oom_control", O_RDONLY | O_CLOEXEC);
    char text[256];
    ssize_t n = fd < 0 ? -1 : fd_read_full(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    *(uint64_t *)arg += (uint64_t)cgroup_text_number(text, "oom_kill", 0);
    return true;
}

/* Whether the limit was ever hit. The counter of failures alone does not tell:
 * Linux 6.18 leaves it at 0 for memory and swap together. Usage is charged in batches
 * of pages, so it may stop short of the limit by one. */
static bool hit_limit(const char *dir, const char *failures, const char *peak,
                      const char *limit)
{
    int64_t batch = 64 * sysconf(_SC_PAGESIZE);
    int64_t most = cgroup_file_number(dir, peak, 0);
    return cgroup_file_number(dir, failures, 0) > 0 ||
           most >= cgroup_file_number(dir, limit, INT64_MAX) - batch;
}

static void read_memory(const char *dir, struct cgroup_stat *out)
{
    out->memory = cgroup_file_number(dir, "memory.usage_in_bytes", 0);
    out->memory_max = (uint64_t)cgroup_file_number(dir, "memory.failcnt", 0);
    out->memory_peak = cgroup_file_number(dir, "memory.max_usage_in_bytes", -1);
    /* v1 counts a kill in the victim's own group, which may be one that the payload
     * made below this one. */
    auto_close fd = cgroup_walk_open(dir);
    if (fd >= 0)
        cgroup_walk_tree(fd, add_oom_kills, &out->oom_kill);
    if (out->oom_kill > 0 &&
        (hit_limit(dir, "memory.failcnt", "memory.max_usage_in_bytes",
                   "memory.limit_in_bytes") ||
         hit_limit(dir, "memory.memsw.failcnt", "memory.memsw.max_usage_in_bytes",
                   "memory.memsw.limit_in_bytes")))
        out->oom = out->oom_kill;
}

static void read_io(const char *dir, struct cgroup_stat *out)
{
    char text[8192];
    if (cgroup_file_read(dir, "blkio.throttle.io_service_bytes_recursive", text,
                         sizeof text) < 0)
        cgroup_file_read(dir, "blkio.throttle.io_service_bytes", text, sizeof text);
    char *save;
    for (char *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        char what[16];
        uint64_t bytes;
        if (sscanf(line, "%*u:%*u %15s %" SCNu64, what, &bytes) != 2)
            continue;
        if (strcmp(what, "Read") == 0)
            out->read_bytes += bytes;
        else if (strcmp(what, "Write") == 0)
            out->write_bytes += bytes;
    }
}

static int64_t v1_read_cpu(struct cgroup_host *host, const char *path)
{
    char dir[CGROUP_PATH_MAX];
    int64_t ns = -1;
    if (group_dir(host, path, CGROUP_CPUACCT, dir))
        ns = cgroup_file_number(dir, "cpuacct.usage", -1);
    return ns < 0 ? -1 : ns / 1000;
}

static void v1_read_stat(struct cgroup_host *host, const char *path,
                         struct cgroup_stat *out)
{
    char dir[CGROUP_PATH_MAX], text[512];
    int64_t cpu = v1_read_cpu(host, path);
    out->cpu_usec = cpu < 0 ? 0 : (uint64_t)cpu;
    if (group_dir(host, path, CGROUP_CPU, dir)) {
        cgroup_file_read(dir, "cpu.stat", text, sizeof text);
        out->cpu_throttled_usec =
            (uint64_t)cgroup_text_number(text, "throttled_time", 0) / 1000;
    }
    if (group_dir(host, path, CGROUP_MEMORY, dir))
        read_memory(dir, out);
    if (group_dir(host, path, CGROUP_PIDS, dir)) {
        out->pids = cgroup_file_number(dir, "pids.current", 0);
        cgroup_file_read(dir, "pids.events", text, sizeof text);
        out->pids_refused = (uint64_t)cgroup_text_number(text, "max", 0);
    }
    if (group_dir(host, path, CGROUP_IO, dir))
        read_io(dir, out);
}

const struct cgroup_backend cgroup_backend_v1 = {
    .create = v1_create,
    .apply = v1_apply,
    .read_limits = v1_read_limits,
    .read_stat = v1_read_stat,
    .read_cpu = v1_read_cpu,
};
