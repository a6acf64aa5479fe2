/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/http.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "loop/tcp.h"
#include "server/auth.h"
#include "server/front.h"
#include "server/head.h"
#include "server/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* From the end of one request to the end of the next one's headers, for each second of
 * allowed silence: more than that, so that only those are met who keep sending a byte
 * now and then. */
#define HEADERS_MS 1250
/* A body may take this long, and longer if it comes at this rate. */
#define BODY_MS 120000
#define BODY_BYTES_PER_MS 8
/* How much of a body that nobody wants any more is read before the connection is cut.
 */
#define DISCARD_MAX (UINT64_C(4) << 20)

enum peer_phase { PEER_IDLE, PEER_READING, PEER_ANSWERING };

/* One connection, from accept to close, for http_sweep. */
struct peer {
    struct peer *next, **prev;
    int fd;
    atomic_int phase;
    _Atomic int64_t since_ms;
    _Atomic uint64_t received;
};

struct http_listener {
    struct server *server;
    const struct http_handler *handler;
    struct MHD_Daemon *daemon;
    struct front *front;
    int fd; /* listens */
    uint16_t port;
    int64_t headers_ms;
    pthread_mutex_t lock; /* of peers */
    struct peer *peers;
    /* libmicrohttpd may not be stopped while a connection is suspended. */
    atomic_bool closing;
    atomic_int running, suspended;
};

struct http_request {
    struct http_listener *listener;
    struct MHD_Connection *connection;
    struct peer *peer;
    const struct http_handler *handler;
    const char *method, *path; /* MHD's, valid for the request's life */
    void *state;
    struct MHD_Response *response;
    int status;
    bool suspended;
    uint64_t dropped;
    struct header {
        struct header *next;
        char *name, *value;
    } * headers;
};

/* ---- the request ---- */

const char *http_method(const struct http_request *request)
{
    return request->method;
}

const char *http_path(const struct http_request *request)
{
    return request->path;
}

const char *http_header(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *http_cookie(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_COOKIE_KIND, name);
}

const char *http_query(const struct http_request *request, const char *name)
{
    const char *value = NULL;
    size_t n = 0;
    if (MHD_lookup_connection_value_n(request->connection, MHD_GET_ARGUMENT_KIND, name,
                                      strlen(name), &value, &n) != MHD_YES)
        return NULL;
    return value ? value : "";
}

int64_t http_content_length(const struct http_request *request)
{
    const char *text = http_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (!text || *text < '0' || *text > '9')
        return -1;
    errno = 0;
    long long n = strtoll(text, NULL, 10);
    return errno ? INT64_MAX : n;
}

struct MHD_Connection *http_connection(const struct http_request *request)
{
    return request->connection;
}

struct server *http_server(const struct http_request *request)
{
    return request->listener->server;
}

static void peer_address(const struct http_request *request, char out[64])
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    out[0] = '\0';
    if (!info || !info->client_addr)
        return;
    const struct sockaddr *a = info->client_addr;
    if (a->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, out, 64);
    else if (a->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)a)->sin6_addr, out, 64);
}

void http_client_ip(const struct http_request *request, char out[64])
{
    const char *said = http_header(request, "X-Forwarded-For");
    size_t n = said ? strcspn(said, ", ") : 0;
    if (n == 0) {
        said = http_header(request, "X-Real-IP");
        n = said ? strlen(said) : 0;
    }
    if (n > 0 && n < 64)
        snprintf(out, 64, "%.*s", (int)n, said);
    else
        peer_address(request, out);
}

int http_authenticate(const struct http_request *request, struct caller *caller,
                      char why[256])
{
    return auth_check(http_server(request), http_header(request, "Authorization"),
                      http_cookie(request, AUTH_COOKIE), caller, NULL, why);
}

void *http_delegate(struct http_request *request, const struct http_handler *handler,
                    size_t n)
{
    request->path += n;
    request->handler = handler;
    return handler->begin(http_server(request), request);
}

/* ---- the answer ---- */

void http_add_header(struct http_request *request, const char *name, const char *value)
{
    struct header *h = xcalloc(1, sizeof *h);
    h->name = xstrdup(name);
    h->value = xstrdup(value);
    h->next = request->headers;
    request->headers = h;
}

static void headers_free(struct http_request *request)
{
    while (request->headers) {
        struct header *h = request->headers;
        request->headers = h->next;
        free(h->name);
        free(h->value);
        free(h);
    }
}

static void set_response(struct http_request *request, int status,
                         const char *content_type, struct MHD_Response *response)
{
    if (!response)
        abort();
    if (request->response)
        MHD_destroy_response(request->response);
    request->response = response;
    request->status = status;
    MHD_add_response_header(response, "server", "clearml");
    MHD_add_response_header(response, "Access-Control-Allow-Origin", "*");
    if (content_type)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    /* A value with bytes that no header may have is refused here, and left out. */
    for (struct header *h = request->headers; h; h = h->next)
        MHD_add_response_header(response, h->name, h->value);
    headers_free(request);
}

void http_reply(struct http_request *request, int status, const char *content_type,
                const void *body, size_t n)
{
    set_response(
        request, status, content_type,
        MHD_create_response_from_buffer(n, (void *)body, MHD_RESPMEM_MUST_COPY));
}

void http_reply_text(struct http_request *request, int status, const char *text)
{
    http_reply(request, status, "text/html; charset=utf-8", text, strlen(text));
}

void http_reply_take(struct http_request *request, int status, const char *content_type,
                     char *body, size_t n)
{
    set_response(request, status, content_type,
                 MHD_create_response_from_buffer(n, body, MHD_RESPMEM_MUST_FREE));
}

void http_reply_fd(struct http_request *request, int status, const char *content_type,
                   int fd, uint64_t offset, uint64_t n)
{
    struct MHD_Response *response =
        MHD_create_response_from_fd_at_offset64(n, fd, offset);
    if (!response) {
        close(fd);
        http_reply_text(request, 500, "cannot read the file");
        return;
    }
    set_response(request, status, content_type, response);
}

/* What is left of the piece at hand. */
struct streaming {
    struct http_stream stream;
    struct buf piece;
    size_t sent;
};

static ssize_t stream_read(void *cls, uint64_t pos, char *out, size_t max)
{
    struct streaming *s = cls;
    if (s->sent == s->piece.len) {
        buf_clear(&s->piece);
        s->sent = 0;
        if (s->stream.next(s->stream.state, &s->piece) < 0)
            return MHD_CONTENT_READER_END_WITH_ERROR;
        if (!s->piece.len)
            return MHD_CONTENT_READER_END_OF_STREAM;
    }
    size_t n = s->piece.len - s->sent < max ? s->piece.len - s->sent : max;
    memcpy(out, s->piece.data + s->sent, n);
    s->sent += n;
    return (ssize_t)n;
}

static void stream_free(void *cls)
{
    struct streaming *s = cls;
    s->stream.done(s->stream.state);
    buf_free(&s->piece);
    free(s);
}

#define STREAM_BLOCK 65536

void http_reply_stream(struct http_request *request, int status,
                       const char *content_type, const struct http_stream *stream)
{
    struct streaming *s = xcalloc(1, sizeof *s);
    s->stream = *stream;
    set_response(request, status, content_type,
                 MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK,
                                                   stream_read, s, stream_free));
}

void http_suspend(struct http_request *request)
{
    request->suspended = true;
    atomic_fetch_add(&request->listener->suspended, 1);
    MHD_suspend_connection(request->connection);
}

void http_resume(struct http_request *request)
{
    MHD_resume_connection(request->connection);
}

/* ---- libmicrohttpd's callbacks ---- */

static enum MHD_Result send_answer(struct http_request *request)
{
    atomic_store(&request->peer->phase, PEER_ANSWERING);
    enum MHD_Result result = MHD_queue_response(
        request->connection, (unsigned)request->status, request->response);
    MHD_destroy_response(request->response);
    request->response = NULL;
    return result;
}

/* An answer that does not wait for the body ends the connection. libmicrohttpd sees to
 * it that the body of a POST or PUT is forgotten, but would take that of a GET for the
 * next request. */
static enum MHD_Result send_early(struct http_request *request)
{
    MHD_add_response_header(request->response, MHD_HTTP_HEADER_CONNECTION, "close");
    return send_answer(request);
}

static bool has_body(const struct http_request *request)
{
    return http_content_length(request) > 0 ||
           http_header(request, MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

static struct http_request *request_new(struct http_listener *listener,
                                        struct MHD_Connection *connection,
                                        const char *method, const char *path)
{
    struct http_request *request = xcalloc(1, sizeof *request);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    request->listener = listener;
    request->connection = connection;
    request->handler = listener->handler;
    request->method = method;
    request->path = path;
    request->peer = info->socket_context;
    atomic_store(&request->peer->received, 0);
    atomic_store(&request->peer->since_ms, clock_boot_ms());
    atomic_store(&request->peer->phase, PEER_READING);
    return request;
}

static enum MHD_Result take_body(struct http_request *request, const char *data,
                                 size_t *n)
{
    atomic_fetch_add(&request->peer->received, *n);
    if (request->response) {
        request->dropped += *n;
        if (request->dropped > DISCARD_MAX)
            return MHD_NO;
    } else if (request->handler->body) {
        request->handler->body(request->state, request, data, *n);
    }
    *n = 0;
    return MHD_YES;
}

/* The whole request is in, or its connection was resumed. */
static enum MHD_Result finish(struct http_request *request)
{
    if (!request->response) {
        atomic_store(&request->peer->phase, PEER_ANSWERING);
        if (request->suspended) {
            request->suspended = false;
            atomic_fetch_sub(&request->listener->suspended, 1);
        }
        request->handler->end(request->state, request);
        if (request->suspended)
            return MHD_YES;
    }
    if (!request->response)
        http_reply_text(request, 500, "no answer");
    return send_answer(request);
}

static enum MHD_Result start(struct http_listener *listener,
                             struct MHD_Connection *connection, const char *url,
                             const char *method, void **req_cls)
{
    struct http_request *request = request_new(listener, connection, method, url);
    *req_cls = request;
    request->state = request->handler->begin(listener->server, request);
    /* Without a body the answer goes out when the request is in, and the connection
     * stays. */
    return request->response && has_body(request) ? send_early(request) : MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection,
                                  const char *url, const char *method,
                                  const char *version, const char *upload_data,
                                  size_t *upload_data_size, void **req_cls)
{
    struct http_listener *listener = cls;
    struct http_request *request = *req_cls;
    enum MHD_Result result = MHD_NO;
    atomic_fetch_add(&listener->running, 1);
    /* While it closes, only what is suspended is still answered. */
    if (!atomic_load(&listener->closing) || (request && request->suspended)) {
        if (!request)
            result = start(listener, connection, url, method, req_cls);
        else if (*upload_data_size > 0)
            result = take_body(request, upload_data, upload_data_size);
        else
            result = finish(request);
    }
    atomic_fetch_sub(&listener->running, 1);
    return result;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **req_cls,
                         enum MHD_RequestTerminationCode why)
{
    struct http_request *request = *req_cls;
    if (!request)
        return;
    /* Resumed, but its client had gone meanwhile: finish() is not called for it. */
    if (request->suspended)
        atomic_fetch_sub(&request->listener->suspended, 1);
    if (request->handler->destroy && request->state)
        request->handler->destroy(request->state);
    if (request->response)
        MHD_destroy_response(request->response);
    headers_free(request);
    atomic_store(&request->peer->since_ms, clock_boot_ms());
    atomic_store(&request->peer->phase, PEER_IDLE);
    free(request);
    *req_cls = NULL;
}

static void on_connection(void *cls, struct MHD_Connection *connection,
                          void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_listener *listener = cls;
    struct peer *peer = *socket_context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context = peer = xcalloc(1, sizeof *peer);
        peer->fd =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
                ->connect_fd;
        peer->since_ms = clock_boot_ms();
        pthread_mutex_lock(&listener->lock);
        peer->next = listener->peers;
        peer->prev = &listener->peers;
        if (peer->next)
            peer->next->prev = &peer->next;
        listener->peers = peer;
        pthread_mutex_unlock(&listener->lock);
        return;
    }
    pthread_mutex_lock(&listener->lock);
    *peer->prev = peer->next;
    if (peer->next)
        peer->next->prev = peer->prev;
    pthread_mutex_unlock(&listener->lock);
    free(peer);
    front_release(listener->front);
}

static void __attribute__((format(printf, 2, 0)))
on_log(void *cls, const char *fmt, va_list ap)
{
    char text[256];
    if (log_get_level() < LOG_LEVEL_DEBUG)
        return;
    vsnprintf(text, sizeof text, fmt, ap);
    text[strcspn(text, "\n")] = '\0';
    log_debug("http: %s", text);
}

static bool overdue(const struct http_listener *listener, struct peer *peer,
                    int64_t now)
{
    int64_t took = now - atomic_load(&peer->since_ms);
    switch (atomic_load(&peer->phase)) {
    case PEER_IDLE:
        return took > listener->headers_ms;
    case PEER_READING:
        return took - (int64_t)(atomic_load(&peer->received) / BODY_BYTES_PER_MS) >
               BODY_MS;
    default:
        return false;
    }
}

void http_sweep(struct http_listener *listener)
{
    int64_t now = clock_boot_ms();
    pthread_mutex_lock(&listener->lock);
    for (struct peer *peer = listener->peers; peer; peer = peer->next)
        if (overdue(listener, peer, now))
            shutdown(peer->fd, SHUT_RDWR);
    pthread_mutex_unlock(&listener->lock);
}

/* ---- listening ---- */

/* The front keeps to the limit of connections. libmicrohttpd would share it out among
 * its threads, and close what comes to a thread that is full. */
static struct MHD_Daemon *daemon_start(struct http_listener *listener,
                                       const struct http_listener_options *options)
{
    unsigned threads = options->threads > 0 ? options->threads : 1;
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
            MHD_USE_NO_LISTEN_SOCKET,
        0, NULL, NULL, on_request, listener, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
        MHD_OPTION_THREAD_POOL_SIZE, threads > 1 ? threads : 0u,
        MHD_OPTION_CONNECTION_LIMIT, (options->connections + 1) * threads,
        MHD_OPTION_CONNECTION_TIMEOUT, options->idle_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_MEMORY,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, listener, MHD_OPTION_END);
}

static bool take_connection(void *arg, int fd, const struct sockaddr *address,
                            socklen_t n)
{
    struct http_listener *listener = arg;
    return MHD_add_connection(listener->daemon, fd, address, n) == MHD_YES;
}

static int start_listener(struct http_listener *listener,
                          const struct http_listener_options *options,
                          struct reeve_error *err)
{
    struct front_options front = {
        .server = listener->server,
        .fd = listener->fd,
        .connections = options->connections > 0 ? options->connections : 1,
        .idle_ms = (int64_t)options->idle_s * 1000,
        .head_ms = listener->headers_ms,
        .take = take_connection,
        .arg = listener,
    };
    listener->daemon = daemon_start(listener, options);
    if (!listener->daemon)
        return reeve_error_set(err, 0, "cannot start the HTTP threads for port %u",
                               listener->port);
    listener->front = front_create(&front);
    return front_start(listener->front, err);
}

struct http_listener *http_listen(struct server *server,
                                  const struct http_listener_options *options,
                                  struct reeve_error *err)
{
    uint16_t port = options->port;
    int fd = tcp_listen(options->address, &port, err);
    if (fd < 0)
        return NULL;
    struct http_listener *listener = xcalloc(1, sizeof *listener);
    listener->server = server;
    listener->handler = options->handler;
    listener->port = port;
    listener->fd = fd;
    listener->headers_ms = (int64_t)options->idle_s * HEADERS_MS;
    pthread_mutex_init(&listener->lock, NULL);
    if (start_listener(listener, options, err) == 0)
        return listener;
    http_close(listener);
    return NULL;
}

uint16_t http_port(const struct http_listener *listener)
{
    return listener->port;
}

void http_quiesce(struct http_listener *listener)
{
    if (listener->front)
        front_stop(listener->front);
}

void http_close(struct http_listener *listener)
{
    if (!listener)
        return;
    http_quiesce(listener);
    atomic_store(&listener->closing, true);
    while (atomic_load(&listener->running) > 0 || atomic_load(&listener->suspended) > 0)
        usleep(1000);
    if (listener->daemon)
        MHD_stop_daemon(listener->daemon);
    front_destroy(listener->front);
    close(listener->fd);
    pthread_mutex_destroy(&listener->lock);
    free(listener);
}
