/* id.h - ids as ClearML makes them: 32 lower-case hexadecimal digits (uuid4 without
 * dashes) */
#ifndef REEVE_ID_H
#define REEVE_ID_H

#include <stdbool.h>

#define ID_SIZE 33

/* From the kernel's generator. Returns out. */
const char *id_new(char out[ID_SIZE]);
/* True for what may name a folder, a cgroup and a worker: 1 to 64 of [0-9a-zA-Z_-],
 * first of them no dash. The server's ids are 32 hex digits; other servers' may be
 * longer. */
bool id_valid(const char *id);

#endif
