/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/dir-usage.h"

#include "base/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 1000
#define BLOCK 512
#define SEEN_FIRST 64

struct inode {
    dev_t dev;
    ino_t ino; /* 0: none */
};

struct walk {
    dev_t dev;
    int64_t limit, bytes;
    const atomic_bool *stop;
    struct inode *seen; /* with several names; a table with open addresses */
    size_t seen_count, seen_size;
};

/* ---- files with several names: no more of them than the limit has blocks ---- */

static struct inode *slot(struct inode *table, size_t size, const struct inode *i)
{
    size_t at = (size_t)(i->ino * 0x9e3779b97f4a7c15u >> 20);
    for (at %= size; table[at].ino; at = (at + 1) % size)
        if (table[at].ino == i->ino && table[at].dev == i->dev)
            break;
    return &table[at];
}

static void grow(struct walk *w)
{
    size_t size = w->seen_size ? w->seen_size * 2 : SEEN_FIRST;
    struct inode *table = xcalloc(size, sizeof *table);
    for (size_t i = 0; i < w->seen_size; i++)
        if (w->seen[i].ino)
            *slot(table, size, &w->seen[i]) = w->seen[i];
    free(w->seen);
    w->seen = table;
    w->seen_size = size;
}

static bool seen_before(struct walk *w, const struct stat *st)
{
    struct inode i = {st->st_dev, st->st_ino};
    if (w->seen_count * 2 >= w->seen_size)
        grow(w);
    struct inode *s = slot(w->seen, w->seen_size, &i);
    if (s->ino)
        return true;
    *s = i;
    w->seen_count++;
    return false;
}

/* ---- */

static bool ends(const struct walk *w)
{
    return w->bytes > w->limit || (w->stop && atomic_load(w->stop));
}

/* Of the host's room: what was not seen for want of it is not taken for nothing. */
static int failure(int error)
{
    errno = error;
    return error == EMFILE || error == ENFILE || error == ENOMEM ? -1 : 0;
}

static int add_folder(struct walk *w, int fd, int depth);

static int add_entry(struct walk *w, int dirfd, const char *name, int depth)
{
    struct stat st;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    bool folder = S_ISDIR(st.st_mode);
    /* Only of folders: on overlayfs a file may tell the device of its layer. */
    if (folder && st.st_dev != w->dev)
        return 0;
    if (folder || st.st_nlink < 2 || !st.st_blocks || !seen_before(w, &st))
        w->bytes += (int64_t)st.st_blocks * BLOCK;
    if (!folder)
        return 0;
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? failure(errno) : add_folder(w, fd, depth + 1);
}

/* Takes fd. */
static int add_folder(struct walk *w, int fd, int depth)
{
    DIR *dir = depth < DEPTH_MAX ? fdopendir(fd) : NULL;
    if (!dir) {
        int error = depth < DEPTH_MAX ? errno : ELOOP;
        close(fd);
        errno = error;
        return error == ELOOP ? -1 : failure(error);
    }
    int rc = 0;
    struct dirent *e;
    while (rc == 0 && !ends(w) && (e = readdir(dir)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            rc = add_entry(w, dirfd(dir), e->d_name, depth);
    int saved = errno;
    closedir(dir);
    errno = saved;
    return rc;
}

/* -1 with errno. */
static int add_top(struct walk *w, const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 && errno == ENOTDIR)
        errno = lstat(path, &st) == 0 && S_ISLNK(st.st_mode) ? ELOOP : ENOTDIR;
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) < 0) {
        close(fd);
        return -1;
    }
    w->dev = st.st_dev;
    w->bytes += (int64_t)st.st_blocks * BLOCK;
    return add_folder(w, fd, 0);
}

int dir_usage(const char *const *paths, int64_t limit, const atomic_bool *stop,
              int64_t *bytes, struct reeve_error *err)
{
    struct walk w = {.limit = limit, .stop = stop};
    int rc = 0;
    for (; *paths && rc == 0 && !ends(&w); paths++)
        if (add_top(&w, *paths) < 0)
            rc = reeve_error_set(err, errno, "measure %s", *paths);
    *bytes = w.bytes;
    free(w.seen);
    return rc;
}
