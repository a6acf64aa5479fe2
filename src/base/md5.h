/* md5.h - MD5, for the names that ClearML derives from it; not for security */
#ifndef REEVE_MD5_H
#define REEVE_MD5_H

#include <stddef.h>

#define MD5_HEX_SIZE 33
/* 32 lower-case hexadecimal digits and a NUL into out; returns out. */
const char *md5_hex(const void *data, size_t n, char out[MD5_HEX_SIZE]);

#endif
