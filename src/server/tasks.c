/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/tasks-internal.h"

/* The tasks.* endpoints: which handler, which fields. Fields that are not named are the
 * handler's to look at or to ignore. */

#define STATUS_FIELDS                                                                  \
    {"status_reason", FIELD_STRING, false}, {"status_message", FIELD_STRING, false},   \
    {                                                                                  \
        "force", FIELD_BOOL, false                                                     \
    }

static const struct field one_task[] = {{"task", FIELD_STRING, true}, {0}};
static const struct field status_change[] = {
    {"task", FIELD_STRING, true}, STATUS_FIELDS, {0}};
static const struct field completed[] = {
    {"task", FIELD_STRING, true}, STATUS_FIELDS, {"publish", FIELD_BOOL, false}, {0}};
static const struct field enqueue[] = {{"task", FIELD_STRING, true},
                                       STATUS_FIELDS,
                                       {"queue", FIELD_STRING, false},
                                       {"queue_name", FIELD_STRING, false},
                                       {"verify_watched_queue", FIELD_BOOL, false},
                                       {"update_execution_queue", FIELD_BOOL, false},
                                       {0}};
static const struct field dequeue[] = {{"task", FIELD_STRING, true},
                                       STATUS_FIELDS,
                                       {"new_status", FIELD_STRING, false},
                                       {"remove_from_all_queues", FIELD_BOOL, false},
                                       {0}};
static const struct field clean[] = {{"task", FIELD_STRING, true},
                                     STATUS_FIELDS,
                                     {"clear_all", FIELD_BOOL, false},
                                     {"delete_output_models", FIELD_BOOL, false},
                                     {"return_file_urls", FIELD_BOOL, false},
                                     {0}};
static const struct field many[] = {
    {"ids", FIELD_STRINGS, true},        STATUS_FIELDS,
    {"queue", FIELD_STRING, false},      {"queue_name", FIELD_STRING, false},
    {"new_status", FIELD_STRING, false}, {0}};
static const struct field archive[] = {
    {"tasks", FIELD_STRINGS, true}, STATUS_FIELDS, {0}};
static const struct field create[] = {
    {"name", FIELD_STRING, true}, {"type", FIELD_STRING, true}, {0}};
static const struct field edit[] = {{"task", FIELD_STRING, true}, {0}};
static const struct field input_model[] = {
    {"name", FIELD_STRING, false}, {"model", FIELD_STRING, false}, {0}};
static const struct field clone[] = {
    {"task", FIELD_STRING, true},
    {"new_task_name", FIELD_STRING, false},
    {"new_task_comment", FIELD_STRING, false},
    {"new_task_tags", FIELD_STRINGS, false},
    {"new_task_system_tags", FIELD_STRINGS, false},
    {"new_task_parent", FIELD_STRING, false},
    {"new_task_project", FIELD_STRING, false},
    {"new_task_hyperparams", FIELD_OBJECT, false},
    {"new_task_configuration", FIELD_OBJECT, false},
    {"new_task_container", FIELD_OBJECT, false},
    {"execution_overrides", FIELD_OBJECT, false},
    {"new_project_name", FIELD_STRING, false},
    {"validate_references", FIELD_BOOL, false},
    {"new_task_input_models", FIELD_ARRAY, false, NULL, 0, input_model},
    {0}};
static const struct field requirements[] = {
    {"task", FIELD_STRING, true}, {"requirements", FIELD_OBJECT, true}, {0}};
static const struct field ids[] = {{"ids", FIELD_STRINGS, true}, {0}};
static const struct field move[] = {{"ids", FIELD_STRINGS, true},
                                    {"project", FIELD_STRING, false},
                                    {"project_name", FIELD_STRING, false},
                                    {0}};
static const struct field tags[] = {{"ids", FIELD_STRINGS, true},
                                    {"add_tags", FIELD_STRINGS, false},
                                    {"remove_tags", FIELD_STRINGS, false},
                                    {0}};
static const struct field tasks[] = {{"tasks", FIELD_STRINGS, true}, {0}};
static const struct field hyperparam[] = {{"section", FIELD_STRING, true, NULL, 1},
                                          {"name", FIELD_STRING, true, NULL, 1},
                                          {"value", FIELD_STRING, true},
                                          {"type", FIELD_STRING, false},
                                          {"description", FIELD_STRING, false},
                                          {0}};
static const struct field edit_hyperparams[] = {
    {"task", FIELD_STRING, true},
    {"force", FIELD_BOOL, false},
    {"hyperparams", FIELD_ARRAY, true, NULL, 1, hyperparam},
    {"replace_hyperparams", FIELD_STRING, false, "none|section|all"},
    {0}};
static const struct field hyperparam_key[] = {
    {"section", FIELD_STRING, true, NULL, 1}, {"name", FIELD_STRING, false}, {0}};
static const struct field delete_hyperparams[] = {
    {"task", FIELD_STRING, true},
    {"force", FIELD_BOOL, false},
    {"hyperparams", FIELD_ARRAY, true, NULL, 1, hyperparam_key},
    {0}};
static const struct field config_item[] = {{"name", FIELD_STRING, true, NULL, 1},
                                           {"value", FIELD_STRING, true},
                                           {"type", FIELD_STRING, false},
                                           {"description", FIELD_STRING, false},
                                           {0}};
static const struct field edit_configuration[] = {
    {"task", FIELD_STRING, true},
    {"force", FIELD_BOOL, false},
    {"configuration", FIELD_ARRAY, true, NULL, 1, config_item},
    {"replace_configuration", FIELD_BOOL, false},
    {0}};
static const struct field delete_configuration[] = {
    {"task", FIELD_STRING, true},
    {"force", FIELD_BOOL, false},
    {"configuration", FIELD_STRINGS, true},
    {0}};
static const struct field configurations[] = {
    {"tasks", FIELD_STRINGS, true}, {"names", FIELD_STRINGS, false}, {0}};
static const struct field configuration_names[] = {
    {"tasks", FIELD_STRINGS, true}, {"skip_empty", FIELD_BOOL, false}, {0}};
static const struct field type_data[] = {{"preview", FIELD_STRING, false},
                                         {"content_type", FIELD_STRING, false},
                                         {"data_hash", FIELD_STRING, false},
                                         {0}};
static const struct field artifact[] = {
    {"key", FIELD_STRING, true},
    {"type", FIELD_STRING, true},
    {"mode", FIELD_STRING, false, "input|output"},
    {"uri", FIELD_STRING, false},
    {"hash", FIELD_STRING, false},
    {"content_size", FIELD_INTEGER, false},
    {"timestamp", FIELD_INTEGER, false},
    {"type_data", FIELD_OBJECT, false, NULL, 0, type_data},
    {"display_data", FIELD_ARRAY, false},
    {0}};
static const struct field artifacts[] = {
    {"task", FIELD_STRING, true},
    {"force", FIELD_BOOL, false},
    {"artifacts", FIELD_ARRAY, true, NULL, 1, artifact},
    {0}};
static const struct field artifact_id[] = {
    {"key", FIELD_STRING, true}, {"mode", FIELD_STRING, false, "input|output"}, {0}};
static const struct field delete_artifacts[] = {
    {"task", FIELD_STRING, true},
    {"force", FIELD_BOOL, false},
    {"artifacts", FIELD_ARRAY, true, NULL, 1, artifact_id},
    {0}};
static const struct field model[] = {
    {"task", FIELD_STRING, true},        {"name", FIELD_STRING, true},
    {"model", FIELD_STRING, true},       {"type", FIELD_STRING, true, "input|output"},
    {"iteration", FIELD_INTEGER, false}, {0}};
static const struct field model_key[] = {
    {"name", FIELD_STRING, true}, {"type", FIELD_STRING, true, "input|output"}, {0}};
static const struct field models[] = {{"task", FIELD_STRING, true},
                                      {"models", FIELD_ARRAY, true, NULL, 1, model_key},
                                      {0}};
static const struct field get_all[] = {
    {"allow_public", FIELD_BOOL, false}, {"search_hidden", FIELD_BOOL, false}, {0}};
static const struct field types[] = {{"projects", FIELD_STRINGS, false}, {0}};

#define R ENDPOINT_READ
#define W ENDPOINT_WRITE

const struct endpoint tasks_endpoints[] = {
    {"tasks.get_by_id", "1.0", R, tasks_get_by_id, one_task},
    {"tasks.get_by_id_ex", "1.0", R, tasks_get_by_id_ex, get_all},
    {"tasks.get_all", "1.0", R, tasks_get_all, NULL},
    {"tasks.get_all_ex", "1.0", R, tasks_get_all_ex, get_all},
    {"tasks.get_types", "1.0", R, tasks_get_types, types},
    {"tasks.create", "1.0", W, tasks_create, create},
    {"tasks.validate", "1.0", R, tasks_validate, create},
    {"tasks.clone", "1.0", W, tasks_clone, clone},
    {"tasks.update", "1.0", W, tasks_update, edit},
    {"tasks.update_batch", "1.0", W, tasks_update_batch, NULL},
    {"tasks.edit", "1.0", W, tasks_edit, edit},
    {"tasks.set_requirements", "1.0", W, tasks_set_requirements, requirements},
    {"tasks.started", "1.0", W, tasks_started, status_change},
    {"tasks.stop", "1.0", W, tasks_stop, status_change},
    {"tasks.stopped", "1.0", W, tasks_stopped, status_change},
    {"tasks.failed", "1.0", W, tasks_failed, status_change},
    {"tasks.close", "1.0", W, tasks_close, status_change},
    {"tasks.completed", "2.2", W, tasks_completed, completed},
    {"tasks.publish", "1.0", W, tasks_publish, status_change},
    {"tasks.ping", "1.0", W, tasks_ping, one_task},
    {"tasks.enqueue", "1.0", W, tasks_enqueue, enqueue},
    {"tasks.dequeue", "1.0", W, tasks_dequeue, dequeue},
    {"tasks.reset", "1.0", W, tasks_reset, clean},
    {"tasks.delete", "1.0", W, tasks_delete, clean},
    {"tasks.archive", "1.0", W, tasks_archive, archive},
    {"tasks.stop_many", "1.0", W, tasks_stop_many, many},
    {"tasks.enqueue_many", "1.0", W, tasks_enqueue_many, many},
    {"tasks.dequeue_many", "1.0", W, tasks_dequeue_many, many},
    {"tasks.reset_many", "1.0", W, tasks_reset_many, many},
    {"tasks.delete_many", "1.0", W, tasks_delete_many, many},
    {"tasks.archive_many", "1.0", W, tasks_archive_many, many},
    {"tasks.unarchive_many", "1.0", W, tasks_unarchive_many, many},
    {"tasks.publish_many", "1.0", W, tasks_publish_many, many},
    {"tasks.move", "1.0", W, tasks_move, move},
    {"tasks.update_tags", "1.0", W, tasks_update_tags, tags},
    {"tasks.make_public", "2.9", W, tasks_make_public, ids},
    {"tasks.make_private", "2.9", W, tasks_make_private, ids},
    {"tasks.get_hyper_params", "1.0", R, tasks_get_hyper_params, tasks},
    {"tasks.edit_hyper_params", "1.0", W, tasks_edit_hyper_params, edit_hyperparams},
    {"tasks.delete_hyper_params", "1.0", W, tasks_delete_hyper_params,
     delete_hyperparams},
    {"tasks.get_configurations", "1.0", R, tasks_get_configurations, configurations},
    {"tasks.get_configuration_names", "1.0", R, tasks_get_configuration_names,
     configuration_names},
    {"tasks.edit_configuration", "1.0", W, tasks_edit_configuration,
     edit_configuration},
    {"tasks.delete_configuration", "1.0", W, tasks_delete_configuration,
     delete_configuration},
    {"tasks.add_or_update_artifacts", "2.10", W, tasks_add_or_update_artifacts,
     artifacts},
    {"tasks.delete_artifacts", "2.10", W, tasks_delete_artifacts, delete_artifacts},
    {"tasks.add_or_update_model", "2.13", W, tasks_add_or_update_model, model},
    {"tasks.delete_models", "2.13", W, tasks_delete_models, models},
    {0},
};
