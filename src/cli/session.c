/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/session.h"

#include "base/json.h"
#include "clearml/api.h"
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

#define CALL_TIMEOUT_MS 30000

static const struct session no_session;

int session_open(const struct args *args, struct session *s, struct reeve_error *err)
{
    *s = no_session;
    return target_find(args, &s->target, err);
}

void session_open_any(const struct args *args, struct session *s)
{
    int found = session_open(args, s, &s->why);
    s->args = args;
    s->found = found;
}

void session_close(struct session *s)
{
    api_sync_destroy(s->api);
    target_free(&s->target);
    *s = no_session;
}

/* `reeve up` may have come back, or the file been mended. */
static int find_again(struct session *s, struct reeve_error *err)
{
    struct target found;
    s->found = target_find(s->args, &found, &s->why);
    if (s->found == CLI_DONE) {
        target_free(&s->target);
        s->target = found;
        return 0;
    }
    target_free(&found);
    if (err)
        *err = s->why;
    return -1;
}

static int session_start(struct session *s, struct reeve_error *err)
{
    const struct target *t = &s->target;
    if (s->api)
        return 0;
    if (s->found != CLI_DONE && find_again(s, err) < 0)
        return -1;
    struct api_config config = {
        .url = t->api,
        .access_key = t->access_key,
        .secret_key = t->secret_key,
        .token = t->token,
        .worker = "reeve-cli",
        .client = "reeve-" PACKAGE_VERSION,
        .verify = t->verify,
        .ca_file = t->ca_file,
        .direct = t->direct,
        .max_connections = 1,
    };
    s->api = api_sync_create(&config, err);
    return s->api ? 0 : -1;
}

/* Unknown task, model, project, queue. */
static bool is_unknown(int code, int subcode)
{
    static const int unknown[] = {100, 101, 130, 201, 401, 403, 701};
    for (size_t i = 0; code == 400 && i < sizeof unknown / sizeof unknown[0]; i++)
        if (subcode == unknown[i])
            return true;
    return false;
}

static int call(struct session *s, const char *endpoint, cJSON *body,
                const struct api_options *options, cJSON **data,
                struct reeve_error *err)
{
    int code = 0, subcode = 0;
    if (data)
        *data = NULL;
    if (session_start(s, err) < 0) {
        cJSON_Delete(body);
        return CLI_UNREACHABLE;
    }
    enum api_result result =
        api_sync_call(s->api, endpoint, body, options, data, &code, &subcode, err);
    s->subcode = subcode;
    if (result == API_OK)
        return CLI_DONE;
    if (result == API_REFUSED && code == 401) {
        reeve_error_wrap(err, "%s does not take these keys", s->target.api);
        return CLI_FAILED;
    }
    if (result == API_REFUSED)
        return is_unknown(code, subcode) ? CLI_NOT_FOUND : CLI_FAILED;
    /* The bare reason, where there is one: the other text has the address, too. */
    const char *why = api_outage_why(api_sync_api(s->api));
    if (why[0])
        reeve_error_set(err, 0, "%s cannot be used: %s", s->target.api, why);
    else
        reeve_error_wrap(err, "%s cannot be used", s->target.api);
    return CLI_UNREACHABLE;
}

int session_call(struct session *s, const char *endpoint, cJSON *body, cJSON **data,
                 struct reeve_error *err)
{
    struct api_options options = {.retry = API_RETRY_NONE,
                                  .timeout_ms = CALL_TIMEOUT_MS};
    return call(s, endpoint, body, &options, data, err);
}

int session_call_until(struct session *s, const char *endpoint, cJSON *body,
                       int64_t deadline_ms, cJSON **data, struct reeve_error *err)
{
    struct api_options options = {
        .retry = deadline_ms > 0 ? API_RETRY_SAFE : API_RETRY_NONE,
        .timeout_ms = CALL_TIMEOUT_MS,
        .deadline_ms = deadline_ms,
    };
    return call(s, endpoint, body, &options, data, err);
}
