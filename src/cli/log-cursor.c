/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/log-cursor.h"

void log_cursor_init(struct log_cursor *c, int64_t since)
{
    *c = (struct log_cursor){.last = since};
}

int64_t log_cursor_from(const struct log_cursor *c)
{
    return c->last > 0 ? c->last - 1 : 0;
}

void log_cursor_begin(struct log_cursor *c)
{
    c->seen = 0;
}

bool log_cursor_take(struct log_cursor *c, int64_t timestamp)
{
    if (timestamp < c->last)
        return false;
    if (timestamp > c->last) {
        c->last = timestamp;
        c->printed = 1;
        c->seen = 1;
        return true;
    }
    if (++c->seen <= c->printed)
        return false;
    c->printed++;
    return true;
}
