/* SPDX-License-Identifier: Apache-2.0 */
/* "GIT binary patch": base 85 of deflate of a whole file or of a delta (git's
 * Documentation/gitformat-pack, "Deltified representation"). */
#include "config.h"

#include "prepare/patch-apply.h"

#include <stdint.h>
#include <string.h>
#include <zlib.h>

static int digit_85(char c)
{
    static const char digits[] =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
        "uvwxyz!#$%&()*+-;<=>?@^_`{|}~";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* One line: a letter for the number of bytes, then five digits for each four of them.
 */
static int decode_line(const char *p, size_t n, struct buf *out)
{
    int count = n == 0                       ? 0
                : p[0] >= 'A' && p[0] <= 'Z' ? p[0] - 'A' + 1
                : p[0] >= 'a' && p[0] <= 'z' ? p[0] - 'a' + 27
                                             : 0;
    if (count == 0 || n - 1 != (size_t)(count + 3) / 4 * 5)
        return -1;
    for (size_t i = 1; i < n; i += 5) {
        uint64_t value = 0;
        for (size_t k = 0; k < 5; k++) {
            int digit = digit_85(p[i + k]);
            if (digit < 0)
                return -1;
            value = value * 85 + (uint64_t)digit;
        }
        if (value > UINT32_MAX)
            return -1;
        for (int shift = 24; shift >= 0 && count > 0; shift -= 8, count--)
            buf_add_char(out, (char)(value >> shift));
    }
    return 0;
}

/* The lines up to an empty one. */
static int decode(const char *p, const char *end, struct buf *out)
{
    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((newline ? newline : end) - p);
        if (n > 0 && p[n - 1] == '\r')
            n--;
        if (n == 0)
            break;
        if (decode_line(p, n, out) < 0)
            return -1;
        p = newline ? newline + 1 : end;
    }
    return 0;
}

/* Exactly size bytes must come out. */
static int inflate_to(const struct buf *in, size_t size, struct buf *out)
{
    /* One byte more than allowed shows a stream that is too long. */
    uLongf got = size + 1;
    char *to = buf_reserve(out, size + 1);
    if (in->len == 0 ||
        uncompress((Bytef *)to, &got, (const Bytef *)in->data, in->len) != Z_OK ||
        got != size)
        return -1;
    out->len += size;
    out->data[out->len] = '\0';
    return 0;
}

/* Seven bits a byte, the lowest first. */
static int read_size(const unsigned char **p, const unsigned char *end, size_t *out)
{
    size_t value = 0;
    for (int shift = 0; *p < end && shift < 35; shift += 7) {
        unsigned char c = *(*p)++;
        value |= (size_t)(c & 0x7f) << shift;
        if (!(c & 0x80)) {
            *out = value;
            return 0;
        }
    }
    return -1;
}

/* Up to n little-endian bytes, each there only if its bit in mask is set. */
static int read_sparse(const unsigned char **p, const unsigned char *end, unsigned mask,
                       int n, size_t *out)
{
    *out = 0;
    for (int i = 0; i < n; i++) {
        if (!(mask >> i & 1))
            continue;
        if (*p >= end)
            return -1;
        *out |= (size_t) * (*p)++ << 8 * i;
    }
    return 0;
}

static int copy_part(const unsigned char **p, const unsigned char *end, unsigned op,
                     const char *source, size_t n, struct buf *out)
{
    size_t offset, size;
    if (read_sparse(p, end, op & 0xf, 4, &offset) < 0 ||
        read_sparse(p, end, op >> 4 & 7, 3, &size) < 0)
        return -1;
    if (size == 0)
        size = 0x10000;
    if (offset > n || size > n - offset)
        return -1;
    buf_add(out, source + offset, size);
    return 0;
}

static int apply_delta(const struct buf *delta, const char *source, size_t n,
                       struct buf *out)
{
    const unsigned char *p = (const unsigned char *)delta->data, *end = p + delta->len;
    size_t source_size, target_size, start = out->len;
    if (read_size(&p, end, &source_size) < 0 || read_size(&p, end, &target_size) < 0 ||
        source_size != n || target_size > PATCH_FILE_MAX)
        return -1;
    while (p < end) {
        unsigned op = *p++;
        if (op & 0x80) {
            if (copy_part(&p, end, op, source, n, out) < 0)
                return -1;
        } else {
            if (op == 0 || op > (size_t)(end - p))
                return -1;
            buf_add(out, p, op);
            p += op;
        }
        if (out->len - start > target_size)
            return -1;
    }
    return out->len - start == target_size ? 0 : -1;
}

/* "literal 123" or "delta 123". */
static const char *parse_kind(const struct patch_file *f, bool *delta, size_t *size)
{
    const char *p = f->binary_text, *end = p + f->binary_len;
    *delta = end - p > 6 && memcmp(p, "delta ", 6) == 0;
    if (!*delta && !(end - p > 8 && memcmp(p, "literal ", 8) == 0))
        return NULL;
    p += *delta ? 6 : 8;
    for (*size = 0; p < end && *p >= '0' && *p <= '9'; p++) {
        *size = *size * 10 + (size_t)(*p - '0');
        if (*size > PATCH_FILE_MAX)
            return NULL;
    }
    const char *newline = memchr(p, '\n', (size_t)(end - p));
    return newline ? newline + 1 : NULL;
}

static bool has_id(const struct buf *content, const char *id)
{
    git_oid wanted, got;
    return !id[0] || git_oid_fromstr(&wanted, id) < 0 ||
           (git_odb_hash(&got, buf_str(content), content->len, GIT_OBJECT_BLOB) == 0 &&
            git_oid_equal(&wanted, &got));
}

int patch_apply_binary(const struct patch_file *f, const char *content, size_t n,
                       struct buf *out, struct reeve_error *err)
{
    bool delta;
    size_t size;
    const char *data = parse_kind(f, &delta, &size);
    auto_buf packed = BUF_INIT, plain = BUF_INIT;
    if (!data || decode(data, f->binary_text + f->binary_len, &packed) < 0 ||
        inflate_to(&packed, size, &plain) < 0)
        return reeve_error_set(err, 0, "the binary patch is malformed");
    if (!delta)
        buf_add(out, plain.data, plain.len);
    else if (apply_delta(&plain, content, n, out) < 0)
        return reeve_error_set(err, 0, "the binary patch is for another file");
    if (f->kind != PATCH_DELETE && !has_id(out, f->new_id))
        return reeve_error_set(err, 0,
                               "the binary patch makes another file than it says");
    return 0;
}
