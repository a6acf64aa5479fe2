/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* libmicrohttpd gives its epoll descriptor to our loop, so there is no thread, and a
 * client that stalls holds nothing up. */

#include "master/metrics-http.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "loop/tcp.h"
#include "master/metrics.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECTIONS_MAX 16u
#define IDLE_S 10u
#define CONNECTION_BYTES ((size_t)8192)

struct metrics_http {
    const struct metrics *metrics;
    struct ev_loop *loop;
    struct MHD_Daemon *daemon;
    ev_io watch;
    ev_timer timer; /* for the next connection that was idle too long */
    char url[128];
};

/* ---- requests ---- */

static struct MHD_Response *page_of(const struct metrics *metrics)
{
    auto_buf page = BUF_INIT;
    metrics_format(metrics, &page);
    size_t n = page.len;
    struct MHD_Response *r =
        MHD_create_response_from_buffer(n, buf_take(&page), MHD_RESPMEM_MUST_FREE);
    if (r)
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE,
                                "text/plain; version=0.0.4; charset=utf-8");
    return r;
}

static struct MHD_Response *text_of(const char *text)
{
    return MHD_create_response_from_buffer(strlen(text), (void *)text,
                                           MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection,
                                  const char *url, const char *method,
                                  const char *version, const char *body,
                                  size_t *body_len, void **state)
{
    struct metrics_http *http = arg;
    unsigned code = MHD_HTTP_OK;
    struct MHD_Response *r;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
        strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        code = MHD_HTTP_METHOD_NOT_ALLOWED;
        r = text_of("only GET and HEAD\n");
    } else if (strcmp(url, "/metrics") == 0) {
        r = page_of(http->metrics);
    } else {
        code = MHD_HTTP_NOT_FOUND;
        r = text_of("the figures are at /metrics\n");
    }
    if (!r)
        return MHD_NO;
    enum MHD_Result result = MHD_queue_response(connection, code, r);
    MHD_destroy_response(r);
    return result;
}

/* ---- on the loop ---- */

static void turn(struct metrics_http *http)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;
    MHD_run(http->daemon);
    ev_timer_stop(http->loop, &http->timer);
    if (MHD_get_timeout(http->daemon, &wait_ms) != MHD_YES)
        return;
    ev_timer_set(&http->timer, (double)wait_ms / 1000.0, 0.0);
    ev_timer_start(http->loop, &http->timer);
}

static void readable_cb(struct ev_loop *loop, ev_io *w, int revents)
{
    turn(w->data);
}

static void timer_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    turn(w->data);
}

/* ---- listening ---- */

/* Splits "ADDRESS:PORT"; 0 or -1. */
static int split(const char *text, char address[64], uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    const char *digits = colon ? colon + 1 : text;
    size_t n = colon ? (size_t)(colon - text) : 0;
    char *end;
    unsigned long number = strtoul(digits, &end, 10);
    if (*digits < '0' || *digits > '9' || *end || number > 65535)
        return -1;
    *port = (uint16_t)number;
    if (n > 2 && text[0] == '[' && text[n - 1] == ']') {
        text++;
        n -= 2;
    }
    if (n >= 64)
        return -1;
    snprintf(address, 64, "%.*s", n ? (int)n : 9, n ? text : "127.0.0.1");
    return 0;
}

static struct MHD_Daemon *daemon_start(struct metrics_http *http, int fd)
{
    return MHD_start_daemon(
        MHD_USE_EPOLL, 0, NULL, NULL, on_request, http, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES, MHD_OPTION_END);
}

static void watch_daemon(struct metrics_http *http)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    ev_io_init(&http->watch, readable_cb, info->epoll_fd, EV_READ);
    ev_init(&http->timer, timer_cb);
    http->watch.data = http->timer.data = http;
    ev_io_start(http->loop, &http->watch);
}

static int read_listen(const char *listen, char address[64], uint16_t *port,
                       struct reeve_error *err)
{
    if (split(listen, address, port) == 0)
        return 0;
    return reeve_error_set(err, 0,
                           "agent.reeve.metrics.listen is PORT, ADDRESS:PORT or "
                           "[IPV6]:PORT, not \"%s\"",
                           listen);
}

/* On any port: the one that is meant may be the running master's. */
int metrics_http_check(const char *listen, struct reeve_error *err)
{
    char address[64];
    uint16_t port;
    if (read_listen(listen, address, &port, err) < 0)
        return -1;
    port = 0;
    auto_close fd = tcp_listen(address, &port, err);
    return fd < 0 ? -1 : 0;
}

struct metrics_http *metrics_http_create(struct ev_loop *loop, const char *listen,
                                         const struct metrics *metrics,
                                         struct reeve_error *err)
{
    char address[64];
    uint16_t port;
    if (read_listen(listen, address, &port, err) < 0)
        return NULL;
    int fd = tcp_listen(address, &port, err);
    if (fd < 0)
        return NULL;
    struct metrics_http *http = xcalloc(1, sizeof *http);
    http->metrics = metrics;
    http->loop = loop;
    http->daemon = daemon_start(http, fd);
    if (!http->daemon) {
        reeve_error_set(err, 0, "cannot serve the metrics on %s", listen);
        close(fd);
        free(http);
        return NULL;
    }
    bool v6 = strchr(address, ':');
    snprintf(http->url, sizeof http->url, "http://%s%s%s:%u/metrics", v6 ? "[" : "",
             address, v6 ? "]" : "", port);
    watch_daemon(http);
    log_info("metrics are at %s", http->url);
    return http;
}

void metrics_http_destroy(struct metrics_http *http)
{
    if (!http)
        return;
    ev_io_stop(http->loop, &http->watch);
    ev_timer_stop(http->loop, &http->timer);
    MHD_stop_daemon(http->daemon); /* closes the listening socket */
    free(http);
}

const char *metrics_http_url(const struct metrics_http *http)
{
    return http->url;
}
