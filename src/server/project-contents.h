/* project-contents.h - what lies in a project: tasks and models, counted and deleted */
#ifndef REEVE_SERVER_PROJECT_CONTENTS_H
#define REEVE_SERVER_PROJECT_CONTENTS_H

#include "server/call.h"

/* Each takes a project's document, as query_run or project_load_full gave it. */

/* projects.get_all_ex: own_tasks and own_models. */
void project_add_own_contents(struct call *call, cJSON *project);
/* projects.get_all_ex: stats and sub_projects. */
void project_add_stats(struct call *call, cJSON *project);
/* projects.validate_delete: its answer. */
void project_count_contents(struct call *call, const cJSON *project);
/* projects.delete: checks, deletes or sets free what is in it, and the project. A
 * handler's result. */
int project_delete_contents(struct call *call, const cJSON *project);

/* Handlers: the tags in use, in the projects asked for and below. */
int project_get_project_tags(struct call *call);
int project_get_task_tags(struct call *call);
int project_get_model_tags(struct call *call);

#endif
