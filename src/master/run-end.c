/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* From an attempt's end to the next one, or to the end of the run: the second half of
 * what the table in phase.c asks for. Nothing is removed before the server has every
 * line and the status (run-told.c), and that is on disk. */

#include "master/run-internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "master/history.h"
#include "master/link.h"
#include "master/master.h"
#include "master/metrics.h"
#include "master/pull.h"
#include "master/report.h"
#include "master/ship.h"
#include "master/stop-order.h"
#include "run/run-dir.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REMOVE_TRIES 6

/* ---- ACTION_JUDGE ---- */

static const char *end_line(const struct run *run, char out[64])
{
    /* The official agent's own words, which people search for (worker.py). */
    const struct verdict *v = &run->verdict;
    if (verdict_success(v))
        return "Process completed successfully";
    if (v->kind == VERDICT_ABORTED)
        return "Process aborted by user";
    if (v->kind == VERDICT_AGENT_LOST || v->kind == VERDICT_REBOOT)
        return "Process lost";
    snprintf(out, 64, "Process failed, exit code %d",
             v->signal     ? -v->signal
             : v->code > 0 ? v->code
                           : 1);
    return out;
}

/* The attempt's own end was told before: it was stopped while it waited for the next
 * one. */
static bool waited(const struct run *run)
{
    return run->attempt && run->restarts >= run->attempt;
}

static void note_end(struct run *run)
{
    char line[64], restart[RESTART_TEXT_SIZE];
    run_note(run, "%s", end_line(run, line));
    if (waited(run))
        run_note(run, "reeve: attempt %u does not start (%s): %s", run->attempt + 1,
                 run->verdict.reason, run->verdict.text);
    else if (!verdict_success(&run->verdict))
        run_note(run, "reeve: attempt %u ended (%s): %s",
                 run->attempt ? run->attempt : 1, run->verdict.reason,
                 run->verdict.text);
    else if (run->attempt > 1)
        run_note(
            run, "reeve: attempt %u completed (restart %s)", run->attempt,
            restart_policy_text(run->policy.restart, run->policy.restart_max, restart));
    if (run->exit.left[0])
        run_note(run, "reeve: left behind and ended: %s", run->exit.left);
}

static void make_verdict(struct run *run)
{
    struct master *m = run->master;
    struct cgroup_stat stat;
    char path[GROUP_PATH_SIZE], warning[128] = "";
    struct reeve_error err;
    bool have_stat =
        cgroup_read_stat(m->cgroups, run_group(run, "payload", path), &stat, &err) == 0;
    struct verdict_input in = {
        .exit = run->have_exit ? &run->exit : NULL,
        .aborted_by = run->stop == STOP_HOST ? NULL : stop_cause_word(run->stop),
        .host_down = run->stop == STOP_HOST,
        .abort_text = run->stop_text,
        .rebooted = strcmp(run->boot, m->boot) != 0,
        .stat = have_stat ? &stat : NULL,
        .memory_limit = run->policy.limits.memory,
        .over_disk = run->over_disk,
        .disk_limit = run->policy.disk,
    };
    verdict_make(&in, &run->verdict);
    run->have_verdict = true;
    if (have_stat && verdict_memory_warning(&run->verdict, &stat, warning)[0])
        run_note(run, "reeve: warning: %s", warning);
}

static bool wants_restart(const struct run *run)
{
    if (run->no_spec)
        return false;
    if (run->stop == STOP_RESTART)
        return true;
    return (run->stop == STOP_NONE || run->stop == STOP_HOST) &&
           run->verdict.kind != VERDICT_REFUSED && run->verdict.kind != VERDICT_DISK &&
           policy_wants_restart(&run->policy, verdict_success(&run->verdict),
                                run->restarts - run->forgiven);
}

void run_decide(struct run *run, bool still_ours)
{
    bool again = still_ours && wants_restart(run);
    /* The next master decides: here it would not see the next attempt through. */
    if (again && run->master->exiting)
        return;
    run_post(run, again ? RUN_EVENT_RESTART : RUN_EVENT_FINAL);
}

/* Exponential, with a cap; up to a tenth later, so that services that failed together
 * do not start together. */
static int64_t backoff(const struct run *run)
{
    const struct waits *w = &run->master->waits;
    int64_t wait = w->backoff_min_ms;
    if (run->stop == STOP_RESTART)
        return 0;
    for (uint32_t i = 0; i < run->failures && wait < w->backoff_max_ms; i++)
        wait *= 2;
    if (wait > w->backoff_max_ms)
        wait = w->backoff_max_ms;
    return wait + (wait > 10 ? random() % (wait / 10) : 0);
}

/* What the server says is asked for first: the task's own code may have ended it. */
static void judge_next(struct run *run)
{
    run_set_due(run, backoff(run));
    if (wants_restart(run))
        run_ask_to_go_on(run);
    else
        run_decide(run, false);
}

void run_act_judge(struct run *run)
{
    struct master *m = run->master;
    struct reeve_error err;
    char path[GROUP_PATH_SIZE];
    if (run->call) {
        api_cancel(run->call);
        run->call = NULL;
    }
    run_disarm(run);
    run->session = 0; /* nothing is in it: the number may be another run's by now */
    run->looked = false;
    make_verdict(run);
    if (!waited(run))
        metrics_attempt_ended(m->metrics, &run->verdict);
    if (run->started_boot_ms &&
        clock_boot_ms() - run->started_boot_ms >= m->waits.healthy_ms)
        run->failures = 0;
    /* While the verdict is not on disk (it is full) the sub-agent keeps the exit. */
    run->notes_due = run->attempt || run->have_exit;
    run->exit_acked = run_state_save(run) == 0;
    if (run->notes_due)
        note_end(run);
    run->notes_due = run->notes.len > 0;
    if (run->exit_acked)
        link_ack_exit(run, run->attempt);
    if (cgroup_remove(m->cgroups, run_group(run, "payload", path), &err) < 0)
        log_debug("task=%s %s", run->id, err.text);
    log_info("task=%s attempt=%u reason=%s %s", run->id, run->attempt,
             run->verdict.reason, run->verdict.text);
    judge_next(run);
    stop_order_attempt_ended(m->stop_order);
}

/* ---- ACTION_WAIT ---- */

static void backoff_due(struct run *run)
{
    if (!run->master->host_down) /* else the next boot's master begins it */
        run_post(run, RUN_EVENT_DUE);
}

/* A wall clock that jumps changes nothing on the boot that the time was set on; on
 * another one it makes no wait longer than the longest one. */
static int64_t due_in(const struct run *run)
{
    int64_t max = run->master->waits.backoff_max_ms;
    if (run->due_boot_ms && strcmp(run->boot, run->master->boot) == 0)
        return run->due_boot_ms - clock_boot_ms();
    int64_t wait = run->due_ms - clock_wall_ms();
    return wait < max ? wait : max;
}

void run_set_due(struct run *run, int64_t wait_ms)
{
    run->due_ms = clock_wall_ms() + wait_ms;
    run->due_boot_ms = clock_boot_ms() + wait_ms;
}

void run_act_wait(struct run *run)
{
    char text[RESTART_TEXT_SIZE], at[CLOCK_ISO_SIZE];
    int64_t wait = due_in(run);
    if (!wants_restart(run)) { /* told to stop since that was decided */
        run_post(run, RUN_EVENT_STOP);
        return;
    }
    if (run->stop == STOP_RESTART) {
        wait = 0;
        run->restarts++;
        run_forgive(run);
        run_note(run, "reeve: attempt %u starts now (%s)", run->attempt + 1,
                 run->stop_text);
    } else {
        run->failures++;
        run->restarts++;
        run_note(
            run, "reeve: attempt %u starts in %.1f s, at %s (restart %s)",
            run->attempt + 1, wait > 0 ? (double)wait / 1000.0 : 0.0,
            clock_iso(run->due_ms, at),
            restart_policy_text(run->policy.restart, run->policy.restart_max, text));
    }
    run_forget_stop(run);
    metrics_restart(run->master->metrics);
    run_state_save(run);
    run_arm(run, wait > 0 ? wait : 0, backoff_due);
}

static bool ends_or_says(const struct spool_entry *e, const void *arg)
{
    const struct run *run = arg;
    char line[64];
    const char *end = end_line(run, line);
    size_t n = strlen(end);
    return e->type == SPOOL_EXIT ||
           (e->type == SPOOL_NOTE && e->attempt == run_note_attempt(run) &&
            e->text_len > n && memcmp(e->text, end, n) == 0);
}

/* The last master may have ended between the verdict and the lines about it. They are
 * in the spool, or were never sent: the sub-agent has connected since. */
static void note_end_once(struct run *run)
{
    auto_free char *dir = run_dir_dup(run->master->state_root, run->id);
    struct spool_entry e;
    if (spool_find_last(dir, ends_or_says, run, &e, NULL) != 1 || e.type != SPOOL_NOTE)
        note_end(run);
    run->notes_due = run->notes.len > 0;
}

void run_resume(struct run *run)
{
    run->resume_due = false;
    if (run->phase != PHASE_BACKOFF) {
        if (!run->have_verdict)
            make_verdict(run);
        if (run->notes_due)
            note_end_once(run);
        /* What was due to it is in the verdict. */
        if (run->stop == STOP_HOST)
            run_forget_stop(run);
        judge_next(run);
        return;
    }
    run_forget_stop(run); /* an earlier version left it */
    int64_t wait = due_in(run);
    run_arm(run, wait > 0 ? wait : 0, backoff_due);
}

/* ---- ACTION_DRAIN ---- */

static void agent_stuck(struct run *run)
{
    log_warn("task=%s the sub-agent does not go: ended", run->id);
    if (run->agent_pidfd >= 0)
        proc_pidfd_signal(run->agent_pidfd, SIGKILL);
}

void run_act_drain(struct run *run)
{
    run_state_save(run);
    pull_wake(run->master->pull);
    if (!run->agent_pid)
        run->agent_gone = true;
    if (!run->agent_gone) {
        link_quit(run);
        run_arm(run, run->master->waits.agent_ms, agent_stuck);
    }
    ship_wake(run);
}

void run_drained(struct run *run)
{
    run_post(run, RUN_EVENT_DRAINED);
}

/* ---- ACTION_REMOVE ---- */

static int remove_groups(struct run *run)
{
    struct reeve_error err;
    char path[GROUP_PATH_SIZE];
    if (cgroup_remove(run->master->cgroups, run_group(run, "", path), &err) == 0)
        return 0;
    log_warn("task=%s %s", run->id, err.text);
    return -1;
}

/* Out of the way at once, by a rename; the removal itself may take long and is not
 * waited for. */
static int discard(struct run *run, const char *root)
{
    struct master *m = run->master;
    struct reeve_error err;
    auto_free char *dir = run_dir_dup(root, run->id);
    if (access(dir, F_OK) < 0 && errno == ENOENT)
        return 0;
    auto_free char *trash = path_join_dup(root, "trash");
    auto_free char *to =
        xasprintf("%s/%s.%lld", trash, run->id, (long long)clock_boot_ms());
    if (dir_make(trash, 0700, &err) < 0)
        log_warn("task=%s %s", run->id, err.text);
    if (rename(dir, to) < 0) {
        log_warn("task=%s cannot move %s away: %s", run->id, dir, strerror(errno));
        return -1;
    }
    syncer_remove_tree(m->sweeper, to);
    return 0;
}

int run_discard(struct run *run)
{
    int result = discard(run, run->master->run_root);
    return discard(run, run->master->state_root) < 0 ? -1 : result;
}

/* What is not removed now stays until the next start; but no run of the same task
 * begins before this one is gone. */
static bool removed(struct run *run)
{
    int groups = remove_groups(run), files = run_discard(run);
    return (groups == 0 && files == 0) || run->remove_tries++ >= REMOVE_TRIES;
}

void run_remove(struct run *run)
{
    struct master *m = run->master;
    /* Empty already, unless the sub-agent was ended for being stuck. */
    if (!run_groups_empty(run, GROUP_AGENT | GROUP_PAYLOAD)) {
        run_kill_again(run, run_remove);
        return;
    }
    if (!removed(run)) {
        run_arm(run, m->waits.again_ms << (run->remove_tries - 1), run_remove);
        return;
    }
    run_destroy(run);
    pull_run_gone(m->pull);
    master_run_gone(m);
}

static void on_gone_synced(void *arg, const struct reeve_error *err)
{
    struct run *run = arg;
    if (err)
        log_error("task=%s %s", run->id, err->text);
    run_remove(run);
}

/* That the final status was sent is on disk before anything is removed. */
void run_act_remove(struct run *run)
{
    if (run->master->options->task)
        run->master->exit_code = verdict_exit_code(&run->verdict);
    report_run_gone(run);
    history_add(run);
    auto_free char *path = run_file_dup(run->master->state_root, run->id, "state");
    char *text = run_state_format_dup(run);
    syncer_replace(run->master->syncer, path, text, strlen(text), on_gone_synced, run);
}
