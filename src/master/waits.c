/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/waits.h"

#include "base/alloc.h"
#include "config/config.h"

#define MAX_MS (INT32_MAX - 1) /* 24 days */

static int read_one(const struct config *c, const char *path, int64_t least,
                    int64_t *out, struct reeve_error *err)
{
    if (config_read_duration_ms(c, path, out, err) < 0)
        return -1;
    if (*out >= least && *out <= MAX_MS)
        return 0;
    return reeve_error_set(err, 0, "%s: a time from %lldms to 24d is expected", path,
                           (long long)least);
}

int waits_read(const struct config *c, double polling_s, struct waits *out,
               struct reeve_error *err)
{
#define X(name, fallback, least) .name##_ms = fallback,
    *out = (struct waits){WAITS(X)};
#undef X
    if (polling_s > 0)
        out->poll_ms = (int64_t)(polling_s * 1000);
    else if (read_one(c, "agent.polling_interval", 1, &out->poll_ms, err) < 0)
        return -1;
#define X(name, fallback, least)                                                       \
    if (read_one(c, "agent.reeve.waits." #name, least, &out->name##_ms, err) < 0)      \
        return -1;
    WAITS(X)
#undef X
    return 0;
}
