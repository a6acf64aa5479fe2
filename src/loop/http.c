/* SPDX-License-Identifier: Apache-2.0 */
/* - One ev_io a socket, one ev_timer for curl, one ev_timer a request.
 * - Requests above max_connections wait here, not inside curl: there a waiting one has
 *   no time-out, its connect time-out starts too early, and it takes 7 KB. Only a
 *   request that is under way has an easy handle, and those are used again.
 * - curl calls nothing of ours but the small functions marked "called by curl", and
 *   those never call back into curl. Finished requests are collected first and
 *   announced afterwards, so that a callback may send, cancel and destroy. */
#include "config.h"

#include "loop/http.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "loop/http-error.h"
#include "loop/proxy.h"
#include "loop/retry-after.h"
#include "loop/trust.h"

#include <ctype.h>
#include <curl/curl.h>
#include <ev.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

enum {
    DEFAULT_CONNECTIONS = 4,
    DEFAULT_CONNECT_MS = 10000, /* as ClearML's own clients have it */
    DEFAULT_TIMEOUT_MS = 30000,
    /* Shorter than the keep-alive times of usual servers and proxies (nginx: 65 s), so
     * that a request rarely meets a connection that is just being closed. */
    IDLE_CONNECTION_S = 30,
    /* Of what must not be written twice, and would fail if it met one: a connection
     * that was in use just now. */
    IDLE_ONCE_S = 2,
    NUDGE_MS = 200,
    MAX_HEADER_BYTES = 256 * 1024,
    MAX_URL = 64 * 1024
};
static const size_t default_max_response = 64UL << 20;

enum request_state { REQUEST_WAITING, REQUEST_ACTIVE, REQUEST_DONE, REQUEST_CALLING };

struct http_request {
    TAILQ_ENTRY(http_request) link;
    struct http *http;
    enum request_state state;
    CURL *easy; /* NULL unless active */
    char *method, *url;
    struct curl_slist *headers;
    char *body; /* NULL: none */
    size_t body_len;
    int64_t connect_timeout_ms;
    int64_t nudged_ms; /* clock_boot_ms, while it connects */
    struct buf answer;
    size_t header_bytes;
    ev_timer timeout;
    int64_t timeout_ms;
    bool repeatable, proxied;
    bool issued;   /* a connection stood and the request was about to be written */
    bool repeated; /* curl wanted to write it a second time */
    bool too_long; /* the answer was */
    bool timed_out;
    bool crowded; /* it timed out before its turn came */
    char retry_after[RETRY_AFTER_SIZE], date[RETRY_AFTER_SIZE]; /* headers */
    CURLcode result;
    long status;
    long verify;    /* what OpenSSL found about the certificate */
    char *location; /* of a redirect, as an absolute address; NULL: none */
    curl_off_t usec;
    char why[CURL_ERROR_SIZE];
    http_done_f done;
    void *arg;
};

TAILQ_HEAD(request_list, http_request);

struct http {
    struct ev_loop *loop;
    CURLM *multi;
    ev_timer timer;
    int max_connections, active;
    CURL **idle; /* easy handles to be used again, at most max_connections */
    int idle_count;
    struct trust trust;
    bool direct; /* no proxy, whatever the environment says */
    char *user_agent;
    size_t max_response;
    struct request_list waiting, running, done;
    int depth; /* of dispatch calls on the stack */
    bool dead; /* destroyed inside a callback: freed when the stack is unwound */
};

struct http_socket {
    ev_io io;
    struct http *http;
};

static void http_dispatch(struct http *http);

/* Takes an active request out of curl and out of the running ones. */
static void request_deactivate(struct http_request *r)
{
    struct http *http = r->http;
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &r->status);
    curl_easy_getinfo(r->easy, CURLINFO_TOTAL_TIME_T, &r->usec);
    curl_easy_getinfo(r->easy, CURLINFO_SSL_VERIFYRESULT, &r->verify);
    char *location = NULL;
    curl_easy_getinfo(r->easy, CURLINFO_REDIRECT_URL, &location);
    r->location = location ? xstrdup(location) : NULL;
    curl_multi_remove_handle(http->multi, r->easy);
    curl_easy_reset(r->easy);
    http->idle[http->idle_count++] = r->easy;
    r->easy = NULL;
    TAILQ_REMOVE(&http->running, r, link);
    http->active--;
}

static void request_done(struct http_request *r, CURLcode result)
{
    ev_timer_stop(r->http->loop, &r->timeout);
    r->result = result;
    r->state = REQUEST_DONE;
    TAILQ_INSERT_TAIL(&r->http->done, r, link);
}

/* Moves what curl has finished to the list of what is to be announced. */
static void collect(struct http *http)
{
    CURLMsg *msg;
    int left;
    while ((msg = curl_multi_info_read(http->multi, &left))) {
        if (msg->msg != CURLMSG_DONE)
            continue;
        char *private = NULL;
        CURLcode result = msg->data.result;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private);
        struct http_request *r = (struct http_request *)private;
        request_deactivate(r);
        request_done(r, result);
    }
}

static void http_socket_cb(struct ev_loop *loop, ev_io *w, int revents)
{
    struct http_socket *s = w->data;
    struct http *http = s->http;
    int bits = 0, running;
    if (revents & EV_READ)
        bits |= CURL_CSELECT_IN;
    if (revents & EV_WRITE)
        bits |= CURL_CSELECT_OUT;
    if (revents & EV_ERROR)
        bits |= CURL_CSELECT_ERR;
    /* s may be gone after this. */
    curl_multi_socket_action(http->multi, w->fd, bits, &running);
    http_dispatch(http);
}

/* curl 7.88 gives up an address that does not take the connection at a timer, and goes
 * on to the next address when it is called again; it asks for that call only when the
 * whole time to connect is over. Pausing and going on makes it want one at once. */
static void try_next_addresses(struct http *http)
{
    int64_t now = clock_boot_ms();
    struct http_request *r;
    TAILQ_FOREACH(r, &http->running, link)
    {
        if (r->issued || now - r->nudged_ms < NUDGE_MS)
            continue;
        r->nudged_ms = now;
        curl_easy_pause(r->easy, CURLPAUSE_ALL);
        curl_easy_pause(r->easy, CURLPAUSE_CONT);
    }
}

static void http_timer_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct http *http = w->data;
    int running;
    curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    try_next_addresses(http);
    http_dispatch(http);
}

/* Called by curl: what it wants to know about a socket. */
static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *arg,
                         void *socket_arg)
{
    struct http *http = arg;
    struct http_socket *s = socket_arg;
    if (what == CURL_POLL_REMOVE) {
        if (s) {
            ev_io_stop(http->loop, &s->io);
            curl_multi_assign(http->multi, fd, NULL);
            free(s);
        }
        return 0;
    }
    int events =
        (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0);
    if (!s) {
        s = xcalloc(1, sizeof *s);
        s->http = http;
        curl_multi_assign(http->multi, fd, s);
    }
    ev_io_stop(http->loop, &s->io);
    ev_io_init(&s->io, http_socket_cb, fd, events);
    s->io.data = s;
    if (events)
        ev_io_start(http->loop, &s->io);
    return 0;
}

/* Called by curl: when it wants to be called next. */
static int timer_wanted(CURLM *multi, long timeout_ms, void *arg)
{
    struct http *http = arg;
    ev_timer_stop(http->loop, &http->timer);
    if (timeout_ms < 0)
        return 0;
    ev_now_update(http->loop);
    ev_timer_set(&http->timer, (double)timeout_ms / 1000.0, 0.);
    ev_timer_start(http->loop, &http->timer);
    return 0;
}

/* Called by curl when the connection (with its TLS and proxy tunnel) stands, before the
 * request's first byte. This is what tells "not sent" from "no answer". curl sends a
 * request again by itself when a reused connection closes without an answer; the first
 * copy may have been applied, so that is refused: one call sends at most once. */
static int request_issue(void *arg, char *ip, char *local_ip, int port, int local_port)
{
    struct http_request *r = arg;
    if (r->issued && !r->repeatable) {
        r->repeated = true;
        return CURL_PREREQFUNC_ABORT;
    }
    r->issued = true;
    return CURL_PREREQFUNC_OK;
}

/* Called by curl. */
static size_t body_arrived(char *data, size_t size, size_t n, void *arg)
{
    struct http_request *r = arg;
    size_t bytes = size * n;
    if (bytes > r->http->max_response - r->answer.len) {
        r->too_long = true;
        return CURL_WRITEFUNC_ERROR;
    }
    buf_add(&r->answer, data, bytes);
    return bytes;
}

/* Keeps the value if the line is a header of that name; what is too long is none. */
static void take_header(const char *line, size_t n, const char *name,
                        char out[RETRY_AFTER_SIZE])
{
    size_t skip = strlen(name);
    if (n <= skip || strncasecmp(line, name, skip) != 0)
        return;
    line += skip;
    n -= skip;
    while (n && isspace((unsigned char)*line))
        line++, n--;
    while (n && isspace((unsigned char)line[n - 1]))
        n--;
    if (n >= RETRY_AFTER_SIZE)
        n = 0;
    memcpy(out, line, n);
    out[n] = '\0';
}

/* Called by curl, for each header line and for the status line. */
static size_t header_arrived(char *data, size_t size, size_t n, void *arg)
{
    struct http_request *r = arg;
    size_t bytes = size * n;
    r->header_bytes += bytes;
    if (r->header_bytes > MAX_HEADER_BYTES) {
        r->too_long = true;
        return 0;
    }
    if (bytes >= 5 && !memcmp(data, "HTTP/", 5))
        r->retry_after[0] = r->date[0] = '\0';
    take_header(data, bytes, "retry-after:", r->retry_after);
    take_header(data, bytes, "date:", r->date);
    return bytes;
}

static void request_free(struct http_request *r)
{
    ev_timer_stop(r->http->loop, &r->timeout);
    curl_slist_free_all(r->headers);
    free(r->method);
    free(r->url);
    free(r->body);
    free(r->location);
    buf_free(&r->answer);
    free(r);
}

/* Takes the request out of whatever list and out of curl. */
static void request_detach(struct http_request *r)
{
    struct http *http = r->http;
    switch (r->state) {
    case REQUEST_WAITING:
        TAILQ_REMOVE(&http->waiting, r, link);
        break;
    case REQUEST_ACTIVE:
        request_deactivate(r);
        break;
    case REQUEST_DONE:
        TAILQ_REMOVE(&http->done, r, link);
        break;
    case REQUEST_CALLING:
        break;
    }
}

/* A body goes with every method, GET included, as ClearML's own clients send it. */
static void set_method(struct http_request *r)
{
    if (r->body) {
        curl_easy_setopt(r->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(r->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len);
        curl_easy_setopt(r->easy, CURLOPT_POSTFIELDS, r->body);
    }
    if (!strcmp(r->method, "HEAD"))
        curl_easy_setopt(r->easy, CURLOPT_NOBODY, 1L);
    else
        curl_easy_setopt(r->easy, CURLOPT_CUSTOMREQUEST, r->method);
}

static void set_connection(struct http_request *r)
{
    CURL *easy = r->easy;
    struct http *http = r->http;
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)r->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 30L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 10L);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN,
                     (long)(r->repeatable ? IDLE_CONNECTION_S : IDLE_ONCE_S));
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    /* An answer is counted by what it unpacks to (max_response). */
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    if (http->user_agent)
        curl_easy_setopt(easy, CURLOPT_USERAGENT, http->user_agent);
    /* A redirect is an answer: following it would send the request, with its
     * credentials, somewhere that nobody configured. */
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
    /* Otherwise ending a request whose host name is still being looked up waits for the
     * resolver's thread, with the loop stopped. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
}

/* Named authorities take the place of the system's, which curl would go on asking in
 * its other form (file or folder). */
static void set_trust(struct http_request *r)
{
    const struct trust *trust = &r->http->trust;
    curl_easy_setopt(r->easy, CURLOPT_SSL_VERIFYPEER, trust->verify ? 1L : 0L);
    curl_easy_setopt(r->easy, CURLOPT_SSL_VERIFYHOST, trust->verify ? 2L : 0L);
    if (trust->file || trust->folder) {
        curl_easy_setopt(r->easy, CURLOPT_CAINFO, trust->file);
        curl_easy_setopt(r->easy, CURLOPT_CAPATH, trust->folder);
    }
}

/* Always said, so that curl does not look at the environment by its own rules. */
static void set_proxy(struct http_request *r)
{
    auto_free char *proxy = r->http->direct ? NULL : proxy_for_url_dup(r->url);
    r->proxied = proxy != NULL;
    curl_easy_setopt(r->easy, CURLOPT_PROXY, proxy ? proxy : "");
    curl_easy_setopt(r->easy, CURLOPT_NOPROXY, "");
}

static void set_callbacks(struct http_request *r)
{
    CURL *easy = r->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, r);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, r->why);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, request_issue);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, r);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_arrived);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, header_arrived);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, r);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
}

/* NULL, or why curl does not take it. */
static const char *request_activate(struct http_request *r)
{
    struct http *http = r->http;
    r->easy = http->idle_count ? http->idle[--http->idle_count] : curl_easy_init();
    if (!r->easy)
        return "libcurl makes no handle";
    set_callbacks(r);
    set_connection(r);
    set_trust(r);
    set_proxy(r);
    set_method(r);
    curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->headers);
    CURLcode code = curl_easy_setopt(r->easy, CURLOPT_URL, r->url);
    if (code != CURLE_OK)
        return curl_easy_strerror(code);
    CURLMcode added = curl_multi_add_handle(http->multi, r->easy);
    if (added != CURLM_OK)
        return curl_multi_strerror(added);
    r->state = REQUEST_ACTIVE;
    TAILQ_INSERT_TAIL(&http->running, r, link);
    http->active++;
    return NULL;
}

static void start_waiting(struct http *http)
{
    struct http_request *r;
    while (http->active < http->max_connections && (r = TAILQ_FIRST(&http->waiting))) {
        TAILQ_REMOVE(&http->waiting, r, link);
        const char *why = request_activate(r);
        if (!why)
            continue;
        snprintf(r->why, sizeof r->why, "%s", why);
        curl_easy_cleanup(r->easy);
        r->easy = NULL;
        request_done(r, CURLE_FAILED_INIT);
        /* Nothing else may wake the loop to announce it. */
        timer_wanted(http->multi, 0, http);
    }
}

static const char *why_not(struct http_request *r, char *text, size_t size)
{
    if (r->crowded)
        snprintf(text, size, "no free connection within %lld ms",
                 (long long)r->timeout_ms);
    else if (r->timed_out)
        snprintf(text, size, "%s within %lld ms",
                 r->issued ? "no answer" : "no connection", (long long)r->timeout_ms);
    else if (r->too_long)
        snprintf(text, size, "the answer is longer than %zu bytes",
                 r->http->max_response);
    else if (r->repeated)
        snprintf(text, size, "the connection was closed without an answer");
    else
        http_error_text(
            &(struct http_failure){r->result, r->verify, r->why, r->proxied},
            &r->http->trust, text, size);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
    return text;
}

static void announce(struct http_request *r)
{
    char text[CURL_ERROR_SIZE + 256];
    struct http_answer answer = {.body = &r->answer,
                                 .location = r->location,
                                 .retry_after_ms =
                                     retry_after_ms(r->retry_after, r->date)};
    answer.seconds = (double)r->usec / 1e6;
    if (r->result == CURLE_OK && r->status > 0) {
        answer.outcome = HTTP_ANSWERED;
        answer.status = (int)r->status;
    } else {
        answer.outcome = r->issued ? HTTP_NO_ANSWER : HTTP_NOT_SENT;
        answer.crowded = r->crowded;
        answer.stale = r->repeated;
        answer.error = why_not(r, text, sizeof text);
    }
    r->state = REQUEST_CALLING;
    r->done(r->arg, &answer);
}

/* Announces what is finished and lets waiting requests follow. Last thing in every
 * watcher callback, since http may be gone afterwards. */
static void http_dispatch(struct http *http)
{
    struct http_request *r;
    http->depth++;
    collect(http);
    while (!http->dead && (r = TAILQ_FIRST(&http->done))) {
        TAILQ_REMOVE(&http->done, r, link);
        announce(r);
        request_free(r);
    }
    http->depth--;
    if (http->dead)
        free(http);
    else
        start_waiting(http);
}

static void request_timeout_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct http_request *r = w->data;
    struct http *http = r->http;
    r->crowded = r->state == REQUEST_WAITING;
    request_detach(r);
    r->timed_out = true;
    request_done(r, CURLE_OPERATION_TIMEDOUT);
    http_dispatch(http);
}

struct http *http_create(struct ev_loop *loop, const struct http_config *config,
                         struct reeve_error *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        reeve_error_set(err, 0, "start libcurl");
        return NULL;
    }
    struct http *http = xcalloc(1, sizeof *http);
    http->multi = curl_multi_init();
    if (!http->multi) {
        curl_global_cleanup();
        free(http);
        reeve_error_set(err, 0, "start libcurl's multi interface");
        return NULL;
    }
    http->loop = loop;
    http->max_connections =
        config->max_connections > 0 ? config->max_connections : DEFAULT_CONNECTIONS;
    trust_choose(&http->trust, config->verify, config->ca_file);
    http->direct = config->direct;
    http->user_agent = config->user_agent ? xstrdup(config->user_agent) : NULL;
    http->max_response =
        config->max_response ? config->max_response : default_max_response;
    http->idle = xcalloc((size_t)http->max_connections, sizeof *http->idle);
    TAILQ_INIT(&http->waiting);
    TAILQ_INIT(&http->running);
    TAILQ_INIT(&http->done);
    ev_timer_init(&http->timer, http_timer_cb, 0., 0.);
    http->timer.data = http;
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)http->max_connections);
    return http;
}

static void free_list(struct request_list *list)
{
    struct http_request *r;
    while ((r = TAILQ_FIRST(list))) {
        request_detach(r);
        request_free(r);
    }
}

void http_destroy(struct http *http)
{
    if (!http)
        return;
    free_list(&http->waiting);
    free_list(&http->running);
    free_list(&http->done);
    while (http->idle_count > 0)
        curl_easy_cleanup(http->idle[--http->idle_count]);
    free(http->idle);
    curl_multi_cleanup(http->multi);
    ev_timer_stop(http->loop, &http->timer);
    trust_clear(&http->trust);
    free(http->user_agent);
    curl_global_cleanup();
    http->dead = true;
    if (http->depth == 0)
        free(http);
}

static bool names_header(const char *line, const char *name)
{
    size_t n = strlen(name);
    return !strncasecmp(line, name, n) && line[n] == ':';
}

static void take_headers(struct http_request *r, const char *const *headers)
{
    bool type = false;
    for (; headers && *headers; headers++) {
        type |= names_header(*headers, "content-type");
        r->headers = curl_slist_append(r->headers, *headers);
    }
    /* curl would call every body a form, and would wait up to a second for a
     * "100 Continue" before a large one. */
    if (!type)
        r->headers = curl_slist_append(r->headers, "Content-Type:");
    r->headers = curl_slist_append(r->headers, "Expect:");
}

static void take_body(struct http_request *r, const struct http_params *params)
{
    bool bodiless = !strcmp(params->method, "GET") || !strcmp(params->method, "HEAD");
    if (!params->body && bodiless)
        return;
    r->body_len = params->body ? params->body_len : 0;
    r->body = xmalloc(r->body_len + 1);
    if (r->body_len)
        memcpy(r->body, params->body, r->body_len);
}

struct http_request *http_send(struct http *http, const struct http_params *params,
                               http_done_f done, void *arg, struct reeve_error *err)
{
    if (strlen(params->url) > MAX_URL) {
        reeve_error_set(err, 0, "the address is too long");
        return NULL;
    }
    struct http_request *r = xcalloc(1, sizeof *r);
    r->http = http;
    r->done = done;
    r->arg = arg;
    r->repeatable = params->repeatable;
    r->method = xstrdup(params->method);
    r->url = xstrdup(params->url);
    r->timeout_ms = params->timeout_ms > 0 ? params->timeout_ms : DEFAULT_TIMEOUT_MS;
    r->connect_timeout_ms = DEFAULT_CONNECT_MS;
    if (params->connect_timeout_ms > 0 && params->connect_timeout_ms < INT_MAX)
        r->connect_timeout_ms = params->connect_timeout_ms;
    take_headers(r, params->headers);
    take_body(r, params);

    ev_now_update(http->loop);
    ev_timer_init(&r->timeout, request_timeout_cb, (double)r->timeout_ms / 1000.0, 0.);
    r->timeout.data = r;
    /* After the sockets of the same turn: a loop that was late must not turn an answer
     * that is there already into "no answer". */
    ev_set_priority(&r->timeout, EV_MINPRI);
    ev_timer_start(http->loop, &r->timeout);
    r->state = REQUEST_WAITING;
    if (params->urgent)
        TAILQ_INSERT_HEAD(&http->waiting, r, link);
    else
        TAILQ_INSERT_TAIL(&http->waiting, r, link);
    start_waiting(http);
    return r;
}

void http_cancel(struct http_request *request)
{
    struct http *http = request->http;
    if (request->state == REQUEST_CALLING)
        return;
    request_detach(request);
    request_free(request);
    start_waiting(http);
}
