/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/reassert.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "cgroup/cgroup.h"
#include "master/master.h"
#include "master/pressure.h"
#include "master/quota.h"
#include "master/run.h"
#include "master/set.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PER_TICK 100
#define ALL_RUNS "run" /* the group that holds those of all runs */

struct reassert {
    struct master *master;
    uint64_t count;
    struct limits host;
    int64_t host_ms;
    struct assertion *pending;
};

/* One group's, in the thread. */
struct assertion {
    struct reassert *reassert;
    char task[TASK_ID_SIZE]; /* "": the host's */
    char group[GROUP_PATH_SIZE];
    struct limits limits;
    unsigned bits, left; /* that differed before, and after */
    struct assertion *next;
};

static int assert_limits(void *arg, struct reeve_error *err)
{
    struct assertion *a = arg;
    struct limits have;
    struct cgroup_host *host = a->reassert->master->cgroups;
    int rc = cgroup_apply(host, a->group, &a->limits, err);
    a->left = cgroup_read_limits(host, a->group, &have, NULL) == 0
                  ? limits_differ(&a->limits, &have)
                  : 0;
    return rc;
}

static void forget(struct assertion *a)
{
    struct assertion **p = &a->reassert->pending;
    while (*p != a)
        p = &(*p)->next;
    *p = a->next;
    free(a);
}

/* Once an attempt at most: it is not tried again. */
static void tell_stuck(struct run *run, const char *who, unsigned left)
{
    char names[LIMITS_NAMES_SIZE];
    limits_names(left, names);
    log_info("task=%s this host does not enforce: %s", who, names);
    if (run)
        run_note(run, "reeve: this host does not enforce: %s; see `reeve doctor`",
                 names);
}

static void on_asserted(void *arg, const struct reeve_error *err)
{
    struct assertion *a = arg;
    struct reassert *r = a->reassert;
    struct run *run = a->task[0] ? runs_find(r->master->runs, a->task) : NULL;
    char names[LIMITS_NAMES_SIZE];
    const char *who = a->task[0] ? a->task : "all runs";
    if (run)
        run->limits_stuck |= a->left;
    if (a->bits & ~a->left) {
        r->count++;
        log_warn("task=%s limits were not as they should be and were set again: %s",
                 who, limits_names(a->bits & ~a->left, names));
    }
    /* The group of an attempt that has ended is gone. */
    if (err && err->code != ENOENT)
        log_warn("task=%s limits could not be set again: %s", who, err->text);
    else if (a->left)
        tell_stuck(run, who, a->left);
    forget(a);
}

static bool under_way(const struct reassert *r, const char *task)
{
    for (const struct assertion *a = r->pending; a; a = a->next)
        if (strcmp(a->task, task) == 0)
            return true;
    return false;
}

/* stuck: bits that are of no use to try. */
static void look(struct reassert *r, const char *task, const char *group,
                 const struct limits *limits, unsigned stuck)
{
    struct limits wanted = *limits, have;
    limits_clamp(&wanted);
    if (limits_none(&wanted) || under_way(r, task) ||
        cgroup_read_limits(r->master->cgroups, group, &have, NULL) < 0)
        return;
    unsigned bits = limits_differ(&wanted, &have) & ~stuck;
    /* A group that is being ended lets nobody fork (cgroup_dirs_sweep). */
    if (!bits || have.pids == 0)
        return;
    struct assertion *a = xcalloc(1, sizeof *a);
    a->reassert = r;
    snprintf(a->task, sizeof a->task, "%s", task);
    snprintf(a->group, sizeof a->group, "%s", group);
    a->limits = wanted;
    a->bits = bits;
    a->next = r->pending;
    r->pending = a;
    syncer_call(r->master->applier, assert_limits, on_asserted, a);
}

static void look_at_run(struct reassert *r, struct run *run)
{
    char group[GROUP_PATH_SIZE];
    run_group(run, "payload", group);
    /* What the kernel may refuse yet is not asserted. */
    if (!set_under_way(r->master, run->id))
        look(r, run->id, group, &run->policy.limits, run->limits_stuck);
    pressure_check(run);
}

/* Memory is kept for a run only out of what is kept for all of them. A run begins to be
 * protected with the next tick. True if the sum is another. */
static bool reserve(struct reassert *r)
{
    int64_t sum = 0;
    /* v1 has no such bound, and would reclaim from all runs once they are above it. */
    if (cgroup_host_mode(r->master->cgroups) != CGROUP_V2)
        return false;
    for (struct run *run = runs_first(r->master->runs); run; run = run->list_next)
        if (run_is_live(run) && run->policy.limits.memory_reservation != LIMIT_NONE &&
            __builtin_add_overflow(sum, run->policy.limits.memory_reservation, &sum))
            sum = INT64_MAX;
    if (sum == r->host.memory_reservation || (!sum && r->host.memory_reservation < 0))
        return false;
    r->host.memory_reservation = sum;
    return true;
}

void reassert_tick(struct reassert *r)
{
    int64_t now = clock_boot_ms();
    int left = PER_TICK;
    if (now >= r->host_ms || reserve(r)) {
        r->host_ms = now + r->master->waits.reassert_ms;
        look(r, "", ALL_RUNS, &r->host, 0);
    }
    for (struct run *run = runs_first(r->master->runs); run && left > 0;
         run = run->list_next) {
        if ((run->phase != PHASE_PREPARING && run->phase != PHASE_RUNNING) ||
            now < run->reassert_ms)
            continue;
        run->reassert_ms = now + r->master->waits.reassert_ms;
        look_at_run(r, run);
        left--;
    }
}

/* In the way of a start this is an error that is told, no more: runs of an earlier
 * master may use more than a new setting gives. */
static void start_host(struct reassert *r)
{
    struct master *m = r->master;
    struct reeve_error err = {0};
    struct limits have;
    if (quota_host_limits(m->config, &r->host, &err) < 0)
        log_error("%s", err.text);
    bool exists = cgroup_read_limits(m->cgroups, ALL_RUNS, &have, NULL) == 0;
    if (!exists && limits_none(&r->host))
        return;
    if (cgroup_create(m->cgroups, ALL_RUNS, &r->host, &err) < 0 &&
        (err.code != EEXIST || cgroup_apply(m->cgroups, ALL_RUNS, &r->host, &err) < 0))
        log_error("agent.reeve.host: %s", err.text);
}

uint64_t reassert_count(const struct reassert *r)
{
    return r->count;
}

struct reassert *reassert_create(struct master *m)
{
    struct reassert *r = xcalloc(1, sizeof *r);
    r->master = m;
    r->host = (struct limits)LIMITS_NONE;
    start_host(r);
    return r;
}

void reassert_destroy(struct reassert *r)
{
    while (r && r->pending)
        forget(r->pending);
    free(r);
}
