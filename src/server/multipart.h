/* multipart.h - multipart/form-data as it arrives, in pieces of any size
 *
 * libmicrohttpd's own parser does not know the extended names of RFC 2231 that clients
 * send for paths outside ASCII, and here the name is the path. Memory is bounded: the
 * headers of a part by MULTIPART_HEADERS_MAX, its body is handed on as it comes. */
#ifndef REEVE_SERVER_MULTIPART_H
#define REEVE_SERVER_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#define MULTIPART_HEADERS_MAX (16u << 10)

struct multipart;

/* Each returns 0, or -1 to stop: multipart_feed then fails, now and ever after. */
struct multipart_ops {
    /* name: sound UTF-8. is_file: the part has a file name. */
    int (*begin)(void *arg, const char *name, bool is_file);
    int (*data)(void *arg, const char *data, size_t n);
    int (*end)(void *arg);
};

/* NULL if the content type is not multipart/form-data with a boundary. */
struct multipart *multipart_create(const char *content_type,
                                   const struct multipart_ops *ops, void *arg);
void multipart_destroy(struct multipart *m);
/* 0, or -1: malformed, or an op said so. */
int multipart_feed(struct multipart *m, const char *data, size_t n);
/* True once the closing boundary was seen: nothing is missing. */
bool multipart_complete(const struct multipart *m);

#endif
