/* models-internal.h - what the files of the models service share */
#ifndef REEVE_SERVER_MODELS_INTERNAL_H
#define REEVE_SERVER_MODELS_INTERNAL_H

#include "server/tasks-internal.h"

extern const struct doc_type model_type;
extern const struct query_collection models_collection, models_joined;

bool model_exists(sqlite3 *db, const char *model);
/* Those whose "task" this is, as an array of documents. */
cJSON *models_of_task(sqlite3 *db, const char *task);
/* The request's model, or NULL after failing with 400/201. */
cJSON *model_requested(struct call *call, const char *id);

/* In the list of this kind ("input") of a task's models: another id in the place of
 * this one, or (NULL) none. */
void model_replace(struct call *call, const char *task, const char *list,
                   const char *model, const char *other);

/* Shared by tasks and models. */
int update_tags(struct call *call, const struct doc_type *type);
int set_public(struct call *call, const struct doc_type *type, enum api_error missing,
               bool on);
/* Publishes a task that a model was made by. */
int task_publish_as(struct call *call, const char *id, bool force, bool publish_model,
                    cJSON *result);

int models_create(struct call *call);
int models_edit(struct call *call);
int models_update(struct call *call);
int models_update_for_task(struct call *call);
int models_move(struct call *call);
int models_add_or_update_metadata(struct call *call);
int models_delete_metadata(struct call *call);

#endif
