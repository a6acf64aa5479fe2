/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/tasks-internal.h"

#include "base/json.h"
#include "server/store.h"
#include "server/sql.h"

#include <stdlib.h>

static void savepoint(sqlite3 *db, const char *sql)
{
    /* One of three literals of task_one. */
    sqlite3_exec(db, sql, NULL, NULL, NULL);
}

/* What the failed operation said, and the call is as it was before. */
static cJSON *take_failure(struct call *call, const char *id)
{
    cJSON *failure = cJSON_CreateObject();
    json_set_str(failure, "id", id);
    cJSON *error = json_set(failure, "error", cJSON_CreateObject());
    cJSON *codes = json_set(error, "codes", cJSON_CreateArray());
    cJSON_AddItemToArray(codes, cJSON_CreateNumber(call->code));
    cJSON_AddItemToArray(codes, cJSON_CreateNumber(call->subcode));
    json_set_str(error, "msg", call->message ? call->message : "");
    json_set(error, "data", call->error_data ? call->error_data : cJSON_CreateObject());
    free(call->message);
    call->message = NULL;
    call->error_data = NULL;
    call->code = 200;
    call->subcode = 0;
    return failure;
}

static void task_one(struct call *call, task_operation_f operation, const char *id,
                     cJSON *succeeded, cJSON *failed)
{
    cJSON *result = cJSON_CreateObject();
    json_set_str(result, "id", id);
    savepoint(call->db, "SAVEPOINT many");
    if (operation(call, id, result) == 0) {
        cJSON_AddItemToArray(succeeded, result);
    } else {
        savepoint(call->db, "ROLLBACK TO many");
        cJSON_AddItemToArray(failed, take_failure(call, id));
        cJSON_Delete(result);
    }
    savepoint(call->db, "RELEASE many");
}

int task_for_each(struct call *call, task_operation_f operation)
{
    const cJSON *ids = request_strings(call, "ids"), *id;
    if (!ids)
        return -1;
    cJSON *succeeded = json_set(call->data, "succeeded", cJSON_CreateArray());
    cJSON *failed = json_set(call->data, "failed", cJSON_CreateArray());
    cJSON_ArrayForEach(id, ids)
        task_one(call, operation, id->valuestring, succeeded, failed);
    return 0;
}

int tasks_stop_many(struct call *call)
{
    return task_for_each(call, task_stop);
}

int tasks_dequeue_many(struct call *call)
{
    /* A batch says true where the single call says a number. */
    if (task_for_each(call, task_dequeue))
        return -1;
    cJSON *item;
    cJSON_ArrayForEach(item, json_get(call->data, "succeeded"))
        json_set_bool(item, "dequeued", true);
    return 0;
}

int tasks_reset_many(struct call *call)
{
    return task_for_each(call, task_reset);
}

int tasks_delete_many(struct call *call)
{
    return task_for_each(call, task_delete);
}

int tasks_archive_many(struct call *call)
{
    return task_for_each(call, task_archive);
}

int tasks_unarchive_many(struct call *call)
{
    return task_for_each(call, task_unarchive);
}

int tasks_publish_many(struct call *call)
{
    return task_for_each(call, task_publish);
}
