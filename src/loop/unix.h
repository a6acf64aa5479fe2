/* unix.h - unix sockets by folder and name
 *
 * A socket's address holds 107 bytes, a data folder may be longer: both calls go
 * through /proc/self/fd/<folder>/<name>. Descriptors are CLOEXEC. */
#ifndef REEVE_UNIX_H
#define REEVE_UNIX_H

#include "base/error.h"

#include <sys/socket.h>
#include <sys/types.h>

/* Binds dir/name with exactly this mode and listens (SOCK_DGRAM: binds only). A socket
 * file that nobody answers on is replaced; one that somebody answers on is EADDRINUSE,
 * any other kind of file too. The descriptor does not block. type is SOCK_STREAM,
 * SOCK_SEQPACKET or SOCK_DGRAM. Returns it, or -1. The caller unlinks the file at the
 * end. */
int unix_listen(const char *dir, const char *name, int type, mode_t mode,
                struct reeve_error *err);
/* Connects to dir/name. Never waits: a full backlog is EAGAIN, to be tried again later.
 * ENOENT and ECONNREFUSED: nobody is there. The descriptor blocks unless SOCK_NONBLOCK
 * is or-ed into type. Returns it, or -1 with the errno value in err->code. */
int unix_connect(const char *dir, const char *name, int type, struct reeve_error *err);
/* Who connected (or listens, for the connecting side), as of that moment. 0 or -1 with
 * errno. */
struct ucred;
int unix_peer(int fd, struct ucred *peer);

#endif
