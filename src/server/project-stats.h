/* project-stats.h - what projects.get_all_ex says of each project's contents */
#ifndef REEVE_SERVER_PROJECT_STATS_H
#define REEVE_SERVER_PROJECT_STATS_H

#include "server/call.h"

/* What a request counts, and how. */
struct project_stats {
    const char *type;      /* children_type, or NULL */
    const char *state;     /* "active" or "archived"; NULL: both */
    cJSON *filter;         /* further conditions by field; owned */
    const cJSON *users;    /* active_users, or NULL */
    const cJSON *selected; /* no sub-projects but these; NULL: all */
    bool below;            /* with what is in sub-projects */
    bool hidden;           /* hidden sub-projects too */
};

/* The request's, checked; project_stats_free it. 0, or -1 after call_fail. */
int project_stats_of(struct call *call, const cJSON *selected,
                     struct project_stats *out);
void project_stats_free(struct project_stats *s);

/* Each adds members to every project of a list. 0, or -1 after call_fail. */

/* own_tasks and own_models, or own_datasets. */
int project_add_own_contents(struct call *call, const struct project_stats *s,
                             cJSON *projects);
/* stats and sub_projects. */
int project_add_stats(struct call *call, const struct project_stats *s,
                      cJSON *projects);
/* dataset_stats: size and files of the newest version. */
int project_add_dataset_stats(struct call *call, const struct project_stats *s,
                              cJSON *projects);

#endif
