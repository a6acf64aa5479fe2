/* git-cache.h - bare repositories shared by the runs of one user
 *
 * <cache>/git/<sha256 of the URL>.git with a lock file beside it. A repository here
 * only grows, so that working trees may borrow its objects without holding the lock.
 * One that is damaged is set aside as <...>.git.bad and made anew. */
#ifndef REEVE_GIT_CACHE_H
#define REEVE_GIT_CACHE_H

#include "prepare/git-fetch.h"

#include <stdbool.h>

struct git_wanted {
    const char *commit, *tag, *branch; /* the first that is not "" counts */
};

/* Makes sure that the wanted commit is in the cache; fetches only when it is not, or
 * when the name of a branch or tag may have moved. *path (the bare repository) is the
 * caller's. again: what the last call gave was found to be damaged. */
int git_cache_get(const char *cache_dir, const char *url_text,
                  const struct git_source *source, const struct git_wanted *wanted,
                  bool again, char **path, git_oid *commit, struct reeve_error *err);

#endif
