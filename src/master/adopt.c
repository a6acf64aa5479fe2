/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* A recorded pid is trusted with its start time and boot identity alone; a pidfd is
 * opened first, so that the process cannot be replaced between the look and the use. */

#include "master/adopt.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/id.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/record.h"
#include "master/master.h"
#include "master/report.h"
#include "master/ship.h"
#include "master/spec.h"
#include "run/run-dir.h"
#include "run/spool.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KEPT_MAX (64u << 20)

/* A copy, for a person: the file stays where it is, so that every later master sees the
 * same, until it is written over. Named by what is in it: one copy of each harm. */
static void keep_aside(struct run *run, const char *file, const char *why)
{
    struct master *m = run->master;
    struct reeve_error err = {0};
    auto_buf text = BUF_INIT;
    auto_free char *from = run_file_dup(m->state_root, run->id, file);
    auto_free char *damaged = path_join_dup(m->state_root, "damaged");
    log_error("task=%s cannot be read and is kept in $STATE/damaged: %s", run->id, why);
    if (file_read(from, &text, KEPT_MAX, &err) == 0 &&
        dir_make(damaged, 0700, &err) == 0) {
        auto_free char *to = xasprintf("%s/%s.%s.%08x", damaged, run->id, file,
                                       crc32c(0, text.data, text.len));
        file_replace(to, text.data, text.len, 0600, false, &err);
    }
    if (err.text[0])
        log_error("task=%s cannot keep %s: %s", run->id, from, err.text);
}

static bool same_boot(const struct run *run)
{
    return strcmp(run->boot, run->master->boot) == 0;
}

static void give_up_waiting(struct run *run)
{
    log_warn("task=%s its sub-agent lives and does not connect: replaced", run->id);
    if (run->agent_pidfd >= 0)
        proc_pidfd_signal(run->agent_pidfd, SIGKILL);
}

/* The sub-agent connects within seconds; until then the run is as it was recorded. */
static bool adopt_agent(struct run *run)
{
    if (!run->agent_pid || !same_boot(run) || !run_watch_agent(run)) {
        run->agent_pid = 0;
        run->agent_gone = true;
        return false;
    }
    run_arm(run, run->master->waits.agent_ms, give_up_waiting);
    return true;
}

/* The sub-agent synced the exit before the host went down; its master may not have
 * heard of it. */
static void find_exit(struct run *run)
{
    auto_free char *dir = run_dir_dup(run->master->state_root, run->id);
    struct spool_entry e;
    if (spool_find_exit(dir, &e, NULL) != 1 || e.attempt != run->attempt)
        return;
    run->exit = e.exit;
    run->have_exit = true;
}

static void adopt_live(struct run *run)
{
    report_run_adopted(run);
    run->unmade = run->phase == PHASE_STARTING && !run->start_sent;
    if (same_boot(run)) {
        /* Its sub-agent may be dead, or be ended for not being known. */
        run_hold_fifos(run);
        /* Of this attempt, and not acknowledged: it is told, or found, once more. */
        run->have_exit = false;
    }
    if (adopt_agent(run))
        return;
    if (same_boot(run)) {
        run_post(run, RUN_EVENT_LOST);
        return;
    }
    run->payload_pid = 0;
    if (!run->have_exit)
        find_exit(run);
    run_post(run, RUN_EVENT_ENDED);
}

static void adopt_ended(struct run *run)
{
    run->exit_acked = true;
    bool agent = adopt_agent(run);
    report_run_adopted(run);
    if (agent && run->phase == PHASE_EXITED && run->notes_due) {
        run->resume_due = true;
        return;
    }
    if (run->phase == PHASE_EXITED || run->phase == PHASE_BACKOFF) {
        /* The decision was not on disk yet, or waits: it is made (again). */
        run_resume(run);
        return;
    }
    run_disarm(run);
    run->phase = PHASE_EXITED;
    run_post(run, RUN_EVENT_FINAL);
}

static void adopt_run(struct run *run, const struct reeve_error *quota_err)
{
    auto_free char *dir = run_dir_dup(run->master->state_root, run->id);
    run->ship.acked = run->ship.read = spool_acked(dir);
    run->ship.end = spool_end(dir);
    run->ship.gaps = run->ship.end > run->ship.acked;
    if (run->ship.last_ms < spool_acked_ms(dir))
        run->ship.last_ms = spool_acked_ms(dir);
    log_info("task=%s adopted in phase %s, attempt %u", run->id, phase_name(run->phase),
             run->attempt);
    switch (run->phase) {
    case PHASE_CLAIMED:
        if (quota_err->text[0])
            run_first_launch(run, quota_err);
        else
            run_adopted_launch(run);
        break;
    case PHASE_STARTING:
    case PHASE_PREPARING:
    case PHASE_RUNNING:
    case PHASE_STOPPING:
        adopt_live(run);
        break;
    case PHASE_EXITED:
    case PHASE_BACKOFF:
    case PHASE_DRAINING:
    case PHASE_REPORTING:
        adopt_ended(run);
        break;
    default:
        run_remove(run);
        return;
    }
    ship_wake(run);
}

static bool any(const struct spool_entry *e, const void *arg)
{
    return true;
}

static uint32_t last_attempt(const struct run *run)
{
    auto_free char *dir = run_dir_dup(run->master->state_root, run->id);
    struct spool_entry e;
    return spool_find_last(dir, any, NULL, &e, NULL) == 1 && e.attempt ? e.attempt : 1;
}

/* Groups do not outlive the boot they were made on. */
static bool has_group(struct run *run)
{
    struct cgroup_dirs dirs;
    char path[GROUP_PATH_SIZE];
    cgroup_dirs(run->master->cgroups, run_group(run, "", path), &dirs);
    for (int i = 0; i < dirs.count; i++)
        if (access(dirs.dir[i], F_OK) == 0)
            return true;
    return false;
}

/* Which processes belong to it is not known, but which groups: a new sub-agent knows
 * the payload, or how the attempt ended. */
static void forget_state(struct run *run)
{
    run->forgotten = true;
    run->phase = PHASE_RUNNING;
    run->attempt = last_attempt(run);
    run->start_sent = true;
    run->agent_pid = run->payload_pid = 0;
    snprintf(run->boot, sizeof run->boot, "%s",
             has_group(run) ? run->master->boot : "before");
}

static void adopt_one(struct master *m, const char *task)
{
    struct reeve_error err, quota_err = {0};
    auto_free char *state = run_file_dup(m->state_root, task, "state");
    struct run *run = run_create(m, task);
    /* What runs goes on without its spec; there will be no other attempt. */
    run->no_spec = spec_load(run, &quota_err, &err) < 0;
    if (run->no_spec)
        keep_aside(run, "spec.json", err.text);
    /* spec.json without a state: the last master ended between the two; nothing was
     * started. */
    if (access(state, F_OK) == 0 && run_state_load(run, &err) < 0) {
        keep_aside(run, "state", err.text);
        forget_state(run);
    }
    admit_run(m->admit, run);
    adopt_run(run, &quota_err);
}

static void adopt_name(const char *name, void *arg)
{
    struct master *m = arg;
    if (!id_valid(name) || strlen(name) >= TASK_ID_SIZE)
        return;
    auto_free char *spec = run_file_dup(m->state_root, name, "spec.json");
    if (access(spec, F_OK) == 0 || errno != ENOENT)
        adopt_one(m, name);
    else
        /* A folder without spec.json: the intent still stands for the claim. */
        log_info("task=%s has no spec.json yet", name);
}

static void sweep(struct master *m, const char *root)
{
    auto_free char *trash = path_join_dup(root, "trash");
    if (access(trash, F_OK) == 0)
        syncer_remove_tree(m->sweeper, trash);
}

/* Groups whose run is not known: its folder was removed by somebody. */
static void check_group(const char *name, void *arg)
{
    struct master *m = arg;
    auto_free char *path = xasprintf("run/%s", name);
    struct reeve_error err;
    if (!runs_find(m->runs, name) && cgroup_remove(m->cgroups, path, &err) < 0)
        log_error("task=%s something runs in its group, but its files are gone: %s",
                  name, err.text);
}

int adopt_all(struct master *m, struct reeve_error *err)
{
    auto_free char *runs = path_join_dup(m->state_root, "runs");
    sweep(m, m->state_root);
    sweep(m, m->run_root);
    if (dir_each(runs, adopt_name, m, err) < 0)
        return -1;
    cgroup_list(m->cgroups, "run", check_group, m, NULL);
    /* With thousands of runs the first were read long ago; all have the same time. */
    for (struct run *run = runs_first(m->runs); run; run = run->list_next)
        if (run->timer_fn == give_up_waiting)
            run_arm(run, m->waits.agent_ms, give_up_waiting);
    return 0;
}
