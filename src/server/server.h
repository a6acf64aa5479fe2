/* server.h - what the parts of one reeve-server share */
#ifndef REEVE_SERVER_SERVER_H
#define REEVE_SERVER_SERVER_H

#include "base/error.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server_options {
    const char *data_dir;
    const char *listen; /* numeric address */
    uint16_t api_port, web_port, files_port;
    const char *web_dir;  /* the page's files */
    const char *endpoint; /* file to write, or NULL */
    const char *call_log; /* file to append to, or NULL */
    unsigned threads;     /* of the API */
    unsigned connections; /* at most, for each listener */
    unsigned idle_s;      /* silence that ends a connection */
    size_t body_max;      /* of one API request */
    size_t bodies_max;    /* of all API requests together */
    uint64_t upload_max;  /* bytes of one upload to the file server; 0: no bound */
    int64_t token_max_s;  /* of one token; 0: AUTH_EXPIRATION_MAX_S */
    /* Tasks in progress of which nothing was heard for so long are stopped; 0: never.
     * Looked for so often. ClearML's services.tasks.non_responsive_tasks_watchdog. */
    unsigned watchdog_silence_s, watchdog_interval_s;
    bool no_extensions; /* only what ClearML's own server has */
};

struct store;
struct lane;
struct auth;
struct call_log;
struct waits;
struct scrolls;
struct dispatch;
struct http_listener;

struct server {
    struct server_options options;
    char *data_dir;  /* absolute */
    char *files_dir; /* data_dir/files: the file server's */
    struct store *store;
    struct lane *lane; /* for slow reads */
    struct auth *auth;
    struct call_log *call_log; /* NULL: none */
    struct waits *waits;
    struct scrolls *scrolls;
    struct dispatch *dispatch;
    struct http_listener *api, *web, *files;
    int lock_fd;
    atomic_size_t bodies; /* bytes of large bodies that are held now */
    atomic_bool stopping;
    pthread_t sweeper;
    pthread_mutex_t lock; /* of stopped */
    pthread_cond_t changed;
    bool sweeping, stopped;
};

void server_options_default(struct server_options *options);
/* Opens the data folder and listens. NULL with err. */
struct server *server_start(const struct server_options *options,
                            struct reeve_error *err);
/* Answers what is running, then closes everything. NULL is allowed. */
void server_stop(struct server *server);
/* Writes the endpoint file. 0 or -1. */
int server_write_endpoint(struct server *server, struct reeve_error *err);

#endif
