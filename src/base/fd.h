/* fd.h - file descriptors: closing, full reads and writes */
#ifndef REEVE_FD_H
#define REEVE_FD_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

static inline void auto_close_cleanup(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
/* A local descriptor that is closed when it leaves its scope; start it at -1. */
#define auto_close __attribute__((cleanup(auto_close_cleanup))) int

/* Hands a descriptor over: returns it and leaves -1 behind. */
static inline int fd_take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* Writes all n bytes, through EINTR and short writes, for blocking descriptors. 0 or
 * -1. */
int fd_write_all(int fd, const void *data, size_t n);
/* The same at an offset. */
int fd_pwrite_all(int fd, const void *data, size_t n, off_t offset);
/* Reads until n bytes or end of file; returns how many, or -1. */
ssize_t fd_read_full(int fd, void *data, size_t n);
ssize_t fd_pread_full(int fd, void *data, size_t n, off_t offset);
/* Appends everything up to end of file; more than max bytes is EFBIG. 0 or -1. */
int fd_read_to_buf(int fd, struct buf *out, size_t max);
int fd_set_nonblock(int fd);
int fd_set_cloexec(int fd, int on);
/* A sealed memfd (no write, grow, shrink) with this content, CLOEXEC, at offset 0; or
 * -1. name is a label in /proc alone. */
int fd_sealed(const char *name, const void *data, size_t n);
/* Raises the soft limit of open files to the hard one, and where that is allowed (root)
 * both to what the kernel takes: a run is three descriptors of its master. Returns the
 * limit. */
size_t fd_raise_limit(void);
/* The soft and the hard limit as they were before that: what programs are to have that
 * are started for others, since some take a large one badly (select, loops over all
 * descriptors). False if they are not known. */
bool fd_first_limit(uint64_t *soft, uint64_t *hard);
/* Gives this process that soft limit back, before it becomes another program. */
void fd_restore_limit(void);

#endif
