/* project-queries.h - what the tasks of projects have in common: handlers of projects.c
 */
#ifndef REEVE_SERVER_PROJECT_QUERIES_H
#define REEVE_SERVER_PROJECT_QUERIES_H

#include "server/call.h"

int project_get_unique_metric_variants(struct call *call);
int project_get_hyper_parameters(struct call *call);
int project_get_hyperparam_values(struct call *call);
int project_get_model_metadata_keys(struct call *call);
int project_get_model_metadata_values(struct call *call);
int project_get_task_parents(struct call *call);
int project_get_user_names(struct call *call);

#endif
