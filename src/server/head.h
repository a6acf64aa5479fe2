/* head.h - is this the head of an HTTP request that libmicrohttpd will take?
 *
 * Stricter than RFC 9112 asks of a server where a mistake could end in two opinions on
 * where a request ends: no folded lines, no lone CR, no Content-Length beside
 * Transfer-Encoding. Knows nothing of sockets. */
#ifndef REEVE_SERVER_HEAD_H
#define REEVE_SERVER_HEAD_H

#include <stddef.h>

/* What libmicrohttpd has for one connection, and thus for the head of a request with
 * all that it notes of it. No more bytes than that are worth being looked at. */
#define HEAD_MEMORY (32 * 1024)
#define HEAD_FIELDS_MAX 100

#define HEAD_MORE 0
#define HEAD_GOOD 200

/* Looks at what has arrived of a connection's first request: line, fields, and the
 * first chunk's size if the body comes in chunks and the client does not wait for
 * leave to send it. Returns HEAD_MORE while it is not complete and nothing is wrong
 * yet, HEAD_GOOD, or the status that refuses it with a reason in *why (constant). */
int head_check(const char *data, size_t n, const char **why);

#endif
