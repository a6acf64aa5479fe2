/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "prepare/git-error.h"

#include <git2.h>
#include <stdarg.h>
#include <stdio.h>

int git_error_to(struct reeve_error *err, const char *fmt, ...)
{
    const git_error *last = git_error_last();
    char text[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return reeve_error_set(err, 0, "%s: %s", text,
                           last && last->message ? last->message : "unknown error");
}

bool git_error_is_damage(void)
{
    const git_error *last = git_error_last();
    if (!last)
        return false;
    switch (last->klass) {
    case GIT_ERROR_ODB:
    case GIT_ERROR_ZLIB:
    case GIT_ERROR_OBJECT:
    case GIT_ERROR_TREE:
    case GIT_ERROR_INDEXER:
    case GIT_ERROR_REFERENCE:
    case GIT_ERROR_REPOSITORY:
    case GIT_ERROR_CONFIG:
        return true;
    default:
        return false;
    }
}
