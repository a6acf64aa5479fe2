/* syncer.h - a thread that waits for the disk or the kernel, so that the loop never
 * does
 *
 * Files are replaced atomically and synced in groups: everything that was asked for
 * while the last group was written goes into the next one, with one sync of each
 * folder. The master has several: one for records, one for removals, which may take
 * long, one that asks the kernel for limits, and disk.c's. */
#ifndef REEVE_SYNCER_H
#define REEVE_SYNCER_H

#include "base/error.h"

#include <stddef.h>

struct ev_loop;
struct syncer;

/* err is NULL when the file is on disk. Runs from the loop. */
typedef void (*syncer_done_f)(void *arg, const struct reeve_error *err);

struct syncer *syncer_create(struct ev_loop *loop, struct reeve_error *err);
/* Waits for all that was asked for, then ends the thread; open callbacks do not run. */
void syncer_destroy(struct syncer *s);
/* The same, but for what is found again by another master: after so many ms what has
 * not begun is dropped, and a removal that is under way ends where it is. */
void syncer_destroy_within(struct syncer *s, int ms);
/* Replaces path (mode 0600) by data, which is taken (malloc'd). done may be NULL. */
void syncer_replace(struct syncer *s, const char *path, char *data, size_t n,
                    syncer_done_f done, void *arg);
/* Calls fn(arg) in the thread: 0, or -1 with err. fn touches nothing of the loop's. */
void syncer_call(struct syncer *s, int (*fn)(void *arg, struct reeve_error *err),
                 syncer_done_f done, void *arg);
/* Removes a folder and everything below it; a failure is logged. */
void syncer_remove_tree(struct syncer *s, const char *path);
/* Ends a wait: the file is still written, the callback with this arg does not run. */
void syncer_forget(struct syncer *s, void *arg);

#endif
