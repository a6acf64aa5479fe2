/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/call.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "server/dispatch.h"
#include "server/server.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WAIT_MAX_MS 9000

void call_init(struct call *call, struct server *server)
{
    memset(call, 0, sizeof *call);
    call->server = server;
    call->api_version = API_VERSION_MAX;
    id_new(call->id);
    call->now_ms = clock_wall_ms();
    call->request = cJSON_CreateObject();
    call->data = cJSON_CreateObject();
    call->code = 200;
}

/* Nobody has taken it. */
static void stream_end(struct call *call)
{
    if (call->stream.done)
        call->stream.done(call->stream.state);
    call->stream = (struct call_stream){0};
}

void call_free(struct call *call)
{
    cJSON_Delete(call->request);
    cJSON_Delete(call->lines);
    cJSON_Delete(call->data);
    cJSON_Delete(call->error_data);
    free(call->raw_data);
    free(call->raw_file);
    stream_end(call);
    free(call->message);
    free(call->set_cookie);
}

void call_reset_answer(struct call *call)
{
    cJSON_Delete(call->data);
    cJSON_Delete(call->error_data);
    call->data = cJSON_CreateObject();
    call->error_data = NULL;
    free(steal(&call->raw_data));
    call->raw_type = NULL;
    free(steal(&call->raw_file));
    stream_end(call);
    free(steal(&call->message));
    free(steal(&call->set_cookie));
    call->code = 200;
    call->subcode = 0;
    call->wait_queue[0] = '\0';
    call->expired = false;
    call->now_ms = clock_wall_ms();
}

int call_fail(struct call *call, int code, int subcode, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        abort();
    va_end(ap);
    call->code = code;
    call->subcode = subcode;
    free(call->message);
    call->message = text;
    cJSON_Delete(call->error_data);
    call->error_data = NULL;
    return -1;
}

int call_fail_arg(struct call *call, const char *key, const char *value)
{
    const char *separator = call->error_data ? ", " : ": ";
    auto_free char *before = call->message;
    call->message = xasprintf("%s%s%s=%s", before ? before : "", separator, key,
                              value ? value : "None");
    if (!call->error_data)
        call->error_data = cJSON_CreateObject();
    json_set_str(call->error_data, key, value);
    return -1;
}

bool call_wait(struct call *call, const char *queue)
{
    bool extended = !call->server->options.no_extensions;
    int64_t wait_ms = extended ? json_int(call->request, "wait", 0) : 0;
    int64_t now = clock_boot_ms();
    if (wait_ms <= 0 || call->stopping || strlen(queue) >= sizeof call->wait_queue)
        return false;
    if (call->wait_until_ms == 0)
        call->wait_until_ms = now + (wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS);
    if (now >= call->wait_until_ms)
        return false;
    snprintf(call->wait_queue, sizeof call->wait_queue, "%s", queue);
    return true;
}

void call_conform_metadata(const struct call *call, cJSON *doc)
{
    if (call->api_version <= API_VERSION(2, 16) && json_get(doc, "metadata"))
        json_set(doc, "metadata", cJSON_CreateArray());
}
