/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/id.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

const char *id_new(char out[ID_SIZE])
{
    unsigned char b[16];
    /* 16 bytes never come short once the pool is ready (getrandom(2)). */
    if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b)
        abort();
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    for (int i = 0; i < 16; i++)
        snprintf(out + 2 * i, 3, "%02x", b[i]);
    return out;
}

bool id_valid(const char *id)
{
    size_t n = strlen(id);
    if (n < 1 || n > 64 || id[0] == '-')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)id[i]) && id[i] != '_' && id[i] != '-')
            return false;
    return true;
}
