/* tcp.h - a listening TCP socket */
#ifndef REEVE_TCP_H
#define REEVE_TCP_H

#include "base/error.h"

#include <stdint.h>

/* address: numeric, IPv4 or IPv6. *port: 0 picks a free one, which is stored there. The
 * descriptor (CLOEXEC, non-blocking), or -1 with err. */
int tcp_listen(const char *address, uint16_t *port, struct reeve_error *err);

#endif
