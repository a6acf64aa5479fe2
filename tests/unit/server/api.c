/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include "base/alloc.h"
#include "server/dispatch.h"
#include "server/scrolls.h"
#include "server/server.h"
#include "server/services.h"
#include "server/wait.h"

#include <stdio.h>
#include <string.h>

static char texts[8][8192];
static int next_text;
static char ids[4096][40];
static int next_id;

struct api *api_open(void)
{
    struct api *api = xcalloc(1, sizeof *api);
    api->db = store_open_memory();
    api->server = xcalloc(1, sizeof *api->server);
    api->server->dispatch = dispatch_create(true);
    api->server->waits = waits_create();
    api->server->scrolls = scrolls_create();
    api->now_ms = 1700000000000;
    call_init(&api->call, api->server);
    next_id = 0;
    return api;
}

void api_close(struct api *api)
{
    call_free(&api->call);
    dispatch_destroy(api->server->dispatch);
    waits_destroy(api->server->waits);
    scrolls_destroy(api->server->scrolls);
    store_connection_close(api->db);
    free(api->server);
    free(api);
}

int api_setup(void **state)
{
    *state = api_open();
    return 0;
}

int api_teardown(void **state)
{
    api_close(*state);
    return 0;
}

static int api_run(struct api *api, const char *endpoint)
{
    struct call *call = &api->call;
    auto_free char *path = xasprintf("/%s", endpoint);
    if (dispatch_path(api->server->dispatch, call, path) || dispatch_validate(call) ||
        dispatch_run(call) < 0)
        return -1;
    return 0;
}

int api_call(struct api *api, const char *endpoint, const char *fmt, ...)
{
    char *text;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        abort();
    va_end(ap);
    for (char *p = text; *p; p++)
        if (*p == '\'')
            *p = '"';
    call_free(&api->call);
    struct call *call = &api->call;
    call_init(call, api->server);
    call->db = api->db;
    call->now_ms = api->now_ms;
    snprintf(call->worker, sizeof call->worker, "%s", api->worker);
    strcpy(call->caller.user, "user1");
    strcpy(call->caller.user_name, "Ada");
    strcpy(call->caller.company, "company1");
    cJSON_Delete(call->request);
    call->request = cJSON_Parse(text);
    if (!call->request)
        fail_msg("no JSON: %s", text);
    free(text);
    sqlite3_exec(api->db, "SAVEPOINT job", NULL, NULL, NULL);
    int rc = api_run(api, endpoint);
    if (rc)
        sqlite3_exec(api->db, "ROLLBACK TO job", NULL, NULL, NULL);
    sqlite3_exec(api->db, "RELEASE job", NULL, NULL, NULL);
    return rc ? (call->subcode ? call->subcode : call->code) : 0;
}

cJSON *api_at(struct api *api, const char *path)
{
    cJSON *at = api->call.data;
    while (at && *path) {
        /* A name with dots in it ("execution.queue" in fields) is found whole. */
        cJSON *whole = json_get(at, path);
        if (whole)
            return whole;
        size_t n = strcspn(path, ".");
        auto_free char *name = xstrndup(path, n);
        at =
            cJSON_IsArray(at) ? cJSON_GetArrayItem(at, atoi(name)) : json_get(at, name);
        path += n + (path[n] == '.');
    }
    return at;
}

const char *api_text(struct api *api, const char *path)
{
    char *out = texts[next_text++ % 8];
    const cJSON *value = api_at(api, path);
    auto_free char *json = value ? json_format(value) : NULL;
    snprintf(out, sizeof texts[0], "%s",
             !value                  ? "-"
             : cJSON_IsString(value) ? value->valuestring
                                     : json);
    return out;
}

const char *api_task(struct api *api, const char *name, const char *more)
{
    char *id = ids[next_id++ % 4096];
    assert_call(api, "tasks.create", "{'name': '%s', 'type': 'service'%s%s}", name,
                *more ? ", " : "", more);
    snprintf(id, sizeof ids[0], "%s", api_text(api, "id"));
    return id;
}

const char *api_field(struct api *api, const char *task, const char *path)
{
    char full[256];
    assert_call(api, "tasks.get_by_id", "{'task': '%s'}", task);
    snprintf(full, sizeof full, "task.%s", path);
    return api_text(api, full);
}
