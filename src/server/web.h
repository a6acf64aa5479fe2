/* web.h - the web port: the page's files, and ClearML's /api and /files beside them */
#ifndef REEVE_SERVER_WEB_H
#define REEVE_SERVER_WEB_H

#include "server/http.h"

extern const struct http_handler web_handler;

#endif
