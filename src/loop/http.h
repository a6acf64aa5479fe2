/* http.h - HTTP requests on the event loop: libcurl multi on libev
 *
 * A request is written to a server at most once, also when a kept-alive connection
 * turns out to be closed, unless the caller allows more. Redirects are not followed:
 * they are answers. The proxy variables of the environment (proxy.h) and those that
 * name certificates (trust.h) are respected. Answers may come packed (gzip). The
 * program must ignore SIGPIPE. */
#ifndef REEVE_HTTP_H
#define REEVE_HTTP_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ev_loop;
struct http;
struct http_request;

struct http_config {
    const char *user_agent;
    int max_connections; /* at once, kept alive; more requests wait. 0: 4 */
    bool verify;         /* TLS certificates */
    const char *ca_file; /* or a folder of them; NULL: the system's */
    bool direct;         /* through no proxy, whatever the environment says */
    size_t max_response; /* bytes, unpacked; a longer answer is an error. 0: 64 MiB */
};

struct http *http_create(struct ev_loop *loop, const struct http_config *config,
                         struct reeve_error *err);
/* Cancels what is under way, without callbacks. NULL is fine. */
void http_destroy(struct http *http);

/* How far a request got: what the caller may conclude when there is no answer. */
enum http_outcome {
    HTTP_ANSWERED, /* a whole answer; see status */
    HTTP_NOT_SENT, /* no connection, name not found, TLS refused: certainly not applied
                    */
    HTTP_NO_ANSWER /* sent, perhaps in part; no or half an answer: may have been applied
                    */
};

struct http_answer {
    enum http_outcome outcome;
    int status;
    const struct buf *body; /* valid during the callback */
    const char *location;   /* where a redirect goes, absolute; NULL: no redirect */
    int64_t retry_after_ms; /* Retry-After in seconds or as a date; -1: none */
    bool crowded;           /* NOT_SENT for want of a free connection: says nothing
                               about the server */
    bool stale;             /* NO_ANSWER since a kept-alive connection was closed at
                               that moment: says nothing about the server either */
    const char *error;      /* for outcome other than HTTP_ANSWERED: one line */
    double seconds;
};

typedef void (*http_done_f)(void *arg, const struct http_answer *answer);

struct http_params {
    const char *method; /* "GET", "POST", "PUT", "HEAD"; any may have a body */
    const char *url;
    const char *const *headers; /* "Name: value", NULL-terminated; NULL: none */
    const void *body;           /* copied; may be NULL */
    size_t body_len;
    int64_t connect_timeout_ms; /* 0: 10,000 */
    bool urgent;                /* ahead of those that wait for a connection */
    bool repeatable;            /* being carried out twice changes nothing: sent again
                                   if a kept-alive connection closes without an answer */
    int64_t timeout_ms;         /* from http_send to the end; 0: 30,000 */
};

/* The callback runs once, from the loop, never before this returns; the request is gone
 * after it. NULL with err if it could not be started: no callback then. */
struct http_request *http_send(struct http *http, const struct http_params *params,
                               http_done_f done, void *arg, struct reeve_error *err);
/* Ends a request without a callback. */
void http_cancel(struct http_request *request);

#endif
