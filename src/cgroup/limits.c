/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cgroup/limits.h"

#include <unistd.h>

/* What the kernels take: a quota of 1 ms in a period of at most 1 s is one thousandth
 * of a CPU; pids.max refuses more than the largest pid; v1 counts operations in 32
 * bits. */
#define CPU_MILLI_MAX 10000000
#define PIDS_LIMIT_MAX 4194304
#define IOPS_MAX 4294967294

static void clamp(int64_t *v, int64_t low, int64_t high)
{
    if (*v < 0)
        *v = LIMIT_NONE;
    else if (*v < low)
        *v = low;
    else if (*v > high)
        *v = high;
}

static void clamp_memory(int64_t *v, int64_t page)
{
    clamp(v, page, INT64_MAX / page * page);
    if (*v > 0)
        *v -= *v % page;
}

void limits_clamp(struct limits *l)
{
    int64_t page = sysconf(_SC_PAGESIZE);
    clamp(&l->cpu_milli, 1, CPU_MILLI_MAX);
    clamp(&l->cpu_weight, 1, 10000);
    l->cpuset[sizeof l->cpuset - 1] = '\0';
    clamp_memory(&l->memory, page);
    clamp_memory(&l->memory_reservation, page);
    clamp_memory(&l->memory_swap, page);
    /* Memory and swap together bound memory as well, and v1 refuses a sum that is
     * smaller than one of its parts. */
    if (l->memory_swap != LIMIT_NONE && l->memory == LIMIT_NONE)
        l->memory = l->memory_swap;
    if (l->memory_swap != LIMIT_NONE && l->memory_swap < l->memory)
        l->memory_swap = l->memory;
    clamp(&l->pids, 1, PIDS_LIMIT_MAX);
    clamp(&l->read_bps, 1, INT64_MAX);
    clamp(&l->write_bps, 1, INT64_MAX);
    clamp(&l->read_iops, 1, IOPS_MAX);
    clamp(&l->write_iops, 1, IOPS_MAX);
    clamp(&l->io_weight, 1, 10000);
}
