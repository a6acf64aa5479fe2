/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/schema.h"
#include "server/services.h"
#include "server/store.h"

#include <stddef.h>

const char *const store_schema[] = {
    auth_schema, queues_schema, projects_schema, events_schema, workers_schema,
    tasks_schema, models_schema, organization_schema, event_models_schema,
    event_times_schema, serving_schema, tasks_schema_2,
    /* The other services' tables follow; nothing is ever put in between. */
    NULL};

void store_add_functions(sqlite3 *db)
{
    query_register(db);
}
