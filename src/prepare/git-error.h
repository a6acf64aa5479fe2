/* git-error.h - libgit2's errors as ours: the only place that translates them */
#ifndef REEVE_GIT_ERROR_H
#define REEVE_GIT_ERROR_H

#include "base/error.h"

#include <stdbool.h>

/* Sets "<text>: <what libgit2 said last>". Returns -1. */
int git_error_to(struct reeve_error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* True if libgit2's last error says that a repository on this host is damaged, rather
 * than that something else is missing or refused. */
bool git_error_is_damage(void);

#endif
