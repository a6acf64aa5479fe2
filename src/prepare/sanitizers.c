/* SPDX-License-Identifier: Apache-2.0 */
/* What the sanitizers' runtime asks reeve-prepare-git for; in no other build.
 *
 * libgit2 1.5 leaks where reeve can't help it: the match data of each regular
 * expression that does not match (PCRE2's, which nothing else in this program calls),
 * and the names of host keys when it connects by ssh. */
#include "config.h"

const char *__asan_default_options(void);
const char *__lsan_default_suppressions(void);

/* libgit2 has no frame pointers: without this, stacks end inside it and name no caller.
 * Suppressions that were used are no report. */
const char *__asan_default_options(void)
{
    return "fast_unwind_on_malloc=0:print_suppressions=0";
}

const char *__lsan_default_suppressions(void)
{
    return "leak:libpcre2\n"
           "leak:git_remote_connect_ext\n";
}
