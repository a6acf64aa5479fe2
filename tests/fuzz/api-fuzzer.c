/* SPDX-License-Identifier: Apache-2.0 */
/* Request bodies against every endpoint's handler, on a database with one queue "q",
 * task "t", report "r", project "p" and model "m". Input: calls separated by a NUL,
 * each one byte for the endpoint, one for content type and API version, then the body.
 */
#include "config.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "server/dispatch.h"
#include "server/server.h"
#include "server/services.h"
#include "server/store.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALLS_MAX 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    struct server *server;
    sqlite3 *db;
    cJSON *endpoints;
    int n;
};

/* version: "v2.1/", or "" for the newest. */
static void run_call(struct world *w, const char *version, const char *name,
                     const char *type, const char *body, size_t n)
{
    struct call call;
    auto_buf out = BUF_INIT;
    auto_free char *path = xasprintf("/%s%s", version, name);
    call_init(&call, w->server);
    call.db = w->db;
    strcpy(call.caller.user, "user");
    strcpy(call.caller.company, "company");
    strcpy(call.caller.role, "admin");
    if (dispatch_path(w->server->dispatch, &call, path) == 0 &&
        dispatch_body(&call, type, body, n) == 0 && dispatch_validate(&call) == 0) {
        store_change(w->db, "SAVEPOINT call", "");
        /* A long poll would wait; here it ends at once. */
        call.stopping = true;
        int result = dispatch_run(&call);
        store_rest(w->db);
        if (result < 0)
            store_change(w->db, "ROLLBACK TO call", "");
        store_change(w->db, "RELEASE call", "");
    }
    dispatch_envelope(&call, &out);
    /* Whatever came in, what goes out is JSON; a log to download is text. */
    auto_json *answer = json_parse(buf_str(&out), out.len, NULL);
    if (!answer && !call.raw_type)
        abort();
    call_free(&call);
}

static void make_fixtures(struct world *w)
{
    char id[65];
    queue_create(w->db, "queue", 1000, id);
    static const char project[] = "{\"name\":\"project\"}";
    static const char task[] = "{\"name\":\"task\",\"type\":\"service\"}";
    static const char model[] = "{\"name\":\"model\",\"uri\":\"http://x/y\"}";
    static const char report[] = "{\"name\":\"report\"}";
    run_call(w, "", "projects.create", NULL, project, sizeof project - 1);
    run_call(w, "", "tasks.create", NULL, task, sizeof task - 1);
    run_call(w, "", "models.create", NULL, model, sizeof model - 1);
    run_call(w, "", "reports.create", NULL, report, sizeof report - 1);
    sqlite3_exec(w->db,
                 "UPDATE queues SET id = 'q', doc = json_set(doc, '$.id', 'q');"
                 "UPDATE projects SET id = 'p', doc = json_set(doc, '$.id', 'p')"
                 " WHERE name = 'project';"
                 "UPDATE tasks SET id = 'r' WHERE name = 'report';"
                 "UPDATE tasks SET id = 't', project = 'p' WHERE name = 'task';"
                 "UPDATE models SET id = 'm'",
                 NULL, NULL, NULL);
}

static char dir[] = "/tmp/reeve-fuzz-XXXXXX";
static struct world *world;

static void end_world(void)
{
    store_connection_close(world->db);
    server_stop(world->server);
    cJSON_Delete(world->endpoints);
    free(world);
    dir_remove_tree(dir, NULL);
}

static struct world *make_world(void)
{
    struct server_options options;
    struct reeve_error err;
    struct world *w = xcalloc(1, sizeof *w);
    log_set_level(LOG_LEVEL_ERROR);
    server_options_default(&options);
    options.data_dir = mkdtemp(dir);
    options.api_port = options.web_port = options.files_port = 0;
    options.connections = 8;
    w->server = server_start(&options, &err);
    if (!w->server)
        abort();
    w->db = store_open_memory();
    w->endpoints = cJSON_CreateObject();
    dispatch_list(w->server->dispatch, w->endpoints);
    w->n = cJSON_GetArraySize(w->endpoints);
    make_fixtures(w);
    return w;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = {NULL, "application/json-lines",
                                        "application/x-www-form-urlencoded"};
    /* Where the API changed its forms: tags, parameters, models, metadata, events. */
    static const char *const versions[] = {"",      "v2.2/",  "v2.8/",  "v2.12/",
                                           "v1.5/", "v2.16/", "v2.20/", "v999.0/"};
    if (!world) {
        world = make_world();
        atexit(end_world);
    }
    struct world *w = world;
    const char *at = (const char *)data, *end = at + size;
    store_change(w->db, "SAVEPOINT input", "");
    for (int i = 0; i < CALLS_MAX && end - at >= 2; i++) {
        const char *name =
            cJSON_GetArrayItem(w->endpoints, (uint8_t)at[0] % w->n)->string;
        uint8_t how = (uint8_t)at[1];
        const char *type = types[how % ARRAY_SIZE(types)];
        const char *version = versions[how / ARRAY_SIZE(types) % ARRAY_SIZE(versions)];
        const char *nul = memchr(at + 2, '\0', (size_t)(end - at) - 2);
        size_t n = (size_t)((nul ? nul : end) - at) - 2;
        run_call(w, version, name, type, at + 2, n);
        at += n + 3;
        if (!nul)
            break;
    }
    store_change(w->db, "ROLLBACK TO input", "");
    store_change(w->db, "RELEASE input", "");
    return 0;
}
