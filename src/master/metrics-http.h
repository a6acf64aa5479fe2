/* metrics-http.h - the listener of metrics.h: libmicrohttpd on the master's own loop */
#ifndef REEVE_METRICS_HTTP_H
#define REEVE_METRICS_HTTP_H

#include "base/error.h"

#include <ev.h>

struct metrics;
struct metrics_http;

/* Whether this host can listen there, but for the port: 0, or -1 with err. */
int metrics_http_check(const char *listen, struct reeve_error *err);
/* listen: "PORT" (of 127.0.0.1), "ADDRESS:PORT" or "[IPV6]:PORT"; port 0 picks a free
 * one. NULL with err. */
struct metrics_http *metrics_http_create(struct ev_loop *loop, const char *listen,
                                         const struct metrics *metrics,
                                         struct reeve_error *err);
/* NULL is fine. */
void metrics_http_destroy(struct metrics_http *http);
const char *metrics_http_url(const struct metrics_http *http);

#endif
