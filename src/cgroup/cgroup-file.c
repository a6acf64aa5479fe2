/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cgroup/cgroup-file.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* The C library's printf family is not async-signal-safe, hence by hand. */
static int open_in(const char *dir, const char *name, int flags)
{
    char path[PATH_MAX];
    size_t n = strlen(dir), m = strlen(name);
    if (n + m + 2 > sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(path, dir, n);
    path[n] = '/';
    memcpy(path + n + 1, name, m + 1);
    return open(path, flags | O_CLOEXEC);
}

static int write_once(int fd, const char *value)
{
    ssize_t n;
    do {
        n = write(fd, value, strlen(value));
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -1 : 0;
}

int cgroup_file_write(const char *dir, const char *name, const char *value)
{
    auto_close fd = open_in(dir, name, O_WRONLY);
    return fd < 0 ? -1 : write_once(fd, value);
}

int cgroup_file_write_at(int dirfd, const char *name, const char *value)
{
    auto_close fd = openat(dirfd, name, O_WRONLY | O_CLOEXEC);
    return fd < 0 ? -1 : write_once(fd, value);
}

ssize_t cgroup_file_read(const char *dir, const char *name, char *out, size_t size)
{
    auto_close fd = open_in(dir, name, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : fd_read_full(fd, out, size - 1);
    out[n > 0 ? n : 0] = '\0';
    return n;
}

/* strtoll saturates at INT64_MAX, which is what a counter above that should be. */
static int64_t parse_number(const char *p, int64_t missing)
{
    char *end;
    long long v = strtoll(p, &end, 10);
    return end == p ? missing : (int64_t)v;
}

int64_t cgroup_file_number(const char *dir, const char *name, int64_t missing)
{
    char text[64];
    if (cgroup_file_read(dir, name, text, sizeof text) <= 0)
        return missing;
    return parse_number(text, missing);
}

int64_t cgroup_text_number(const char *text, const char *key, int64_t missing)
{
    size_t n = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, n) == 0 && line[n] == ' ')
            return parse_number(line + n + 1, missing);
    }
    return missing;
}
