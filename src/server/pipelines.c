/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/alloc.h"
#include "base/json.h"
#include "server/dispatch.h"
#include "server/project-store.h"
#include "server/server.h"
#include "server/store.h"
#include "server/tasks-internal.h"

#include <ctype.h>
#include <string.h>

/* ---- start ---- */

/* The pipeline's parameters, and the arguments among its "Args". */
static cJSON *with_args(struct call *call, const char *task)
{
    const cJSON *args = json_get(call->request, "args"), *arg;
    cJSON *params = doc_load_field(call->db, &task_type, task, "hyperparams");
    if (!params)
        params = cJSON_CreateObject();
    if (!args || !args->child)
        return params;
    cJSON *section = json_member(params, "Args");
    cJSON_ArrayForEach(arg, args)
    {
        const char *name = json_str(arg, "name", "");
        cJSON *item = json_set(section, name, cJSON_CreateObject());
        json_set_str(item, "section", "Args");
        json_set_str(item, "name", name);
        json_set_str(item, "value", json_str(arg, "value", ""));
    }
    return params;
}

static int check_args(struct call *call)
{
    const cJSON *arg;
    cJSON_ArrayForEach(arg, json_get(call->request, "args"))
    {
        if (!cJSON_IsString(json_get(arg, "name")) ||
            !cJSON_IsString(json_get(arg, "value")))
            return api_fail(call, API_VALIDATION,
                            "error for field 'args': name and value are required",
                            NULL);
    }
    return 0;
}

/* How many runs of the project have its name, with or without a number. */
static int count_runs(struct call *call, const char *project, const char *prefix)
{
    int count = 0;
    size_t n = strlen(prefix);
    sqlite3_stmt *find = store_query(call->db,
                                     "SELECT name FROM tasks WHERE project = ?"
                                     " AND instr(system_tags, '\"pipeline\"') > 0",
                                     "t", project);
    while (store_row(find)) {
        const char *name = (const char *)sqlite3_column_text(find, 0);
        const char *end = name + strlen(name);
        const char *hash = end;
        while (hash > name && isdigit((unsigned char)hash[-1]))
            hash--;
        if (hash < end && hash - name >= 2 && strncmp(hash - 2, " #", 2) == 0)
            end = hash - 2;
        count += (size_t)(end - name) >= n && strncmp(end - n, prefix, n) == 0;
    }
    sqlite3_reset(find);
    return count;
}

/* Names a new run after its pipeline's project: "train #3". */
static void name_run(struct call *call, const char *task)
{
    char project[65] = "";
    task_brief(call->db, task, NULL, project, NULL);
    auto_json *doc = project_load(call->db, project);
    if (!doc)
        return;
    const char *prefix = json_str(doc, "basename", "");
    int count = count_runs(call, project, prefix);
    auto_free char *name =
        count > 0 ? xasprintf("%s #%d", prefix, count) : xstrdup(prefix);
    auto_json *fields = cJSON_CreateObject();
    json_set_str(fields, "name", name);
    doc_set(call->db, &task_type, task, fields, NULL);
}

static int enqueue_run(struct call *call, const char *task)
{
    cJSON *request = cJSON_CreateObject();
    json_set_str(request, "task", task);
    json_set_str(request, "queue", json_str(call->request, "queue", ""));
    json_set_str(request, "status_message", "Starting pipeline");
    json_set_str(request, "status_reason", "");
    json_set_bool(request, "verify_watched_queue",
                  json_bool(call->request, "verify_watched_queue", false));
    auto_json *data =
        dispatch_inside(call->server->dispatch, call, "tasks.enqueue", request);
    if (!data)
        return -1;
    json_set_bool(call->data, "enqueued", json_int(data, "queued", 0) > 0);
    const cJSON *watched = json_get(data, "queue_watched");
    if (watched)
        json_set_bool(call->data, "queue_watched", cJSON_IsTrue(watched));
    return 0;
}

static int start_pipeline(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    if (check_args(call))
        return -1;
    cJSON *request = cJSON_CreateObject();
    json_set_str(request, "task", task);
    json_set(request, "new_task_hyperparams", with_args(call, task));
    auto_json *made =
        dispatch_inside(call->server->dispatch, call, "tasks.clone", request);
    if (!made)
        return -1;
    const char *run = json_str(made, "id", "");
    name_run(call, run);
    if (enqueue_run(call, run))
        return -1;
    json_set_str(call->data, "pipeline", run);
    return 0;
}

/* ---- delete ---- */

/* Only controllers of the project are deleted, and never all of them. */
static int delete_runs(struct call *call)
{
    const char *project = json_str(call->request, "project", "");
    const cJSON *ids = request_strings(call, "ids");
    if (!ids)
        return -1;
    bool left = false;
    cJSON *gone = cJSON_CreateArray();
    auto_free char *given = json_format(ids);
    sqlite3_stmt *find =
        store_query(call->db,
                    "SELECT id, id IN (SELECT value FROM json_each(?2)) FROM tasks"
                    " WHERE project = ?1 AND type = 'controller'",
                    "tt", project, given);
    while (store_row(find)) {
        const char *id = (const char *)sqlite3_column_text(find, 0);
        if (sqlite3_column_int(find, 1))
            cJSON_AddItemToArray(gone, cJSON_CreateString(id));
        else
            left = true;
    }
    sqlite3_reset(find);
    json_set(call->request, "ids", gone);
    if (!left)
        return api_fail(call, API_LAST_RUN, NULL, "project", project, NULL);
    json_set_bool(call->request, "force", true);
    json_set_bool(call->request, "include_pipeline_steps", true);
    json_set(call->data, "succeeded", cJSON_CreateArray());
    json_set(call->data, "failed", cJSON_CreateArray());
    return gone->child ? task_for_each(call, task_delete) : 0;
}

/* ---- the table ---- */

static const struct field start_fields[] = {{"task", FIELD_STRING, true},
                                            {"queue", FIELD_STRING, true},
                                            {"args", FIELD_ARRAY, false},
                                            {"verify_watched_queue", FIELD_BOOL, false},
                                            {0}};
static const struct field delete_fields[] = {
    {"project", FIELD_STRING, true}, {"ids", FIELD_STRINGS, true}, {0}};

const struct endpoint pipelines_endpoints[] = {
    {"pipelines.start_pipeline", "1.0", ENDPOINT_WRITE, start_pipeline, start_fields},
    {"pipelines.delete_runs", "1.0", ENDPOINT_WRITE, delete_runs, delete_fields},
    {0}};
