/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "prepare/beneath.h"
#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static bool part_valid(const char *p, size_t n)
{
    if (n == 0 || n > NAME_MAX || (n == 1 && p[0] == '.') ||
        (n == 2 && p[0] == '.' && p[1] == '.'))
        return false;
    return !(n == 4 && strncasecmp(p, ".git", 4) == 0);
}

bool beneath_valid(const char *path)
{
    if (strlen(path) >= PATH_MAX)
        return false;
    for (const char *p = path;; p++) {
        size_t n = strcspn(p, "/");
        if (!part_valid(p, n))
            return false;
        p += n;
        if (!*p)
            return true;
    }
}

int beneath_open_parent(int root, const char *path, bool make, const char **name,
                        struct reeve_error *err)
{
    if (!beneath_valid(path))
        return reeve_error_set(err, EINVAL, "path %.120s", path);
    auto_close fd = openat(root, ".", FOLDER_FLAGS);
    const char *p = path;
    for (const char *slash; fd >= 0 && (slash = strchr(p, '/')); p = slash + 1) {
        char part[NAME_MAX + 1];
        memcpy(part, p, (size_t)(slash - p));
        part[slash - p] = '\0';
        if (make && mkdirat(fd, part, 0777) < 0 && errno != EEXIST)
            return reeve_error_set(err, errno, "create folder of %.120s", path);
        int next = openat(fd, part, FOLDER_FLAGS);
        int saved = errno;
        close(fd);
        fd = next;
        errno = saved;
    }
    if (fd < 0)
        return reeve_error_set(err, errno, "folder of %.120s", path);
    *name = p;
    return fd_take(&fd);
}

static int read_link(int dir, const char *name, struct buf *out)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(dir, name, target, sizeof target);
    if (n < 0)
        return -1;
    buf_add(out, target, (size_t)n);
    return 0;
}

static int read_file(int dir, const char *name, struct buf *out, size_t max)
{
    auto_close fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? -1 : fd_read_to_buf(fd, out, max);
}

int beneath_read(int root, const char *path, struct buf *out, mode_t *mode, size_t max,
                 struct reeve_error *err)
{
    const char *name;
    struct reeve_error inner;
    auto_close dir = beneath_open_parent(root, path, false, &name, &inner);
    if (dir < 0 && inner.code == ENOENT)
        return 0;
    struct stat st;
    if (dir < 0) {
        reeve_error_set(err, 0, "%s", inner.text);
        return -1;
    }
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : reeve_error_set(err, errno, "%.120s", path);
    *mode = st.st_mode;
    int result;
    if (S_ISLNK(st.st_mode))
        result = read_link(dir, name, out);
    else if (S_ISREG(st.st_mode))
        result = read_file(dir, name, out, max);
    else
        return reeve_error_set(err, 0, "%.120s is no file", path);
    return result < 0 ? reeve_error_set(err, errno, "read %.120s", path) : 1;
}

static int write_file(int dir, const char *name, const void *data, size_t n,
                      mode_t mode)
{
    auto_close fd =
        openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
               mode & 0111 ? 0777 : 0666);
    if (fd < 0 || fd_write_all(fd, data, n) < 0)
        return -1;
    return close(fd_take(&fd));
}

static int write_link(int dir, const char *name, const void *data, size_t n)
{
    if (n == 0 || n >= PATH_MAX || memchr(data, '\0', n)) {
        errno = EINVAL;
        return -1;
    }
    auto_free char *target = xstrndup(data, n);
    return symlinkat(target, dir, name);
}

int beneath_write(int root, const char *path, const void *data, size_t n, mode_t mode,
                  struct reeve_error *err)
{
    const char *name;
    auto_close dir = beneath_open_parent(root, path, true, &name, err);
    if (dir < 0)
        return -1;
    if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
        return reeve_error_set(err, errno, "replace %.120s", path);
    int result = S_ISLNK(mode) ? write_link(dir, name, data, n)
                               : write_file(dir, name, data, n, mode);
    return result < 0 ? reeve_error_set(err, errno, "write %.120s", path) : 0;
}

int beneath_remove(int root, const char *path, struct reeve_error *err)
{
    const char *name;
    auto_close dir = beneath_open_parent(root, path, false, &name, err);
    if (dir < 0)
        return -1;
    if (unlinkat(dir, name, 0) < 0)
        return reeve_error_set(err, errno, "remove %.120s", path);
    auto_free char *folder = xstrdup(path);
    for (char *slash; (slash = strrchr(folder, '/'));) {
        *slash = '\0';
        auto_close above = beneath_open_parent(root, folder, false, &name, NULL);
        if (above < 0 || unlinkat(above, name, AT_REMOVEDIR) < 0)
            break;
    }
    return 0;
}

char *beneath_resolve_dup(const char *root, const char *path, struct reeve_error *err)
{
    auto_free char *joined = path_join_dup(root, path[0] ? path : ".");
    auto_free char *real_root = realpath(root, NULL);
    auto_free char *real = real_root && path[0] != '/' ? realpath(joined, NULL) : NULL;
    size_t n = real_root ? strlen(real_root) : 0;
    if (path[0] == '/' ||
        (real && (strncmp(real, real_root, n) != 0 || (real[n] && real[n] != '/'))))
        reeve_error_set(err, 0, "%.150s leads out of the checkout", path);
    else if (!real)
        reeve_error_set(err, errno, "%.150s", path);
    else
        return steal(&real);
    return NULL;
}
