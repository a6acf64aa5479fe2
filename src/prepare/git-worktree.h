/* git-worktree.h - a working tree with its submodules, from the cache */
#ifndef REEVE_GIT_WORKTREE_H
#define REEVE_GIT_WORKTREE_H

#include "prepare/git-fetch.h"

struct git_checkout {
    const char *cache_dir;
    const char *url_text; /* as the task has it */
    const struct git_source *source;
    const char *bare; /* what git_cache_get found */
    git_oid commit;
    const char *dir; /* made anew; its parent exists */
};

/* Removes what is at dir and checks the commit out there, HEAD detached, objects
 * borrowed from the cache; then the submodules, each through the cache too. Returns 0;
 * 1 if the cached repository turned out to be damaged; -1. */
int git_worktree_make(const struct git_checkout *c, struct reeve_error *err);

#endif
