/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "base/alloc.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "server/auth.h"
#include "server/http.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

char *fixture_dir(void)
{
    const char *tmp = getenv("TMPDIR");
    char *dir = xasprintf("%s/reeve-server-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir))
        fail_msg("mkdtemp");
    return dir;
}

void fixture_dir_remove(char *dir)
{
    assert_int_equal(dir_remove_tree(dir, NULL), 0);
    free(dir);
}

struct server *fixture_server(const char *dir)
{
    struct server_options options;
    struct reeve_error err = {0};
    signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_LEVEL_ERROR);
    server_options_default(&options);
    options.data_dir = dir;
    options.web_dir = dir;
    options.api_port = options.web_port = options.files_port = 0;
    options.connections = 200;
    options.body_max = 1u << 20;
    struct server *server = server_start(&options, &err);
    if (!server)
        fail_msg("%s", err.text);
    return server;
}

int fixture_connect(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval limit = {20, 0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

void fixture_send(int fd, const char *text)
{
    fd_write_all(fd, text, strlen(text));
}

static size_t find_length(const char *head)
{
    const char *at = strcasestr(head, "\r\ncontent-length:");
    return at ? strtoul(at + 17, NULL, 10) : 0;
}

int fixture_answer(int fd, char **body)
{
    auto_buf in = BUF_INIT;
    char *end;
    while (!(end = strstr(buf_str(&in), "\r\n\r\n"))) {
        ssize_t n = read(fd, buf_reserve(&in, 1), 1);
        if (n <= 0)
            return -1;
        in.len += (size_t)n;
        in.data[in.len] = '\0';
    }
    size_t length = find_length(in.data);
    int status = atoi(in.data + strlen("HTTP/1.1 "));
    char *text = xcalloc(1, length + 1);
    if (fd_read_full(fd, text, length) != (ssize_t)length)
        status = -1;
    if (body)
        *body = text;
    else
        free(text);
    return status;
}

int fixture_call(struct server *server, const char *path, const char *json, cJSON **out)
{
    const struct auth_keys *keys = auth_first_keys(server->auth);
    auto_free char *pair = xasprintf("%s:%s", keys->access_key, keys->secret_key);
    auto_buf encoded = BUF_INIT;
    base64_add(&encoded, pair, strlen(pair));
    auto_free char *request =
        xasprintf("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %s\r\n"
                  "Content-Length: %zu\r\n\r\n%s",
                  path, buf_str(&encoded), strlen(json), json);
    auto_close fd = fixture_connect(http_port(server->api));
    auto_free char *body = NULL;
    fixture_send(fd, request);
    int status = fixture_answer(fd, &body);
    if (out)
        *out = body ? json_parse(body, strlen(body), NULL) : NULL;
    return status;
}
