/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cgroup/cgroup-dirs.h"
#include "cgroup/cgroup-file.h"
#include "cgroup/cgroup-walk.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

int cgroup_dirs_join(const struct cgroup_dirs *dirs)
{
    for (int i = 0; i < dirs->count; i++) {
        if (cgroup_file_write(dirs->dir[i], "cgroup.procs", "0") < 0)
            return -1;
    }
    return 0;
}

static bool found_process(pid_t pid, void *arg)
{
    *(bool *)arg = true;
    return false;
}

static bool look_for_process(int dirfd, void *arg)
{
    bool *found = arg;
    cgroup_walk_processes(dirfd, found_process, found);
    return !*found;
}

/* The unified tree answers for everything below in one file; v1 has to be walked. A
 * tree that cannot be read to its end is taken as populated: better a run that needs
 * another look than one that is declared gone with processes left. */
static bool dir_populated(const char *dir)
{
    char events[128];
    if (cgroup_file_read(dir, "cgroup.events", events, sizeof events) > 0)
        return cgroup_text_number(events, "populated", 1) != 0;
    auto_close fd = cgroup_walk_open(dir);
    if (fd < 0)
        return errno != ENOENT;
    bool found = false;
    if (cgroup_walk_tree(fd, look_for_process, &found) < 0)
        return true;
    return found;
}

bool cgroup_dirs_populated(const struct cgroup_dirs *dirs)
{
    for (int i = 0; i < dirs->count; i++) {
        if (dir_populated(dirs->dir[i]))
            return true;
    }
    return false;
}

struct holding {
    pid_t pid;
    bool found;
};

static bool is_process(pid_t pid, void *arg)
{
    struct holding *h = arg;
    h->found = h->found || pid == h->pid;
    return !h->found;
}

static bool holds_process(int dirfd, void *arg)
{
    struct holding *h = arg;
    cgroup_walk_processes(dirfd, is_process, h);
    return !h->found;
}

bool cgroup_dirs_hold(const struct cgroup_dirs *dirs, pid_t pid)
{
    struct holding h = {pid, false};
    auto_close fd = dirs->count ? cgroup_walk_open(dirs->dir[0]) : -1;
    if (fd >= 0)
        cgroup_walk_tree(fd, holds_process, &h);
    return h.found;
}

struct signalling {
    int sig;
    int count;
};

static bool signal_process(pid_t pid, void *arg)
{
    struct signalling *s = arg;
    /* kill(0) would be our own process group: 0 is how cgroup.procs names a process
     * that our pid namespace does not know. */
    if (pid > 0 && kill(pid, s->sig) == 0)
        s->count++;
    return true;
}

static bool signal_group(int dirfd, void *arg)
{
    cgroup_walk_processes(dirfd, signal_process, arg);
    return true;
}

static int signal_dir(const char *dir, int sig)
{
    auto_close fd = cgroup_walk_open(dir);
    if (fd < 0)
        return 0;
    struct signalling s = {sig, 0};
    cgroup_walk_tree(fd, signal_group, &s);
    return s.count;
}

int cgroup_dirs_signal(const struct cgroup_dirs *dirs, int sig)
{
    /* Who joins a group does so in the order of the directories, so the first one with
     * a process has them all; a second directory would signal them twice. */
    for (int i = 0; i < dirs->count; i++) {
        int count = signal_dir(dirs->dir[i], sig);
        if (count > 0)
            return count;
    }
    return 0;
}

static bool thaw_group(int dirfd, void *arg)
{
    cgroup_file_write_at(dirfd, "freezer.state", "THAWED");
    return true;
}

/* On v1 a killed process stays where it is frozen, be it by us or, in a group below, by
 * the payload. (The unified tree's frozen processes take SIGKILL.) */
static void thaw_dir(const char *dir)
{
    auto_close fd = cgroup_walk_open(dir);
    if (fd < 0)
        return;
    if (faccessat(fd, "freezer.state", F_OK, 0) == 0)
        cgroup_walk_tree(fd, thaw_group, NULL);
    cgroup_file_write_at(fd, "cgroup.freeze", "0");
}

/* Without cgroup.kill a process could fork between our look and our signal: no more
 * forks, everything held still, then the signal. Each file is in one of the directories
 * at most, so the others refuse the write. */
void cgroup_dirs_sweep(const struct cgroup_dirs *dirs)
{
    for (int i = 0; i < dirs->count; i++) {
        cgroup_file_write(dirs->dir[i], "pids.max", "0");
        cgroup_file_write(dirs->dir[i], "freezer.state", "FROZEN");
        cgroup_file_write(dirs->dir[i], "cgroup.freeze", "1");
    }
    for (int i = 0; i < dirs->count; i++)
        signal_dir(dirs->dir[i], SIGKILL);
    for (int i = 0; i < dirs->count; i++)
        thaw_dir(dirs->dir[i]);
}

bool cgroup_dirs_kill_step(const struct cgroup_dirs *dirs)
{
    if (!cgroup_dirs_populated(dirs))
        return true;
    for (int i = 0; i < dirs->count; i++) {
        if (!dir_populated(dirs->dir[i]) ||
            cgroup_file_write(dirs->dir[i], "cgroup.kill", "1") < 0)
            continue;
        /* They are dying; whoever is in a v1 directory alone is swept next time. */
        return !cgroup_dirs_populated(dirs);
    }
    cgroup_dirs_sweep(dirs);
    return !cgroup_dirs_populated(dirs);
}

static bool name_process(pid_t pid, void *arg)
{
    proc_names_add(arg, pid);
    return true;
}

static bool name_group(int dirfd, void *arg)
{
    cgroup_walk_processes(dirfd, name_process, arg);
    return true;
}

void cgroup_dirs_name(const struct cgroup_dirs *dirs, struct proc_names *names)
{
    for (int i = 0; i < dirs->count && names->seen == 0; i++) {
        auto_close fd = cgroup_walk_open(dirs->dir[i]);
        if (fd >= 0)
            cgroup_walk_tree(fd, name_group, names);
    }
}

bool cgroup_dirs_take_in(const struct cgroup_dirs *dirs, pid_t pid)
{
    char text[16];
    bool moved = dirs->count > 0;
    snprintf(text, sizeof text, "%d", (int)pid);
    for (int i = 0; i < dirs->count; i++)
        moved = cgroup_file_write(dirs->dir[i], "cgroup.procs", text) == 0 && moved;
    return moved;
}
