/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/oom-score.h"

#include "base/fd.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define FILE_OF_SELF "/proc/self/oom_score_adj"
#define LAST "-900"

static char first[16];

void oom_score_set(const char *score)
{
    auto_close fd = *score ? open(FILE_OF_SELF, O_WRONLY | O_CLOEXEC) : -1;
    if (fd >= 0)
        fd_write_all(fd, score, strlen(score));
}

void oom_score_lower(void)
{
    auto_close fd = open(FILE_OF_SELF, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : fd_read_full(fd, first, sizeof first - 1);
    first[n > 0 ? n : 0] = '\0';
    first[strcspn(first, "\n")] = '\0';
    if (*first && atoi(first) > atoi(LAST))
        oom_score_set(LAST);
}

const char *oom_score_first(void)
{
    return first;
}
