/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cgroup/limits.h"

#include "base/alloc.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the kernels take: a quota of 1 ms in a period of at most 1 s is one thousandth
 * of a CPU; pids.max refuses more than the largest pid; v1 counts operations in 32
 * bits; v2 refuses a rate of 1. */
#define CPU_MILLI_MAX 10000000
#define PIDS_LIMIT_MAX 4194304
#define IOPS_MAX 4294967294
#define RATE_MIN 2

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
    clamp(&l->read_bps, RATE_MIN, INT64_MAX);
    clamp(&l->write_bps, RATE_MIN, INT64_MAX);
    clamp(&l->read_iops, RATE_MIN, IOPS_MAX);
    clamp(&l->write_iops, RATE_MIN, IOPS_MAX);
    clamp(&l->io_weight, 1, 10000);
}

/* ---- its parts by number */

static const struct {
    const char *key;  /* in records */
    const char *name; /* for a person */
    size_t offset;
} numbers[LIMITS_NUMBERS] = {
    {"cpu_milli", "cpus", offsetof(struct limits, cpu_milli)},
    {"cpu_weight", "cpu weight", offsetof(struct limits, cpu_weight)},
    {"memory", "memory", offsetof(struct limits, memory)},
    {"memory_reservation", "memory_reservation",
     offsetof(struct limits, memory_reservation)},
    {"memory_swap", "memory_swap", offsetof(struct limits, memory_swap)},
    {"pids", "pids", offsetof(struct limits, pids)},
    {"read_bps", "read_bps", offsetof(struct limits, read_bps)},
    {"write_bps", "write_bps", offsetof(struct limits, write_bps)},
    {"read_iops", "read_iops", offsetof(struct limits, read_iops)},
    {"write_iops", "write_iops", offsetof(struct limits, write_iops)},
    {"io_weight", "io weight", offsetof(struct limits, io_weight)},
};

const char *limits_key(size_t i)
{
    return numbers[i].key;
}

int64_t limits_number(const struct limits *l, size_t i)
{
    int64_t v;
    memcpy(&v, (const char *)l + numbers[i].offset, sizeof v);
    return v;
}

void limits_set_number(struct limits *l, size_t i, int64_t v)
{
    memcpy((char *)l + numbers[i].offset, &v, sizeof v);
}

/* ---- comparing */

#define CPUSET_BIT (1u << LIMITS_NUMBERS)
#define CPUSET_MAX 8192

/* The kernel writes "0,1" as "0-1". */
static void mark_cpus(const char *text, bool cpus[CPUSET_MAX])
{
    for (const char *p = text; *p >= '0' && *p <= '9';) {
        char *end;
        unsigned long first = strtoul(p, &end, 10), last = first;
        if (*end == '-')
            last = strtoul(end + 1, &end, 10);
        for (; first <= last && first < CPUSET_MAX; first++)
            cpus[first] = true;
        p = *end == ',' ? end + 1 : end;
    }
}

/* Docker's 100 is runc's 910 on v2's scale, and BFQ's default, which reads as none. */
static bool is_default_weight(size_t i, int64_t wanted, int64_t have)
{
    return numbers[i].offset == offsetof(struct limits, io_weight) && wanted == 910 &&
           have == LIMIT_NONE;
}

static bool cpusets_differ(const char *wanted, const char *have)
{
    bool a[CPUSET_MAX] = {false}, b[CPUSET_MAX] = {false};
    if (!*wanted || strcmp(wanted, have) == 0)
        return false;
    mark_cpus(wanted, a);
    mark_cpus(have, b);
    return memcmp(a, b, sizeof a) != 0;
}

bool limits_none(const struct limits *limits)
{
    static const struct limits none = LIMITS_NONE;
    for (size_t i = 0; i < LIMITS_NUMBERS; i++)
        if (limits_number(limits, i) != limits_number(&none, i))
            return false;
    return !limits->cpuset[0];
}

unsigned limits_differ(const struct limits *wanted, const struct limits *have)
{
    unsigned bits = 0;
    for (size_t i = 0; i < LIMITS_NUMBERS; i++) {
        int64_t w = limits_number(wanted, i), h = limits_number(have, i);
        if (w != LIMIT_NONE && w != h && !is_default_weight(i, w, h))
            bits |= 1u << i;
    }
    return bits | (cpusets_differ(wanted->cpuset, have->cpuset) ? CPUSET_BIT : 0);
}

const char *limits_names(unsigned bits, char out[LIMITS_NAMES_SIZE])
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i <= LIMITS_NUMBERS; i++)
        if (bits & 1u << i)
            n += (size_t)snprintf(out + n, LIMITS_NAMES_SIZE - n, "%s%s", n ? ", " : "",
                                  i < LIMITS_NUMBERS ? numbers[i].name : "cpuset");
    return out;
}
