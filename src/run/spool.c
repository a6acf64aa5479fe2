/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "run/spool-internal.h"
#include "base/alloc.h"
#include "base/bytes.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/utf8.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

const char *spool_name(uint64_t start, char out[SPOOL_NAME_SIZE])
{
    snprintf(out, SPOOL_NAME_SIZE, "log.%llu", (unsigned long long)start);
    return out;
}

/* Only the exact form that spool_name makes is a segment. */
static bool parse_name(const char *name, uint64_t *start)
{
    char again[SPOOL_NAME_SIZE];
    if (strncmp(name, "log.", 4) != 0)
        return false;
    errno = 0;
    *start = strtoull(name + 4, NULL, 10);
    return errno == 0 && strcmp(spool_name(*start, again), name) == 0;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

int spool_list(int dirfd, uint64_t **starts, size_t *count)
{
    *starts = NULL;
    *count = 0;
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    struct dirent *e;
    /* Half of the segments must not be taken for all of them. */
    while (errno = 0, (e = readdir(dir))) {
        uint64_t start;
        if (!parse_name(e->d_name, &start))
            continue;
        *starts = xreallocarray(*starts, *count + 1, sizeof **starts);
        (*starts)[(*count)++] = start;
    }
    int error = errno;
    closedir(dir);
    errno = error;
    if (error)
        return -1;
    if (*count)
        qsort(*starts, *count, sizeof **starts, compare);
    return 0;
}

/* One line of sound UTF-8, whatever came in: these texts hold names of processes and
 * what a payload's helper said. */
static unsigned char *put_text(unsigned char *p, const char *text, size_t max)
{
    size_t n = strnlen(text, max - 1), done = 0;
    unsigned char *to = p + 2;
    while (done < n) {
        int len = utf8_sequence(text + done, n - done);
        if (len < 0)
            break;
        bool control =
            len == 1 && ((unsigned char)text[done] < 0x20 || text[done] == 127);
        if (len == 0 || control)
            *to++ = '?';
        else
            to = (unsigned char *)memcpy(to, text + done, (size_t)len) + len;
        done += len > 0 ? (size_t)len : 1;
    }
    put_le16(p, (uint16_t)(to - p - 2));
    return to;
}

size_t spool_exit_encode(const struct spool_exit *e, unsigned char *out, size_t size)
{
    if (size < 9 + 6 + sizeof e->step + sizeof e->text + sizeof e->left)
        return 0;
    put_le32(out, (uint32_t)e->code);
    put_le32(out + 4, (uint32_t)e->signal);
    out[8] = e->timed_out;
    unsigned char *p = put_text(out + 9, e->step, sizeof e->step);
    p = put_text(p, e->text, sizeof e->text);
    p = put_text(p, e->left, sizeof e->left);
    return (size_t)(p - out);
}

static bool get_text(const unsigned char **p, const unsigned char *end, char *out,
                     size_t size)
{
    if (end - *p < 2)
        return false;
    size_t n = get_le16(*p);
    *p += 2;
    if ((size_t)(end - *p) < n || n >= size || memchr(*p, '\0', n))
        return false;
    memcpy(out, *p, n);
    out[n] = '\0';
    *p += n;
    return true;
}

static bool exit_decode(struct spool_exit *e, const unsigned char *p, size_t n)
{
    if (n < 9)
        return false;
    const unsigned char *end = p + n;
    e->code = (int)get_le32(p);
    e->signal = (int)get_le32(p + 4);
    e->timed_out = p[8] != 0;
    p += 9;
    return get_text(&p, end, e->step, sizeof e->step) &&
           get_text(&p, end, e->text, sizeof e->text) &&
           get_text(&p, end, e->left, sizeof e->left);
}

static bool gap_decode(struct spool_gap *gap, const unsigned char *body, size_t n,
                       uint64_t after)
{
    const unsigned char *p = body + SPOOL_FIXED_SIZE;
    if (n < SPOOL_FIXED_SIZE + SPOOL_GAP_SIZE)
        return false;
    gap->next = get_le64(p);
    gap->lines = get_le64(p + 8);
    gap->bytes = get_le64(p + 16);
    gap->budget = get_le64(p + 24);
    return gap->next >= after;
}

enum record_result spool_parse(const void *p, size_t n, uint64_t offset,
                               struct spool_entry *out)
{
    struct record r;
    enum record_result result = record_parse(p, n, &r);
    if (result == RECORD_SHORT && n >= SPOOL_RECORD_MAX)
        return RECORD_BAD;
    if (result != RECORD_OK)
        return result;
    if (r.len < SPOOL_FIXED_SIZE || get_le64(r.body + 4) != offset)
        return RECORD_BAD;
    memset(out, 0, offsetof(struct spool_entry, exit));
    out->type = r.type;
    out->attempt = get_le32(r.body);
    out->offset = offset;
    out->next = offset + r.size;
    out->wall_ms = (int64_t)get_le64(r.body + 12);
    out->raw_end = get_le64(r.body + 20);
    out->text = (const char *)r.body + SPOOL_FIXED_SIZE;
    out->text_len = r.len - SPOOL_FIXED_SIZE;
    out->gap = (struct spool_gap){0};
    if (r.type == SPOOL_GAP && !gap_decode(&out->gap, r.body, r.len, out->next))
        return RECORD_BAD;
    if (r.type == SPOOL_EXIT &&
        !exit_decode(&out->exit, r.body + SPOOL_FIXED_SIZE, r.len - SPOOL_FIXED_SIZE))
        return RECORD_BAD;
    return RECORD_OK;
}

size_t spool_resync(const void *data, size_t n, uint64_t offset)
{
    const char *p = data;
    struct spool_entry e;
    for (size_t i = 1; i < n; i++) {
        const char *r = memchr(p + i, 'R', n - i);
        if (!r)
            break;
        i = (size_t)(r - p);
        if (spool_parse(r, n - i, offset + i, &e) == RECORD_OK)
            return i;
    }
    return n;
}

uint64_t spool_end(const char *dir)
{
    auto_close dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_free uint64_t *starts = NULL;
    size_t count;
    char name[SPOOL_NAME_SIZE];
    struct stat st;
    if (dirfd < 0 || spool_list(dirfd, &starts, &count) < 0 || count == 0)
        return 0;
    spool_name(starts[count - 1], name);
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return starts[count - 1];
    return starts[count - 1] + (uint64_t)st.st_size;
}

/* Two lines: the offset, and the time stamp if there is one. */
static uint64_t read_acked(const char *dir, int64_t *last_ms)
{
    auto_free char *path = path_join_dup(dir, "acked");
    auto_buf b = BUF_INIT;
    *last_ms = 0;
    if (file_read(path, &b, 64, NULL) < 0)
        return 0;
    char *end;
    errno = 0;
    unsigned long long v = strtoull(buf_str(&b), &end, 10);
    if (errno != 0 || end == buf_str(&b) || *end != '\n')
        return 0;
    *last_ms = strtoll(end + 1, NULL, 10);
    return v;
}

uint64_t spool_acked(const char *dir)
{
    int64_t ignored;
    return read_acked(dir, &ignored);
}

int64_t spool_acked_ms(const char *dir)
{
    int64_t last_ms;
    read_acked(dir, &last_ms);
    return last_ms;
}

int spool_ack(const char *dir, uint64_t offset, struct reeve_error *err)
{
    return spool_ack_ms(dir, offset, offset, 0, err);
}

static int write_acked(const char *dir, uint64_t offset, int64_t last_ms,
                       struct reeve_error *err)
{
    char text[64];
    int n = snprintf(text, sizeof text, "%llu\n%lld\n", (unsigned long long)offset,
                     (long long)last_ms);
    auto_free char *path = path_join_dup(dir, "acked");
    return file_renew(path, text, (size_t)n, 0600, err);
}

/* It has a byte, and so its place on the disk. */
static int reserve(const char *dir, const char *name, struct reeve_error *err)
{
    auto_free char *path = path_join_dup(dir, name);
    auto_close fd =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EEXIST)
        return 0;
    if (fd >= 0 && fd_write_all(fd, "0\n0\n", 4) == 0)
        return 0;
    reeve_error_set(err, errno, "create %s", path);
    if (fd >= 0)
        unlink(path);
    return -1;
}

int spool_ack_reserve(const char *dir, struct reeve_error *err)
{
    return reserve(dir, "acked", err) < 0 ? -1 : reserve(dir, "acked.new", err);
}

int spool_ack_ms(const char *dir, uint64_t offset, uint64_t keep, int64_t last_ms,
                 struct reeve_error *err)
{
    if (write_acked(dir, offset, last_ms, err) < 0)
        return -1;
    auto_close dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_free uint64_t *starts = NULL;
    size_t count;
    if (dirfd < 0 || spool_list(dirfd, &starts, &count) < 0)
        return reeve_error_set(err, errno, "list %s", dir);
    for (size_t i = 0;
         i + 1 < count && starts[i + 1] <= offset && starts[i + 1] <= keep; i++) {
        char name[SPOOL_NAME_SIZE];
        if (unlinkat(dirfd, spool_name(starts[i], name), 0) < 0 && errno != ENOENT)
            return reeve_error_set(err, errno, "remove %s/%s", dir, name);
    }
    return 0;
}
