/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/host-room.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/file.h"
#include "master/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define TEXT_MAX 65536

/* A container's own group is the root of what it sees. Without a limit v2 has "max", v1
 * a number beyond any memory. */
static int64_t container_limit(void)
{
    static const char *const files[] = {
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    };
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        auto_buf text = BUF_INIT;
        char *end;
        if (file_read(files[i], &text, TEXT_MAX, NULL) < 0)
            continue;
        long long limit = strtoll(buf_str(&text), &end, 10);
        if (end != text.data && limit > 0)
            return limit;
    }
    return INT64_MAX;
}

int64_t host_memory(void)
{
    auto_buf text = BUF_INIT;
    struct procfs_memory memory;
    if (file_read("/proc/meminfo", &text, TEXT_MAX, NULL) < 0 ||
        !procfs_memory(buf_str(&text), &memory))
        return 0;
    int64_t limit = container_limit();
    return limit < memory.total ? limit : memory.total;
}

int64_t host_cpu_milli(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (int64_t)CPU_COUNT(&set) * 1000;
    return (int64_t)sysconf(_SC_NPROCESSORS_ONLN) * 1000;
}

int64_t host_files(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) < 0 ? INT64_MAX : (int64_t)limit.rlim_cur;
}

bool host_files_left(int64_t least)
{
    auto_close lowest = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    return lowest < 0 ? errno != EMFILE && errno != EINVAL
                      : lowest + least <= host_files();
}

int host_disk(const char *path, struct host_disk *out)
{
    struct statvfs fs;
    if (statvfs(path, &fs) < 0 || !fs.f_blocks)
        return -1;
    out->size = (int64_t)(fs.f_blocks * fs.f_frsize);
    out->free = (int64_t)(fs.f_bavail * fs.f_frsize);
    return 0;
}
