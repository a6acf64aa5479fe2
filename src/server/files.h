/* files.h - the file server's folder: every path stays below it
 *
 * A path comes from outside. It is taken apart, ".." resolved in the text, and walked
 * name by name without following symbolic links, so that no path leads out. */
#ifndef REEVE_SERVER_FILES_H
#define REEVE_SERVER_FILES_H

#include "base/error.h"

#include <stdbool.h>
#include <sys/stat.h>

/* "/a//b/../c" as "a/c"; NULL if it leads out of the folder or is nothing at all. */
char *files_normalise_dup(const char *path);

/* path below is normalised. Failures set errno. */

/* A regular file for reading; -1 if there is none. */
int files_open(const char *root, const char *path, struct stat *st);
/* Removes a regular file. 0 or -1. */
int files_remove(const char *root, const char *path);
/* Removes a file, or a folder and all below it. 0 or -1. */
int files_remove_tree(const char *root, const char *path, struct reeve_error *err);

/* A new file of no name yet, in the folder for uploads; its path, to be freed, goes to
 * temporary. -1 on failure. */
int files_create(const char *uploads, char **temporary);
/* Gives it its name, folders above it made, what was there replaced. 0 or -1. */
int files_publish(const char *temporary, const char *root, const char *path);

#endif
