/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "run/ending.h"

#include <stdio.h>
#include <string.h>

/* A host under load takes its time to end what can be ended. */
#define PATIENCE_MS 2000
#define AGAIN_MS 10000

bool ending_due(struct ending *e, int64_t now_ms)
{
    if (!e->since) {
        e->since = now_ms;
        e->look_at = now_ms + PATIENCE_MS;
    }
    return now_ms >= e->look_at;
}

bool ending_news(struct ending *e, const char *names, int64_t now_ms)
{
    if (!names[0])
        return false;
    e->look_at = now_ms + AGAIN_MS;
    if (strcmp(e->text, names) == 0)
        return false;
    snprintf(e->text, sizeof e->text, "%s", names);
    return true;
}

bool ending_over(struct ending *e, int64_t now_ms, int64_t *took_ms)
{
    bool told = e->text[0] != '\0';
    *took_ms = e->since ? now_ms - e->since : 0;
    memset(e, 0, sizeof *e);
    return told;
}
