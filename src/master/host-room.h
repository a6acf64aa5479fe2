/* host-room.h - how much this host has; nothing here blocks */
#ifndef REEVE_HOST_ROOM_H
#define REEVE_HOST_ROOM_H

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

#endif
