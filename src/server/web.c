/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/web.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/id.h"
#include "server/server.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *suffix, *content_type;
} content_types[] = {{".html", "text/html; charset=utf-8"},
                     {".js", "text/javascript; charset=utf-8"},
                     {".mjs", "text/javascript; charset=utf-8"},
                     {".css", "text/css; charset=utf-8"},
                     {".svg", "image/svg+xml"},
                     {".png", "image/png"},
                     {".ico", "image/x-icon"},
                     {".json", "application/json"},
                     {".woff2", "font/woff2"},
                     {".txt", "text/plain; charset=utf-8"}};

static const char *content_type_of(const char *path)
{
    const char *suffix = strrchr(path, '.');
    for (size_t i = 0; suffix && i < ARRAY_SIZE(content_types); i++)
        if (strcmp(suffix, content_types[i].suffix) == 0)
            return content_types[i].content_type;
    return "application/octet-stream";
}

/* Plain names alone: no hidden file, no "..", nothing that would have to be escaped. */
static bool plain_path(const char *path)
{
    for (const char *p = path; *p; p++) {
        if (!isalnum((unsigned char)*p) && !strchr("._-/", *p))
            return false;
        if (*p == '/' && (p[1] == '.' || p[1] == '/'))
            return false;
    }
    return path[0] == '/';
}

static int open_page(const struct server *server, const char *path, struct stat *st)
{
    auto_free char *name = path_join_dup(server->options.web_dir, path + 1);
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 && (fstat(fd, st) < 0 || !S_ISREG(st->st_mode))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static void page_headers(struct http_request *request)
{
    http_add_header(request, "Content-Security-Policy",
                    "default-src 'none'; script-src 'self'; style-src 'self'; "
                    "img-src 'self' data:; font-src 'self'; connect-src 'self'; "
                    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    http_add_header(request, "X-Content-Type-Options", "nosniff");
    http_add_header(request, "Referrer-Policy", "no-referrer");
    http_add_header(request, "Cache-Control", "no-cache");
}

/* ClearML's clients print "/projects/<project>/experiments/<task>/output/log" as the
 * place to look at a task: the page has it elsewhere. */
static bool redirect_task(struct http_request *request, const char *path)
{
    static const char middle[] = "/experiments/";
    const char *task = strstr(path, middle);
    if (strncmp(path, "/projects/", 10) != 0 || !task)
        return false;
    task += strlen(middle);
    auto_free char *id = xstrndup(task, strcspn(task, "/"));
    if (!id_valid(id))
        return false;
    auto_free char *location = xasprintf("/#/task/%s", id);
    http_add_header(request, "Location", location);
    http_reply_text(request, 302, "");
    return true;
}

static void reply_page(struct server *server, struct http_request *request)
{
    const char *method = http_method(request), *path = http_path(request);
    struct stat st;
    int fd = -1;
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        http_reply_text(request, 405, "Method not allowed");
        return;
    }
    if (strcmp(path, "/") == 0)
        path = "/index.html";
    if (plain_path(path))
        fd = open_page(server, path, &st);
    if (fd < 0 && redirect_task(request, path))
        return;
    if (fd < 0) {
        http_reply_text(request, 404, "Not found");
        return;
    }
    page_headers(request);
    http_reply_fd(request, 200, content_type_of(path), fd, 0, (uint64_t)st.st_size);
}

static bool below(const char *path, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(path, prefix, n) == 0 && path[n] == '/';
}

static void *web_begin(struct server *server, struct http_request *request)
{
    const char *path = http_path(request);
    if (below(path, "/api"))
        return http_delegate(request, &api_handler, 4);
    if (below(path, "/files"))
        return http_delegate(request, &fileserver_handler, 6);
    reply_page(server, request);
    return NULL;
}

const struct http_handler web_handler = {.begin = web_begin};
