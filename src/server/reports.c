/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"
#include "server/dispatch.h"
#include "server/entity-tags.h"
#include "server/project-store.h"
#include "server/server.h"
#include "server/store.h"
#include "server/tasks-internal.h"

#include <string.h>

/* Reports are tasks of a type of their own, hidden, in a hidden project ".reports" of
 * each project that has some; that project goes with its last report. */
#define REPORTS_PROJECT ".reports"
#define SHORT_TEXT 100

static int report_load(struct call *call, struct task_head *out)
{
    const char *id = json_str(call->request, "task", "");
    if (task_head_load(call, id, out))
        return -1;
    if (strcmp(out->type, "report") == 0)
        return 0;
    return api_fail(call, API_NO_REPORT, NULL, "id", id, NULL);
}

static cJSON *report_tags(void)
{
    cJSON *tags = cJSON_CreateArray();
    cJSON_AddItemToArray(tags, cJSON_CreateString("hidden"));
    cJSON_AddItemToArray(tags, cJSON_CreateString("reports"));
    return tags;
}

/* Finds or makes the project for the reports of the project of this name ("": of the
 * top). */
static int reports_project(struct call *call, const char *name, char out[65])
{
    auto_free char *clean = project_clean_name_dup(name);
    bool is = strcmp(project_basename(clean), REPORTS_PROJECT) == 0;
    auto_free char *full =
        is ? xstrdup(clean)
           : xasprintf("%s%s" REPORTS_PROJECT, clean, *clean ? "/" : "");
    if (project_find(call->db, full, out))
        return 0;
    if (project_check_name(call, full) || project_public_above(call, full))
        return -1;
    auto_json *extra = cJSON_CreateObject();
    json_set_str(extra, "description", "Reports project");
    json_set(extra, "system_tags", report_tags());
    project_make(call, full, extra, out);
    return 0;
}

/* The name of the request's project, "" for none. NULL after failing. */
static char *requested_name(struct call *call)
{
    const char *id = json_str(call->request, "project", "");
    const char *name = json_str(call->request, "project_name", "");
    if (*name || !*id)
        return xstrdup(name);
    auto_json *doc = project_load(call->db, id);
    if (!doc)
        api_fail(call, API_INVALID_PROJECT_ID, NULL, "id", id, NULL);
    else if (!*json_str(doc, "company", ""))
        api_fail_public(call, "project", id);
    else
        return xstrdup(json_str(doc, "name", ""));
    return NULL;
}

static void remove_if_empty(struct call *call, const char *project)
{
    auto_json *doc = project_load(call->db, project);
    if (strcmp(json_str(doc, "basename", ""), REPORTS_PROJECT) == 0 &&
        task_count_by_project(call->db, project) == 0)
        project_remove(call->db, project);
}

/* ---- making and changing ---- */

static int create(struct call *call)
{
    char project[65];
    auto_free char *name = requested_name(call);
    if (!name || reports_project(call, name, project))
        return -1;
    auto_json *request = cJSON_Duplicate(call->request, true);
    json_set_str(request, "project", project);
    json_set_str(request, "type", "report");
    json_set(request, "system_tags", report_tags());
    auto_json *task = task_fields_take(call, request, TASK_CREATE, NULL);
    if (!task)
        return -1;
    static const char *const own[] = {"report", "report_assets"};
    for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
        const cJSON *value = json_get(request, own[i]);
        if (value && !cJSON_IsNull(value))
            json_set(task, own[i], cJSON_Duplicate(value, true));
    }
    task_add(call, task);
    json_set_str(call->data, "project_id", project);
    return 0;
}

/* The first words of a text, as Python's textwrap.shorten gives them. */
static char *shorten_dup(const char *text)
{
    static const char more[] = " [...]";
    auto_buf all = BUF_INIT;
    size_t fits = 0, chars = 0;
    while (*(text += strspn(text, " \t\r\n\v\f"))) {
        size_t n = strcspn(text, " \t\r\n\v\f");
        if (all.len > 0) {
            buf_add_char(&all, ' ');
            chars++;
        }
        buf_add(&all, text, n);
        chars += utf8_count(text, n);
        if (chars + strlen(more) <= SHORT_TEXT)
            fits = all.len;
        if (chars > SHORT_TEXT)
            break;
        text += n;
    }
    if (chars <= SHORT_TEXT)
        return xstrdup(buf_str(&all));
    return xasprintf("%.*s%s", (int)fits, buf_str(&all), fits ? more : more + 1);
}

static int update(struct call *call)
{
    static const char *const names[] = {"name", "tags", "comment", "report",
                                        "report_assets"};
    struct task_head task;
    if (report_load(call, &task))
        return -1;
    if (cJSON_IsNull(json_get(call->request, "name")))
        return api_fail(call, API_DATA_VALIDATION, NULL, "name", "required", NULL);
    auto_json *fields = cJSON_CreateObject();
    bool content = false;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const cJSON *value = json_get(call->request, names[i]);
        if (!value || cJSON_IsNull(value))
            continue;
        json_set(fields, names[i], cJSON_Duplicate(value, true));
        content |= strncmp(names[i], "report", 6) == 0;
    }
    if (content && strcmp(task.status, "created"))
        return api_fail(call, API_INVALID_TASK_STATUS, NULL, "expected", "created",
                        "status", task.status, NULL);
    if (json_get(fields, "tags"))
        tags_clean(json_get(fields, "tags"));
    cJSON *answer = cJSON_Duplicate(fields, true);
    const char *report = json_str(answer, "report", NULL);
    auto_free char *brief = report ? shorten_dup(report) : NULL;
    if (report)
        json_set_str(answer, "report", brief);
    json_set(call->data, "fields", answer);
    if (fields->child)
        task_stamp(call, fields, content);
    json_set_int(call->data, "updated",
                 fields->child ? doc_set(call->db, &task_type, task.id, fields, NULL)
                               : 0);
    return 0;
}

static int move(struct call *call)
{
    char project[65];
    struct task_head task;
    if (!json_get(call->request, "project") &&
        !*json_str(call->request, "project_name", ""))
        return api_fail(call, API_MISSING_FIELDS, "project or project_name is required",
                        NULL);
    auto_free char *name = report_load(call, &task) ? NULL : requested_name(call);
    if (!name || reports_project(call, name, project))
        return -1;
    auto_json *fields = cJSON_CreateObject();
    json_set_str(fields, "project", project);
    task_stamp(call, fields, false);
    doc_set(call->db, &task_type, task.id, fields, NULL);
    remove_if_empty(call, task.project);
    json_set_str(call->data, "project_id", project);
    return 0;
}

static int publish(struct call *call)
{
    char iso[CLOCK_ISO_SIZE];
    struct task_head task;
    if (report_load(call, &task))
        return -1;
    struct task_change change = {.status = "published",
                                 .message = json_str(call->request, "message", ""),
                                 .force = true,
                                 .extra = cJSON_CreateObject()};
    json_set_str(change.extra, "published", clock_iso_clearml(call->now_ms, iso));
    return task_change_status(call, &task, &change, call->data);
}

static int set_archived(struct call *call, bool on)
{
    struct task_head task;
    if (report_load(call, &task))
        return -1;
    auto_json *fields = cJSON_CreateObject();
    json_set_str(fields, "status_message", json_str(call->request, "message", ""));
    json_set_str(fields, "status_reason", "");
    task_stamp(call, fields, false);
    doc_set(call->db, &task_type, task.id, fields, NULL);
    task_system_tag(call->db, task.id, "archived", on);
    json_set_int(call->data, on ? "archived" : "unarchived", 1);
    return 0;
}

static int archive(struct call *call)
{
    return set_archived(call, true);
}

static int unarchive(struct call *call)
{
    return set_archived(call, false);
}

static int delete_report(struct call *call)
{
    struct task_head task;
    if (report_load(call, &task))
        return -1;
    if (strcmp(task.status, "created") && !task.archived &&
        !json_bool(call->request, "force", false))
        return api_fail(call, API_TASK_NOT_DELETABLE, "due to status, use force=True",
                        "task", task.id, "expected", "created", "current", task.status,
                        NULL);
    json_set_int(call->data, "deleted", doc_delete(call->db, &task_type, task.id));
    remove_if_empty(call, task.project);
    return 0;
}

/* ---- reading ---- */

/* A project stands for the one of its reports. False if there are none. */
static bool adjust_projects(struct call *call)
{
    const cJSON *given = json_get(call->request, "project");
    if (!given)
        return true;
    auto_json *list =
        cJSON_IsArray(given) ? cJSON_Duplicate(given, true) : cJSON_CreateArray();
    if (!cJSON_IsArray(given))
        cJSON_AddItemToArray(list, cJSON_Duplicate(given, true));
    auto_free char *ids = json_format(list);
    cJSON *found = cJSON_CreateArray();
    /* null is the parent of what is at the top. */
    sqlite3_stmt *find = store_query(
        call->db,
        "SELECT id FROM projects WHERE doc ->> '$.basename' = '" REPORTS_PROJECT "'"
        " AND (id IN (SELECT value FROM json_each(?1)) OR ifnull(doc ->> '$.parent', "
        "'')"
        "  IN (SELECT ifnull(value, '') FROM json_each(?1)))",
        "t", ids);
    while (store_row(find))
        cJSON_AddItemToArray(
            found, cJSON_CreateString((const char *)sqlite3_column_text(find, 0)));
    sqlite3_reset(find);
    json_set(call->request, "project", found);
    return found->child != NULL;
}

static int get_all_ex(struct call *call)
{
    json_set_str(call->request, "type", "report");
    add_subprojects(call);
    if (!adjust_projects(call)) {
        json_set(call->data, "tasks", cJSON_CreateArray());
        return 0;
    }
    /* Reports are hidden tasks. */
    json_set_bool(call->request, "search_hidden", true);
    cJSON *tasks = query_run(call, &tasks_joined), *task;
    if (!tasks)
        return -1;
    cJSON_ArrayForEach(task, tasks) task_conform(call, task);
    json_set(call->data, "tasks", tasks);
    return 0;
}

/* ---- the data that a report shows ---- */

/* The events' call that answers a part of get_task_data, and where in its answer. */
static const struct part {
    const char *name, *endpoint, *from;
    bool array; /* of what there is nothing */
} parts[] = {
    {"debug_images", "events.debug_images", "metrics", true},
    {"plots", "events.get_multi_task_plots", "plots", false},
    {"scalar_metrics_iter_histogram", "events.multi_task_scalar_metrics_iter_histogram",
     "metrics", false},
    {"single_value_metrics", "events.get_task_single_value_metrics", "tasks", true}};

/* events.debug_images takes each metric with its task. */
static cJSON *metrics_by_task(const cJSON *tasks, const cJSON *metrics)
{
    const cJSON *task, *metric;
    cJSON *list = cJSON_CreateArray();
    cJSON_ArrayForEach(task, tasks)
    {
        const char *id = json_str(task, "id", "");
        if (!metrics || !metrics->child) {
            cJSON *all = cJSON_CreateObject();
            json_set_str(all, "task", id);
            cJSON_AddItemToArray(list, all);
        }
        cJSON_ArrayForEach(metric, metrics)
        {
            cJSON *one = cJSON_Duplicate(metric, true);
            json_set_str(one, "task", id);
            cJSON_AddItemToArray(list, one);
        }
    }
    return list;
}

static cJSON *part_request(struct call *call, const struct part *part,
                           const cJSON *tasks)
{
    const cJSON *task;
    cJSON *request = cJSON_Duplicate(json_get(call->request, part->name), true);
    cJSON *ids = cJSON_CreateArray();
    cJSON_ArrayForEach(task, tasks)
        cJSON_AddItemToArray(ids, cJSON_CreateString(json_str(task, "id", "")));
    json_set(request, "tasks", ids);
    if (part == parts)
        json_set(request, "metrics",
                 metrics_by_task(tasks, json_get(request, "metrics")));
    json_set_bool(request, "model_events",
                  json_bool(call->request, "model_events", false));
    return request;
}

static int add_part(struct call *call, const struct part *part, const cJSON *tasks)
{
    cJSON *found = NULL;
    if (tasks->child) {
        auto_json *data = dispatch_inside(call->server->dispatch, call, part->endpoint,
                                          part_request(call, part, tasks));
        if (!data)
            return -1;
        found = cJSON_DetachItemFromObjectCaseSensitive(data, part->from);
    }
    if (!found)
        found = part->array ? cJSON_CreateArray() : cJSON_CreateObject();
    json_set(call->data, part->name, found);
    return 0;
}

static int get_task_data(struct call *call)
{
    bool models = json_bool(call->request, "model_events", false);
    const char *endpoint = models ? "models.get_all_ex" : "tasks.get_all_ex";
    cJSON *data = dispatch_inside(call->server->dispatch, call, endpoint,
                                  cJSON_Duplicate(call->request, true));
    if (!data)
        return -1;
    cJSON_Delete(call->data);
    call->data = data;
    cJSON *tasks =
        cJSON_DetachItemFromObjectCaseSensitive(data, models ? "models" : "tasks");
    json_set(data, "tasks", tasks);
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        if (cJSON_IsObject(json_get(call->request, parts[i].name)) &&
            add_part(call, &parts[i], tasks))
            return -1;
    }
    return 0;
}

/* ---- the table ---- */

static const struct field create_fields[] = {{"name", FIELD_STRING, true, NULL, 3},
                                             {"tags", FIELD_STRINGS, false},
                                             {"comment", FIELD_STRING, false},
                                             {"report", FIELD_STRING, false},
                                             {"project", FIELD_STRING, false},
                                             {"report_assets", FIELD_STRINGS, false},
                                             {0}};
static const struct field update_fields[] = {{"task", FIELD_STRING, true},
                                             {"name", FIELD_STRING, false, "?", 3},
                                             {"tags", FIELD_STRINGS, false},
                                             {"comment", FIELD_STRING, false},
                                             {"report", FIELD_STRING, false},
                                             {"report_assets", FIELD_STRINGS, false},
                                             {0}};
static const struct field message_fields[] = {
    {"task", FIELD_STRING, true}, {"message", FIELD_STRING, false}, {0}};
static const struct field delete_fields[] = {
    {"task", FIELD_STRING, true}, {"force", FIELD_BOOL, false}, {0}};
static const struct field move_fields[] = {{"task", FIELD_STRING, true},
                                           {"project", FIELD_STRING, false},
                                           {"project_name", FIELD_STRING, false},
                                           {0}};
static const struct field all_fields[] = {{"allow_public", FIELD_BOOL, false}, {0}};
static const struct field data_fields[] = {
    {"debug_images", FIELD_OBJECT, false},
    {"plots", FIELD_OBJECT, false},
    {"scalar_metrics_iter_histogram", FIELD_OBJECT, false},
    {"single_value_metrics", FIELD_OBJECT, false},
    {"allow_public", FIELD_BOOL, false},
    {"model_events", FIELD_BOOL, false},
    {0}};

const struct endpoint reports_endpoints[] = {
    {"reports.create", "1.0", ENDPOINT_WRITE, create, create_fields},
    {"reports.update", "1.0", ENDPOINT_WRITE, update, update_fields},
    {"reports.move", "1.0", ENDPOINT_WRITE, move, move_fields},
    {"reports.publish", "1.0", ENDPOINT_WRITE, publish, message_fields},
    {"reports.archive", "1.0", ENDPOINT_WRITE, archive, message_fields},
    {"reports.unarchive", "1.0", ENDPOINT_WRITE, unarchive, message_fields},
    {"reports.delete", "1.0", ENDPOINT_WRITE, delete_report, delete_fields},
    {"reports.get_all_ex", "1.0", ENDPOINT_READ, get_all_ex, all_fields},
    {"reports.get_task_data", "1.0", ENDPOINT_READ, get_task_data, data_fields},
    {"reports.get_tags", "1.0", ENDPOINT_READ, reports_get_tags, NULL},
    {0}};
