/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/resident.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Code of a file, which nobody has written to, so nothing is lost: of the rest
 * relocations may have been written before it was made read-only. */
static void trim_mapping(const char *line)
{
    unsigned long long begin, end;
    char mode[5], path[2];
    if (sscanf(line, "%llx-%llx %4s %*s %*s %*s %1s", &begin, &end, mode, path) == 4 &&
        strcmp(mode, "r-xp") == 0 && path[0] == '/')
        madvise((void *)(uintptr_t)begin, (size_t)(end - begin), MADV_DONTNEED);
}

void resident_trim(void)
{
    char line[4352];
    malloc_trim(0);
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof line, maps))
        trim_mapping(line);
    if (maps)
        fclose(maps);
}
