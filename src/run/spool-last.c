/* SPDX-License-Identifier: Apache-2.0 */
/* spool-last.c - what a spool ends in, without reading all of it */
#include "config.h"

#include "run/spool-internal.h"
#include "base/alloc.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Behind an exit record stands what was in the FIFO then, and what reeve says. */
#define LOOK_BACK SPOOL_SEGMENT_BYTES

int spool_each(int dirfd, uint64_t start,
               void (*each)(const struct spool_entry *e, void *arg), void *arg)
{
    char name[SPOOL_NAME_SIZE];
    struct stat st;
    struct spool_entry e;
    auto_close fd =
        openat(dirfd, spool_name(start, name), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -1;
    size_t n = (size_t)st.st_size, at = 0;
    if (n == 0)
        return 0;
    char *p = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return -1;
    while (at < n) {
        if (spool_parse(p + at, n - at, start + at, &e) != RECORD_OK) {
            at += spool_resync(p + at, n - at, start + at);
            continue;
        }
        at += (size_t)(e.next - e.offset);
        each(&e, arg);
    }
    munmap(p, n);
    return 0;
}

struct search {
    spool_wanted_f wanted;
    const void *arg;
    struct spool_entry *out;
    uint64_t bytes;
    bool found;
};

static void look(const struct spool_entry *e, void *arg)
{
    struct search *s = arg;
    s->bytes += e->next - e->offset;
    if (!s->wanted(e, s->arg))
        return;
    *s->out = *e;
    s->out->text = "";
    s->out->text_len = 0;
    s->found = true;
}

int spool_find_last(const char *dir, spool_wanted_f wanted, const void *arg,
                    struct spool_entry *out, struct reeve_error *err)
{
    struct search s = {.wanted = wanted, .arg = arg, .out = out};
    auto_close dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_free uint64_t *starts = NULL;
    size_t count = 0;
    int result = dirfd < 0 ? -1 : spool_list(dirfd, &starts, &count);
    for (size_t i = count; result == 0 && !s.found && i > 0 && s.bytes < LOOK_BACK; i--)
        /* One that was acknowledged meanwhile is gone. */
        if (spool_each(dirfd, starts[i - 1], look, &s) < 0 && errno != ENOENT)
            result = -1;
    if (result < 0)
        return reeve_error_set(err, errno, "read spool in %s", dir);
    return s.found;
}

static bool is_exit(const struct spool_entry *e, const void *arg)
{
    return e->type == SPOOL_EXIT;
}

int spool_find_exit(const char *dir, struct spool_entry *out, struct reeve_error *err)
{
    return spool_find_last(dir, is_exit, NULL, out, err);
}
