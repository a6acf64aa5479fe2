/* workspace.h - the folder in which the task runs, with its code in it */
#ifndef REEVE_WORKSPACE_H
#define REEVE_WORKSPACE_H

#include "base/error.h"
#include "prepare/report.h"
#include "prepare/spec.h"

struct workspace {
    char *root;        /* the checkout, or work/code for a task without a repository */
    char *cwd;         /* real path, in root */
    char *entry_point; /* relative to cwd, where it is a file */
};

/* Repository, uncommitted diff, standalone script: the steps clone, checkout and diff,
 * each reported as it begins. Made anew; only work/code of a run without a repository
 * stays over its attempts, with what the task left there. workspace_free is due after
 * success alone. */
int workspace_make(const struct spec *spec, struct report *r, struct workspace *out,
                   struct reeve_error *err);
void workspace_free(struct workspace *w);

#endif
