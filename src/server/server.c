/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/server.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "server/auth.h"
#include "server/call-log.h"
#include "server/defaults.h"
#include "server/dispatch.h"
#include "server/http.h"
#include "server/lane.h"
#include "server/scrolls.h"
#include "server/services.h"
#include "server/store.h"
#include "server/wait.h"
#include "server/watchdog.h"
#include "server/web.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define SWEEP_EVERY_S 5
/* ClearML's. */
#define WATCHDOG_SILENCE_S 7200
#define WATCHDOG_INTERVAL_S 900

void server_options_default(struct server_options *options)
{
    const char *web_dir = getenv("REEVE_WEB_DIR");
    *options = (struct server_options){
        .listen = "127.0.0.1",
        .api_port = 8008,
        .web_port = 8080,
        .files_port = 8081,
        .web_dir = web_dir && *web_dir ? web_dir : REEVE_WEBDIR,
        .threads = 2,
        .connections = 16384,
        .idle_s = 60,
        .body_max = (size_t)64 << 20,
        .bodies_max = (size_t)512 << 20,
        .watchdog_silence_s = WATCHDOG_SILENCE_S,
        .watchdog_interval_s = WATCHDOG_INTERVAL_S,
    };
}

static int lock_folder(struct server *server, struct reeve_error *err)
{
    auto_free char *path = path_join_dup(server->data_dir, "lock");
    server->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (server->lock_fd < 0)
        return reeve_error_set(err, errno, "open %s", path);
    if (flock(server->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return reeve_error_set(err, 0, "another reeve-server uses %s",
                               server->data_dir);
    return reeve_error_set(err, errno, "lock %s", path);
}

static int open_folder(struct server *server, struct reeve_error *err)
{
    const char *dir = server->options.data_dir;
    if (dir_make(dir, 0700, err) < 0)
        return -1;
    server->data_dir = realpath(dir, NULL);
    if (!server->data_dir)
        return reeve_error_set(err, errno, "find %s", dir);
    server->files_dir = path_join_dup(server->data_dir, "files");
    if (lock_folder(server, err) < 0)
        return -1;
    return dir_make(server->files_dir, 0700, err);
}

static struct http_listener *listen_on(struct server *server, uint16_t port,
                                       unsigned threads,
                                       const struct http_handler *handler,
                                       struct reeve_error *err)
{
    struct http_listener_options options = {
        .address = server->options.listen,
        .port = port,
        .threads = threads,
        .connections = server->options.connections,
        .idle_s = server->options.idle_s,
        .handler = handler,
    };
    return http_listen(server, &options, err);
}

static int listen_all(struct server *server, struct reeve_error *err)
{
    const struct server_options *o = &server->options;
    server->api = listen_on(server, o->api_port, o->threads, &api_handler, err);
    if (server->api)
        server->web = listen_on(server, o->web_port, 1, &web_handler, err);
    if (server->web)
        server->files = listen_on(server, o->files_port, 2, &fileserver_handler, err);
    return server->files ? 0 : -1;
}

static int stop_silent_tasks(sqlite3 *db, void *arg)
{
    const struct server *server = arg;
    int64_t silence_ms = (int64_t)server->options.watchdog_silence_s * 1000;
    int stopped = tasks_stop_silent(db, clock_wall_ms(), silence_ms);
    if (stopped > 0)
        log_warn("%d tasks were silent for %u s and are stopped", stopped,
                 server->options.watchdog_silence_s);
    return stopped < 0 ? -1 : 0;
}

static void sweep(struct server *server, struct watchdog *watchdog)
{
    http_sweep(server->api);
    http_sweep(server->web);
    http_sweep(server->files);
    if (watchdog_due(watchdog, clock_boot_ms(), clock_wall_ms()))
        store_run(server->store, stop_silent_tasks, server);
}

static void *sweeper_main(void *arg)
{
    struct server *server = arg;
    struct timespec until;
    struct watchdog watchdog;
    unsigned interval = server->options.watchdog_interval_s;
    unsigned every = interval < SWEEP_EVERY_S ? interval : SWEEP_EVERY_S;
    watchdog_start(&watchdog, server->options.watchdog_silence_s, interval, every,
                   clock_boot_ms(), clock_wall_ms());
    pthread_mutex_lock(&server->lock);
    while (!server->stopped) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += every;
        pthread_cond_timedwait(&server->changed, &server->lock, &until);
        if (server->stopped)
            break;
        pthread_mutex_unlock(&server->lock);
        sweep(server, &watchdog);
        pthread_mutex_lock(&server->lock);
    }
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

static int start(struct server *server, struct reeve_error *err)
{
    if (open_folder(server, err) < 0)
        return -1;
    server->store = store_open(server->data_dir, err);
    if (!server->store)
        return -1;
    server->lane = lane_open(server->store);
    if (!server->lane)
        return reeve_error_set(err, 0, "cannot start a thread");
    server->auth = auth_open(server->data_dir, server->store, err);
    if (!server->auth)
        return -1;
    if (store_run(server->store, defaults_create, NULL) < 0)
        return reeve_error_set(err, 0, "cannot write to the database");
    const char *calls = server->options.call_log;
    if (calls && !(server->call_log = call_log_open(calls, err)))
        return -1;
    if (listen_all(server, err) < 0)
        return -1;
    int rc = pthread_create(&server->sweeper, NULL, sweeper_main, server);
    if (rc != 0)
        return reeve_error_set(err, rc, "start a thread");
    server->sweeping = true;
    return 0;
}

struct server *server_start(const struct server_options *options,
                            struct reeve_error *err)
{
    struct server *server = xcalloc(1, sizeof *server);
    pthread_condattr_t monotonic;
    server->options = *options;
    server->lock_fd = -1;
    pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&server->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    server->waits = waits_create();
    server->scrolls = scrolls_create();
    server->dispatch = dispatch_create(!options->no_extensions);
    if (start(server, err) == 0)
        return server;
    server_stop(server);
    return NULL;
}

static void stop_sweeper(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    server->stopped = true;
    pthread_cond_signal(&server->changed);
    pthread_mutex_unlock(&server->lock);
    if (server->sweeping)
        pthread_join(server->sweeper, NULL);
}

void server_stop(struct server *server)
{
    if (!server)
        return;
    stop_sweeper(server);
    atomic_store(&server->stopping, true);
    waits_stop(server->waits);
    http_close(server->api);
    http_close(server->web);
    http_close(server->files);
    lane_close(server->lane);
    store_close(server->store);
    waits_destroy(server->waits);
    scrolls_destroy(server->scrolls);
    auth_close(server->auth);
    call_log_close(server->call_log);
    dispatch_destroy(server->dispatch);
    if (server->lock_fd >= 0)
        close(server->lock_fd);
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->changed);
    free(server->files_dir);
    free(server->data_dir);
    free(server);
}

static void set_url(cJSON *out, const char *name, const struct server *server,
                    const struct http_listener *listener)
{
    char url[96];
    const char *host = server->options.listen;
    /* Nobody can call an address that means all of them. */
    if (strcmp(host, "0.0.0.0") == 0)
        host = "127.0.0.1";
    else if (strcmp(host, "::") == 0)
        host = "::1";
    snprintf(url, sizeof url, strchr(host, ':') ? "http://[%s]:%u" : "http://%s:%u",
             host, http_port(listener));
    json_set_str(out, name, url);
}

int server_write_endpoint(struct server *server, struct reeve_error *err)
{
    auto_json *out = cJSON_CreateObject();
    const struct auth_keys *keys = auth_first_keys(server->auth);
    set_url(out, "api", server, server->api);
    set_url(out, "web", server, server->web);
    set_url(out, "files", server, server->files);
    json_set_str(out, "access_key", keys->access_key);
    json_set_str(out, "secret_key", keys->secret_key);
    json_set_int(out, "pid", getpid());
    auto_free char *text = json_format(out);
    return file_replace(server->options.endpoint, text, strlen(text), 0600, false, err);
}
