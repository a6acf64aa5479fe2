/* patch-apply.h - `git apply --unidiff-zero` on a working tree */
#ifndef REEVE_PATCH_APPLY_H
#define REEVE_PATCH_APPLY_H

#include "base/buf.h"
#include "prepare/patch.h"

#include <git2.h>

#define PATCH_FILE_MAX (256u << 20)

/* Applies the hunks to the content of a file and appends the result to out. A hunk is
 * placed where its header says, else at the nearest place below the last hunk where its
 * lines are. Returns 0, or -1 with the hunk named in err. */
int patch_apply_hunks(const struct patch_file *f, const char *content, size_t n,
                      struct buf *out, struct reeve_error *err);
/* The same for a binary patch: what its first half ("literal" or "delta") makes of the
 * content. The result is checked against the blob's id where the diff has it. */
int patch_apply_binary(const struct patch_file *f, const char *content, size_t n,
                       struct buf *out, struct reeve_error *err);
/* Applies all of it to the files below dir, the working tree of repo, or (-1) nothing:
 * the files are touched only when every hunk has found its place. The file and hunk are
 * named in err. repo may be NULL: then line ends are taken as they are and binary
 * patches are refused. */
int patch_apply(git_repository *repo, const char *dir, const struct patch *p,
                struct reeve_error *err);

#endif
