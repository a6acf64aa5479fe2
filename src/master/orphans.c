/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/orphans.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/proc.h"
#include "master/link.h"
#include "master/master.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAUSE_S 0.2
#define PER_TURN 256

struct orphans {
    struct master *master;
    ev_signal sigchld;
    ev_timer timer;
};

static void note_exit(struct run *run, const siginfo_t *info)
{
    bool exited = info->si_code == CLD_EXITED;
    run->seen.pid = info->si_pid;
    run->seen.code = exited ? info->si_status : -1;
    run->seen.signal = exited ? 0 : info->si_status;
}

static void reap(struct master *m, siginfo_t *info)
{
    uint64_t start = proc_start_time(info->si_pid);
    log_debug("orphan pid=%d reaped", (int)info->si_pid);
    for (struct run *run = runs_first(m->runs); run; run = run->list_next) {
        if (run->payload_pid != info->si_pid || run->payload_start != start)
            continue;
        note_exit(run, info);
        link_seen(run);
    }
    waitid(P_PID, (id_t)info->si_pid, info, WEXITED | WNOHANG);
}

/* Each payload has a session of its own. What is in ours was started by the master, and
 * is reaped by the part that did; it only hides orphans until then. */
static void orphans_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct orphans *o = w->data;
    for (int i = 0; i < PER_TURN; i++) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
            info.si_pid == 0)
            return;
        if (getsid(info.si_pid) == getsid(0))
            break;
        reap(o->master, &info);
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

void orphans_look(struct run *run)
{
    siginfo_t info = {0};
    if (run->payload_pid <= 0 || run->seen.pid == run->payload_pid ||
        waitid(P_PID, (id_t)run->payload_pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
        info.si_pid == 0 || proc_start_time(info.si_pid) != run->payload_start)
        return;
    note_exit(run, &info);
    waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
}
