/* service-driver.h - runs an endpoint's handler on an in-memory database
 *
 * What HTTP, the tokens and the writer thread add is left out: tests of a service need
 * its tables and its answers. */
#ifndef REEVE_TEST_SERVICE_DRIVER_H
#define REEVE_TEST_SERVICE_DRIVER_H

#include "base/alloc.h"
#include "base/json.h"
#include "server/call.h"
#include "server/dispatch.h"
#include "server/scrolls.h"
#include "server/server.h"
#include "server/store.h"

#include <stdio.h>
#include <string.h>

struct driver {
    struct server server;
    sqlite3 *db;
    int64_t now_ms;
    const char *batch, *worker;
    /* of the last call */
    int code, subcode;
    char message[512];
    char raw_type[64];
    cJSON *data;
    char *raw; /* an answer that is no JSON */
};

static inline void driver_open(struct driver *d)
{
    memset(d, 0, sizeof *d);
    d->db = store_open_memory();
    d->server.scrolls = scrolls_create();
    d->now_ms = 1700000000000;
    d->worker = "host:cpu:0";
}

static inline void driver_close(struct driver *d)
{
    cJSON_Delete(d->data);
    free(d->raw);
    store_connection_close(d->db);
    scrolls_destroy(d->server.scrolls);
}

/* For cmocka: one in *state. */
static inline int driver_setup(void **state)
{
    struct driver *d = xmalloc(sizeof *d);
    driver_open(d);
    *state = d;
    return 0;
}

static inline int driver_teardown(void **state)
{
    driver_close(*state);
    free(*state);
    return 0;
}

static inline const struct endpoint *driver_find(const char *name, int version)
{
    const struct endpoint *const tables[] = {events_endpoints, workers_endpoints,
                                             tasks_endpoints, queues_endpoints};
    const struct endpoint *best = NULL;
    for (size_t t = 0; t < ARRAY_SIZE(tables); t++) {
        for (const struct endpoint *e = tables[t]; e->name; e++) {
            int major = 0, minor = 0;
            if (strcmp(e->name, name) != 0)
                continue;
            if (sscanf(e->min_version, "%d.%d", &major, &minor) == 2 &&
                API_VERSION(major, minor) <= version)
                best = e;
        }
    }
    assert_non_null(best);
    return best;
}

/* All pieces of an answer that is made while it is sent. */
static inline char *driver_stream_dup(struct driver *d, struct call *call)
{
    struct buf all = BUF_INIT;
    for (size_t before = 1; before != all.len;) {
        struct buf piece = BUF_INIT;
        before = all.len;
        assert_int_equal(call->stream.next(call->stream.state, d->db, &piece), 0);
        buf_add(&all, piece.data, piece.len);
        buf_free(&piece);
    }
    return buf_take(&all);
}

static inline void driver_take_answer(struct driver *d, struct call *call)
{
    cJSON_Delete(d->data);
    free(d->raw);
    d->raw = NULL;
    d->code = call->code;
    d->subcode = call->subcode;
    snprintf(d->message, sizeof d->message, "%s", call->message ? call->message : "");
    snprintf(d->raw_type, sizeof d->raw_type, "%s",
             call->raw_type ? call->raw_type : "");
    if (call->stream.next)
        call->raw_data = driver_stream_dup(d, call);
    if (call->raw_data && call->raw_type)
        d->raw = steal(&call->raw_data);
    if (call->raw_data) {
        d->data = json_parse(call->raw_data, strlen(call->raw_data), NULL);
        assert_non_null(d->data);
    } else {
        d->data = steal(&call->data);
    }
}

/* Runs the newest version that version allows. text: the request, an object, or for
 * add_batch an array of lines. The answer's data, valid until the next call. */
static inline cJSON *driver_call_version(struct driver *d, int version,
                                         const char *name, const char *text)
{
    struct call call;
    call_init(&call, &d->server);
    call.db = d->db;
    call.endpoint = driver_find(name, version);
    call.api_version = version;
    call.now_ms = d->now_ms;
    snprintf(call.caller.user, sizeof call.caller.user, "user");
    snprintf(call.caller.company, sizeof call.caller.company, "company");
    snprintf(call.worker, sizeof call.worker, "%s", d->worker);
    snprintf(call.batch, sizeof call.batch, "%s", d->batch ? d->batch : "");
    cJSON *request = json_parse(text, strlen(text), NULL);
    assert_non_null(request);
    if (cJSON_IsArray(request)) {
        call.lines = request;
    } else {
        cJSON_Delete(call.request);
        call.request = request;
    }
    store_change(d->db, "SAVEPOINT test", "");
    int result = call.endpoint->handler(&call);
    if (result < 0)
        store_change(d->db, "ROLLBACK TO test", "");
    store_change(d->db, "RELEASE test", "");
    assert_true(result == 0 || call.code != 200);
    driver_take_answer(d, &call);
    call_free(&call);
    return d->data;
}

static inline cJSON *driver_call(struct driver *d, const char *name, const char *fmt,
                                 ...) __attribute__((format(printf, 3, 4)));
static inline cJSON *driver_call(struct driver *d, const char *name, const char *fmt,
                                 ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    assert_true(vasprintf(&text, fmt, ap) >= 0);
    va_end(ap);
    cJSON *data = driver_call_version(d, API_VERSION_MAX, name, text);
    free(text);
    return data;
}

/* A new task's id, to be freed. */
static inline char *driver_task(struct driver *d, const char *name)
{
    driver_call(d, "tasks.create", "{\"name\":\"%s\",\"type\":\"service\"}", name);
    assert_int_equal(d->code, 200);
    return xstrdup(json_str(d->data, "id", ""));
}

#endif
