/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/events-internal.h"
#include "base/alloc.h"
#include "base/json-text.h"
#include "base/json.h"
#include "server/services.h"
#include "server/store.h"

#include <stdlib.h>
#include <string.h>

static int fail_task(struct call *call, const char *task)
{
    call_fail(call, 400, 101, "Invalid task id");
    call_fail_arg(call, "id", task);
    return call_fail_arg(call, "company", call->caller.company);
}

int event_require_task(struct call *call, const char *task)
{
    return task_exists(call->db, task) ? 0 : fail_task(call, task);
}

#define TASKS_MAX 1000

int event_require_tasks(struct call *call, const cJSON **tasks)
{
    const cJSON *list = json_get(call->request, "tasks");
    int n = cJSON_GetArraySize(list);
    if (!cJSON_IsArray(list) || n < 1 || n > TASKS_MAX)
        return call_fail(call, 400, 12, "Validation error (tasks: 1 to %d task ids)",
                         TASKS_MAX);
    for (const cJSON *t = list->child; t; t = t->next) {
        if (!cJSON_IsString(t))
            return call_fail(call, 400, 12, "Validation error (tasks: not a string)");
        if (event_require_task(call, t->valuestring) < 0)
            return -1;
    }
    *tasks = list;
    return 0;
}

static bool variant_wanted(const cJSON *variants, const char *variant)
{
    if (!cJSON_IsArray(variants) || !variants->child)
        return true;
    for (const cJSON *v = variants->child; v; v = v->next)
        if (cJSON_IsString(v) && !strcmp(v->valuestring, variant))
            return true;
    return false;
}

bool event_metric_wanted(const cJSON *metrics, const char *metric, const char *variant)
{
    if (!cJSON_IsArray(metrics) || !metrics->child)
        return true;
    for (const cJSON *m = metrics->child; m; m = m->next) {
        const char *name = json_str(m, "metric", NULL);
        if (name && !strcmp(name, metric) &&
            variant_wanted(json_get(m, "variants"), variant))
            return true;
    }
    return false;
}

int event_bounded(struct call *call, const char *name, int64_t fallback, int64_t min,
                  int64_t max, int64_t *out)
{
    *out = json_int(call->request, name, fallback);
    if (*out >= min && *out <= max)
        return 0;
    return call_fail(call, 400, 12, "Validation error (%s: %lld to %lld)", name,
                     (long long)min, (long long)max);
}

int event_type_requested(struct call *call, bool required)
{
    const char *name = json_str(call->request, "event_type", required ? NULL : "*");
    if (!name)
        return call_fail(call, 400, 12, "Validation error (event_type is missing)");
    if (!strcmp(name, "*"))
        return EVENT_TYPES;
    int type = event_type_parse(name);
    if (type < 0)
        return call_fail(call, 400, 12, "Validation error (event_type: %s)", name);
    return type;
}

char *event_series_wanted(sqlite3 *db, const char *task, int type, const cJSON *metrics)
{
    auto_buf ids = BUF_INIT;
    buf_add_char(&ids, '[');
    sqlite3_stmt *stmt =
        store_query(db,
                    "SELECT id, metric, variant FROM event_series WHERE task = ?1 AND"
                    " (type = ?2 OR ?2 = 5) ORDER BY metric, variant",
                    "ti", task, (int64_t)type);
    while (store_row(stmt)) {
        if (!event_metric_wanted(metrics, (const char *)sqlite3_column_text(stmt, 1),
                                 (const char *)sqlite3_column_text(stmt, 2)))
            continue;
        if (ids.len > 1)
            buf_add_char(&ids, ',');
        json_text_int(&ids, sqlite3_column_int64(stmt, 0));
    }
    sqlite3_reset(stmt);
    buf_add_char(&ids, ']');
    return buf_take(&ids);
}

/* ---- scroll ids: JSON, opaque to clients ---- */

int event_scroll_read(struct call *call, const char *kind, struct event_scroll *scroll)
{
    const char *id = json_str(call->request, "scroll_id", NULL);
    if (!id || !*id)
        return 0;
    auto_json *state = json_parse(id, strlen(id), NULL);
    const cJSON *at = json_get(state, "at");
    if (!cJSON_IsString(cJSON_GetArrayItem(at, 0)) ||
        !cJSON_IsString(cJSON_GetArrayItem(at, 1)) ||
        strcmp(json_str(state, "of", ""), kind)) {
        call_fail(call, 400, 1104, "Invalid scroll id");
        return call_fail_arg(call, "scroll_id", id);
    }
    scroll->first = strtoll(cJSON_GetArrayItem(at, 0)->valuestring, NULL, 10);
    scroll->second = strtoll(cJSON_GetArrayItem(at, 1)->valuestring, NULL, 10);
    scroll->total = json_int(state, "total", -1);
    scroll->phase = (int)json_int(state, "phase", 0);
    scroll->given = true;
    return 0;
}

void event_scroll_write(struct buf *out, const char *kind,
                        const struct event_scroll *scroll)
{
    auto_buf id = BUF_INIT;
    /* As text, since doubles don't hold every 64 bit number. */
    buf_printf(&id,
               "{\"of\":\"%s\",\"at\":[\"%lld\",\"%lld\"],\"phase\":%d,\"total\":%lld}",
               kind, (long long)scroll->first, (long long)scroll->second, scroll->phase,
               (long long)scroll->total);
    json_text_string(out, id.data, id.len);
}
