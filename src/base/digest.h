/* digest.h - MD5 and SHA-256 of a whole buffer as text */
#ifndef REEVE_DIGEST_H
#define REEVE_DIGEST_H

#include <stddef.h>

#define MD5_HEX_SIZE 33
#define SHA256_HEX_SIZE 65

/* Lower-case hexadecimal digits and a NUL into out; return out. MD5 is for the names
 * that ClearML derives from it, never for security; SHA-256 for names that must not
 * collide. */
const char *md5_hex(const void *data, size_t n, char out[MD5_HEX_SIZE]);
const char *sha256_hex(const void *data, size_t n, char out[SHA256_HEX_SIZE]);

#endif
