/* tasks-internal.h - what the files of the tasks service share */
#ifndef REEVE_SERVER_TASKS_INTERNAL_H
#define REEVE_SERVER_TASKS_INTERNAL_H

#include "server/api-error.h"
#include "server/call.h"
#include "server/document.h"
#include "server/services.h"

extern const struct doc_type task_type;
/* tasks_all has hidden tasks too. */
extern const struct query_collection tasks_collection, tasks_joined, tasks_all;

#define DELETED_PREFIX "__DELETED__"

/* ---- tasks-store.c ---- */
/* What most actions need to know about a task. */
struct task_head {
    char id[65], status[16], project[65], parent[80], type[32], enqueue_status[16],
        queue[65], last_worker[256];
    int64_t last_update, started; /* ms; 0: none */
    bool development, archived;
};
/* 0, or -1 after failing the call with ClearML's "invalid task id". */
int task_head_load(struct call *call, const char *id, struct task_head *out);
bool task_system_tag(sqlite3 *db, const char *id, const char *tag, bool on);
/* The request's task, checked to be one. */
const char *task_requested(struct call *call);

/* ---- tasks-status.c ---- */
bool task_status_known(const char *status);
bool task_status_allowed(const char *from, const char *to);
/* force, status_reason, status_message of the request. */
struct task_change {
    const char *status;
    const char *reason, *message; /* NULL: "" */
    bool force;
    cJSON *extra; /* further fields to set, taken; NULL: none */
};
/* Changes the status as ClearML's ChangeStatusRequest does: table or force, compare and
 * set. The answer's fields are put into result ("updated", "fields"). 0 or -1. */
int task_change_status(struct call *call, const struct task_head *task,
                       const struct task_change *change, cJSON *result);
/* The change that a request asks for. */
struct task_change task_change_of(const cJSON *request, const char *status);

/* ---- operations on one task, also those of the *_many calls: fill result ---- */
typedef int (*task_operation_f)(struct call *call, const char *task, cJSON *result);
int task_stop(struct call *call, const char *task, cJSON *result);
int task_enqueue(struct call *call, const char *task, cJSON *result);
int task_dequeue(struct call *call, const char *task, cJSON *result);
int task_archive(struct call *call, const char *task, cJSON *result);
int task_unarchive(struct call *call, const char *task, cJSON *result);
int task_publish(struct call *call, const char *task, cJSON *result);
int task_reset(struct call *call, const char *task, cJSON *result);
int task_delete(struct call *call, const char *task, cJSON *result);
/* Appends where a task's output artifacts are. */
void task_artifact_urls(sqlite3 *db, const char *task, cJSON *urls);
/* Takes a task out of its queue and gives it the status that it had before, or
 * new_status, or (an in_progress task, if aborted) aborted. */
int task_leave_queue(struct call *call, const struct task_head *task,
                     const char *new_status, const char *aborted, cJSON *result);
/* The ids of a controller's steps, if the request wants them to be included. */
cJSON *task_steps(struct call *call, const struct task_head *task);

/* ---- tasks-fields.c: what a request may set ---- */
enum task_fields_use { TASK_CREATE, TASK_EDIT, TASK_UPDATE };
/* The settable fields of a request in the form that is stored, checked; previous: the
 * task as it is (edit), or NULL. NULL after failing the call. */
cJSON *task_fields_take(struct call *call, const cJSON *request,
                        enum task_fields_use use, const cJSON *previous);
/* Parent, project and input models exist. */
int task_fields_check(struct call *call, const cJSON *fields);
/* hyperparams and configuration in the form that is stored. 0 or -1. */
int task_params_clean(struct call *call, cJSON *fields);
cJSON *task_artifacts_clean(struct call *call, const cJSON *list);
/* -1 after failing with 400/16 if a tag looks like an operator of queries. */
int tags_check(struct call *call, const cJSON *tags);
/* Sorts, drops doubles; gives back what it was given. */
cJSON *tags_clean(cJSON *tags);
/* ---- tasks-compat.c: what older API versions have in other places ---- */
int task_compat_take(struct call *call, const cJSON *request, const cJSON *previous,
                     cJSON *fields);
void task_conform(const struct call *call, cJSON *task);
/* Up to 2.2 clients name system tags among the tags: a request's are parted, as the
 * kind of entity ("task", "project", "model", "queue") says, and a document's put
 * together. */
void tags_take(const struct call *call, const char *entity, cJSON *request);
void tags_give(const struct call *call, cJSON *doc);

/* ---- tasks-edit.c ---- */
/* Makes it a new draft of the caller's, stores it and answers its id. */
void task_add(struct call *call, cJSON *task);
/* Now, by the caller: last_change, last_changed_by and, if asked, last_update. */
void task_stamp(const struct call *call, cJSON *fields, bool update);
/* A task in a status in which its parameters may be edited. 0 or -1. */
int task_for_update(struct call *call, const char *id, bool any_status, bool force);
/* last_iteration is raised to what a client reports, last_update set. */
int task_note_iteration(struct call *call, const char *id, const cJSON *iteration,
                        cJSON *fields);

/* ---- tasks-many.c ---- */
/* Runs the operation for each of the request's ids, each alone: what fails is told
 * under failed and has changed nothing. */
int task_for_each(struct call *call, task_operation_f operation);

/* ---- small readers of requests ---- */
/* As Python takes a value for true or false. */
bool request_true(const cJSON *request, const char *name, bool fallback);
/* Strings of an array; 400/12 if it is missing, empty or holds anything else. */
const cJSON *request_strings(struct call *call, const char *name);
/* An array of objects with these string members (each of at least one character), ended
 * by NULL. NULL after failing. */
const cJSON *request_objects(struct call *call, const char *name, ...)
    __attribute__((sentinel));

/* With include_subprojects: the request's projects and all that are below them. */
void add_subprojects(struct call *call);

/* ---- handlers, by file ---- */
int tasks_get_by_id(struct call *call);
int tasks_get_by_id_ex(struct call *call);
int tasks_get_all(struct call *call);
int tasks_get_all_ex(struct call *call);
int tasks_get_types(struct call *call);
int tasks_started(struct call *call);
int tasks_stopped(struct call *call);
int tasks_completed(struct call *call);
int tasks_failed(struct call *call);
int tasks_close(struct call *call);
int tasks_publish(struct call *call);
int tasks_ping(struct call *call);
int tasks_stop(struct call *call);
int tasks_enqueue(struct call *call);
int tasks_dequeue(struct call *call);
int tasks_reset(struct call *call);
int tasks_delete(struct call *call);
int tasks_archive(struct call *call);
int tasks_stop_many(struct call *call);
int tasks_enqueue_many(struct call *call);
int tasks_dequeue_many(struct call *call);
int tasks_reset_many(struct call *call);
int tasks_delete_many(struct call *call);
int tasks_archive_many(struct call *call);
int tasks_unarchive_many(struct call *call);
int tasks_publish_many(struct call *call);
int tasks_create(struct call *call);
int tasks_validate(struct call *call);
int tasks_clone(struct call *call);
int tasks_update(struct call *call);
int tasks_update_batch(struct call *call);
int tasks_edit(struct call *call);
int tasks_move(struct call *call);
int tasks_update_tags(struct call *call);
int tasks_set_requirements(struct call *call);
int tasks_make_public(struct call *call);
int tasks_make_private(struct call *call);
int tasks_get_hyper_params(struct call *call);
int tasks_edit_hyper_params(struct call *call);
int tasks_delete_hyper_params(struct call *call);
int tasks_get_configurations(struct call *call);
int tasks_get_configuration_names(struct call *call);
int tasks_edit_configuration(struct call *call);
int tasks_delete_configuration(struct call *call);
int tasks_add_or_update_artifacts(struct call *call);
int tasks_delete_artifacts(struct call *call);
int tasks_add_or_update_model(struct call *call);
int tasks_delete_models(struct call *call);

#endif
