/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/alloc.h"
#include "clearml/api.h"

#include <ev.h>

struct api_sync {
    struct ev_loop *loop;
    struct api *api;
};

struct api_sync *api_sync_create(const struct api_config *config,
                                 struct reeve_error *err)
{
    struct api_sync *s = xcalloc(1, sizeof *s);
    s->loop = ev_loop_new(EVFLAG_AUTO);
    if (!s->loop)
        reeve_error_set(err, 0, "make an event loop");
    else
        s->api = api_create(s->loop, config, err);
    if (s->api)
        return s;
    api_sync_destroy(s);
    return NULL;
}

void api_sync_destroy(struct api_sync *s)
{
    if (!s)
        return;
    api_destroy(s->api);
    if (s->loop)
        ev_loop_destroy(s->loop);
    free(s);
}

struct api *api_sync_api(struct api_sync *s)
{
    return s->api;
}

struct outcome {
    struct ev_loop *loop;
    enum api_result result;
    cJSON *data;
    int code, subcode;
    struct reeve_error *err;
};

static void sync_done(void *arg, const struct api_reply *reply)
{
    struct outcome *o = arg;
    o->result = reply->result;
    o->code = reply->code;
    o->subcode = reply->subcode;
    if (reply->result == API_OK)
        o->data = cJSON_Duplicate(reply->data, true);
    else
        reeve_error_set(o->err, 0, "%s", reply->message);
    ev_break(o->loop, EVBREAK_ALL);
}

enum api_result api_sync_call(struct api_sync *s, const char *endpoint, cJSON *body,
                              const struct api_options *options, cJSON **data,
                              int *code, int *subcode, struct reeve_error *err)
{
    struct outcome o = {.loop = s->loop, .result = API_UNSURE, .err = err};
    api_send(s->api, NULL, endpoint, body, options, sync_done, &o);
    ev_run(s->loop, 0);
    if (code)
        *code = o.code;
    if (subcode)
        *subcode = o.subcode;
    if (data)
        *data = o.data;
    else
        cJSON_Delete(o.data);
    return o.result;
}
