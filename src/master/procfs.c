/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/procfs.h"
#include "base/alloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *next_line(const char *line)
{
    const char *end = strchr(line, '\n');
    return end ? end + 1 : line + strlen(line);
}

bool procfs_cpu(const char *text, struct procfs_cpu *out)
{
    uint64_t user, nice, system, idle, iowait = 0, irq = 0, softirq = 0, steal_ = 0;
    for (const char *line = text; *line; line = next_line(line)) {
        /* Guest time is in user and nice already. */
        int n = sscanf(line,
                       "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                       " %" SCNu64 " %" SCNu64 " %" SCNu64,
                       &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal_);
        if (strncmp(line, "cpu ", 4) != 0 || n < 4)
            continue;
        out->busy = user + nice + system + irq + softirq + steal_;
        out->idle = idle + iowait;
        return true;
    }
    return false;
}

/* The value of "Name:   123 kB" in bytes; -1 if there is none. */
static int64_t meminfo_value(const char *text, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = text; *line; line = next_line(line)) {
        uint64_t kb;
        if (strncmp(line, name, n) != 0 || line[n] != ':')
            continue;
        if (sscanf(line + n + 1, "%" SCNu64, &kb) != 1 || kb > INT64_MAX / 1024)
            return -1;
        return (int64_t)kb * 1024;
    }
    return -1;
}

static int64_t or_zero(int64_t value)
{
    return value < 0 ? 0 : value;
}

bool procfs_memory(const char *text, struct procfs_memory *out)
{
    int64_t total = meminfo_value(text, "MemTotal");
    int64_t unused = meminfo_value(text, "MemFree");
    int64_t available = meminfo_value(text, "MemAvailable");
    if (total < 0 || unused < 0 || unused > total)
        return false;
    double cache = (double)or_zero(meminfo_value(text, "Buffers")) +
                   (double)or_zero(meminfo_value(text, "Cached")) +
                   (double)or_zero(meminfo_value(text, "SReclaimable"));
    out->total = total;
    out->available = available < 0 ? unused : available;
    out->used = total - unused;
    /* In a container the figures need not fit each other. */
    if (cache <= (double)out->used)
        out->used -= (int64_t)cache;
    return true;
}

void procfs_network(const char *text, struct procfs_traffic *out)
{
    *out = (struct procfs_traffic){0};
    for (const char *line = text; *line; line = next_line(line)) {
        char name[64];
        uint64_t received, sent;
        /* The two lines of heading have no such numbers. */
        if (sscanf(line,
                   " %63[^: \n]: %" SCNu64 " %*u %*u %*u %*u %*u %*u %*u %" SCNu64,
                   name, &received, &sent) != 3 ||
            !strcmp(name, "lo"))
            continue;
        out->in += received;
        out->out += sent;
    }
}

void procfs_disks(const char *text, procfs_disk_f counted, void *arg,
                  struct procfs_traffic *out)
{
    *out = (struct procfs_traffic){0};
    for (const char *line = text; *line; line = next_line(line)) {
        char name[64];
        uint64_t sectors_read, sectors_written;
        if (sscanf(line, " %*u %*u %63s %*u %*u %" SCNu64 " %*u %*u %*u %" SCNu64, name,
                   &sectors_read, &sectors_written) != 3 ||
            !counted(arg, name))
            continue;
        /* A sector is 512 bytes here, whatever the disk's own are. */
        out->in += sectors_read * 512;
        out->out += sectors_written * 512;
    }
}

/* mountinfo writes a space as \040, and so on. */
static void unescape(char *text)
{
    char *to = text;
    for (char *p = text; *p; p++) {
        if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
            p[3] >= '0' && p[3] <= '7') {
            *to++ = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
            p += 3;
        } else {
            *to++ = *p;
        }
    }
    *to = '\0';
}

static bool is_below(const char *path, const char *mount)
{
    size_t n = strlen(mount);
    while (n > 0 && mount[n - 1] == '/')
        n--;
    return !strncmp(path, mount, n) && (path[n] == '/' || path[n] == '\0');
}

static bool type_is_local(const char *type)
{
    static const char *const local[] = {"ext2", "ext3",    "ext4",  "xfs",   "btrfs",
                                        "zfs",  "overlay", "tmpfs", "f2fs",  "bcachefs",
                                        "jfs",  "vfat",    "exfat", "ramfs", "rootfs"};
    for (size_t i = 0; i < ARRAY_SIZE(local); i++)
        if (!strcmp(type, local[i]))
            return true;
    return false;
}

bool procfs_is_local(const char *mountinfo, const char *path)
{
    size_t best = 0;
    bool found = false, is_local = false;
    for (const char *line = mountinfo; *line; line = next_line(line)) {
        char mount[4096], type[64];
        const char *end = next_line(line);
        const char *dash = strstr(line, " - ");
        if (!dash || dash >= end ||
            sscanf(line, "%*u %*u %*s %*s %4095s", mount) != 1 ||
            sscanf(dash, " - %63s", type) != 1)
            continue;
        unescape(mount);
        /* A later line lies above an earlier one of the same place. */
        if (!is_below(path, mount) || (found && strlen(mount) < best))
            continue;
        best = strlen(mount);
        found = true;
        is_local = type_is_local(type);
    }
    return is_local;
}
