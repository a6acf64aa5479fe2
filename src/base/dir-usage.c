/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/dir-usage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 256
#define BLOCK 512

struct walk {
    dev_t dev;
    int64_t limit, bytes;
    const atomic_bool *stop;
};

static bool ends(const struct walk *w)
{
    return w->bytes > w->limit || (w->stop && atomic_load(w->stop));
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
    w->bytes += (int64_t)st.st_blocks * BLOCK /
                (folder || st.st_nlink < 1 ? 1 : (int64_t)st.st_nlink);
    if (!folder)
        return 0;
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? 0 : add_folder(w, fd, depth + 1);
}

/* Takes fd. */
static int add_folder(struct walk *w, int fd, int depth)
{
    DIR *dir = depth < DEPTH_MAX ? fdopendir(fd) : NULL;
    if (!dir) {
        int error = depth < DEPTH_MAX ? errno : ELOOP;
        close(fd);
        errno = error;
        return error == ELOOP ? -1 : 0;
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

int dir_usage(const char *path, int64_t limit, const atomic_bool *stop, int64_t *bytes,
              struct reeve_error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || fstat(fd, &st) < 0) {
        reeve_error_set(err, errno, "measure %s", path);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    struct walk w = {.dev = st.st_dev, .limit = limit, .bytes = *bytes, .stop = stop};
    w.bytes += (int64_t)st.st_blocks * BLOCK;
    int rc = add_folder(&w, fd, 0);
    *bytes = w.bytes;
    return rc < 0 ? reeve_error_set(err, errno, "measure %s", path) : 0;
}
