/* host-room.h - how much this host has; nothing here blocks */
#ifndef REEVE_HOST_ROOM_H
#define REEVE_HOST_ROOM_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes: the machine's, or the limit of the container that reeve is in. 0: unknown. */
int64_t host_memory(void);
/* Thousandths of the CPUs that this process may use. */
int64_t host_cpu_milli(void);

struct host_disk {
    int64_t size, free; /* bytes; free for this user */
};
/* Of the file system below path, one that the caller writes to anyway. -1 where it has
 * no size of its own. */
int host_disk(const char *path, struct host_disk *out);
/* How many files this process may open, and whether it may open so many more: if all
 * that are open have the lowest numbers, as when they run out. */
int64_t host_files(void);
bool host_files_left(int64_t least);

#endif
