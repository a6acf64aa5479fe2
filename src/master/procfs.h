/* procfs.h - what the kernel's text files say about the host
 *
 * Each function takes the text of its file, whatever is in there, and needs a NUL at
 * its end. What is missing is 0 or said by the return value. */
#ifndef REEVE_PROCFS_H
#define REEVE_PROCFS_H

#include <stdbool.h>
#include <stdint.h>

/* Clock ticks since boot over all cores, from /proc/stat. idle includes waiting for
 * IO. */
struct procfs_cpu {
    uint64_t busy, idle;
};
bool procfs_cpu(const char *text, struct procfs_cpu *out);

/* Bytes, from /proc/meminfo. used as psutil and free(1) have it: without buffers and
 * page cache. */
struct procfs_memory {
    int64_t total, used, available;
};
bool procfs_memory(const char *text, struct procfs_memory *out);

/* Bytes since boot. */
struct procfs_traffic {
    uint64_t in, out;
};
/* All interfaces but lo, from /proc/net/dev. in: received. */
void procfs_network(const char *text, struct procfs_traffic *out);
/* The disks that counted() says yes to, from /proc/diskstats. in: read. */
typedef bool (*procfs_disk_f)(void *arg, const char *name);
void procfs_disks(const char *text, procfs_disk_f counted, void *arg,
                  struct procfs_traffic *out);

/* True if the absolute path lies on a file system that answers without a network or
 * another process, by the text of /proc/self/mountinfo. */
bool procfs_is_local(const char *mountinfo, const char *path);

#endif
