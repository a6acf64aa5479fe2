/* dispatch.h - from a path and a body to an endpoint's handler, and back to an envelope
 *
 * Knows nothing of HTTP connections, so that tests and the fuzzer drive it directly. */
#ifndef REEVE_SERVER_DISPATCH_H
#define REEVE_SERVER_DISPATCH_H

#include "base/buf.h"
#include "server/call.h"

#include <stdbool.h>
#include <stddef.h>

struct dispatch;

/* extensions: also the endpoints that ClearML's own server has not. */
struct dispatch *dispatch_create(bool extensions);
void dispatch_destroy(struct dispatch *d);

/* A call with its id and time, an empty request and empty data. */
void call_init(struct call *call, struct server *server);
void call_free(struct call *call);
/* The answer so far is forgotten, for a handler that is run again. */
void call_reset_answer(struct call *call);

/* Finds the endpoint of "/v2.9/tasks.get_by_id". 0, or -1 after call_fail. */
int dispatch_path(struct dispatch *d, struct call *call, const char *path);
/* Parses the body by its content type (NULL: JSON) into call->request or call->lines.
 */
int dispatch_body(struct call *call, const char *content_type, const char *body,
                  size_t n);
/* args: an object of decoded argument names with arrays of strings; merged into
 * call->request as ClearML does: numbers and booleans converted, dots nest. */
int dispatch_merge_args(struct call *call, const cJSON *args);
/* Checks required fields and types, converts what ClearML converts. A batch has no
 * fields, so that only endpoints without a table of them take one. */
int dispatch_validate(struct call *call);
/* Runs the handler on call->db: what the handler returned. */
int dispatch_run(struct call *call);
/* Runs another endpoint (its newest version) for a handler, as the same caller; takes
 * request. Its data, the caller's to free; NULL after failing the call in its words. */
cJSON *dispatch_inside(struct dispatch *d, struct call *call, const char *name,
                       cJSON *request);
/* The whole answer, {"meta": ..., "data": ...}. */
void dispatch_envelope(const struct call *call, struct buf *out);

/* Every endpoint, in the tables' order: for server.endpoints. */
void dispatch_list(struct dispatch *d, cJSON *out);

#endif
