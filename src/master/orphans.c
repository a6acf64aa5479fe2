/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/orphans.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc-children.h"
#include "base/proc-names.h"
#include "base/proc.h"
#include "master/child.h"
#include "master/link.h"
#include "master/master.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAUSE_S 0.2
#define PER_TURN 256
#define KEPT 1024
#define NAMED_MAX 5

struct end {
    pid_t pid;
    uint64_t start;
    int code, signal;
};

struct orphans {
    struct master *master;
    /* Of payloads, perhaps, whose run does not know them yet: their sub-agent was
     * killed before it could say STARTED, and the replacement has not come so far. The
     * oldest is written over. */
    struct end kept[KEPT];
    unsigned count;
    ev_signal sigchld;
    ev_timer timer;
};

static struct end read_end(const siginfo_t *info)
{
    bool exited = info->si_code == CLD_EXITED;
    return (struct end){info->si_pid, proc_start_time(info->si_pid),
                        exited ? info->si_status : -1, exited ? 0 : info->si_status};
}

static void note_end(struct run *run, const struct end *end)
{
    run->seen.pid = end->pid;
    run->seen.code = end->code;
    run->seen.signal = end->signal;
}

/* False: no run has this payload. */
static bool tell_run(struct master *m, const struct end *end)
{
    bool found = false;
    for (struct run *run = runs_first(m->runs); run; run = run->list_next) {
        if (run->payload_pid != end->pid || run->payload_start != end->start)
            continue;
        note_end(run, end);
        link_seen(run);
        found = true;
    }
    return found;
}

static void reap(struct orphans *o, siginfo_t *info)
{
    struct end end = read_end(info);
    log_debug("orphan pid=%d reaped", (int)end.pid);
    /* A payload leads a session; what else it has left rarely does. */
    if (!tell_run(o->master, &end) && getsid(end.pid) == end.pid)
        o->kept[o->count++ % KEPT] = end;
    waitid(P_PID, (id_t)end.pid, info, WEXITED | WNOHANG);
}

/* Those are reaped by the part that has started them, in this turn of the loop or the
 * next one; they only hide others until then. */
static bool is_awaited(struct master *m, pid_t pid)
{
    for (const struct run *run = runs_first(m->runs); run; run = run->list_next)
        if (run->agent_pid == pid)
            return true;
    return child_is(pid);
}

static void orphans_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct orphans *o = w->data;
    for (int i = 0; i < PER_TURN; i++) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
            info.si_pid == 0)
            return;
        if (hoststat_reap(o->master->hoststat, info.si_pid))
            continue;
        if (is_awaited(o->master, info.si_pid))
            break;
        reap(o, &info);
    }
    ev_timer_set(w, PAUSE_S, 0.0);
    ev_timer_start(loop, w);
}

static void sigchld_cb(struct ev_loop *loop, ev_signal *w, int revents)
{
    struct orphans *o = w->data;
    if (ev_is_active(&o->timer))
        return;
    ev_timer_set(&o->timer, PAUSE_S, 0.0);
    ev_timer_start(loop, &o->timer);
}

struct orphans *orphans_create(struct master *m)
{
    struct orphans *o = xcalloc(1, sizeof *o);
    o->master = m;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    ev_init(&o->timer, orphans_cb);
    ev_signal_init(&o->sigchld, sigchld_cb, SIGCHLD);
    o->timer.data = o->sigchld.data = o;
    ev_signal_start(m->loop, &o->sigchld);
    return o;
}

void orphans_destroy(struct orphans *o)
{
    if (!o)
        return;
    ev_signal_stop(o->master->loop, &o->sigchld);
    ev_timer_stop(o->master->loop, &o->timer);
    free(o);
}

static const struct end *find_kept(const struct orphans *o, const struct run *run)
{
    for (unsigned i = 0; i < KEPT && i < o->count; i++)
        if (o->kept[i].pid == run->payload_pid &&
            o->kept[i].start == run->payload_start)
            return &o->kept[i];
    return NULL;
}

void orphans_watch(struct run *run)
{
    pid_t pid = run->payload_pid;
    if (run->watched.fd >= 0)
        close(fd_take(&run->watched.fd));
    auto_close fd = pid > 0 ? proc_pidfd_open(pid) : -1;
    if (fd < 0 || proc_start_time(pid) != run->payload_start)
        return;
    run->watched.fd = fd_take(&fd);
    run->watched.pid = pid;
    run->watched.start = run->payload_start;
}

/* False: it was not watched, or this kernel does not say. */
static bool look_at_watched(struct run *run)
{
    struct end end = {.pid = run->payload_pid, .start = run->payload_start};
    if (run->watched.fd < 0 || run->watched.pid != end.pid ||
        run->watched.start != end.start ||
        proc_pidfd_exit(run->watched.fd, &end.code, &end.signal) != 1)
        return false;
    note_end(run, &end);
    return true;
}

void orphans_look(struct run *run)
{
    siginfo_t info = {0};
    if (run->payload_pid <= 0 || run->seen.pid == run->payload_pid)
        return;
    const struct end *kept = find_kept(run->master->orphans, run);
    if (kept) {
        note_end(run, kept);
        return;
    }
    if (look_at_watched(run))
        return;
    if (waitid(P_PID, (id_t)run->payload_pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
        info.si_pid == 0)
        return;
    struct end end = read_end(&info);
    if (end.start != run->payload_start)
        return;
    note_end(run, &end);
    waitid(P_PID, (id_t)end.pid, &info, WEXITED | WNOHANG);
}

/* ---- those that have left their group ---- */

struct taking {
    struct run *run;
    struct cgroup_dirs groups;
    struct proc_names names;
    char variable[sizeof "CLEARML_TASK_ID=" + TASK_ID_SIZE];
    pid_t *sessions; /* of all payloads, sorted */
    size_t count;
};

static int compare_pids(const void *a, const void *b)
{
    pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;
    return (x > y) - (x < y);
}

static void list_sessions(struct taking *t)
{
    struct runs *runs = t->run->master->runs;
    t->sessions = xcalloc(runs_count(runs) + 1, sizeof *t->sessions);
    for (const struct run *run = runs_first(runs); run; run = run->list_next)
        if (run->session > 0)
            t->sessions[t->count++] = run->session;
    qsort(t->sessions, t->count, sizeof *t->sessions, compare_pids);
}

/* What is in our session was started by the master. A daemon has a session of its own,
 * so its environment is read; but not that of the payloads, which may be thousands. */
static bool is_of(const struct taking *t, pid_t pid)
{
    pid_t session = getsid(pid);
    if (session <= 0 || session == getsid(0))
        return false;
    if (bsearch(&session, t->sessions, t->count, sizeof session, compare_pids))
        return session == t->run->session;
    return proc_has_variable(pid, t->variable);
}

static void take_in(pid_t pid, void *arg)
{
    struct taking *t = arg;
    if (!is_of(t, pid) || proc_is_ending(pid))
        return;
    cgroup_dirs_take_in(&t->groups, pid);
    proc_names_add(&t->names, pid);
    kill(pid, SIGKILL);
}

bool orphans_take_in(struct run *run)
{
    struct taking t = {.run = run};
    char text[ENDING_TEXT_SIZE], group[GROUP_PATH_SIZE];
    cgroup_dirs(run->master->cgroups, run_group(run, "payload", group), &t.groups);
    snprintf(t.variable, sizeof t.variable, "CLEARML_TASK_ID=%s", run->id);
    proc_names_begin(&t.names, text, sizeof text, NAMED_MAX, false);
    list_sessions(&t);
    proc_each_child(take_in, &t);
    proc_names_end(&t.names);
    free(t.sessions);
    if (text[0])
        run_note(run, "reeve: found outside its cgroup, and brought back: %s", text);
    return text[0];
}
