/* sha256.h - SHA-256 of a whole buffer (FIPS 180-4), for names that must not collide */
#ifndef REEVE_SHA256_H
#define REEVE_SHA256_H

#include <stddef.h>

#define SHA256_HEX_SIZE 65

/* The digest as 64 lower-case hexadecimal digits. Returns out. */
const char *sha256_hex(const void *data, size_t n, char out[SHA256_HEX_SIZE]);

#endif
