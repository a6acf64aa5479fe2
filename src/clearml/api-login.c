/* SPDX-License-Identifier: Apache-2.0 */
/* The session: one login for all calls at a time.
 *
 * - With keys each login is a Basic one; with a token alone the token itself asks for
 *   its successor.
 * - A token is renewed before it ends (by at most a quarter of its life), while calls
 *   go on with the old one. Only a missing, ended or rejected token makes calls wait.
 * - A login that gets no ClearML answer ends the waiting of calls with one try; the
 *   others wait for the next login. A refusal ends all. */
#include "config.h"

#include "clearml/api-internal.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>

enum {
    LOGIN_TIMEOUT_MS = 15000,
    MIN_TOKEN_S = 10,
    MAX_LOGIN_MOVES = 5,
    LOGIN_PAUSE_MAX_MS = 15000
};

static void login_send(struct api *api);

bool session_usable(const struct api *api)
{
    return api->token && !api->rejected && clock_boot_ms() < api->expires_at;
}

void session_take(struct api *api, struct token *token, bool fresh)
{
    int64_t now = clock_boot_ms();
    int64_t left = token_seconds_left(token, fresh, clock_wall_ms());
    /* A server whose new tokens have ended already must not make the calls go round. */
    if (fresh && left < MIN_TOKEN_S)
        left = MIN_TOKEN_S;
    token_free(api->token);
    api->token = token;
    api->session++;
    api->rejected = false;
    api->refresh_at = api->expires_at = INT64_MAX;
    if (left < INT64_MAX / 4000) {
        int64_t early =
            api->threshold_s < left / 4 ? api->threshold_s * 1000 : left * 250;
        api->expires_at = now + left * 1000;
        api->refresh_at = api->expires_at - early;
    }
}

static bool any_waiting(const struct api *api)
{
    const struct api_call *call;
    TAILQ_FOREACH(call, &api->calls, link)
    {
        if (call->state == CALL_WAITING)
            return true;
    }
    return false;
}

static void resume_waiting(struct api *api)
{
    struct api_call *call, *next;
    for (call = TAILQ_FIRST(&api->calls); call; call = next) {
        next = TAILQ_NEXT(call, link);
        if (call->state == CALL_WAITING)
            call_start(call);
    }
}

static int64_t login_pause(struct api *api, int64_t retry_after_ms)
{
    int64_t pause = api_backoff_ms(api, api->login_failures++, retry_after_ms);
    /* While a login is needed, nothing else finds out that the server is back. */
    if (retry_after_ms < 0 && pause > LOGIN_PAUSE_MAX_MS)
        pause = LOGIN_PAUSE_MAX_MS;
    api->login_not_before = clock_boot_ms() + pause;
    return pause;
}

static void login_refused(struct api *api, struct envelope *e)
{
    struct api_call *call, *next;
    char text[1100], why[sizeof e->message];
    snprintf(text, sizeof text, "login at %s: %s", api->shown, e->message);
    snprintf(why, sizeof why, "login: %.*s", (int)(sizeof why - 8), e->message);
    memcpy(e->message, why, sizeof why);
    for (call = TAILQ_FIRST(&api->calls); call; call = next) {
        next = TAILQ_NEXT(call, link);
        if (call->state == CALL_WAITING)
            call_finish(call, API_REFUSED, e->code, e->subcode, text, NULL);
    }
    login_pause(api, -1);
}

static void login_failed(struct api *api, const char *why, int64_t retry_after_ms)
{
    struct api_call *call, *next;
    char text[1100];
    snprintf(text, sizeof text, "login at %s: %s", api->shown, why);
    for (call = TAILQ_FIRST(&api->calls); call; call = next) {
        next = TAILQ_NEXT(call, link);
        if (call->state != CALL_WAITING)
            continue;
        if (call->retry == API_RETRY_NONE) {
            call_finish(call, API_NOT_SENT, 0, 0, text, NULL);
        } else {
            free(call->message);
            call->message = xstrdup(text);
        }
    }
    int64_t pause = login_pause(api, retry_after_ms);
    if (any_waiting(api))
        api_start_timer(api, &api->login_again, pause);
}

/* The calls that wait are sent when the login at the new place is answered. */
static void login_moved(struct api *api, const struct http_answer *a,
                        struct envelope *e)
{
    struct reeve_error err = {0};
    if (api->login_moves++ >= MAX_LOGIN_MOVES)
        reeve_error_set(&err, 0, "it redirects in circles");
    else if (api_follow(api, "/auth.login", a, &err) == 0) {
        login_send(api);
        return;
    }
    snprintf(e->message, sizeof e->message, "%s", err.text);
    login_failed(api, e->message, -1);
}

static void login_answered(struct api *api, const struct http_answer *a,
                           struct envelope *e)
{
    struct reeve_error err;
    envelope_decode(a->status, buf_str(a->body), a->body->len, e);
    if (e->kind == ENVELOPE_OK) {
        struct token *token = token_parse(json_str(e->data, "token", ""), &err);
        if (token) {
            api->login_failures = 0;
            session_take(api, token, true);
            resume_waiting(api);
            return;
        }
        e->kind = ENVELOPE_FOREIGN;
        snprintf(e->message, sizeof e->message, "is this a ClearML API server? %s",
                 err.text);
    }
    if (e->kind == ENVELOPE_REFUSED && e->code == 400 && api->expiration_s > 0) {
        /* Its apiserver.auth.max_expiration_sec is lower: what it gives by itself. */
        api->expiration_s = 0;
        login_send(api);
    } else if (e->kind == ENVELOPE_REFUSED && e->code != 429)
        login_refused(api, e);
    else
        login_failed(api, e->message, a->retry_after_ms);
}

static void login_done(void *arg, const struct http_answer *a)
{
    struct api *api = arg;
    struct envelope e = {.kind = ENVELOPE_FOREIGN};
    api->login = NULL;
    api_hold(api, a);
    if (a->outcome == HTTP_ANSWERED && a->location) {
        login_moved(api, a, &e);
    } else if (a->outcome == HTTP_ANSWERED) {
        api->latency_ms = a->seconds * 1000;
        login_answered(api, a, &e);
    } else {
        snprintf(e.message, sizeof e.message, "%s", a->error);
        login_failed(api, e.message, -1);
    }
    envelope_free(&e);
    if (api->login && e.kind != ENVELOPE_OK)
        return; /* sent again at once, another way */
    api->login_moves = 0;
    bool answered = e.kind == ENVELOPE_OK || a->status == 429;
    if (!a->crowded)
        api_set_reachable(api, answered, e.message);
}

static void login_send(struct api *api)
{
    struct reeve_error err;
    auto_free char *url = NULL;
    char *authorization = api->basic ? xstrdup(api->basic) : api_bearer_dup(api);
    if (api->expiration_s > 0)
        url = xasprintf("%s/auth.login?expiration_sec=%lld", api_base(api),
                        (long long)api->expiration_s);
    else
        url = xasprintf("%s/auth.login", api_base(api));
    const char *headers[] = {authorization, api->worker_header, api->client_header,
                             NULL};
    /* The official form, with no body. It changes nothing, so that the GET that proxies
     * may repeat does no harm. */
    struct http_params params = {.method = "GET",
                                 .url = url,
                                 .headers = headers,
                                 .urgent = true,
                                 .repeatable = true,
                                 .timeout_ms = LOGIN_TIMEOUT_MS};
    api->login = http_send(api->http, &params, login_done, api, &err);
    api_wipe(&authorization);
    if (!api->login)
        login_failed(api, err.text, -1);
}

static void login_again_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct api *api = w->data;
    if (!api->login && any_waiting(api))
        login_send(api);
}

void session_login(struct api *api)
{
    if (api->login || ev_is_active(&api->login_again))
        return;
    int64_t pause = api->login_not_before - clock_boot_ms();
    if (pause > 0)
        api_start_timer(api, &api->login_again, pause);
    else
        login_send(api);
}

void session_refresh_if_due(struct api *api)
{
    int64_t now = clock_boot_ms();
    if (now < api->refresh_at || now < api->login_not_before || api->login ||
        ev_is_active(&api->login_again))
        return;
    login_send(api);
}

void session_init(struct api *api)
{
    ev_timer_init(&api->login_again, login_again_cb, 0., 0.);
    api->login_again.data = api;
}

void session_stop(struct api *api)
{
    if (api->login)
        http_cancel(api->login);
    ev_timer_stop(api->loop, &api->login_again);
    token_free(api->token);
}
