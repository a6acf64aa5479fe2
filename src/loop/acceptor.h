/* acceptor.h - accepts connections on a listening socket, and does not spin when it
 * can't */
#ifndef REEVE_ACCEPTOR_H
#define REEVE_ACCEPTOR_H

#include <ev.h>

struct acceptor {
    struct ev_loop *loop;
    ev_io watch;
    ev_timer pause;
    const char *name;
    void (*accepted)(void *arg, int fd);
    void *arg;
};

/* accepted gets each connection, CLOEXEC and not blocking, which is its own then. name:
 * of the socket, in the log; not copied. The socket stays the caller's. */
void acceptor_start(struct acceptor *a, struct ev_loop *loop, int fd, const char *name,
                    void (*accepted)(void *arg, int fd), void *arg);
void acceptor_stop(struct acceptor *a);

#endif
