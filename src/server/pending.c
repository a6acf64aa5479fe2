/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/json.h"
#include "server/call.h"
#include "server/http.h"
#include "server/services.h"

#include <stdio.h>

/* Weak stand-ins for the services that are not in this tree yet: the server links and
 * answers 404 for their endpoints. Each goes when its file comes. */
#define WEAK __attribute__((weak))

extern const struct endpoint tasks_endpoints[] WEAK;
extern const struct endpoint models_endpoints[] WEAK;
const struct endpoint tasks_endpoints[] = {{0}};
const struct endpoint models_endpoints[] = {{0}};

static void *files_begin(struct server *server, struct http_request *request)
{
    http_reply_text(request, 404, "Not found");
    return NULL;
}

extern const struct http_handler fileserver_handler WEAK;
const struct http_handler fileserver_handler = {.begin = files_begin};

WEAK bool task_exists(sqlite3 *db, const char *task)
{
    return false;
}

WEAK cJSON *task_load(sqlite3 *db, const char *task)
{
    return NULL;
}

WEAK bool task_brief(sqlite3 *db, const char *task, char status[16], char project[65],
                     char name[512])
{
    return false;
}

WEAK void task_set_fields(sqlite3 *db, const char *task, const cJSON *fields)
{
}

WEAK void task_set_status(sqlite3 *db, const char *task, const char *status,
                          const char *reason, const char *message, int64_t now_ms)
{
}

WEAK bool task_left_queue(struct call *call, const char *task, const char *queue,
                          const char *reason)
{
    return false;
}

WEAK void task_note_events(sqlite3 *db, const char *task, const cJSON *fields,
                           int64_t now_ms)
{
}

WEAK bool task_progress(sqlite3 *db, const char *task, int64_t *seconds,
                        int64_t *iteration)
{
    return false;
}

WEAK int task_count_by_project(sqlite3 *db, const char *project)
{
    return 0;
}

WEAK void query_register(sqlite3 *db)
{
}

WEAK cJSON *query_run(struct call *call, const struct query_collection *collection)
{
    char sql[128];
    sqlite3_stmt *stmt = NULL;
    cJSON *docs = cJSON_CreateArray();
    snprintf(sql, sizeof sql, "SELECT doc FROM %s LIMIT 500", collection->table);
    if (sqlite3_prepare_v2(call->db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return docs;
    while (sqlite3_step(stmt) == SQLITE_ROW)
        cJSON_AddItemToArray(docs,
                             cJSON_Parse((const char *)sqlite3_column_text(stmt, 0)));
    sqlite3_finalize(stmt);
    return docs;
}
