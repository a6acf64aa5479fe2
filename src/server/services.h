/* services.h - what one API service of reeve-server does for another
 *
 * Each runs on the caller's connection, inside its transaction where it writes. */
#ifndef REEVE_SERVER_SERVICES_H
#define REEVE_SERVER_SERVICES_H

#include <cjson/cJSON.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct server;
struct call;

/* ---- queues.c ---- */
bool queue_exists(sqlite3 *db, const char *queue);
/* Its id into out (65 bytes); false if there is none of this exact name. */
bool queue_find_by_name(sqlite3 *db, const char *name, char out[65]);
/* The queue with the system tag "default": 0; -1: none (400/707); -2: several
 * (400/708). */
int queue_find_default(sqlite3 *db, char out[65]);
/* Makes a queue; false if the name is taken. */
bool queue_create(sqlite3 *db, const char *name, int64_t now_ms, char out[65]);
/* Gives it one more system tag. */
void queue_add_system_tag(sqlite3 *db, const char *queue, const char *tag);
/* Appends; false if the task is in this queue already (400/706). Those who wait for the
 * queue are woken after the commit. */
bool queue_push(struct call *call, const char *queue, const char *task);
/* Takes the task out of every queue; returns from how many. */
int queue_remove_task(struct call *call, const char *task);

/* ---- tasks.c ---- */
bool task_exists(sqlite3 *db, const char *task);
/* The whole document as tasks.get_by_id gives it; the caller's. NULL if there is none.
 */
cJSON *task_load(sqlite3 *db, const char *task);
/* Status, project and name of a task, each into a buffer that may be NULL; false if
 * none. */
bool task_brief(sqlite3 *db, const char *task, char status[16], char project[65],
                char name[512]);
/* How long it ran, in seconds, and its last iteration; false if there is no such task.
 */
bool task_progress(sqlite3 *db, const char *task, int64_t *seconds, int64_t *iteration);
/* Of its document what says how much of a host it needs: {container: {arguments},
 * hyperparams: {properties}}; the caller's. */
cJSON *task_needs(sqlite3 *db, const char *task);
/* Sets top-level or dotted fields ("execution.queue"; null unsets) and nothing else. */
void task_set_fields(sqlite3 *db, const char *task, const cJSON *fields);
/* What queues.get_next_task does to a stopped task (back to queued), and queues.delete
 * with force. */
void task_set_status(sqlite3 *db, const char *task, const char *status,
                     const char *reason, const char *message, int64_t now_ms);
/* What queues.delete, queues.clear_queue and queues.remove_task do to a task that lost
 * its place: if its execution.queue is this queue, back to its enqueue_status or
 * created, and both unset. False if that is not its queue or there is no such task. */
bool task_left_queue(struct call *call, const char *task, const char *queue,
                     const char *reason);
/* What new events change: last_update, last_iteration, last_metrics.* (fields: dotted).
 */
void task_note_events(sqlite3 *db, const char *task, const cJSON *fields,
                      int64_t now_ms);
int task_count_by_project(sqlite3 *db, const char *project);
/* The watchdog: stops tasks in progress of which nothing was heard for silence_ms
 * (ClearML: 2 hours, looked at every 15 minutes). Returns how many. */
int tasks_stop_silent(sqlite3 *db, int64_t now_ms, int64_t silence_ms);

/* ---- projects.c ---- */
bool project_exists(sqlite3 *db, const char *project);
cJSON *project_load(sqlite3 *db, const char *project);
/* Finds or makes a project of this full name, parents included. */
void project_find_or_create(struct call *call, const char *name, char out[65]);
/* Where a request moves things: `project`, which must exist, or the project of
 * `project_name`, made if missing; "" is no project. -1 after failing. */
int project_requested(struct call *call, char out[65]);

/* ---- events.c ---- */
/* Those of a task or a model; returns how many. */
int events_delete_task(sqlite3 *db, const char *task);
/* ---- models.c ---- */
/* Name and readiness of a model, each where it is wanted; false if there is none. */
bool model_brief(sqlite3 *db, const char *model, char name[512], bool *ready);
/* What new events change, as task_note_events does. */
void model_note_events(struct call *call, const char *model, const cJSON *fields);
/* NULL if there is none; the caller's. */
cJSON *model_load(sqlite3 *db, const char *model);

/* ---- references that get_all_ex of several services joins: the caller's ---- */
cJSON *user_load(sqlite3 *db, const char *user);
cJSON *company_load(sqlite3 *db, const char *company);

/* ---- workers.c ---- */
/* What queues.get_all_ex says of each queue's live workers: an object by queue id of
 * arrays of {"name", "ip", "key", "task": {"id", "name"} or null}; the caller's. */
cJSON *workers_by_queue(sqlite3 *db, const char *company, int64_t now_ms);

/* ---- query.c: the grammar that every get_all and get_all_ex shares (wire.md 3) ----
 */
struct doc_type; /* document.h */

/* A field that is the id of another document, which get_all_ex joins. */
struct query_ref {
    const char *path; /* "project", "models.input.*.model" */
    cJSON *(*load)(sqlite3 *db,
                   const char *id); /* the caller's; NULL if there is none */
};

struct query_collection {
    const char *table; /* with columns id, doc (JSON text) and those named below */
    const char *const *columns; /* "name=name", "status=status": document path = column;
                                   NULL at the end */
    const char *const *ranges;  /* fields that take [min, max] */
    const char *const *datetimes; /* in doc as ClearML's ISO text */
    const char *hidden_tag;       /* documents with this system tag appear with id or
                                     search_hidden alone */
    bool hides_named;             /* those that an id names too */
    /* The rest may be left out. A name may end in ".*". */
    const char *const *lists;    /* fields that take the list operators; NULL: id, tags,
                                    system_tags */
    const char *const *patterns; /* regular expressions; NULL: name */
    const char *const *equals;   /* compared as a whole */
    const char *const *texts;    /* what search_text looks at; NULL: name, id */
    const char *const *members;  /* of a document in doc; NULL: whatever it has */
    const struct doc_type
        *docs; /* documents kept in columns; replaces table, columns */
    const struct query_ref *refs; /* ended by a NULL path: joins, as get_all_ex does */
};
/* Runs call->request as a query; returns an array of projected documents. Sets
 * scroll_id in call->data. NULL after call_fail. */
cJSON *query_run(struct call *call, const struct query_collection *collection);
/* The same conditions, but of this request, and any columns: "SELECT columns FROM ...
 * WHERE ... tail", each row to row(). The columns are of the first table, "t". 0, or -1
 * after call_fail. */
typedef void (*query_row_f)(sqlite3_stmt *row, void *arg);
int query_each(struct call *call, const struct query_collection *collection,
               const cJSON *request, const char *columns, const char *tail,
               query_row_f row, void *arg);
/* How many documents meet the request's conditions; -1 after call_fail. */
int64_t query_count(struct call *call, const struct query_collection *collection,
                    const cJSON *request);
/* Keeps the named paths (and id) of a document; paths with '-' in front are dropped
 * instead. */
void query_project(cJSON *doc, const cJSON *only_fields);
/* Adds to a connection the SQL functions that query_run needs; the store does so for
 * each one that it opens. */
void query_register(sqlite3 *db);

#endif
