/* file.h - files as wholes: replaced atomically, read with a bound, trees made and
 * removed */
#ifndef REEVE_FILE_H
#define REEVE_FILE_H

#include "base/buf.h"
#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

/* Replaces path by a new file with this content and mode: a temporary beside it
 * (path.tmp), then rename. It has no other writer meanwhile, whose temporary that were.
 * A reader sees the old or the new content, never a mixture. Process death
 * needs no sync; with sync the file and its folder also survive power loss. 0 or -1. */
int file_replace(const char *path, const void *data, size_t n, mode_t mode, bool sync,
                 struct reeve_error *err);
/* The same without a sync, for what is written again and again: the old file becomes
 * the next one's temporary (path.new), so that none is made and none is freed, and the
 * third time and later a full disk is in no way, unless its file system always writes
 * elsewhere. As with a rename over a file, its data begins its way to the disk before
 * its name changes. */
int file_renew(const char *path, const void *data, size_t n, mode_t mode,
               struct reeve_error *err);
/* Appends the whole file to out; more than max bytes is EFBIG. 0 or -1. */
int file_read(const char *path, struct buf *out, size_t max, struct reeve_error *err);
/* Makes a folder and its missing parents. An existing folder is no error. */
int dir_make(const char *path, mode_t mode, struct reeve_error *err);
/* Calls each with every name in a folder, but those that begin with a dot, when all
 * were read. -1 if they could not be: none was told then, as half of them would be
 * taken for all. A missing folder is an empty one. */
int dir_each(const char *path, void (*each)(const char *name, void *arg), void *arg,
             struct reeve_error *err);
/* Syncs the names in a folder. */
int dir_sync(const char *path, struct reeve_error *err);
/* Removes a folder and everything below it, however deep, following no symbolic link
 * and crossing no mount. A missing folder is no error. */
int dir_remove_tree(const char *path, struct reeve_error *err);
/* The same until *stop becomes true: ECANCELED then, if something is left. */
int dir_remove_tree_until(const char *path, const atomic_bool *stop,
                          struct reeve_error *err);
/* "a" and "b" as "a/b", to be freed by the caller. */
char *path_join_dup(const char *a, const char *b);

#endif
