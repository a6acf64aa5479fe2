/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/acceptor.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define PAUSE_S 0.5

static void again_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct acceptor *a = w->data;
    ev_io_start(loop, &a->watch);
}

static void accept_cb(struct ev_loop *loop, ev_io *w, int revents)
{
    struct acceptor *a = w->data;
    int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        a->accepted(a->arg, fd);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
               errno == ENOBUFS) {
        /* It stays readable, so asking on would be all that the loop does. */
        log_warn("%s: %s", a->name, strerror(errno));
        ev_io_stop(loop, w);
        ev_timer_set(&a->pause, PAUSE_S, 0.0);
        ev_timer_start(loop, &a->pause);
    }
}

void acceptor_start(struct acceptor *a, struct ev_loop *loop, int fd, const char *name,
                    void (*accepted)(void *arg, int fd), void *arg)
{
    *a =
        (struct acceptor){.loop = loop, .name = name, .accepted = accepted, .arg = arg};
    ev_io_init(&a->watch, accept_cb, fd, EV_READ);
    ev_init(&a->pause, again_cb);
    a->watch.data = a->pause.data = a;
    ev_io_start(loop, &a->watch);
}

void acceptor_stop(struct acceptor *a)
{
    ev_io_stop(a->loop, &a->watch);
    ev_timer_stop(a->loop, &a->pause);
}
