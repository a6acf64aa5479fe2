/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/files.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/id.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

char *files_normalise_dup(const char *path)
{
    auto_buf out = BUF_INIT;
    while (*path) {
        size_t n = strcspn(path, "/");
        if (n == 2 && !memcmp(path, "..", 2)) {
            if (!out.len)
                return NULL;
            while (out.len && out.data[--out.len] != '/')
                continue;
            out.data[out.len] = '\0';
        } else if (n && !(n == 1 && *path == '.')) {
            if (out.len)
                buf_add_char(&out, '/');
            buf_add(&out, path, n);
        }
        path += n + (path[n] == '/');
    }
    return out.len ? buf_take(&out) : NULL;
}

/* The folder that holds path's last name, which last is set to; missing folders are
 * made if asked. -1 with errno. */
static int open_parent(const char *root, const char *path, bool make, const char **last)
{
    int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (const char *slash; dir >= 0 && (slash = strchr(path, '/')); path = slash + 1) {
        auto_free char *name = xstrndup(path, (size_t)(slash - path));
        if (make && mkdirat(dir, name, 0750) < 0 && errno != EEXIST) {
            int code = errno;
            close(dir);
            errno = code;
            return -1;
        }
        int next = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int code = errno;
        close(dir);
        errno = code;
        dir = next;
    }
    *last = path;
    return dir;
}

int files_open(const char *root, const char *path, struct stat *st)
{
    const char *name;
    auto_close dir = open_parent(root, path, false, &name);
    if (dir < 0)
        return -1;
    /* Nothing but plain files is made here; what else there is must not block us. */
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && (fstat(fd, st) < 0 || !S_ISREG(st->st_mode))) {
        close(fd);
        errno = ENOENT;
        return -1;
    }
    return fd;
}

int files_remove(const char *root, const char *path)
{
    struct stat st;
    const char *name;
    auto_close dir = open_parent(root, path, false, &name);
    if (dir < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    if (!S_ISREG(st.st_mode)) {
        errno = EISDIR;
        return -1;
    }
    return unlinkat(dir, name, 0);
}

int files_remove_tree(const char *root, const char *path, struct reeve_error *err)
{
    struct stat st;
    const char *name;
    auto_close dir = open_parent(root, path, false, &name);
    if (dir < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return reeve_error_set(err, errno, "remove");
    if (!S_ISDIR(st.st_mode))
        return unlinkat(dir, name, 0) < 0 ? reeve_error_set(err, errno, "remove") : 0;
    /* Through the open folder, so that the way there cannot change. */
    auto_free char *full = xasprintf("/proc/self/fd/%d/%s", dir, name);
    return dir_remove_tree(full, err);
}

int files_create(const char *uploads, char **temporary)
{
    char id[ID_SIZE];
    *temporary = path_join_dup(uploads, id_new(id));
    return open(*temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
}

int files_publish(const char *temporary, const char *root, const char *path)
{
    const char *name;
    auto_close dir = open_parent(root, path, true, &name);
    if (dir < 0)
        return -1;
    return renameat(AT_FDCWD, temporary, dir, name);
}
