/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/project-contents.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "server/models-internal.h"
#include "server/names.h"
#include "server/project-children.h"
#include "server/store.h"

#include <string.h>

/* What a deleted model leaves in the tasks of other projects. */
#define DELETED_MODEL "__DELETED__"

/* A project and all below it on their way out. */
struct removal {
    struct call *call;
    char *ids; /* of the projects, a JSON list */
    cJSON *model_urls, *artifact_urls;
    int models, tasks;
};

/* ?1: the projects */
#define INSIDE "project IN (SELECT value FROM json_each(?1))"
#define OUTSIDE "(project IS NULL OR NOT " INSIDE ")"

static cJSON *texts_of(sqlite3_stmt *find)
{
    cJSON *list = cJSON_CreateArray();
    while (store_row(find))
        cJSON_AddItemToArray(
            list, cJSON_CreateString((const char *)sqlite3_column_text(find, 0)));
    sqlite3_reset(find);
    return list;
}

/* ---- models ---- */

static void release_model(struct removal *r, const char *model, const char *maker)
{
    char status[16] = "";
    auto_free char *word = xasprintf("i:%s", model);
    auto_json *users = texts_of(store_query(
        r->call->db,
        "SELECT id FROM tasks WHERE id IN (SELECT id FROM task_refs WHERE word = ?2)"
        " AND " OUTSIDE,
        "tt", r->ids, word));
    const cJSON *user;
    cJSON_ArrayForEach(user, users)
        model_replace(r->call, user->valuestring, "input", model, DELETED_MODEL);
    if (!store_int(r->call->db, "SELECT 1 FROM tasks WHERE id = ?2 AND " OUTSIDE, 0,
                   "tt", r->ids, maker))
        return;
    task_brief(r->call->db, maker, status, NULL, NULL);
    model_replace(r->call, maker, "output", model,
                  strcmp(status, "published") ? NULL : DELETED_MODEL);
}

static void delete_models(struct removal *r)
{
    const cJSON *id;
    auto_json *ids = texts_of(
        store_query(r->call->db, "SELECT id FROM models WHERE " INSIDE, "t", r->ids));
    cJSON_ArrayForEach(id, ids)
    {
        auto_json *model = model_load(r->call->db, id->valuestring);
        const char *uri = json_str(model, "uri", "");
        release_model(r, id->valuestring, json_str(model, "task", ""));
        if (*uri)
            cJSON_AddItemToArray(r->model_urls, cJSON_CreateString(uri));
        events_delete_task(r->call->db, id->valuestring);
        r->models += doc_delete(r->call->db, &model_type, id->valuestring);
    }
}

/* ---- tasks ---- */

/* What other projects have of a task forgets it. */
static void release_task(struct removal *r, const char *task)
{
    store_change(
        r->call->db,
        "UPDATE tasks SET parent = NULL, last_change = ?3, last_changed_by = ?4"
        " WHERE parent = ?2 AND " OUTSIDE,
        "ttit", r->ids, task, r->call->now_ms, r->call->caller.user);
    store_change(r->call->db,
                 "UPDATE models SET task = NULL, last_change = ?3, last_changed_by = ?4"
                 " WHERE task = ?2 AND " OUTSIDE,
                 "ttit", r->ids, task, r->call->now_ms, r->call->caller.user);
}

static void delete_tasks(struct removal *r)
{
    const cJSON *id;
    auto_json *ids = texts_of(
        store_query(r->call->db, "SELECT id FROM tasks WHERE " INSIDE, "t", r->ids));
    cJSON_ArrayForEach(id, ids)
    {
        release_task(r, id->valuestring);
        task_artifact_urls(r->call->db, id->valuestring, r->artifact_urls);
        events_delete_task(r->call->db, id->valuestring);
        queue_remove_task(r->call, id->valuestring);
        r->tasks += doc_delete(r->call->db, &task_type, id->valuestring);
    }
}

/* ---- all of it ---- */

static void delete_all(struct removal *r)
{
    cJSON *urls = json_set(r->call->data, "urls", cJSON_CreateObject());
    r->model_urls = json_set(urls, "model_urls", cJSON_CreateArray());
    r->artifact_urls = json_set(urls, "artifact_urls", cJSON_CreateArray());
    json_set(urls, "event_urls", cJSON_CreateArray());
    delete_models(r);
    delete_tasks(r);
    names_sort(r->model_urls);
    names_sort(r->artifact_urls);
}

int project_delete_contents(struct call *call, const cJSON *project)
{
    int freed = 0;
    struct removal r = {.call = call};
    auto_json *own = cJSON_CreateArray();
    cJSON_AddItemToArray(own, cJSON_CreateString(json_str(project, "id", "")));
    auto_json *ids = project_with_children(call->db, own);
    auto_free char *text = r.ids = json_format(ids);
    json_set(call->data, "urls", cJSON_CreateNull());
    if (json_bool(call->request, "delete_contents", false)) {
        delete_all(&r);
    } else {
        freed = store_change(call->db, "UPDATE tasks SET project = NULL WHERE " INSIDE,
                             "t", text);
        store_change(call->db, "UPDATE models SET project = NULL WHERE " INSIDE, "t",
                     text);
    }
    int n = store_change(
        call->db, "DELETE FROM projects WHERE id IN (SELECT value FROM json_each(?))",
        "t", text);
    json_set_int(call->data, "deleted", n);
    json_set_int(call->data, "disassociated_tasks", freed);
    json_set_int(call->data, "deleted_models", r.models);
    json_set_int(call->data, "deleted_tasks", r.tasks);
    return 0;
}
