/* api.h - a session with a ClearML API server: login, token refresh, retries, envelopes
 *
 * Rules come from ClearML's own clients (clearml/backend_api/session/session.py): Basic
 * login at auth.login, Bearer afterwards, one refresh on 401, retry on 429, 502, 503,
 * 504, 509 with back-off, jitter and Retry-After. A redirect to the same host is
 * followed, also to https and to another path; never to another host or out of https,
 * since keys and token would go along. Calls are POSTs: to the server all
 * methods are alike, but a proxy may repeat a GET by itself. A call is written at most
 * once a try. Without keys and token calls carry no authorization. The program must
 * ignore SIGPIPE. */
#ifndef REEVE_API_H
#define REEVE_API_H

#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

struct ev_loop;
struct api;
struct api_call;

struct api_config {
    const char *url; /* "http://127.0.0.1:8008", a base path allowed */
    const char *access_key, *secret_key;
    const char *token;  /* instead of keys; NULL: none */
    const char *worker; /* X-ClearML-Worker */
    const char *client; /* X-ClearML-Client, "reeve-0.1.0" */
    bool verify;
    const char *ca_file; /* or a folder; NULL: the system's, see loop/trust.h */
    bool direct;         /* past the environment's proxies */
    int max_connections; /* 0: 4. A call that the server holds (wait) occupies one */
    int64_t retry_min_ms, retry_max_ms; /* 0: 500 and 60,000 */
    int64_t token_expiration_s;         /* asked for at login; 0: server's default */
};

struct api *api_create(struct ev_loop *loop, const struct api_config *config,
                       struct reeve_error *err);
void api_destroy(struct api *api);

enum api_result {
    API_OK,       /* meta.result_code 200 */
    API_REFUSED,  /* the server's own certain no: code and subcode tell */
    API_NOT_SENT, /* certainly not applied */
    API_UNSURE    /* may have been applied: no answer, half an answer, none that is
                     ClearML's, or its own failure half-way (code 500 and above) */
};

struct api_reply {
    enum api_result result;
    int code, subcode;   /* 400/110 and so on; 0 unless the server answered */
    const char *message; /* one line: the server's result_msg or what went wrong */
    cJSON *data; /* object, never NULL with API_OK; borrowed, or detach what you keep */
    double seconds;
};

typedef void (*api_done_f)(void *arg, const struct api_reply *reply);

enum api_retry {
    API_RETRY_NONE, /* one try; the caller decides. If there is no session yet, one
                       login too: without an answer to that the call is NOT_SENT */
    API_RETRY_SAFE  /* idempotent: tried again until it is answered or deadline_ms is
                       over; waits for the login and for the server to come back */
};

struct api_options {
    enum api_retry retry;
    int64_t timeout_ms;     /* of one try; 0: 30,000 */
    int64_t deadline_ms;    /* over all tries; 0: none */
    const char *headers[4]; /* extra ones, NULL-terminated */
    bool held;       /* the server may hold the answer: no measure of its latency */
    bool json_lines; /* body is an array, sent as application/json-lines, one element a
                        line */
};

/* endpoint: "tasks.get_all"; version "2.14" or NULL for none in the path. body is taken
 * and may be NULL for {}. options NULL: one try. The callback runs once, from the loop.
 * Never NULL; a call that cannot be made at all (an unsound name, a header with control
 * bytes) is NOT_SENT. */
struct api_call *api_send(struct api *api, const char *version, const char *endpoint,
                          cJSON *body, const struct api_options *options,
                          api_done_f done, void *arg);
/* Ends a call without a callback. Inside its own callback it does nothing. */
void api_cancel(struct api_call *call);

/* "Server unreachable" is known here once for all calls: from the first failed try
 * until the next answer (of ClearML's; a proxy's error page is none, and neither is a
 * refused login, which leaves nothing to be done there). The callback says each change;
 * it may destroy the api. */
typedef void (*api_reachable_f)(void *arg, bool reachable, const char *why);
void api_on_reachable(struct api *api, api_reachable_f fn, void *arg);
bool api_reachable(const struct api *api);
/* The outage under way, and until the next one begins the last one: when it began (wall
 * clock, 0: there was none), how long ago that is, and what the last try in it said. */
int64_t api_outage_since_ms(const struct api *api);
int64_t api_outage_age_ms(const struct api *api);
const char *api_outage_why(const struct api *api);
/* The configured address, and where redirects have led (NULL: nowhere else), both as
 * they may be shown: without user and password. */
const char *api_shown(const struct api *api);
const char *api_moved(const struct api *api);
double api_latency_ms(const struct api *api); /* of the last answer; -1: none yet */
/* From the token's claims after the first login; "" before: "2.31". */
const char *api_server_version(const struct api *api);
/* True if the server's API is older than that; one that does not say its version counts
 * as 2.1, as with ClearML's own clients. */
bool api_older_than(const struct api *api, int major, int minor);
/* True if the server announced the extension in its login claims ("reeve": ["wait",
 * ...]). */
bool api_has_extension(const struct api *api, const char *name);
const char *api_token(const struct api *api); /* current one or NULL */
const char *api_user(const struct api *api);  /* identity.user of the token or "" */

/* For programs without a loop of their own (the command line): sends one call and runs
 * a private loop until it is answered. *data is the caller's, NULL unless API_OK; what
 * went wrong is copied into err. data, code, subcode and err may be NULL. */
struct api_sync;
struct api_sync *api_sync_create(const struct api_config *config,
                                 struct reeve_error *err);
void api_sync_destroy(struct api_sync *s); /* NULL is fine */
/* For its token, version and extensions; the loop below it is private. */
struct api *api_sync_api(struct api_sync *s);
enum api_result api_sync_call(struct api_sync *s, const char *endpoint, cJSON *body,
                              const struct api_options *options, cJSON **data,
                              int *code, int *subcode, struct reeve_error *err);

#endif
