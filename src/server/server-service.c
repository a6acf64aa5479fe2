/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/clock.h"
#include "base/json.h"
#include "server/auth.h"
#include "server/call.h"
#include "server/dispatch.h"
#include "server/server.h"
#include "server/store.h"

#include <string.h>

/* The version of ClearML's server whose API this is; clients compare it. */
#define SERVER_VERSION "2.0.0"
#define SERVER_BUILD "reeve-" PACKAGE_VERSION

static int info(struct call *call)
{
    json_set_str(call->data, "version", SERVER_VERSION);
    json_set_str(call->data, "build", SERVER_BUILD);
    json_set_str(call->data, "commit", "");
    return 0;
}

static int info_with_uid(struct call *call)
{
    info(call);
    sqlite3_stmt *find = store_query(
        call->db, "SELECT value FROM settings WHERE name = 'default_user'", "");
    if (store_row(find))
        json_set_str(call->data, "uid", (const char *)sqlite3_column_text(find, 0));
    sqlite3_reset(find);
    return 0;
}

static int info_with_version(struct call *call)
{
    info(call);
    json_set_str(call->data, "api_version", "2.31");
    return 0;
}

static cJSON *config_tree(const struct call *call)
{
    const struct server_options *o = &call->server->options;
    cJSON *tree = cJSON_CreateObject();
    cJSON *api = json_set(tree, "apiserver", cJSON_CreateObject());
    cJSON *listen = json_set(api, "listen", cJSON_CreateObject());
    cJSON *auth = json_set(api, "auth", cJSON_CreateObject());
    json_set_str(listen, "ip", o->listen);
    json_set_int(listen, "port", o->api_port);
    json_set_int(auth, "default_expiration_sec", auth_token_default_s(call->server));
    json_set_int(auth, "max_expiration_sec", auth_token_max_s(call->server));
    json_set_int(api, "max_body_bytes", (int64_t)o->body_max);
    json_set_str(api, "default_company", call->caller.company);
    return tree;
}

static int config(struct call *call)
{
    const char *path = json_str(call->request, "path", "");
    cJSON *tree = config_tree(call), *at = tree;
    char part[64];
    while (at && *path) {
        size_t n = strcspn(path, ".");
        if (n >= sizeof part) {
            at = NULL;
            break;
        }
        memcpy(part, path, n);
        part[n] = '\0';
        at = json_get(at, part);
        path += n + (path[n] == '.');
    }
    if (cJSON_IsObject(at)) {
        cJSON_Delete(call->data);
        call->data = cJSON_Duplicate(at, true);
    }
    bool found = cJSON_IsObject(at);
    cJSON_Delete(tree);
    return found ? 0
                 : call_fail(call, 400, 12,
                             "Validation error (no such configuration path)");
}

static int get_stats(struct call *call)
{
    cJSON *usage = json_set(call->data, "server", cJSON_CreateObject());
    json_set_str(usage, "version", SERVER_VERSION);
    json_set_str(usage, "build", SERVER_BUILD);
    json_set_int(call->data, "queues",
                 store_int(call->db, "SELECT count(*) FROM queues", 0, ""));
    json_set_int(call->data, "users",
                 store_int(call->db, "SELECT count(*) FROM users", 0, ""));
    return 0;
}

/* Nothing is ever reported from here to anyone. */
static int report_stats_option(struct call *call)
{
    json_set_bool(call->data, "supported", false);
    return 0;
}

static int endpoints(struct call *call)
{
    dispatch_list(call->server->dispatch,
                  json_set(call->data, "endpoints", cJSON_CreateObject()));
    json_set(call->data, "models", cJSON_CreateObject());
    return 0;
}

static const struct field config_fields[] = {{"path", FIELD_STRING, false}, {0}};
static const struct field report_fields[] = {{"enabled", FIELD_BOOL, false}, {0}};

const struct endpoint server_endpoints[] = {
    {"server.info", "1.0", ENDPOINT_READ | ENDPOINT_PUBLIC, info, NULL},
    {"server.info", "2.8", ENDPOINT_READ | ENDPOINT_PUBLIC, info_with_uid, NULL},
    {"server.info", "2.12", ENDPOINT_READ | ENDPOINT_PUBLIC, info_with_version, NULL},
    {"server.config", "1.0", ENDPOINT_READ, config, config_fields},
    {"server.get_stats", "1.0", ENDPOINT_READ, get_stats, NULL},
    {"server.endpoints", "1.0", ENDPOINT_READ, endpoints, NULL},
    {"server.report_stats_option", "1.0", ENDPOINT_READ, report_stats_option,
     report_fields},
    {0}};
