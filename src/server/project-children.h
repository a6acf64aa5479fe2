/* project-children.h - which projects have what is asked for below them */
#ifndef REEVE_SERVER_PROJECT_CHILDREN_H
#define REEVE_SERVER_PROJECT_CHILDREN_H

#include "server/call.h"

/* These ids and those of all projects below them; of ids that there are not, the ids
 * alone. The caller's. */
cJSON *project_with_children(sqlite3 *db, const cJSON *ids);

/* What projects.get_all_ex and organization.get_entities_count narrow projects to. */
struct project_selection {
    const cJSON *users; /* active_users: whoever made something there; NULL: anybody */
    const char *type;   /* "dataset", "pipeline", "report"; NULL: any task or model */
    const cJSON *tags, *tags_filter; /* of those children; NULL: any */
    const cJSON *ids;                /* only these and below; NULL: all */
    bool private;                    /* public ones do not count */
};

/* The projects with such children and all that are above them. 0, or -1 after
 * call_fail. */
int project_select(struct call *call, const struct project_selection *selection,
                   cJSON **out);

#endif
