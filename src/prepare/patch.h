/* patch.h - `git diff` output, read
 *
 * libgit2 reads and applies diffs too, but against its index rather than the files
 * (ClearML's SDK sends `--submodule=diff`, whose files are in no index), places hunks
 * without context (-U0) wrongly, and stumbles over "dissimilarity index" and over
 * blanks in the names of binary files. */
#ifndef REEVE_PATCH_H
#define REEVE_PATCH_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct patch_hunk {
    size_t number; /* from 1, in its file */
    size_t old_start, old_lines, new_start, new_lines;
    const char *body; /* the lines after "@@", each with its ' ', '+', '-' or '\' */
    size_t body_len;
};

enum patch_kind { PATCH_MODIFY, PATCH_CREATE, PATCH_DELETE, PATCH_RENAME, PATCH_COPY };

struct patch_file {
    enum patch_kind kind;
    char *old_path, *new_path; /* NULL: none there */
    mode_t old_mode, new_mode; /* 0: not said */
    bool binary;               /* "GIT binary patch" */
    bool binary_missing;       /* "Binary files differ", without their content */
    struct patch_hunk *hunks;
    size_t hunk_count;
    const char *binary_text; /* after "GIT binary patch" */
    size_t binary_len;
    char new_id[41]; /* of the blob that results, "" if it is not given in full */
};

struct patch {
    struct patch_file *files;
    size_t count;
};

/* Is this the diff of a git repository, and not a whole script (which travels in the
 * same field)? The rule is the official agent's. */
bool patch_is_diff(const char *text);
/* Reads n bytes; the result points into text. A hunk that ends early, a bad number or a
 * bad name is an error that names the line. What is between the files is passed over.
 */
int patch_parse(const char *text, size_t n, struct patch *out, struct reeve_error *err);
void patch_free(struct patch *p);
/* How to call a file in messages. */
const char *patch_file_name(const struct patch_file *f);

#endif
