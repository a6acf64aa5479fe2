/* SPDX-License-Identifier: Apache-2.0 */
/* Calls: WAITING -> SENT -> (PAUSED -> SENT)... -> FINISHED -> gone.
 *
 * - A reply is never announced from where it came about, but by the call's own timer
 *   in the loop's next turn: so nothing here is on the stack while the program's
 *   callback runs, and that may cancel calls and destroy the api.
 * - The one other way out is api_set_reachable(), which is therefore always the last
 *   thing that a callback of ours does. */
#include "config.h"

#include "clearml/api-internal.h"
#include "base/alloc.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

enum {
    DEFAULT_RETRY_MIN_MS = 500,
    DEFAULT_RETRY_MAX_MS = 60000,
    DEFAULT_TIMEOUT_MS = 30000,
    MAX_RETRY_AFTER_MS = 600000,
    MAX_MOVES = 5,
    /* As the official clients have them; the longer one if the session starts with a
     * token, which must not end before it was renewed. */
    REFRESH_THRESHOLD_S = 360,
    REFRESH_THRESHOLD_TOKEN_S = 3600,
    MAX_HEADERS = 12
};

static int64_t random_below(int64_t n)
{
    uint64_t v = 0;
    if (n <= 1)
        return 0;
    /* Early in boot there may be none; no jitter is better than waiting. */
    if (getrandom(&v, sizeof v, GRND_NONBLOCK) < 0)
        return n / 2;
    return (int64_t)(v % (uint64_t)n);
}

int64_t api_backoff_ms(const struct api *api, unsigned failures, int64_t retry_after_ms)
{
    int64_t top = api->retry_min_ms;
    for (unsigned i = 0; i < failures && top < api->retry_max_ms; i++)
        top *= 2;
    if (top > api->retry_max_ms)
        top = api->retry_max_ms;
    int64_t pause = random_below(top + 1);
    if (retry_after_ms > MAX_RETRY_AFTER_MS)
        retry_after_ms = MAX_RETRY_AFTER_MS;
    /* Not all at the very same moment either. */
    if (retry_after_ms >= 0)
        pause = retry_after_ms + random_below(api->retry_min_ms + 1);
    return pause;
}

void api_start_timer(struct api *api, ev_timer *timer, int64_t ms)
{
    ev_now_update(api->loop);
    ev_timer_stop(api->loop, timer);
    ev_timer_set(timer, (double)(ms > 0 ? ms : 0) / 1000.0, 0.);
    ev_timer_start(api->loop, timer);
}

void api_wipe(char **text)
{
    if (*text)
        explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

char *api_bearer_dup(const struct api *api)
{
    return xasprintf("Authorization: Bearer %s", token_text(api->token));
}

/* The server is back: whoever only waited for that need not wait out his pause. */
static void wake_paused(struct api *api)
{
    struct api_call *call;
    TAILQ_FOREACH(call, &api->calls, link)
    {
        if (call->state == CALL_PAUSED && !call->told)
            api_start_timer(api, &call->timer, random_below(api->retry_min_ms + 1));
    }
}

void api_hold(struct api *api, const struct http_answer *a)
{
    if (a->retry_after_ms < 0 || (a->status != 429 && a->status != 503))
        return;
    int64_t ms = a->retry_after_ms;
    api->hold_until =
        clock_boot_ms() + (ms < MAX_RETRY_AFTER_MS ? ms : MAX_RETRY_AFTER_MS);
}

static void note_outage(struct api *api, const char *why)
{
    char *text = xstrdup(why);
    free(api->outage_why);
    api->outage_why = text;
    if (!api->reachable)
        return;
    api->outage_boot_ms = clock_boot_ms();
    api->outage_wall_ms = clock_wall_ms();
}

void api_set_reachable(struct api *api, bool reachable, const char *why)
{
    if (!reachable) {
        note_outage(api, why);
        api_unmove(api);
    }
    if (api->reachable == reachable)
        return;
    api->reachable = reachable;
    if (reachable)
        wake_paused(api);
    if (api->on_reachable)
        api->on_reachable(api->on_reachable_arg, reachable, reachable ? "" : why);
}

static void call_free(struct api_call *call)
{
    struct api *api = call->api;
    if (call->request)
        http_cancel(call->request);
    ev_timer_stop(api->loop, &call->timer);
    ev_timer_stop(api->loop, &call->expiry);
    TAILQ_REMOVE(&api->calls, call, link);
    for (size_t i = 0; i < ARRAY_SIZE(call->headers); i++)
        free(call->headers[i]);
    free(call->path);
    free(call->body);
    free(call->message);
    cJSON_Delete(call->data);
    free(call);
}

/* data is taken. */
void call_finish(struct api_call *call, enum api_result result, int code, int subcode,
                 const char *message, cJSON *data)
{
    char *text = xstrdup(message);
    free(call->message);
    call->message = text;
    call->result = result == API_NOT_SENT && call->unsure ? API_UNSURE : result;
    call->code = code;
    call->subcode = subcode;
    call->data = data;
    call->state = CALL_FINISHED;
    ev_timer_stop(call->api->loop, &call->expiry);
    api_start_timer(call->api, &call->timer, 0);
}

/* The call leaves the api before its callback, which may destroy the api. */
static void call_announce(struct api_call *call)
{
    struct api_call own = *call;
    struct api_reply reply = {own.result,  own.code, own.subcode,
                              own.message, own.data, own.seconds};
    call->message = NULL;
    call->data = NULL;
    call->state = CALL_ANNOUNCED;
    TAILQ_REMOVE(&call->api->calls, call, link);
    for (size_t i = 0; i < ARRAY_SIZE(call->headers); i++)
        free(call->headers[i]);
    free(call->path);
    free(call->body);
    own.done(own.arg, &reply);
    free(own.message);
    cJSON_Delete(own.data);
    free(call);
}

static void call_pause(struct api_call *call, int64_t retry_after_ms)
{
    struct api *api = call->api;
    int64_t pause = api_backoff_ms(api, call->tries++, retry_after_ms);
    int64_t now = clock_boot_ms();
    call->told = retry_after_ms >= 0;
    call->state = CALL_PAUSED;
    api_start_timer(api, &call->timer, pause);
    if (call->deadline)
        api_start_timer(api, &call->expiry, call->deadline - now);
}

/* A try that ended without an answer that could stand: again, or that was it. */
static void try_failed(struct api_call *call, enum api_result result, int code,
                       int subcode, const char *message, bool again,
                       int64_t retry_after_ms)
{
    if (result == API_UNSURE)
        call->unsure = true;
    if (!again || call->retry == API_RETRY_NONE ||
        (call->deadline && clock_boot_ms() >= call->deadline)) {
        call_finish(call, result, code, subcode, message, NULL);
        return;
    }
    char *text = xstrdup(message);
    free(call->message);
    call->message = text;
    call_pause(call, retry_after_ms);
}

static bool worth_again(int status, const struct envelope *e)
{
    switch (status) {
    case 429:
    case 502:
    case 503:
    case 504:
    case 509:
        return true;
    default:
        /* 500 is ClearML's word for "this request fails": it would fail again. */
        return e->kind == ENVELOPE_FOREIGN ||
               (e->kind == ENVELOPE_FAILED && e->code > 500);
    }
}

/* What the server says, as the caller gets to read it. */
static void call_answered(struct api_call *call, const struct http_answer *a,
                          struct envelope *e)
{
    struct api *api = call->api;
    char text[1200];
    if (e->kind == ENVELOPE_OK) {
        call_finish(call, API_OK, e->code, e->subcode, e->message, steal(&e->data));
        return;
    }
    /* The session's permissions travel in the token: one new token, one new try. The
     * login may have been another call's. */
    if (a->status == 401 && api->authorized && !call->refreshed) {
        call->refreshed = true;
        if (call->session == api->session)
            api->rejected = true;
        call_start(call);
        return;
    }
    if (e->kind == ENVELOPE_FOREIGN)
        snprintf(text, sizeof text, "%s: %s", api->shown, e->message);
    else
        snprintf(text, sizeof text, "%s", e->message);
    enum api_result result = e->kind == ENVELOPE_REFUSED ? API_REFUSED : API_UNSURE;
    try_failed(call, result, e->code, e->subcode, text, worth_again(a->status, e),
               a->retry_after_ms);
}

/* Whoever redirects has not carried the call out. */
static void call_moved(struct api_call *call, const struct http_answer *a)
{
    struct api *api = call->api;
    struct reeve_error err = {0};
    char text[1200];
    if (call->moves++ >= MAX_MOVES)
        reeve_error_set(&err, 0, "it redirects in circles");
    else if (api_follow(api, call->path, a, &err) == 0) {
        call_start(call);
        return;
    }
    call->moves = 0;
    snprintf(text, sizeof text, "%s: %s", api->shown, err.text);
    try_failed(call, API_NOT_SENT, 0, 0, text, true, -1);
    api_set_reachable(api, false, err.text);
}

static void call_done(void *arg, const struct http_answer *a)
{
    struct api_call *call = arg;
    struct api *api = call->api;
    struct envelope e = {.kind = ENVELOPE_FOREIGN};
    char text[1200];
    call->request = NULL;
    call->seconds = a->seconds;
    if (a->outcome == HTTP_ANSWERED && a->location) {
        call_moved(call, a);
        return;
    }
    call->moves = 0;
    api_hold(api, a);
    if (a->outcome == HTTP_ANSWERED) {
        if (!call->held)
            api->latency_ms = a->seconds * 1000;
        envelope_decode(a->status, buf_str(a->body), a->body->len, &e);
        call_answered(call, a, &e);
    } else {
        snprintf(text, sizeof text, "%s: %s", api->shown, a->error);
        snprintf(e.message, sizeof e.message, "%s", a->error);
        try_failed(call, a->outcome == HTTP_NOT_SENT ? API_NOT_SENT : API_UNSURE, 0, 0,
                   text, true, -1);
    }
    envelope_free(&e);
    bool answered = e.kind != ENVELOPE_FOREIGN || a->status == 429;
    if (!a->crowded && !a->stale)
        api_set_reachable(api, answered, e.message);
}

static bool names_same_header(const char *a, const char *b)
{
    size_t n = strcspn(a, ":");
    return n == strcspn(b, ":") && !strncasecmp(a, b, n);
}

/* The caller's headers win over ours of the same name. */
static size_t add_header(const struct api_call *call, const char **headers, size_t n,
                         const char *header)
{
    if (!header)
        return n;
    for (size_t i = 0; i < ARRAY_SIZE(call->headers); i++)
        if (call->headers[i] && names_same_header(call->headers[i], header))
            return n;
    headers[n] = header;
    return n + 1;
}

static void call_send(struct api_call *call)
{
    struct api *api = call->api;
    struct reeve_error err;
    const char *headers[MAX_HEADERS] = {NULL};
    char *bearer = api->authorized ? api_bearer_dup(api) : NULL;
    size_t n = add_header(call, headers, 0, bearer);
    n = add_header(call, headers, n, api->worker_header);
    n = add_header(call, headers, n, api->client_header);
    n = add_header(call, headers, n,
                   call->json_lines ? "Content-Type: application/json-lines"
                                    : "Content-Type: application/json");
    for (size_t i = 0; i < ARRAY_SIZE(call->headers); i++)
        if (call->headers[i])
            headers[n++] = call->headers[i];
    int64_t timeout = call->timeout_ms;
    int64_t left = call->deadline ? call->deadline - clock_boot_ms() : timeout;
    if (left < timeout)
        timeout = left > 1 ? left : 1;
    auto_free char *url = xasprintf("%s%s", api_base(api), call->path);
    /* The server takes every method alike; official clients send GET by default. A
     * proxy may repeat a GET that got no answer, a POST never. */
    struct http_params params = {.method = "POST",
                                 .url = url,
                                 .headers = headers,
                                 .body = call->body,
                                 .body_len = call->body_len,
                                 .repeatable = call->repeatable,
                                 .timeout_ms = timeout};
    call->session = api->session;
    call->state = CALL_SENT;
    call->request = http_send(api->http, &params, call_done, call, &err);
    api_wipe(&bearer);
    if (!call->request)
        try_failed(call, API_NOT_SENT, 0, 0, err.text, false, -1);
}

/* While the server wants to be left alone. */
static void call_hold(struct api_call *call)
{
    struct api *api = call->api;
    int64_t now = clock_boot_ms();
    call->told = true;
    call->state = CALL_PAUSED;
    api_start_timer(api, &call->timer,
                    api->hold_until - now + random_below(api->retry_min_ms + 1));
    if (call->deadline)
        api_start_timer(api, &call->expiry, call->deadline - now);
    else if (call->retry == API_RETRY_NONE)
        api_start_timer(api, &call->expiry, call->timeout_ms);
}

void call_start(struct api_call *call)
{
    struct api *api = call->api;
    ev_timer_stop(api->loop, &call->timer);
    ev_timer_stop(api->loop, &call->expiry);
    if (clock_boot_ms() < api->hold_until) {
        call_hold(call);
        return;
    }
    if (!api->authorized || session_usable(api)) {
        if (api->authorized)
            session_refresh_if_due(api);
        call_send(call);
        return;
    }
    int64_t now = clock_boot_ms();
    call->state = CALL_WAITING;
    if (call->deadline)
        api_start_timer(api, &call->expiry, call->deadline - now);
    else if (call->retry == API_RETRY_NONE)
        api_start_timer(api, &call->expiry, call->timeout_ms);
    session_login(api);
}

static void call_timer_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct api_call *call = w->data;
    if (call->state == CALL_FINISHED)
        call_announce(call);
    else if (call->state == CALL_PAUSED)
        call_start(call);
}

/* Runs only while the call waits or pauses; a try that is under way has its own
 * time-out, which ends no later than the deadline. */
static void call_expiry_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct api_call *call = w->data;
    char text[1200];
    snprintf(text, sizeof text, "%s",
             call->message ? call->message
             : clock_boot_ms() < call->api->hold_until
                 ? "the server asked to be left alone for a while (Retry-After)"
                 : "no session");
    ev_timer_stop(loop, &call->timer);
    call_finish(call, API_NOT_SENT, 0, 0, text, NULL);
}

static bool sound_name(const char *name, const char *allowed)
{
    size_t n = strlen(name);
    return n > 0 && n < 128 && strspn(name, allowed) == n;
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-"
#define DIGITS "0123456789."

static const char *set_path(struct api_call *call, const char *version,
                            const char *endpoint)
{
    if (!sound_name(endpoint, LETTERS DIGITS) ||
        (version && !sound_name(version, DIGITS)))
        return "the name of the API call is unsound";
    if (version)
        call->path = xasprintf("/v%s/%s", version, endpoint);
    else
        call->path = xasprintf("/%s", endpoint);
    return NULL;
}

static const char *set_lines(struct api_call *call, const cJSON *body)
{
    struct buf lines = BUF_INIT;
    const cJSON *e;
    if (!cJSON_IsArray(body) || !body->child)
        return "a batch must be an array with at least one element";
    cJSON_ArrayForEach(e, body)
    {
        auto_free char *line = json_format(e);
        if (lines.len)
            buf_add_char(&lines, '\n');
        buf_add_str(&lines, line);
    }
    call->body_len = lines.len;
    call->body = buf_take(&lines);
    return NULL;
}

/* Reads, and what its caller repeats anyway. The one get_ that takes something away is
 * queues.get_next_task. */
static bool is_repeatable(const struct api_call *call, const char *endpoint)
{
    const char *action = strchr(endpoint, '.');
    if (call->retry == API_RETRY_SAFE)
        return true;
    return action && strcmp(action, ".get_next_task") != 0 &&
           (!strncmp(action, ".get_", 5) || !strcmp(action, ".peek_task"));
}

/* Returns what is wrong, NULL if nothing is. */
static const char *set_body(struct api_call *call, const cJSON *body)
{
    if (call->json_lines)
        return set_lines(call, body);
    call->body = body ? json_format(body) : xstrdup("{}");
    call->body_len = strlen(call->body);
    return NULL;
}

static bool sound_header(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

static const char *set_options(struct api_call *call, const struct api_options *o)
{
    call->timeout_ms = DEFAULT_TIMEOUT_MS;
    if (!o)
        return NULL;
    call->retry = o->retry;
    call->json_lines = o->json_lines;
    call->held = o->held;
    if (o->timeout_ms > 0)
        call->timeout_ms = o->timeout_ms;
    if (o->deadline_ms > 0)
        call->deadline = clock_boot_ms() + o->deadline_ms;
    for (size_t i = 0; i < ARRAY_SIZE(call->headers) && o->headers[i]; i++) {
        if (!sound_header(o->headers[i]))
            return "a header holds a control byte";
        call->headers[i] = xstrdup(o->headers[i]);
    }
    return NULL;
}

struct api_call *api_send(struct api *api, const char *version, const char *endpoint,
                          cJSON *body, const struct api_options *options,
                          api_done_f done, void *arg)
{
    auto_json *taken = body;
    struct api_call *call = xcalloc(1, sizeof *call);
    call->api = api;
    call->done = done;
    call->arg = arg;
    ev_timer_init(&call->timer, call_timer_cb, 0., 0.);
    ev_timer_init(&call->expiry, call_expiry_cb, 0., 0.);
    call->timer.data = call->expiry.data = call;
    TAILQ_INSERT_TAIL(&api->calls, call, link);
    const char *wrong = set_options(call, options);
    call->repeatable = is_repeatable(call, endpoint);
    if (!wrong)
        wrong = set_path(call, version, endpoint);
    if (!wrong)
        wrong = set_body(call, taken);
    if (wrong)
        call_finish(call, API_NOT_SENT, 0, 0, wrong, NULL);
    else
        call_start(call);
    return call;
}

void api_cancel(struct api_call *call)
{
    if (call->state != CALL_ANNOUNCED)
        call_free(call);
}

static int check_config(const struct api_config *c, struct reeve_error *err)
{
    if (!c->url || (strncasecmp(c->url, "http://", 7) != 0 &&
                    strncasecmp(c->url, "https://", 8) != 0))
        return reeve_error_set(err, 0,
                               "the API server's address \"%s\" must start "
                               "with http:// or https://",
                               c->url ? c->url : "");
    for (const char *p = c->url; *p; p++)
        if (*p <= ' ' || *p > '~' || *p == '?' || *p == '#')
            return reeve_error_set(err, 0,
                                   "the API server's address holds a byte "
                                   "that has no place there");
    if (!c->access_key != !c->secret_key)
        return reeve_error_set(err, 0,
                               "an access key and a secret key belong together");
    if ((c->worker && !sound_header(c->worker)) ||
        (c->client && !sound_header(c->client)))
        return reeve_error_set(err, 0, "the worker's name holds a control byte");
    return 0;
}

static void set_url_shown(struct api *api, const char *url)
{
    size_t n = strlen(url);
    while (n > 0 && url[n - 1] == '/')
        n--;
    api->url = xstrndup(url, n);
    api->shown = api_shown_dup(api->url);
}

static char *basic_dup(const char *key, const char *secret)
{
    auto_buf pair = BUF_INIT;
    auto_buf line = BUF_INIT;
    buf_printf(&pair, "%s:%s", key, secret);
    buf_add_str(&line, "Authorization: Basic ");
    base64_add(&line, pair.data, pair.len);
    explicit_bzero(pair.data, pair.len);
    return buf_take(&line);
}

static struct http *make_http(struct ev_loop *loop, const struct api_config *c,
                              struct reeve_error *err)
{
    struct http_config config = {.user_agent = c->client,
                                 .max_connections = c->max_connections,
                                 .verify = c->verify,
                                 .ca_file = c->ca_file,
                                 .direct = c->direct};
    return http_create(loop, &config, err);
}

struct api *api_create(struct ev_loop *loop, const struct api_config *config,
                       struct reeve_error *err)
{
    if (check_config(config, err) != 0)
        return NULL;
    struct token *token = NULL;
    if (config->token && !(token = token_parse(config->token, err)))
        return NULL;
    struct http *http = make_http(loop, config, err);
    if (!http) {
        token_free(token);
        return NULL;
    }
    struct api *api = xcalloc(1, sizeof *api);
    api->loop = loop;
    api->http = http;
    TAILQ_INIT(&api->calls);
    session_init(api);
    set_url_shown(api, config->url);
    api->retry_min_ms =
        config->retry_min_ms > 0 ? config->retry_min_ms : DEFAULT_RETRY_MIN_MS;
    api->retry_max_ms =
        config->retry_max_ms > 0 ? config->retry_max_ms : DEFAULT_RETRY_MAX_MS;
    api->expiration_s = config->token_expiration_s;
    api->reachable = true;
    api->latency_ms = -1;
    if (config->worker)
        api->worker_header = xasprintf("X-ClearML-Worker: %s", config->worker);
    if (config->client)
        api->client_header = xasprintf("X-ClearML-Client: %s", config->client);
    if (config->access_key)
        api->basic = basic_dup(config->access_key, config->secret_key);
    api->threshold_s = token ? REFRESH_THRESHOLD_TOKEN_S : REFRESH_THRESHOLD_S;
    api->authorized = token || api->basic;
    if (token)
        session_take(api, token, false);
    return api;
}

void api_destroy(struct api *api)
{
    struct api_call *call;
    if (!api)
        return;
    while ((call = TAILQ_FIRST(&api->calls)))
        call_free(call);
    session_stop(api);
    http_destroy(api->http);
    api_wipe(&api->basic);
    free(api->worker_header);
    free(api->client_header);
    free(api->url);
    api_unmove(api);
    free(api->outage_why);
    free(api->shown);
    free(api);
}

void api_on_reachable(struct api *api, api_reachable_f fn, void *arg)
{
    api->on_reachable = fn;
    api->on_reachable_arg = arg;
}

bool api_reachable(const struct api *api)
{
    return api->reachable;
}

int64_t api_outage_since_ms(const struct api *api)
{
    return api->outage_wall_ms;
}

int64_t api_outage_age_ms(const struct api *api)
{
    return api->outage_boot_ms ? clock_boot_ms() - api->outage_boot_ms : 0;
}

const char *api_outage_why(const struct api *api)
{
    return api->outage_why ? api->outage_why : "";
}

const char *api_shown(const struct api *api)
{
    return api->shown;
}

const char *api_moved(const struct api *api)
{
    return api->moved_shown;
}

double api_latency_ms(const struct api *api)
{
    return api->latency_ms;
}

const char *api_server_version(const struct api *api)
{
    return api->token ? token_api_version(api->token) : "";
}

bool api_older_than(const struct api *api, int major, int minor)
{
    int has_major = 2, has_minor = 1;
    if (sscanf(api_server_version(api), "%4d.%4d", &has_major, &has_minor) < 1)
        has_major = 2;
    return has_major < major || (has_major == major && has_minor < minor);
}

bool api_has_extension(const struct api *api, const char *name)
{
    return api->token && token_has_extension(api->token, name);
}

const char *api_token(const struct api *api)
{
    return api->token ? token_text(api->token) : NULL;
}

const char *api_user(const struct api *api)
{
    return api->token ? token_user(api->token) : "";
}
