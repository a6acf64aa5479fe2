/* api-internal.h - what api.c (calls) and api-login.c (the session) share */
#ifndef REEVE_API_INTERNAL_H
#define REEVE_API_INTERNAL_H

#include "clearml/api.h"
#include "clearml/envelope.h"
#include "clearml/token.h"
#include "loop/http.h"

#include <ev.h>
#include <sys/queue.h>

enum call_state {
    CALL_WAITING,  /* for the login */
    CALL_SENT,     /* a try is under way */
    CALL_PAUSED,   /* until the next try */
    CALL_FINISHED, /* its reply is announced in the loop's next turn */
    CALL_ANNOUNCED /* the callback is running */
};

struct api_call {
    TAILQ_ENTRY(api_call) link;
    struct api *api;
    enum call_state state;
    char *path; /* "/v2.14/queues.get_next_task" */
    char *body;
    size_t body_len;
    char *headers[4];
    bool json_lines, held, repeatable;
    enum api_retry retry;
    int64_t timeout_ms;
    int64_t deadline; /* clock_boot_ms; 0: none */
    struct http_request *request;
    ev_timer timer;   /* pause, or the announcement */
    ev_timer expiry;  /* deadline while waiting or paused */
    unsigned tries;   /* failed ones */
    unsigned session; /* number of the session that the last try used */
    bool refreshed;   /* a 401 was answered by a login already */
    bool unsure;      /* some try may have been applied */
    bool told;        /* the server said when to come again */
    unsigned moves;   /* redirects that were followed in a row */
    /* The reply, or the last failure. */
    enum api_result result;
    int code, subcode;
    char *message;
    cJSON *data;
    double seconds;
    api_done_f done;
    void *arg;
};

struct api {
    struct ev_loop *loop;
    struct http *http;
    char *url;                 /* as configured, without a slash at the end */
    char *moved;               /* where redirects lead, NULL: nowhere else */
    char *shown, *moved_shown; /* the same without user and password, for messages */
    char *basic;               /* "Authorization: Basic ..." or NULL */
    char *worker_header, *client_header;
    int64_t retry_min_ms, retry_max_ms, expiration_s;
    TAILQ_HEAD(, api_call) calls;

    bool reachable;
    int64_t outage_boot_ms, outage_wall_ms; /* the last one's begin; 0: none so far */
    char *outage_why;                       /* of the last failed try */
    int64_t hold_until; /* clock_boot_ms: the server asked to be left alone */
    double latency_ms;
    api_reachable_f on_reachable;
    void *on_reachable_arg;

    /* The session. */
    struct token *token; /* NULL: none */
    bool authorized;     /* calls carry a token; false without keys and token */
    unsigned session;    /* counts logins */
    int64_t refresh_at; /* clock_boot_ms: a new token is asked for, the old one works */
    int64_t expires_at; /* the old one doesn't */
    int64_t threshold_s;
    bool rejected; /* the token was answered with 401 */
    struct http_request *login;
    ev_timer login_again;
    unsigned login_failures;
    unsigned login_moves;     /* redirects of the login under way */
    int64_t login_not_before; /* clock_boot_ms */
};

/* api-login.c */
void session_init(struct api *api);
bool session_usable(const struct api *api);
/* A login is under way or due afterwards. */
void session_login(struct api *api);
/* Asks for a new token in the background when the time has come. */
void session_refresh_if_due(struct api *api);
void session_take(struct api *api, struct token *token, bool fresh);
void session_stop(struct api *api);

/* api-move.c: an address without user and password; the base address in use; what a
 * redirect of base + path leads to. */
char *api_shown_dup(const char *url);
const char *api_base(const struct api *api);
/* 0: api_base() is another now, and the call is to be sent there. -1: not followed. */
int api_follow(struct api *api, const char *path, const struct http_answer *a,
               struct reeve_error *err);
/* Back to what is configured. */
void api_unmove(struct api *api);

/* api.c */
void call_start(struct api_call *call);
void call_finish(struct api_call *call, enum api_result result, int code, int subcode,
                 const char *message, cJSON *data);
/* Full jitter: between 0 and min(retry_max, retry_min * 2^failures), never below what
 * the server asked for (retry_after_ms, -1: nothing). */
int64_t api_backoff_ms(const struct api *api, unsigned failures,
                       int64_t retry_after_ms);
void api_start_timer(struct api *api, ev_timer *timer, int64_t ms);
/* Keeps what an answer says of the server's load: "come again in ... seconds". */
void api_hold(struct api *api, const struct http_answer *a);
/* May call into the program, which may destroy the api: nothing may follow. */
void api_set_reachable(struct api *api, bool reachable, const char *why);
/* "Authorization: Bearer ..." of the current token, to be wiped and freed. */
char *api_bearer_dup(const struct api *api);
void api_wipe(char **text);

#endif
