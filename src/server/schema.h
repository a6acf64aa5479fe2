/* schema.h - the tables of each API service, as schema.c lists them */
#ifndef REEVE_SERVER_SCHEMA_H
#define REEVE_SERVER_SCHEMA_H

extern const char auth_schema[], queues_schema[], projects_schema[], events_schema[],
    workers_schema[], tasks_schema[], models_schema[], organization_schema[],
    tasks_schema_2[], event_models_schema[], event_times_schema[], serving_schema[];

#endif
