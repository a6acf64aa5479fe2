/* http.h - HTTP on libmicrohttpd: listeners, handlers with streaming bodies, answers
 *
 * Each listener has one handler. A request's callbacks run on the listener's threads,
 * never two at a time for one request. Bounded by http.c and front.c: size of the
 * headers, number of connections, idle time, time of a whole request. */
#ifndef REEVE_SERVER_HTTP_H
#define REEVE_SERVER_HTTP_H

#include "base/buf.h"
#include "base/error.h"
#include "server/call.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct server;
struct http_request;
struct MHD_Connection;

struct http_handler {
    /* The headers are in. Returns the request's state, which may be NULL. A handler
     * that answers here already does so without the body, and the connection ends. */
    void *(*begin)(struct server *server, struct http_request *request);
    /* A piece of the body as it arrives; NULL if the handler wants none. After an
     * answer the rest of the body is read and dropped. */
    void (*body)(void *state, struct http_request *request, const char *data, size_t n);
    /* The whole request is in: http_reply*, or http_suspend; then called again after
     * http_resume. Not called if there is an answer already. */
    void (*end)(void *state, struct http_request *request);
    /* The request is over, whatever became of it. */
    void (*destroy)(void *state);
};

/* The API (api.c) and the file server (fileserver.c). */
extern const struct http_handler api_handler, fileserver_handler;

/* Only in begin: the rest of the request goes to another handler, which sees the path
 * behind the first n bytes. Returns that handler's state, to be returned by begin. */
void *http_delegate(struct http_request *request, const struct http_handler *handler,
                    size_t n);

/* ---- the request ---- */
const char *http_method(const struct http_request *request);
/* Decoded path, from "/"; behind a prefix (/api, /files on the web port) what follows
 * it. */
const char *http_path(const struct http_request *request);
/* Value of a header, any case; NULL if absent. */
const char *http_header(const struct http_request *request, const char *name);
const char *http_cookie(const struct http_request *request, const char *name);
/* Value of a query argument ("" if it has none); NULL if absent. */
const char *http_query(const struct http_request *request, const char *name);
/* Content-Length, or -1 if absent (chunked or no body). */
int64_t http_content_length(const struct http_request *request);
/* For MHD_create_post_processor and MHD_get_connection_values. */
struct MHD_Connection *http_connection(const struct http_request *request);
struct server *http_server(const struct http_request *request);
/* The client's address: X-Forwarded-For, X-Real-IP, else the peer's. */
void http_client_ip(const struct http_request *request, char out[64]);
/* Who calls: Authorization (Basic or Bearer), else the cookie. 0 with caller filled, or
 * the 401 subcode of ClearML (20: nothing given). why: a text of its message or NULL.
 */
int http_authenticate(const struct http_request *request, struct caller *caller,
                      char why[256]);

/* ---- the answer; headers first ---- */
void http_add_header(struct http_request *request, const char *name, const char *value);
/* body is copied. */
void http_reply(struct http_request *request, int status, const char *content_type,
                const void *body, size_t n);
void http_reply_text(struct http_request *request, int status, const char *text);
/* body is malloc'ed and taken. */
void http_reply_take(struct http_request *request, int status, const char *content_type,
                     char *body, size_t n);
/* n bytes of a file from offset; fd is taken. HEAD sends the headers alone. */
void http_reply_fd(struct http_request *request, int status, const char *content_type,
                   int fd, uint64_t offset, uint64_t n);

/* A body that is made in pieces while it is sent, on the listener's threads. next
 * appends one, nothing at the end; -1 ends the connection. done is called once,
 * whatever became of the request. */
struct http_stream {
    int (*next)(void *state, struct buf *out);
    void (*done)(void *state);
    void *state;
};
void http_reply_stream(struct http_request *request, int status,
                       const char *content_type, const struct http_stream *stream);

/* Only in end: stops the connection until http_resume, which any thread may call. */
void http_suspend(struct http_request *request);
void http_resume(struct http_request *request);

/* ---- listeners ---- */
struct http_listener;

struct http_listener_options {
    const char *address; /* numeric, IPv4 or IPv6 */
    uint16_t port;       /* 0: a free one */
    unsigned threads;
    unsigned connections; /* at most, over all threads */
    unsigned idle_s;      /* silence that ends a connection, between requests too */
    const struct http_handler *handler;
};

struct http_listener *http_listen(struct server *server,
                                  const struct http_listener_options *options,
                                  struct reeve_error *err);
uint16_t http_port(const struct http_listener *listener);
/* Accepts no more, and drops whose first head is not in; requests that run go on. */
void http_quiesce(struct http_listener *listener);
/* Waits until what is suspended was resumed and answered, then ends what is open. */
void http_close(struct http_listener *listener);
/* Ends connections whose headers or body take too long. To be called every few seconds.
 */
void http_sweep(struct http_listener *listener);

#endif
