/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/http.h"

/* Weak stand-ins for the services that are not in this tree yet: the server links and
 * answers 404 for their endpoints. Each goes when its file comes. */
#define WEAK __attribute__((weak))

static void *files_begin(struct server *server, struct http_request *request)
{
    http_reply_text(request, 404, "Not found");
    return NULL;
}

extern const struct http_handler fileserver_handler WEAK;
const struct http_handler fileserver_handler = {.begin = files_begin};
