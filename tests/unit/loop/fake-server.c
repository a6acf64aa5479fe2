/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fake-server.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/fd.h"

#include <arpa/inet.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>

struct fake_conn {
    TAILQ_ENTRY(fake_conn) link;
    struct fake_server *server;
    int fd, number;
    ev_io in, out;
    struct buf request, answer;
    int closing, gone, busy;
};

struct fake_server {
    struct ev_loop *loop;
    ev_io accepting;
    int fd, port, connections, requests;
    char url[64];
    fake_f fn;
    void *arg;
    TAILQ_HEAD(, fake_conn) conns;
};

static void conn_free(struct fake_conn *c)
{
    TAILQ_REMOVE(&c->server->conns, c, link);
    ev_io_stop(c->server->loop, &c->in);
    ev_io_stop(c->server->loop, &c->out);
    close(c->fd);
    buf_free(&c->request);
    buf_free(&c->answer);
    free(c);
}

static void conn_check(struct fake_conn *c)
{
    if (c->busy)
        return;
    if (c->gone || (c->closing && !c->answer.len))
        conn_free(c);
}

static void conn_write_cb(struct ev_loop *loop, ev_io *w, int revents)
{
    struct fake_conn *c = w->data;
    ssize_t n = send(c->fd, c->answer.data, c->answer.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0)
        buf_consume(&c->answer, (size_t)n);
    else
        c->gone = 1;
    if (!c->answer.len)
        ev_io_stop(loop, w);
    conn_check(c);
}

static size_t body_length(const char *head)
{
    const char *at = strcasestr(head, "\r\ncontent-length:");
    return at ? strtoul(at + 17, NULL, 10) : 0;
}

/* Takes one whole request out of what has arrived; 0 if there is none yet. */
static int conn_request(struct fake_conn *c)
{
    const char *end = strstr(buf_str(&c->request), "\r\n\r\n");
    if (!end)
        return 0;
    size_t head_len = (size_t)(end - c->request.data) + 4;
    char *head = xstrndup(c->request.data, head_len);
    size_t body_len = body_length(head);
    if (c->request.len < head_len + body_len) {
        free(head);
        return 0;
    }
    char *body = xstrndup(c->request.data + head_len, body_len);
    buf_consume(&c->request, head_len + body_len);
    struct fake_request r = {c, ++c->server->requests, c->number, head, body, body_len};
    c->server->fn(c->server->arg, &r);
    free(head);
    free(body);
    return 1;
}

static void conn_read_cb(struct ev_loop *loop, ev_io *w, int revents)
{
    struct fake_conn *c = w->data;
    char *to = buf_reserve(&c->request, 65536);
    ssize_t n = recv(c->fd, to, 65536, MSG_DONTWAIT);
    c->busy = 1;
    if (n <= 0) {
        c->gone = 1;
    } else {
        c->request.len += (size_t)n;
        c->request.data[c->request.len] = '\0';
        while (!c->gone && !c->closing && conn_request(c))
            ;
    }
    c->busy = 0;
    conn_check(c);
}

static void accept_cb(struct ev_loop *loop, ev_io *w, int revents)
{
    struct fake_server *s = w->data;
    int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct fake_conn *c = xcalloc(1, sizeof *c);
    c->server = s;
    c->fd = fd;
    c->number = ++s->connections;
    ev_io_init(&c->in, conn_read_cb, fd, EV_READ);
    ev_io_init(&c->out, conn_write_cb, fd, EV_WRITE);
    c->in.data = c->out.data = c;
    ev_io_start(loop, &c->in);
    TAILQ_INSERT_TAIL(&s->conns, c, link);
}

struct fake_server *fake_server_create(struct ev_loop *loop, fake_f fn, void *arg)
{
    struct fake_server *s = xcalloc(1, sizeof *s);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&a, n) != 0 ||
        listen(s->fd, 64) != 0 || getsockname(s->fd, (struct sockaddr *)&a, &n) != 0)
        abort();
    s->port = ntohs(a.sin_port);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", s->port);
    s->loop = loop;
    s->fn = fn;
    s->arg = arg;
    TAILQ_INIT(&s->conns);
    ev_io_init(&s->accepting, accept_cb, s->fd, EV_READ);
    s->accepting.data = s;
    ev_io_start(loop, &s->accepting);
    return s;
}

void fake_server_destroy(struct fake_server *s)
{
    struct fake_conn *c;
    while ((c = TAILQ_FIRST(&s->conns)))
        conn_free(c);
    ev_io_stop(s->loop, &s->accepting);
    close(s->fd);
    free(s);
}

int fake_server_port(const struct fake_server *s)
{
    return s->port;
}

const char *fake_server_url(const struct fake_server *s)
{
    return s->url;
}

int fake_server_connections(const struct fake_server *s)
{
    return s->connections;
}

int fake_server_requests(const struct fake_server *s)
{
    return s->requests;
}

void fake_send(struct fake_conn *c, const void *data, size_t n)
{
    buf_add(&c->answer, data, n);
    if (c->answer.len)
        ev_io_start(c->server->loop, &c->out);
}

void fake_answer(struct fake_conn *c, int status, const char *headers, const char *body)
{
    struct buf b = BUF_INIT;
    buf_printf(&b, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n%s", status,
               strlen(body), headers ? headers : "", body);
    fake_send(c, b.data, b.len);
    buf_free(&b);
}

void fake_close(struct fake_conn *c)
{
    c->closing = 1;
    conn_check(c);
}

void fake_reset(struct fake_conn *c)
{
    struct linger now = {1, 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    c->gone = 1;
    conn_check(c);
}
