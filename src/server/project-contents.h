/* project-contents.h - what lies in a project: tasks and models, before they are
 * deleted */
#ifndef REEVE_SERVER_PROJECT_CONTENTS_H
#define REEVE_SERVER_PROJECT_CONTENTS_H

#include "server/call.h"

/* Each takes a project's document, as query_run or project_load_full gave it. */

/* projects.validate_delete: its answer. */
void project_count_contents(struct call *call, const cJSON *project);
/* -1 after failing the call if there is something in it that only force deletes. */
int project_check_delete(struct call *call, const cJSON *project);
/* projects.delete: deletes or sets free what is in it, and the project. A handler's
 * result. */
int project_delete_contents(struct call *call, const cJSON *project);

#endif
