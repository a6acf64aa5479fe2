/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/master.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/record.h"
#include "base/resident.h"
#include "config/files.h"
#include "config/option-table.h"
#include "config/programs.h"
#include "config/worker-id.h"
#include "master/admit.h"
#include "master/adopt.h"
#include "master/control.h"
#include "master/disk.h"
#include "master/drain.h"
#include "master/echo.h"
#include "master/history.h"
#include "master/host-down.h"
#include "master/link.h"
#include "master/log-budget.h"
#include "master/metrics.h"
#include "master/notify.h"
#include "master/orphans.h"
#include "master/outage.h"
#include "master/pull.h"
#include "master/report.h"
#include "master/run-token.h"
#include "master/reassert.h"
#include "master/set.h"
#include "master/ship.h"
#include "master/steps.h"
#include "master/stop-order.h"
#include "master/tick.h"
#include "master/upgrade.h"
#include "master/watch.h"
#include "master/worker-claim.h"
#include "run/run-dir.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>

#define CLIENT_NAME "reeve-" PACKAGE_VERSION
#define SWEEP_MS 1000    /* at the end, for removals */
#define TRIM_SECONDS 2.0 /* after the start: what that alone took in memory */

/* ---- settings ---- */

/* One task has folders of its own, so that it runs beside a master that serves queues;
 * what an earlier `reeve execute` of it left is found there. */
static void name_folders(struct master *m)
{
    const struct options *o = m->options;
    auto_free char *state = state_root_dup(o->state_dir);
    auto_free char *run = run_root_dup(o->run_dir);
    m->cache_root = path_join_dup(state, "cache");
    m->state_root =
        o->task ? xasprintf("%s/execute/%s", state, o->task) : xstrdup(state);
    m->run_root = o->task ? xasprintf("%s/execute/%s", run, o->task) : xstrdup(run);
}

/* One master's groups stay apart from another's on the same host. */
static char *cgroup_root_dup(const struct master *m)
{
    const char *set = m->options->cgroup_root;
    if (!set)
        set = config_str(m->config, "agent.reeve.cgroup_root", NULL);
    if (set && m->options->task)
        return xasprintf("%s-%.16s", set, m->options->task);
    if (set)
        return xstrdup(set);
    if (strcmp(m->state_root, "/var/lib/reeve") == 0)
        return xstrdup("reeve");
    return xasprintf("reeve-%08x", crc32c(0, m->state_root, strlen(m->state_root)));
}

/* What clearml.conf asks for and is not done is said; a task that would run otherwise
 * than it asks for does not run at all. */
static void say_option(void *arg, enum option_level level, const char *text)
{
    struct reeve_error *first = arg;
    if (level != OPTION_LEVEL_ERROR)
        log_warn("%s", text);
    else if (!first->text[0])
        reeve_error_set(first, 0, "%s", text);
}

/* All that can be wrong in it: a running master is asked to execute no program that
 * would not start with it. */
static int check_settings(const struct master *m, struct reeve_error *err)
{
    const struct config *c = m->config;
    struct limits host;
    auto_free char *root = cgroup_root_dup(m);
    if (cgroup_check_root(root, err) < 0)
        return reeve_error_wrap(err, "agent.reeve.cgroup_root");
    return quota_check_config(c, err) < 0 || quota_host_limits(c, &host, err) < 0 ||
                   admit_check(c, err) < 0 || log_budget_check(c, err) < 0 ||
                   watch_check(c, err) < 0 || metrics_check(c, err) < 0
               ? -1
               : 0;
}

static int load_settings(struct master *m, struct reeve_error *err)
{
    struct reeve_error refused = {0};
    m->config = config_load(m->options->config_file, err);
    if (!m->config)
        return -1;
    option_check(m->config, say_option, &refused);
    if (refused.text[0])
        return reeve_error_set(err, 0, "%s", refused.text);
    if (check_settings(m, err) < 0 ||
        waits_read(m->config, m->options->polling_interval, &m->waits, err) < 0)
        return -1;
    m->api_url = xstrdup(config_str(m->config, "api.api_server", ""));
    m->web_url = xstrdup(config_str(m->config, "api.web_server", ""));
    m->files_url = xstrdup(config_str(m->config, "api.files_server", ""));
    if (!m->api_url[0])
        return reeve_error_set(err, 0,
                               "no ClearML server is configured: set api.api_server in "
                               "clearml.conf or CLEARML_API_HOST, or use `reeve up`");
    int level = m->options->log_level;
    if (level < 0)
        level = log_level_parse(config_str(
            m->config, "agent.log_level",
            config_bool(m->config, "agent.debug", false) ? "debug" : "info"));
    log_set_level(level < 0 ? LOG_LEVEL_INFO : (enum log_level)level);
    m->capacity = (unsigned)m->options->services;
    m->worker = worker_id_dup(m->config, m->options->worker_id,
                              m->options->task ? getpid() : 0);
    m->subagent_path = program_find_dup("reeve-subagent", err);
    m->prepare_path = m->subagent_path ? program_find_dup("reeve-prepare", err) : NULL;
    return m->prepare_path ? 0 : -1;
}

/* ---- files ---- */

static int take_lock(struct master *m, struct reeve_error *err)
{
    auto_free char *path = path_join_dup(m->state_root, "master.lock");
    m->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (m->lock < 0)
        return reeve_error_set(err, errno, "open %s", path);
    if (flock(m->lock, LOCK_EX | LOCK_NB) < 0)
        return m->options->task
                   ? reeve_error_set(err, 0, "another process executes task %s already",
                                     m->options->task)
                   : reeve_error_set(
                         err, 0, "another reeved serves %s already; see `reeve status`",
                         m->state_root);
    m->locked = true;
    /* For people; a full disk keeps no master from taking care of its runs. */
    char pid[32];
    int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(m->lock, 0) < 0 || fd_pwrite_all(m->lock, pid, (size_t)n, 0) < 0)
        log_warn("write %s: %s", path, strerror(errno));
    return 0;
}

static int make_folders(struct master *m, struct reeve_error *err)
{
    static const char *const folders[] = {"runs", "intents"};
    m->made_state = access(m->state_root, F_OK) < 0 && errno == ENOENT;
    m->made_run = access(m->run_root, F_OK) < 0 && errno == ENOENT;
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        auto_free char *dir = path_join_dup(m->state_root, folders[i]);
        if (dir_make(dir, 0700, err) < 0)
            return -1;
    }
    auto_free char *runs = path_join_dup(m->run_root, "runs");
    if (dir_make(m->cache_root, 0700, err) < 0 || dir_make(runs, 0700, err) < 0)
        return -1;
    return take_lock(m, err);
}

/* A start that failed leaves nothing that was not there before. Without the lock it is
 * another master's meanwhile. */
static void remove_folders(const struct master *m)
{
    if (!m->locked)
        return;
    if (m->made_run)
        dir_remove_tree(m->run_root, NULL);
    if (m->made_state)
        dir_remove_tree(m->state_root, NULL);
}

/* ---- parts ---- */

static void on_reachable(void *arg, bool reachable, const char *why)
{
    struct master *m = arg;
    outage_note(m->outage, reachable);
    if (!reachable)
        return;
    pull_server_back(m->pull);
    ship_hurry(m->ship);
    report_server_back(m->report);
}

/* ClearML's agent gives up after api.http.retries.total, a master never does: of that
 * section only the pauses count. 0: not set. */
static int64_t retry_wait_ms(const struct config *c, const char *name)
{
    auto_free char *path = xasprintf("api.http.retries.%s", name);
    double seconds = config_num(c, path, 0);
    return seconds > 0 && seconds < 3600 ? (int64_t)(seconds * 1000) : 0;
}

static int make_api(struct master *m, struct reeve_error *err)
{
    struct api_config config = {
        .url = m->api_url,
        .access_key = config_str(m->config, "api.credentials.access_key", NULL),
        .secret_key = config_str(m->config, "api.credentials.secret_key", NULL),
        .token = config_str(m->config, "api.auth.token", NULL),
        .worker = m->worker,
        .client = CLIENT_NAME,
        .verify = config_bool(m->config, "api.verify_certificate", true),
        .ca_file = config_str(m->config, "api.ca_file", NULL),
        /* Each queue has a long poll of its own beside the calls. */
        .max_connections =
            4 + (int)(m->options->queue_count ? m->options->queue_count : 1),
        .token_expiration_s = 31536000,
        .retry_min_ms = retry_wait_ms(m->config, "backoff_factor"),
        .retry_max_ms = retry_wait_ms(m->config, "backoff_max"),
    };
    m->authorized = config.access_key || config.token;
    m->api = api_create(m->loop, &config, err);
    if (!m->api)
        return -1;
    m->outage = outage_create(m);
    api_on_reachable(m->api, on_reachable, m);
    return 0;
}

static int make_parts(struct master *m, struct reeve_error *err)
{
    auto_free char *root = cgroup_root_dup(m);
    m->cgroups = cgroup_host_open(root, err);
    if (!m->cgroups)
        return -1;
    if (!m->options->task)
        m->worker_claim = worker_claim(
            &m->worker,
            m->options->worker_id || config_str(m->config, "agent.worker_id", NULL),
            m->api_url);
    m->syncer = syncer_create(m->loop, err);
    m->sweeper = m->syncer ? syncer_create(m->loop, err) : NULL;
    m->applier = m->sweeper ? syncer_create(m->loop, err) : NULL;
    if (!m->applier || make_api(m, err) < 0)
        return -1;
    m->runs = runs_create();
    m->reassert = reassert_create(m);
    m->disk = disk_create(m);
    m->orphans = orphans_create(m);
    m->upgrade = upgrade_create(m);
    m->hoststat = hoststat_create();
    hoststat_set_disk_path(
        m->hoststat,
        config_str(m->config, "agent.resource_monitoring.disk_use_path", NULL));
    m->ship = ship_create(m);
    m->log_budget = log_budget_create(m, err);
    if (!m->log_budget)
        return -1;
    if (m->options->task)
        m->echo = echo_create(m, m->options->log_file);
    m->admit = admit_create(m, err);
    if (!m->admit)
        return -1;
    m->drain = drain_create(m);
    m->pull = pull_create(m);
    m->steps = steps_create(m);
    m->report = report_create(m);
    m->watch = watch_create(m);
    m->notify = notify_create(m->loop);
    m->metrics = metrics_create(m);
    m->link = link_create(m, err);
    if (!m->link)
        return -1;
    m->control = control_create(m, err);
    if (!m->control)
        return -1;
    m->tick = tick_create(m);
    return 0;
}

static void end_by_signal(struct master *m, bool host_down)
{
    bool stop = host_down || m->options->stop_runs;
    log_info("signal %d: ending%s, runs are %s", m->exit_signal,
             host_down ? " with the host" : "", stop ? "stopped" : "left alive");
    m->host_down = host_down;
    master_shutdown(m, stop);
}

static void signal_end_cb(struct ev_loop *loop, ev_signal *w, int revents)
{
    struct master *m = w->data;
    m->exit_signal = w->signum;
    if (w->signum == SIGTERM && !m->exiting && !m->options->task && !m->host_child)
        host_down_ask(m, end_by_signal);
    else
        end_by_signal(m, false);
}

static void watch_signal(struct master *m, ev_signal *w, int signal)
{
    ev_signal_init(w, signal_end_cb, signal);
    w->data = m;
    ev_signal_start(m->loop, w);
}

static void trim_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    resident_trim();
}

/* With settings, and no parts yet. */
static struct master *make_master(struct options *options, struct reeve_error *err)
{
    struct master *m = xcalloc(1, sizeof *m);
    m->options = options;
    m->lock = m->worker_claim = -1;
    m->posted_end = &m->posted;
    m->started_boot_ms = clock_boot_ms();
    proc_boot_identity(m->boot);
    m->loop = ev_loop_new(EVFLAG_AUTO);
    if (!m->loop) {
        reeve_error_set(err, errno, "make the event loop");
        free(m);
        return NULL;
    }
    name_folders(m);
    ev_init(&m->post_watch, run_dispatch_cb);
    m->post_watch.data = m;
    if (load_settings(m, err) < 0) {
        master_destroy(m);
        return NULL;
    }
    return m;
}

int master_check(struct options *options, struct reeve_error *err)
{
    struct master *m = make_master(options, err);
    int rc = m ? make_api(m, err) : -1;
    master_destroy(m);
    return rc;
}

struct master *master_create(struct options *options, struct reeve_error *err)
{
    struct master *m = make_master(options, err);
    if (!m)
        return NULL;
    files_apply(m->config, m->options->umask);
    if (make_folders(m, err) < 0 || make_parts(m, err) < 0) {
        remove_folders(m);
        master_destroy(m);
        return NULL;
    }
    ev_timer_init(&m->trim_timer, trim_cb, TRIM_SECONDS, 0.0);
    ev_timer_start(m->loop, &m->trim_timer);
    watch_signal(m, &m->sigterm, SIGTERM);
    watch_signal(m, &m->sigint, SIGINT);
    watch_signal(m, &m->sighup, SIGHUP);
    history_trim(m);
    int adopted = adopt_all(m, err);
    if (adopted == 0)
        ship_recover(m->ship);
    if (adopted < 0 || pull_start(m->pull, err) < 0) {
        master_destroy(m);
        return NULL;
    }
    return m;
}

/* Another signal to end ends nothing half-way; but before a successor, which inherits
 * what is ignored and would not hear it either, it ends this one. */
static void stop_signal(struct master *m, ev_signal *w, int signo)
{
    ev_signal_stop(m->loop, w);
    if (!upgrade_due(m->upgrade))
        signal(signo, SIG_IGN);
}

void master_destroy(struct master *m)
{
    if (!m)
        return;
    stop_signal(m, &m->sigterm, SIGTERM);
    stop_signal(m, &m->sigint, SIGINT);
    stop_signal(m, &m->sighup, SIGHUP);
    ev_timer_stop(m->loop, &m->exit_timer);
    ev_timer_stop(m->loop, &m->trim_timer);
    stop_order_end(m->stop_order);
    ev_timer_stop(m->loop, &m->host_timer);
    host_down_forget(m);
    metrics_destroy(m->metrics);
    notify_destroy(m->notify);
    tick_destroy(m->tick);
    orphans_destroy(m->orphans);
    control_destroy(m->control);
    link_destroy(m->link);
    bool upgrading = upgrade_due(m->upgrade);
    upgrade_destroy(m->upgrade);
    watch_destroy(m->watch);
    report_destroy(m->report);
    steps_destroy(m->steps);
    pull_destroy(m->pull);
    m->pull = NULL; /* which runs would wake that give back what they hold */
    drain_destroy(m->drain);
    if (m->runs && m->cgroups && runs_count(m->runs) == 0)
        cgroup_remove(m->cgroups, "run", NULL);
    runs_destroy(m->runs);
    run_token_forget(&m->token);
    admit_destroy(m->admit);
    ship_destroy(m->ship);
    echo_destroy(m->echo);
    if (m->hoststat)
        hoststat_destroy(m->hoststat);
    api_destroy(m->api);
    outage_destroy(m->outage);
    syncer_destroy(m->syncer);
    disk_destroy(m->disk);
    /* What was moved away to be removed is found by the next master, which is near in an
     * upgrade; so are limits, and logs that are too large. */
    syncer_destroy_within(m->sweeper, upgrading ? 0 : SWEEP_MS);
    log_budget_destroy(m->log_budget);
    syncer_destroy_within(m->applier, 0);
    set_destroy(m);
    reassert_destroy(m->reassert);
    cgroup_host_close(m->cgroups, true);
    config_destroy(m->config);
    if (m->lock >= 0)
        close(m->lock);
    if (m->worker_claim >= 0)
        close(m->worker_claim);
    ev_loop_destroy(m->loop);
    free(m->api_url);
    free(m->web_url);
    free(m->files_url);
    free(m->worker);
    free(m->subagent_path);
    free(m->prepare_path);
    free(m->state_root);
    free(m->run_root);
    free(m->cache_root);
    free(m);
}

/* Of the one task nothing is kept: neither it nor its lines are to be found again, but
 * for what the server refused. */
static void remove_task_folders(const struct master *m)
{
    auto_free char *refused = path_join_dup(m->state_root, "refused");
    if (runs_count(m->runs) > 0)
        return;
    dir_remove_tree(m->run_root, NULL);
    if (access(refused, F_OK) < 0)
        dir_remove_tree(m->state_root, NULL);
}

int master_run(struct master *m)
{
    if (m->options->task)
        m->exit_code = 1; /* until the task says otherwise */
    ev_run(m->loop, 0);
    if (!m->options->task)
        return m->exit_code;
    remove_task_folders(m);
    return m->exit_signal ? 128 + m->exit_signal : m->exit_code;
}
