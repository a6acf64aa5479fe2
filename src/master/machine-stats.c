/* SPDX-License-Identifier: Apache-2.0 */
/* The form of machine_stats, and the one of a run. */
#include "config.h"

#include "base/json.h"
#include "cgroup/cgroup.h"
#include "master/hoststat-internal.h"
#include "master/hoststat.h"

#include <math.h>
#include <stdlib.h>

static const double mib = 1 << 20;

static double rounded(double value)
{
    return round(value * 1000.0) / 1000.0;
}

void stats_set(cJSON *stats, const char *name, double value)
{
    if (isfinite(value))
        json_set_num(stats, name, rounded(value));
}

void stats_append(cJSON *stats, const char *name, double value)
{
    cJSON *list = json_get(stats, name);
    if (!isfinite(value))
        return;
    if (!list)
        list = json_set(stats, name, cJSON_CreateArray());
    cJSON *number = cJSON_CreateNumber(rounded(value));
    if (!number || !cJSON_AddItemToArray(list, number))
        abort();
}

static double grown(uint64_t before, uint64_t now)
{
    return (double)(now >= before ? now - before : now);
}

static int64_t memory_left(const struct cgroup_stat *now, int64_t limit, int64_t host)
{
    if (limit < 0)
        return host;
    int64_t left = limit > now->memory ? limit - now->memory : 0;
    return host >= 0 && host < left ? host : left;
}

cJSON *run_machine_stats(const struct cgroup_stat *prev, const struct cgroup_stat *now,
                         int64_t elapsed_ms, int64_t memory_limit,
                         int64_t host_available)
{
    cJSON *stats = cJSON_CreateObject();
    if (!stats)
        abort();
    int64_t left = memory_left(now, memory_limit, host_available);
    stats_set(stats, "memory_used", (double)now->memory / mib);
    if (left >= 0)
        stats_set(stats, "memory_free", (double)left / mib);
    if (!prev || elapsed_ms <= 0)
        return stats;
    double seconds = (double)elapsed_ms / 1000.0;
    stats_append(stats, "cpu_usage",
                 grown(prev->cpu_usec, now->cpu_usec) / seconds / 1e4);
    stats_set(stats, "disk_read",
              grown(prev->read_bytes, now->read_bytes) / seconds / mib);
    stats_set(stats, "disk_write",
              grown(prev->write_bytes, now->write_bytes) / seconds / mib);
    return stats;
}
