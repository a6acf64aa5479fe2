/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* - Every worker reports at most once per 30 s, each at its own time within that
 * (jitter).
 * - A sub-agent registers with a short time-out, so that it vanishes soon if this host
 * dies; the server would keep a status report's implicit registration for 600 s.
 * - `task` is reported only while the run lives: it keeps the server's watchdog quiet
 *   (workers.status_report sets the task's last_update). */

#include "master/report.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "master/drain.h"
#include "master/master.h"
#include "master/pull.h"
#include "master/ship.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SAMPLE_MIN_MS 500
#define SAME_MAX 10
#define SAMPLE_ALL_MS 20 /* that the loop may stand still for them */
#define DRAIN_TAG "reeve:draining"

struct report {
    struct master *master;
    int64_t next_ms, register_ms;
    bool registered, registering;
    char sampled[TASK_ID_SIZE]; /* the last run of report_sample_all() */
    void (*left)(struct master *m);
};

static int64_t next_time(const struct master *m)
{
    int64_t jitter = m->waits.report_ms / 10;
    return clock_boot_ms() + m->waits.report_ms - (jitter > 0 ? random() % jitter : 0);
}

static void ignore_reply(void *arg, const struct api_reply *r)
{
    if (r->result == API_REFUSED)
        log_debug("%s: %s", (const char *)arg, r->message);
}

/* What a report says is stale a minute later: it is not kept for longer. */
static void tell(struct master *m, const char *endpoint, cJSON *body)
{
    struct api_options options = {.retry = API_RETRY_SAFE, .deadline_ms = 30000};
    api_send(m->api, NULL, endpoint, body, &options, ignore_reply, (void *)endpoint);
}

/* ClearML's agents send whole seconds, in ms (resource_monitor.py). */
static cJSON *report_body(const char *worker)
{
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "worker", worker);
    json_set_int(body, "timestamp", clock_wall_ms() / 1000 * 1000);
    return body;
}

/* ---- the master ---- */

/* A tag is what ClearML's own page shows of a worker's state; each report says them
 * anew. */
static void add_drain_tag(cJSON *body, const struct master *m)
{
    static const char *const tag[] = {DRAIN_TAG};
    if (drain_active(m->drain))
        json_set(body, "tags", cJSON_CreateStringArray(tag, 1));
}

static void report_master(struct report *r)
{
    struct master *m = r->master;
    cJSON *body = report_body(m->worker);
    json_set(body, "machine_stats", hoststat_machine_stats(m->hoststat));
    add_drain_tag(body, m);
    json_set(body, "queues", pull_queue_ids(m->pull));
    tell(m, "workers.status_report", body);
}

static void on_registered(void *arg, const struct api_reply *reply)
{
    struct report *r = arg;
    r->registering = false;
    if (reply->result != API_OK) {
        log_warn("workers.register: %s", reply->message);
        r->register_ms = clock_boot_ms() + r->master->waits.report_ms;
        return;
    }
    r->registered = true;
    r->next_ms = 0;
}

static void register_master(struct report *r)
{
    struct master *m = r->master;
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "worker", m->worker);
    json_set(body, "queues", pull_queue_ids(m->pull));
    add_drain_tag(body, m);
    struct api_options options = {.retry = API_RETRY_SAFE};
    r->registered = false;
    r->registering = true;
    api_send(m->api, NULL, "workers.register", body, &options, on_registered, r);
}

static void on_capacity(void *arg, const struct api_reply *reply)
{
    /* The open-source server has no such call: its own agents' limit is lost there too.
     */
    if (reply->result != API_OK)
        log_debug("workers.set_runtime_properties: %s", reply->message);
}

static void tell_capacity(struct master *m)
{
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "worker", m->worker);
    cJSON *list = json_set(body, "runtime_properties", cJSON_CreateArray());
    cJSON *property = cJSON_CreateObject();
    cJSON_AddItemToArray(list, property);
    json_set_str(property, "key", "max_num_instances");
    auto_free char *value = xasprintf("%d", m->capacity ? (int)m->capacity : -1);
    json_set_str(property, "value", value);
    api_send(m->api, NULL, "workers.set_runtime_properties", body, NULL, on_capacity,
             m);
}

void report_queues_known(struct report *r)
{
    register_master(r);
    tell_capacity(r->master);
}

void report_master_changed(struct report *r)
{
    if (r->registered)
        report_master(r);
}

void report_server_back(struct report *r)
{
    /* A status report would register it again too, but with the server's own time-out,
     * of 600 s. */
    if (r->registered)
        register_master(r);
    for (struct run *run = runs_first(r->master->runs); run; run = run->list_next)
        run->report.known = false;
}

static void on_left(void *arg, const struct api_reply *reply)
{
    struct report *r = arg;
    r->left(r->master);
}

void report_leave(struct report *r, void (*done)(struct master *m))
{
    struct master *m = r->master;
    r->left = done;
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "worker", m->worker);
    json_set(body, "queues", pull_queue_ids(m->pull));
    struct api_options options = {.timeout_ms = 2000};
    api_send(m->api, NULL, "workers.unregister", body, &options, on_left, r);
}

/* ---- the runs ---- */

/* Most services sleep, and what does nothing takes nothing else; but for what the
 * kernel reclaims or writes on its account, which a look now and then finds. */
static bool has_slept(struct run *run, const char *group)
{
    int64_t cpu = cgroup_read_cpu(run->master->cgroups, group);
    if (!run->report.last_ms || cpu < 0 || (uint64_t)cpu != run->report.last.cpu_usec ||
        run->report.same++ >= SAME_MAX)
        run->report.same = 0;
    return run->report.same > 0;
}

void report_sample(struct run *run)
{
    struct cgroup_stat now = run->report.last;
    char path[GROUP_PATH_SIZE];
    int64_t ms = clock_boot_ms(), elapsed = ms - run->report.last_ms;
    if (run->report.last_ms && elapsed < SAMPLE_MIN_MS)
        return;
    run_group(run, "payload", path);
    if (!has_slept(run, path) &&
        cgroup_read_stat(run->master->cgroups, path, &now, NULL) < 0)
        return;
    if (run->report.last_ms && now.cpu_usec >= run->report.last.cpu_usec && elapsed > 0)
        run->report.cpu_percent =
            (double)(now.cpu_usec - run->report.last.cpu_usec) / (double)elapsed / 10.0;
    run->report.last = now;
    run->report.last_ms = ms;
}

void report_sample_all(struct report *r)
{
    struct runs *runs = r->master->runs;
    struct run *run = runs_find(runs, r->sampled);
    int64_t end = clock_boot_ms() + SAMPLE_ALL_MS;
    for (unsigned n = runs_count(runs); n > 0 && clock_boot_ms() <= end; n--) {
        run = run && run->list_next ? run->list_next : runs_first(runs);
        report_sample(run);
        snprintf(r->sampled, sizeof r->sampled, "%s", run->id);
    }
}

static int64_t host_available(const struct master *m)
{
    return hoststat_available(m->hoststat);
}

static void add_tags(cJSON *body, const struct options *o)
{
    if (o->tag_count)
        json_set(body, "tags", cJSON_CreateStringArray(o->tags, (int)o->tag_count));
}

/* list: takes the report, to be sent with others; NULL: sent now. */
static void report_run(struct run *run, cJSON *list)
{
    struct master *m = run->master;
    char worker[256];
    struct cgroup_stat before = run->report.last;
    int64_t before_ms = run->report.last_ms;
    report_sample(run);
    cJSON *body = report_body(run_worker(run, worker));
    json_set_str(body, "task", run->id);
    add_tags(body, m->options);
    if (run->queue && run->queue[0])
        json_set_str(body, "queue", run->queue);
    cJSON *stats = run_machine_stats(before_ms ? &before : NULL, &run->report.last,
                                     run->report.last_ms - before_ms,
                                     run->policy.limits.memory, host_available(m));
    json_set(body, "machine_stats", stats);
    if (list)
        cJSON_AddItemToArray(list, body);
    else
        tell(m, "workers.status_report", body);
}

static void register_run(struct run *run)
{
    struct master *m = run->master;
    char worker[256];
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "worker", run_worker(run, worker));
    json_set_int(body, "timeout", m->waits.worker_timeout_ms / 1000);
    json_set(body, "queues", cJSON_CreateArray());
    add_tags(body, m->options);
    tell(m, "workers.register", body);
    run->report.known = true;
}

/* At a time of its own within the interval. */
static void spread(struct run *run)
{
    int64_t ms = run->master->waits.report_ms;
    run->report.next_ms = clock_boot_ms() + (ms > 1000 ? random() % ms : ms);
}

void report_run_started(struct run *run)
{
    if (run->master->options->unmonitored)
        return;
    run->report.registered = true;
    register_run(run);
    report_run(run, NULL);
    spread(run);
}

/* Registered by its first report: thousands are adopted at once. */
void report_run_adopted(struct run *run)
{
    if (run->master->options->unmonitored)
        return;
    run->report.registered = true;
    spread(run);
}

void report_run_gone(struct run *run)
{
    char worker[256];
    if (!run->report.registered)
        return;
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "worker", run_worker(run, worker));
    tell(run->master, "workers.unregister", body);
}

/* With thousands of runs there are hundreds of reports a second: one call where the
 * server takes it. */
static void report_runs(struct master *m, int64_t now)
{
    cJSON *body = api_has_extension(m->api, "reports") ? cJSON_CreateObject() : NULL;
    cJSON *list = body ? json_set(body, "reports", cJSON_CreateArray()) : NULL;
    for (struct run *run = runs_first(m->runs); run; run = run->list_next) {
        if (!run->report.registered || now < run->report.next_ms || !run_is_live(run))
            continue;
        if (!run->report.known)
            register_run(run);
        report_run(run, list);
        ship_rest(run);
        run->report.next_ms = next_time(m);
    }
    if (list && list->child)
        tell(m, "workers.status_reports", body);
    else
        cJSON_Delete(body);
}

void report_tick(struct report *r)
{
    struct master *m = r->master;
    int64_t now = clock_boot_ms();
    if (!api_reachable(m->api))
        return;
    if (r->register_ms && now >= r->register_ms && !r->registering) {
        r->register_ms = 0;
        register_master(r);
    }
    if (r->registered && now >= r->next_ms) {
        report_master(r);
        pull_refresh(m->pull);
        r->next_ms = next_time(m);
    }
    report_runs(m, now);
}

struct report *report_create(struct master *m)
{
    struct report *r = xcalloc(1, sizeof *r);
    r->master = m;
    return r;
}

void report_destroy(struct report *r)
{
    free(r);
}
