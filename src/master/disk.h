/* disk.h - the quota `disk`: how much of the host's disk a run's own folder takes
 *
 * Counted are $STATE/runs/<task>/work and .../tmp, which is the TMPDIR of a run that
 * has such a quota. A thread of its own measures them from time to time, the longer
 * that takes the more seldom, so a run may be above its quota for some seconds. One
 * that is found above, or that hides what it takes (folders deeper than any path, a
 * link in the place of its folder), is stopped as an abort would stop it, ends as
 * `disk`, failed, and is not started again: it would begin with the same folder. */
#ifndef REEVE_DISK_H
#define REEVE_DISK_H

#include <stdint.h>

struct master;
struct run;
struct disk;

struct disk *disk_create(struct master *m);
void disk_destroy(struct disk *d);
/* Once a second: has those runs measured whose turn it is. */
void disk_tick(struct disk *d);
/* The TMPDIR of a run, to be freed by the caller; NULL if it has no quota of its disk.
 */
char *disk_tmp_dup(const struct run *run);

#endif
