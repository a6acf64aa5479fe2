/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/fd.h"
#include "base/log.h"
#include "server/auth.h"
#include "server/http.h"
#include "server/server.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: reeve-server --data DIR [options]\n"
    "A ClearML-compatible API, file and web server for one host.\n"
    "\n"
    "  --data DIR          where everything is kept (made if missing)\n"
    "  --listen ADDR       numeric address to listen on (127.0.0.1)\n"
    "  --api-port N        port of the API (8008); 0: a free one\n"
    "  --web-port N        port of the web page (8080)\n"
    "  --files-port N      port of the file server (8081)\n"
    "  --endpoint FILE     write addresses and keys there once all three answer\n"
    "  --threads N         threads of the API (2)\n"
    "  --connections N     open connections at most, for each port (16384)\n"
    "  --idle-timeout S    end a connection that is silent for so long (60)\n"
    "  --max-body BYTES    largest body of an API request (67108864)\n"
    "  --call-log FILE     append a line of JSON for each call of the API\n"
    "  --max-upload BYTES  largest upload to the file server (0: no bound)\n"
    "  --token-max S       tokens live so many seconds at most (31536000)\n"
    "  --watchdog-silence S   stop tasks in progress of which nothing was heard so\n"
    "                      long (7200; 0: never)\n"
    "  --watchdog-interval S  look for them so often (900)\n"
    "  --no-extensions     only what ClearML's own server has\n"
    "  --log-level L       error, warn, info (the default) or debug\n"
    "  --help, --version\n";

#define SECONDS_MAX 315360000 /* ten years */

enum option_id {
    OPT_DATA = 256,
    OPT_LISTEN,
    OPT_API_PORT,
    OPT_WEB_PORT,
    OPT_FILES_PORT,
    OPT_ENDPOINT,
    OPT_THREADS,
    OPT_CONNECTIONS,
    OPT_IDLE_TIMEOUT,
    OPT_MAX_BODY,
    OPT_CALL_LOG,
    OPT_MAX_UPLOAD,
    OPT_TOKEN_MAX,
    OPT_WATCHDOG_SILENCE,
    OPT_WATCHDOG_INTERVAL,
    OPT_NO_EXTENSIONS,
    OPT_LOG_LEVEL,
    OPT_HELP,
    OPT_VERSION
};

static const struct option long_options[] = {
    {"data", required_argument, NULL, OPT_DATA},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"api-port", required_argument, NULL, OPT_API_PORT},
    {"web-port", required_argument, NULL, OPT_WEB_PORT},
    {"files-port", required_argument, NULL, OPT_FILES_PORT},
    {"endpoint", required_argument, NULL, OPT_ENDPOINT},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"connections", required_argument, NULL, OPT_CONNECTIONS},
    {"idle-timeout", required_argument, NULL, OPT_IDLE_TIMEOUT},
    {"max-body", required_argument, NULL, OPT_MAX_BODY},
    {"call-log", required_argument, NULL, OPT_CALL_LOG},
    {"max-upload", required_argument, NULL, OPT_MAX_UPLOAD},
    {"token-max", required_argument, NULL, OPT_TOKEN_MAX},
    {"watchdog-silence", required_argument, NULL, OPT_WATCHDOG_SILENCE},
    {"watchdog-interval", required_argument, NULL, OPT_WATCHDOG_INTERVAL},
    {"no-extensions", no_argument, NULL, OPT_NO_EXTENSIONS},
    {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {0}};

static void __attribute__((noreturn)) usage_error(const char *what, const char *value)
{
    fprintf(stderr, "reeve-server: %s%s%s; see reeve-server --help\n", what,
            value ? " " : "", value ? value : "");
    exit(2);
}

static unsigned long parse_number(const char *name, const char *text, unsigned long max)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || n > max)
        usage_error(name, text);
    return n;
}

static void parse_log_level(const char *text)
{
    int level = log_level_parse(text);
    if (level < 0)
        usage_error("unknown log level", text);
    log_set_level(level);
}

static void set_option(struct server_options *o, int id, const char *value)
{
    switch (id) {
    case OPT_DATA:
        o->data_dir = value;
        break;
    case OPT_LISTEN:
        o->listen = value;
        break;
    case OPT_API_PORT:
        o->api_port = (uint16_t)parse_number("invalid port", value, 65535);
        break;
    case OPT_WEB_PORT:
        o->web_port = (uint16_t)parse_number("invalid port", value, 65535);
        break;
    case OPT_FILES_PORT:
        o->files_port = (uint16_t)parse_number("invalid port", value, 65535);
        break;
    case OPT_ENDPOINT:
        o->endpoint = value;
        break;
    case OPT_THREADS:
        o->threads = (unsigned)parse_number("invalid number of threads", value, 64);
        break;
    case OPT_CONNECTIONS:
        o->connections = (unsigned)parse_number("invalid number", value, 1000000);
        break;
    case OPT_IDLE_TIMEOUT:
        o->idle_s = (unsigned)parse_number("invalid number of seconds", value, 86400);
        if (o->idle_s == 0)
            usage_error("invalid number of seconds", value);
        break;
    case OPT_MAX_UPLOAD:
        o->upload_max = parse_number("invalid size", value, 1ul << 60);
        break;
    case OPT_TOKEN_MAX:
        o->token_max_s = (int64_t)parse_number("invalid number of seconds", value,
                                               AUTH_EXPIRATION_MAX_S);
        if (o->token_max_s == 0)
            usage_error("invalid number of seconds", value);
        break;
    case OPT_WATCHDOG_SILENCE:
        o->watchdog_silence_s =
            (unsigned)parse_number("invalid number of seconds", value, SECONDS_MAX);
        break;
    case OPT_WATCHDOG_INTERVAL:
        o->watchdog_interval_s =
            (unsigned)parse_number("invalid number of seconds", value, SECONDS_MAX);
        if (o->watchdog_interval_s == 0)
            usage_error("invalid number of seconds", value);
        break;
    case OPT_NO_EXTENSIONS:
        o->no_extensions = true;
        break;
    case OPT_MAX_BODY:
        o->body_max = parse_number("invalid size", value, 1ul << 40);
        break;
    case OPT_CALL_LOG:
        o->call_log = value;
        break;
    case OPT_LOG_LEVEL:
        parse_log_level(value);
        break;
    case OPT_HELP:
        fputs(usage, stdout);
        exit(0);
    case OPT_VERSION:
        puts("reeve-server " PACKAGE_VERSION);
        exit(0);
    default:
        usage_error("bad usage", NULL);
    }
}

static void parse_options(struct server_options *o, int argc, char **argv)
{
    int id;
    opterr = 0;
    while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (id == '?')
            usage_error("unknown option or missing value:", argv[optind - 1]);
        set_option(o, id, optarg);
    }
    if (optind < argc)
        usage_error("unexpected argument", argv[optind]);
    if (!o->data_dir || !*o->data_dir)
        usage_error("--data is missing", NULL);
}

/* Each connection is a descriptor; some are left for the database, files and the rest.
 */
static void limit_connections(struct server_options *o)
{
    size_t limit = fd_raise_limit();
    size_t each = limit > 512 ? (limit - 256) / 3 : 64;
    if (o->connections > each)
        o->connections = (unsigned)each;
}

static void wait_for_end(void)
{
    sigset_t set;
    int sig;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigwait(&set, &sig);
    log_info("stops on signal %d", sig);
}

/* Before any thread starts, so that all of them leave these signals to wait_for_end. */
static void block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
    struct server_options options;
    struct reeve_error err;
    log_init("server", STDERR_FILENO);
    server_options_default(&options);
    parse_options(&options, argc, argv);
    limit_connections(&options);
    block_signals();
    struct server *server = server_start(&options, &err);
    if (server && options.endpoint && server_write_endpoint(server, &err) < 0) {
        server_stop(server);
        server = NULL;
    }
    if (!server) {
        fprintf(stderr, "reeve-server: %s\n", err.text);
        return 1;
    }
    log_info("serves api=%u web=%u files=%u", http_port(server->api),
             http_port(server->web), http_port(server->files));
    wait_for_end();
    if (options.endpoint)
        unlink(options.endpoint);
    server_stop(server);
    return 0;
}
