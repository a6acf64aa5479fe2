/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of requests: what was refused stays refused when more of it has come, apart
 * from what is then too large. */
#include "config.h"

#include "server/head.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy, so that a read behind its end is seen. */
static int check(const uint8_t *data, size_t n)
{
    const char *why = NULL;
    char *copy = malloc(n > 0 ? n : 1);
    if (n > 0)
        memcpy(copy, data, n);
    int status = head_check(copy, n, &why);
    free(copy);
    if ((why != NULL) != (status != HEAD_GOOD && status != HEAD_MORE))
        abort();
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int whole = check(data, size);
    for (size_t cut = 1; cut <= 3; cut++) {
        int part = check(data, size * cut / 4);
        if (part == HEAD_GOOD && whole != HEAD_GOOD)
            abort();
        if (part >= 400 && whole < 400)
            abort();
    }
    return 0;
}
