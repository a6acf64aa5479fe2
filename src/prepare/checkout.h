/* checkout.h - the repository of a task: cloned, checked out, its uncommitted diff
 * applied
 *
 * In reeve-prepare-git alone. Loading libgit2 and the twenty libraries below it takes a
 * start 2 ms, and most services have no repository: reeve-prepare is the same program
 * without it, and executes the other one when a task names a repository. */
#ifndef REEVE_CHECKOUT_H
#define REEVE_CHECKOUT_H

#include "base/error.h"
#include "prepare/report.h"
#include "prepare/spec.h"

#include <stdbool.h>

/* False in reeve-prepare. */
bool checkout_available(void);
/* Below work; *root is the caller's. Steps clone, checkout and, for a diff that git
 * made, diff. 0 or -1. */
int checkout_make(const struct spec *spec, struct report *r, const char *work,
                  char **root, struct reeve_error *err);

#endif
