/* api-error.h - ClearML's own errors: numbers, texts and their form
 *
 * A text is "<default message>[ (extra)][: name=value, ...]"; the pairs are also
 * meta.error_data, as clients print them from there. */
#ifndef REEVE_SERVER_API_ERROR_H
#define REEVE_SERVER_API_ERROR_H

#include "server/call.h"

enum api_error {
    API_INVALID_ID = 10,
    API_MISSING_FIELDS = 11,
    API_VALIDATION = 12,
    API_INVALID_FIELDS = 14,
    API_FIELDS_CONFLICT = 15,
    API_FIELDS_VALUE = 16,
    API_NO_ITEMS = 17,
    API_BAD_REGEX = 21,
    API_INVALID_TASK_ID = 101,
    API_INVALID_TASK_STATUS = 110,
    API_STATUS_RACE = 121,
    API_MISSING_TASK_FIELDS = 122,
    API_TASK_NOT_DELETABLE = 123,
    API_NO_REPORT = 150,
    API_LAST_RUN = 160,
    API_INVALID_MODEL_ID = 201,
    API_MODEL_READY = 203,
    API_MODEL_IN_USE = 205,
    API_MODEL_TASK_EXISTS = 206,
    API_INVALID_PROJECT_ID = 401,
    API_PROJECT_HAS_TASKS = 402,
    API_PROJECT_HAS_MODELS = 405,
    API_PROJECT_HAS_DATASETS = 406,
    API_INVALID_PROJECT_NAME = 407,
    API_PROJECT_LOCATION = 408,
    API_PROJECT_DEPTH = 409,
    API_PROJECT_SAME_PLACE = 410,
    API_PROJECT_UNDER_ITSELF = 411,
    API_PROJECT_INTO_CHILD = 412,
    API_PROJECT_HAS_PIPELINES = 413,
    API_PUBLIC_PROJECT = 414,
    API_TASK_ALREADY_QUEUED = 706,
    API_NO_DEFAULT_QUEUE = 707,
    API_SEVERAL_DEFAULT_QUEUES = 708,
    API_INVALID_QUEUE_ID = 701,
    API_DATA_VALIDATION = 800,
    API_NOT_UNIQUE = 801
};

/* Fails the call with 400/error. extra may be NULL; after it pairs of names and values
 * (strings), ended by NULL. Returns -1. */
int api_fail(struct call *call, enum api_error error, const char *extra, ...)
    __attribute__((sentinel));
/* 400/12: the field has a value of another type than it may. Returns -1. */
int api_fail_type(struct call *call, const char *field);
/* 403/21: what is public is read by all and written by none. what: "task". Returns -1.
 */
int api_fail_public(struct call *call, const char *what, const char *id);

#endif
