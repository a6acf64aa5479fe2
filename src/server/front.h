/* front.h - accepts connections, looks at the head of the first request, hands over
 *
 * libmicrohttpd answers what is no HTTP with a page of its own, or with nothing, and
 * has no hook for that. So a thread of the front reads a new connection's first head
 * with MSG_PEEK, and gives away the connection once the head is complete and
 * well-formed. A head that is malformed, too large or too slow is answered here, with
 * ClearML's error envelope, and the connection is closed such that the client sees the
 * answer. */
#ifndef REEVE_SERVER_FRONT_H
#define REEVE_SERVER_FRONT_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct front;
struct server;

struct front_options {
    struct server *server;
    int fd;               /* listens, does not block; stays the caller's */
    unsigned connections; /* at most: here and handed over together */
    int64_t idle_ms;      /* silence */
    int64_t head_ms;      /* from accept to the end of the head */
    /* Takes the descriptor, whatever it returns; true if front_release follows. */
    bool (*take)(void *arg, int fd, const struct sockaddr *address, socklen_t n);
    void *arg;
};

struct front *front_create(const struct front_options *options);
/* Starts the thread: take may be called from now on. 0 or -1. */
int front_start(struct front *front, struct reeve_error *err);
/* A connection that was handed over has ended. From any thread. */
void front_release(struct front *front);
/* Accepts no more, and closes what has not been handed over. */
void front_stop(struct front *front);
/* After front_stop and the last front_release. NULL is allowed. */
void front_destroy(struct front *front);

#endif
