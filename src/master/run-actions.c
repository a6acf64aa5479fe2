/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* What the table in phase.c asks for. The order on disk is: what is meant to be done,
 * then the doing; so `state` is saved before the sub-agent is spawned and before each
 * acknowledgement. */

#include "master/run-internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/oom-score.h"
#include "base/proc.h"
#include "config/secrets.h"
#include "master/disk.h"
#include "master/history.h"
#include "master/link.h"
#include "master/login-env.h"
#include "master/master.h"
#include "master/orphans.h"
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

/* About a minute, doubling from waits.recover; a sub-agent that was at work for
 * waits.recovered begins anew. */
#define RECOVERIES_MAX 8
#define KILL_STEP_MS 20
#define NAMED_MAX 5
/* Of the wait for a connection: a host under load takes its time to fork. */
#define START_FACTOR 6

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

void run_first_launch(struct run *run, const struct reeve_error *quota_err)
{
    char why[ADMIT_TEXT_SIZE];
    if (quota_err->text[0])
        run_fail_setup(run, "quota", quota_err->text);
    else if (!run->master->options->task &&
             admit_refuses(run->master->admit, &run->policy.limits, why))
        run_fail_setup(run, STEP_REFUSED, why);
    else if (!run->master->host_down) /* else the next boot's master begins it */
        run_post(run, RUN_EVENT_LAUNCH);
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
    run_notes_flush(run);
}

static void agent_gone_cb(struct ev_loop *loop, ev_io *w, int revents)
{
    struct run *run = w->data;
    agent_reap(run);
    ship_wake(run);
    if (run->phase == PHASE_DRAINING)
        run_disarm(run);
    else if (run->resume_due)
        run_resume(run);
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

/* The master's own environment without the keys that came with it, and with what a
 * login would have: the payload inherits the sub-agent's. */
static char **agent_environment(void)
{
    static const char *const others[] = {
        "CLEARML_CONFIG_FILE=", "TRAINS_CONFIG_FILE=", "CLEARML_AGENT__",
        "NOTIFY_SOCKET=",       "WATCHDOG_USEC=",      "WATCHDOG_PID=",
        "REEVE_DATA="};
    extern char **environ;
    size_t n = 0, kept = 0;
    while (environ[n])
        n++;
    char **out = xcalloc(n + LOGIN_VARIABLES + 1, sizeof *out);
    for (size_t i = 0; i < n; i++) {
        bool keep = !secret_variable_is_agents(environ[i], strcspn(environ[i], "="));
        for (size_t k = 0; k < ARRAY_SIZE(others) && keep; k++)
            keep = strncmp(environ[i], others[k], strlen(others[k])) != 0;
        if (keep)
            out[kept++] = environ[i];
    }
    for (char *const *v = login_env(); *v; v++)
        out[kept++] = *v;
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

    const struct {
        char *name;
        int64_t ms;
    } waits[] = {{"--reconnect-ms", m->waits.reconnect_ms},
                 {"--unseen-ms", m->waits.unseen_ms},
                 {"--launch-ms", m->waits.launch_ms},
                 {"--line-ms", m->waits.line_ms},
                 {"--full-ms", m->waits.full_ms}};
    char waits_ms[ARRAY_SIZE(waits)][24];
    /* A predecessor may have left output, which is recorded before HELLO. */
    bool output = run->attempt > 1 || run->start_sent;
    auto_close mask = output ? spec_mask_open(run, err) : -1;
    if (output && mask < 0)
        return -1;
    char *argv[24 + 2 * CGROUP_DIRS_MAX];
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
    for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
        snprintf(waits_ms[i], sizeof waits_ms[i], "%lld", (long long)waits[i].ms);
        argv[n++] = waits[i].name;
        argv[n++] = waits_ms[i];
    }
    if (*oom_score_first()) {
        argv[n++] = "--oom-score";
        argv[n++] = (char *)(uintptr_t)oom_score_first();
    }
    if (output) {
        argv[n++] = "--mask";
        argv[n++] = "3";
    }
    for (int i = 0; i < dirs.count; i++) {
        argv[n++] = "--join";
        argv[n++] = dirs.dir[i];
    }
    argv[n] = NULL;

    auto_free char **env = agent_environment();
    auto_close null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int fds[] = {null, null, STDERR_FILENO, mask};
    pid_t pid = cgroup_spawn(m->cgroups, group, argv, env, fds, output ? 4 : 3,
                             &run->agent_pidfd, err);
    if (pid < 0)
        return reeve_error_wrap(err, "start %s", m->subagent_path);
    run->agent_pid = pid;
    run->agent_start = proc_start_time(pid);
    run->ready_boot_ms = 0;
    run_watch_agent(run);
    /* Before START its loss costs nothing, and START is recorded with it. */
    if (run->start_sent)
        run_state_save(run);
    return 0;
}

static int make_folders(struct run *run, struct reeve_error *err)
{
    auto_free char *dir = run_dir_dup(run->master->run_root, run->id);
    auto_free char *tmp = disk_tmp_dup(run);
    return dir_make(dir, 0700, err) < 0 || (tmp && dir_make(tmp, 0700, err) < 0) ? -1
                                                                                 : 0;
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

static bool group_empty(struct run *run, const char *leaf, struct proc_names *names)
{
    struct cgroup_dirs dirs;
    char path[GROUP_PATH_SIZE];
    cgroup_dirs(run->master->cgroups, run_group(run, leaf, path), &dirs);
    if (cgroup_dirs_kill_step(&dirs))
        return true;
    if (names)
        cgroup_dirs_name(&dirs, names);
    return false;
}

static void tell_stuck(struct run *run, const char *text)
{
    log_warn("task=%s cannot be ended yet, tried again: %s", run->id, text);
    run_note(run, "reeve: cannot be ended yet, tried again: %s", text);
}

static bool left_in(struct run *run, unsigned groups, struct proc_names *names)
{
    bool left = groups & GROUP_AGENT && !group_empty(run, "agent", names);
    if (!(groups & GROUP_PAYLOAD))
        return left;
    return !group_empty(run, "payload", names) ||
           (run->orphaned && orphans_take_in(run)) || left;
}

bool run_groups_empty(struct run *run, unsigned groups)
{
    struct proc_names names;
    char text[ENDING_TEXT_SIZE];
    int64_t now = clock_boot_ms(), took;
    bool look = ending_due(&run->ending, now);
    proc_names_begin(&names, text, sizeof text, NAMED_MAX, true);
    if (left_in(run, groups, look ? &names : NULL)) {
        proc_names_end(&names);
        if (look && ending_news(&run->ending, text, now))
            tell_stuck(run, text);
        return false;
    }
    if (ending_over(&run->ending, now, &took))
        log_info("task=%s what could not be ended is gone, after %lld s", run->id,
                 (long long)(took / 1000));
    return true;
}

void run_kill_again(struct run *run, void (*fn)(struct run *))
{
    run_arm(run, run->ending.text[0] ? run->master->waits.stuck_ms : KILL_STEP_MS, fn);
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

void run_check_agent(struct run *run)
{
    bool stopped = run->agent_pidfd >= 0 && proc_state(run->agent_pid) == 'T';
    if (stopped && run->agent_stopped) {
        log_warn("task=%s its sub-agent is stopped by a signal: replaced", run->id);
        proc_pidfd_signal(run->agent_pidfd, SIGKILL);
        stopped = false;
    }
    run->agent_stopped = stopped;
}

static void agent_end(struct run *run)
{
    run->ready_boot_ms = 0; /* it was not at work */
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

static int hold_fifo(const struct run *run, const char *name)
{
    auto_free char *path = run_file_dup(run->master->run_root, run->id, name);
    return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
}

/* Held, never read: what is in the FIFOs survives a payload that ends, or reports a
 * step, while its sub-agent is dead. */
void run_hold_fifos(struct run *run)
{
    if (run->fifo < 0)
        run->fifo = hold_fifo(run, "out");
    if (run->steps_fifo < 0)
        run->steps_fifo = hold_fifo(run, "steps");
}

/* What the master itself has none of now is not the task's fault. */
static bool is_scarce(const struct reeve_error *err)
{
    return err->code == EMFILE || err->code == ENFILE || err->code == ENOMEM ||
           err->code == EAGAIN;
}

/* A group that is being removed, by whomever, is gone in a moment. */
static bool is_busy(const struct run *run, const struct reeve_error *err)
{
    return err->code == EBUSY &&
           clock_boot_ms() - run->started_boot_ms < run->master->waits.launch_ms;
}

static void fail_start(struct run *run, const char *step, const struct reeve_error *err,
                       void (*again)(struct run *))
{
    if (!is_scarce(err) && !is_busy(run, err)) {
        run_fail_setup(run, step, err->text);
        return;
    }
    log_warn("task=%s its start waits: %s", run->id, err->text);
    run_arm(run, run->master->waits.again_ms, again);
}

static void send_start(struct run *run)
{
    struct reeve_error err = {0};
    run_disarm(run);
    /* After a restart of the master there is no session yet; a payload without a token
     * could not reach the server as long as it lives. */
    if (run->master->authorized && !api_token(run->master->api)) {
        run_arm(run, run->master->waits.again_ms, send_start);
        return;
    }
    if (!run->peer) {
        wait_for_agent(run);
        return;
    }
    auto_close mask = -1;
    int spec = spec_open(run, &mask, &err);
    if (spec < 0) {
        fail_start(run, "start", &err, send_start);
        return;
    }
    run->start_sent = true;
    run->start_lost = false;
    if (run_state_save(run) < 0) {
        close(spec);
        run->start_sent = false;
        run_arm(run, run->master->waits.again_ms, send_start);
        return;
    }
    link_log(run, fd_take(&mask));
    if (link_start(run, spec, &err) < 0) {
        run_fail_setup(run, "start", err.text);
        return;
    }
    run_hold_fifos(run);
    ship_reserve(run); /* while the sub-agent begins */
    run_arm(run, START_FACTOR * run->master->waits.agent_ms, start_overdue);
}

/* The sub-agent has its own clock for the grace; this one is for a sub-agent that is
 * stopped itself. */
static void arm_stop_overdue(struct run *run, int64_t grace_ms)
{
    struct waits *w = &run->master->waits;
    run_arm(run, grace_ms + w->linger_ms + START_FACTOR * w->agent_ms, stop_overdue);
}

static void send_stop(struct run *run, int64_t grace_ms)
{
    link_stop(run, grace_ms);
    arm_stop_overdue(run, grace_ms);
}

/* ---- a sub-agent that connects ---- */

static void lose(struct run *run)
{
    if (!run_groups_empty(run, GROUP_PAYLOAD))
        run_kill_again(run, lose);
    else
        run_post(run, RUN_EVENT_ENDED);
}

/* It lives without the payload of an attempt that may have begun: it replaces one whose
 * knowledge is lost, and the next attempt must not find the task still at work. */
static bool may_have_begun(const struct run *run, const struct agent_news *news)
{
    return news->began || (run->start_lost && !news->certain);
}

static void launch(struct run *run);

static bool resume_if_due(struct run *run)
{
    bool due = run->resume_due;
    if (due) {
        run_disarm(run);
        run_resume(run);
    }
    return due;
}

static void note_replaced(struct run *run, const struct agent_news *news)
{
    if (!run->replace_due || !news->taken_over)
        return;
    run->replace_due = false;
    run->replaced++;
    run->master->replaced++;
    log_info("task=%s a new sub-agent has taken its payload over", run->id);
    run_note(run, "reeve: the sub-agent was lost; a new one goes on, the task was not "
                  "touched");
    run_state_save(run);
}

/* Its own stop goes on with what is left of its grace. */
static void stop_again(struct run *run, const struct agent_news *news)
{
    if (!news->stopping)
        send_stop(run, run->stop_grace_ms);
    else
        arm_stop_overdue(run, run->stop_grace_ms);
}

void run_agent_ready(struct run *run, const struct agent_news *news)
{
    if (run->recovering)
        return;
    if (!run->ready_boot_ms)
        run->ready_boot_ms = clock_boot_ms();
    if (run_is_live(run))
        run_disarm(run);
    if (run->fifo < 0 && run->payload_pid)
        run_hold_fifos(run);
    note_replaced(run, news);
    if (resume_if_due(run))
        return;
    switch (run->phase) {
    case PHASE_STARTING:
        if (run->payload_pid)
            break;
        if (may_have_begun(run, news))
            lose(run);
        else if (run->unmade)
            launch(run);
        else
            send_start(run);
        break;
    case PHASE_STOPPING:
        if (run->payload_pid)
            stop_again(run, news);
        else
            lose(run);
        break;
    case PHASE_PREPARING:
    case PHASE_RUNNING:
        if (!run->payload_pid)
            lose(run);
        break;
    case PHASE_DRAINING:
    case PHASE_REPORTING:
        link_quit(run);
        break;
    default:
        break;
    }
}

void run_agent_unseen(struct run *run)
{
    orphans_look(run);
    link_seen(run);
}

/* It is at work on what cannot be ended: it is not the sub-agent that hangs. */
void run_agent_stuck(struct run *run, const char *text)
{
    bool over = !text[0];
    if (run->timer_fn == stop_overdue)
        run_disarm(run);
    snprintf(run->ending.text, sizeof run->ending.text, "%s", text);
    if (over)
        log_info("task=%s what could not be ended is gone", run->id);
    else
        log_warn("task=%s cannot be ended yet, tried again: %s", run->id, text);
}

void run_agent_exited(struct run *run, uint32_t attempt, const struct spool_exit *exit)
{
    if (run->exit_acked) {
        link_ack_exit(run, attempt);
        if (run->phase == PHASE_DRAINING)
            link_quit(run);
        resume_if_due(run);
        return;
    }
    if (run->have_exit)
        return;
    run->exit = *exit;
    run->have_exit = true;
    run->ending = (struct ending){0};
    run_disarm(run);
    if (run->orphaned)
        lose(run); /* its sub-agent has ended those of its own */
    else
        run_post(run, RUN_EVENT_ENDED);
}

/* ---- ACTION_LAUNCH ---- */

/* Not before the disk has taken what is meant to be done. */
static void launch(struct run *run)
{
    struct reeve_error err = {0};
    if (run->phase != PHASE_STARTING) { /* stopped while it waited */
        run_post(run, RUN_EVENT_ENDED);
        return;
    }
    if (run_state_save(run) < 0) {
        run_arm(run, run->master->waits.again_ms, launch);
        return;
    }
    if (make_folders(run, &err) < 0 || make_groups(run, &err) < 0) {
        fail_start(run, "cgroup", &err, launch);
        return;
    }
    run->unmade = false;
    if (run->peer) {
        send_start(run);
        return;
    }
    if (!run->agent_pid && agent_spawn(run, &err) < 0) {
        fail_start(run, "start", &err, launch);
        return;
    }
    /* What need not be there before the sub-agent is, while that comes up. */
    if (run->attempt == 1) {
        run_limits_save(run);
        report_run_started(run);
    }
    wait_for_agent(run);
}

static void act_launch(struct run *run)
{
    run->attempt++;
    run->have_exit = run->exit_acked = run->have_verdict = false;
    run->start_sent = run->start_lost = false;
    run->payload_pid = run->session = 0;
    run->recoveries = 0;
    run->orphaned = false;
    run->over_disk = run->disk_bytes = run->disk_next_ms = 0;
    run->seen.pid = 0;
    run->step[0] = '\0';
    run->started_ms = clock_wall_ms();
    run->started_boot_ms = clock_boot_ms();
    snprintf(run->boot, sizeof run->boot, "%s", run->master->boot);
    launch(run);
}

/* ---- ACTION_STOP ---- */

static void act_stop(struct run *run)
{
    run_state_save(run);
    /* What is left is being ended, and the attempt ends with that. */
    if (run->have_exit || run->timer_fn == lose)
        return;
    if (run->peer && run->payload_pid)
        send_stop(run, run->stop_grace_ms);
    else if (run->peer && run->start_sent)
        send_stop(run, 0); /* START may be on its way: STOP follows it */
    else if (run->peer)
        run_post(run, RUN_EVENT_ENDED);
    else if (!run->timer_fn || run->timer_fn == start_overdue)
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

static void recover_kill(struct run *run);

static void recover_later(struct run *run)
{
    run->recovering = true;
    run_arm(run, run->master->waits.recover_ms << run->recoveries, recover_kill);
}

static void recover_spawn(struct run *run)
{
    struct reeve_error err = {0};
    run->recovering = false;
    run->start_lost = run->start_sent;
    if (++run->recoveries > RECOVERIES_MAX) {
        log_error("task=%s no sub-agent goes on with it: ended", run->id);
        lose(run);
        /* Of one that was never there, its folder may not be either. */
    } else if (make_folders(run, &err) < 0 || remake_groups(run, &err) < 0 ||
               agent_spawn(run, &err) < 0) {
        log_error("task=%s %s", run->id, err.text);
        recover_later(run);
    } else {
        run->unmade = false;
        wait_for_agent(run);
    }
}

/* The sub-agent's group alone. A master that died right after the spawn has not
 * recorded it, and it would hold the run's lock. The payload is not touched. */
static void recover_kill(struct run *run)
{
    if (!run_groups_empty(run, GROUP_AGENT))
        run_kill_again(run, recover_kill);
    else
        recover_spawn(run);
}

/* A new sub-agent goes on with the payload, finds the synced exit if there is one, and
 * takes what is left in the FIFO. */
static void act_recover(struct run *run)
{
    log_warn("task=%s the sub-agent was lost", run->id);
    orphans_watch(run);
    run_disarm(run);
    run->replace_due = run->orphaned = true;
    run->ending = (struct ending){0}; /* a new sub-agent says it anew */
    if (run->ready_boot_ms &&
        clock_boot_ms() - run->ready_boot_ms >= run->master->waits.recovered_ms)
        run->recoveries = 0;
    if (run->recoveries) {
        recover_later(run);
        return;
    }
    run->recovering = true;
    recover_kill(run);
}

static void act_note_running(struct run *run)
{
    run->step[0] = '\0';
    if (run->steps_fifo >= 0)
        close(fd_take(&run->steps_fifo));
    run_state_save(run);
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
        run_act_judge(run);
        break;
    case ACTION_WAIT:
        run_act_wait(run);
        break;
    case ACTION_DRAIN:
        run_act_drain(run);
        break;
    case ACTION_REPORT:
        run_act_report(run);
        break;
    case ACTION_REMOVE:
        run_act_remove(run);
        break;
    }
}
