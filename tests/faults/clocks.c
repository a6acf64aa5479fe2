/* clocks.c - clocks that jump, for a preload: REEVE_TEST_CLOCKS names a file of three
 * numbers of 64 bits, which are milliseconds that are added to CLOCK_REALTIME,
 * CLOCK_MONOTONIC and CLOCK_BOOTTIME. A suspended host moves the first and the last. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile const int64_t *added;

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("REEVE_TEST_CLOCKS");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, 24, PROT_READ, MAP_SHARED, fd, 0);
    if (p != MAP_FAILED)
        added = p;
    if (fd >= 0)
        close(fd);
}

static int64_t added_ms(clockid_t clock)
{
    if (!added)
        return 0;
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        return added[0];
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
        return added[1];
    case CLOCK_BOOTTIME:
        return added[2];
    default:
        return 0;
    }
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
    int result = (int)syscall(SYS_clock_gettime, clock, t);
    int64_t ms = added_ms(clock);
    if (result == 0 && ms) {
        int64_t ns = t->tv_nsec + ms % 1000 * 1000000;
        t->tv_sec += ms / 1000 + (ns >= 1000000000) - (ns < 0);
        t->tv_nsec = ns - (ns >= 1000000000 ? 1000000000 : ns < 0 ? -1000000000 : 0);
    }
    return result;
}

int gettimeofday(struct timeval *t, void *zone)
{
    struct timespec now;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return result;
}

time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}
