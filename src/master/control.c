/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* - The socket's mode (0600) and SO_PEERCRED decide who may ask: the master's own user
 * and root.
 * - One request at a time per connection, at most REQUEST_MAX bytes; a client that does
 * not read its answer is dropped when OUTPUT_MAX is reached. */

#include "master/control.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/proc.h"
#include "config/mask.h"
#include "loop/acceptor.h"
#include "loop/unix.h"
#include "master/admit.h"
#include "master/drain.h"
#include "master/history.h"
#include "master/log-budget.h"
#include "master/master.h"
#include "master/metrics.h"
#include "master/pressure.h"
#include "master/pull.h"
#include "master/reassert.h"
#include "master/report.h"
#include "master/run-mask.h"
#include "master/set.h"
#include "master/ship.h"
#include "master/unit.h"
#include "master/upgrade.h"
#include "master/steps.h"
#include "master/stop.h"
#include "master/top.h"
#include "run/run-dir.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX 64
#define REQUEST_MAX 65536
#define OUTPUT_MAX (256 << 20)
#define SPEC_MAX (64 << 20)

struct client {
    struct control *control;
    int fd;
    ev_io watch;
    bool ended;   /* it sends nothing more */
    bool waiting; /* for an answer that is not made yet */
    struct buf in, out;
    struct client *next;
};

struct control {
    struct master *master;
    int fd;
    struct acceptor acceptor;
    struct client *clients;
    unsigned count;
};

/* ---- rows ---- */

static void set_positive(cJSON *row, const char *name, int64_t value)
{
    if (value > 0)
        json_set_int(row, name, value);
    else
        json_set(row, name, cJSON_CreateNull());
}

static cJSON *row_cgroup(const struct run *run)
{
    struct cgroup_dirs dirs;
    char path[GROUP_PATH_SIZE];
    cJSON *list = cJSON_CreateArray();
    cgroup_dirs(run->master->cgroups, run_group(run, "payload", path), &dirs);
    for (int i = 0; i < dirs.count; i++)
        if (!run_is_live(run) || access(dirs.dir[i], F_OK) == 0)
            cJSON_AddItemToArray(list, cJSON_CreateString(dirs.dir[i]));
    return list;
}

static void row_usage(cJSON *row, const struct run *run)
{
    if (run_is_live(run) && run->report.last_ms) {
        json_set_num(row, "cpu_percent", run->report.cpu_percent);
        json_set_int(row, "memory_bytes", run->report.last.memory);
        json_set_int(row, "pids", run->report.last.pids);
    } else {
        json_set(row, "cpu_percent", cJSON_CreateNull());
        json_set(row, "memory_bytes", cJSON_CreateNull());
        json_set(row, "pids", cJSON_CreateNull());
    }
    set_positive(row, "memory_limit", run->policy.limits.memory);
}

static void row_exit(cJSON *row, const struct run *run)
{
    if (!run->have_verdict) {
        json_set(row, "exit", cJSON_CreateNull());
        json_set(row, "reason", cJSON_CreateNull());
        return;
    }
    cJSON *e = json_set(row, "exit", cJSON_CreateObject());
    if (run->verdict.code >= 0)
        json_set_int(e, "code", run->verdict.code);
    else
        json_set(e, "code", cJSON_CreateNull());
    set_positive(e, "signal", run->verdict.signal);
    json_set_str(row, "reason", run->verdict.reason);
}

static const char *text_or_null(const char *text)
{
    return text[0] ? text : NULL;
}

/* How the last attempt that ended did, also while the next one is at work. */
static void row_last(cJSON *row, const struct run *run)
{
    const struct verdict *v = &run->verdict;
    json_set_str(row, "last_reason", text_or_null(v->reason));
    json_set_str(row, "reason_text", text_or_null(v->text));
    json_set_str(row, "aborted_by", text_or_null(v->by));
    json_set_time(row, "next_start", run->phase == PHASE_BACKOFF ? run->due_ms : 0);
}

/* The server's word for the task while it is ours, and as far as it is known after. */
static const char *row_status(const struct run *run)
{
    if (run->phase != PHASE_GONE || !run->have_verdict)
        return "in_progress";
    const char *call = run_final_call(run);
    if (call)
        return strchr(call, '.') + 1;
    return run->seen_status[0] ? run->seen_status : "unknown";
}

cJSON *control_run_row(const struct run *run)
{
    char worker[256], restart[RESTART_TEXT_SIZE];
    cJSON *row = cJSON_CreateObject();
    json_set_str(row, "id", run->id);
    json_set_str(row, "name", run->name);
    json_set_str(row, "project", run->project);
    json_set_str(row, "project_name", run->project_name);
    json_set_str(row, "queue", run->queue);
    json_set_str(row, "queue_name", run->queue_name);
    json_set_str(row, "status", row_status(run));
    json_set_str(row, "phase", phase_name(run->phase));
    json_set_int(row, "attempt", run->attempt ? run->attempt : 1);
    json_set_str(
        row, "restart",
        restart_policy_text(run->policy.restart, run->policy.restart_max, restart));
    json_set_int(row, "restarts", run->restarts);
    json_set_str(row, "worker", run_worker(run, worker));
    if (run_is_live(run))
        set_positive(row, "pid", run->payload_pid);
    else
        json_set(row, "pid", cJSON_CreateNull());
    json_set(row, "cgroup", row_cgroup(run));
    json_set_str(row, "launcher", "process");
    row_usage(row, run);
    json_set_time(row, "started", run->started_ms);
    json_set_time(row, "finished", run->phase == PHASE_GONE ? clock_wall_ms() : 0);
    row_exit(row, run);
    row_last(row, run);
    json_set_str(row, "stuck", text_or_null(run->ending.text));
    return row;
}

/* ---- commands ---- */

static cJSON *answer_ok(cJSON *data)
{
    cJSON *answer = cJSON_CreateObject();
    json_set_bool(answer, "ok", true);
    json_set(answer, "data", data);
    return answer;
}

static cJSON *answer_error(int code, const char *text)
{
    cJSON *answer = cJSON_CreateObject();
    json_set_bool(answer, "ok", false);
    json_set_int(answer, "code", code);
    json_set_str(answer, "error", text);
    return answer;
}

static cJSON *cmd_ps(struct master *m, const cJSON *request)
{
    cJSON *rows = cJSON_CreateArray();
    if (json_bool(request, "all", false))
        history_read(m, rows);
    report_sample_all(m->report);
    for (struct run *run = runs_first(m->runs); run; run = run->list_next) {
        if (run->phase == PHASE_GONE)
            continue;
        cJSON_AddItemToArray(rows, control_run_row(run));
    }
    return answer_ok(rows);
}

static unsigned count_phase(const struct master *m, bool live)
{
    unsigned n = 0;
    for (struct run *run = runs_first(m->runs); run; run = run->list_next)
        n += live ? run_is_live(run) : run->phase == PHASE_BACKOFF;
    return n;
}

/* Runs with processes that can't be ended yet. */
static unsigned count_stuck(const struct master *m)
{
    unsigned n = 0;
    for (struct run *run = runs_first(m->runs); run; run = run->list_next)
        n += run->ending.text[0] != '\0';
    return n;
}

/* Of all runs that wait; 0: none does. */
static int64_t next_start(const struct master *m)
{
    int64_t next = 0;
    for (struct run *run = runs_first(m->runs); run; run = run->list_next)
        if (run->phase == PHASE_BACKOFF && (!next || run->due_ms < next))
            next = run->due_ms;
    return next;
}

static cJSON *server_to_json(const struct master *m)
{
    cJSON *server = cJSON_CreateObject();
    bool reachable = api_reachable(m->api);
    json_set_str(server, "url", api_shown(m->api));
    json_set_bool(server, "reachable", reachable);
    json_set_str(server, "error", reachable ? NULL : api_outage_why(m->api));
    if (reachable)
        json_set_str(server, "unreachable_since", NULL);
    else
        json_set_time(server, "unreachable_since", api_outage_since_ms(m->api));
    json_set_str(server, "moved_to", api_moved(m->api));
    if (api_latency_ms(m->api) >= 0)
        json_set_num(server, "latency_ms", api_latency_ms(m->api));
    else
        json_set_str(server, "latency_ms", NULL);
    return server;
}

static cJSON *cmd_status(struct master *m, const cJSON *request)
{
    cJSON *s = cJSON_CreateObject();
    json_set_int(s, "pid", getpid());
    json_set_str(s, "version", PACKAGE_VERSION);
    json_set_str(s, "upgrade_failed", upgrade_failed());
    json_set_num(s, "uptime_s",
                 (double)(clock_boot_ms() - m->started_boot_ms) / 1000.0);
    json_set_int(s, "rss_bytes", proc_own_rss());
    json_set_str(s, "worker", m->worker);
    json_set(s, "unit", unit_to_json());
    json_set(s, "queues", pull_queues(m->pull));
    set_positive(s, "capacity", m->capacity);
    json_set_int(s, "running", count_phase(m, true));
    json_set_int(s, "restarting", count_phase(m, false));
    json_set(s, "draining", drain_to_json(m->drain));
    json_set_time(s, "next_start", next_start(m));
    json_set_int(s, "stuck", count_stuck(m));
    json_set(s, "ended", metrics_ended(m->metrics));
    json_set(json_set(s, "admission", admit_to_json(m->admit)), "steps",
             steps_to_json(m->steps));
    json_set_int(s, "subagents_replaced", m->replaced);
    json_set_int(s, "spool_bytes", ship_pending_bytes(m->ship));
    json_set(s, "server", server_to_json(m));
    json_set_str(s, "metrics", metrics_url(m->metrics));
    json_set_int(s, "limits_reasserted", (int64_t)reassert_count(m->reassert));
    json_set(s, "pressure", pressure_of_host());
    json_set_str(s, "cgroup_version", cgroup_mode_name(cgroup_host_mode(m->cgroups)));
    return answer_ok(s);
}

static cJSON *trail_to_json(const struct run *run)
{
    cJSON *list = cJSON_CreateArray();
    unsigned first = run->trail_count > RUN_TRAIL ? run->trail_count - RUN_TRAIL : 0;
    for (unsigned i = first; i < run->trail_count; i++) {
        const struct trail *t = &run->trail[i % RUN_TRAIL];
        cJSON *e = cJSON_CreateObject();
        cJSON_AddItemToArray(list, e);
        json_set_time(e, "time", t->wall_ms);
        json_set_str(e, "event", run_event_name(t->event));
        json_set_str(e, "phase", phase_name(t->phase));
    }
    return list;
}

/* What the history has of the task's last run here. */
static cJSON *inspect_ended(struct master *m, const char *task)
{
    auto_json *rows = cJSON_CreateArray();
    history_read(m, rows);
    for (int i = cJSON_GetArraySize(rows) - 1; i >= 0; i--) {
        if (strcmp(json_str(cJSON_GetArrayItem(rows, i), "id", ""), task) != 0)
            continue;
        cJSON *row = cJSON_DetachItemFromArray(rows, i);
        json_set(row, "spec", cJSON_CreateNull());
        json_set(row, "limits", cJSON_CreateNull());
        json_set(row, "events", cJSON_CreateArray());
        return answer_ok(row);
    }
    return answer_error(4, "no run of this task on this host");
}

static cJSON *cmd_inspect(struct master *m, const cJSON *request)
{
    const char *task = json_str(request, "task", "");
    struct run *run = runs_find(m->runs, task);
    if (!run)
        return inspect_ended(m, task);
    report_sample(run);
    cJSON *row = control_run_row(run);
    auto_free char *path = run_file_dup(m->state_root, run->id, "spec.json");
    auto_buf text = BUF_INIT;
    cJSON *spec = NULL;
    if (file_read(path, &text, SPEC_MAX, NULL) == 0)
        spec = json_parse(buf_str(&text), text.len, NULL);
    struct masker *masker = run_mask_create(m->config, json_get(spec, "env"));
    mask_texts(masker, spec);
    masker_destroy(masker);
    json_set(row, "spec", spec ? spec : cJSON_CreateNull());
    cJSON *policy = json_set(row, "policy", policy_to_json(&run->policy));
    json_set(row, "limits", cJSON_DetachItemFromObjectCaseSensitive(policy, "limits"));
    json_set(row, "pressure", pressure_of_run(run));
    set_positive(row, "disk_bytes", run->disk_bytes);
    json_set(row, "memory_events", memory_events_of_run(run));
    json_set(row, "events", trail_to_json(run));
    json_set_int(row, "subagents_replaced", run->replaced);
    json_set(row, "log", log_budget_to_json(run));
    if (run->step[0])
        json_set_str(row, "step", run->step);
    return answer_ok(row);
}

static cJSON *cmd_stop(struct master *m, const cJSON *request)
{
    struct reeve_error err = {0};
    int code = stop_request(m, request, &err);
    return code ? answer_error(code, err.text) : answer_ok(cJSON_CreateObject());
}

static cJSON *cmd_restart(struct master *m, const cJSON *request)
{
    struct reeve_error err = {0};
    cJSON *data = NULL;
    int code = restart_request(m, request, &data, &err);
    return code ? answer_error(code, err.text) : answer_ok(data);
}

static cJSON *drain_answer(struct master *m, int rc, const struct reeve_error *err)
{
    if (rc < 0)
        return answer_error(1, err->text);
    return answer_ok(drain_to_json(m->drain));
}

static cJSON *cmd_drain(struct master *m, const cJSON *request)
{
    struct reeve_error err = {0};
    int64_t after_ms = json_int(request, "deadline_ms", -1);
    return drain_answer(
        m, drain_begin(m->drain, after_ms, json_bool(request, "put_back", false), &err),
        &err);
}

static cJSON *cmd_undrain(struct master *m, const cJSON *request)
{
    struct reeve_error err = {0};
    return drain_answer(m, drain_end(m->drain, &err), &err);
}

static cJSON *cmd_top(struct master *m, const cJSON *request)
{
    cJSON *rows = top_rows(m, (int)json_int(request, "rows", 50),
                           json_str(request, "sort", "cpu"));
    return rows ? answer_ok(rows) : answer_error(2, "sort is cpu, memory or age");
}

static cJSON *cmd_shutdown(struct master *m, const cJSON *request)
{
    const char *on_exit = json_str(request, "on_exit", "");
    if (on_exit[0] && strcmp(on_exit, "keep") != 0 && strcmp(on_exit, "stop") != 0)
        return answer_error(2, "on_exit is keep or stop");
    master_shutdown(m,
                    on_exit[0] ? strcmp(on_exit, "stop") == 0 : m->options->stop_runs);
    return answer_ok(cJSON_CreateObject());
}

static cJSON *cmd_log_level(struct master *m, const cJSON *request)
{
    int level = log_level_parse(json_str(request, "level", ""));
    if (level < 0)
        return answer_error(2, "level is error, warn, info or debug");
    log_set_level((enum log_level)level);
    return answer_ok(cJSON_CreateObject());
}

static const struct {
    const char *name;
    cJSON *(*fn)(struct master *m, const cJSON *request);
} commands[] = {
    {"ps", cmd_ps},           {"status", cmd_status},     {"inspect", cmd_inspect},
    {"stop", cmd_stop},       {"shutdown", cmd_shutdown}, {"log-level", cmd_log_level},
    {"top", cmd_top},         {"drain", cmd_drain},       {"undrain", cmd_undrain},
    {"restart", cmd_restart},
};

static cJSON *answer_request(struct master *m, const char *name, const cJSON *request)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].fn(m, request);
    return answer_error(
        2, "this master does not know the command; is reeve newer than reeved?");
}

/* ---- connections ---- */

static void client_destroy(struct client *c)
{
    struct control *control = c->control;
    for (struct client **p = &control->clients; *p; p = &(*p)->next) {
        if (*p == c) {
            *p = c->next;
            control->count--;
            break;
        }
    }
    set_forget(control->master, c);
    upgrade_forget(control->master->upgrade, c);
    ev_io_stop(control->master->loop, &c->watch);
    close(c->fd);
    buf_free(&c->in);
    buf_free(&c->out);
    free(c);
}

static void client_watch(struct client *c)
{
    struct ev_loop *loop = c->control->master->loop;
    int want = (c->ended ? 0 : EV_READ) | (c->out.len ? EV_WRITE : 0);
    if ((c->watch.events & (EV_READ | EV_WRITE)) == want && ev_is_active(&c->watch))
        return;
    ev_io_stop(loop, &c->watch);
    ev_io_set(&c->watch, c->fd, want);
    ev_io_start(loop, &c->watch);
}

static void client_say(struct client *c, cJSON *answer)
{
    auto_json *taken = answer;
    auto_free char *text = json_format(taken);
    buf_add_str(&c->out, text);
    buf_add_char(&c->out, '\n');
}

static void client_cb(struct ev_loop *loop, ev_io *w, int revents);

static void on_later(void *arg, cJSON *data, int code, const struct reeve_error *err)
{
    struct client *c = arg;
    client_say(c, data ? answer_ok(data) : answer_error(code, err->text));
    c->waiting = false;
    /* Not from here: it may destroy the client, whose request may be in hand. */
    ev_feed_event(c->control->master->loop, &c->watch, EV_CUSTOM);
}

static void client_request(struct client *c, const char *line, size_t n)
{
    struct master *m = c->control->master;
    struct reeve_error err;
    auto_json *request = json_parse(line, n, &err);
    const char *name = json_str(request, "cmd", "");
    if (!request) {
        client_say(c, answer_error(2, err.text));
    } else if (strcmp(name, "set") == 0) {
        c->waiting = true;
        set_begin(m, request, on_later, c);
    } else if (strcmp(name, "upgrade") == 0) {
        c->waiting = true;
        upgrade_begin(m->upgrade, json_str(request, "binary", NULL), on_later, c);
    } else {
        client_say(c, answer_request(m, name, request));
    }
}

/* 0, or -1 when the connection is to be closed. */
static int client_answer(struct client *c)
{
    char *newline;
    while (!c->waiting && (newline = memchr(c->in.data, '\n', c->in.len))) {
        size_t len = (size_t)(newline - c->in.data);
        client_request(c, c->in.data, len);
        buf_consume(&c->in, len + 1);
        if (c->out.len > OUTPUT_MAX)
            return -1;
    }
    return c->in.len > REQUEST_MAX ? -1 : 0;
}

static int client_read(struct client *c)
{
    char *to = buf_reserve(&c->in, 4096);
    ssize_t n = recv(c->fd, to, 4096, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (n == 0) {
        c->ended = true;
        return 0;
    }
    c->in.len += (size_t)n;
    return 0;
}

static int client_write(struct client *c)
{
    ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    buf_consume(&c->out, (size_t)n);
    return 0;
}

static void client_cb(struct ev_loop *loop, ev_io *w, int revents)
{
    struct client *c = w->data;
    int rc = 0;
    if (revents & EV_READ)
        rc = client_read(c);
    if (rc == 0 && c->in.len)
        rc = client_answer(c);
    if (rc == 0 && c->out.len)
        rc = client_write(c);
    if (rc < 0 || (c->ended && !c->out.len && !c->waiting))
        client_destroy(c);
    else
        client_watch(c);
}

static void on_connection(void *arg, int fd)
{
    struct control *control = arg;
    struct ucred peer;
    if (control->count >= CLIENTS_MAX || unix_peer(fd, &peer) < 0 ||
        (peer.uid != 0 && peer.uid != geteuid())) {
        close(fd);
        return;
    }
    struct client *c = xcalloc(1, sizeof *c);
    c->control = control;
    c->fd = fd;
    c->next = control->clients;
    control->clients = c;
    control->count++;
    ev_io_init(&c->watch, client_cb, fd, EV_READ);
    c->watch.data = c;
    ev_io_start(control->master->loop, &c->watch);
}

struct control *control_create(struct master *m, struct reeve_error *err)
{
    struct control *c = xcalloc(1, sizeof *c);
    c->master = m;
    c->fd = upgrade_take_socket("control.sock");
    if (c->fd < 0)
        c->fd = unix_listen(m->run_root, "control.sock", SOCK_STREAM, 0600, err);
    if (c->fd < 0) {
        free(c);
        return NULL;
    }
    acceptor_start(&c->acceptor, m->loop, c->fd, "control.sock", on_connection, c);
    return c;
}

void control_destroy(struct control *c)
{
    if (!c)
        return;
    while (c->clients)
        client_destroy(c->clients);
    acceptor_stop(&c->acceptor);
    auto_free char *path = path_join_dup(c->master->run_root, "control.sock");
    if (!upgrade_keep_socket(c->master->upgrade, "control.sock", c->fd))
        unlink(path);
    free(c);
}
