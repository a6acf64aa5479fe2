/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/unix.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>

static int open_dir(const char *dir, struct reeve_error *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return reeve_error_set(err, errno, "open folder %s", dir);
    return fd;
}

static int make_address(struct sockaddr_un *address, int dir_fd, const char *name,
                        struct reeve_error *err)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s",
                     dir_fd, name);
    if (n < 0 || (size_t)n >= sizeof address->sun_path)
        return reeve_error_set(err, ENAMETOOLONG, "socket name %s", name);
    return 0;
}

static int base_type(int type)
{
    return type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* errno of a connection attempt, 0 if somebody answers. */
static int probe(const struct sockaddr_un *address, int type)
{
    auto_close fd = socket(AF_UNIX, base_type(type) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0)
        return 0;
    return errno;
}

static int bind_or_replace(int fd, const struct sockaddr_un *address, int type,
                           int dir_fd, const char *name)
{
    if (bind(fd, (const struct sockaddr *)address, sizeof *address) == 0)
        return 0;
    struct stat st;
    if (errno != EADDRINUSE)
        return -1;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISSOCK(st.st_mode)) {
        errno = EADDRINUSE;
        return -1;
    }
    int why = probe(address, type);
    if (why != ECONNREFUSED && why != ENOENT) {
        errno = EADDRINUSE;
        return -1;
    }
    if (unlinkat(dir_fd, name, 0) != 0 && errno != ENOENT)
        return -1;
    return bind(fd, (const struct sockaddr *)address, sizeof *address);
}

int unix_listen(const char *dir, const char *name, int type, mode_t mode,
                struct reeve_error *err)
{
    struct sockaddr_un address;
    auto_close dir_fd = open_dir(dir, err);
    if (dir_fd < 0 || make_address(&address, dir_fd, name, err) != 0)
        return -1;
    auto_close fd = socket(AF_UNIX, base_type(type) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return reeve_error_set(err, errno, "make a unix socket");
    /* Between another starter's bind and listen its socket looks dead: the lock makes
     * starters take turns. It ends with dir_fd. */
    if (flock(dir_fd, LOCK_EX) != 0)
        return reeve_error_set(err, errno, "lock folder %s", dir);
    /* The file gets the socket's own mode less the umask, so there is no moment at
     * which more people may connect than in the end. */
    if (fchmod(fd, mode) != 0)
        return reeve_error_set(err, errno, "set the mode of %s/%s", dir, name);
    if (bind_or_replace(fd, &address, type, dir_fd, name) != 0)
        return reeve_error_set(err, errno, "bind %s/%s", dir, name);
    if (fchmodat(dir_fd, name, mode, 0) != 0 ||
        (base_type(type) != SOCK_DGRAM && listen(fd, SOMAXCONN) != 0)) {
        int code = errno;
        unlinkat(dir_fd, name, 0);
        return reeve_error_set(err, code, "listen on %s/%s", dir, name);
    }
    return fd_take(&fd);
}

static int set_blocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

int unix_connect(const char *dir, const char *name, int type, struct reeve_error *err)
{
    struct sockaddr_un address;
    auto_close dir_fd = open_dir(dir, err);
    if (dir_fd < 0 || make_address(&address, dir_fd, name, err) != 0)
        return -1;
    auto_close fd = socket(AF_UNIX, base_type(type) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return reeve_error_set(err, errno, "make a unix socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        return reeve_error_set(err, errno, "connect to %s/%s", dir, name);
    if (!(type & SOCK_NONBLOCK) && set_blocking(fd) != 0)
        return reeve_error_set(err, errno, "set up the socket %s/%s", dir, name);
    return fd_take(&fd);
}

int unix_peer(int fd, struct ucred *peer)
{
    socklen_t n = sizeof *peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &n);
}
