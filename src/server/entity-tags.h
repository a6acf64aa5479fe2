/* entity-tags.h - the tags in use by tasks, models and projects */
#ifndef REEVE_SERVER_ENTITY_TAGS_H
#define REEVE_SERVER_ENTITY_TAGS_H

#include "server/call.h"

/* What their requests may filter by. */
extern const struct field entity_tags_filter[];

/* Handlers: in the projects asked for and below, or in all. */
int project_get_project_tags(struct call *call);
int project_get_task_tags(struct call *call);
int project_get_model_tags(struct call *call);
/* Of tasks and models together. */
int organization_get_tags(struct call *call);
/* reports.get_tags */
int reports_get_tags(struct call *call);

#endif
