/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* From an attempt's end to the next one, or to the end of the run: the second half of
 * what the table in phase.c asks for. Nothing is removed before the server has every
 * line and the status, and that is on disk. */

#include "master/run-internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/proc.h"
#include "master/history.h"
#include "master/link.h"
#include "master/master.h"
#include "master/metrics.h"
#include "master/pull.h"
#include "master/report.h"
#include "master/ship.h"
#include "run/run-dir.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REPORT_SHIFT 6

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

static void note_end(struct run *run)
{
    char line[64], restart[RESTART_TEXT_SIZE];
    run_note(run, "%s", end_line(run, line));
    if (!verdict_success(&run->verdict))
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
    char path[GROUP_PATH_SIZE];
    struct reeve_error err;
    bool have_stat =
        cgroup_read_stat(m->cgroups, run_group(run, "payload", path), &stat, &err) == 0;
    struct verdict_input in = {
        .exit = run->have_exit ? &run->exit : NULL,
        .aborted = run->stop != STOP_NONE,
        .abort_text = run->stop_text,
        .rebooted = strcmp(run->boot, m->boot) != 0,
        .stat = have_stat ? &stat : NULL,
        .memory_limit = run->policy.limits.memory,
    };
    verdict_make(&in, &run->verdict);
    run->have_verdict = true;
}

static void decide(struct run *run, bool still_ours)
{
    bool again = still_ours && run->stop == STOP_NONE && !run->master->exiting &&
                 policy_wants_restart(&run->policy, verdict_success(&run->verdict),
                                      run->restarts);
    run_post(run, again ? RUN_EVENT_RESTART : RUN_EVENT_FINAL);
}

static void on_runtime(void *arg, const struct api_reply *r)
{
    struct run *run = arg;
    run->call = NULL;
    if (r->result != API_OK)
        log_debug("task=%s tasks.edit runtime: %s", run->id, r->message);
    decide(run, true);
}

/* The runtime properties say which attempt this is and how the last one ended.
 * tasks.edit replaces the whole dictionary, so what was there goes along (tasks.edit,
 * clearml-server). */
static void write_runtime(struct run *run, const cJSON *task)
{
    const cJSON *old = json_get(task, "runtime");
    cJSON *runtime =
        cJSON_IsObject(old) ? cJSON_Duplicate(old, true) : cJSON_CreateObject();
    json_set_str(runtime, "reeve.last_reason", run->verdict.reason);
    json_set_str(runtime, "reeve.last_text", run->verdict.text);
    json_set_int(runtime, "reeve.attempt", run->attempt + 1);
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "task", run->id);
    json_set_bool(body, "force", true);
    json_set(body, "runtime", runtime);
    struct api_options options = {.retry = API_RETRY_NONE, .timeout_ms = 5000};
    run->call =
        api_send(run->master->api, NULL, "tasks.edit", body, &options, on_runtime, run);
}

/* Only this answer is certain: a list may leave a task out for other reasons. */
static void on_missing(void *arg, const struct api_reply *r)
{
    struct run *run = arg;
    run->call = NULL;
    bool deleted = r->result == API_REFUSED && r->code == 400 && r->subcode == 101;
    if (deleted)
        run_stop(run, STOP_DELETED, -1, "the task was deleted on the server");
    decide(run, !deleted);
}

static void ask_missing(struct run *run)
{
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "task", run->id);
    struct api_options options = {.retry = API_RETRY_NONE, .timeout_ms = 5000};
    run->call = api_send(run->master->api, NULL, "tasks.get_by_id", body, &options,
                         on_missing, run);
}

/* The task's status and one more field. */
static struct api_call *ask_fields(struct run *run, const char *field,
                                   const struct api_options *options, api_done_f done)
{
    cJSON *body = cJSON_CreateObject();
    cJSON *ids = json_set(body, "id", cJSON_CreateArray());
    cJSON_AddItemToArray(ids, cJSON_CreateString(run->id));
    json_set_bool(body, "search_hidden", true);
    cJSON *fields = json_set(body, "only_fields", cJSON_CreateArray());
    cJSON_AddItemToArray(fields, cJSON_CreateString("status"));
    cJSON_AddItemToArray(fields, cJSON_CreateString(field));
    return api_send(run->master->api, NULL, "tasks.get_all", body, options, done, run);
}

static void on_status(void *arg, const struct api_reply *r)
{
    struct run *run = arg;
    run->call = NULL;
    const cJSON *task = cJSON_GetArrayItem(json_get(r->data, "tasks"), 0);
    if (r->result != API_OK) {
        /* The server is away; whether the task was aborted meanwhile shows at the next
         * look. */
        decide(run, true);
    } else if (!task) {
        ask_missing(run);
    } else if (strcmp(json_str(task, "status", ""), "in_progress") == 0) {
        write_runtime(run, task);
    } else {
        log_info("task=%s is %s by its own word: no restart", run->id,
                 json_str(task, "status", "?"));
        run->final_known = true;
        decide(run, false);
    }
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
    make_verdict(run);
    metrics_attempt_ended(m->metrics, &run->verdict);
    if (run->started_boot_ms &&
        clock_boot_ms() - run->started_boot_ms >= m->waits.healthy_ms)
        run->failures = 0;
    run_state_save(run);
    if (run->attempt || run->have_exit)
        note_end(run);
    run->exit_acked = true;
    link_ack_exit(run, run->attempt);
    if (cgroup_remove(m->cgroups, run_group(run, "payload", path), &err) < 0)
        log_debug("task=%s %s", run->id, err.text);
    log_info("task=%s attempt=%u reason=%s %s", run->id, run->attempt,
             run->verdict.reason, run->verdict.text);

    if (run->stop != STOP_NONE ||
        !policy_wants_restart(&run->policy, verdict_success(&run->verdict),
                              run->restarts)) {
        decide(run, false);
        return;
    }
    struct api_options options = {.retry = API_RETRY_NONE, .timeout_ms = 5000};
    run->call = ask_fields(run, "runtime", &options, on_status);
}

/* ---- ACTION_WAIT ---- */

static void backoff_due(struct run *run)
{
    run_post(run, RUN_EVENT_DUE);
}

void run_act_wait(struct run *run)
{
    struct waits *w = &run->master->waits;
    int64_t wait = w->backoff_min_ms;
    for (uint32_t i = 0; i < run->failures && wait < w->backoff_max_ms; i++)
        wait *= 2;
    if (wait > w->backoff_max_ms)
        wait = w->backoff_max_ms;
    /* Up to a tenth later, so that services that failed together do not start together.
     */
    wait += wait > 10 ? random() % (wait / 10) : 0;
    run->failures++;
    run->restarts++;
    metrics_restart(run->master->metrics);
    run->due_ms = clock_wall_ms() + wait;
    char text[RESTART_TEXT_SIZE];
    run_note(run, "reeve: attempt %u starts in %.1f s (restart %s)", run->attempt + 1,
             (double)wait / 1000.0,
             restart_policy_text(run->policy.restart, run->policy.restart_max, text));
    run_state_save(run);
    run_arm(run, wait, backoff_due);
}

void run_resume(struct run *run)
{
    int64_t wait = run->due_ms - clock_wall_ms();
    if (run->phase != PHASE_BACKOFF) {
        if (!run->have_verdict)
            make_verdict(run);
        decide(run, true);
        return;
    }
    /* A wall clock that jumped makes no wait longer than the longest one. */
    if (wait > run->master->waits.backoff_max_ms)
        wait = run->master->waits.backoff_max_ms;
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

/* ---- ACTION_REPORT ---- */

static int64_t report_wait(struct run *run)
{
    unsigned tries = run->report_tries++;
    return run->master->waits.again_ms << (tries < REPORT_SHIFT ? tries : REPORT_SHIFT);
}

static void on_final(void *arg, const struct api_reply *r)
{
    struct run *run = arg;
    run->call = NULL;
    bool refused = r->result == API_REFUSED && r->code == 400;
    if (r->result != API_OK && !refused) {
        /* Its own failure, a rejected login: it does not have the status. */
        if (!run->report_tries)
            log_warn("task=%s the final status is not told yet: %s", run->id,
                     r->message);
        run_arm(run, report_wait(run), run_act_report);
        return;
    }
    if (refused)
        /* 400/110: the payload's SDK, or a person, has set a final status: it stands.
         */
        log_info("task=%s the server keeps its own status: %s", run->id, r->message);
    run_post(run, RUN_EVENT_REPORTED);
}

static void on_look(void *arg, const struct api_reply *r)
{
    struct run *run = arg;
    run->call = NULL;
    const cJSON *task = cJSON_GetArrayItem(json_get(r->data, "tasks"), 0);
    if (r->result != API_OK) {
        run_arm(run, report_wait(run), run_act_report);
        return;
    }
    run->adopted = false;
    if (run_taken_over(run, task)) {
        log_info("task=%s another agent has claimed it since: no status", run->id);
        run->stop = STOP_STATUS;
    } else if (task && strcmp(json_str(task, "status", ""), "in_progress") != 0) {
        run->final_known = true;
    }
    run_act_report(run);
}

/* An earlier master may have sent the status already, and the task may be at work
 * elsewhere since: its next run must not be ended by the word of this one. */
static void look_first(struct run *run)
{
    struct api_options options = {.retry = API_RETRY_SAFE};
    run->call = ask_fields(run, "status_message", &options, on_look);
}

void run_act_report(struct run *run)
{
    const char *endpoint = run_final_call(run);
    if (endpoint && run->adopted) {
        look_first(run);
        return;
    }
    if (!endpoint) {
        run_post(run, RUN_EVENT_REPORTED);
        return;
    }
    char message[768], worker[256];
    bool success = verdict_success(&run->verdict);
    snprintf(message, sizeof message, RUN_CHANGED_WORDS "%s%s%s",
             run_worker(run, worker), success ? "" : ": ",
             success ? "" : run->verdict.text);
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "task", run->id);
    json_set_str(body, "status_reason", run->verdict.reason);
    json_set_str(body, "status_message", message);
    struct api_options options = {.retry = API_RETRY_SAFE};
    run->call =
        api_send(run->master->api, NULL, endpoint, body, &options, on_final, run);
}

/* ---- ACTION_REMOVE ---- */

static void remove_groups(struct run *run)
{
    struct reeve_error err;
    char path[GROUP_PATH_SIZE];
    if (cgroup_remove(run->master->cgroups, run_group(run, "", path), &err) < 0)
        log_warn("task=%s %s", run->id, err.text);
}

/* Out of the way at once, by a rename; the removal itself may take long and is not
 * waited for. */
static void discard(struct run *run, const char *root)
{
    struct master *m = run->master;
    struct reeve_error err;
    auto_free char *dir = run_dir_dup(root, run->id);
    if (access(dir, F_OK) < 0)
        return;
    auto_free char *trash = path_join_dup(root, "trash");
    auto_free char *to =
        xasprintf("%s/%s.%lld", trash, run->id, (long long)clock_boot_ms());
    if (dir_make(trash, 0700, &err) < 0)
        log_warn("task=%s %s", run->id, err.text);
    if (rename(dir, to) == 0)
        syncer_remove_tree(m->sweeper, to);
    else if (errno != ENOENT)
        log_warn("task=%s cannot move %s away: %s", run->id, dir, strerror(errno));
}

void run_discard(struct run *run)
{
    discard(run, run->master->run_root);
    discard(run, run->master->state_root);
}

void run_remove(struct run *run)
{
    struct master *m = run->master;
    /* Empty already, unless the sub-agent was ended for being stuck. */
    bool agent = run_group_empty(run, "agent"),
         payload = run_group_empty(run, "payload");
    if (!agent || !payload) {
        run_arm(run, KILL_STEP_MS, run_remove);
        return;
    }
    remove_groups(run);
    run_discard(run);
    run_destroy(run);
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
