/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/models-internal.h"

#include "base/alloc.h"
#include "base/json.h"
#include "server/schema.h"
#include "server/sql.h"
#include "server/store.h"

#include <string.h>

const char models_schema[] = "CREATE TABLE models("
                             " n INTEGER PRIMARY KEY,"
                             " id TEXT NOT NULL UNIQUE,"
                             " company TEXT NOT NULL,"
                             " user TEXT NOT NULL,"
                             " name TEXT NOT NULL,"
                             " created INTEGER NOT NULL,"
                             " parent TEXT,"
                             " project TEXT,"
                             " task TEXT,"
                             " comment TEXT,"
                             " uri TEXT NOT NULL,"
                             " framework TEXT,"
                             " ready INTEGER NOT NULL,"
                             " last_update INTEGER,"
                             " last_change INTEGER,"
                             " last_changed_by TEXT,"
                             " last_iteration INTEGER NOT NULL,"
                             " company_origin TEXT,"
                             " tags TEXT NOT NULL,"
                             " system_tags TEXT NOT NULL,"
                             " labels TEXT NOT NULL,"
                             " metadata TEXT NOT NULL,"
                             " design TEXT NOT NULL,"
                             " last_metrics TEXT NOT NULL,"
                             " unique_metrics TEXT,"
                             " ui_cache TEXT NOT NULL);"
                             "CREATE INDEX models_task ON models(task);"
                             "CREATE INDEX models_project ON models(project);"
                             "CREATE INDEX models_name ON models(name);"
                             "CREATE INDEX models_uri ON models(uri);"
                             "CREATE INDEX models_last_update ON models(last_update);";

static const struct doc_field model_fields[] = {
    {"id", "t", "id", DOC_TEXT, DOC_FILLED | DOC_INDEXED, NULL},
    {"name", "t", "name", DOC_TEXT, DOC_FILLED | DOC_INDEXED, NULL},
    {"company", "t", "company", DOC_TEXT, DOC_FILLED, NULL},
    {"user", "t", "user", DOC_TEXT, DOC_FILLED, NULL},
    {"created", "t", "created", DOC_TIME, DOC_FILLED, NULL},
    {"parent", "t", "parent", DOC_TEXT, 0, NULL},
    {"project", "t", "project", DOC_TEXT, 0, NULL},
    {"task", "t", "task", DOC_TEXT, 0, NULL},
    {"comment", "t", "comment", DOC_TEXT, 0, NULL},
    {"tags", "t", "tags", DOC_JSON, 0, "[]"},
    {"system_tags", "t", "system_tags", DOC_JSON, 0, "[]"},
    {"uri", "t", "uri", DOC_TEXT, 0, ""},
    {"framework", "t", "framework", DOC_TEXT, 0, NULL},
    {"design", "t", "design", DOC_JSON, 0, "{}"},
    {"labels", "t", "labels", DOC_JSON, 0, "{}"},
    {"ready", "t", "ready", DOC_BOOL, DOC_FILLED, "0"},
    {"last_update", "t", "last_update", DOC_TIME, DOC_INDEXED, NULL},
    {"last_change", "t", "last_change", DOC_TIME, 0, NULL},
    {"last_changed_by", "t", "last_changed_by", DOC_TEXT, 0, NULL},
    {"metadata", "t", "metadata", DOC_JSON, 0, "{}"},
    {"last_iteration", "t", "last_iteration", DOC_INTEGER, DOC_FILLED, "0"},
    {"last_metrics", "t", "last_metrics", DOC_JSON, 0, "{}"},
    {"unique_metrics", "t", "unique_metrics", DOC_JSON, DOC_HIDDEN, NULL},
    {"ui_cache", "t", "ui_cache", DOC_JSON, DOC_HIDDEN, "{}"},
    {"company_origin", "t", "company_origin", DOC_TEXT, DOC_HIDDEN, NULL},
    {0},
};

static const struct doc_table model_tables[] = {{"t", "models"}, {0}};

const struct doc_type model_type = {
    .fields = model_fields,
    .tables = model_tables,
    .from = "models t",
    .load = "SELECT t.id, t.name, t.company, t.user, t.created, t.parent, "
            "t.project, t.task, t.comment, t.tags, t.system_tags, t.uri, "
            "t.framework, t.design, t.labels, t.ready, t.last_update, "
            "t.last_change, t.last_changed_by, t.metadata, t.last_iteration, "
            "t.last_metrics, t.unique_metrics, t.ui_cache, t.company_origin FROM "
            "models t WHERE t.id = ?",
};

bool model_exists(sqlite3 *db, const char *model)
{
    auto_reset *stmt = store_prepare(db, "SELECT 1 FROM models WHERE id = ?");
    sql_bind(stmt, 1, model);
    return sql_step(stmt);
}

bool model_brief(sqlite3 *db, const char *model, char name[512], bool *ready)
{
    auto_reset *stmt = store_prepare(db, "SELECT name, ready FROM models WHERE id = ?");
    sql_bind(stmt, 1, model);
    if (!sql_step(stmt))
        return false;
    if (name)
        sql_copy(stmt, 0, name, 512);
    if (ready)
        *ready = sqlite3_column_int(stmt, 1) != 0;
    return true;
}

void model_note_events(struct call *call, const char *model, const cJSON *fields)
{
    auto_json *changed = cJSON_Duplicate(fields, true);
    task_stamp(call, changed, true);
    if (json_get(changed, "last_iteration"))
        json_set_int(changed, "last_iteration",
                     store_int(call->db,
                               "SELECT max(last_iteration, ?2) FROM models"
                               " WHERE id = ?1",
                               0, "ti", model, json_int(fields, "last_iteration", 0)));
    doc_set(call->db, &model_type, model, changed, NULL);
}

cJSON *model_load(sqlite3 *db, const char *model)
{
    return doc_load(db, &model_type, model, false);
}

cJSON *models_of_task(sqlite3 *db, const char *task)
{
    cJSON *out = cJSON_CreateArray();
    auto_json *ids = cJSON_CreateArray();
    auto_reset *stmt = store_prepare(db, "SELECT id FROM models WHERE task = ?");
    sql_bind(stmt, 1, task);
    while (sql_step(stmt))
        cJSON_AddItemToArray(
            ids, cJSON_CreateString((const char *)sqlite3_column_text(stmt, 0)));
    const cJSON *id;
    cJSON_ArrayForEach(id, ids)
        cJSON_AddItemToArray(out, model_load(db, id->valuestring));
    return out;
}

cJSON *model_requested(struct call *call, const char *id)
{
    auto_json *model = model_load(call->db, id);
    /* Of a public one ClearML says here, as of no other object, that it is none. */
    if (model && *json_str(model, "company", ""))
        return steal(&model);
    api_fail(call, API_INVALID_MODEL_ID, NULL, "company", call->caller.company, "id",
             id, NULL);
    return NULL;
}
