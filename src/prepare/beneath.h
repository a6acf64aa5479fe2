/* beneath.h - paths that a task names, kept inside its checkout
 *
 * Every part is opened relative to the one before and no symbolic link is followed, so
 * that neither "..", nor a link in the repository, leads out. */
#ifndef REEVE_BENEATH_H
#define REEVE_BENEATH_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

/* A relative path without empty parts, "." , ".." or ".git". */
bool beneath_valid(const char *path);
/* Opens the folder of path's last part, below root; *name is that part, inside path.
 * make: missing folders are made. Returns the descriptor, or -1. */
int beneath_open_parent(int root, const char *path, bool make, const char **name,
                        struct reeve_error *err);
/* Appends the content (of a symbolic link: its target) to out and sets *mode. 1 if
 * there is such a file, 0 if there is nothing, -1 if it is something else or can't be
 * read. */
int beneath_read(int root, const char *path, struct buf *out, mode_t *mode, size_t max,
                 struct reeve_error *err);
/* Makes or replaces a file, or a symbolic link when mode says so. 0 or -1. */
int beneath_write(int root, const char *path, const void *data, size_t n, mode_t mode,
                  struct reeve_error *err);
/* Removes a file, and the folders that are empty then. */
int beneath_remove(int root, const char *path, struct reeve_error *err);

/* For reading what the repository itself holds, where links inside the checkout are
 * welcome: the real path of root/path if it is in root, else NULL with err set. To be
 * freed by the caller. */
char *beneath_resolve_dup(const char *root, const char *path, struct reeve_error *err);

#endif
