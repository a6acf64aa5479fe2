/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/file.h"
#include "base/alloc.h"
#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REMOVE_DEPTH 64
#define MOVE_TRIES 1000

static int write_temporary(const char *path, const void *data, size_t n, mode_t mode,
                           bool sync, struct reeve_error *err)
{
    auto_close fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return reeve_error_set(err, errno, "create %s", path);
    /* An existing temporary of a crashed writer keeps its old mode otherwise. */
    if (fchmod(fd, mode) < 0 || fd_write_all(fd, data, n) < 0)
        return reeve_error_set(err, errno, "write %s", path);
    if (sync && fdatasync(fd) < 0)
        return reeve_error_set(err, errno, "sync %s", path);
    if (close(fd_take(&fd)) < 0)
        return reeve_error_set(err, errno, "close %s", path);
    return 0;
}

int file_replace(const char *path, const void *data, size_t n, mode_t mode, bool sync,
                 struct reeve_error *err)
{
    auto_free char *tmp = xasprintf("%s.tmp", path);
    if (write_temporary(tmp, data, n, mode, sync, err) < 0) {
        unlink(tmp);
        return -1;
    }
    if (rename(tmp, path) < 0) {
        reeve_error_set(err, errno, "rename %s", tmp);
        unlink(tmp);
        return -1;
    }
    if (!sync)
        return 0;
    auto_free char *dir = xstrdup(path);
    char *slash = strrchr(dir, '/');
    if (slash)
        *slash = '\0';
    return dir_sync(slash ? (slash == dir ? "/" : dir) : ".", err);
}

/* Over what it had before, from its begin. */
static int overwrite(int fd, const void *data, size_t n, mode_t mode)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || (st.st_size == 0 && fchmod(fd, mode) < 0) ||
        fd_pwrite_all(fd, data, n, 0) < 0)
        return -1;
    if ((uint64_t)st.st_size > n && ftruncate(fd, (off_t)n) < 0)
        return -1;
    /* The beginning of its way to the disk, where the file system can; not its end. */
    sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    return 0;
}

static int exchange(const char *tmp, const char *path)
{
    if (renameat2(AT_FDCWD, tmp, AT_FDCWD, path, RENAME_EXCHANGE) == 0)
        return 0;
    /* The first time, or a file system that cannot. */
    return errno == ENOENT || errno == EINVAL || errno == ENOSYS ? rename(tmp, path)
                                                                 : -1;
}

int file_renew(const char *path, const void *data, size_t n, mode_t mode,
               struct reeve_error *err)
{
    auto_free char *tmp = xasprintf("%s.new", path);
    auto_close fd = open(tmp, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return reeve_error_set(err, errno, "create %s", tmp);
    if (overwrite(fd, data, n, mode) == 0 && exchange(tmp, path) == 0)
        return 0;
    reeve_error_set(err, errno, "write %s", path);
    /* One that has been written has its place on the disk, which may be full now. */
    struct stat st;
    if (fstat(fd, &st) < 0 || st.st_size == 0)
        unlink(tmp);
    return -1;
}

int file_read(const char *path, struct buf *out, size_t max, struct reeve_error *err)
{
    auto_close fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return reeve_error_set(err, errno, "open %s", path);
    if (fd_read_to_buf(fd, out, max) < 0)
        return reeve_error_set(err, errno, "read %s", path);
    return 0;
}

static int make_one(const char *path, mode_t mode)
{
    struct stat st;
    if (mkdir(path, mode) == 0)
        return 0;
    if (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    return -1;
}

int dir_make(const char *path, mode_t mode, struct reeve_error *err)
{
    /* Mostly the parents are there. */
    if (make_one(path, mode) == 0)
        return 0;
    auto_free char *copy = xstrdup(path);
    for (char *p = copy + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (make_one(copy, mode) < 0 && errno != EEXIST)
            return reeve_error_set(err, errno, "create folder %s", copy);
        *p = '/';
    }
    if (make_one(copy, mode) < 0)
        return reeve_error_set(err, errno == EEXIST ? ENOTDIR : errno,
                               "create folder %s", path);
    return 0;
}

/* One name after the other, each with its NUL. */
static int read_names(const char *path, struct buf *names)
{
    DIR *dir = opendir(path);
    struct dirent *e;
    if (!dir)
        return errno == ENOENT ? 0 : -1;
    while (errno = 0, (e = readdir(dir)))
        if (e->d_name[0] != '.')
            buf_add(names, e->d_name, strlen(e->d_name) + 1);
    int error = errno;
    closedir(dir);
    errno = error;
    return error ? -1 : 0;
}

int dir_each(const char *path, void (*each)(const char *name, void *arg), void *arg,
             struct reeve_error *err)
{
    auto_buf names = BUF_INIT;
    if (read_names(path, &names) < 0)
        return reeve_error_set(err, errno, "list %s", path);
    for (size_t at = 0; at < names.len; at += strlen(names.data + at) + 1)
        each(names.data + at, arg);
    return 0;
}

int dir_sync(const char *path, struct reeve_error *err)
{
    auto_close fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return reeve_error_set(err, errno, "sync folder %s", path);
    return 0;
}

struct removal {
    int top;
    dev_t dev;
    unsigned moved; /* to the top, since they were too deep */
    unsigned named; /* names that were tried for it */
    const atomic_bool *stop;
};

/* A folder that may not be read is made readable. -1 with errno. */
static int open_below(int dirfd, const char *name)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    int fd = openat(dirfd, name, flags);
    if (fd < 0 && errno == EACCES && fchmodat(dirfd, name, 0700, 0) == 0)
        fd = openat(dirfd, name, flags);
    return fd;
}

/* Neither descriptors nor the stack grow with what somebody has nested: from a depth on
 * a folder is moved to the top, which is gone through again. */
static int move_up(struct removal *r, int dirfd, const char *name)
{
    char to[32];
    for (int tries = 0; tries < MOVE_TRIES; tries++) {
        snprintf(to, sizeof to, "deep.%u", r->named++);
        if (renameat(dirfd, name, r->top, to) == 0) {
            r->moved++;
            return 0;
        }
        if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR)
            return -1;
    }
    return -1;
}

static int remove_below(struct removal *r, int dirfd, int depth);

static int remove_entry(struct removal *r, int dirfd, const char *name, int depth)
{
    int sub = open_below(dirfd, name);
    struct stat st;
    if (sub < 0)
        return unlinkat(dirfd, name, 0) < 0 && errno != ENOENT ? -1 : 0;
    if (fstat(sub, &st) < 0 || st.st_dev != r->dev) {
        close(sub);
        errno = EXDEV;
        return -1;
    }
    if (depth == REMOVE_DEPTH) {
        close(sub);
        return move_up(r, dirfd, name);
    }
    if (remove_below(r, sub, depth + 1) < 0)
        return -1;
    return unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -1 : 0;
}

/* Takes the descriptor. Every level is opened relative to its parent, so that a tree
 * which changes under us can lead nowhere else. */
static int remove_below(struct removal *r, int dirfd, int depth)
{
    DIR *dir = fdopendir(dirfd);
    if (!dir) {
        close(dirfd);
        return -1;
    }
    int failed = 0;
    struct dirent *e;
    while ((e = readdir(dir))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (r->stop && atomic_load(r->stop)) {
            failed = ECANCELED;
            break;
        }
        if (remove_entry(r, dirfd, e->d_name, depth) < 0)
            failed = errno;
    }
    closedir(dir);
    errno = failed;
    return failed ? -1 : 0;
}

/* Until no folder was moved to the top any more. */
static int remove_all(struct removal *r)
{
    for (;;) {
        unsigned before = r->moved;
        int fd = openat(r->top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int rc = fd < 0 ? -1 : remove_below(r, fd, 0);
        if (r->moved == before || (rc < 0 && errno == ECANCELED))
            return rc;
    }
}

int dir_remove_tree_until(const char *path, const atomic_bool *stop,
                          struct reeve_error *err)
{
    auto_close top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (top < 0 && errno == ENOENT)
        return 0;
    struct stat st;
    if (top < 0 || fstat(top, &st) < 0)
        return reeve_error_set(err, errno, "remove %s", path);
    struct removal r = {.top = top, .dev = st.st_dev, .stop = stop};
    if (remove_all(&r) < 0 || (rmdir(path) < 0 && errno != ENOENT))
        return reeve_error_set(err, errno, "remove %s", path);
    return 0;
}

int dir_remove_tree(const char *path, struct reeve_error *err)
{
    return dir_remove_tree_until(path, NULL, err);
}

char *path_join_dup(const char *a, const char *b)
{
    size_t n = strlen(a);
    return xasprintf("%s%s%s", a, n > 0 && a[n - 1] == '/' ? "" : "/", b);
}
