/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/metrics.h"

#include "base/log.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/proc.h"
#include "master/master.h"
#include "master/metrics-http.h"
#include "master/reassert.h"
#include "master/ship.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Reasons are few, but exit codes come from payloads. */
#define REASONS_MAX 64
#define REASON_OTHER "other"

struct metrics {
    struct master *master;
    struct metrics_http *http; /* NULL: nothing listens */
    bool runs;                 /* figures of each run, too */
    uint64_t restarts;
    uint64_t lines_dropped, events_refused;
    struct {
        char reason[48];
        uint64_t count;
    } ended[REASONS_MAX];
};

/* ---- counting ---- */

void metrics_attempt_ended(struct metrics *metrics, const struct verdict *v)
{
    const char *reason = v->reason;
    for (int i = 0; i < REASONS_MAX; i++) {
        if (i == REASONS_MAX - 1)
            reason = REASON_OTHER;
        if (!metrics->ended[i].count)
            snprintf(metrics->ended[i].reason, sizeof metrics->ended[i].reason, "%s",
                     reason);
        if (strcmp(metrics->ended[i].reason, reason) != 0)
            continue;
        metrics->ended[i].count++;
        return;
    }
}

void metrics_restart(struct metrics *metrics)
{
    metrics->restarts++;
}

void metrics_log_dropped(struct metrics *metrics, uint64_t lines)
{
    metrics->lines_dropped += lines;
}

void metrics_log_refused(struct metrics *metrics)
{
    metrics->events_refused++;
}

cJSON *metrics_ended(const struct metrics *metrics)
{
    cJSON *ended = cJSON_CreateObject();
    for (int i = 0; i < REASONS_MAX && metrics->ended[i].count; i++)
        json_set_int(ended, metrics->ended[i].reason, (int64_t)metrics->ended[i].count);
    return ended;
}

/* ---- the page ---- */

static void put_head(struct buf *out, const char *name, const char *type,
                     const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_gauge(struct buf *out, const char *name, const char *help, double value)
{
    put_head(out, name, "gauge", help);
    buf_printf(out, "%s %.15g\n", name, value);
}

/* A label's value: the format escapes three characters. */
static void put_label(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\\' || *text == '"')
            buf_add_char(out, '\\');
        if (*text == '\n')
            buf_add_str(out, "\\n");
        else
            buf_add_char(out, *text);
    }
}

static void put_phases(struct buf *out, const struct master *m)
{
    unsigned count[PHASE_COUNT] = {0};
    for (struct run *run = runs_first(m->runs); run; run = run->list_next)
        count[run->phase]++;
    put_head(out, "reeve_runs", "gauge", "Runs by the phase that they are in.");
    for (int i = 0; i < PHASE_GONE; i++)
        buf_printf(out, "reeve_runs{phase=\"%s\"} %u\n", phase_name((enum phase)i),
                   count[i]);
}

static void put_count(struct buf *out, const char *name, const char *help,
                      uint64_t count)
{
    put_head(out, name, "counter", help);
    buf_printf(out, "%s %" PRIu64 "\n", name, count);
}

static void put_ends(struct buf *out, const struct metrics *metrics)
{
    put_head(out, "reeve_attempts_ended_total", "counter",
             "Attempts that ended since this master's start, by reason.");
    for (int i = 0; i < REASONS_MAX && metrics->ended[i].count; i++) {
        buf_add_str(out, "reeve_attempts_ended_total{reason=\"");
        put_label(out, metrics->ended[i].reason);
        buf_printf(out, "\"} %" PRIu64 "\n", metrics->ended[i].count);
    }
    put_count(out, "reeve_restarts_total",
              "Attempts that followed another since this master's start.",
              metrics->restarts);
}

static void put_logs(struct buf *out, const struct metrics *metrics)
{
    put_count(out, "reeve_log_lines_dropped_total",
              "Log lines that were given up for a log budget, as far as the server was "
              "told of it.",
              metrics->lines_dropped);
    put_count(out, "reeve_log_events_refused_total",
              "Log events that the server refused and that are set aside.",
              metrics->events_refused);
}

static void put_server(struct buf *out, const struct master *m)
{
    double latency = api_latency_ms(m->api);
    put_gauge(out, "reeve_server_reachable", "1 if the ClearML server answers.",
              api_reachable(m->api));
    if (latency >= 0)
        put_gauge(out, "reeve_server_latency_seconds", "How long its last answer took.",
                  latency / 1000.0);
    put_gauge(out, "reeve_spool_bytes", "Log bytes that the server does not have yet.",
              (double)ship_pending_bytes(m->ship));
}

static void put_master(struct buf *out, const struct master *m)
{
    put_head(out, "reeve_info", "gauge", "Always 1; says which master this is.");
    buf_printf(out, "reeve_info{version=\"" PACKAGE_VERSION "\",worker=\"");
    put_label(out, m->worker);
    buf_add_str(out, "\"} 1\n");
    put_gauge(out, "reeve_uptime_seconds", "Since this master's start.",
              (double)(clock_boot_ms() - m->started_boot_ms) / 1000.0);
    put_gauge(out, "reeve_resident_memory_bytes", "Memory of the master itself.",
              (double)proc_own_rss());
    put_gauge(out, "reeve_runs_capacity", "Runs at a time; 0: no bound.", m->capacity);
}

/* Seconds in which somebody, or nobody, could go on; for rates. */
static void put_pressure(struct buf *out)
{
    struct psi psi;
    put_head(out, "reeve_host_pressure_seconds_total", "counter",
             "Time in which some or all processes of the host waited.");
    for (int r = 0; r < PSI_COUNT; r++) {
        if (!psi_read_host((enum psi_resource)r, &psi))
            continue;
        for (int full = 0; full < 2; full++)
            buf_printf(out,
                       "reeve_host_pressure_seconds_total{resource=\"%s\","
                       "kind=\"%s\"} %.6f\n",
                       psi_name((enum psi_resource)r), full ? "full" : "some",
                       (double)(full ? psi.full : psi.some).total_usec / 1e6);
    }
}

static void put_limits(struct buf *out, const struct master *m)
{
    put_head(out, "reeve_limits_reasserted_total", "counter",
             "Groups whose limits were lost and were set again, since this master's "
             "start.");
    buf_printf(out, "reeve_limits_reasserted_total %" PRIu64 "\n",
               reassert_count(m->reassert));
}

static void put_of_runs(struct buf *out, const struct master *m, const char *name,
                        const char *type, const char *help,
                        double (*value)(const struct run *run))
{
    put_head(out, name, type, help);
    for (struct run *run = runs_first(m->runs); run; run = run->list_next) {
        if (!run_is_live(run) || !run->report.last_ms)
            continue;
        buf_printf(out, "%s{task=\"%s\",name=\"", name, run->id);
        put_label(out, run->name ? run->name : "");
        buf_printf(out, "\"} %.15g\n", value(run));
    }
}

static double memory_of(const struct run *run)
{
    return (double)run->report.last.memory;
}

static double cpu_of(const struct run *run)
{
    return (double)run->report.last.cpu_usec / 1e6;
}

static double pids_of(const struct run *run)
{
    return (double)run->report.last.pids;
}

static double throttled_of(const struct run *run)
{
    return (double)run->report.last.cpu_throttled_usec / 1e6;
}

static double memory_full_of(const struct run *run)
{
    return (double)run->report.last.memory_max;
}

static double oom_kills_of(const struct run *run)
{
    return (double)run->report.last.oom_kill;
}

static void put_runs(struct buf *out, const struct master *m)
{
    put_of_runs(out, m, "reeve_run_memory_bytes", "gauge",
                "Memory of a run's group at the last sample.", memory_of);
    put_of_runs(out, m, "reeve_run_cpu_seconds_total", "counter",
                "Processor time of a run's attempt at the last sample.", cpu_of);
    put_of_runs(out, m, "reeve_run_processes", "gauge",
                "Processes and threads of a run's group at the last sample.", pids_of);
    put_of_runs(out, m, "reeve_run_cpu_throttled_seconds_total", "counter",
                "Time that its limit of CPU took from a run's attempt.", throttled_of);
    put_of_runs(out, m, "reeve_run_memory_limit_hits_total", "counter",
                "How often an attempt reached its limit of memory.", memory_full_of);
    put_of_runs(out, m, "reeve_run_oom_kills_total", "counter",
                "Processes of an attempt that were killed for want of memory.",
                oom_kills_of);
}

void metrics_format(const struct metrics *metrics, struct buf *out)
{
    const struct master *m = metrics->master;
    put_master(out, m);
    put_phases(out, m);
    put_ends(out, metrics);
    put_server(out, m);
    put_logs(out, metrics);
    put_pressure(out);
    put_limits(out, m);
    if (metrics->runs)
        put_runs(out, m);
}

/* ---- life ---- */

static const char listen_path[] = "agent.reeve.metrics.listen";

int metrics_check(const struct config *config, struct reeve_error *err)
{
    const char *listen = config_str(config, listen_path, NULL);
    return listen ? metrics_http_check(listen, err) : 0;
}

struct metrics *metrics_create(struct master *m)
{
    const char *listen = config_str(m->config, listen_path, NULL);
    struct reeve_error err;
    struct metrics *metrics = xcalloc(1, sizeof *metrics);
    metrics->master = m;
    metrics->runs = config_bool(m->config, "agent.reeve.metrics.runs", false);
    /* One task has its figures on the server; its port would be another master's. */
    if (!listen || m->options->task)
        return metrics;
    metrics->http = metrics_http_create(m->loop, listen, metrics, &err);
    /* A port that another program has keeps no master from its runs. */
    if (!metrics->http)
        log_error("no metrics: %s", err.text);
    return metrics;
}

void metrics_destroy(struct metrics *metrics)
{
    if (!metrics)
        return;
    metrics_http_destroy(metrics->http);
    free(metrics);
}

const char *metrics_url(const struct metrics *metrics)
{
    return metrics->http ? metrics_http_url(metrics->http) : NULL;
}
