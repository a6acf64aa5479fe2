/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json-text.h"
#include "base/json.h"
#include "base/log.h"
#include "base/utf8.h"
#include "server/conditional.h"
#include "server/files.h"
#include "server/http.h"
#include "server/multipart.h"
#include "server/server.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define FILES_MAX 1000                     /* in one upload */
#define DELETE_BODY_MAX ((size_t)16 << 20) /* of delete_many */

/* A file of an upload: it gets its name when all of the upload is there. */
struct upload {
    char *path;      /* as the client gave it, without slashes in front */
    char *target;    /* normalised */
    char *temporary; /* NULL once it has its name */
    int fd;
};

struct transfer {
    struct server *server;
    struct http_request *request;
    void (*answer)(struct transfer *t); /* when the whole request is in */
    struct multipart *multipart;        /* of an upload */
    struct upload *uploads;
    size_t count, cap;
    bool skipping;     /* the part at hand is no file */
    struct buf body;   /* of delete_many */
    uint64_t received; /* of an upload */
    int status;        /* of the first failure, else 0 */
    char why[256];
};

/* ---- answers ---- */

static int fail(struct transfer *t, int status, const char *why)
{
    if (!t->status) {
        t->status = status;
        snprintf(t->why, sizeof t->why, "%s", why);
    }
    return -1;
}

static int fail_errno(struct transfer *t, int code)
{
    bool client = code == ENAMETOOLONG || code == EISDIR || code == ENOTDIR ||
                  code == EEXIST || code == ENOTEMPTY || code == ELOOP;
    if (!client)
        log_error("upload failed: %s", strerror(code));
    return fail(t, client ? 400 : 500, strerror(code));
}

static void reply_json(struct http_request *request, struct buf *body)
{
    size_t n = body->len;
    http_reply_take(request, 200, "application/json", buf_take(body), n);
}

static void add_path(struct buf *out, const char *path)
{
    auto_buf safe = BUF_INIT;
    utf8_add_safe(&safe, path, strlen(path));
    json_text_string(out, buf_str(&safe), safe.len);
}

/* True if who asks may; else they are answered. */
static bool authorise(struct http_request *request)
{
    struct caller caller;
    char why[256] = "";
    if (http_authenticate(request, &caller, why) == 0)
        return true;
    http_reply_text(request, 401, *why ? why : "Unauthorized");
    return false;
}

/* ---- download ---- */

static const struct {
    const char *suffix, *type;
} types[] = {{".txt", "text/plain; charset=utf-8"},
             {".log", "text/plain; charset=utf-8"},
             {".csv", "text/csv; charset=utf-8"},
             {".html", "text/html; charset=utf-8"},
             {".htm", "text/html; charset=utf-8"},
             {".json", "application/json"},
             {".xml", "text/xml"},
             {".yaml", "text/plain; charset=utf-8"},
             {".png", "image/png"},
             {".jpg", "image/jpeg"},
             {".jpeg", "image/jpeg"},
             {".gif", "image/gif"},
             {".svg", "image/svg+xml"},
             {".webp", "image/webp"},
             {".bmp", "image/bmp"},
             {".tif", "image/tiff"},
             {".tiff", "image/tiff"},
             {".mp4", "video/mp4"},
             {".webm", "video/webm"},
             {".mp3", "audio/mpeg"},
             {".wav", "audio/wav"},
             {".pdf", "application/pdf"},
             {".zip", "application/zip"},
             {".tar", "application/x-tar"}};

static const char *type_of(const char *path)
{
    const char *suffix = strrchr(path, '.');
    for (size_t i = 0; suffix && i < ARRAY_SIZE(types); i++)
        if (!strcasecmp(suffix, types[i].suffix))
            return types[i].type;
    return "application/octet-stream";
}

/* "attachment" with the file's own name, which may be anything. */
static void add_attachment(struct http_request *request, const char *path)
{
    const char *name = strrchr(path, '/');
    auto_buf value = BUF_INIT;
    buf_add_str(&value, "attachment; filename*=UTF-8''");
    for (const char *p = name ? name + 1 : path; *p; p++) {
        if (isalnum((unsigned char)*p) || *p == '.' || *p == '-' || *p == '_')
            buf_add_char(&value, *p);
        else
            buf_printf(&value, "%%%02X", (unsigned char)*p);
    }
    http_add_header(request, "Content-Disposition", value.data);
}

static void add_file_headers(struct http_request *request, const char *path,
                             const struct stat *st, const char *etag)
{
    char date[64];
    struct tm tm;
    gmtime_r(&st->st_mtime, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    http_add_header(request, "Last-Modified", date);
    http_add_header(request, "ETag", etag);
    http_add_header(request, "Accept-Ranges", "bytes");
    http_add_header(request, "Cache-Control", "private, no-cache");
    /* Files come from tasks. On the web port they share the page's origin: sandboxed,
     * what runs in them sees nothing of the page's session. */
    http_add_header(request, "Content-Security-Policy", "sandbox allow-scripts");
    http_add_header(request, "X-Content-Type-Options", "nosniff");
    if (http_query(request, "download"))
        add_attachment(request, path);
}

static void reply_file(struct http_request *request, const char *path, int fd,
                       const struct stat *st)
{
    char etag[64], content_range[96];
    uint64_t size = (uint64_t)st->st_size, offset, n;
    snprintf(etag, sizeof etag, "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 "\"", size,
             (uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec);
    add_file_headers(request, path, st, etag);
    if (conditional_known(http_header(request, "If-None-Match"),
                          http_header(request, "If-Modified-Since"), etag,
                          st->st_mtime)) {
        close(fd);
        http_reply(request, 304, NULL, "", 0);
        return;
    }
    bool same = conditional_same(http_header(request, "If-Range"), etag, st->st_mtime);
    enum range range = conditional_range(same ? http_header(request, "Range") : NULL,
                                         size, &offset, &n);
    if (range == RANGE_BAD) {
        close(fd);
        snprintf(content_range, sizeof content_range, "bytes */%" PRIu64, size);
        http_add_header(request, "Content-Range", content_range);
        http_reply_text(request, 416, "Range not satisfiable");
        return;
    }
    if (range == RANGE_PART) {
        snprintf(content_range, sizeof content_range,
                 "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, offset, offset + n - 1,
                 size);
        http_add_header(request, "Content-Range", content_range);
    }
    http_reply_fd(request, range == RANGE_PART ? 206 : 200, type_of(path), fd, offset,
                  n);
}

static void download(struct transfer *t)
{
    auto_free char *path = files_normalise_dup(http_path(t->request));
    struct stat st;
    int fd = path ? files_open(t->server->files_dir, path, &st) : -1;
    if (fd < 0)
        http_reply_text(t->request, 404, "Not found");
    else
        reply_file(t->request, path, fd, &st);
}

static void ping(struct transfer *t)
{
    bool token = http_header(t->request, "Authorization") != NULL;
    if (!token || authorise(t->request))
        http_reply_text(t->request, 200, "OK");
}

/* ---- removal ---- */

static void delete_one(struct transfer *t)
{
    struct http_request *request = t->request;
    const char *given = http_path(request);
    while (*given == '/')
        given++;
    auto_free char *path = files_normalise_dup(given);
    if (!path || files_remove(t->server->files_dir, path) < 0) {
        auto_buf text = BUF_INIT;
        buf_add_str(&text, "File ");
        utf8_add_safe(&text, given, strlen(given));
        buf_add_str(&text, " not found");
        http_reply(request, 404, "text/plain; charset=utf-8", text.data, text.len);
        return;
    }
    auto_buf out = BUF_INIT;
    add_path(&out, given);
    reply_json(request, &out);
}

/* As Python's unquote_plus: what is no escape stays. */
static char *unquote_dup(const char *text)
{
    auto_buf out = BUF_INIT;
    for (; *text; text++) {
        char hex[3] = {text[0] == '%' ? text[1] : '\0'};
        if (hex[0])
            hex[1] = text[2];
        if (isxdigit((unsigned char)hex[0]) && isxdigit((unsigned char)hex[1])) {
            buf_add_char(&out, (char)strtol(hex, NULL, 16));
            text += 2;
        } else {
            buf_add_char(&out, *text == '+' ? ' ' : *text);
        }
    }
    return buf_take(&out);
}

/* NULL if it is gone now, else what is wrong. */
static const char *delete_path(struct server *server, const char *path)
{
    if (!path[strspn(path, "/")])
        return "Empty path not allowed";
    auto_free char *normal = files_normalise_dup(path);
    struct reeve_error err = {0};
    if (!normal)
        return "Not found";
    if (files_remove_tree(server->files_dir, normal, &err) == 0)
        return NULL;
    return err.code == ENOENT || err.code == ENOTDIR ? "Not found"
           : err.code                                ? strerror(err.code)
                                                     : "Not removed";
}

static void delete_many(struct transfer *t)
{
    auto_json *body = json_parse(buf_str(&t->body), t->body.len, NULL);
    const cJSON *files = json_get(body, "files");
    if (!cJSON_IsArray(files) || !files->child) {
        http_reply_text(t->request, 400,
                        body ? "files are missing" : "Json payload is missing");
        return;
    }
    auto_json *result = cJSON_CreateObject();
    cJSON *deleted = json_set(result, "deleted", cJSON_CreateObject());
    cJSON *errors = json_set(result, "errors", cJSON_CreateObject());
    for (const cJSON *f = files->child; f; f = f->next) {
        if (!cJSON_IsString(f))
            continue;
        auto_free char *path = unquote_dup(f->valuestring);
        const char *error = delete_path(t->server, path);
        auto_buf safe = BUF_INIT;
        utf8_add_safe(&safe, path, strlen(path));
        if (!error) {
            cJSON_AddItemToObject(deleted, f->valuestring,
                                  cJSON_CreateString(buf_str(&safe)));
            continue;
        }
        cJSON *list = json_get(errors, error);
        if (!list)
            list = json_set(errors, error, cJSON_CreateArray());
        cJSON_AddItemToArray(list, cJSON_CreateString(f->valuestring));
    }
    char *text = json_format(result);
    http_reply_take(t->request, 200, "application/json", text, strlen(text));
}

/* ---- upload ---- */

static int part_begin(void *arg, const char *name, bool is_file)
{
    struct transfer *t = arg;
    t->skipping = !is_file || !*name;
    if (t->skipping)
        return 0;
    while (*name == '/')
        name++;
    auto_free char *target = files_normalise_dup(name);
    if (!target)
        return fail(t, 404, "Not found");
    if (t->count == FILES_MAX)
        return fail(t, 400, "Too many files at once");
    if (t->count == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 4;
        t->uploads = xreallocarray(t->uploads, t->cap, sizeof *t->uploads);
    }
    struct upload *u = &t->uploads[t->count++];
    *u = (struct upload){xstrdup(name), steal(&target), NULL, -1};
    auto_free char *uploads = path_join_dup(t->server->data_dir, "uploads");
    u->fd = files_create(uploads, &u->temporary);
    return u->fd < 0 ? fail_errno(t, errno) : 0;
}

static int part_data(void *arg, const char *data, size_t n)
{
    struct transfer *t = arg;
    if (t->skipping)
        return 0;
    struct upload *u = &t->uploads[t->count - 1];
    return fd_write_all(u->fd, data, n) < 0 ? fail_errno(t, errno) : 0;
}

static int part_end(void *arg)
{
    struct transfer *t = arg;
    if (t->skipping)
        return 0;
    struct upload *u = &t->uploads[t->count - 1];
    return close(fd_take(&u->fd)) < 0 ? fail_errno(t, errno) : 0;
}

static const struct multipart_ops part_ops = {part_begin, part_data, part_end};

static int publish_all(struct transfer *t)
{
    for (size_t i = 0; i < t->count; i++) {
        struct upload *u = &t->uploads[i];
        if (files_publish(u->temporary, t->server->files_dir, u->target) < 0)
            return fail_errno(t, errno);
        free(steal(&u->temporary));
    }
    return 0;
}

static void finish_upload(struct transfer *t)
{
    if (!multipart_complete(t->multipart))
        fail(t, 400, "The upload ends in the middle");
    if (t->status || publish_all(t) < 0) {
        http_reply_text(t->request, t->status, t->why);
        return;
    }
    auto_buf out = BUF_INIT;
    buf_add_char(&out, '[');
    for (size_t i = 0; i < t->count; i++) {
        if (i)
            buf_add_char(&out, ',');
        add_path(&out, t->uploads[i].path);
    }
    buf_add_char(&out, ']');
    reply_json(t->request, &out);
}

/* ---- requests ---- */

/* What an interrupted server left of uploads is of no use to anyone. */
static void clear_uploads(const char *data_dir)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static char *cleared;
    pthread_mutex_lock(&lock);
    if (!cleared || strcmp(cleared, data_dir) != 0) {
        struct reeve_error err;
        auto_free char *uploads = path_join_dup(data_dir, "uploads");
        if (dir_remove_tree(uploads, &err) < 0 || dir_make(uploads, 0700, &err) < 0)
            log_error("%s", err.text);
        free(cleared);
        cleared = xstrdup(data_dir);
    }
    pthread_mutex_unlock(&lock);
}

/* What answers this method and path; NULL if nothing does. */
static void (*find_answer(struct http_request *request))(struct transfer *t)
{
    const char *method = http_method(request), *path = http_path(request);
    bool root = !strcmp(path, "/") || !*path;
    if (!strcmp(method, "GET") || !strcmp(method, "HEAD"))
        return root ? ping : download;
    if (!strcmp(method, "DELETE"))
        return delete_one;
    if (strcmp(method, "POST") != 0)
        return NULL;
    return root ? finish_upload : !strcmp(path, "/delete_many") ? delete_many : NULL;
}

static bool refuse(struct http_request *request, void (*answer)(struct transfer *t))
{
    const char *encoding = http_header(request, "Content-Encoding");
    if (encoding && *encoding) {
        http_reply_text(request, 415, "Content encoding is not supported");
    } else if (!strcmp(http_method(request), "OPTIONS")) {
        http_add_header(request, "Access-Control-Allow-Methods",
                        "GET, HEAD, POST, DELETE, OPTIONS");
        http_add_header(request, "Access-Control-Allow-Headers",
                        "Authorization, Content-Type, Range");
        http_reply_text(request, 200, "");
    } else if (!answer) {
        http_reply_text(request, 405, "Method not allowed");
    } else {
        return answer != ping && !authorise(request);
    }
    return true;
}

/* As Flask answers to what is beyond its MAX_CONTENT_LENGTH. */
static bool within_bounds(struct transfer *t, uint64_t n)
{
    uint64_t max = t->server->options.upload_max;
    if (max == 0 || n <= max)
        return true;
    fail(t, 413, "Request Entity Too Large");
    return false;
}

static void *files_begin(struct server *server, struct http_request *request)
{
    void (*answer)(struct transfer * t) = find_answer(request);
    if (refuse(request, answer))
        return NULL;
    struct transfer *t = xcalloc(1, sizeof *t);
    t->server = server;
    t->request = request;
    t->answer = answer;
    if (answer == finish_upload) {
        clear_uploads(server->data_dir);
        t->multipart =
            multipart_create(http_header(request, "Content-Type"), &part_ops, t);
        if (!t->multipart)
            http_reply_text(request, 400, "Expected multipart/form-data");
        else if (http_content_length(request) > 0)
            within_bounds(t, (uint64_t)http_content_length(request));
    }
    return t;
}

/* After a failure the rest is read and dropped: clients that are cut off while they
 * send don't see the answer. */
static void files_body(void *state, struct http_request *request, const char *data,
                       size_t n)
{
    struct transfer *t = state;
    if (!t || t->status)
        return;
    if (t->multipart) {
        t->received += n;
        if (within_bounds(t, t->received) && multipart_feed(t->multipart, data, n) < 0)
            fail(t, 400, "Malformed multipart/form-data");
    } else if (t->answer == delete_many) {
        if (t->body.len + n > DELETE_BODY_MAX)
            fail(t, 413, "Request body is too large");
        else
            buf_add(&t->body, data, n);
    }
}

static void files_end(void *state, struct http_request *request)
{
    struct transfer *t = state;
    if (t->status)
        http_reply_text(request, t->status, t->why);
    else
        t->answer(t);
}

static void files_destroy(void *state)
{
    struct transfer *t = state;
    if (!t)
        return;
    for (size_t i = 0; i < t->count; i++) {
        struct upload *u = &t->uploads[i];
        if (u->fd >= 0)
            close(u->fd);
        if (u->temporary)
            unlink(u->temporary);
        free(u->temporary);
        free(u->target);
        free(u->path);
    }
    free(t->uploads);
    buf_free(&t->body);
    multipart_destroy(t->multipart);
    free(t);
}

const struct http_handler fileserver_handler = {files_begin, files_body, files_end,
                                                files_destroy};
