/* SPDX-License-Identifier: Apache-2.0 */
/* `reeve up`: server and master in the foreground
 *
 * - The server first; when its three ports answer, the master; when that serves, the
 * address is published.
 * - Whichever of the two ends by itself is started again.
 * - SIGTERM, SIGINT, SIGHUP: the master ends its runs as --on-exit says, then the
 * server ends. A second signal kills what is left. */
#include "config.h"

#include "cli/commands.h"
#include "config/programs.h"
#include "cli/up-child.h"
#include "cli/up-dir.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/target.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define ENDPOINT_BYTES_MAX 65536
#define ENDPOINT_POLL_MS 20
#define READY_MS 60000 /* for a server or a master to serve */
#define SERVER_STOP_MS                                                                 \
    15000 /* after SIGTERM; the master takes what its runs' grace takes */

static const struct arg_spec specs[] = {
    {ARG_VALUE, "data", 0, "DIR", "everything is kept here (or $REEVE_DATA)"},
    {ARG_VALUE, "listen", 0, "ADDR", "address to bind to (127.0.0.1)"},
    {ARG_VALUE, "api-port", 0, "N", "0 picks a free one (8008)"},
    {ARG_VALUE, "web-port", 0, "N", "(8080)"},
    {ARG_VALUE, "files-port", 0, "N", "(8081)"},
    {ARG_WORDS, "queue", 'q', "QUEUE", "to serve; made if missing (services)"},
    {ARG_OPTIONAL, "services-mode", 0, "N",
     "runs at once; without N no bound but the host"},
    {ARG_FLAG, "order-fairness", 0, NULL, "round robin over the queues"},
    {ARG_VALUE, "polling-interval", 0, "SECONDS", "longest wait between two looks"},
    {ARG_VALUE, "worker-id", 0, "ID", "the master's name as a worker"},
    {ARG_VALUE, "on-exit", 0, "keep|stop", "what becomes of the runs (stop)"},
    {ARG_VALUE, "config", 0, "FILE", "a clearml.conf with settings for the master"},
    {ARG_VALUE, "call-log", 0, "FILE",
     "append a line of JSON for each call of the API"},
    {ARG_VALUE, "watchdog-silence", 0, "SECONDS",
     "tasks of which nothing is heard so long are stopped (7200)"},
    {ARG_VALUE, "watchdog-interval", 0, "SECONDS",
     "they are looked for so often (900)"},
    {ARG_VALUE, "log-level", 0, "LEVEL", "error, warn, info, debug (warn)"},
    {ARG_FLAG, "quiet", 0, NULL, "no banner"},
    ARGS_LAST,
};

enum up_phase {
    UP_SERVER, /* waiting for the server's ports */
    UP_MASTER, /* waiting for the master */
    UP_SERVING,
    UP_STOP_MASTER,
    UP_STOP_SERVER,
    UP_OVER
};

struct up {
    const struct args *args;
    struct up_dir dir;
    struct up_record record;
    struct up_child server, master;
    enum up_phase phase;
    int64_t deadline_ms; /* of the phase; 0: none */
    int signals, ready;
    int ports[3]; /* as given; then as they were picked */
    bool reused;  /* ports of an earlier `up` are tried in the place of 0 */
    char *server_endpoint;
    cJSON *endpoint;
    bool served;
    int code;
};

/* ---- command lines ---- */

static int parse_port(const struct args *args, const char *name, int usual, int *out,
                      struct reeve_error *err)
{
    const char *text = args_value(args, name, NULL);
    char *end;
    *out = usual;
    if (!text)
        return 0;
    long port = strtol(text, &end, 10);
    if (end == text || *end || port < 0 || port > 65535)
        return reeve_error_set(err, 0, "--%s: \"%.40s\" is no port; 0 to 65535", name,
                               text);
    *out = (int)port;
    return 0;
}

static int check_options(struct up *u, struct reeve_error *err)
{
    const char *on_exit = args_value(u->args, "on-exit", "stop");
    const char *level = args_value(u->args, "log-level", "warn");
    if (strcmp(on_exit, "keep") != 0 && strcmp(on_exit, "stop") != 0)
        return reeve_error_set(err, 0, "--on-exit: keep or stop, not \"%.40s\"",
                               on_exit);
    if (log_level_parse(level) < 0)
        return reeve_error_set(err, 0, "--log-level: error, warn, info or debug");
    if (parse_port(u->args, "api-port", 8008, &u->ports[0], err) < 0 ||
        parse_port(u->args, "web-port", 8080, &u->ports[1], err) < 0 ||
        parse_port(u->args, "files-port", 8081, &u->ports[2], err) < 0)
        return -1;
    return 0;
}

static void add_option(struct words *argv, const char *name, const char *value)
{
    words_add(argv, name);
    words_add(argv, value);
}

static void server_command(struct up *u)
{
    static const char *const names[] = {"--api-port", "--web-port", "--files-port"};
    static const char *const passed[] = {"call-log", "watchdog-silence",
                                         "watchdog-interval"};
    struct words *argv = &u->server.argv;
    auto_free char *data = up_dir_file_dup(&u->dir, "server");
    words_free(argv);
    words_add(argv, "reeve-server");
    add_option(argv, "--data", data);
    add_option(argv, "--listen", args_value(u->args, "listen", "127.0.0.1"));
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        int port = !u->ports[i] && u->reused ? u->record.ports[i] : u->ports[i];
        auto_free char *text = xasprintf("%d", port);
        add_option(argv, names[i], text);
    }
    add_option(argv, "--endpoint", u->server_endpoint);
    for (size_t i = 0; i < ARRAY_SIZE(passed); i++) {
        auto_free char *name = xasprintf("--%s", passed[i]);
        if (args_has(u->args, passed[i]))
            add_option(argv, name, args_value(u->args, passed[i], ""));
    }
    add_option(argv, "--log-level", args_value(u->args, "log-level", "warn"));
}

static void add_queues(struct up *u, struct words *argv)
{
    const struct words *queues = args_values(u->args, "queue");
    for (size_t i = 0; queues && i < queues->n; i++)
        add_option(argv, "--queue", queues->v[i]);
    if (!queues)
        add_option(argv, "--queue", "services");
    words_add(argv, "--create-queue");
}

static void master_command(struct up *u, const char *config, int ready_fd)
{
    static const char *const passed[] = {"polling-interval", "worker-id"};
    struct words *argv = &u->master.argv;
    auto_free char *state = up_dir_file_dup(&u->dir, "state");
    auto_free char *run = up_dir_file_dup(&u->dir, "run");
    auto_free char *root = up_dir_cgroup_dup(&u->dir);
    auto_free char *ready = xasprintf("%d", ready_fd);
    words_free(argv);
    words_add(argv, "reeved");
    add_option(argv, "--state-dir", state);
    add_option(argv, "--run-dir", run);
    add_option(argv, "--config", config);
    add_queues(u, argv);
    if (args_has(u->args, "services-mode")) {
        words_add(argv, "--services-mode");
        if (args_value(u->args, "services-mode", NULL))
            words_add(argv, args_value(u->args, "services-mode", NULL));
    }
    if (args_has(u->args, "order-fairness"))
        words_add(argv, "--order-fairness");
    for (size_t i = 0; i < ARRAY_SIZE(passed); i++) {
        auto_free char *name = xasprintf("--%s", passed[i]);
        if (args_has(u->args, passed[i]))
            add_option(argv, name, args_value(u->args, passed[i], ""));
    }
    add_option(argv, "--cgroup-root", root);
    add_option(argv, "--on-exit", args_value(u->args, "on-exit", "stop"));
    add_option(argv, "--log-level", args_value(u->args, "log-level", "warn"));
    add_option(argv, "--ready-fd", ready);
}

/* ---- steps ---- */

static int record_children(void *arg)
{
    struct up *u = arg;
    struct reeve_error err;
    u->record.server = u->server.process;
    u->record.master = u->master.process;
    if (up_record_write(&u->dir, &u->record, &err) == 0)
        return 0;
    log_error("%s", err.text);
    return -1;
}

static void enter(struct up *u, enum up_phase phase, int64_t timeout_ms)
{
    u->phase = phase;
    u->deadline_ms = timeout_ms ? clock_boot_ms() + timeout_ms : 0;
}

static void stop(struct up *u)
{
    up_unpublish(&u->dir);
    up_child_signal(&u->master, SIGTERM);
    u->master.restart_ms = u->server.restart_ms = 0;
    enter(u, UP_STOP_MASTER, 0);
}

static void give_up(struct up *u, int code)
{
    u->code = code;
    stop(u);
}

static int start_server(struct up *u, struct reeve_error *err)
{
    unlink(u->server_endpoint);
    server_command(u);
    return up_child_start(&u->server, -1, record_children, u, err);
}

static int start_master(struct up *u, struct reeve_error *err)
{
    int ends[2];
    auto_free char *config = NULL;
    if (up_write_config(&u->dir, u->endpoint, args_value(u->args, "config", NULL),
                        &config, err) < 0)
        return -1;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return reeve_error_set(err, errno, "make a pipe");
    auto_close writing = ends[1];
    if (u->ready >= 0)
        close(u->ready);
    u->ready = ends[0];
    master_command(u, config, writing);
    return up_child_start(&u->master, writing, record_children, u, err);
}

/* 1: the server's ports answer; 0: not yet. */
static int read_endpoint(struct up *u)
{
    auto_buf text = BUF_INIT;
    if (file_read(u->server_endpoint, &text, ENDPOINT_BYTES_MAX, NULL) < 0)
        return 0;
    cJSON *doc = json_parse(buf_str(&text), text.len, NULL);
    if (!json_str(doc, "api", NULL)) {
        cJSON_Delete(doc);
        return 0;
    }
    cJSON_Delete(u->endpoint);
    u->endpoint = doc;
    /* A restarted server must be where its clients look for it. */
    static const char *const names[] = {"api", "web", "files"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        u->ports[i] = u->record.ports[i] = url_port(json_str(doc, names[i], ""));
    return 1;
}

static void print_banner(const struct up *u)
{
    const char *data = u->dir.path;
    if (args_has(u->args, "quiet"))
        return;
    printf("reeve is up\n");
    printf("  API     %s\n", json_str(u->endpoint, "api", ""));
    printf("  web     %s\n", json_str(u->endpoint, "web", ""));
    printf("  files   %s\n", json_str(u->endpoint, "files", ""));
    printf("  data    %s\n\n", data);
    printf("Submit a service:  reeve submit --data %s script.py\n", data);
    printf("Watch the runs:    reeve ps --data %s\n", data);
    printf("Use the SDK:       export CLEARML_CONFIG_FILE=%s/clearml.conf\n", data);
    printf("Ctrl-C ends it.\n");
    fflush(stdout);
}

static void serve(struct up *u)
{
    struct reeve_error err;
    if (up_publish(&u->dir, u->endpoint, &err) < 0) {
        give_up(u, cli_fail(CLI_FAILED, "up: %s", err.text));
        return;
    }
    u->served = true;
    enter(u, UP_SERVING, 0);
    print_banner(u);
}

static void on_server_ready(struct up *u)
{
    struct reeve_error err;
    enter(u, UP_MASTER, READY_MS);
    if (start_master(u, &err) < 0)
        give_up(u, cli_fail(CLI_FAILED, "up: %s", err.text));
}

/* ---- events ---- */

/* A program that ends before it served has said why itself, unless a signal ended it or
 * it could not be executed. */
static void start_failed(struct up *u, const char *name, int status)
{
    char text[64];
    bool said = WIFEXITED(status) && WEXITSTATUS(status) < 126;
    if (!said)
        cli_fail(CLI_FAILED, "up: %s ended at its start: %s", name,
                 up_status_text(status, text, sizeof text));
    give_up(u, said && WEXITSTATUS(status) ? WEXITSTATUS(status) : CLI_FAILED);
}

static void on_server_end(struct up *u, int status)
{
    char text[64];
    struct reeve_error err;
    if (u->phase == UP_STOP_SERVER || u->phase == UP_STOP_MASTER)
        return;
    if (u->phase == UP_SERVER && u->reused) {
        /* Somebody else has an earlier port now. */
        u->reused = false;
        if (start_server(u, &err) == 0)
            return;
    }
    if (u->phase == UP_SERVER) {
        start_failed(u, "reeve-server", status);
        return;
    }
    up_child_schedule(&u->server);
    log_warn("the server ended (%s); starting it again in %.1f s",
             up_status_text(status, text, sizeof text),
             (double)u->server.pause_ms / 1000);
}

/* A child that was to end, and did so otherwise than well: not what was asked for. */
static void stop_failed(struct up *u, const char *what, int status)
{
    char text[64];
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    log_error("the %s did not end well (%s); the next start goes on", what,
              up_status_text(status, text, sizeof text));
    u->code = CLI_FAILED;
}

static void on_master_end(struct up *u, int status)
{
    char text[64];
    if (u->phase == UP_STOP_MASTER || u->phase == UP_STOP_SERVER) {
        stop_failed(u, "master", status);
        return;
    }
    if (u->phase == UP_MASTER) {
        start_failed(u, "reeved", status);
        return;
    }
    up_child_schedule(&u->master);
    log_warn("the master ended (%s); starting it again in %.1f s",
             up_status_text(status, text, sizeof text),
             (double)u->master.pause_ms / 1000);
}

static void on_signal(struct up *u)
{
    struct signalfd_siginfo info;
    if (read(u->signals, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    if (u->phase < UP_STOP_MASTER) {
        stop(u);
        return;
    }
    up_child_signal(&u->master, SIGKILL);
    up_child_signal(&u->server, SIGKILL);
}

static void on_ready(struct up *u)
{
    char byte;
    ssize_t n = read(u->ready, &byte, 1);
    close(u->ready);
    u->ready = -1;
    /* Without a byte the master is about to end; that is noticed by its pidfd. */
    if (n == 1 && u->phase == UP_MASTER)
        serve(u);
}

static void restart_due(struct up *u, struct up_child *c,
                        int (*start)(struct up *, struct reeve_error *))
{
    struct reeve_error err;
    if (!c->restart_ms || clock_boot_ms() < c->restart_ms)
        return;
    if (start(u, &err) < 0) {
        log_error("%s", err.text);
        up_child_schedule(c);
    }
}

static void on_deadline(struct up *u)
{
    if (u->phase == UP_STOP_SERVER) {
        up_child_signal(&u->server, SIGKILL);
        u->deadline_ms = 0;
        return;
    }
    give_up(u, cli_fail(CLI_FAILED, "up: the %s does not serve after %d s",
                        u->phase == UP_SERVER ? "server" : "master", READY_MS / 1000));
}

/* What follows from the present state, without any event. */
static void advance(struct up *u)
{
    int status;
    if (up_child_reap(&u->server, &status))
        on_server_end(u, status);
    if (up_child_reap(&u->master, &status))
        on_master_end(u, status);
    if (u->phase == UP_SERVER && read_endpoint(u))
        on_server_ready(u);
    if (u->phase == UP_SERVING) {
        restart_due(u, &u->server, start_server);
        restart_due(u, &u->master, start_master);
    }
    if (u->phase == UP_STOP_MASTER && !u->master.process.pid) {
        up_child_signal(&u->server, SIGTERM);
        enter(u, UP_STOP_SERVER, SERVER_STOP_MS);
    }
    if (u->phase == UP_STOP_SERVER && !u->server.process.pid)
        enter(u, UP_OVER, 0);
    if (u->deadline_ms && clock_boot_ms() >= u->deadline_ms)
        on_deadline(u);
}

static int next_timeout(const struct up *u)
{
    int64_t now = clock_boot_ms(), next = INT64_MAX;
    const int64_t times[] = {u->deadline_ms, u->server.restart_ms, u->master.restart_ms,
                             u->phase == UP_SERVER ? now + ENDPOINT_POLL_MS : 0};
    for (size_t i = 0; i < ARRAY_SIZE(times); i++)
        if (times[i] && times[i] < next)
            next = times[i];
    if (next == INT64_MAX)
        return -1;
    return next > now ? (int)(next - now) : 0;
}

static void turn(struct up *u)
{
    struct pollfd fds[] = {{.fd = u->signals, .events = POLLIN},
                           {.fd = u->ready, .events = POLLIN},
                           {.fd = u->server.pidfd, .events = POLLIN},
                           {.fd = u->master.pidfd, .events = POLLIN}};
    if (poll(fds, ARRAY_SIZE(fds), next_timeout(u)) < 0 && errno != EINTR) {
        log_error("poll: %s", strerror(errno));
        give_up(u, CLI_FAILED);
        return;
    }
    if (fds[0].revents)
        on_signal(u);
    if (fds[1].revents && u->ready >= 0)
        on_ready(u);
}

/* ---- start and end ---- */

static int block_signals(void)
{
    static const int caught[] = {SIGTERM, SIGINT, SIGHUP};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(caught); i++)
        sigaddset(&set, caught[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static int prepare(struct up *u, struct reeve_error *err)
{
    u->server.program = program_find_dup("reeve-server", err);
    u->master.program = u->server.program ? program_find_dup("reeved", err) : NULL;
    if (!u->master.program)
        return -1;
    u->server_endpoint = up_dir_file_dup(&u->dir, "server/endpoint.json");
    up_unpublish(&u->dir);
    up_record_read(&u->dir, &u->record);
    if (up_take_over(&u->dir, &u->record, err) < 0)
        return -1;
    for (int i = 0; i < 3; i++)
        u->reused |= !u->ports[i] && u->record.ports[i];
    target_clean_environment();
    target_pass_by_proxies(args_value(u->args, "listen", "127.0.0.1"));
    u->signals = block_signals();
    if (u->signals < 0)
        return reeve_error_set(err, errno, "watch signals");
    enter(u, UP_SERVER, READY_MS);
    return start_server(u, err);
}

static int run_up(struct up *u)
{
    struct reeve_error err = {0};
    if (prepare(u, &err) < 0)
        return cli_fail(CLI_FAILED, "up: %s", err.text);
    while (u->phase != UP_OVER) {
        turn(u);
        advance(u);
    }
    /* The ports stay, for runs that were kept. */
    record_children(u);
    return u->code;
}

static int run(const struct args *args)
{
    struct reeve_error err = {0};
    struct up u = {.args = args, .signals = -1, .ready = -1};
    auto_free char *data = data_dir_dup(args);
    if (check_options(&u, &err) < 0)
        return cli_fail(CLI_USAGE, "up: %s", err.text);
    log_init("reeve", STDERR_FILENO);
    log_set_level(
        (enum log_level)log_level_parse(args_value(args, "log-level", "warn")));
    up_child_init(&u.server, "reeve-server");
    up_child_init(&u.master, "reeved");
    int code = up_dir_open(data, &u.dir, &err);
    if (code != CLI_DONE)
        return cli_fail(code, "up: %s", err.text);
    code = run_up(&u);
    if (code != CLI_DONE && !u.served)
        up_dir_undo(&u.dir);
    up_child_free(&u.server);
    up_child_free(&u.master);
    cJSON_Delete(u.endpoint);
    free(u.server_endpoint);
    if (u.signals >= 0)
        close(u.signals);
    if (u.ready >= 0)
        close(u.ready);
    up_dir_close(&u.dir);
    return code;
}

const struct command cmd_up = {
    .name = "up",
    .summary = "start an embedded server and a master in the foreground",
    .usage = "[OPTION]...",
    .about =
        "Loopback only unless --listen says otherwise. Writes DIR/endpoint.json and "
        "DIR/clearml.conf\nwhen everything answers. Ends with Ctrl-C or SIGTERM.",
    .specs = specs,
    .words_max = 0,
    .run = run,
};
