/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/tasks-internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "server/models-internal.h"
#include "server/project-store.h"
#include "server/sql.h"
#include "server/store.h"

#include <string.h>

/* ClearML's own table: from which status to which without force. The same status again
 * is always allowed. */
static const struct {
    const char *from;
    const char *to[9];
} transitions[] = {
    {"created", {"queued", "in_progress"}},
    {"queued", {"created", "in_progress", "stopped"}},
    {"in_progress", {"stopped", "failed", "created", "completed"}},
    {"stopped",
     {"closed", "created", "failed", "queued", "in_progress", "published", "publishing",
      "completed"}},
    {"closed", {"created", "failed", "published", "publishing", "stopped"}},
    {"failed", {"created", "stopped", "published", "queued"}},
    {"publishing", {"published"}},
    {"published", {NULL}},
    {"completed", {"published", "in_progress", "created"}},
};

bool task_status_known(const char *status)
{
    for (size_t i = 0; i < ARRAY_SIZE(transitions); i++) {
        if (!strcmp(transitions[i].from, status))
            return true;
    }
    return !strcmp(status, "unknown");
}

bool task_status_allowed(const char *from, const char *to)
{
    for (size_t i = 0; i < ARRAY_SIZE(transitions); i++) {
        if (strcmp(transitions[i].from, from))
            continue;
        for (const char *const *t = transitions[i].to; *t; t++) {
            if (!strcmp(*t, to))
                return true;
        }
    }
    return false;
}

void task_stamp(const struct call *call, cJSON *fields, bool update)
{
    char iso[CLOCK_ISO_SIZE];
    clock_iso_clearml(call->now_ms, iso);
    if (update)
        json_set_str(fields, "last_update", iso);
    json_set_str(fields, "last_change", iso);
    json_set_str(fields, "last_changed_by", call->caller.user);
}

static cJSON *status_fields(const struct call *call, const struct task_change *change)
{
    char iso[CLOCK_ISO_SIZE];
    cJSON *fields = cJSON_CreateObject();
    json_set_str(fields, "status", change->status);
    json_set_str(fields, "status_reason", change->reason ? change->reason : "");
    json_set_str(fields, "status_message", change->message ? change->message : "");
    json_set_str(fields, "status_changed", clock_iso_clearml(call->now_ms, iso));
    task_stamp(call, fields, true);
    return fields;
}

/* The answer names what was set, not what was unset or is a rule of its own. */
static cJSON *answer_fields(const cJSON *fields)
{
    cJSON *out = cJSON_CreateObject();
    const cJSON *item;
    cJSON_ArrayForEach(item, fields)
    {
        if (!cJSON_IsNull(item))
            json_set(out, item->string, cJSON_Duplicate(item, true));
    }
    return out;
}

int task_change_status(struct call *call, const struct task_head *task,
                       const struct task_change *change, cJSON *result)
{
    auto_json *extra = change->extra;
    if (!change->force && strcmp(task->status, change->status) &&
        !task_status_allowed(task->status, change->status))
        return api_fail(call, API_INVALID_TASK_STATUS, "Invalid status change",
                        "current_status", task->status, "new_status", change->status,
                        NULL);
    auto_json *fields = status_fields(call, change);
    const cJSON *item;
    cJSON_ArrayForEach(item, extra)
        json_set(fields, item->string, cJSON_Duplicate(item, true));
    if (!doc_set(call->db, &task_type, task->id, fields, task->status))
        return api_fail(call, API_STATUS_RACE, NULL, "task_id", task->id,
                        "current_status", task->status, "new_status", change->status,
                        NULL);
    if (!strcmp(change->status, "queued") && task->development)
        task_system_tag(call->db, task->id, "development", false);
    project_touch(call, task->project);
    json_set_int(result, "updated", 1);
    json_set(result, "fields", answer_fields(fields));
    return 0;
}

struct task_change task_change_of(const cJSON *request, const char *status)
{
    return (struct task_change){
        .status = status,
        .reason = json_str(request, "status_reason", ""),
        .message = json_str(request, "status_message", ""),
        .force = request_true(request, "force", false),
    };
}

/* One of the plain status calls; stamp: a time field set to now, or NULL. */
static int set_status(struct call *call, const char *status, const char *stamp)
{
    char iso[CLOCK_ISO_SIZE];
    struct task_head task;
    if (task_head_load(call, json_str(call->request, "task", ""), &task))
        return -1;
    struct task_change change = task_change_of(call->request, status);
    if (stamp) {
        change.extra = cJSON_CreateObject();
        json_set_str(change.extra, stamp, clock_iso_clearml(call->now_ms, iso));
    }
    return task_change_status(call, &task, &change, call->data);
}

int tasks_started(struct call *call)
{
    char iso[CLOCK_ISO_SIZE];
    struct task_head task;
    if (task_head_load(call, json_str(call->request, "task", ""), &task))
        return -1;
    struct task_change change = task_change_of(call->request, "in_progress");
    /* An earlier start stands. */
    if (!task.started || task.started > call->now_ms) {
        change.extra = cJSON_CreateObject();
        json_set_str(change.extra, "started", clock_iso_clearml(call->now_ms, iso));
    }
    if (task_change_status(call, &task, &change, call->data))
        return -1;
    json_set_int(call->data, "started", json_int(call->data, "updated", 0));
    return 0;
}

int tasks_stopped(struct call *call)
{
    return set_status(call, "stopped", "completed");
}

int tasks_failed(struct call *call)
{
    return set_status(call, "failed", NULL);
}

int tasks_close(struct call *call)
{
    return set_status(call, "closed", NULL);
}

int tasks_completed(struct call *call)
{
    if (set_status(call, "completed", "completed"))
        return -1;
    json_set_int(call->data, "published", 0);
    if (!request_true(call->request, "publish", false))
        return 0;
    auto_json *result = cJSON_CreateObject();
    if (task_publish(call, json_str(call->request, "task", ""), result))
        return -1;
    json_set_int(call->data, "published", json_int(result, "updated", 0));
    json_set_str(json_get(call->data, "fields"), "status", "published");
    return 0;
}

/* The task's last output model becomes ready with it. */
static void publish_model_of(struct call *call, const char *task)
{
    auto_json *models = doc_load_field(call->db, &task_type, task, "models");
    const cJSON *output = json_get(models, "output");
    int count = cJSON_GetArraySize(output);
    if (!count)
        return;
    auto_json *fields = cJSON_CreateObject();
    const char *model = json_str(cJSON_GetArrayItem(output, count - 1), "model", "");
    auto_json *ready = doc_load_field(call->db, &model_type, model, "ready");
    if (!ready || cJSON_IsTrue(ready))
        return;
    json_set_bool(fields, "ready", true);
    task_stamp(call, fields, true);
    doc_set(call->db, &model_type, model, fields, NULL);
}

int task_publish_as(struct call *call, const char *id, bool force, bool publish_model,
                    cJSON *result)
{
    char iso[CLOCK_ISO_SIZE];
    struct task_head task;
    struct task_change change = task_change_of(call->request, "published");
    change.force = force;
    if (task_head_load(call, id, &task))
        return -1;
    /* Published again is no change of this table. */
    if (!force && !task_status_allowed(task.status, "published"))
        return api_fail(call, API_INVALID_TASK_STATUS, "Invalid status change",
                        "current_status", task.status, "new_status", "published", NULL);
    if (publish_model)
        publish_model_of(call, id);
    change.extra = cJSON_CreateObject();
    json_set_str(change.extra, "published", clock_iso_clearml(call->now_ms, iso));
    return task_change_status(call, &task, &change, result);
}

int task_publish(struct call *call, const char *id, cJSON *result)
{
    return task_publish_as(call, id, request_true(call->request, "force", false),
                           request_true(call->request, "publish_model", true), result);
}

int tasks_publish(struct call *call)
{
    return task_publish(call, json_str(call->request, "task", ""), call->data);
}

int tasks_ping(struct call *call)
{
    task_note_events(call->db, json_str(call->request, "task", ""), NULL, call->now_ms);
    return 0;
}

/* ---- services.h ---- */

void task_set_status(sqlite3 *db, const char *task, const char *status,
                     const char *reason, const char *message, int64_t now_ms)
{
    auto_json *fields = cJSON_CreateObject();
    json_set_str(fields, "status", status);
    json_set_str(fields, "status_reason", reason ? reason : "");
    json_set_str(fields, "status_message", message ? message : "");
    json_set_int(fields, "status_changed", now_ms);
    json_set_int(fields, "last_update", now_ms);
    json_set_int(fields, "last_change", now_ms);
    if (doc_set(db, &task_type, task, fields, NULL) && !strcmp(status, "queued"))
        task_system_tag(db, task, "development", false);
}

int tasks_stop_silent(sqlite3 *db, int64_t now_ms, int64_t silence_ms)
{
    static const char text[] = "Forced stop (non-responsive)";
    auto_json *ids = cJSON_CreateArray();
    auto_reset *stmt = store_prepare(
        db, "SELECT id FROM tasks WHERE status = 'in_progress' AND last_update < ?");
    sqlite3_bind_int64(stmt, 1, now_ms - silence_ms);
    while (sql_step(stmt))
        cJSON_AddItemToArray(
            ids, cJSON_CreateString((const char *)sqlite3_column_text(stmt, 0)));
    const cJSON *id;
    cJSON_ArrayForEach(id, ids)
    {
        task_set_status(db, id->valuestring, "stopped", text, text, now_ms);
        auto_json *fields = cJSON_CreateObject();
        json_set_str(fields, "last_changed_by", "__apiserver__");
        doc_set(db, &task_type, id->valuestring, fields, NULL);
    }
    return cJSON_GetArraySize(ids);
}
