/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/events-internal.h"
#include "base/alloc.h"
#include "base/json-text.h"
#include "base/json.h"
#include "server/models-internal.h"
#include "server/store.h"

#include <stdlib.h>
#include <string.h>

int event_fail_ids(struct call *call, enum api_error error, const cJSON *ids)
{
    auto_buf text = BUF_INIT;
    const cJSON *list = cJSON_IsArray(ids) ? ids->child : ids;
    for (const cJSON *id = list; id; id = cJSON_IsArray(ids) ? id->next : NULL)
        buf_printf(&text, "%s%s", text.len ? ", " : "", id->valuestring);
    api_fail(call, error, NULL, NULL);
    auto_free char *before = call->message;
    call->message = xasprintf("%s: ids=(%s)", before, buf_str(&text));
    call->error_data = cJSON_CreateObject();
    cJSON *copy = json_set(call->error_data, "ids", cJSON_CreateArray());
    for (const cJSON *id = list; id; id = cJSON_IsArray(ids) ? id->next : NULL)
        cJSON_AddItemToArray(copy, cJSON_CreateString(id->valuestring));
    return -1;
}

static bool wants_models(const struct call *call)
{
    return request_true(call->request, "model_events", false);
}

static int fail_id(struct call *call, bool model, const char *id)
{
    auto_json *text = cJSON_CreateString(id);
    return event_fail_ids(call, model ? API_INVALID_MODEL_ID : API_INVALID_TASK_ID,
                          text);
}

int event_require_task(struct call *call, const char *task)
{
    return task_exists(call->db, task) ? 0 : fail_id(call, false, task);
}

static bool source_exists(struct call *call, const char *id)
{
    return wants_models(call) ? model_exists(call->db, id) : task_exists(call->db, id);
}

int event_require_source(struct call *call, const char *id)
{
    return source_exists(call, id) ? 0 : fail_id(call, wants_models(call), id);
}

int event_require_sources(struct call *call, int max, const cJSON **ids)
{
    const cJSON *list = json_get(call->request, "tasks");
    int n = cJSON_GetArraySize(list);
    if (!cJSON_IsArray(list) || n < 1 || n > max)
        return call_fail(call, 400, 12, "Validation error (tasks: 1 to %d ids)", max);
    for (const cJSON *id = list->child; id; id = id->next)
        if (!cJSON_IsString(id))
            return call_fail(call, 400, 12, "Validation error (tasks: not a string)");
    for (const cJSON *id = list->child; id; id = id->next)
        if (!source_exists(call, id->valuestring))
            return event_fail_ids(
                call, wants_models(call) ? API_INVALID_MODEL_ID : API_INVALID_TASK_ID,
                list);
    *ids = list;
    return 0;
}

void event_source_name(struct call *call, const char *id, char name[512])
{
    name[0] = '\0';
    if (wants_models(call))
        model_brief(call->db, id, name, NULL);
    else
        task_brief(call->db, id, NULL, NULL, name);
}

static int fail_locked(struct call *call, const char *text, int subcode, const char *id)
{
    call_fail(call, 400, subcode, "%s", text);
    call_fail_arg(call, "company", call->caller.company);
    return call_fail_arg(call, "id", id);
}

int event_require_unlocked(struct call *call, const char *id, bool model)
{
    char status[16];
    bool ready, locked = !request_true(call->request, "allow_locked", false);
    if (model && !model_brief(call->db, id, NULL, &ready))
        return fail_id(call, true, id);
    if (model)
        return ready && locked
                   ? fail_locked(call, "Cannot update events for a published model",
                                 API_INVALID_MODEL_ID, id)
                   : 0;
    if (!task_brief(call->db, id, status, NULL, NULL))
        return api_fail(call, API_INVALID_TASK_ID, NULL, "id", id, "company",
                        call->caller.company, NULL);
    if (!locked || (strcmp(status, "published") && strcmp(status, "publishing")))
        return 0;
    return fail_locked(call, "Cannot update events for a published task",
                       API_INVALID_TASK_ID, id);
}

bool event_variants_sound(const cJSON *item)
{
    const cJSON *variants = json_get(item, "variants"), *v;
    if (!variants || cJSON_IsNull(variants))
        return true;
    cJSON_ArrayForEach(v, variants)
    {
        if (!cJSON_IsString(v))
            return false;
    }
    return cJSON_IsArray(variants);
}

int event_metrics_requested(struct call *call, const cJSON **metrics)
{
    const cJSON *list = json_get(call->request, "metrics"), *item;
    *metrics = NULL;
    if (!list || cJSON_IsNull(list))
        return 0;
    cJSON_ArrayForEach(item, list)
    {
        if (!json_str(item, "metric", NULL) || !event_variants_sound(item))
            return call_fail(call, 400, 12,
                             "Validation error (metrics: a metric and its variants)");
    }
    *metrics = list;
    return 0;
}

int event_iters_requested(struct call *call, int64_t *out)
{
    return event_bounded(call, "iters", 1, 1, EVENT_BATCH_MAX, out);
}

int event_order_requested(struct call *call, const char *fallback, bool *down)
{
    const char *order = json_str(call->request, "order", fallback);
    *down = !strcmp(order, "desc");
    if (*down || !strcmp(order, "asc"))
        return 0;
    return call_fail(call, 400, 12, "Validation error (order: %.100s)", order);
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
        strcmp(json_str(state, "of", ""), kind))
        return event_fail_scroll(call, id);
    scroll->first = strtoll(cJSON_GetArrayItem(at, 0)->valuestring, NULL, 10);
    scroll->second = strtoll(cJSON_GetArrayItem(at, 1)->valuestring, NULL, 10);
    scroll->total = json_int(state, "total", -1);
    scroll->batch = json_int(state, "batch", 0);
    scroll->phase = (int)json_int(state, "phase", 0);
    scroll->request =
        cJSON_DetachItemFromObjectCaseSensitive((cJSON *)state, "request");
    scroll->given = true;
    return 0;
}

void event_scroll_write(struct buf *out, const char *kind,
                        const struct event_scroll *scroll)
{
    auto_buf id = BUF_INIT;
    /* As text, since doubles don't hold every 64 bit number. */
    buf_printf(&id,
               "{\"of\":\"%s\",\"at\":[\"%lld\",\"%lld\"],\"phase\":%d,"
               "\"total\":%lld,\"batch\":%lld",
               kind, (long long)scroll->first, (long long)scroll->second, scroll->phase,
               (long long)scroll->total, (long long)scroll->batch);
    if (scroll->request) {
        auto_free char *request = json_format(scroll->request);
        buf_printf(&id, ",\"request\":%s", request);
    }
    buf_add_char(&id, '}');
    json_text_string(out, id.data, id.len);
}

void event_scroll_free(struct event_scroll *scroll)
{
    cJSON_Delete(scroll->request);
}

int event_fail_scroll(struct call *call, const char *id)
{
    call_fail(call, 400, 1104, "Invalid scroll id");
    return call_fail_arg(call, "scroll_id", id);
}

void event_add_comma(struct buf *out)
{
    if (out->len && out->data[out->len - 1] != '[')
        buf_add_char(out, ',');
}
