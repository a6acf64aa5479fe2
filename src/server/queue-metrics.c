/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/queue-metrics.h"
#include "base/json.h"
#include "server/queue-store.h"
#include "server/store.h"

#include <math.h>
#include <string.h>

#define KEEP_S (30 * 86400)
#define TRIM_EVERY_S 600
/* ClearML looks an hour further back, since there may be few samples. */
#define BEFORE_S 3600
#define BUCKETS_MAX 100000

void queue_metrics_sample(sqlite3 *db, const char *queue, int64_t now_ms)
{
    struct queue_state state;
    int64_t now_s = now_ms / 1000;
    if (!queue_state(db, queue, now_ms, &state))
        return;
    store_change(db,
                 "INSERT OR REPLACE INTO queue_metrics (at_s, queue, length, wait_s)"
                 " VALUES (?, ?, ?, ?)",
                 "itid", now_s, queue, state.length, state.average_wait_s);
    if (now_s % TRIM_EVERY_S == 0)
        store_change(db, "DELETE FROM queue_metrics WHERE at_s < ?", "i",
                     now_s - KEEP_S);
}

/* ---- asking ---- */

struct totals {
    cJSON *last; /* queue: [length, wait] as last seen */
    cJSON *out;  /* the one element of the answer */
    int64_t bucket;
    bool any;
};

static cJSON *new_element(cJSON *queues, const char *queue)
{
    cJSON *element = cJSON_CreateObject();
    cJSON_AddItemToArray(queues, element);
    json_set_str(element, "queue", queue);
    json_set(element, "dates", cJSON_CreateArray());
    json_set(element, "avg_waiting_times", cJSON_CreateArray());
    json_set(element, "queue_lengths", cJSON_CreateArray());
    return element;
}

static void add_point(cJSON *element, int64_t bucket_s, double wait_s, int64_t length)
{
    cJSON_AddItemToArray(json_get(element, "dates"),
                         cJSON_CreateNumber((double)bucket_s * 1000));
    cJSON_AddItemToArray(json_get(element, "avg_waiting_times"),
                         cJSON_CreateNumber(wait_s));
    cJSON_AddItemToArray(json_get(element, "queue_lengths"),
                         cJSON_CreateNumber((double)length));
}

static void totals_end_bucket(struct totals *t)
{
    const cJSON *one;
    double length = 0, waited = 0;
    if (!t->any)
        return;
    cJSON_ArrayForEach(one, t->last)
    {
        double n = cJSON_GetArrayItem(one, 0)->valuedouble;
        length += n;
        waited += n * cJSON_GetArrayItem(one, 1)->valuedouble;
    }
    add_point(t->out, t->bucket, length > 0 ? waited / length : 0, (int64_t)length);
    t->any = false;
}

static void totals_add(struct totals *t, int64_t bucket, const char *queue,
                       int64_t length, double wait_s)
{
    const double pair[2] = {(double)length, wait_s};
    if (bucket != t->bucket)
        totals_end_bucket(t);
    t->bucket = bucket;
    t->any = true;
    json_set(t->last, queue, cJSON_CreateDoubleArray(pair, 2));
}

static cJSON *element_of(cJSON *queues, const char *queue)
{
    cJSON *element;
    cJSON_ArrayForEach(element, queues)
    {
        if (strcmp(json_str(element, "queue", ""), queue) == 0)
            return element;
    }
    return new_element(queues, queue);
}

/* In each bucket the sample with the longest wait counts, as ClearML's does. */
static const char buckets_sql[] =
    "SELECT at_s / ?3 * ?3 AS bucket, queue, length, max(wait_s) FROM queue_metrics"
    " WHERE at_s >= ?1 AND at_s <= ?2 GROUP BY bucket, queue ORDER BY bucket, queue";

int queue_metrics_get(struct call *call)
{
    double from = json_num(call->request, "from_date", 0);
    double to = json_num(call->request, "to_date", 0);
    int64_t interval = json_int(call->request, "interval", 0);
    const cJSON *ids = json_get(call->request, "queue_ids");
    if (!(from >= 0 && to >= 0 && interval >= 1))
        return call_fail(call, 400, 12,
                         "Validation error (value is lower than minimum)");
    if (from >= to)
        return call_fail(
            call, 400, 16,
            "Invalid value for fields (from_date must be less than to_date)");
    if (to > 1e12 || (to - from + BEFORE_S) / (double)interval > BUCKETS_MAX)
        return call_fail(call, 400, 16,
                         "Invalid value for fields (too many intervals)");
    bool each = cJSON_GetArraySize(ids) > 0;
    cJSON *queues = json_set(call->data, "queues", cJSON_CreateArray());
    auto_json *last = cJSON_CreateObject();
    struct totals totals = {last, each ? NULL : new_element(queues, "total"), -1,
                            false};
    sqlite3_stmt *find =
        store_query(call->db, buckets_sql, "iii", (int64_t)floor(from) - BEFORE_S,
                    (int64_t)ceil(to), interval);
    while (store_row(find)) {
        int64_t bucket = sqlite3_column_int64(find, 0);
        const char *queue = (const char *)sqlite3_column_text(find, 1);
        int64_t length = sqlite3_column_int64(find, 2);
        double wait_s = sqlite3_column_double(find, 3);
        if (!each)
            totals_add(&totals, bucket, queue, length, wait_s);
        else if (json_list_has(ids, queue))
            add_point(element_of(queues, queue), bucket, wait_s, length);
    }
    sqlite3_reset(find);
    if (!each)
        totals_end_bucket(&totals);
    return 0;
}
