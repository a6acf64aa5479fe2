/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/retry-after.h"
#include "base/clock.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

int64_t retry_after_ms(const char *value, const char *date)
{
    size_t n = strlen(value);
    if (!n)
        return -1;
    if (strspn(value, "0123456789") == n) {
        const int64_t limit = 1000000000;
        int64_t seconds = n > 9 ? limit : strtoll(value, NULL, 10);
        return seconds * 1000;
    }
    time_t when = curl_getdate(value, NULL), from = curl_getdate(date, NULL);
    if (when < 0)
        return -1;
    int64_t now_ms = from < 0 ? clock_wall_ms() : (int64_t)from * 1000;
    int64_t ms = (int64_t)when * 1000 - now_ms;
    return ms > 0 ? ms : 0;
}
