/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "subagent/waiting.h"
#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

static int watch(struct agent *a, int op, int fd, enum source source, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.u32 = source};
    return epoll_ctl(a->epoll, op, fd, &e);
}

/* An ended FIFO is always "hung up", so it is not only unasked but taken out. */
void waiting_fifo(struct agent *a)
{
    bool wanted = output_wants_fifo(&a->output);
    if (wanted == a->fifo_watched)
        return;
    if (watch(a, wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, a->output.fifo, SOURCE_FIFO,
              EPOLLIN) < 0)
        log_error("epoll on the FIFO: %s", strerror(errno));
    a->fifo_watched = wanted;
}

void waiting_status(struct agent *a)
{
    int fd = a->payload.status_fd;
    if (fd >= 0 && watch(a, EPOLL_CTL_ADD, fd, SOURCE_STATUS, EPOLLIN) < 0)
        log_error("epoll on the status FIFO: %s", strerror(errno));
}

/* A process that has ended stays "readable", and is "hung up" once it was reaped. */
void waiting_payload(struct agent *a)
{
    if (watch(a, EPOLL_CTL_ADD, a->payload.pidfd, SOURCE_PAYLOAD,
              EPOLLIN | EPOLLONESHOT) < 0)
        log_error("epoll on the payload: %s", strerror(errno));
}

void waiting_link(struct agent *a)
{
    if (a->link.sock < 0)
        return;
    uint32_t events = EPOLLIN | (a->link.full ? EPOLLOUT : 0);
    if (events == a->link_events)
        return;
    int op = a->link_events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (watch(a, op, a->link.sock, SOURCE_LINK, events) < 0)
        log_error("epoll on the socket: %s", strerror(errno));
    a->link_events = events;
}

static void sooner(int64_t *at, int64_t candidate)
{
    if (candidate && (!*at || candidate < *at))
        *at = candidate;
}

static int64_t next_deadline(const struct agent *a)
{
    const struct payload *p = &a->payload;
    int64_t at = a->rest_at;
    if (!agent_is_launching(a)) /* as in life_save() */
        sooner(&at, a->save_at);
    /* On a full disk a partial line waits as everything else does. */
    sooner(&at, a->output.retry_at ? a->output.retry_at : a->output.pause_at);
    sooner(&at, link_deadline(&a->link));
    if (agent_has_payload(a)) {
        sooner(&at, p->timeout_at);
        sooner(&at, p->setup_timeout_at);
        if (!p->killing)
            sooner(&at, p->kill_at);
        if (p->ended && !p->over) {
            sooner(&at, p->linger_at);
            sooner(&at, p->settle_at);
        }
        sooner(&at, p->sweep_at);
        sooner(&at, p->look_at);
        sooner(&at, a->launch_at);
    }
    if (a->link.sock >= 0 && (a->link.news & NEWS_SPOOLED) && !a->link.full)
        sooner(&at, a->link.spooled_at + SPOOLED_MS);
    return at;
}

void waiting_timer(struct agent *a)
{
    int64_t at = next_deadline(a);
    if (at == a->timer_at)
        return;
    struct itimerspec t = {.it_value = {at / 1000, at % 1000 * 1000000}};
    if (timerfd_settime(a->timer, TFD_TIMER_ABSTIME, &t, NULL) < 0)
        log_error("set timer: %s", strerror(errno));
    a->timer_at = at;
}

int waiting_open(struct agent *a, struct reeve_error *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGIO);
    sigprocmask(SIG_SETMASK, &set, NULL);
    a->epoll = epoll_create1(EPOLL_CLOEXEC);
    a->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    a->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (a->epoll < 0 || a->signals < 0 || a->timer < 0 ||
        watch(a, EPOLL_CTL_ADD, a->signals, SOURCE_SIGNALS, EPOLLIN) < 0 ||
        watch(a, EPOLL_CTL_ADD, a->timer, SOURCE_TIMER, EPOLLIN) < 0)
        return reeve_error_set(err, errno, "set up the event loop");
    return 0;
}
