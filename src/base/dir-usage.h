/* dir-usage.h - how much of a disk folders take, as du(1) counts */
#ifndef REEVE_DIR_USAGE_H
#define REEVE_DIR_USAGE_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdint.h>

/* Sets *bytes to the blocks of everything below the folders (NULL ends the list). No
 * link is followed, no mount is crossed, and a file with several names counts once, and
 * whole, wherever the others are. Ends early once that is above limit, or when *stop
 * becomes true (NULL: never). What vanishes meanwhile, or may not be read, does not
 * count; a missing folder is no error. 0 or -1: ELOOP is what is nested deeper than a
 * path can say (1000 folders; only who wants to hide something gets there), or a link
 * in the place of one of the folders. *bytes is the least that it may be then. */
int dir_usage(const char *const *paths, int64_t limit, const atomic_bool *stop,
              int64_t *bytes, struct reeve_error *err);

#endif
