/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/tasks-internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "server/sql.h"
#include "server/store.h"

#include <stdio.h>
#include <string.h>

/* A worker that has not been heard of for this long does not answer to "stopping". */
#define WORKER_SILENCE_MS (600 * 1000)

cJSON *task_steps(struct call *call, const struct task_head *task)
{
    cJSON *ids = cJSON_CreateArray();
    if (strcmp(task->type, "controller") ||
        !request_true(call->request, "include_pipeline_steps", false))
        return ids;
    auto_reset *stmt = store_prepare(call->db, "SELECT id FROM tasks WHERE parent = ?");
    sql_bind(stmt, 1, task->id);
    while (sql_step(stmt))
        cJSON_AddItemToArray(
            ids, cJSON_CreateString((const char *)sqlite3_column_text(stmt, 0)));
    return ids;
}

/* ---- enqueue ---- */

/* The queue that the request names, made if it is a name that there is not yet. */
static int enqueue_target(struct call *call, char queue[65])
{
    const char *id = json_str(call->request, "queue", "");
    const char *name = json_str(call->request, "queue_name", "");
    if (*name) {
        if (!queue_find_by_name(call->db, name, queue) &&
            !queue_create(call->db, name, call->now_ms, queue))
            return api_fail(call, API_DATA_VALIDATION, NULL, "name", name, NULL);
        return 0;
    }
    if (*id) {
        if (!queue_exists(call->db, id))
            return api_fail(call, API_INVALID_QUEUE_ID, NULL, "queue", id, NULL);
        snprintf(queue, 65, "%s", id);
        return 0;
    }
    int found = queue_find_default(call->db, queue);
    if (found)
        return api_fail(call,
                        found == -1 ? API_NO_DEFAULT_QUEUE : API_SEVERAL_DEFAULT_QUEUES,
                        NULL, NULL);
    return 0;
}

static int enqueue_allowed(struct call *call, const struct task_head *task)
{
    const cJSON *request = call->request;
    if (*json_str(request, "queue", "") && *json_str(request, "queue_name", ""))
        return api_fail(call, API_VALIDATION,
                        "Either queue id or queue name should be provided", NULL);
    if (!request_true(request, "update_execution_queue", true) &&
        (strcmp(task->status, "queued") || !task->queue[0]))
        return api_fail(call, API_VALIDATION,
                        "Cannot skip setting execution queue for a task that is not "
                        "enqueued or does not have execution queue set",
                        NULL);
    return 0;
}

int task_enqueue(struct call *call, const char *id, cJSON *result)
{
    char queue[65];
    struct task_head task;
    if (task_head_load(call, id, &task) || enqueue_allowed(call, &task) ||
        enqueue_target(call, queue))
        return -1;
    if (request_true(call->request, "validate_tasks", false)) {
        auto_json *document = task_load(call->db, id);
        if (task_fields_check(call, document))
            return -1;
    }
    struct task_change change = task_change_of(call->request, "queued");
    bool again = !strcmp(task.status, "queued") && task.enqueue_status[0];
    change.extra = cJSON_CreateObject();
    json_set_str(change.extra, "enqueue_status",
                 again ? task.enqueue_status : task.status);
    if (task_change_status(call, &task, &change, result))
        return -1;
    /* A task sits in one queue only; in the one that it is in already it is not moved.
     */
    if (strcmp(task.status, "queued") || strcmp(task.queue, queue))
        queue_remove_task(call, id);
    if (!queue_push(call, queue, id))
        return api_fail(call, API_TASK_ALREADY_QUEUED, NULL, "task", id, NULL);
    if (request_true(call->request, "update_execution_queue", true)) {
        auto_json *fields = cJSON_CreateObject();
        json_set_str(fields, "execution.queue", queue);
        doc_set(call->db, &task_type, id, fields, NULL);
        json_set_str(json_get(result, "fields"), "execution.queue", queue);
    }
    json_set_int(result, "queued", 1);
    return 0;
}

/* Says, if the request asks, whether a worker looks at the queue. */
static void note_watched(struct call *call, const cJSON *fields)
{
    const char *queue = json_str(fields, "execution.queue", "");
    if (!*queue || !request_true(call->request, "verify_watched_queue", false))
        return;
    auto_json *workers = workers_by_queue(call->db, call->caller.company, call->now_ms);
    const cJSON *list = json_get(workers, queue);
    json_set_bool(call->data, "queue_watched", list && list->child);
}

int tasks_enqueue(struct call *call)
{
    const cJSON *request = call->request;
    if (request_true(request, "verify_watched_queue", false) &&
        !request_true(request, "update_execution_queue", true))
        return api_fail(call, API_VALIDATION,
                        "verify_watched_queue cannot be used with "
                        "update_execution_queue=False",
                        NULL);
    if (task_enqueue(call, json_str(request, "task", ""), call->data))
        return -1;
    note_watched(call, json_get(call->data, "fields"));
    return 0;
}

int tasks_enqueue_many(struct call *call)
{
    if (task_for_each(call, task_enqueue))
        return -1;
    cJSON *item, *succeeded = json_get(call->data, "succeeded");
    cJSON_ArrayForEach(item, succeeded) json_set_bool(item, "queued", true);
    if (succeeded->child)
        note_watched(call, json_get(succeeded->child, "fields"));
    return 0;
}

/* ---- dequeue ---- */

int task_leave_queue(struct call *call, const struct task_head *task,
                     const char *new_status, const char *aborted, cJSON *result)
{
    bool queued = !strcmp(task->status, "queued");
    bool running = !strcmp(task->status, "in_progress");
    if (queued)
        queue_remove_task(call, task->id);
    if (!queued && !running) {
        json_set(result, "fields", cJSON_CreateObject());
        json_set_int(result, "updated", 0);
        return 0;
    }
    if (aborted && running)
        new_status = aborted;
    if (!new_status || !*new_status)
        new_status = task->enqueue_status[0] ? task->enqueue_status : "created";
    struct task_change change = task_change_of(call->request, new_status);
    change.force = true;
    change.extra = cJSON_CreateObject();
    json_set_str(change.extra, "enqueue_status", NULL);
    return task_change_status(call, task, &change, result);
}

int task_dequeue(struct call *call, const char *id, cJSON *result)
{
    struct task_head task;
    const char *status = json_str(call->request, "new_status", NULL);
    if (status && *status && !task_status_known(status)) {
        auto_free char *text = xasprintf("Invalid task status: %.100s", status);
        return api_fail(call, API_VALIDATION, text, NULL);
    }
    json_set_int(result, "dequeued", 1);
    if (!task_exists(call->db, id)) {
        queue_remove_task(call, id);
        json_set(result, "fields", cJSON_CreateObject());
        json_set_int(result, "updated", 0);
        return 0;
    }
    if (task_head_load(call, id, &task))
        return -1;
    if (request_true(call->request, "remove_from_all_queues", false))
        queue_remove_task(call, id);
    return task_leave_queue(call, &task, status, NULL, result);
}

int tasks_dequeue(struct call *call)
{
    return task_dequeue(call, json_str(call->request, "task", ""), call->data);
}

/* ---- stop ---- */

static bool run_by_worker(const struct call *call, const struct task_head *task)
{
    return task->last_worker[0] && call->now_ms - task->last_update < WORKER_SILENCE_MS;
}

static int stop_one(struct call *call, const char *id, bool force, cJSON *result)
{
    struct task_head task;
    if (task_head_load(call, id, &task))
        return -1;
    bool queued = !strcmp(task.status, "queued");
    auto_free char *by = xasprintf("Stopped by %s", call->caller.user_name);
    struct task_change change = task_change_of(call->request, task.status);
    change.force = force;
    change.message = "stopping";
    if (queued || task.development || !run_by_worker(call, &task)) {
        change.status = "stopped";
        change.message = by;
    }
    if (queued)
        queue_remove_task(call, id);
    return task_change_status(call, &task, &change, result);
}

int task_stop(struct call *call, const char *id, cJSON *result)
{
    struct task_head task;
    if (task_head_load(call, id, &task))
        return -1;
    auto_json *steps = task_steps(call, &task);
    const cJSON *step;
    cJSON_ArrayForEach(step, steps)
    {
        auto_json *ignored = cJSON_CreateObject();
        if (stop_one(call, step->valuestring, true, ignored))
            return -1;
    }
    return stop_one(call, id, request_true(call->request, "force", false), result);
}

int tasks_stop(struct call *call)
{
    return task_stop(call, json_str(call->request, "task", ""), call->data);
}

/* ---- archive ---- */

static void note_archived(struct call *call, const char *id, bool archived)
{
    auto_json *fields = cJSON_CreateObject();
    json_set_str(fields, "status_message",
                 json_str(call->request, "status_message", ""));
    json_set_str(fields, "status_reason", json_str(call->request, "status_reason", ""));
    task_stamp(call, fields, false);
    doc_set(call->db, &task_type, id, fields, NULL);
    task_system_tag(call->db, id, "archived", archived);
}

static int archive_one(struct call *call, const char *id)
{
    struct task_head task;
    auto_json *ignored = cJSON_CreateObject();
    if (task_head_load(call, id, &task))
        return -1;
    queue_remove_task(call, id);
    if (task_leave_queue(call, &task, NULL, "stopped", ignored))
        return -1;
    note_archived(call, id, true);
    return 0;
}

static int archive(struct call *call, const char *id, bool on, cJSON *result)
{
    struct task_head task;
    if (task_head_load(call, id, &task))
        return -1;
    auto_json *steps = task_steps(call, &task);
    cJSON_AddItemToArray(steps, cJSON_CreateString(id));
    const cJSON *step;
    cJSON_ArrayForEach(step, steps)
    {
        if (!on)
            note_archived(call, step->valuestring, false);
        else if (archive_one(call, step->valuestring))
            return -1;
    }
    json_set_bool(result, on ? "archived" : "unarchived", true);
    return 0;
}

int task_archive(struct call *call, const char *id, cJSON *result)
{
    return archive(call, id, true, result);
}

int task_unarchive(struct call *call, const char *id, cJSON *result)
{
    return archive(call, id, false, result);
}

int tasks_archive(struct call *call)
{
    const cJSON *ids = request_strings(call, "tasks"), *id;
    int count = 0;
    if (!ids)
        return -1;
    cJSON_ArrayForEach(id, ids)
    {
        auto_json *ignored = cJSON_CreateObject();
        if (archive(call, id->valuestring, true, ignored))
            return -1;
        count++;
    }
    json_set_int(call->data, "archived", count);
    return 0;
}

/* ---- services.h ---- */

bool task_left_queue(struct call *call, const char *id, const char *queue,
                     const char *reason)
{
    auto_reset *stmt =
        store_prepare(call->db, "SELECT status, enqueue_status FROM tasks"
                                " WHERE id = ? AND queue = ?");
    sql_bind(stmt, 1, id);
    sql_bind(stmt, 2, queue);
    if (!sql_step(stmt))
        return false;
    char status[16], before[16];
    sql_copy(stmt, 0, status, sizeof status);
    sql_copy(stmt, 1, before, sizeof before);
    if (!strcmp(status, "queued"))
        task_set_status(call->db, id, before[0] ? before : "created", reason, "",
                        call->now_ms);
    auto_json *fields = cJSON_CreateObject();
    json_set_str(fields, "enqueue_status", NULL);
    json_set_str(fields, "execution.queue", NULL);
    doc_set(call->db, &task_type, id, fields, NULL);
    return true;
}
