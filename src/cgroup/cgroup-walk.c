/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cgroup/cgroup-walk.h"
#include "base/fd.h"
#include "cgroup/cgroup-file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

int cgroup_walk_open(const char *dir)
{
    return open(dir, OPEN_DIR);
}

/* What getdents64(2) fills; the C library's opendir would allocate. */
struct entry {
    uint64_t ino;
    int64_t off;
    unsigned short reclen;
    unsigned char type;
    char name[];
};

int cgroup_walk_children(int dirfd, bool (*fn)(int dirfd, const char *name, void *arg),
                         void *arg)
{
    _Alignas(struct entry) char block[1024];
    struct stat st;
    /* A folder with no other link than its name and its "." has none below: its files,
     * some thirty on v1, need not be listed. */
    if (fstat(dirfd, &st) == 0 && st.st_nlink == 2)
        return 0;
    for (;;) {
        long n = syscall(SYS_getdents64, dirfd, block, sizeof block);
        if (n <= 0)
            return n < 0 ? -1 : 0;
        for (long at = 0; at < n;) {
            struct entry *e = (struct entry *)(block + at);
            at += e->reclen;
            /* cgroupfs always tells the type, and holds but files and directories. */
            if (e->type == DT_DIR && e->name[0] != '.' && !fn(dirfd, e->name, arg))
                return 0;
        }
    }
}

struct walk {
    bool (*fn)(int dirfd, void *arg);
    void *arg;
    int depth;
    bool stopped;
    int error;
};

static bool walk_child(int dirfd, const char *name, void *arg);

static void walk_one(struct walk *w, int dirfd)
{
    if (!w->fn(dirfd, w->arg)) {
        w->stopped = true;
        return;
    }
    if (++w->depth > CGROUP_WALK_DEPTH)
        w->error = ELOOP;
    else if (cgroup_walk_children(dirfd, walk_child, w) < 0 && errno != ENOENT)
        w->error = errno;
    w->depth--;
}

static bool walk_child(int dirfd, const char *name, void *arg)
{
    struct walk *w = arg;
    auto_close sub = openat(dirfd, name, OPEN_DIR);
    if (sub >= 0)
        walk_one(w, sub);
    else if (errno != ENOENT)
        w->error = errno;
    return !w->stopped;
}

int cgroup_walk_tree(int dirfd, bool (*fn)(int dirfd, void *arg), void *arg)
{
    struct walk w = {.fn = fn, .arg = arg};
    walk_one(&w, dirfd);
    errno = w.error;
    return w.error && !w.stopped ? -1 : 0;
}

int cgroup_walk_processes(int dirfd, bool (*fn)(pid_t pid, void *arg), void *arg)
{
    auto_close fd = openat(dirfd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    char block[4096];
    pid_t pid = 0;
    bool digits = false;
    for (;;) {
        ssize_t n = read(fd, block, sizeof block);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -1 : 0;
        for (ssize_t i = 0; i < n; i++) {
            if (block[i] >= '0' && block[i] <= '9') {
                pid = pid * 10 + (block[i] - '0');
                digits = true;
                continue;
            }
            if (digits && !fn(pid, arg))
                return 0;
            pid = 0;
            digits = false;
        }
    }
}

struct removal {
    int depth;
    int error;
};

static bool remove_child(int dirfd, const char *name, void *arg)
{
    struct removal *r = arg;
    auto_close sub = openat(dirfd, name, OPEN_DIR);
    if (sub < 0) {
        if (errno != ENOENT)
            r->error = errno;
        return true;
    }
    if (++r->depth > CGROUP_WALK_DEPTH)
        r->error = ELOOP;
    else if (cgroup_walk_children(sub, remove_child, r) < 0 && errno != ENOENT)
        r->error = errno;
    r->depth--;
    if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        r->error = errno;
    return true;
}

int cgroup_walk_remove(int dirfd)
{
    struct removal r = {0, 0};
    if (cgroup_walk_children(dirfd, remove_child, &r) < 0 && errno != ENOENT)
        r.error = errno;
    errno = r.error;
    return r.error ? -1 : 0;
}

bool cgroup_move_process(pid_t pid, void *arg)
{
    char text[16];
    snprintf(text, sizeof text, "%d", (int)pid);
    /* One that ended meanwhile needs no move; one that cannot be moved shows later. */
    if (pid > 0)
        cgroup_file_write(arg, "cgroup.procs", text);
    return true;
}
