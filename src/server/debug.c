/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/json.h"
#include "server/call.h"

static void echo_request(struct call *call)
{
    const cJSON *field;
    cJSON_ArrayForEach(field, call->request)
        json_set(call->data, field->string, cJSON_Duplicate(field, true));
}

static int ping(struct call *call)
{
    json_set_str(call->data, "msg", "ClearML server");
    echo_request(call);
    return 0;
}

static int echo(struct call *call)
{
    echo_request(call);
    return 0;
}

const struct endpoint debug_endpoints[] = {
    {"debug.ping", "1.0", ENDPOINT_READ | ENDPOINT_PUBLIC, ping, NULL},
    {"debug.echo", "1.0", ENDPOINT_READ, echo, NULL},
    {0}};
