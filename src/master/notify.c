/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/notify.h"

#include "base/alloc.h"
#include "base/fd.h"

#include <ev.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct notify {
    struct ev_loop *loop;
    ev_timer timer;
};

/* True if the variable names another process (or none that can be read). */
static bool names_another(const char *variable)
{
    const char *pid = getenv(variable);
    return pid && strtoll(pid, NULL, 10) != getpid();
}

static void send_text(const char *text)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    size_t n = path ? strlen(path) : 0;
    if (n < 2 || n >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@') ||
        names_another("SYSTEMD_EXEC_PID"))
        return;
    memcpy(to.sun_path, path, n);
    if (path[0] == '@')
        to.sun_path[0] = '\0';
    auto_close fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    if (fd >= 0)
        sendto(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
               (struct sockaddr *)&to, size);
}

void notify_ready(void)
{
    char text[64];
    snprintf(text, sizeof text, "READY=1\nMAINPID=%d", (int)getpid());
    send_text(text);
}

void notify_reloading(void)
{
    char text[64];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
             (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    send_text(text);
}

void notify_stopping(void)
{
    send_text("STOPPING=1");
}

static void watchdog_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    send_text("WATCHDOG=1");
}

struct notify *notify_create(struct ev_loop *loop)
{
    struct notify *n = xcalloc(1, sizeof *n);
    const char *text = getenv("WATCHDOG_USEC");
    double seconds = text ? strtod(text, NULL) / 1e6 / 2 : 0;
    n->loop = loop;
    ev_timer_init(&n->timer, watchdog_cb, 0.0, seconds);
    if (seconds > 0 && !names_another("WATCHDOG_PID"))
        ev_timer_start(loop, &n->timer);
    return n;
}

void notify_destroy(struct notify *n)
{
    if (!n)
        return;
    ev_timer_stop(n->loop, &n->timer);
    free(n);
}
