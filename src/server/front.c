/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/front.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "server/dispatch.h"
#include "server/head.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#define TICK_MS 1000
#define EVENTS 64
#define ACCEPTS 64
/* After so many incomplete looks a head is looked at once a tick: each look begins at
 * its start, and somebody may send it byte by byte. */
#define LOOKS_FREE 16
/* After an answer: how long, and how much, is read of what the client still sends. If
 * it were not read, the kernel would reset the connection and take back the answer. */
#define LINGER_MS 2000
#define LINGER_BYTES (1u << 20)

#define LISTENS (EPOLLIN | EPOLLRDHUP | EPOLLET)
#define LISTENS_FOR_END (EPOLLRDHUP | EPOLLET)

struct connection {
    struct connection *next, **prev;
    int fd;
    bool watched, muted, answered;
    unsigned looks;
    size_t seen, drained;
    int64_t since_ms, active_ms; /* since_ms: accepted, or answered */
    socklen_t address_size;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
};

struct front {
    struct front_options options;
    int epoll, wake;
    pthread_t thread;
    bool running;
    atomic_bool stopping;
    atomic_bool paused; /* the limit is reached: does not accept */
    atomic_uint open;
    struct connection *connections;
    int64_t tick_ms;
    char buffer[HEAD_MEMORY]; /* of the thread */
};

/* ---- one connection ---- */

static void forget(struct front *front, struct connection *c)
{
    *c->prev = c->next;
    if (c->next)
        c->next->prev = c->prev;
    free(c);
    front_release(front);
}

static void end(struct front *front, struct connection *c)
{
    close(c->fd);
    forget(front, c);
}

/* false: it had to be closed. */
static bool watch(struct front *front, struct connection *c, uint32_t events)
{
    struct epoll_event event = {events, {.ptr = c}};
    int op = c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    c->watched = true;
    if (epoll_ctl(front->epoll, op, c->fd, &event) == 0)
        return true;
    end(front, c);
    return false;
}

static void hand_over(struct front *front, struct connection *c)
{
    if (c->watched)
        epoll_ctl(front->epoll, EPOLL_CTL_DEL, c->fd, NULL);
    atomic_fetch_add(&front->open, 1);
    if (!front->options.take(front->options.arg, c->fd, &c->address.any,
                             c->address_size))
        front_release(front);
    forget(front, c);
}

static const char *reason(int status)
{
    switch (status) {
    case 408:
        return "Request Timeout";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 431:
        return "Request Header Fields Too Large";
    default:
        return "Bad Request";
    }
}

static void format_answer(struct server *server, int status, const char *why,
                          bool head_only, struct buf *out)
{
    struct call call;
    auto_buf body = BUF_INIT;
    char date[64];
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;
    call_init(&call, server);
    call_fail(&call, status, 0, "Invalid request (%s)", why);
    dispatch_envelope(&call, &body);
    call_free(&call);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
    buf_printf(out,
               "HTTP/1.1 %d %s\r\nDate: %s\r\nConnection: close\r\nserver: clearml\r\n"
               "Access-Control-Allow-Origin: *\r\nContent-Type: application/json\r\n"
               "Content-Length: %zu\r\n\r\n",
               status, reason(status), date, body.len);
    if (!head_only)
        buf_add(out, body.data, body.len);
}

/* Reads and drops what comes after the answer. */
static void drain(struct front *front, struct connection *c)
{
    while (c->drained < LINGER_BYTES) {
        ssize_t n = recv(c->fd, front->buffer, sizeof front->buffer, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0)
            break;
        c->drained += (size_t)n;
    }
    end(front, c);
}

/* The socket has sent nothing before, so that the answer fits into its buffer. */
static void refuse(struct front *front, struct connection *c, int status,
                   const char *why)
{
    auto_buf answer = BUF_INIT;
    bool head_only = c->seen >= 5 && memcmp(front->buffer, "HEAD ", 5) == 0;
    format_answer(front->options.server, status, why, head_only, &answer);
    ssize_t n = send(c->fd, answer.data, answer.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n != (ssize_t)answer.len || shutdown(c->fd, SHUT_WR) < 0) {
        end(front, c);
        return;
    }
    c->answered = true;
    c->since_ms = clock_boot_ms();
    if (watch(front, c, LISTENS))
        drain(front, c);
}

static bool would_block(int error)
{
    return error == EAGAIN || error == EINTR;
}

static void look_again_later(struct front *front, struct connection *c)
{
    bool mute = ++c->looks >= LOOKS_FREE;
    if (c->watched && mute == c->muted)
        return;
    c->muted = mute;
    watch(front, c, mute ? LISTENS_FOR_END : LISTENS);
}

/* ended: the client sends no more. */
static void look(struct front *front, struct connection *c, bool ended)
{
    const char *why = NULL;
    ssize_t n =
        recv(c->fd, front->buffer, sizeof front->buffer, MSG_PEEK | MSG_DONTWAIT);
    if (n == 0 || (n < 0 && !would_block(errno))) {
        end(front, c);
        return;
    }
    if (n > 0 && (size_t)n != c->seen) {
        c->seen = (size_t)n;
        c->active_ms = clock_boot_ms();
    }
    int status = n > 0 ? head_check(front->buffer, (size_t)n, &why) : HEAD_MORE;
    if (status == HEAD_GOOD)
        hand_over(front, c);
    else if (status != HEAD_MORE)
        refuse(front, c, status, why);
    else if (ended)
        refuse(front, c, 400, "it ends within its head");
    else
        look_again_later(front, c);
}

/* ---- accepting ---- */

static int watch_listening(struct front *front, int op)
{
    struct epoll_event event = {EPOLLIN, {.ptr = front}};
    return epoll_ctl(front->epoll, op, front->options.fd, &event);
}

static bool full(struct front *front)
{
    return atomic_load(&front->open) >= front->options.connections;
}

/* The rest waits in the kernel's queue. front_release looks at paused after it has
 * counted, so that no release goes unseen between the two. */
static void pause_accepting(struct front *front)
{
    if (atomic_exchange(&front->paused, true))
        return;
    watch_listening(front, EPOLL_CTL_DEL);
}

static void go_on_accepting(struct front *front)
{
    if (!atomic_load(&front->paused) || full(front))
        return;
    if (watch_listening(front, EPOLL_CTL_ADD) == 0)
        atomic_store(&front->paused, false);
}

static bool accept_one(struct front *front)
{
    struct connection *c = xcalloc(1, sizeof *c);
    c->address_size = sizeof c->address;
    c->fd = accept4(front->options.fd, &c->address.any, &c->address_size,
                    SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (c->fd < 0) {
        free(c);
        if (errno == ECONNABORTED || errno == EINTR)
            return true;
        /* No descriptor or no memory: tried again at the next tick. */
        if (errno != EAGAIN)
            pause_accepting(front);
        return false;
    }
    atomic_fetch_add(&front->open, 1);
    c->since_ms = c->active_ms = clock_boot_ms();
    c->next = front->connections;
    c->prev = &front->connections;
    if (c->next)
        c->next->prev = &c->next;
    front->connections = c;
    look(front, c, false);
    return true;
}

static void accept_some(struct front *front)
{
    for (int i = 0; i < ACCEPTS; i++) {
        if (full(front)) {
            pause_accepting(front);
            go_on_accepting(front);
            return;
        }
        if (!accept_one(front))
            return;
    }
}

/* ---- the thread ---- */

static void check_time(struct front *front, struct connection *c, int64_t now)
{
    if (c->answered) {
        if (now - c->since_ms >= LINGER_MS)
            end(front, c);
        return;
    }
    if (now - c->active_ms < front->options.idle_ms &&
        now - c->since_ms < front->options.head_ms) {
        if (c->muted)
            look(front, c, false);
        return;
    }
    /* Who has said nothing expects no answer: a browser connects in advance. */
    if (c->seen == 0) {
        end(front, c);
        return;
    }
    front->buffer[0] = '\0';
    refuse(front, c, 408, "its head took too long");
}

static void tick(struct front *front, int64_t now)
{
    struct connection *next;
    front->tick_ms = now + TICK_MS;
    for (struct connection *c = front->connections; c; c = next) {
        next = c->next;
        check_time(front, c, now);
    }
    go_on_accepting(front);
}

static void handle(struct front *front, const struct epoll_event *event)
{
    uint64_t n;
    if (event->data.ptr == front) {
        accept_some(front);
    } else if (event->data.ptr == &front->wake) {
        if (read(front->wake, &n, sizeof n) > 0)
            go_on_accepting(front);
    } else {
        struct connection *c = event->data.ptr;
        if (c->answered)
            drain(front, c);
        else
            look(front, c, (event->events & (EPOLLRDHUP | EPOLLHUP)) != 0);
    }
}

static void *front_main(void *arg)
{
    struct front *front = arg;
    struct epoll_event events[EVENTS];
    while (!atomic_load(&front->stopping)) {
        bool ticks = front->connections || atomic_load(&front->paused);
        int n = epoll_wait(front->epoll, events, EVENTS, ticks ? TICK_MS : -1);
        for (int i = 0; i < n; i++)
            handle(front, &events[i]);
        int64_t now = clock_boot_ms();
        if (now >= front->tick_ms)
            tick(front, now);
    }
    return NULL;
}

/* ---- life ---- */

static void wake(struct front *front)
{
    uint64_t one = 1;
    ssize_t n = write(front->wake, &one, sizeof one);
    (void)n; /* fails only if it is about to wake up anyway */
}

void front_release(struct front *front)
{
    atomic_fetch_sub(&front->open, 1);
    if (atomic_load(&front->paused))
        wake(front);
}

struct front *front_create(const struct front_options *options)
{
    struct front *front = xcalloc(1, sizeof *front);
    front->options = *options;
    front->epoll = front->wake = -1;
    return front;
}

int front_start(struct front *front, struct reeve_error *err)
{
    struct epoll_event event = {EPOLLIN, {.ptr = &front->wake}};
    front->epoll = epoll_create1(EPOLL_CLOEXEC);
    front->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (front->epoll < 0 || front->wake < 0 ||
        epoll_ctl(front->epoll, EPOLL_CTL_ADD, front->wake, &event) < 0 ||
        watch_listening(front, EPOLL_CTL_ADD) < 0)
        return reeve_error_set(err, errno, "watch the listening socket");
    int rc = pthread_create(&front->thread, NULL, front_main, front);
    if (rc != 0)
        return reeve_error_set(err, rc, "start a thread");
    front->running = true;
    return 0;
}

void front_stop(struct front *front)
{
    if (!front->running)
        return;
    atomic_store(&front->stopping, true);
    wake(front);
    pthread_join(front->thread, NULL);
    front->running = false;
    while (front->connections)
        end(front, front->connections);
}

void front_destroy(struct front *front)
{
    if (!front)
        return;
    if (front->epoll >= 0)
        close(front->epoll);
    if (front->wake >= 0)
        close(front->wake);
    free(front);
}
