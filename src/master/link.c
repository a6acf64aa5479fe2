/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* - A peer is accepted only if SO_PEERCRED's pid is a recorded sub-agent: the payload
 * may have the same uid and can connect too.
 * - What a peer's full buffer does not take waits in its own list; nothing here blocks.
 * - A packet that is not well formed costs its sender the connection, not the run. */

#include "master/link.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "loop/acceptor.h"
#include "loop/unix.h"
#include "master/log-budget.h"
#include "master/master.h"
#include "master/ship.h"
#include "master/upgrade.h"
#include "run/message.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Connections that have not said HELLO; a payload that opens them in a loop must not
 * eat the descriptors of the runs. */
#define STRANGERS_MAX 256
#define HELLO_SECONDS 5.0

struct outgoing {
    int fd;
    size_t len;
    struct outgoing *next;
    unsigned char data[];
};

struct peer {
    struct link *link;
    struct run *run; /* NULL before HELLO */
    int fd;
    ev_io read_watch, write_watch;
    ev_timer hello_timer;
    struct outgoing *out, **out_end;
    struct peer *next_stranger;
};

struct link {
    struct master *master;
    int fd;
    struct acceptor acceptor;
    struct peer *strangers;
    unsigned stranger_count;
    struct message in, out; /* 64 KiB each: one of each for all */
};

static void stranger_remove(struct peer *p)
{
    for (struct peer **at = &p->link->strangers; *at; at = &(*at)->next_stranger) {
        if (*at != p)
            continue;
        *at = p->next_stranger;
        p->link->stranger_count--;
        return;
    }
}

static void peer_destroy(struct peer *p)
{
    struct ev_loop *loop = p->link->master->loop;
    ev_io_stop(loop, &p->read_watch);
    ev_io_stop(loop, &p->write_watch);
    ev_timer_stop(loop, &p->hello_timer);
    if (p->run)
        p->run->peer = NULL;
    else
        stranger_remove(p);
    while (p->out) {
        struct outgoing *o = p->out;
        p->out = o->next;
        if (o->fd >= 0)
            close(o->fd);
        free(o);
    }
    close(p->fd);
    free(p);
}

static void peer_flush(struct peer *p)
{
    while (p->out) {
        struct outgoing *o = p->out;
        struct message *m = &p->link->out;
        m->len = o->len;
        memcpy(m->data, o->data, o->len);
        struct reeve_error err;
        int rc = message_send(p->fd, m, o->fd, &err);
        if (rc == 1)
            return;
        /* A dead peer shows at its reading side too, which ends it. */
        if (rc < 0)
            log_debug("task=%s send: %s", p->run ? p->run->id : "-", err.text);
        p->out = o->next;
        if (o->fd >= 0)
            close(o->fd);
        free(o);
    }
    p->out_end = &p->out;
    ev_io_stop(p->link->master->loop, &p->write_watch);
}

static void peer_write_cb(struct ev_loop *loop, ev_io *w, int revents)
{
    peer_flush(w->data);
}

/* Takes fd. */
static void peer_send(struct peer *p, const struct message *m, int fd)
{
    struct outgoing *o = xmalloc(sizeof *o + m->len);
    o->fd = fd;
    o->len = m->len;
    o->next = NULL;
    memcpy(o->data, m->data, m->len);
    *p->out_end = o;
    p->out_end = &o->next;
    ev_io_start(p->link->master->loop, &p->write_watch);
    peer_flush(p);
}

static bool read_exit(const struct message *m, struct spool_exit *e)
{
    uint64_t v;
    memset(e, 0, sizeof *e);
    e->code = message_get_u64(m, TAG_EXIT_CODE, &v) && v <= 255 ? (int)v : -1;
    e->signal = message_get_u64(m, TAG_EXIT_SIGNAL, &v) && v <= 64 ? (int)v : 0;
    e->timed_out = message_get_u64(m, TAG_TIMED_OUT, &v) && v;
    if (message_get_text(m, TAG_STEP, e->step, sizeof e->step))
        message_get_text(m, TAG_TEXT, e->text, sizeof e->text);
    message_get_text(m, TAG_LEFT_BEHIND, e->left, sizeof e->left);
    return e->code >= 0 || e->signal > 0 || e->step[0] || e->timed_out;
}

static void note_payload(struct run *run, const struct message *m)
{
    uint64_t pid, start;
    if (message_get_u64(m, TAG_PAYLOAD_PID, &pid) &&
        message_get_u64(m, TAG_PAYLOAD_START, &start)) {
        run->payload_pid = (pid_t)pid;
        run->payload_start = start;
        run->session = run->payload_pid;
    }
}

static void on_spooled(struct run *run, const struct message *m)
{
    uint64_t end = run->ship.end, gaps = 0;
    message_get_u64(m, TAG_SPOOL_END, &end);
    message_get_u64(m, TAG_SPOOL_GAPS, &gaps);
    ship_spooled(run, end, gaps != 0);
}

static void on_hello_phase(struct run *run, const struct message *m, uint32_t attempt)
{
    uint64_t phase = AGENT_IDLE, v;
    message_get_u64(m, TAG_PHASE, &phase);
    struct spool_exit e;
    struct agent_news news = {
        .began = attempt == run->attempt,
        .certain = message_get_u64(m, TAG_CERTAIN, &v),
        .stopping = message_get_u64(m, TAG_STOPPING, &v),
        .taken_over = message_get_u64(m, TAG_TAKEN_OVER, &v),
    };
    if (phase == AGENT_EXITED && attempt == run->attempt && read_exit(m, &e)) {
        run_agent_exited(run, attempt, &e);
    } else if ((phase == AGENT_PREPARING || phase == AGENT_RUNNING) &&
               attempt == run->attempt) {
        note_payload(run, m);
        message_get_text(m, TAG_STEP, run->step, sizeof run->step);
        /* In STOPPING they would tell the payload once more. */
        if (run->phase != PHASE_STOPPING)
            run_post(run, RUN_EVENT_STARTED);
        if (phase == AGENT_RUNNING)
            run_post(run, RUN_EVENT_EXECUTED);
        /* What was set while it was not connected. */
        link_change(run);
        run_agent_ready(run, &news);
    } else {
        run->payload_pid = 0;
        run_agent_ready(run, &news);
    }
}

static void on_hello(struct peer *p, const struct message *m)
{
    char task[TASK_ID_SIZE];
    struct ucred cred;
    uint64_t attempt = 0;
    if (p->run || !message_get_text(m, TAG_TASK, task, sizeof task) ||
        unix_peer(p->fd, &cred) < 0) {
        peer_destroy(p);
        return;
    }
    struct run *run = runs_find(p->link->master->runs, task);
    if (!run || cred.pid != run->agent_pid) {
        log_warn("task=%s pid=%d refused on agent.sock: not its recorded sub-agent",
                 run ? run->id : "-", (int)cred.pid);
        peer_destroy(p);
        return;
    }
    /* The same process has connected anew: the end of its old connection is yet to be
     * read. */
    link_forget(run);
    stranger_remove(p);
    ev_timer_stop(p->link->master->loop, &p->hello_timer);
    p->run = run;
    run->peer = p;
    message_get_u64(m, TAG_ATTEMPT, &attempt);
    on_spooled(run, m);
    link_log(run, -1);
    if (run->forgotten && attempt > run->attempt)
        run->attempt = (uint32_t)attempt;
    run->forgotten = false;
    run_notes_flush(run);
    on_hello_phase(run, m, (uint32_t)attempt);
}

static void on_message(struct peer *p, const struct message *m)
{
    struct run *run = p->run;
    uint16_t type = message_get_type(m);
    if (type == MESSAGE_HELLO) {
        on_hello(p, m);
        return;
    }
    if (!run) {
        peer_destroy(p);
        return;
    }
    uint64_t attempt = 0;
    struct spool_exit e;
    char stuck[ENDING_TEXT_SIZE];
    message_get_u64(m, TAG_ATTEMPT, &attempt);
    if (type == MESSAGE_SPOOLED) {
        on_spooled(run, m);
        return;
    }
    if (attempt != run->attempt)
        return;
    switch (type) {
    case MESSAGE_STARTED:
        note_payload(run, m);
        run_post(run, RUN_EVENT_STARTED);
        break;
    case MESSAGE_STEP:
        message_get_text(m, TAG_STEP, run->step, sizeof run->step);
        break;
    case MESSAGE_STUCK:
        if (message_get_text(m, TAG_TEXT, stuck, sizeof stuck))
            run_agent_stuck(run, stuck);
        break;
    case MESSAGE_RUNNING:
        run_post(run, RUN_EVENT_EXECUTED);
        break;
    case MESSAGE_EXITED:
        on_spooled(run, m);
        if (read_exit(m, &e))
            run_agent_exited(run, (uint32_t)attempt, &e);
        else
            run_post(run, RUN_EVENT_ENDED); /* how is not known */
        break;
    case MESSAGE_UNSEEN:
        run_agent_unseen(run);
        break;
    default:
        log_debug("task=%s unknown message %u", run->id, type);
    }
}

static void peer_read_cb(struct ev_loop *loop, ev_io *w, int revents)
{
    struct peer *p = w->data;
    struct link *l = p->link;
    struct reeve_error err;
    int fd = -1;
    int rc = message_receive(p->fd, &l->in, &fd, &err);
    if (fd >= 0)
        close(fd); /* no message to the master carries one */
    if (rc == 0)
        return;
    if (rc < 0) {
        if (err.code || !p->run)
            log_debug("task=%s sub-agent's connection: %s", p->run ? p->run->id : "-",
                      err.code ? err.text : "closed");
        peer_destroy(p);
        return;
    }
    on_message(p, &l->in);
}

static void peer_hello_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    peer_destroy(w->data);
}

static void on_connection(void *arg, int fd)
{
    struct link *l = arg;
    if (l->stranger_count >= STRANGERS_MAX) {
        close(fd);
        return;
    }
    struct peer *p = xcalloc(1, sizeof *p);
    p->link = l;
    p->fd = fd;
    p->out_end = &p->out;
    ev_io_init(&p->read_watch, peer_read_cb, fd, EV_READ);
    ev_io_init(&p->write_watch, peer_write_cb, fd, EV_WRITE);
    ev_timer_init(&p->hello_timer, peer_hello_cb, HELLO_SECONDS, 0.0);
    p->read_watch.data = p->write_watch.data = p->hello_timer.data = p;
    p->next_stranger = l->strangers;
    l->strangers = p;
    l->stranger_count++;
    ev_io_start(l->master->loop, &p->read_watch);
    ev_timer_start(l->master->loop, &p->hello_timer);
}

struct link *link_create(struct master *m, struct reeve_error *err)
{
    struct link *l = xcalloc(1, sizeof *l);
    l->master = m;
    l->fd = upgrade_take_socket("agent.sock");
    if (l->fd < 0)
        l->fd = unix_listen(m->run_root, "agent.sock", SOCK_SEQPACKET, 0600, err);
    if (l->fd < 0) {
        free(l);
        return NULL;
    }
    acceptor_start(&l->acceptor, m->loop, l->fd, "agent.sock", on_connection, l);
    return l;
}

void link_destroy(struct link *l)
{
    if (!l)
        return;
    acceptor_stop(&l->acceptor);
    while (l->strangers)
        peer_destroy(l->strangers);
    for (struct run *run = runs_first(l->master->runs); run; run = run->list_next)
        link_forget(run);
    /* Sub-agents that live on wait until it appears anew, or try again soon. */
    auto_free char *path = path_join_dup(l->master->run_root, "agent.sock");
    if (!upgrade_keep_socket(l->master->upgrade, "agent.sock", l->fd))
        unlink(path);
    free(l);
}

void link_forget(struct run *run)
{
    if (run->peer)
        peer_destroy(run->peer);
}

static void add_policy(struct message *out, const struct policy *p)
{
    message_add_u64(out, TAG_GRACE_MS, (uint64_t)p->grace_ms);
    message_add_u64(out, TAG_TIMEOUT_MS, (uint64_t)p->timeout_ms);
    message_add_u64(out, TAG_SETUP_TIMEOUT_MS, (uint64_t)p->setup_timeout_ms);
    message_add_u64(out, TAG_STOP_SIGNAL, (uint64_t)p->stop_signal);
    if (p->nofile_hard == LIMIT_NONE)
        return;
    message_add_u64(out, TAG_NOFILE_SOFT, (uint64_t)p->nofile_soft);
    message_add_u64(out, TAG_NOFILE_HARD, (uint64_t)p->nofile_hard);
}

/* The sub-agent has the master's own, which is as high as may be. */
static void add_first_limit(struct message *out, const struct policy *p)
{
    uint64_t soft, hard;
    if (p->nofile_hard != LIMIT_NONE || !fd_first_limit(&soft, &hard))
        return;
    message_add_u64(out, TAG_NOFILE_SOFT, soft);
    message_add_u64(out, TAG_NOFILE_HARD, hard);
}

int link_start(struct run *run, int spec, struct reeve_error *err)
{
    struct master *m = run->master;
    if (!run->peer) {
        close(spec);
        return reeve_error_set(err, 0, "the sub-agent is not connected");
    }
    struct message *out = &m->link->out;
    struct cgroup_dirs dirs;
    char group[GROUP_PATH_SIZE];
    if (cgroup_dirs_enforced(m->cgroups, run_group(run, "payload", group), &dirs, err) <
        0) {
        close(spec);
        return -1;
    }
    message_begin(out, MESSAGE_START, 0);
    message_add_u64(out, TAG_ATTEMPT, run->attempt);
    message_add_text(out, TAG_PREPARE_PATH, m->prepare_path);
    for (int i = 0; i < dirs.count; i++)
        message_add_text(out, TAG_GROUP_DIR, dirs.dir[i]);
    message_add_u64(out, TAG_LINGER_MS, (uint64_t)m->waits.linger_ms);
    add_policy(out, &run->policy);
    add_first_limit(out, &run->policy);
    peer_send(run->peer, out, spec);
    return 0;
}

static struct message *begin(struct run *run, enum message_type type)
{
    struct message *out = &run->master->link->out;
    message_begin(out, type, 0);
    return out;
}

void link_log(struct run *run, int mask)
{
    if (!run->peer) {
        if (mask >= 0)
            close(mask);
        return;
    }
    struct message *out = begin(run, MESSAGE_LOG);
    message_add_u64(out, TAG_LOG_BUDGET, (uint64_t)log_budget_of(run));
    message_add_u64(out, TAG_LOG_WAIT, log_budget_waits(run));
    message_add_u64(out, TAG_LOG_AWAY, ship_away(run->master->ship));
    peer_send(run->peer, out, mask);
}

void link_stop(struct run *run, int64_t grace_ms)
{
    if (!run->peer)
        return;
    int sig = run->stop_signal ? run->stop_signal : run->policy.stop_signal;
    struct message *out = begin(run, MESSAGE_STOP);
    message_add_u64(out, TAG_GRACE_MS, (uint64_t)grace_ms);
    message_add_u64(out, TAG_STOP_SIGNAL, (uint64_t)sig);
    peer_send(run->peer, out, -1);
}

void link_change(struct run *run)
{
    if (!run->peer)
        return;
    struct message *out = begin(run, MESSAGE_CHANGE);
    message_add_u64(out, TAG_ATTEMPT, run->attempt);
    add_policy(out, &run->policy);
    peer_send(run->peer, out, -1);
}

void link_note(struct run *run, const char *text)
{
    if (!run->peer)
        return;
    struct message *out = begin(run, MESSAGE_NOTE);
    message_add_text(out, TAG_TEXT, text);
    peer_send(run->peer, out, -1);
}

void link_ack_exit(struct run *run, uint32_t attempt)
{
    if (!run->peer)
        return;
    struct message *out = begin(run, MESSAGE_ACK_EXIT);
    message_add_u64(out, TAG_ATTEMPT, attempt);
    peer_send(run->peer, out, -1);
}

void link_quit(struct run *run)
{
    if (run->peer)
        peer_send(run->peer, begin(run, MESSAGE_QUIT), -1);
}

void link_seen(struct run *run)
{
    if (!run->peer)
        return;
    struct message *out = begin(run, MESSAGE_SEEN);
    message_add_u64(out, TAG_PAYLOAD_PID, (uint64_t)run->payload_pid);
    if (run->seen.pid == run->payload_pid && run->seen.signal)
        message_add_u64(out, TAG_EXIT_SIGNAL, (uint64_t)run->seen.signal);
    else if (run->seen.pid == run->payload_pid && run->seen.code >= 0)
        message_add_u64(out, TAG_EXIT_CODE, (uint64_t)run->seen.code);
    peer_send(run->peer, out, -1);
}
