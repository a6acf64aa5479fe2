/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/api-error.h"

#include "base/alloc.h"

#include <stdarg.h>

static const struct {
    enum api_error error;
    const char *text;
} texts[] = {
    {API_INVALID_ID, "Invalid object id"},
    {API_MISSING_FIELDS, "Missing required fields"},
    {API_VALIDATION, "Validation error"},
    {API_INVALID_FIELDS, "Fields not defined for object"},
    {API_FIELDS_CONFLICT, "Conflicting fields"},
    {API_FIELDS_VALUE, "Invalid value for fields"},
    {API_NO_ITEMS, "Batch request contains no items"},
    {API_BAD_REGEX, "Malformed regular expression"},
    {API_INVALID_TASK_ID, "Invalid task id"},
    {API_INVALID_TASK_STATUS, "Invalid task status"},
    {API_STATUS_RACE,
     "Failed changing task status. probably someone changed it before you"},
    {API_MISSING_TASK_FIELDS, "Task is missing expected fields"},
    {API_TASK_NOT_DELETABLE, "Task cannot be deleted"},
    {API_NO_REPORT, "Passed task is not report"},
    {API_LAST_RUN, "At least one pipeline run should be left"},
    {API_INVALID_MODEL_ID, "Invalid model id"},
    {API_MODEL_READY, "Model is ready"},
    {API_MODEL_IN_USE, "Model is used by tasks"},
    {API_MODEL_TASK_EXISTS, "Task that created this model exists"},
    {API_INVALID_PROJECT_ID, "Invalid project id"},
    {API_PROJECT_HAS_TASKS, "Project has associated tasks"},
    {API_PROJECT_HAS_MODELS, "Project has associated models"},
    {API_PROJECT_HAS_DATASETS, "Project has associated non-empty datasets"},
    {API_INVALID_PROJECT_NAME, "Invalid project name"},
    {API_PROJECT_LOCATION, "Cannot update project location. use projects.move instead"},
    {API_PROJECT_DEPTH, "Project path exceed the maximum allowed depth"},
    {API_PROJECT_SAME_PLACE, "Project has the same source and destination paths"},
    {API_PROJECT_UNDER_ITSELF,
     "Project can not be moved under itself in the projects hierarchy"},
    {API_PROJECT_INTO_CHILD, "Project can not be merged into its own child"},
    {API_PROJECT_HAS_PIPELINES,
     "Project has associated pipelines with active controllers"},
    {API_PUBLIC_PROJECT,
     "Cannot create project. public project with the same name already exists"},
    {API_INVALID_QUEUE_ID, "Invalid queue id"},
    {API_TASK_ALREADY_QUEUED,
     "Failed adding task to queue since task is already queued"},
    {API_NO_DEFAULT_QUEUE, "No queue is tagged as the default queue for this company"},
    {API_SEVERAL_DEFAULT_QUEUES,
     "More than one queue is tagged as the default queue for this company"},
    {API_DATA_VALIDATION, "Data validation error"},
    {API_NOT_UNIQUE,
     "Value combination already exists (unique field already contains this value)"},
};

static const char *api_error_text(enum api_error error)
{
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        if (texts[i].error == error)
            return texts[i].text;
    }
    return "Bad request";
}

int api_fail(struct call *call, enum api_error error, const char *extra, ...)
{
    if (extra)
        call_fail(call, 400, (int)error, "%s (%s)", api_error_text(error), extra);
    else
        call_fail(call, 400, (int)error, "%s", api_error_text(error));
    va_list ap;
    va_start(ap, extra);
    for (const char *name; (name = va_arg(ap, const char *));) {
        const char *value = va_arg(ap, const char *);
        call_fail_arg(call, name, value ? value : "None");
    }
    va_end(ap);
    return -1;
}

int api_fail_type(struct call *call, const char *field)
{
    return api_fail(call, API_VALIDATION, "a value of another type is expected",
                    "field", field, NULL);
}

int api_fail_public(struct call *call, const char *what, const char *id)
{
    return call_fail(call, 403, 21,
                     "Forbidden (modification not allowed) (cannot modify public "
                     "%s(s), ids=('%s',))",
                     what, id);
}
