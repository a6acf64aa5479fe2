/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/tcp.h"

#include "base/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static int parse_address(const char *text, uint16_t port, struct sockaddr_storage *out,
                         socklen_t *n)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        *n = sizeof *v4;
        return 0;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        *n = sizeof *v6;
        return 0;
    }
    return -1;
}

int tcp_listen(const char *address, uint16_t *port, struct reeve_error *err)
{
    struct sockaddr_storage a;
    socklen_t n;
    if (parse_address(address, *port, &a, &n) < 0)
        return reeve_error_set(err, 0, "listen address %s is no IPv4 or IPv6 address",
                               address);
    auto_close fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;
    if (fd < 0)
        return reeve_error_set(err, errno, "socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&a, n) < 0 || listen(fd, SOMAXCONN) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &n) < 0)
        return reeve_error_set(err, errno, "listen on %s port %u", address, *port);
    *port = ntohs(a.ss_family == AF_INET ? ((struct sockaddr_in *)&a)->sin_port
                                         : ((struct sockaddr_in6 *)&a)->sin6_port);
    return fd_take(&fd);
}
