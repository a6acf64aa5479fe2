/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/events-internal.h"
#include "base/json.h"
#include "server/services.h"

static int delete_for_task(struct call *call)
{
    const char *task = json_str(call->request, "task", "");
    if (event_require_unlocked(call, task, false) < 0)
        return -1;
    json_set_int(call->data, "deleted", events_delete_task(call->db, task));
    return 0;
}

static int delete_for_model(struct call *call)
{
    const char *model = json_str(call->request, "model", "");
    if (event_require_unlocked(call, model, true) < 0)
        return -1;
    json_set_int(call->data, "deleted", events_delete_task(call->db, model));
    return 0;
}

/* Scroll ids carry their state themselves: there is nothing to release. */
static int clear_scroll(struct call *call)
{
    return 0;
}

static const struct field task_fields[] = {{"task", FIELD_STRING, true},
                                           {"metrics", FIELD_ARRAY, false},
                                           {"batch_size", FIELD_INTEGER, false},
                                           {"iters", FIELD_INTEGER, false},
                                           {"samples", FIELD_INTEGER, false},
                                           {"scroll_id", FIELD_STRING, false},
                                           {"order", FIELD_STRING, false},
                                           {"key", FIELD_STRING, false},
                                           {"event_type", FIELD_STRING, false},
                                           {"navigate_earlier", FIELD_BOOL, false},
                                           {"from_timestamp", FIELD_INTEGER, false},
                                           {"threshold_sec", FIELD_INTEGER, false},
                                           {"line_type", FIELD_STRING, false},
                                           {"line_format", FIELD_STRING, false},
                                           {NULL, FIELD_ANY, false}};

static const struct field metric_fields[] = {{"task", FIELD_STRING, true},
                                             {"metric", FIELD_STRING, true},
                                             {"scroll_id", FIELD_STRING, false},
                                             {NULL, FIELD_ANY, false}};

static const struct field raw_fields[] = {{"task", FIELD_STRING, true},
                                          {"metric", FIELD_OBJECT, true},
                                          {"batch_size", FIELD_INTEGER, false},
                                          {"scroll_id", FIELD_STRING, false},
                                          {NULL, FIELD_ANY, false}};

static const struct field variant_fields[] = {{"task", FIELD_STRING, true},
                                              {"metric", FIELD_STRING, true},
                                              {"variant", FIELD_STRING, true},
                                              {"iteration", FIELD_INTEGER, false},
                                              {NULL, FIELD_ANY, false}};

static const struct field sample_fields[] = {{"task", FIELD_STRING, true},
                                             {"metric", FIELD_STRING, true},
                                             {"iteration", FIELD_INTEGER, false},
                                             {"scroll_id", FIELD_STRING, false},
                                             {NULL, FIELD_ANY, false}};

static const struct field model_fields[] = {{"model", FIELD_STRING, true},
                                            {NULL, FIELD_ANY, false}};

static const struct field tasks_fields[] = {
    {"tasks", FIELD_STRINGS, true},      {"metrics", FIELD_ARRAY, false},
    {"iters", FIELD_INTEGER, false},     {"samples", FIELD_INTEGER, false},
    {"key", FIELD_STRING, false},        {"scroll_id", FIELD_STRING, false},
    {"event_type", FIELD_STRING, false}, {NULL, FIELD_ANY, false}};

static const struct field metrics_fields[] = {{"metrics", FIELD_ARRAY, true},
                                              {"iters", FIELD_INTEGER, false},
                                              {"scroll_id", FIELD_STRING, false},
                                              {NULL, FIELD_ANY, false}};

const struct endpoint events_endpoints[] = {
    {"events.add", "1.0", ENDPOINT_WRITE, events_add, NULL},
    {"events.add_batch", "1.0", ENDPOINT_WRITE, events_add_batch, NULL},
    {"events.get_task_log", "1.0", ENDPOINT_READ, events_get_task_log_scroll,
     task_fields},
    {"events.get_task_log", "2.9", ENDPOINT_READ, events_get_task_log, task_fields},
    {"events.download_task_log", "1.0", ENDPOINT_READ, events_download_task_log,
     task_fields},
    {"events.clear_task_log", "1.0", ENDPOINT_WRITE, events_clear_task_log,
     task_fields},
    {"events.delete_for_task", "1.0", ENDPOINT_WRITE, delete_for_task, task_fields},
    {"events.delete_for_model", "1.0", ENDPOINT_WRITE, delete_for_model, model_fields},
    {"events.get_task_events", "1.0", ENDPOINT_READ, events_get_task_events,
     task_fields},
    {"events.get_task_plots", "1.0", ENDPOINT_READ, events_get_task_plots, task_fields},
    {"events.get_multi_task_plots", "1.0", ENDPOINT_READ, events_get_multi_task_plots,
     tasks_fields},
    {"events.debug_images", "1.0", ENDPOINT_READ, events_debug_images_flat,
     task_fields},
    {"events.debug_images", "2.7", ENDPOINT_READ, events_debug_images, metrics_fields},
    {"events.plots", "1.0", ENDPOINT_READ, events_plots, metrics_fields},
    {"events.get_debug_image_sample", "2.12", ENDPOINT_READ,
     events_get_debug_image_sample, variant_fields},
    {"events.next_debug_image_sample", "2.12", ENDPOINT_READ,
     events_next_debug_image_sample, task_fields},
    {"events.get_plot_sample", "1.0", ENDPOINT_READ, events_get_plot_sample,
     sample_fields},
    {"events.next_plot_sample", "1.0", ENDPOINT_READ, events_next_plot_sample,
     task_fields},
    {"events.scalar_metrics_iter_histogram", "1.0", ENDPOINT_READ,
     events_scalar_histogram, task_fields},
    {"events.multi_task_scalar_metrics_iter_histogram", "1.0", ENDPOINT_READ,
     events_multi_scalar_histogram, tasks_fields},
    {"events.scalar_metrics_iter_raw", "2.16", ENDPOINT_READ, events_scalar_raw,
     raw_fields},
    {"events.get_scalar_metric_data", "1.0", ENDPOINT_READ, events_scalar_metric_data,
     metric_fields},
    {"events.get_task_single_value_metrics", "1.0", ENDPOINT_READ, events_single_values,
     tasks_fields},
    {"events.get_task_latest_scalar_values", "1.0", ENDPOINT_READ,
     events_latest_scalars, task_fields},
    {"events.get_scalar_metrics_and_variants", "1.0", ENDPOINT_READ,
     events_scalar_metrics_and_variants, task_fields},
    {"events.get_vector_metrics_and_variants", "1.0", ENDPOINT_READ,
     events_vector_metrics_and_variants, task_fields},
    {"events.vector_metrics_iter_histogram", "1.0", ENDPOINT_READ,
     events_vector_histogram, variant_fields},
    {"events.get_task_metrics", "1.0", ENDPOINT_READ, events_get_task_metrics,
     tasks_fields},
    {"events.get_multi_task_metrics", "1.0", ENDPOINT_READ,
     events_get_multi_task_metrics, tasks_fields},
    {"events.clear_scroll", "2.18", ENDPOINT_READ, clear_scroll, NULL},
    {NULL, NULL, 0, NULL, NULL}};
