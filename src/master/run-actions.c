/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* What the table in phase.c asks for. The order on disk is: what is meant to be done,
 * then the doing; so `state` is saved before the sub-agent is spawned and before each
 * acknowledgement. */

#include "master/run.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/proc.h"
#include "master/history.h"
#include "master/link.h"
#include "master/master.h"
#include "master/pull.h"
#include "master/report.h"
#include "master/ship.h"
#include "master/spec.h"
#include "run/run-dir.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define AGENT_QUIT_MS 10000
#define KILL_STEP_MS 20
#define RECOVERIES_MAX 3
#define TOKEN_STEP_MS 100
/* Of the wait for a connection: a host under load takes its time to fork. */
#define START_FACTOR 6
#define REPORT_AGAIN_MS INT64_C(500)
#define REPORT_SHIFT 7

void run_fail_setup(struct run *run, const char *step, const char *text)
{
    memset(&run->exit, 0, sizeof run->exit);
    run->exit.code = -1;
    snprintf(run->exit.step, sizeof run->exit.step, "%s", step);
    snprintf(run->exit.text, sizeof run->exit.text, "%s", text);
    run->have_exit = true;
    run->exit_acked = true;
    run_post(run, RUN_EVENT_ENDED);
}

/* ---- sub-agent ---- */

static void agent_reap(struct run *run)
{
    siginfo_t info;
    /* An adopted sub-agent is init's child: ECHILD is as good as an answer. */
    waitid((idtype_t)P_PIDFD, (id_t)run->agent_pidfd, &info, WEXITED | WNOHANG);
    ev_io_stop(run->master->loop, &run->agent_watch);
    close(fd_take(&run->agent_pidfd));
    run->agent_pid = 0;
    run->agent_gone = true;
    link_forget(run);
}

static void agent_gone_cb(struct ev_loop *loop, ev_io *w, int revents)
{
    struct run *run = w->data;
    agent_reap(run);
    ship_wake(run);
    if (run->phase == PHASE_DRAINING)
        run_disarm(run);
    else if (run_is_live(run) && !run->have_exit)
        run_post(run, RUN_EVENT_LOST);
}

bool run_watch_agent(struct run *run)
{
    if (run->agent_pidfd < 0) {
        run->agent_pidfd = proc_pidfd_open(run->agent_pid);
        if (run->agent_pidfd < 0)
            return false;
        if (proc_start_time(run->agent_pid) != run->agent_start) {
            close(fd_take(&run->agent_pidfd));
            return false;
        }
    }
    fd_set_cloexec(run->agent_pidfd, 1);
    ev_io_init(&run->agent_watch, agent_gone_cb, run->agent_pidfd, EV_READ);
    run->agent_watch.data = run;
    ev_io_start(run->master->loop, &run->agent_watch);
    run->agent_gone = false;
    return true;
}

/* The master's own environment without the keys that came with it: the payload inherits
 * the sub-agent's. */
static char **agent_environment(void)
{
    static const char *const secret[] = {
        "CLEARML_API_ACCESS_KEY=", "CLEARML_API_SECRET_KEY=", "CLEARML_AUTH_TOKEN=",
        "TRAINS_API_ACCESS_KEY=",  "TRAINS_API_SECRET_KEY=",  "TRAINS_AUTH_TOKEN=",
        "CLEARML_AGENT_GIT_USER=", "CLEARML_AGENT_GIT_PASS=", "TRAINS_AGENT_GIT_USER=",
        "TRAINS_AGENT_GIT_PASS=",  "CLEARML_CONFIG_FILE=",    "TRAINS_CONFIG_FILE=",
        "CLEARML_AGENT__",         "NOTIFY_SOCKET=",          "REEVE_DATA="};
    extern char **environ;
    size_t n = 0, kept = 0;
    while (environ[n])
        n++;
    char **out = xcalloc(n + 1, sizeof *out);
    for (size_t i = 0; i < n; i++) {
        bool keep = true;
        for (size_t k = 0; k < ARRAY_SIZE(secret) && keep; k++)
            keep = strncmp(environ[i], secret[k], strlen(secret[k])) != 0;
        if (keep)
            out[kept++] = environ[i];
    }
    return out;
}

static int agent_spawn(struct run *run, struct reeve_error *err)
{
    struct master *m = run->master;
    char group[GROUP_PATH_SIZE];
    auto_free char *state_dir = run_dir_dup(m->state_root, run->id);
    auto_free char *run_dir = run_dir_dup(m->run_root, run->id);
    auto_free char *socket = path_join_dup(m->run_root, "agent.sock");
    struct cgroup_dirs dirs;
    cgroup_dirs_to_join(m->cgroups, run_group(run, "agent", group), &dirs);

    char *argv[16 + 2 * CGROUP_DIRS_MAX];
    int n = 0;
    argv[n++] = m->subagent_path;
    argv[n++] = "--task";
    argv[n++] = run->id;
    argv[n++] = "--state-dir";
    argv[n++] = state_dir;
    argv[n++] = "--run-dir";
    argv[n++] = run_dir;
    argv[n++] = "--socket";
    argv[n++] = socket;
    for (int i = 0; i < dirs.count; i++) {
        argv[n++] = "--join";
        argv[n++] = dirs.dir[i];
    }
    argv[n] = NULL;

    auto_free char **env = agent_environment();
    auto_close null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int fds[] = {null, null, STDERR_FILENO};
    pid_t pid =
        cgroup_spawn(m->cgroups, group, argv, env, fds, 3, &run->agent_pidfd, err);
    if (pid < 0)
        return reeve_error_wrap(err, "start %s", m->subagent_path);
    run->agent_pid = pid;
    run->agent_start = proc_start_time(pid);
    run_watch_agent(run);
    run_state_save(run);
    return 0;
}

static int make_agent_group(struct run *run, struct reeve_error *err)
{
    char path[GROUP_PATH_SIZE];
    if (cgroup_create(run->master->cgroups, run_group(run, "agent", path), NULL, err) <
            0 &&
        err->code != EEXIST)
        return -1;
    return 0;
}

/* One step of ending what runs in a group; true once it is empty. */
static bool empty_group(struct run *run, const char *leaf)
{
    struct cgroup_dirs dirs;
    char path[GROUP_PATH_SIZE];
    cgroup_dirs(run->master->cgroups, run_group(run, leaf, path), &dirs);
    return cgroup_dirs_kill_step(&dirs);
}

static int make_groups(struct run *run, struct reeve_error *err)
{
    struct cgroup_host *host = run->master->cgroups;
    char path[GROUP_PATH_SIZE];
    if (!run->agent_pid && make_agent_group(run, err) < 0)
        return -1;
    run_group(run, "payload", path);
    if (cgroup_create(host, path, &run->policy.limits, err) == 0)
        return 0;
    if (err->code != EEXIST)
        return -1;
    if (cgroup_remove(host, path, err) < 0)
        return reeve_error_wrap(err, "the last attempt's group is still there");
    return cgroup_create(host, path, &run->policy.limits, err);
}

static void agent_end(struct run *run)
{
    if (run->agent_pidfd >= 0)
        proc_pidfd_signal(run->agent_pidfd, SIGKILL);
    else
        run_post(run, RUN_EVENT_LOST);
}

static void agent_timeout(struct run *run)
{
    log_warn("task=%s the sub-agent has not connected in %lld ms: ended", run->id,
             (long long)run->master->waits.agent_ms);
    agent_end(run);
}

static void start_overdue(struct run *run)
{
    if (run->phase != PHASE_STARTING || run->payload_pid)
        return;
    log_warn("task=%s the sub-agent has started nothing: ended", run->id);
    agent_end(run);
}

static void stop_overdue(struct run *run)
{
    log_warn("task=%s the sub-agent has not ended its payload: ended itself", run->id);
    agent_end(run);
}

static void wait_for_agent(struct run *run)
{
    run_arm(run, run->master->waits.agent_ms, agent_timeout);
}

static void send_start(struct run *run)
{
    struct reeve_error err;
    run_disarm(run);
    /* After a restart of the master there is no session yet; a payload without a token
     * could not reach the server as long as it lives. */
    if (run->master->authorized && !api_token(run->master->api)) {
        run_arm(run, TOKEN_STEP_MS, send_start);
        return;
    }
    if (!run->peer) {
        wait_for_agent(run);
        return;
    }
    run->start_sent = true;
    run_state_save(run);
    int spec = spec_open(run, &err);
    if (spec < 0 || link_start(run, spec, &err) < 0) {
        run_fail_setup(run, "start", err.text);
        return;
    }
    /* Held, never read: what is in the FIFO survives a payload that ends while its
     * sub-agent is dead. */
    auto_free char *fifo = run_file_dup(run->master->run_root, run->id, "out");
    if (run->fifo < 0)
        run->fifo = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    run_arm(run, START_FACTOR * run->master->waits.agent_ms, start_overdue);
}

/* The sub-agent has its own clock for the grace; this one is for a sub-agent that is
 * stopped itself. */
static void send_stop(struct run *run, int64_t grace_ms)
{
    struct waits *w = &run->master->waits;
    link_stop(run, grace_ms);
    run_arm(run, grace_ms + w->linger_ms + START_FACTOR * w->agent_ms, stop_overdue);
}

/* A sub-agent without the payload of an attempt that may have begun: it replaces one
 * that is gone with what it knew. Starting again could run the task twice. */
static bool may_have_begun(const struct run *run, bool began)
{
    return began || (run->start_sent && run->recoveries);
}

void run_agent_ready(struct run *run, bool began)
{
    if (run->recovering)
        return;
    if (run_is_live(run))
        run_disarm(run);
    switch (run->phase) {
    case PHASE_STARTING:
        if (run->payload_pid)
            break;
        if (may_have_begun(run, began))
            run_post(run, RUN_EVENT_ENDED);
        else
            send_start(run);
        break;
    case PHASE_STOPPING:
        if (run->payload_pid)
            send_stop(run, run->stop_grace_ms);
        else
            run_post(run, RUN_EVENT_ENDED);
        break;
    case PHASE_PREPARING:
    case PHASE_RUNNING:
        /* It lives and knows of no payload: the one that did is gone with what it knew.
         */
        if (!run->payload_pid)
            run_post(run, RUN_EVENT_ENDED);
        break;
    case PHASE_DRAINING:
    case PHASE_REPORTING:
        link_quit(run);
        break;
    default:
        break;
    }
}

void run_agent_exited(struct run *run, uint32_t attempt, const struct spool_exit *exit)
{
    if (run->exit_acked) {
        link_ack_exit(run, attempt);
        if (run->phase == PHASE_DRAINING)
            link_quit(run);
        return;
    }
    if (run->have_exit)
        return;
    run->exit = *exit;
    run->have_exit = true;
    run_disarm(run);
    run_post(run, RUN_EVENT_ENDED);
}

/* ---- ACTION_LAUNCH ---- */

static int make_folders(struct run *run, struct reeve_error *err)
{
    auto_free char *dir = run_dir_dup(run->master->run_root, run->id);
    return dir_make(dir, 0700, err);
}

static void act_launch(struct run *run)
{
    struct reeve_error err = {0};
    run->attempt++;
    run->have_exit = run->exit_acked = run->have_verdict = false;
    run->start_sent = false;
    run->payload_pid = 0;
    run->recoveries = 0;
    run->step[0] = '\0';
    run->started_ms = clock_wall_ms();
    run->started_boot_ms = clock_boot_ms();
    snprintf(run->boot, sizeof run->boot, "%s", run->master->boot);
    run_state_save(run);
    if (run->attempt == 1) {
        run_limits_save(run);
        report_run_started(run);
    }
    if (make_folders(run, &err) < 0 || make_groups(run, &err) < 0) {
        run_fail_setup(run, "cgroup", err.text);
        return;
    }
    if (run->peer) {
        send_start(run);
        return;
    }
    if (!run->agent_pid && agent_spawn(run, &err) < 0) {
        run_fail_setup(run, "start", err.text);
        return;
    }
    wait_for_agent(run);
}

/* ---- ACTION_STOP ---- */

static void act_stop(struct run *run)
{
    run_state_save(run);
    if (run->peer && run->payload_pid)
        send_stop(run, run->stop_grace_ms);
    else if (run->peer && run->start_sent)
        send_stop(run, 0); /* START may be on its way: STOP follows it */
    else if (run->peer)
        run_post(run, RUN_EVENT_ENDED);
    else if (!run->timer_fn)
        wait_for_agent(run);
}

/* ---- ACTION_RECOVER: the sub-agent is gone without an exit record ---- */

/* A group that was ended lets nobody fork any more on v1. The payload's own keeps its
 * counters for the verdict, unless nothing was in it yet. */
static int remake_groups(struct run *run, struct reeve_error *err)
{
    char path[GROUP_PATH_SIZE];
    cgroup_remove(run->master->cgroups, run_group(run, "agent", path), NULL);
    bool fresh = run->phase == PHASE_STARTING && !run->start_sent;
    return fresh ? make_groups(run, err) : make_agent_group(run, err);
}

static void recover_spawn(struct run *run)
{
    struct reeve_error err = {0};
    run->recovering = false;
    run->payload_pid = 0;
    /* A new sub-agent finds the synced exit, if there is one, and takes what is left in
     * the FIFO. */
    if (++run->recoveries > RECOVERIES_MAX || remake_groups(run, &err) < 0 ||
        agent_spawn(run, &err) < 0) {
        if (err.text[0])
            log_error("task=%s %s", run->id, err.text);
        run_post(run, RUN_EVENT_ENDED);
        return;
    }
    wait_for_agent(run);
}

static void recover_kill(struct run *run)
{
    /* The sub-agent's too: a master that died right after the spawn has not recorded
     * it, and it would hold the run's lock. */
    bool agent = empty_group(run, "agent"), payload = empty_group(run, "payload");
    if (!agent || !payload)
        run_arm(run, KILL_STEP_MS, recover_kill);
    else
        recover_spawn(run);
}

static void act_recover(struct run *run)
{
    log_warn("task=%s the sub-agent was lost", run->id);
    run->recovering = true;
    recover_kill(run);
}

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
        run_note(run, "reeve: attempt %u ended (%s): %s", run->attempt,
                 run->verdict.reason, run->verdict.text);
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

static void act_judge(struct run *run)
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
    cJSON *body = cJSON_CreateObject();
    cJSON *ids = json_set(body, "id", cJSON_CreateArray());
    cJSON_AddItemToArray(ids, cJSON_CreateString(run->id));
    json_set_bool(body, "search_hidden", true);
    cJSON *fields = json_set(body, "only_fields", cJSON_CreateArray());
    cJSON_AddItemToArray(fields, cJSON_CreateString("status"));
    cJSON_AddItemToArray(fields, cJSON_CreateString("runtime"));
    struct api_options options = {.retry = API_RETRY_NONE, .timeout_ms = 5000};
    run->call = api_send(m->api, NULL, "tasks.get_all", body, &options, on_status, run);
}

/* ---- ACTION_WAIT ---- */

static void backoff_due(struct run *run)
{
    run_post(run, RUN_EVENT_DUE);
}

static void act_wait(struct run *run)
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

static void act_drain(struct run *run)
{
    run_state_save(run);
    pull_wake(run->master->pull);
    if (!run->agent_pid)
        run->agent_gone = true;
    if (!run->agent_gone) {
        link_quit(run);
        run_arm(run, AGENT_QUIT_MS, agent_stuck);
    }
    ship_wake(run);
}

void run_drained(struct run *run)
{
    run_post(run, RUN_EVENT_DRAINED);
}

/* ---- ACTION_REPORT ---- */

static void act_report(struct run *run);

static void on_final(void *arg, const struct api_reply *r)
{
    struct run *run = arg;
    run->call = NULL;
    bool refused = r->result == API_REFUSED && r->code == 400;
    if (r->result != API_OK && !refused) {
        /* Its own failure, a rejected login: it does not have the status. */
        unsigned tries = run->report_tries++;
        int64_t wait = REPORT_AGAIN_MS << (tries < REPORT_SHIFT ? tries : REPORT_SHIFT);
        log_warn("task=%s the final status is not told yet: %s", run->id, r->message);
        run_arm(run, wait, act_report);
        return;
    }
    if (refused)
        /* 400/110: the payload's SDK, or a person, has set a final status: it stands.
         */
        log_info("task=%s the server keeps its own status: %s", run->id, r->message);
    run_post(run, RUN_EVENT_REPORTED);
}

static void act_report(struct run *run)
{
    const char *endpoint = run_final_call(run);
    if (!endpoint) {
        run_post(run, RUN_EVENT_REPORTED);
        return;
    }
    char message[512];
    snprintf(message, sizeof message, "%s (reeve worker %.100s)", run->verdict.text,
             run->master->worker);
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
    bool agent = empty_group(run, "agent"), payload = empty_group(run, "payload");
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
static void act_remove(struct run *run)
{
    report_run_gone(run);
    history_add(run);
    auto_free char *path = run_file_dup(run->master->state_root, run->id, "state");
    char *text = run_state_format_dup(run);
    syncer_replace(run->master->syncer, path, text, strlen(text), on_gone_synced, run);
}

static void act_note_running(struct run *run)
{
    run->step[0] = '\0';
}

void run_act(struct run *run, enum run_action action)
{
    switch (action) {
    case ACTION_SAVE:
        run_state_save(run);
        break;
    case ACTION_LAUNCH:
        act_launch(run);
        break;
    case ACTION_NOTE_RUNNING:
        act_note_running(run);
        break;
    case ACTION_STOP:
        act_stop(run);
        break;
    case ACTION_RECOVER:
        act_recover(run);
        break;
    case ACTION_JUDGE:
        act_judge(run);
        break;
    case ACTION_WAIT:
        act_wait(run);
        break;
    case ACTION_DRAIN:
        act_drain(run);
        break;
    case ACTION_REPORT:
        act_report(run);
        break;
    case ACTION_REMOVE:
        act_remove(run);
        break;
    }
}
