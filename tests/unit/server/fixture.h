/* fixture.h - a folder of its own, a server in it, and a plain HTTP client */
#ifndef REEVE_TEST_SERVER_FIXTURE_H
#define REEVE_TEST_SERVER_FIXTURE_H

#include "../unit.h"

#include "server/server.h"

#include <cjson/cJSON.h>
#include <stdint.h>

/* A new folder below the temporary one; the caller's. */
char *fixture_dir(void);
void fixture_dir_remove(char *dir);

/* A server on free loopback ports. */
struct server *fixture_server(const char *dir);

/* Connects to a port of loopback. */
int fixture_connect(uint16_t port);
/* Sends bytes as they are. */
void fixture_send(int fd, const char *text);
/* Reads one answer: its status, or -1 at the end of the connection; the body (NUL
 * behind it) in body, the caller's, if that is not NULL. */
int fixture_answer(int fd, char **body);
/* One call with the server's first keys; its status, and the answer as JSON. */
int fixture_call(struct server *server, const char *path, const char *json,
                 cJSON **out);

#endif
