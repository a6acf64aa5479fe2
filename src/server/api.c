/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/utf8.h"
#include "server/auth.h"
#include "server/call-log.h"
#include "server/call.h"
#include "server/dispatch.h"
#include "server/http.h"
#include "server/lane.h"
#include "server/server.h"
#include "server/store.h"
#include "server/wait.h"

#include <ctype.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* How long a read may hold a listener's thread, and how long it may take at all:
 * clients give up after ten seconds. */
#define READ_QUICK_MS 250
#define READ_MAX_MS 9000

/* Bodies up to this size are always taken; larger ones share the server's budget. */
#define BODY_FREE (64u << 10)

enum phase {
    API_START,  /* the body comes, or is in */
    API_READ,   /* to be run here */
    API_WRITE,  /* to be given to the writer */
    API_WRITTEN /* the writer, or the lane of slow reads, is through */
};

/* One request. While its connection is suspended the writer, the lane or the waits own
 * it. */
struct api_request {
    struct call call;
    cJSON *again; /* the request as it came, for a read that is run twice */
    struct server *server;
    struct http_request *http;
    struct buf body;
    size_t budget; /* what of the server's budget this body holds */
    enum phase phase;
    struct store_job job;
    struct waiter waiter;
    int64_t came_ms; /* CLOCK_BOOTTIME */
    uint64_t generation;
    int result;
    bool logged;
};

/* An answer that is made while it is sent. */
struct api_stream {
    struct server *server;
    struct call_stream stream;
};

static int stream_next(void *arg, struct buf *out)
{
    struct api_stream *s = arg;
    sqlite3 *db = store_reader(s->server->store);
    if (!db)
        return -1;
    store_watch();
    int result = s->stream.next(s->stream.state, db, out);
    store_rest(db);
    return store_failed() ? -1 : result;
}

static void stream_done(void *arg)
{
    struct api_stream *s = arg;
    s->stream.done(s->stream.state);
    free(s);
}

static void answer_stream(struct api_request *r)
{
    struct api_stream *s = xcalloc(1, sizeof *s);
    s->server = r->server;
    s->stream = r->call.stream;
    r->call.stream = (struct call_stream){0};
    http_reply_stream(r->http, 200, r->call.raw_type,
                      &(struct http_stream){stream_next, stream_done, s});
}

/* A download: the data as they are, under a name that a header can carry. */
static void answer_raw(struct api_request *r)
{
    struct call *call = &r->call;
    for (char *p = call->raw_file; p && *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
            *p = '_';
    if (call->raw_file) {
        auto_free char *value =
            xasprintf("attachment; filename=\"%s\"", call->raw_file);
        http_add_header(r->http, "Content-Disposition", value);
    }
    if (call->stream.next) {
        answer_stream(r);
        return;
    }
    size_t n = strlen(call->raw_data);
    http_reply_take(r->http, 200, call->raw_type, steal(&call->raw_data), n);
}

static void log_call(struct api_request *r)
{
    if (!r->logged)
        call_log_write(r->server->call_log, &r->call, clock_boot_ms() - r->came_ms);
    r->logged = true;
}

static void answer(struct api_request *r)
{
    log_call(r);
    if (r->call.raw_type && (r->call.raw_data || r->call.stream.next) &&
        r->call.code == 200) {
        answer_raw(r);
        return;
    }
    struct buf out = BUF_INIT;
    dispatch_envelope(&r->call, &out);
    if (r->call.set_cookie)
        http_add_header(r->http, "Set-Cookie", r->call.set_cookie);
    if (r->call.code >= 500)
        log_warn("%s: %d: %s", r->call.endpoint_name, r->call.code, r->call.message);
    size_t n = out.len;
    http_reply_take(r->http, r->call.code, "application/json", buf_take(&out), n);
}

/* ---- headers ---- */

static const char *either_header(struct http_request *http, const char *first,
                                 const char *second)
{
    const char *value = http_header(http, first);
    return value ? value : http_header(http, second);
}

static void copy_header(char *out, size_t size, const char *value)
{
    auto_buf safe = BUF_INIT;
    if (!value)
        return;
    utf8_add_safe(&safe, value, strnlen(value, size));
    snprintf(out, size, "%s", buf_str(&safe));
    /* The cut may have gone through the last character. */
    size_t n = strlen(out);
    while (n > 0 && !utf8_valid(out, n))
        out[--n] = '\0';
}

/* A page of another site can make a browser send its cookie along with a link. Such a
 * request is not the user's. */
static const char *trusted_cookie(struct http_request *http)
{
    const char *site = http_header(http, "Sec-Fetch-Site");
    if (site && strcmp(site, "cross-site") == 0)
        return NULL;
    return http_cookie(http, AUTH_COOKIE);
}

static int impersonate(struct call *call, const char *act_as,
                       const char *impersonate_as)
{
    struct caller other;
    sqlite3 *db = store_reader(call->server->store);
    if (act_as && impersonate_as)
        return call_fail(call, 400, 5, "Invalid headers (only one allowed)");
    if (strcmp(call->caller.role, "admin") != 0) {
        call_fail(call, 400, 6, "Impersonation error (impersonation not allowed)");
        return call_fail_arg(call, "role", call->caller.role);
    }
    const char *user = act_as ? act_as : impersonate_as;
    if (!db || !utf8_valid(user, strlen(user)) || !auth_user(db, user, &other))
        return call_fail(call, 400, 6, "Impersonation error (unknown user)");
    if (act_as)
        strcpy(other.role, call->caller.role);
    other.authenticated = true;
    call->caller = other;
    return 0;
}

/* What could not be read is not what is not there: a client would take a task for
 * deleted, and its keys for revoked. */
static int fail_unread(struct call *call)
{
    call_reset_answer(call);
    return call_fail(call, 500, 0,
                     "General server error (the data could not be read from disk)");
}

static int identify(struct api_request *r)
{
    char why[256];
    struct call *call = &r->call;
    int refused =
        auth_check(r->server, http_header(r->http, "Authorization"),
                   trusted_cookie(r->http), &call->caller, &call->session, why);
    if (call->endpoint->flags & ENDPOINT_PUBLIC) {
        if (refused)
            memset(&call->caller, 0, sizeof call->caller);
        return 0;
    }
    if (refused)
        return auth_fail(call, refused, why);
    const char *act_as = either_header(r->http, "X-ClearML-Act-As", "X-Trains-Act-As");
    const char *as =
        either_header(r->http, "X-ClearML-Impersonate-As", "X-Trains-Impersonate-As");
    return act_as || as ? impersonate(call, act_as, as) : 0;
}

static int authenticate(struct api_request *r)
{
    store_watch();
    int result = identify(r);
    return store_failed() ? fail_unread(&r->call) : result;
}

static bool reserve(struct api_request *r, size_t want)
{
    if (want <= BODY_FREE || want <= r->budget)
        return true;
    size_t more = want - r->budget;
    size_t before = atomic_fetch_add(&r->server->bodies, more);
    if (before + more > r->server->options.bodies_max) {
        atomic_fetch_sub(&r->server->bodies, more);
        return false;
    }
    r->budget += more;
    return true;
}

static int check_size(struct api_request *r, uint64_t n)
{
    if (n > r->server->options.body_max)
        return call_fail(&r->call, 413, 0, "Request body is larger than %zu bytes",
                         r->server->options.body_max);
    /* 429 is what ClearML's clients try again after a while. */
    if (!reserve(r, n))
        return call_fail(&r->call, 429, 0, "Too many large requests at once");
    return 0;
}

static void read_headers(struct api_request *r)
{
    struct call *call = &r->call;
    struct http_request *http = r->http;
    copy_header(call->worker, sizeof call->worker,
                either_header(http, "X-ClearML-Worker", "X-Trains-Worker"));
    copy_header(call->trx, sizeof call->trx,
                either_header(http, "X-ClearML-Trx", "X-Trains-Trx"));
    if (!call->server->options.no_extensions)
        copy_header(call->batch, sizeof call->batch,
                    http_header(http, "x-reeve-batch"));
    http_client_ip(http, call->client_ip);
}

static void *api_begin(struct server *server, struct http_request *http)
{
    if (strcmp(http_method(http), "OPTIONS") == 0) {
        http_add_header(http, "Access-Control-Allow-Methods",
                        "GET, POST, PUT, OPTIONS");
        http_add_header(
            http, "Access-Control-Allow-Headers",
            "Authorization, Content-Type, X-ClearML-Worker, X-ClearML-Client");
        http_reply_text(http, 200, "");
        return NULL;
    }
    const char *encoding = http_header(http, "Content-Encoding");
    if (encoding && *encoding) {
        http_reply_text(http, 415, "Content encoding is not supported");
        return NULL;
    }
    struct api_request *r = xcalloc(1, sizeof *r);
    r->server = server;
    r->http = http;
    r->came_ms = clock_boot_ms();
    call_init(&r->call, server);
    read_headers(r);
    int64_t length = http_content_length(http);
    if (dispatch_path(server->dispatch, &r->call, http_path(http)) < 0 ||
        authenticate(r) < 0 || check_size(r, length > 0 ? (uint64_t)length : 0) < 0)
        answer(r);
    return r;
}

static void api_body(void *state, struct http_request *http, const char *data, size_t n)
{
    struct api_request *r = state;
    if (check_size(r, r->body.len + n) < 0)
        answer(r);
    else
        buf_add(&r->body, data, n);
}

/* ---- running ---- */

static enum MHD_Result add_arg(void *cls, enum MHD_ValueKind kind, const char *key,
                               const char *value)
{
    cJSON *args = cls;
    if (!value)
        value = "";
    if (!utf8_valid(key, strlen(key)) || !utf8_valid(value, strlen(value)))
        return MHD_YES;
    cJSON *list = json_get(args, key);
    if (!list)
        list = json_set(args, key, cJSON_CreateArray());
    cJSON_AddItemToArray(list, cJSON_CreateString(value));
    return MHD_YES;
}

static int prepare(struct api_request *r)
{
    auto_json *args = cJSON_CreateObject();
    struct call *call = &r->call;
    if (dispatch_body(call, http_header(r->http, "Content-Type"), buf_str(&r->body),
                      r->body.len) < 0)
        return -1;
    buf_free(&r->body);
    MHD_get_connection_values(http_connection(r->http), MHD_GET_ARGUMENT_KIND, add_arg,
                              args);
    if (args->child && dispatch_merge_args(call, args) < 0)
        return -1;
    return dispatch_validate(call);
}

static void on_wake(void *arg)
{
    struct api_request *r = arg;
    http_resume(r->http);
}

/* The connection is suspended: until the queue has got an entry, or for no time at all
 * if it has one already. */
static void wait_for_queue(struct api_request *r)
{
    struct call *call = &r->call;
    r->phase = call->endpoint->flags & ENDPOINT_WRITE ? API_WRITE : API_READ;
    snprintf(r->waiter.queue, sizeof r->waiter.queue, "%s", call->wait_queue);
    r->waiter.until_ms = call->wait_until_ms;
    r->waiter.wake = on_wake;
    r->waiter.arg = r;
    if (!waits_add(r->server->waits, &r->waiter, r->generation))
        http_resume(r->http);
}

static int read_run(sqlite3 *db, void *arg)
{
    struct api_request *r = arg;
    struct call *call = &r->call;
    call->db = db;
    call->stopping = atomic_load(&r->server->stopping);
    r->generation = waits_generation(r->server->waits);
    call_reset_answer(call);
    if (!db)
        return r->result = call_fail(call, 500, 0,
                                     "General server error (no database connection)");
    /* One snapshot for all that the handler reads. */
    store_watch();
    store_change(db, "BEGIN", "");
    r->result = dispatch_run(call);
    store_rest(db);
    store_change(db, "COMMIT", "");
    if (store_failed() && !call->expired)
        r->result = fail_unread(call);
    return r->result;
}

/* A server that stops waits for the lane, so nothing is begun there any more. */
static int slow_run(sqlite3 *db, void *arg)
{
    struct api_request *r = arg;
    if (atomic_load(&r->server->stopping))
        return call_fail(&r->call, 503, 0, "The server is stopping");
    r->call.deadline_ms = clock_boot_ms() + READ_MAX_MS;
    return read_run(db, r);
}

static void slow_done(void *arg, int result)
{
    struct api_request *r = arg;
    r->phase = API_WRITTEN;
    http_resume(r->http);
}

/* Once more from the start, where it holds up nobody. */
static void run_slowly(struct api_request *r)
{
    struct call *call = &r->call;
    cJSON_Delete(call->request);
    call->request = steal(&r->again);
    r->job = (struct store_job){slow_run, slow_done, r, NULL};
    http_suspend(r->http);
    if (lane_submit(r->server->lane, &r->job))
        return;
    call_fail(call, 429, 0, "Too many slow requests at once");
    slow_done(r, -1);
}

static void run_reader(struct api_request *r)
{
    struct call *call = &r->call;
    if (!r->again)
        r->again = cJSON_Duplicate(call->request, true);
    call->deadline_ms = clock_boot_ms() + READ_QUICK_MS;
    read_run(store_reader(r->server->store), r);
    if (call->expired) {
        run_slowly(r);
    } else if (r->result == CALL_WAIT) {
        http_suspend(r->http);
        wait_for_queue(r);
    } else {
        answer(r);
    }
}

static int write_run(sqlite3 *db, void *arg)
{
    struct api_request *r = arg;
    r->call.db = db;
    r->call.stopping = atomic_load(&r->server->stopping);
    r->generation = waits_generation(r->server->waits);
    call_reset_answer(&r->call);
    r->result = dispatch_run(&r->call);
    return r->result < 0 ? -1 : 0;
}

static void write_done(void *arg, int result)
{
    struct api_request *r = arg;
    waits_flush(r->server->waits, result == 0);
    if (result < 0) {
        call_reset_answer(&r->call);
        r->result =
            call_fail(&r->call, 500, 0,
                      "General server error (the data could not be written to disk)");
    }
    if (r->result == CALL_WAIT) {
        wait_for_queue(r);
        return;
    }
    r->phase = API_WRITTEN;
    http_resume(r->http);
}

static void submit(struct api_request *r)
{
    r->job = (struct store_job){write_run, write_done, r, NULL};
    http_suspend(r->http);
    store_submit(r->server->store, &r->job);
}

static void api_end(void *state, struct http_request *http)
{
    struct api_request *r = state;
    if (r->phase == API_START) {
        if (prepare(r) < 0) {
            answer(r);
            return;
        }
        r->phase = r->call.endpoint->flags & ENDPOINT_WRITE ? API_WRITE : API_READ;
    }
    if (r->phase == API_READ)
        run_reader(r);
    else if (r->phase == API_WRITE)
        submit(r);
    else
        answer(r);
}

static void api_destroy(void *state)
{
    struct api_request *r = state;
    /* Carried out, though its client did not wait for the answer. */
    if (r->phase == API_WRITTEN)
        log_call(r);
    if (r->budget > 0)
        atomic_fetch_sub(&r->server->bodies, r->budget);
    buf_free(&r->body);
    cJSON_Delete(r->again);
    call_free(&r->call);
    free(r);
}

const struct http_handler api_handler = {api_begin, api_body, api_end, api_destroy};
