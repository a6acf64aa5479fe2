/* SPDX-License-Identifier: Apache-2.0 */
/* A payload's output: everything is consumed, and what comes out is sound. */
#include "config.h"

#include "base/utf8.h"
#include "subagent/lines.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char out[SPOOL_TEXT_MAX];

static size_t take(const char *p, size_t n, enum lines_mode mode, bool visible)
{
    size_t len;
    size_t window = n < LINES_WINDOW ? n : LINES_WINDOW;
    size_t used = lines_take(NULL, p, window, mode, visible, out, &len);
    if (used > window || len > SPOOL_TEXT_MAX || !utf8_valid(out, len) ||
        memchr(out, '\0', len) || (len && out[len - 1] != '\n') || (len && !used))
        abort();
    return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data;
    for (int visible = 0; visible < 2; visible++)
        for (size_t at = 0; at < size;) {
            size_t used = take(p + at, size - at, LINES_WAIT, visible);
            if (!used)
                used = take(p + at, size - at, LINES_PAUSED, visible);
            if (!used)
                abort();
            at += used;
        }
    return 0;
}
