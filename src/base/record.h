/* record.h - self-delimiting, versioned, checksummed records in append-only files
 *
 * On disk, little endian: magic "RV", u8 version, u8 type, u32 length of the body, u32
 * CRC-32C over header (crc as 0) and body, then the body. A torn tail or a flipped bit
 * is found by the checksum; the reader can look for the next magic. */
#ifndef REEVE_RECORD_H
#define REEVE_RECORD_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define RECORD_HEADER_SIZE 12
#define RECORD_BODY_MAX (1u << 20)

/* CRC-32C (Castagnoli) of n bytes, continuing from crc (start with 0). */
uint32_t crc32c(uint32_t crc, const void *data, size_t n);

/* The header of a record whose body is these pieces, which its writer has in several
 * places and does not copy. Their sum is at most RECORD_BODY_MAX (asserted). */
void record_header(unsigned char out[RECORD_HEADER_SIZE], uint8_t version, uint8_t type,
                   const struct iovec *body, int pieces);

struct record {
    uint8_t version;
    uint8_t type;
    const unsigned char *body; /* borrowed from the input */
    uint32_t len;
    size_t size; /* header and body: how far to go on */
};

enum record_result {
    RECORD_OK,
    RECORD_SHORT, /* the input ends inside a record: read more, or a torn tail */
    RECORD_BAD    /* no sound record starts here */
};

enum record_result record_parse(const void *data, size_t n, struct record *out);

#endif
