/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/worker-claim.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/record.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define MASTERS_MAX 100

/* Takes the name, or gives errno. */
static int take(const char *worker, const char *api_url, int *fd)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    auto_close sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int n = snprintf(
        a.sun_path + 1, sizeof a.sun_path - 1, "reeved/%08x/%.80s",
        crc32c(crc32c(0, api_url, strlen(api_url)), worker, strlen(worker)), worker);
    socklen_t size =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    if (sock < 0 || bind(sock, (struct sockaddr *)&a, size) < 0)
        return errno;
    *fd = fd_take(&sock);
    return 0;
}

int worker_claim(char **worker, bool chosen, const char *api_url)
{
    int fd = -1;
    auto_free char *first = xstrdup(*worker);
    int error = take(first, api_url, &fd);
    if (chosen && error == EADDRINUSE)
        log_warn("another reeved of this host is worker %s too: their figures mix, and "
                 "the server forgets both when one ends; choose another --worker-id",
                 first);
    for (int i = 2; !chosen && error == EADDRINUSE && i < MASTERS_MAX; i++) {
        free(*worker);
        *worker = xasprintf("%s-%d", first, i);
        error = take(*worker, api_url, &fd);
        if (!error)
            log_warn("another reeved of this host is worker %s: this one is %s", first,
                     *worker);
    }
    return fd;
}
