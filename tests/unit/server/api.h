/* api.h - calls of the API without HTTP: an in-memory database, one call at a time
 *
 * Each call runs as the writer runs it: in a savepoint that a failure rolls back. */
#ifndef REEVE_UNIT_SERVER_API_H
#define REEVE_UNIT_SERVER_API_H

#include "../unit.h"

#include "base/json.h"
#include "server/call.h"
#include "server/store.h"

struct api {
    sqlite3 *db;
    struct server *server;
    struct call call; /* the last one */
    int64_t now_ms;
    char worker[64];
};

struct api *api_open(void);
void api_close(struct api *api);
/* For cmocka: one in *state. */
int api_setup(void **state);
int api_teardown(void **state);
/* Calls "tasks.create" with JSON text (single quotes stand for double ones), checks it
 * against the endpoint's fields and runs it. 0, or the error's subcode. */
int api_call(struct api *api, const char *endpoint, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The last answer's data at a dotted path. */
cJSON *api_at(struct api *api, const char *path);
/* The same as text: strings as they are, other values as JSON, "-" if there is none.
 * The text lives until the next call of it. */
const char *api_text(struct api *api, const char *path);
/* Makes a draft task; its id lives as long as api. */
const char *api_task(struct api *api, const char *name, const char *more);
/* A field of a task, as api_text gives it. */
const char *api_field(struct api *api, const char *task, const char *path);

#define assert_call(api, ...) assert_int_equal(api_call(api, __VA_ARGS__), 0)

#endif
