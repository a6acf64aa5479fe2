/* fake-server.h - a scripted HTTP server on the test's own loop, real sockets on
 * loopback
 *
 * The handler gets each whole request and decides what goes over the wire, byte by
 * byte if it likes. */
#ifndef REEVE_FAKE_SERVER_H
#define REEVE_FAKE_SERVER_H

#include <stddef.h>

struct ev_loop;
struct fake_server;
struct fake_conn;

struct fake_request {
    struct fake_conn *conn;
    int number;       /* from 1, over all connections */
    int conn_number;  /* from 1: which connection */
    const char *head; /* request line and headers */
    const char *body;
    size_t body_len;
};

typedef void (*fake_f)(void *arg, const struct fake_request *request);

struct fake_server *fake_server_create(struct ev_loop *loop, fake_f fn, void *arg);
void fake_server_destroy(struct fake_server *s);
int fake_server_port(const struct fake_server *s);
/* "http://127.0.0.1:<port>" */
const char *fake_server_url(const struct fake_server *s);
int fake_server_connections(const struct fake_server *s); /* accepted so far */
int fake_server_requests(const struct fake_server *s);    /* whole ones so far */

/* Raw bytes. */
void fake_send(struct fake_conn *c, const void *data, size_t n);
/* Status line, Content-Length, extra headers ("A: b\r\n" each, NULL: none), body. */
void fake_answer(struct fake_conn *c, int status, const char *headers,
                 const char *body);
/* Closes once everything is written; reset: with RST. */
void fake_close(struct fake_conn *c);
void fake_reset(struct fake_conn *c);

#endif
