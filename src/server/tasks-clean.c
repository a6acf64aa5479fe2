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

#include <stdio.h>
#include <string.h>

/* What became of a task's outputs. */
struct cleanup {
    int children, updated_models, deleted_models;
    cJSON *model_urls, *artifact_urls;
};

static void cleanup_free(struct cleanup *c)
{
    cJSON_Delete(c->model_urls);
    cJSON_Delete(c->artifact_urls);
}

static int published_children(sqlite3 *db, const char *task)
{
    auto_reset *stmt = store_prepare(
        db, "SELECT count(*) FROM tasks WHERE parent = ? AND status = 'published'");
    sql_bind(stmt, 1, task);
    sql_step(stmt);
    return sqlite3_column_int(stmt, 0);
}

/* Without force nothing that was published may go. */
static int cleanup_allowed(struct call *call, const char *task, const cJSON *models)
{
    char number[16];
    int children = published_children(call->db, task), ready = 0;
    const cJSON *m;
    if (children) {
        snprintf(number, sizeof number, "%d", children);
        return api_fail(call, API_TASK_NOT_DELETABLE, "has children, use force=True",
                        "task", task, "children", number, NULL);
    }
    cJSON_ArrayForEach(m, models) ready += json_bool(m, "ready", false);
    if (!ready)
        return 0;
    snprintf(number, sizeof number, "%d", ready);
    return api_fail(call, API_TASK_NOT_DELETABLE, "has output models, use force=True",
                    "task", task, "models", number, NULL);
}

/* The models that a task made or names as its outputs: id, ready, uri. */
static cJSON *output_models(struct call *call, const char *task)
{
    cJSON *models = models_of_task(call->db, task);
    auto_json *named = doc_load_field(call->db, &task_type, task, "models");
    const cJSON *item;
    cJSON_ArrayForEach(item, json_get(named, "output"))
    {
        const char *id = json_str(item, "model", "");
        const cJSON *m;
        bool there = false;
        cJSON_ArrayForEach(m, models) there |= !strcmp(json_str(m, "id", ""), id);
        cJSON *model = there ? NULL : model_load(call->db, id);
        if (model)
            cJSON_AddItemToArray(models, model);
    }
    return models;
}

void task_artifact_urls(sqlite3 *db, const char *task, cJSON *urls)
{
    auto_json *execution = doc_load_field(db, &task_type, task, "execution");
    const cJSON *a;
    cJSON_ArrayForEach(a, json_get(execution, "artifacts"))
    {
        const char *uri = json_str(a, "uri", "");
        if (*uri && !strcmp(json_str(a, "mode", "output"), "output"))
            cJSON_AddItemToArray(urls, cJSON_CreateString(uri));
    }
}

/* Children of a deleted task keep its id, marked. */
static int orphan_children(struct call *call, const char *task)
{
    auto_free char *deleted = xasprintf(DELETED_PREFIX "%s", task);
    auto_reset *stmt =
        store_prepare(call->db, "UPDATE tasks SET parent = ?, last_change = ?,"
                                " last_changed_by = ? WHERE parent = ?");
    sql_bind(stmt, 1, deleted);
    sqlite3_bind_int64(stmt, 2, call->now_ms);
    sql_bind(stmt, 3, call->caller.user);
    sql_bind(stmt, 4, task);
    sql_step(stmt);
    return sqlite3_changes(call->db);
}

static bool model_in_use(sqlite3 *db, const char *model)
{
    auto_free char *word = xasprintf("i:%s", model);
    auto_reset *stmt = store_prepare(db, "SELECT 1 FROM task_refs WHERE word = ?");
    sql_bind(stmt, 1, word);
    return sql_step(stmt);
}

static void cleanup_model(struct call *call, const char *task, const cJSON *model,
                          bool deleting, bool delete_models, struct cleanup *out)
{
    const char *id = json_str(model, "id", ""), *uri = json_str(model, "uri", "");
    bool ready = json_bool(model, "ready", false);
    if (!ready && delete_models && !model_in_use(call->db, id)) {
        if (*uri)
            cJSON_AddItemToArray(out->model_urls, cJSON_CreateString(uri));
        events_delete_task(call->db, id);
        out->deleted_models += doc_delete(call->db, &model_type, id);
        return;
    }
    auto_json *fields = cJSON_CreateObject();
    auto_free char *mark = xasprintf(DELETED_PREFIX "%s", task);
    bool keep_mark = deleting && (ready || !delete_models);
    json_set_str(fields, "task", keep_mark ? mark : NULL);
    task_stamp(call, fields, false);
    out->updated_models +=
        doc_set(call->db, &model_type, id, fields, NULL) && keep_mark;
}

/* Removes or detaches all that a task has made. deleting: the task itself goes as well.
 */
static int cleanup_task(struct call *call, const char *task, bool force, bool deleting,
                        struct cleanup *out)
{
    auto_json *models = output_models(call, task);
    bool delete_models = request_true(call->request, "delete_output_models", true);
    *out = (struct cleanup){.model_urls = cJSON_CreateArray(),
                            .artifact_urls = cJSON_CreateArray()};
    if (!force && cleanup_allowed(call, task, models)) {
        cleanup_free(out);
        return -1;
    }
    task_artifact_urls(call->db, task, out->artifact_urls);
    if (deleting)
        out->children = orphan_children(call, task);
    const cJSON *m;
    cJSON_ArrayForEach(m, models)
        cleanup_model(call, task, m, deleting, delete_models, out);
    events_delete_task(call->db, task);
    return 0;
}

/* Takes what the cleanup holds. A reset's answer has no word of what others lost. */
static void cleanup_answer(struct call *call, struct cleanup *c, bool deleting,
                           cJSON *result)
{
    bool wanted = request_true(call->request, "return_file_urls", false);
    if (deleting) {
        json_set_int(result, "updated_children", c->children);
        json_set_int(result, "updated_models", c->updated_models);
    }
    json_set_int(result, "deleted_models", c->deleted_models);
    cJSON *urls =
        !deleting || wanted ? json_set(result, "urls", cJSON_CreateObject()) : NULL;
    if (!wanted) {
        cleanup_free(c);
        return;
    }
    json_set(urls, "model_urls", c->model_urls);
    json_set(urls, "artifact_urls", c->artifact_urls);
    json_set(urls, "event_urls", cJSON_CreateArray());
}

/* ---- reset ---- */

static cJSON *input_artifacts(const cJSON *execution)
{
    cJSON *kept = cJSON_CreateArray();
    const cJSON *a;
    cJSON_ArrayForEach(a, json_get(execution, "artifacts"))
    {
        if (!strcmp(json_str(a, "mode", "output"), "input"))
            cJSON_AddItemToArray(kept, cJSON_Duplicate(a, true));
    }
    return kept;
}

/* The fields of a task that was never run; runs on with it what was set by people. */
static cJSON *reset_fields(struct call *call, const char *task)
{
    static const char *const unset[] = {
        "last_worker",    "last_worker_report", "started",        "completed",
        "published",      "active_duration",    "enqueue_status", "execution.queue",
        "unique_metrics", "last_metrics",       "metric_stats",   "runtime"};
    cJSON *fields = cJSON_CreateObject();
    json_set_int(fields, "last_iteration", 0);
    cJSON *output = doc_load_field(call->db, &task_type, task, "output");
    json_remove(output, "result");
    json_remove(output, "error");
    json_set(fields, "output", output ? output : cJSON_CreateObject());
    cJSON *models = doc_load_field(call->db, &task_type, task, "models");
    json_set(models, "output", cJSON_CreateArray());
    json_set(fields, "models", models);
    if (request_true(call->request, "clear_all", false)) {
        json_set_str(fields, "execution", NULL);
        json_set_str(fields, "script", NULL);
    } else {
        auto_json *execution = doc_load_field(call->db, &task_type, task, "execution");
        json_set(fields, "execution.artifacts", input_artifacts(execution));
    }
    for (size_t i = 0; i < ARRAY_SIZE(unset); i++)
        json_set_str(fields, unset[i], NULL);
    return fields;
}

int task_reset(struct call *call, const char *id, cJSON *result)
{
    struct task_head task;
    struct cleanup cleanup;
    bool force = request_true(call->request, "force", false);
    if (task_head_load(call, id, &task))
        return -1;
    if (!force && !strcmp(task.status, "published"))
        return api_fail(call, API_INVALID_TASK_STATUS, NULL, "task_id", id, "status",
                        task.status, NULL);
    int removed = queue_remove_task(call, id);
    if (cleanup_task(call, id, force, false, &cleanup))
        return -1;
    struct task_change change = {.status = "created",
                                 .reason = "reset",
                                 .message = "reset",
                                 .force = force,
                                 .extra = reset_fields(call, id)};
    if (task_change_status(call, &task, &change, result)) {
        cleanup_free(&cleanup);
        return -1;
    }
    cJSON *fields = json_get(result, "fields");
    json_remove(fields, "models");
    json_remove(fields, "output");
    json_remove(fields, "execution.artifacts");
    json_remove(fields, "last_iteration");
    cleanup_answer(call, &cleanup, false, result);
    json_set_bool(result, "dequeued", removed > 0 && !strcmp(task.status, "queued"));
    return 0;
}

int tasks_reset(struct call *call)
{
    if (task_reset(call, json_str(call->request, "task", ""), call->data))
        return -1;
    bool removed = json_bool(call->data, "dequeued", false);
    cJSON *dequeued = json_set(call->data, "dequeued", cJSON_CreateObject());
    if (removed)
        json_set_int(dequeued, "removed", 1);
    json_set(call->data, "events", cJSON_CreateObject());
    return 0;
}

/* ---- delete ---- */

static int delete_one(struct call *call, const char *id, bool force, cJSON *result)
{
    struct cleanup cleanup;
    queue_remove_task(call, id);
    if (cleanup_task(call, id, force, true, &cleanup))
        return -1;
    doc_delete(call->db, &task_type, id);
    cleanup_answer(call, &cleanup, true, result);
    return 0;
}

int task_delete(struct call *call, const char *id, cJSON *result)
{
    struct task_head task;
    bool force = request_true(call->request, "force", false);
    if (task_head_load(call, id, &task))
        return -1;
    if (strcmp(task.status, "created") && !task.archived && !force)
        return api_fail(call, API_TASK_NOT_DELETABLE, "due to status, use force=True",
                        "task", id, "expected", "created", "current", task.status,
                        NULL);
    auto_json *steps = task_steps(call, &task);
    const cJSON *step;
    cJSON_ArrayForEach(step, steps)
    {
        auto_json *ignored = cJSON_CreateObject();
        if (delete_one(call, step->valuestring, true, ignored))
            return -1;
    }
    if (delete_one(call, id, force, result))
        return -1;
    project_touch(call, task.project);
    json_set_bool(result, "deleted", true);
    return 0;
}

int tasks_delete(struct call *call)
{
    return task_delete(call, json_str(call->request, "task", ""), call->data);
}
