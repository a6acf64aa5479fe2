/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/proc.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define ENVIRON_MAX (4u << 20)

static ssize_t read_small(const char *path, char *out, size_t size)
{
    auto_close fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : fd_read_full(fd, out, size - 1);
    out[n > 0 ? n : 0] = '\0';
    return n;
}

/* Field 3 on: the name in field 2 may hold spaces and parentheses. NULL if it is gone.
 */
static const char *read_stat(pid_t pid, char *stat, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    char *end = read_small(path, stat, size) > 0 ? strrchr(stat, ')') : NULL;
    return end && end[1] == ' ' ? end + 2 : NULL;
}

uint64_t proc_start_time(pid_t pid)
{
    char stat[1024];
    const char *p = read_stat(pid, stat, sizeof stat);
    for (int field = 3; p && field < 22; field++) {
        p = strchr(p, ' ');
        p += p != NULL;
    }
    return p ? strtoull(p, NULL, 10) : 0;
}

char proc_state(pid_t pid)
{
    char stat[1024];
    const char *p = read_stat(pid, stat, sizeof stat);
    return p ? *p : '\0';
}

const char *proc_boot_identity(char out[BOOT_IDENTITY_SIZE])
{
    char boot[64];
    read_small("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
    boot[strcspn(boot, "\n")] = '\0';
    struct stat ns;
    if (stat("/proc/self/ns/pid", &ns) < 0)
        memset(&ns, 0, sizeof ns);
    snprintf(out, BOOT_IDENTITY_SIZE, "%.36s.%llu.%llu", boot,
             (unsigned long long)ns.st_ino, (unsigned long long)proc_start_time(1));
    return out;
}

int64_t proc_own_rss(void)
{
    char text[128];
    long pages = 0;
    if (read_small("/proc/self/statm", text, sizeof text) > 0)
        sscanf(text, "%*s %ld", &pages);
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

bool proc_has_variable(pid_t pid, const char *pair)
{
    char path[40];
    size_t n = strlen(pair) + 1;
    auto_buf text = BUF_INIT;
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    if (file_read(path, &text, ENVIRON_MAX, NULL) < 0)
        return false;
    for (const char *p = text.data, *end = p + text.len; p && (size_t)(end - p) >= n;) {
        if (memcmp(p, pair, n) == 0)
            return true;
        p = memchr(p, '\0', (size_t)(end - p));
        p += p != NULL;
    }
    return false;
}

bool proc_is_ending(pid_t pid)
{
    char path[32], exe[8];
    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    return readlink(path, exe, sizeof exe) < 0 && (errno == ENOENT || errno == ESRCH);
}

int proc_pidfd_open(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

int proc_pidfd_signal(int pidfd, int sig)
{
    return (int)syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
}

/* linux/pidfd.h of Linux 6.15, which is newer than the headers that we build with. */
#define INFO_EXIT (UINT64_C(1) << 3)

struct info {
    uint64_t mask;
    uint64_t cgroup_id;
    uint32_t ids[11];
    int32_t exit_code; /* as wait(2) has it */
};
_Static_assert(sizeof(struct info) == 64, "PIDFD_INFO_SIZE_VER0");

#define GET_INFO _IOWR(0xFF, 11, struct info)

int proc_pidfd_exit(int pidfd, int *code, int *signal)
{
    struct info info = {.mask = INFO_EXIT};
    /* ESRCH: between its last state and what is told of it, while it is reaped; on
     * Linux 6.13 and 6.14, which tell no exits, also ever after. */
    if (ioctl(pidfd, GET_INFO, &info) < 0)
        return errno == ESRCH ? 0 : -1;
    if (!(info.mask & INFO_EXIT))
        return 0;
    *code = WIFEXITED(info.exit_code) ? WEXITSTATUS(info.exit_code) : -1;
    *signal = WIFSIGNALED(info.exit_code) ? WTERMSIG(info.exit_code) : 0;
    return 1;
}
