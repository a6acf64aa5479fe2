/* dir-usage.h - how much of a disk a folder takes, as du(1) counts */
#ifndef REEVE_DIR_USAGE_H
#define REEVE_DIR_USAGE_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdint.h>

/* Adds to *bytes the blocks of everything below path: no links are followed, no mount
 * is crossed, and a file with several names counts once if all are below. Ends early
 * once *bytes is above limit, or when *stop becomes true (NULL: never). What vanishes
 * meanwhile, or may not be read, does not count; folders nested deeper than 256 are
 * ELOOP. A missing folder is no error. 0 or -1. */
int dir_usage(const char *path, int64_t limit, const atomic_bool *stop, int64_t *bytes,
              struct reeve_error *err);

#endif
