/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/runs.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>

static const char *const fields[] = {
    "id",      "name",      "project",         "status",  "status_reason",
    "started", "completed", "execution.queue", "runtime", "last_worker",
};

cJSON *run_row_fields(void)
{
    return cJSON_CreateStringArray(fields, ARRAY_SIZE(fields));
}

bool status_is_final(const char *status)
{
    static const char *const final[] = {"completed", "failed",     "stopped",
                                        "closed",    "publishing", "published"};
    for (size_t i = 0; i < ARRAY_SIZE(final); i++)
        if (strcmp(final[i], status) == 0)
            return true;
    return false;
}

static void copy_text(cJSON *row, const char *name, const cJSON *task, const char *from)
{
    json_set_str(row, name, json_str(task, from, NULL));
}

/* ClearML's form of a time in the one that reeve prints. */
static void copy_time(cJSON *row, const char *name, const cJSON *task, const char *from)
{
    int64_t ms;
    bool known = clock_iso_parse(json_str(task, from, ""), &ms) == 0;
    json_set_time(row, name, known ? ms : 0);
}

/* What the run's master wrote there: run-told.c. */
static void copy_runtime(cJSON *row, const cJSON *runtime, bool at_work)
{
    static const char *const names[] = {"attempt", "restarts", "restart", "last_reason",
                                        "next_start"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char key[32];
        snprintf(key, sizeof key, "reeve.%s", names[i]);
        const cJSON *value = json_get(runtime, key);
        json_set(row, names[i],
                 value ? cJSON_Duplicate(value, true) : cJSON_CreateNull());
    }
    json_set_str(row, "reason_text", json_str(runtime, "reeve.last_text", NULL));
    if (!at_work)
        json_set_str(row, "next_start", NULL);
}

cJSON *run_row_from_task(const cJSON *task)
{
    static const char *const unknown[] = {"pid",         "cgroup",       "launcher",
                                          "cpu_percent", "memory_bytes", "memory_limit",
                                          "pids",        "aborted_by",   "stuck"};
    cJSON *row = cJSON_CreateObject();
    const char *status = json_str(task, "status", "");
    const char *reason = json_str(task, "status_reason", "");
    copy_text(row, "id", task, "id");
    copy_text(row, "name", task, "name");
    copy_text(row, "project", task, "project");
    json_set_str(row, "project_name", NULL);
    json_set_str(row, "queue", json_str(json_get(task, "execution"), "queue", NULL));
    json_set_str(row, "queue_name", NULL);
    copy_text(row, "status", task, "status");
    json_set_str(row, "phase", strcmp(status, "queued") == 0 ? "queued" : NULL);
    copy_runtime(row, json_get(task, "runtime"), strcmp(status, "in_progress") == 0);
    copy_text(row, "worker", task, "last_worker");
    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
        json_set(row, unknown[i], cJSON_CreateNull());
    copy_time(row, "started", task, "started");
    copy_time(row, "finished", task, "completed");
    json_set(row, "exit", cJSON_CreateNull());
    json_set_str(row, "reason", status_is_final(status) && *reason ? reason : NULL);
    return row;
}
