/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/record.h"
#include "base/bytes.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

static uint32_t crc_table[256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void crc_init(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0x82f63b78u ^ (c >> 1) : c >> 1;
        crc_table[i] = c;
    }
}

uint32_t crc32c(uint32_t crc, const void *data, size_t n)
{
    pthread_once(&crc_once, crc_init);
    const unsigned char *p = data;
    crc = ~crc;
    for (size_t i = 0; i < n; i++)
        crc = crc_table[(crc ^ p[i]) & 0xff] ^ (crc >> 8);
    return ~crc;
}

static uint32_t record_crc(const unsigned char header[RECORD_HEADER_SIZE],
                           const void *body, size_t n)
{
    unsigned char h[RECORD_HEADER_SIZE];
    memcpy(h, header, sizeof h);
    memset(h + 8, 0, 4);
    return crc32c(crc32c(0, h, sizeof h), body, n);
}

void record_header(unsigned char out[RECORD_HEADER_SIZE], uint8_t version, uint8_t type,
                   const struct iovec *body, int pieces)
{
    size_t n = 0;
    for (int i = 0; i < pieces; i++)
        n += body[i].iov_len;
    assert(n <= RECORD_BODY_MAX);
    memset(out, 0, RECORD_HEADER_SIZE);
    memcpy(out, "RV", 2);
    out[2] = version;
    out[3] = type;
    put_le32(out + 4, (uint32_t)n);
    uint32_t crc = crc32c(0, out, RECORD_HEADER_SIZE);
    for (int i = 0; i < pieces; i++)
        crc = crc32c(crc, body[i].iov_base, body[i].iov_len);
    put_le32(out + 8, crc);
}

enum record_result record_parse(const void *data, size_t n, struct record *out)
{
    const unsigned char *p = data;
    if (n >= 1 && p[0] != 'R')
        return RECORD_BAD;
    if (n >= 2 && p[1] != 'V')
        return RECORD_BAD;
    if (n < RECORD_HEADER_SIZE)
        return RECORD_SHORT;
    uint32_t len = get_le32(p + 4);
    if (len > RECORD_BODY_MAX)
        return RECORD_BAD;
    if (n - RECORD_HEADER_SIZE < len)
        return RECORD_SHORT;
    if (get_le32(p + 8) != record_crc(p, p + RECORD_HEADER_SIZE, len))
        return RECORD_BAD;
    *out = (struct record){.version = p[2],
                           .type = p[3],
                           .body = p + RECORD_HEADER_SIZE,
                           .len = len,
                           .size = RECORD_HEADER_SIZE + (size_t)len};
    return RECORD_OK;
}
