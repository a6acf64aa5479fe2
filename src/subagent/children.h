/* children.h - processes that came to us as the payload's subreaper
 *
 * A payload's processes are ended by their group; these calls are for what is in no
 * group of ours: a payload without groups, or a process that moved itself elsewhere. */
#ifndef REEVE_CHILDREN_H
#define REEVE_CHILDREN_H

#include <stdbool.h>
#include <stddef.h>

/* Sends sig to every child of this process. How many there are; a child that nobody
 * reaped yet counts. */
int children_signal(int sig);
/* "name (pid), ..." of up to max of them. Returns out. */
const char *children_name(int max, char *out, size_t size);

#endif
