/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "subagent/link.h"
#include "base/alloc.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>

/* The socket's name appears a moment before its owner listens. */
#define TRIES 3
/* A master that drops us each time is asked less and less often. */
#define BACKOFF_MAX 5

/* 1 to n. */
static int64_t random_ms(int64_t n)
{
    uint32_t r = 0;
    if (getrandom(&r, sizeof r, GRND_NONBLOCK) < 0)
        r = (uint32_t)getpid() * 2654435761u;
    return 1 + (int64_t)(r % (uint32_t)n);
}

int link_open(struct link *l, const char *socket_path, int64_t spread_ms,
              struct reeve_error *err)
{
    const char *slash = strrchr(socket_path, '/');
    *l =
        (struct link){.dirfd = -1, .sock = -1, .spread_ms = spread_ms, .connect_at = 1};
    l->name = xstrdup(slash ? slash + 1 : socket_path);
    l->folder =
        slash ? xstrndup(socket_path, (size_t)(slash - socket_path)) : xstrdup(".");
    if (slash == socket_path)
        strcpy(l->folder = xrealloc(l->folder, 2), "/");
    l->dirfd = open(l->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (l->dirfd < 0)
        return reeve_error_set(err, errno, "open %s", l->folder);
    return 0;
}

/* dnotify, where inotify would do, had it not a limit of 128 instances a user by
 * default: there are thousands of us. It raises SIGIO once. False where the kernel has
 * it not. */
static bool watch_folder(const struct link *l)
{
    return fcntl(l->dirfd, F_NOTIFY, DN_CREATE | DN_RENAME) == 0;
}

/* Through the folder's descriptor, since a path may be longer than sun_path. */
static int connect_to(const struct link *l)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int n = snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/%s", l->dirfd,
                     l->name);
    if (n < 0 || (size_t)n >= sizeof a.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    auto_close sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (sock < 0 || connect(sock, (struct sockaddr *)&a, sizeof a) < 0)
        return -1;
    return fd_take(&sock);
}

static void wait_for_master(struct link *l, int64_t now, int error)
{
    if (error == EAGAIN) /* its queue of connections is full */
        l->connect_at = now + random_ms(l->spread_ms);
    else if (l->tries > 0 && l->tries--)
        l->connect_at = now + l->spread_ms / 2 + random_ms(l->spread_ms);
    else
        l->connect_at = 0;
}

bool link_try(struct link *l, int64_t now)
{
    if (l->sock >= 0 || !l->connect_at || now < l->connect_at)
        return false;
    /* The watch first: a socket that appears after the attempt is seen then. */
    bool watching = watch_folder(l);
    l->sock = connect_to(l);
    if (l->sock < 0) {
        wait_for_master(l, now, errno);
        if (!watching && !l->connect_at)
            l->connect_at = now + l->spread_ms + random_ms(l->spread_ms);
        return false;
    }
    l->connect_at = 0;
    l->tries = 0;
    l->full = l->heard = false;
    return true;
}

void link_folder_changed(struct link *l, int64_t now)
{
    if (l->sock >= 0)
        return;
    l->tries = TRIES;
    if (!l->connect_at)
        l->connect_at = now + random_ms(l->spread_ms);
}

void link_lost(struct link *l, int64_t now)
{
    if (l->sock >= 0)
        close(fd_take(&l->sock));
    l->failures = l->heard ? 0 : l->failures + 1;
    unsigned shift = l->failures < BACKOFF_MAX ? l->failures : BACKOFF_MAX;
    l->connect_at = now + random_ms(l->spread_ms << shift);
    l->news = 0;
}

int64_t link_deadline(const struct link *l)
{
    return l->sock >= 0 ? 0 : l->connect_at;
}
