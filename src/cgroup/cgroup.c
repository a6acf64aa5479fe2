/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cgroup/cgroup.h"
#include "base/alloc.h"
#include "base/fd.h"
#include "cgroup/cgroup-file.h"
#include "cgroup/cgroup-internal.h"
#include "cgroup/cgroup-walk.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Task ids come from a server: a part of a path is one plain name or nothing. */
static bool path_valid(const char *path)
{
    if (strlen(path) >= CGROUP_PATH_MAX)
        return false;
    for (const char *p = path;; p++) {
        if (!isalnum((unsigned char)*p) && *p != '_' && *p != '-')
            return false;
        while (isalnum((unsigned char)*p) || *p == '_' || *p == '-' || *p == '.')
            p++;
        if (*p != '/')
            return *p == '\0';
    }
}

static int check_path(const char *path, struct reeve_error *err)
{
    if (path_valid(path))
        return 0;
    /* Not the path itself: an error is one line, and this may be anything. */
    return reeve_error_set(err, EINVAL,
                           "name a cgroup (letters, digits, '_', '-', '.' and '/')");
}

int cgroup_path_format(char out[CGROUP_PATH_MAX], const char *dir, const char *path,
                       struct reeve_error *err)
{
    int n = snprintf(out, CGROUP_PATH_MAX, "%s%s%s", dir, *path ? "/" : "", path);
    if (n < CGROUP_PATH_MAX)
        return 0;
    out[0] = '\0';
    return reeve_error_set(err, ENAMETOOLONG, "cgroup %.60s/%.60s", dir, path);
}

int cgroup_path_depth(const char *path)
{
    int depth = 1;
    for (; *path; path++)
        depth += *path == '/';
    return depth;
}

int cgroup_make_parents(const char *root, const char *path,
                        int (*each)(const char *dir, void *arg, struct reeve_error *),
                        void *arg, struct reeve_error *err)
{
    char dir[CGROUP_PATH_MAX];
    if (cgroup_path_format(dir, root, path, err) < 0)
        return -1;
    char *end = dir + strlen(root);
    for (;;) {
        *end = '\0';
        if (mkdir(dir, 0755) < 0 && errno != EEXIST)
            return reeve_error_set(err, errno, "make cgroup %s", dir);
        if (each && each(dir, arg, err) < 0)
            return -1;
        *end = '/';
        end = strchr(end + 1, '/');
        if (!end)
            return 0;
    }
}

int64_t cgroup_read_pids_max(const char *dir)
{
    return cgroup_file_number(dir, "pids.max", LIMIT_NONE);
}

/* The kernel takes 1 ms as the smallest quota, so a small share needs a long period. */
void cgroup_cpu_quota(int64_t milli, int64_t *quota, int64_t *period)
{
    *period = milli < 10 ? 1000000 : 100000;
    *quota = milli * *period / 1000;
}

/* runc's own scales (ConvertBlkIOToIOWeightValue), the other way round. */
int64_t cgroup_bfq_weight(int64_t weight)
{
    return 10 + ((weight - 1) * 990 + 4999) / 9999;
}

int64_t cgroup_read_bfq_weight(const char *dir, const char *file, int64_t none)
{
    char text[64];
    if (cgroup_file_read(dir, file, text, sizeof text) <= 0)
        return none;
    const char *number = text + strcspn(text, "0123456789");
    long long weight = strtoll(number, NULL, 10);
    if (weight == CGROUP_BFQ_WEIGHT_DEFAULT || weight < 10)
        return none;
    return 1 + (weight - 10) * 9999 / 990;
}

int cgroup_check_root(const char *root_name, struct reeve_error *err)
{
    if (check_path(root_name, err) < 0)
        return -1;
    return strlen(root_name) < CGROUP_NAME_MAX
               ? 0
               : reeve_error_set(err, ENAMETOOLONG, "cgroup root \"%.80s\"", root_name);
}

struct cgroup_host *cgroup_host_open_mode(const char *root_name, bool use_unified,
                                          struct reeve_error *err)
{
    if (cgroup_check_root(root_name, err) < 0)
        return NULL;
    struct cgroup_host *host = xcalloc(1, sizeof *host);
    strcpy(host->name, root_name);
    char unified[CGROUP_PATH_MAX] = "";
    if (use_unified)
        cgroup_find_unified(unified);
    host->mode = cgroup_mode_of(unified);
    bool v2 = host->mode == CGROUP_V2;
    host->backend = v2 ? &cgroup_backend_v2 : &cgroup_backend_v1;
    if ((v2 ? cgroup_v2_open : cgroup_v1_open)(host, unified, err) == 0)
        return host;
    cgroup_host_close(host, true);
    return NULL;
}

struct cgroup_host *cgroup_host_open(const char *root_name, struct reeve_error *err)
{
    return cgroup_host_open_mode(root_name, true, err);
}

void cgroup_host_close(struct cgroup_host *host, bool remove)
{
    if (!host)
        return;
    int saved = errno;
    if (remove) {
        cgroup_v2_close(host);
        /* Only empty ones go, so a run that is left keeps its root. */
        if (host->unified[0])
            rmdir(host->unified);
        for (int i = 0; i < host->hierarchies; i++)
            rmdir(host->hierarchy[i].root);
    }
    free(host);
    errno = saved;
}

enum cgroup_mode cgroup_host_mode(const struct cgroup_host *host)
{
    return host->mode;
}

unsigned cgroup_host_controllers(const struct cgroup_host *host)
{
    return host->controllers;
}

static void add_dir(struct cgroup_dirs *out, const char *root, const char *path)
{
    if (root[0] && out->count < CGROUP_DIRS_MAX &&
        cgroup_path_format(out->dir[out->count], root, path, NULL) == 0)
        out->count++;
}

void cgroup_dirs(struct cgroup_host *host, const char *path, struct cgroup_dirs *out)
{
    out->count = 0;
    if (path[0] && !path_valid(path))
        return;
    add_dir(out, host->unified, path);
    for (int i = 0; i < host->hierarchies; i++)
        add_dir(out, host->hierarchy[i].root, path);
}

/* On v1 blkio and cpuset may be missing: no quota that a run depends on. */
static bool enforces(const struct cgroup_host *host, const char *dir)
{
    const unsigned needed = CGROUP_CPU | CGROUP_MEMORY | CGROUP_PIDS;
    size_t n = strlen(host->unified);
    if (n && strncmp(dir, host->unified, n) == 0 && dir[n] == '/')
        return true;
    for (int i = 0; i < host->hierarchies; i++) {
        const struct hierarchy *h = &host->hierarchy[i];
        n = strlen(h->root);
        if (strncmp(dir, h->root, n) == 0 && dir[n] == '/')
            return h->controllers & needed;
    }
    return true;
}

int cgroup_dirs_enforced(struct cgroup_host *host, const char *path,
                         struct cgroup_dirs *out, struct reeve_error *err)
{
    struct cgroup_dirs all;
    out->count = 0;
    if (check_path(path, err) < 0)
        return -1;
    cgroup_dirs(host, path, &all);
    for (int i = 0; i < all.count; i++) {
        if (access(all.dir[i], F_OK) == 0) {
            strcpy(out->dir[out->count++], all.dir[i]);
        } else if (errno != ENOENT || enforces(host, all.dir[i])) {
            out->count = 0;
            return reeve_error_set(err, errno, "look for cgroup %s", all.dir[i]);
        }
    }
    if (out->count > 0)
        return 0;
    return reeve_error_set(err, ENOENT, "look for cgroup %s/%s", host->name, path);
}

void cgroup_dirs_to_join(struct cgroup_host *host, const char *path,
                         struct cgroup_dirs *out)
{
    struct cgroup_dirs all;
    cgroup_dirs(host, path, &all);
    out->count = 0;
    for (int i = host->unified[0] ? 1 : 0; i < all.count; i++) {
        if (access(all.dir[i], F_OK) == 0)
            strcpy(out->dir[out->count++], all.dir[i]);
    }
}

static int check_exists(struct cgroup_host *host, const char *path,
                        struct reeve_error *err)
{
    if (check_path(path, err) < 0)
        return -1;
    struct cgroup_dirs dirs;
    cgroup_dirs(host, path, &dirs);
    for (int i = 0; i < dirs.count; i++) {
        if (access(dirs.dir[i], F_OK) == 0)
            return 0;
    }
    return reeve_error_set(err, ENOENT, "cgroup %s/%s", host->name, path);
}

int cgroup_create(struct cgroup_host *host, const char *path,
                  const struct limits *limits, struct reeve_error *err)
{
    if (check_path(path, err) < 0 || host->backend->create(host, path, limits, err) < 0)
        return -1;
    if (!limits)
        return 0;
    struct limits clamped = *limits;
    limits_clamp(&clamped);
    if (host->backend->apply(host, path, &clamped, true, err) == 0)
        return 0;
    cgroup_remove(host, path, NULL);
    return -1;
}

int cgroup_apply(struct cgroup_host *host, const char *path,
                 const struct limits *limits, struct reeve_error *err)
{
    if (check_exists(host, path, err) < 0)
        return -1;
    struct limits clamped = *limits;
    limits_clamp(&clamped);
    return host->backend->apply(host, path, &clamped, false, err);
}

int cgroup_read_limits(struct cgroup_host *host, const char *path, struct limits *out,
                       struct reeve_error *err)
{
    *out = (struct limits)LIMITS_NONE;
    if (check_exists(host, path, err) < 0)
        return -1;
    host->backend->read_limits(host, path, out);
    return 0;
}

int64_t cgroup_read_cpu(struct cgroup_host *host, const char *path)
{
    return check_path(path, NULL) < 0 ? -1 : host->backend->read_cpu(host, path);
}

int cgroup_read_stat(struct cgroup_host *host, const char *path,
                     struct cgroup_stat *out, struct reeve_error *err)
{
    *out = (struct cgroup_stat){.memory_peak = -1};
    if (check_exists(host, path, err) < 0)
        return -1;
    host->backend->read_stat(host, path, out);
    return 0;
}

static int remove_dir(const char *dir, struct reeve_error *err)
{
    auto_close fd = cgroup_walk_open(dir);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || cgroup_walk_remove(fd) < 0 || (rmdir(dir) < 0 && errno != ENOENT))
        return reeve_error_set(err, errno, "remove cgroup %s", dir);
    return 0;
}

int cgroup_remove(struct cgroup_host *host, const char *path, struct reeve_error *err)
{
    if (check_path(path, err) < 0)
        return -1;
    struct cgroup_dirs dirs;
    cgroup_dirs(host, path, &dirs);
    /* Not half of it: who is still in one hierarchy keeps its limits in the others. */
    if (cgroup_dirs_populated(&dirs))
        return reeve_error_set(err, EBUSY, "remove cgroup %s/%s", host->name, path);
    /* A process that is dead but not yet gone can still hold a directory for a moment;
     * that is EBUSY as well, and the caller comes again. */
    int rc = 0;
    for (int i = 0; i < dirs.count; i++) {
        if (remove_dir(dirs.dir[i], rc == 0 ? err : NULL) < 0)
            rc = -1;
    }
    return rc;
}

struct listing {
    struct cgroup_dirs dirs;
    int at;
    void (*fn)(const char *name, void *arg);
    void *arg;
};

/* A run that was half removed may be in any one of the hierarchies. */
static bool list_child(int dirfd, const char *name, void *arg)
{
    struct listing *l = arg;
    for (int i = 0; i < l->at; i++) {
        char path[CGROUP_PATH_MAX];
        if (cgroup_path_format(path, l->dirs.dir[i], name, NULL) == 0 &&
            access(path, F_OK) == 0)
            return true;
    }
    l->fn(name, l->arg);
    return true;
}

int cgroup_list(struct cgroup_host *host, const char *path,
                void (*fn)(const char *name, void *arg), void *arg,
                struct reeve_error *err)
{
    if (path[0] && check_path(path, err) < 0)
        return -1;
    struct listing l = {.fn = fn, .arg = arg};
    cgroup_dirs(host, path, &l.dirs);
    for (; l.at < l.dirs.count; l.at++) {
        auto_close fd = cgroup_walk_open(l.dirs.dir[l.at]);
        if (fd < 0 && errno == ENOENT)
            continue;
        if (fd < 0 || cgroup_walk_children(fd, list_child, &l) < 0)
            return reeve_error_set(err, errno, "list cgroup %s", l.dirs.dir[l.at]);
    }
    return 0;
}
