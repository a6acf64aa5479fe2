/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/events-internal.h"
#include "base/alloc.h"
#include "base/json.h"
#include "base/digest.h"
#include "base/utf8.h"
#include "server/models-internal.h"
#include "server/store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What one request adds: its tasks and series are looked up once each, and what they
 * gather is written at the end, whatever the number of events. */

struct batch_series {
    char *key; /* type, task, metric, variant */
    int64_t id;
    bool scalar;
    int64_t count;
    double total;
    double value, min, max, first;
    int64_t iter, timestamp, min_iter, max_iter, first_iter;
    char *x_axis_label;
};

/* A task or a model. */
struct batch_task {
    char *id;
    bool model, valid, used, allow_locked, has_iter;
    int64_t iter;
    int64_t scalars; /* how many series of scalars it has; -1 before they are counted */
    cJSON *metrics;  /* dotted fields for task_note_events */
};

/* An open hash table of pointers to things that begin with their name. */
struct table {
    char ***slots;
    size_t cap, used;
};

struct batch {
    struct call *call;
    struct table tasks, series;
    int64_t added, failed;
    cJSON *errors; /* text: how often */
};

static size_t hash(const char *s)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
    return (size_t)(h ^ h >> 32);
}

static char ***table_slot(const struct table *t, const char *name)
{
    for (size_t i = hash(name);; i++) {
        char ***slot = &t->slots[i & (t->cap - 1)];
        if (!*slot || !strcmp(**slot, name))
            return slot;
    }
}

static void *table_find(const struct table *t, const char *name)
{
    return t->cap ? *table_slot(t, name) : NULL;
}

/* entry's first member is its name. */
static void table_add(struct table *t, void *entry)
{
    if (t->used * 2 >= t->cap) {
        struct table bigger = {.cap = t->cap ? t->cap * 2 : 16, .used = t->used};
        bigger.slots = xcalloc(bigger.cap, sizeof *bigger.slots);
        for (size_t i = 0; i < t->cap; i++)
            if (t->slots[i])
                *table_slot(&bigger, *t->slots[i]) = t->slots[i];
        free(t->slots);
        *t = bigger;
    }
    char **named = entry;
    *table_slot(t, *named) = named;
    t->used++;
}

static void batch_free(struct batch *b)
{
    for (size_t i = 0; i < b->tasks.cap; i++) {
        struct batch_task *task = (void *)b->tasks.slots[i];
        if (!task)
            continue;
        cJSON_Delete(task->metrics);
        free(task->id);
        free(task);
    }
    for (size_t i = 0; i < b->series.cap; i++) {
        struct batch_series *series = (void *)b->series.slots[i];
        if (!series)
            continue;
        free(series->x_axis_label);
        free(series->key);
        free(series);
    }
    free(b->tasks.slots);
    free(b->series.slots);
    cJSON_Delete(b->errors);
}

/* Names of tasks that don't exist come from outside: the list of errors is bounded. */
#define ERROR_KINDS_MAX 1000

static void batch_error(struct batch *b, const char *text)
{
    b->failed++;
    cJSON *count = json_get(b->errors, text);
    if (count)
        cJSON_SetNumberValue(count, count->valuedouble + 1);
    else if (cJSON_GetArraySize(b->errors) < ERROR_KINDS_MAX)
        json_set_int(b->errors, text, 1);
}

/* ---- tasks ---- */

/* A text with a name from outside in it, which may have been cut inside a character. */
static const char *error_text(char *text, size_t size, const char *what,
                              const char *name)
{
    snprintf(text, size, "%s %s", what, name);
    for (size_t n = strlen(text); !utf8_valid(text, n);)
        text[--n] = '\0';
    return text;
}

static bool is_model_event(const cJSON *line)
{
    return request_true(line, "model_event", false);
}

/* The id of the task; or the model's, which may be in either member. */
static const char *task_of(const cJSON *line)
{
    const cJSON *model = is_model_event(line) ? json_get(line, "model") : NULL;
    return json_str(line, model && !cJSON_IsNull(model) ? "model" : "task", NULL);
}

static bool model_accepts(sqlite3 *db, const char *id, bool allow_locked)
{
    bool ready;
    return model_brief(db, id, NULL, &ready) && (allow_locked || !ready);
}

static bool task_accepts(sqlite3 *db, const char *id, bool allow_locked)
{
    char status[16];
    if (!task_brief(db, id, status, NULL, NULL))
        return false;
    return allow_locked ||
           (strcmp(status, "published") && strcmp(status, "publishing"));
}

/* Looks every task of the request up first, as ClearML does: contradictory events fail
 * the request before anything is stored. */
static int batch_note_task(struct batch *b, const cJSON *line)
{
    const char *id = task_of(line);
    if (!id || !*id)
        return 0;
    bool model = is_model_event(line);
    bool allow_locked = request_true(line, "allow_locked", false);
    struct batch_task *task = table_find(&b->tasks, id);
    if (!task) {
        task = xcalloc(1, sizeof *task);
        task->id = xstrdup(id);
        task->allow_locked = allow_locked;
        task->model = model;
        task->scalars = -1;
        task->valid = model ? model_accepts(b->call->db, id, allow_locked)
                            : task_accepts(b->call->db, id, allow_locked);
        table_add(&b->tasks, task);
    } else if (task->model != model) {
        call_fail(b->call, 400, 12,
                  "Validation error (Inconsistent model_event setting in the passed "
                  "events)");
        return call_fail_arg(b->call, "tasks", id);
    } else if (task->allow_locked != allow_locked) {
        return call_fail(b->call, 400, 12,
                         "Validation error (Inconsistent allow_locked setting in the "
                         "passed events for %s)",
                         id);
    }
    return 0;
}

/* ---- one event ---- */

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (!strcmp(name, *names))
            return true;
    return false;
}

static bool has_column(const char *name, enum event_type type, bool numeric_value)
{
    static const char *const all[] = {
        "@timestamp",  "type",         "task",         "timestamp", "ts",      "worker",
        "model_event", "allow_locked", "x_axis_label", "metric",    "variant", NULL};
    static const char *const logs[] = {"msg", "level", NULL};
    static const char *const others[] = {"iter", "key", NULL};
    if (is_one_of(name, all))
        return true;
    if (type == EVENT_LOG)
        return is_one_of(name, logs);
    return is_one_of(name, others) || (numeric_value && !strcmp(name, "value"));
}

/* The members without a column of their own, as JSON; NULL if there are none. The nodes
 * are borrowed: the caller's tree stays as it is. */
static char *extra_dup(const cJSON *line, enum event_type type, bool numeric_value)
{
    auto_json *extra = cJSON_CreateObject();
    const cJSON *values = json_get(line, "values");
    bool model = is_model_event(line);
    for (const cJSON *m = line->child; m; m = m->next) {
        if (!m->string || has_column(m->string, type, numeric_value))
            continue;
        /* Vectors come as "values" and are asked for as "value". */
        if (values && !strcmp(m->string, "value"))
            continue;
        if (model && !strcmp(m->string, "model"))
            continue;
        const char *name = m == values ? "value" : m->string;
        if (!cJSON_AddItemReferenceToObject(extra, name, (cJSON *)m))
            abort();
    }
    const char *plot = json_str(line, "plot_str", NULL);
    if (type == EVENT_PLOT)
        json_set_int(extra, "plot_len",
                     plot ? (int64_t)utf8_count(plot, strlen(plot)) : 0);
    if (!extra->child)
        return NULL;
    return json_format(extra);
}

/* A number, or text that is one, as ClearML's index takes both. */
static bool number_of(const cJSON *item, double *out)
{
    if (cJSON_IsNumber(item)) {
        *out = item->valuedouble;
    } else if (cJSON_IsString(item) && *item->valuestring) {
        char *end;
        *out = strtod(item->valuestring, &end);
        if (*end)
            return false;
    } else {
        return false;
    }
    return isfinite(*out);
}

static bool integer_of(const cJSON *item, int64_t *out)
{
    double number;
    if (!number_of(item, &number) || fabs(number) >= 9223372036854774784.0)
        return false;
    *out = (int64_t)number;
    return true;
}

static bool is_absent(const cJSON *item)
{
    return !item || cJSON_IsNull(item);
}

static const char *text_of(const cJSON *line, const char *name)
{
    return json_str(line, name, NULL);
}

#define INDEX_ERROR "Error when indexing events batch"

/* Time, iteration and value; an error's text, or NULL. */
static const char *read_numbers(struct batch *b, const cJSON *line, struct event *event)
{
    const cJSON *time = json_get(line, "ts");
    if (is_absent(time))
        time = json_get(line, "timestamp");
    event->timestamp = b->call->now_ms;
    if (!is_absent(time) && !integer_of(time, &event->timestamp))
        return INDEX_ERROR;
    const cJSON *iter = json_get(line, "iter");
    event->iter = EVENT_NO_ITER;
    if (!is_absent(iter) && !integer_of(iter, &event->iter))
        return "Iteration number should not exceed 9223372036854775807";
    const cJSON *value = json_get(line, "value");
    event->has_value = (event->type == EVENT_SCALAR || cJSON_IsNumber(value)) &&
                       number_of(value, &event->value);
    if (event->type == EVENT_SCALAR && !is_absent(value) && !event->has_value)
        return INDEX_ERROR;
    return NULL;
}

/* A text, or nothing that Python takes for true. */
static bool is_name(const cJSON *line, const char *name)
{
    return cJSON_IsString(json_get(line, name)) || !request_true(line, name, false);
}

/* Numbers and booleans become text, as in ClearML's index; false for what can't. */
static bool make_text(cJSON *line, const char *name)
{
    const cJSON *value = json_get(line, name);
    if (is_absent(value) || cJSON_IsString(value))
        return true;
    if (cJSON_IsObject(value) || cJSON_IsArray(value))
        return false;
    auto_free char *text = json_format(value);
    json_set_str(line, name, text);
    return true;
}

static bool texts_sound(cJSON *line)
{
    static const char *const texts[] = {"key", "level", "worker", "msg", "plot_str"};
    if (!is_name(line, "metric") || !is_name(line, "variant"))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (!make_text(line, texts[i]))
            return false;
    return true;
}

static const char *read_event(struct batch *b, cJSON *line, struct event *event)
{
    if (!texts_sound(line))
        return INDEX_ERROR;
    event->task = task_of(line);
    event->model = is_model_event(line);
    event->stored = b->call->now_ms;
    event->worker = text_of(line, "worker");
    if (!event->worker)
        event->worker = *b->call->worker ? b->call->worker : "<unknown>";
    event->metric = json_str(line, "metric", "");
    event->variant = json_str(line, "variant", "");
    event->key = text_of(line, "key");
    event->level = text_of(line, "level");
    event->msg = text_of(line, "msg");
    event->x_axis_label = text_of(line, "x_axis_label");
    return read_numbers(b, line, event);
}

static struct batch_series *series_of(struct batch *b, struct batch_task *task,
                                      const struct event *event)
{
    auto_free char *key = xasprintf("%d\n%s\n%s\n%s", (int)event->type, event->task,
                                    event->metric, event->variant);
    struct batch_series *series = table_find(&b->series, key);
    if (series)
        return series;
    int64_t id = event_series_open(b->call->db, event, &task->scalars);
    if (id < 0)
        return NULL;
    series = xcalloc(1, sizeof *series);
    series->key = steal(&key);
    series->id = id;
    series->scalar = event->type == EVENT_SCALAR;
    table_add(&b->series, series);
    return series;
}

/* What last_metrics will say, gathered in the order of the events. */
static void series_gather(struct batch_series *s, const struct event *event)
{
    int64_t iter = event->iter == EVENT_NO_ITER ? 0 : event->iter;
    double value = event->value;
    bool none = s->count == 0;
    s->count++;
    s->total += value;
    if (none || iter > s->iter ||
        (iter == s->iter && event->timestamp >= s->timestamp)) {
        s->value = value;
        s->iter = iter;
        s->timestamp = event->timestamp;
        if (event->x_axis_label) {
            free(s->x_axis_label);
            s->x_axis_label = xstrdup(event->x_axis_label);
        }
    }
    if (none || iter < s->first_iter) {
        s->first = value;
        s->first_iter = iter;
    }
    if (none || value < s->min) {
        s->min = value;
        s->min_iter = iter;
    }
    if (none || value > s->max) {
        s->max = value;
        s->max_iter = iter;
    }
}

/* The SDK's own machine figures count seconds, not iterations. */
static bool counts_iterations(const char *metric)
{
    return strcmp(metric, ":monitor:machine") && strcmp(metric, ":monitor:gpu");
}

static const char *store_event(struct batch *b, struct batch_task *task,
                               const struct event *event)
{
    if (event->type == EVENT_LOG)
        return event_insert_log(b->call->db, event) < 0 ? INDEX_ERROR : NULL;
    struct batch_series *series = series_of(b, task, event);
    if (!series || event_insert(b->call->db, series->id, event) < 0)
        return INDEX_ERROR;
    if (series->scalar && event->has_value)
        series_gather(series, event);
    return NULL;
}

static const char *add_typed(struct batch *b, cJSON *line, enum event_type type,
                             struct batch_task *task)
{
    struct event event = {.type = type};
    const char *error = read_event(b, line, &event);
    if (error)
        return error;
    auto_free char *extra = extra_dup(line, type, event.has_value);
    event.extra = extra;
    error = store_event(b, task, &event);
    if (error)
        return error;
    task->used = true;
    if (event.iter != EVENT_NO_ITER && counts_iterations(event.metric)) {
        if (!task->has_iter || event.iter > task->iter)
            task->iter = event.iter > 0 ? event.iter : 0;
        task->has_iter = true;
    }
    return NULL;
}

/* One line of the request; what is wrong with it, in ClearML's words, or NULL. text may
 * be used for words that are put together. */
static const char *add_line(struct batch *b, cJSON *line, char *text, size_t size)
{
    const char *name = json_str(line, "type", NULL);
    if (!name)
        return "Event must have a 'type' field";
    int type = event_type_parse(name);
    if (type < 0)
        return error_text(text, size, "Invalid event type", name);
    if (is_model_event(line) && type == EVENT_LOG)
        return "Task log events are not supported for models";
    const char *id = task_of(line);
    if (!id)
        return "Event must have a 'task' field";
    struct batch_task *task = table_find(&b->tasks, id);
    if (!task || !task->valid)
        return error_text(text, size,
                          is_model_event(line) ? "Invalid model id" : "Invalid task id",
                          id);
    return add_typed(b, line, (enum event_type)type, task);
}

/* ---- the end of a request ---- */

static void series_update(sqlite3 *db, const struct batch_series *s)
{
    store_change(
        db,
        "UPDATE event_series SET count = count + ?2, total = total + ?3, value = ?4,"
        " min_iter = iif(min_value IS NULL OR min_value > ?5, ?6, min_iter),"
        " min_value = min(ifnull(min_value, ?5), ?5),"
        " max_iter = iif(max_value IS NULL OR max_value < ?7, ?8, max_iter),"
        " max_value = max(ifnull(max_value, ?7), ?7),"
        " first_iter = iif(first_value IS NULL, ?10, first_iter),"
        " first_value = ifnull(first_value, ?9),"
        " x_axis_label = ifnull(?11, x_axis_label) WHERE id = ?1",
        "iidddididit", s->id, s->count, s->total, s->value, s->min, s->min_iter, s->max,
        s->max_iter, s->first, s->first_iter, s->x_axis_label);
}

/* The last_metrics entry of a series from its row; NULL if the task lists it not. */
static cJSON *last_metric(sqlite3_stmt *stmt)
{
    static const struct {
        const char *name;
        int column;
    } numbers[] = {{"value", 2},
                   {"min_value", 3},
                   {"min_value_iteration", 4},
                   {"max_value", 5},
                   {"max_value_iteration", 6},
                   {"first_value", 7},
                   {"first_value_iteration", 8},
                   {"count", 9}};
    cJSON *entry = cJSON_CreateObject();
    json_set_str(entry, "metric", (const char *)sqlite3_column_text(stmt, 0));
    json_set_str(entry, "variant", (const char *)sqlite3_column_text(stmt, 1));
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        json_set_num(entry, numbers[i].name,
                     sqlite3_column_double(stmt, numbers[i].column));
    double mean = sqlite3_column_double(stmt, 10) / sqlite3_column_double(stmt, 9);
    json_set_num(entry, "mean_value", round(mean * 100) / 100);
    if (sqlite3_column_type(stmt, 11) != SQLITE_NULL)
        json_set_str(entry, "x_axis_label",
                     (const char *)sqlite3_column_text(stmt, 11));
    return entry;
}

static void series_note(struct batch *b, const struct batch_series *s)
{
    series_update(b->call->db, s);
    sqlite3_stmt *stmt = store_query(
        b->call->db,
        "SELECT metric, variant, value, min_value, min_iter, max_value, max_iter,"
        " first_value, first_iter, count, total, x_axis_label, task FROM event_series"
        " WHERE id = ? AND listed",
        "i", s->id);
    if (store_row(stmt)) {
        struct batch_task *task =
            table_find(&b->tasks, (const char *)sqlite3_column_text(stmt, 12));
        char metric[MD5_HEX_SIZE], variant[MD5_HEX_SIZE], path[96];
        md5_hex(sqlite3_column_text(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0),
                metric);
        md5_hex(sqlite3_column_text(stmt, 1), (size_t)sqlite3_column_bytes(stmt, 1),
                variant);
        snprintf(path, sizeof path, "last_metrics.%s.%s", metric, variant);
        if (task && !task->metrics)
            task->metrics = cJSON_CreateObject();
        if (task)
            cJSON_AddItemToObject(task->metrics, path, last_metric(stmt));
    }
    sqlite3_reset(stmt);
}

static int compare_names(const void *a, const void *b)
{
    const cJSON *const *x = a, *const *y = b;
    return strcmp((*x)->string, (*y)->string);
}

/* Members in the order of their names, as MongoDB adds what is set at once. */
static void sort_members(cJSON *object)
{
    size_t n = (size_t)cJSON_GetArraySize(object), i = 0;
    auto_free cJSON **members = xcalloc(n + 1, sizeof *members);
    while (object->child)
        members[i++] = cJSON_DetachItemViaPointer(object, object->child);
    qsort(members, n, sizeof *members, compare_names);
    for (i = 0; i < n; i++) {
        auto_free char *name = xstrdup(members[i]->string);
        cJSON_AddItemToObject(object, name, members[i]);
    }
}

static void batch_note(struct batch *b)
{
    for (size_t i = 0; i < b->series.cap; i++) {
        struct batch_series *series = (void *)b->series.slots[i];
        if (series && series->count)
            series_note(b, series);
    }
    for (size_t i = 0; i < b->tasks.cap; i++) {
        struct batch_task *task = (void *)b->tasks.slots[i];
        if (!task || !task->used)
            continue;
        if (!task->metrics)
            task->metrics = cJSON_CreateObject();
        sort_members(task->metrics);
        if (task->has_iter)
            json_set_int(task->metrics, "last_iteration", task->iter);
        if (task->model)
            model_note_events(b->call, task->id, task->metrics);
        else
            task_note_events(b->call->db, task->id, task->metrics, b->call->now_ms);
    }
}

static int fail_nothing_added(struct batch *b)
{
    call_fail(b->call, 400, 131, "Events not added");
    for (const cJSON *e = b->errors->child; e; e = e->next) {
        char count[24];
        snprintf(count, sizeof count, "%.0f", e->valuedouble);
        call_fail_arg(b->call, e->string, count);
    }
    return -1;
}

/* How long a named batch is remembered: longer than any client tries again. */
#define BATCH_KEPT_MS (INT64_C(7) * 24 * 3600 * 1000)

static bool batch_replay(struct call *call)
{
    if (!*call->batch)
        return false;
    sqlite3_stmt *stmt = store_query(
        call->db, "SELECT answer FROM event_batches WHERE name = ? AND user = ?", "tt",
        call->batch, call->caller.user);
    bool known = store_row(stmt);
    if (known) {
        free(call->raw_data);
        call->raw_data = xstrdup((const char *)sqlite3_column_text(stmt, 0));
    }
    sqlite3_reset(stmt);
    return known;
}

static int batch_remember(struct call *call)
{
    if (!*call->batch)
        return 0;
    /* A few of the oldest go with each new one, so that no call has to wait long. */
    store_change(
        call->db,
        "DELETE FROM event_batches WHERE (name, user) IN (SELECT name, user FROM"
        " event_batches WHERE added < ? ORDER BY added LIMIT 8)",
        "i", call->now_ms - BATCH_KEPT_MS);
    auto_free char *answer = json_format(call->data);
    if (store_change(call->db,
                     "INSERT INTO event_batches (name, user, added, answer)"
                     " VALUES (?, ?, ?, ?)",
                     "ttit", call->batch, call->caller.user, call->now_ms, answer) != 1)
        return call_fail(call, 500, 100, "General data error (remember batch)");
    return 0;
}

static int batch_finish(struct batch *b)
{
    if (!b->added)
        return fail_nothing_added(b);
    batch_note(b);
    json_set_int(b->call->data, "added", b->added);
    json_set_int(b->call->data, "errors", b->failed);
    json_set(b->call->data, "errors_info", steal(&b->errors));
    return batch_remember(b->call);
}

/* first: the first of a list of events that are linked as cJSON links them. */
static int add_all(struct call *call, cJSON *first)
{
    if (batch_replay(call))
        return 0;
    struct batch b = {.call = call, .errors = cJSON_CreateObject()};
    int result = 0;
    for (const cJSON *line = first; line && result == 0; line = line->next)
        result = batch_note_task(&b, line);
    for (cJSON *line = first; line && result == 0; line = line->next) {
        char text[128];
        const char *error = add_line(&b, line, text, sizeof text);
        if (error)
            batch_error(&b, error);
        else
            b.added++;
    }
    if (result == 0)
        result = batch_finish(&b);
    batch_free(&b);
    return result;
}

int events_add(struct call *call)
{
    /* One object: its next is NULL as it is no member of a list. */
    return add_all(call, call->request);
}

int events_add_batch(struct call *call)
{
    if (!cJSON_IsArray(call->lines) || !call->lines->child)
        return call_fail(call, 400, 17, "Batch request contains no items");
    return add_all(call, call->lines->child);
}
