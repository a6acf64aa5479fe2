/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the place in a v2 tree where groups of ours may be, and enabling controllers.
 * - The group that systemd delegated to us, which it marks; else the top of the tree,
 * be it the host's or a container's; else the highest group above us that is writable.
 * - A group other than the host's top has controllers for its children only while no
 *   process is in itself, so those that are in it move to <root>/master. All of them
 * are of our unit or container: the group is ours. */
#include "config.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "cgroup/cgroup-file.h"
#include "cgroup/cgroup-internal.h"
#include "cgroup/cgroup-walk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define REQUIRED (CGROUP_CPU | CGROUP_MEMORY | CGROUP_PIDS)
#define WANTED (REQUIRED | CGROUP_IO | CGROUP_CPUSET)

int cgroup_v2_enable(const char *dir, unsigned wanted, struct reeve_error *err)
{
    unsigned missing = wanted & ~cgroup_v2_controllers(dir, "cgroup.subtree_control");
    /* One at a time: the kernel takes all of a write or nothing, and io or cpuset may
     * be refused where the others are not. */
    for (unsigned c = 1; c <= missing; c <<= 1) {
        char text[32];
        if (!(missing & c))
            continue;
        snprintf(text, sizeof text, "+%s", cgroup_controller_name(c));
        if (cgroup_file_write(dir, "cgroup.subtree_control", text) < 0 &&
            (REQUIRED & c))
            return reeve_error_set(err, errno, "enable controller %s below cgroup %s",
                                   text + 1, dir);
    }
    return 0;
}

/* Marks on groups; the first kind is for root alone. */
static const char *const master_mark[] = {"trusted.reeve", "user.reeve"};

static bool first_process(pid_t pid, void *arg)
{
    *(bool *)arg = true;
    return false;
}

/* Moves every process of one group into another. They may fork while we look, so it
 * takes some rounds. */
static void move_all(const char *from, char *to)
{
    for (int round = 0; round < 20; round++) {
        auto_close fd = cgroup_walk_open(from);
        bool found = false;
        if (fd < 0 || cgroup_walk_processes(fd, first_process, &found) < 0 || !found)
            return;
        cgroup_walk_processes(fd, cgroup_move_process, to);
    }
}

static void master_group(const struct cgroup_host *host, char out[CGROUP_PATH_MAX])
{
    if (cgroup_path_format(out, host->unified, "master", NULL) < 0)
        strcpy(out, host->unified);
}

static int vacate_base(struct cgroup_host *host, struct reeve_error *err)
{
    char path[CGROUP_PATH_MAX + 16], master[CGROUP_PATH_MAX];
    snprintf(path, sizeof path, "%s/cgroup.events", host->base);
    /* Only the host's top has no such file, and it may have processes of its own. */
    if (access(path, F_OK) < 0)
        return 0;
    auto_close fd = cgroup_walk_open(host->base);
    bool found = false;
    if (fd >= 0)
        cgroup_walk_processes(fd, first_process, &found);
    if (!found)
        return 0;
    master_group(host, master);
    if (mkdir(master, 0755) < 0 && errno != EEXIST)
        return reeve_error_set(err, errno, "make cgroup %s", master);
    if (setxattr(master, master_mark[0], "1", 1, 0) < 0)
        setxattr(master, master_mark[1], "1", 1, 0);
    move_all(host->base, master);
    return 0;
}

static int check_required(struct cgroup_host *host, struct reeve_error *err)
{
    unsigned have = cgroup_v2_controllers(host->base, "cgroup.controllers");
    for (unsigned c = 1; c <= REQUIRED; c <<= 1) {
        if ((REQUIRED & c) && !(have & c))
            return reeve_error_set(
                err, ENOTSUP,
                "cgroup %s has no controller %s; give it one by cgroup.subtree_control "
                "of the groups above it (systemd: Delegate=yes)",
                host->base, cgroup_controller_name(c));
    }
    return 0;
}

int cgroup_v2_open(struct cgroup_host *host, const char *unified_mount,
                   struct reeve_error *err)
{
    char root[CGROUP_PATH_MAX];
    strcpy(host->mount, unified_mount);
    if (!cgroup_v2_choose_base(unified_mount, host->base))
        return reeve_error_set(
            err, EACCES,
            "cgroups below %s cannot be made; run as root, in a systemd unit with "
            "Delegate=yes, or in a container with /sys/fs/cgroup writable",
            unified_mount);
    if (check_required(host, err) < 0 ||
        cgroup_path_format(root, host->base, host->name, err) < 0)
        return -1;
    strcpy(host->unified, root);
    if (cgroup_make_parents(host->base, host->name, NULL, NULL, err) < 0)
        return -1;
    if (mkdir(root, 0755) < 0 && errno != EEXIST)
        return reeve_error_set(err, errno, "make cgroup %s", root);
    if (vacate_base(host, err) < 0 || cgroup_v2_enable(host->base, WANTED, err) < 0 ||
        cgroup_v2_enable(root, WANTED, err) < 0)
        return -1;
    host->controllers = cgroup_v2_controllers(root, "cgroup.subtree_control");
    return 0;
}

static void disable_all(const char *dir)
{
    unsigned on = cgroup_v2_controllers(dir, "cgroup.subtree_control");
    for (unsigned c = 1; c <= on; c <<= 1) {
        char text[32];
        if (!(on & c))
            continue;
        snprintf(text, sizeof text, "-%s", cgroup_controller_name(c));
        cgroup_file_write(dir, "cgroup.subtree_control", text);
    }
}

static bool other_than_master(int dirfd, const char *name, void *arg)
{
    if (strcmp(name, "master") != 0)
        *(bool *)arg = true;
    return true;
}

static bool has_runs(const char *root)
{
    auto_close fd = cgroup_walk_open(root);
    bool found = fd < 0 && errno != ENOENT;
    if (fd >= 0)
        cgroup_walk_children(fd, other_than_master, &found);
    return found;
}

/* Empties and removes root/master, and root with it if that is not ours to close. */
static void give_back(struct cgroup_host *host, const char *root)
{
    char master[CGROUP_PATH_MAX];
    if (has_runs(root) || cgroup_path_format(master, root, "master", NULL) < 0)
        return;
    move_all(master, host->base);
    if (rmdir(master) == 0 && strcmp(root, host->unified) != 0)
        rmdir(root);
}

/* The root group where we are in its "master", if there is one: it may be that of a
 * master that has ended before us, and that could not empty it because of us. */
static bool own_root(const struct cgroup_host *host, char out[CGROUP_PATH_MAX])
{
    cgroup_v2_own_group(host->mount, out);
    char *name = strrchr(out, '/');
    size_t base = strlen(host->base);
    if (strcmp(name, "/master") != 0 || strncmp(out, host->base, base) != 0 ||
        !cgroup_v2_marked(out, master_mark))
        return false;
    *name = '\0';
    return strrchr(out, '/') == out + base;
}

/* Who was moved is found by where it is: the one that moved it may be a master that was
 * killed, whose runs we took over. */
void cgroup_v2_close(struct cgroup_host *host)
{
    char master[CGROUP_PATH_MAX], other[CGROUP_PATH_MAX];
    if (!host->base[0])
        return;
    master_group(host, master);
    bool elsewhere = own_root(host, other);
    if (has_runs(host->unified) ||
        (!cgroup_v2_marked(master, master_mark) && !elsewhere))
        return;
    disable_all(host->unified);
    disable_all(host->base);
    /* Another root below base is in use: its master does this when it ends. */
    if (cgroup_v2_controllers(host->base, "cgroup.subtree_control"))
        return;
    give_back(host, host->unified);
    if (elsewhere)
        give_back(host, other);
}
