/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "server/auth.h"
#include "server/call.h"
#include "server/dispatch.h"
#include "server/names.h"
#include "server/queue-metrics.h"
#include "server/queue-store.h"
#include "server/server.h"
#include "server/services.h"
#include "server/store.h"
#include "server/tasks-internal.h"
#include "server/wait.h"

#include <stdio.h>
#include <string.h>

#define NAME_MIN 3
#define BEHIND_MAX 100 /* entries that a look tells after the first */

static const char *const columns[] = {"id=id", "name=name", NULL};
static const char *const datetimes[] = {"created", "last_update", NULL};
static const char *const none[] = {NULL};
static const struct query_collection queues = {.table = "queues",
                                               .columns = columns,
                                               .ranges = none,
                                               .datetimes = datetimes,
                                               .hidden_tag = "k8s-glue"};

/* ---- documents ---- */

static cJSON *load(sqlite3 *db, const char *queue)
{
    return store_json(
        store_query(db, "SELECT doc FROM queues WHERE id = ?", "t", queue));
}

/* False if another queue has this name. */
static bool save(sqlite3 *db, const char *queue, const cJSON *doc)
{
    auto_free char *text = json_format(doc);
    return store_change(db,
                        "UPDATE OR IGNORE queues SET name = ?, doc = ? WHERE id = ?",
                        "ttt", json_str(doc, "name", ""), text, queue) == 1;
}

/* Makes a document's row; false if the name is taken. */
static bool insert(sqlite3 *db, cJSON *doc, int64_t now_ms, char id[65])
{
    char iso[CLOCK_ISO_SIZE];
    id_new(id);
    json_set_str(doc, "id", id);
    json_set_str(doc, "company", AUTH_COMPANY);
    json_set_str(doc, "created", clock_iso_clearml(now_ms, iso));
    json_set_str(doc, "last_update", iso);
    auto_free char *text = json_format(doc);
    return store_change(db,
                        "INSERT OR IGNORE INTO queues (id, name, doc) VALUES (?, ?, ?)",
                        "ttt", id, json_str(doc, "name", ""), text) == 1;
}

static cJSON *new_doc(const char *name)
{
    cJSON *doc = cJSON_CreateObject();
    json_set_str(doc, "name", name);
    json_set(doc, "tags", cJSON_CreateArray());
    json_set(doc, "system_tags", cJSON_CreateArray());
    json_set(doc, "metadata", cJSON_CreateObject());
    return doc;
}

/* ---- services.h ---- */

bool queue_exists(sqlite3 *db, const char *queue)
{
    return store_int(db, "SELECT 1 FROM queues WHERE id = ?", 0, "t", queue) == 1;
}

static bool find_id(sqlite3_stmt *find, char out[65])
{
    bool found = store_row(find);
    if (found)
        snprintf(out, 65, "%s", (const char *)sqlite3_column_text(find, 0));
    return found;
}

bool queue_find_by_name(sqlite3 *db, const char *name, char out[65])
{
    sqlite3_stmt *find =
        store_query(db, "SELECT id FROM queues WHERE name = ?", "t", name);
    bool found = find_id(find, out);
    sqlite3_reset(find);
    return found;
}

int queue_find_default(sqlite3 *db, char out[65])
{
    char second[65];
    sqlite3_stmt *find =
        store_query(db,
                    "SELECT id FROM queues WHERE EXISTS (SELECT 1 FROM"
                    " json_each(doc, '$.system_tags') WHERE value = 'default') LIMIT 2",
                    "");
    int result = !find_id(find, out) ? -1 : find_id(find, second) ? -2 : 0;
    sqlite3_reset(find);
    return result;
}

bool queue_create(sqlite3 *db, const char *name, int64_t now_ms, char out[65])
{
    auto_json *doc = new_doc(name);
    return insert(db, doc, now_ms, out);
}

void queue_add_system_tag(sqlite3 *db, const char *queue, const char *tag)
{
    auto_json *doc = load(db, queue);
    if (!doc)
        return;
    cJSON_AddItemToArray(json_get(doc, "system_tags"), cJSON_CreateString(tag));
    names_sort(json_get(doc, "system_tags"));
    save(db, queue, doc);
}

bool queue_push(struct call *call, const char *queue, const char *task)
{
    if (!queue_append(call->db, queue, task, call->now_ms))
        return false;
    if (call->server)
        waits_note(call->server->waits, queue);
    return true;
}

int queue_remove_task(struct call *call, const char *task)
{
    char queue[65];
    int removed = 0;
    for (;;) {
        sqlite3_stmt *find = store_query(
            call->db, "SELECT queue FROM queue_entries WHERE task = ? LIMIT 1", "t",
            task);
        bool found = find_id(find, queue);
        sqlite3_reset(find);
        if (!found || !queue_take(call->db, queue, task, call->now_ms))
            return removed;
        removed++;
    }
}

/* ---- errors ---- */

static int no_queue(struct call *call, const char *queue)
{
    call_fail(call, 400, 701, "Invalid queue id");
    call_fail_arg(call, "id", queue);
    return call_fail_arg(call, "company", call->caller.company);
}

static int not_queued(struct call *call, const char *queue, const char *task)
{
    call_fail(call, 400, 703, "Invalid queue id or task not in queue");
    call_fail_arg(call, "task", task);
    call_fail_arg(call, "id", queue);
    return call_fail_arg(call, "company", call->caller.company);
}

static int name_taken(struct call *call, const char *name)
{
    call_fail(
        call, 400, 801,
        "Value combination already exists (unique field already contains this value)");
    call_fail_arg(call, "name", name);
    return call_fail_arg(call, "company", call->caller.company);
}

/* ---- reading ---- */

static const char *queue_of(const struct call *call)
{
    return json_str(call->request, "queue", "");
}

static int get_by_id(struct call *call)
{
    cJSON *doc = load(call->db, queue_of(call));
    if (!doc)
        return no_queue(call, queue_of(call));
    json_set(doc, "entries",
             queue_entries(call->db, queue_of(call),
                           json_int(call->request, "max_task_entries", 0)));
    call_conform_metadata(call, doc);
    json_set(call->data, "queue", doc);
    return 0;
}

static int get_default(struct call *call)
{
    char id[65];
    switch (queue_find_default(call->db, id)) {
    case 0:
        break;
    case -2:
        return call_fail(call, 400, 708,
                         "More than one queue is tagged as the default queue for this "
                         "company");
    default:
        return call_fail(call, 400, 707,
                         "No queue is tagged as the default queue for this company");
    }
    auto_json *doc = load(call->db, id);
    json_set_str(call->data, "id", id);
    json_set_str(call->data, "name", json_str(doc, "name", ""));
    return 0;
}

/* Whether the projection has the entries, which are not part of the stored document. */
static bool wants_entries(const cJSON *request)
{
    const cJSON *only = json_get(request, "only_fields"), *path;
    bool named = false, excluding = true;
    if (!only)
        only = json_get(request, "projection");
    cJSON_ArrayForEach(path, only)
    {
        const char *text = cJSON_IsString(path) ? path->valuestring : "";
        if (strcmp(text, "-entries") == 0)
            return false;
        if (text[0] != '-')
            excluding = false;
        if (strcmp(text, "entries") == 0 || strncmp(text, "entries.", 8) == 0)
            named = true;
    }
    return named || excluding;
}

/* Of each entry what the projection names ("entries.task"); all if it names none. */
static void narrow_entries(const cJSON *request, cJSON *entries)
{
    const cJSON *path;
    auto_json *members = cJSON_CreateArray();
    cJSON_ArrayForEach(path, json_get(request, "only_fields"))
    {
        const char *text = cJSON_IsString(path) ? path->valuestring : "";
        if (!strcmp(text, "entries"))
            return;
        if (!strncmp(text, "entries.", 8))
            cJSON_AddItemToArray(members, cJSON_CreateString(text + 8));
    }
    cJSON *entry;
    cJSON_ArrayForEach(entry, entries)
    {
        if (members->child)
            query_project(entry, members);
    }
}

static void complete_docs(struct call *call, cJSON *docs)
{
    bool entries = wants_entries(call->request);
    int64_t max = json_int(call->request, "max_task_entries", 0);
    cJSON *doc;
    cJSON_ArrayForEach(doc, docs)
    {
        call_conform_metadata(call, doc);
        if (!entries)
            continue;
        cJSON *list = queue_entries(call->db, json_str(doc, "id", ""), max);
        json_set(doc, "entries", list);
        narrow_entries(call->request, list);
    }
}

static cJSON *find_queues(struct call *call)
{
    /* Who asks for a queue by its name gets it, hidden or not. */
    const char *name = json_str(call->request, "name", NULL);
    if (name && *name)
        json_set_bool(call->request, "search_hidden", true);
    cJSON *docs = query_run(call, &queues);
    if (docs)
        complete_docs(call, docs);
    return docs;
}

static int get_all(struct call *call)
{
    cJSON *docs = find_queues(call);
    if (!docs)
        return -1;
    json_set(call->data, "queues", docs);
    return 0;
}

static void join_tasks(struct call *call, cJSON *entries)
{
    char name[512];
    cJSON *entry;
    cJSON_ArrayForEach(entry, entries)
    {
        auto_free char *task = xstrdup(json_str(entry, "task", ""));
        cJSON *joined = json_set(entry, "task", cJSON_CreateObject());
        json_set_str(joined, "id", task);
        if (task_brief(call->db, task, NULL, NULL, name))
            json_set_str(joined, "name", name);
    }
}

static int get_all_ex(struct call *call)
{
    cJSON *docs = find_queues(call), *doc;
    if (!docs)
        return -1;
    auto_json *workers = workers_by_queue(call->db, call->caller.company, call->now_ms);
    cJSON_ArrayForEach(doc, docs)
    {
        join_tasks(call, json_get(doc, "entries"));
        if (json_get(doc, "company"))
            json_set_str(json_set(doc, "company", cJSON_CreateObject()), "id",
                         call->caller.company);
        cJSON *list =
            cJSON_DetachItemFromObjectCaseSensitive(workers, json_str(doc, "id", ""));
        json_set(doc, "workers", list ? list : cJSON_CreateArray());
    }
    json_set(call->data, "queues", docs);
    return 0;
}

static int get_num_entries(struct call *call)
{
    struct queue_state state;
    if (!queue_state(call->db, queue_of(call), call->now_ms, &state)) {
        call_fail(call, 400, 701, "Invalid queue id");
        return call_fail_arg(call, "queue_id", queue_of(call));
    }
    json_set_int(call->data, "num", state.length);
    return 0;
}

/* The extension "behind": the entries after the first, as the first is told. */
static void add_behind(struct call *call, const char *queue, bool needs)
{
    int64_t count = json_int(call->request, "behind", 0);
    if (count <= 0)
        return;
    cJSON *entry, *list = queue_entries(call->db, queue,
                                        (count < BEHIND_MAX ? count : BEHIND_MAX) + 1);
    cJSON_DeleteItemFromArray(list, 0);
    cJSON_ArrayForEach(entry, list)
    {
        json_remove(entry, "added");
        if (needs)
            json_set(entry, "needs", task_needs(call->db, json_str(entry, "task", "")));
    }
    json_set(call->data, "behind", list);
}

static int peek_task(struct call *call)
{
    struct queue_entry head;
    const char *queue = queue_of(call);
    bool extended = !call->server->options.no_extensions;
    bool needs = extended && json_bool(call->request, "needs", false);
    if (queue_head(call->db, queue, &head)) {
        json_set_str(call->data, "task", head.task);
        if (needs)
            json_set(call->data, "needs", task_needs(call->db, head.task));
        if (extended)
            add_behind(call, queue, needs);
        return 0;
    }
    if (!queue_exists(call->db, queue))
        return no_queue(call, queue);
    if (call_wait(call, queue))
        return CALL_WAIT;
    json_set_str(call->data, "task", NULL);
    return 0;
}

/* ---- changing queues ---- */

static int check_name(struct call *call, const cJSON *request, char **out)
{
    const char *name = json_str(request, "name", NULL);
    *out = name ? names_strip_dup(name) : NULL;
    if (*out && strlen(*out) < NAME_MIN) {
        free(steal(out));
        return call_fail(call, 400, 800,
                         "Data validation error (name: String value is too short)");
    }
    return 0;
}

static void set_metadata_item(cJSON *metadata, const char *key, const cJSON *item)
{
    cJSON *out = json_set(metadata, key, cJSON_CreateObject());
    json_set_str(out, "key", json_str(item, "key", key));
    json_set_str(out, "type", json_str(item, "type", "str"));
    json_set_str(out, "value", json_str(item, "value", ""));
}

/* An object by key, or a list of items with their keys. */
static void set_metadata(cJSON *metadata, const cJSON *given)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, given)
    {
        const char *key =
            cJSON_IsObject(given) ? item->string : json_str(item, "key", NULL);
        if (key && cJSON_IsObject(item))
            set_metadata_item(metadata, key, item);
    }
}

/* Copies what queues.create and queues.update may set; lists what was set in changed.
 */
static void set_fields(cJSON *doc, const cJSON *request, cJSON *changed)
{
    static const char *const lists[] = {"tags", "system_tags"};
    const char *display = json_str(request, "display_name", NULL);
    if (display) {
        json_set_str(doc, "display_name", display);
        json_set_str(changed, "display_name", display);
    }
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        const cJSON *tags = json_get(request, lists[i]);
        if (!cJSON_IsArray(tags))
            continue;
        names_sort(json_set(doc, lists[i], cJSON_Duplicate(tags, true)));
        json_set(changed, lists[i], cJSON_Duplicate(json_get(doc, lists[i]), true));
    }
    const cJSON *metadata = json_get(request, "metadata");
    if (cJSON_IsObject(metadata)) {
        set_metadata(json_set(doc, "metadata", cJSON_CreateObject()), metadata);
        json_set(changed, "metadata", cJSON_Duplicate(json_get(doc, "metadata"), true));
    }
}

static int create(struct call *call)
{
    char id[65];
    auto_free char *name = NULL;
    if (check_name(call, call->request, &name) < 0)
        return -1;
    auto_json *doc = new_doc(name);
    auto_json *changed = cJSON_CreateObject();
    set_fields(doc, call->request, changed);
    if (!insert(call->db, doc, call->now_ms, id))
        return name_taken(call, name);
    json_set_str(call->data, "id", id);
    return 0;
}

static int update(struct call *call)
{
    auto_free char *name = NULL;
    char iso[CLOCK_ISO_SIZE];
    auto_json *doc = load(call->db, queue_of(call));
    if (!doc)
        return no_queue(call, queue_of(call));
    if (check_name(call, call->request, &name) < 0)
        return -1;
    cJSON *changed = json_set(call->data, "fields", cJSON_CreateObject());
    if (name) {
        json_set_str(doc, "name", name);
        json_set_str(changed, "name", name);
    }
    set_fields(doc, call->request, changed);
    json_set_int(call->data, "updated", changed->child ? 1 : 0);
    if (!changed->child)
        return 0;
    json_set_str(doc, "last_update", clock_iso_clearml(call->now_ms, iso));
    call_conform_metadata(call, changed);
    if (!save(call->db, queue_of(call), doc))
        return name_taken(call, json_str(doc, "name", ""));
    return 0;
}

static int add_metadata(struct call *call)
{
    if (!request_objects(call, "metadata", "key", "type", NULL))
        return -1;
    auto_json *doc = load(call->db, queue_of(call));
    if (!doc)
        return no_queue(call, queue_of(call));
    if (json_bool(call->request, "replace_metadata", false) ||
        !json_get(doc, "metadata"))
        json_set(doc, "metadata", cJSON_CreateObject());
    set_metadata(json_get(doc, "metadata"), json_get(call->request, "metadata"));
    save(call->db, queue_of(call), doc);
    json_set_int(call->data, "updated", 1);
    return 0;
}

static int delete_metadata(struct call *call)
{
    const cJSON *keys = request_strings(call, "keys"), *key;
    if (!keys)
        return -1;
    auto_json *doc = load(call->db, queue_of(call));
    if (!doc)
        return no_queue(call, queue_of(call));
    cJSON_ArrayForEach(key, keys)
        json_remove(json_get(doc, "metadata"), key->valuestring);
    save(call->db, queue_of(call), doc);
    json_set_int(call->data, "updated", 1);
    return 0;
}

/* Takes all out; removed gets the ids of the tasks whose status was changed back. */
static void remove_all(struct call *call, const char *queue, const char *reason,
                       cJSON *removed)
{
    auto_json *tasks = queue_take_all(call->db, queue, call->now_ms);
    const cJSON *task;
    cJSON_ArrayForEach(task, tasks)
    {
        if (task_left_queue(call, task->valuestring, queue, reason))
            cJSON_AddItemToArray(removed, cJSON_CreateString(task->valuestring));
    }
}

static int delete_queue(struct call *call)
{
    struct queue_state state;
    const char *queue = queue_of(call);
    if (!queue_state(call->db, queue, call->now_ms, &state))
        return no_queue(call, queue);
    if (state.length > 0 && !json_bool(call->request, "force", false)) {
        call_fail(call, 400, 702, "Queue is not empty (use force=true to delete)");
        return call_fail_arg(call, "id", queue);
    }
    auto_free char *reason = xasprintf("Queue %s was deleted", queue);
    auto_json *removed = cJSON_CreateArray();
    remove_all(call, queue, reason, removed);
    store_change(call->db, "DELETE FROM queues WHERE id = ?", "t", queue);
    json_set_int(call->data, "deleted", 1);
    return 0;
}

static int clear_queue(struct call *call)
{
    const char *queue = queue_of(call);
    if (!queue_exists(call->db, queue)) {
        call_fail(call, 400, 701, "Invalid queue id");
        return call_fail_arg(call, "queue", queue);
    }
    auto_free char *reason = xasprintf("Queue %s was cleared", queue);
    remove_all(call, queue, reason,
               json_set(call->data, "removed_tasks", cJSON_CreateArray()));
    return 0;
}

/* ---- changing entries ---- */

static int add_task(struct call *call)
{
    const char *queue = queue_of(call), *task = json_str(call->request, "task", "");
    if (!queue_exists(call->db, queue))
        return no_queue(call, queue);
    if (strlen(task) > 64 || !queue_push(call, queue, task)) {
        call_fail(call, 400, 706,
                  "Failed adding task to queue since task is already queued");
        return call_fail_arg(call, "task", task);
    }
    if (json_bool(call->request, "update_execution_queue", true)) {
        auto_json *fields = cJSON_CreateObject();
        json_set_str(fields, "execution.queue", queue);
        if (task_exists(call->db, task))
            task_set_fields(call->db, task, fields);
    }
    json_set_int(call->data, "added", 1);
    return 0;
}

/* An agent may have been told to abort a task that was queued again since. */
static void revive_stopped(struct call *call, const char *task)
{
    char status[16];
    if (task_brief(call->db, task, status, NULL, NULL) &&
        strcmp(status, "stopped") == 0)
        task_set_status(call->db, task, "queued", "", "", call->now_ms);
}

static void add_task_info(struct call *call, const char *task)
{
    auto_json *doc = task_load(call->db, task);
    if (!doc)
        return;
    cJSON *info = json_set(call->data, "task_info", cJSON_CreateObject());
    json_set_str(info, "company", json_str(doc, "company", ""));
    json_set_str(info, "user", json_str(doc, "user", ""));
}

/* The extension "claim": with the pop, in the same transaction, the task is moved to
 * in_progress and started, as tasks.dequeue {new_status} and tasks.started do, and the
 * answer has its document. One that these refuse is popped all the same, and claimed by
 * nobody. */
static int claim_popped(struct call *call, const char *task, const char *message)
{
    struct dispatch *d = call->server->dispatch;
    cJSON *request = cJSON_CreateObject();
    json_set_str(request, "task", task);
    json_set_str(request, "status_message", message);
    json_set_str(request, "status_reason", "");
    cJSON *take = cJSON_Duplicate(request, true);
    json_set_str(take, "new_status", "in_progress");
    auto_json *taken = dispatch_inside(d, call, "tasks.dequeue", take);
    if (!taken || json_int(taken, "updated", 0) < 1) {
        cJSON_Delete(request);
        return taken ? 0 : -1;
    }
    auto_json *started = dispatch_inside(d, call, "tasks.started", request);
    cJSON *one = cJSON_CreateObject();
    json_set_str(one, "task", task);
    auto_json *data = dispatch_inside(d, call, "tasks.get_by_id", one);
    if (!started || !data)
        return -1;
    json_set(call->data, "claimed", cJSON_DetachItemFromObject(data, "task"));
    return 0;
}

/* The extension "behind": the task asked for is popped wherever it stands. */
static bool find_behind(struct call *call, const char *queue, const char *task,
                        struct queue_entry *out)
{
    return json_bool(call->request, "behind", false) &&
           !call->server->options.no_extensions &&
           queue_find(call->db, queue, task, out);
}

static int get_next_task(struct call *call)
{
    const char *queue = queue_of(call), *only = json_str(call->request, "task", "");
    struct queue_entry head;
    char iso[CLOCK_ISO_SIZE];
    if (!queue_head(call->db, queue, &head)) {
        if (!queue_exists(call->db, queue))
            return no_queue(call, queue);
        return call_wait(call, queue) ? CALL_WAIT : 0;
    }
    if (*only && strcmp(only, head.task) != 0 && !find_behind(call, queue, only, &head))
        return 0;
    queue_take(call->db, queue, head.task, call->now_ms);
    cJSON *entry = json_set(call->data, "entry", cJSON_CreateObject());
    json_set_str(entry, "task", head.task);
    json_set_str(entry, "added", clock_iso_clearml(head.added_ms, iso));
    revive_stopped(call, head.task);
    if (json_bool(call->request, "get_task_info", false))
        add_task_info(call, head.task);
    const char *claim = json_str(call->request, "claim", NULL);
    return claim && !call->server->options.no_extensions
               ? claim_popped(call, head.task, claim)
               : 0;
}

static int remove_task(struct call *call)
{
    const char *queue = queue_of(call), *task = json_str(call->request, "task", "");
    if (!queue_take(call->db, queue, task, call->now_ms))
        return not_queued(call, queue, task);
    if (json_bool(call->request, "update_task_status", false)) {
        auto_free char *reason = xasprintf("Task was removed from the queue %s", queue);
        task_left_queue(call, task, queue, reason);
    }
    json_set_int(call->data, "removed", 1);
    return 0;
}

static int move(struct call *call, int64_t steps)
{
    const char *queue = queue_of(call), *task = json_str(call->request, "task", "");
    int64_t position = queue_move(call->db, queue, task, steps, call->now_ms);
    if (position < 0)
        return not_queued(call, queue, task);
    json_set_int(call->data, "position", position);
    return 0;
}

static int move_forward(struct call *call)
{
    return move(call, -json_int(call->request, "count", 1));
}

static int move_backward(struct call *call)
{
    return move(call, json_int(call->request, "count", 1));
}

static int move_to_front(struct call *call)
{
    return move(call, INT64_MIN);
}

static int move_to_back(struct call *call)
{
    return move(call, INT64_MAX);
}

/* ---- the table ---- */

#define QUEUE_FIELD                                                                    \
    {                                                                                  \
        "queue", FIELD_STRING, true                                                    \
    }
#define TASK_FIELD                                                                     \
    {                                                                                  \
        "task", FIELD_STRING, true                                                     \
    }

static const struct field queue_fields[] = {QUEUE_FIELD, {0}};
static const struct field get_fields[] = {
    QUEUE_FIELD, {"max_task_entries", FIELD_INTEGER, false}, {0}};
static const struct field all_fields[] = {{"max_task_entries", FIELD_INTEGER, false},
                                          {"search_hidden", FIELD_BOOL, false},
                                          {0}};
static const struct field peek_fields[] = {QUEUE_FIELD,
                                           {"wait", FIELD_INTEGER, false},
                                           {"needs", FIELD_BOOL, false},
                                           {"behind", FIELD_INTEGER, false},
                                           {0}};
static const struct field create_fields[] = {
    {"name", FIELD_STRING, true},      {"display_name", FIELD_STRING, false},
    {"tags", FIELD_STRINGS, false},    {"system_tags", FIELD_STRINGS, false},
    {"metadata", FIELD_OBJECT, false}, {0}};
static const struct field update_fields[] = {QUEUE_FIELD,
                                             {"name", FIELD_STRING, false},
                                             {"display_name", FIELD_STRING, false},
                                             {"tags", FIELD_STRINGS, false},
                                             {"system_tags", FIELD_STRINGS, false},
                                             {"metadata", FIELD_OBJECT, false},
                                             {0}};
static const struct field delete_fields[] = {
    QUEUE_FIELD, {"force", FIELD_BOOL, false}, {0}};
static const struct field add_fields[] = {
    QUEUE_FIELD, TASK_FIELD, {"update_execution_queue", FIELD_BOOL, false}, {0}};
static const struct field next_fields[] = {QUEUE_FIELD,
                                           {"task", FIELD_STRING, false},
                                           {"get_task_info", FIELD_BOOL, false},
                                           {"wait", FIELD_INTEGER, false},
                                           {"claim", FIELD_STRING, false},
                                           {"behind", FIELD_BOOL, false},
                                           {0}};
static const struct field remove_fields[] = {
    QUEUE_FIELD, TASK_FIELD, {"update_task_status", FIELD_BOOL, false}, {0}};
static const struct field move_fields[] = {
    QUEUE_FIELD, TASK_FIELD, {"count", FIELD_INTEGER, false}, {0}};
static const struct field metrics_fields[] = {
    {"from_date", FIELD_NUMBER, true}, {"to_date", FIELD_NUMBER, true},
    {"interval", FIELD_INTEGER, true}, {"queue_ids", FIELD_STRINGS, false},
    {"refresh", FIELD_BOOL, false},    {0}};
static const struct field metadata_fields[] = {QUEUE_FIELD,
                                               {"metadata", FIELD_ARRAY, true},
                                               {"replace_metadata", FIELD_BOOL, false},
                                               {0}};
static const struct field keys_fields[] = {
    QUEUE_FIELD, {"keys", FIELD_STRINGS, true}, {0}};

const struct endpoint queues_endpoints[] = {
    {"queues.get_by_id", "2.4", ENDPOINT_READ, get_by_id, get_fields},
    {"queues.get_default", "2.4", ENDPOINT_READ, get_default, NULL},
    {"queues.get_all", "2.4", ENDPOINT_READ, get_all, all_fields},
    {"queues.get_all_ex", "2.4", ENDPOINT_READ, get_all_ex, all_fields},
    {"queues.create", "2.4", ENDPOINT_WRITE, create, create_fields},
    {"queues.update", "2.4", ENDPOINT_WRITE, update, update_fields},
    {"queues.delete", "2.4", ENDPOINT_WRITE, delete_queue, delete_fields},
    {"queues.add_task", "2.4", ENDPOINT_WRITE, add_task, add_fields},
    {"queues.get_next_task", "1.0", ENDPOINT_WRITE, get_next_task, next_fields},
    {"queues.remove_task", "2.4", ENDPOINT_WRITE, remove_task, remove_fields},
    {"queues.clear_queue", "1.0", ENDPOINT_WRITE, clear_queue, queue_fields},
    {"queues.move_task_forward", "2.4", ENDPOINT_WRITE, move_forward, move_fields},
    {"queues.move_task_backward", "2.4", ENDPOINT_WRITE, move_backward, move_fields},
    {"queues.move_task_to_front", "2.4", ENDPOINT_WRITE, move_to_front, move_fields},
    {"queues.move_task_to_back", "2.4", ENDPOINT_WRITE, move_to_back, move_fields},
    {"queues.get_queue_metrics", "2.4", ENDPOINT_READ, queue_metrics_get,
     metrics_fields},
    {"queues.add_or_update_metadata", "2.13", ENDPOINT_WRITE, add_metadata,
     metadata_fields},
    {"queues.delete_metadata", "2.13", ENDPOINT_WRITE, delete_metadata, keys_fields},
    {"queues.peek_task", "2.15", ENDPOINT_READ, peek_task, peek_fields},
    {"queues.get_num_entries", "2.15", ENDPOINT_READ, get_num_entries, queue_fields},
    {0}};
