/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

int fd_write_all(int fd, const void *data, size_t n)
{
    const char *p = data;
    while (n > 0) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return -1;
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

int fd_pwrite_all(int fd, const void *data, size_t n, off_t offset)
{
    const char *p = data;
    while (n > 0) {
        ssize_t w = pwrite(fd, p, n, offset);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return -1;
        p += w;
        offset += w;
        n -= (size_t)w;
    }
    return 0;
}

ssize_t fd_read_full(int fd, void *data, size_t n)
{
    char *p = data;
    size_t have = 0;
    while (have < n) {
        ssize_t r = read(fd, p + have, n - have);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -1;
        if (r == 0)
            break;
        have += (size_t)r;
    }
    return (ssize_t)have;
}

ssize_t fd_pread_full(int fd, void *data, size_t n, off_t offset)
{
    char *p = data;
    size_t have = 0;
    while (have < n) {
        ssize_t r = pread(fd, p + have, n - have, offset + (off_t)have);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -1;
        if (r == 0)
            break;
        have += (size_t)r;
    }
    return (ssize_t)have;
}

int fd_read_to_buf(int fd, struct buf *out, size_t max)
{
    for (;;) {
        char chunk[16384];
        ssize_t r = fd_read_full(fd, chunk, sizeof chunk);
        if (r < 0)
            return -1;
        if (out->len + (size_t)r > max) {
            errno = EFBIG;
            return -1;
        }
        buf_add(out, chunk, (size_t)r);
        if ((size_t)r < sizeof chunk)
            return 0;
    }
}

static int set_flag(int fd, int get, int set, int flag, int on)
{
    int flags = fcntl(fd, get);
    if (flags < 0)
        return -1;
    return fcntl(fd, set, on ? flags | flag : flags & ~flag) < 0 ? -1 : 0;
}

int fd_set_nonblock(int fd)
{
    return set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, 1);
}

int fd_set_cloexec(int fd, int on)
{
    return set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

int fd_sealed(const char *name, const void *data, size_t n)
{
    auto_close fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || fd_write_all(fd, data, n) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return -1;
    if (fcntl(fd, F_ADD_SEALS,
              F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return -1;
    return fd_take(&fd);
}

/* The kernel's own bound (fs.nr_open) unless it was changed. */
#define FILES_MAX (1 << 20)

static struct rlimit first_limit;

bool fd_first_limit(uint64_t *soft, uint64_t *hard)
{
    *soft = first_limit.rlim_cur;
    *hard = first_limit.rlim_max;
    return first_limit.rlim_max > 0;
}

void fd_restore_limit(void)
{
    if (first_limit.rlim_max > 0)
        setrlimit(RLIMIT_NOFILE, &first_limit);
}

size_t fd_raise_limit(void)
{
    struct rlimit rl;
    if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
        return 1024;
    first_limit = rl;
    struct rlimit more = {FILES_MAX, FILES_MAX};
    if (rl.rlim_max < FILES_MAX && setrlimit(RLIMIT_NOFILE, &more) == 0)
        return FILES_MAX;
    if (rl.rlim_cur < rl.rlim_max) {
        rlim_t soft = rl.rlim_cur;
        rl.rlim_cur = rl.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &rl) < 0)
            rl.rlim_cur = soft;
    }
    return (size_t)rl.rlim_cur;
}
