/* limits.h - what one run may use: the values that a cgroup enforces */
#ifndef REEVE_LIMITS_H
#define REEVE_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIMIT_NONE (-1)

struct limits {
    int64_t cpu_milli;          /* thousandths of a CPU (Docker's --cpus 0.5 is 500) */
    int64_t cpu_weight;         /* cgroup v2 scale, 1 to 10000 */
    char cpuset[128];           /* "0-2,4"; empty: none */
    int64_t memory;             /* bytes */
    int64_t memory_reservation; /* bytes, memory.low / soft limit */
    int64_t memory_swap; /* bytes of memory and swap together, as Docker counts */
    int64_t pids;
    /* Bytes and operations a second, for every disk (Docker's names a device). */
    int64_t read_bps, write_bps, read_iops, write_iops;
    int64_t io_weight; /* cgroup v2 scale, 1 to 10000 */
};

#define LIMITS_NONE                                                                    \
    {                                                                                  \
        LIMIT_NONE, LIMIT_NONE, "", LIMIT_NONE, LIMIT_NONE, LIMIT_NONE, LIMIT_NONE,    \
            LIMIT_NONE, LIMIT_NONE, LIMIT_NONE, LIMIT_NONE, LIMIT_NONE                 \
    }

/* Brings every value into the range that the kernels take (negative: LIMIT_NONE; memory
 * to whole pages) and memory_swap to at least memory; memory_swap alone bounds memory
 * too. cgroup_create() and cgroup_apply() do this themselves; whoever compares with
 * what cgroup_read_limits() says does it first. */
void limits_clamp(struct limits *limits);

/* All of it but the cpuset, by number: what it is called in records, and the value. */
#define LIMITS_NUMBERS 11
const char *limits_key(size_t i);
int64_t limits_number(const struct limits *l, size_t i);
void limits_set_number(struct limits *l, size_t i, int64_t v);

/* True if nothing is limited. */
bool limits_none(const struct limits *limits);
/* What is limited in wanted, and otherwise in have, as the kernel told it: a bit for
 * each, as limits_names() reads them. A weight or a rate that the host
 * has no means for differs for ever. */
unsigned limits_differ(const struct limits *wanted, const struct limits *have);
/* "memory, pids" for such bits. */
#define LIMITS_NAMES_SIZE 160
const char *limits_names(unsigned bits, char out[LIMITS_NAMES_SIZE]);

#endif
