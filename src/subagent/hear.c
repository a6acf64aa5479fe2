/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "subagent/hear.h"
#include "base/fd.h"
#include "base/log.h"
#include "subagent/life.h"
#include "subagent/tell.h"

#include <errno.h>
#include <signal.h>

#define MESSAGES_PER_TURN 32

static void on_start(struct agent *a, int *spec, int64_t now)
{
    uint64_t attempt = 0;
    message_get_u64(a->in, TAG_ATTEMPT, &attempt);
    if (agent_has_payload(a)) {
        log_warn("START of attempt %llu while one runs", (unsigned long long)attempt);
        return;
    }
    if (a->phase == AGENT_EXITED && attempt == a->attempt) {
        a->link.news |= NEWS_EXITED;
        return;
    }
    life_start(a, spec, now);
}

static void on_stop(struct agent *a, int64_t now)
{
    const struct payload *p = &a->payload;
    uint64_t grace = (uint64_t)p->grace_ms, sig = (uint64_t)p->stop_signal;
    message_get_u64(a->in, TAG_GRACE_MS, &grace);
    message_get_u64(a->in, TAG_STOP_SIGNAL, &sig);
    if (sig == 0 || sig >= NSIG)
        sig = SIGTERM;
    if (grace > (1ull << 40))
        grace = 1ull << 40;
    life_stop(a, (int)sig, (int64_t)grace, now);
}

static void on_change(struct agent *a)
{
    struct payload *p = &a->payload;
    uint64_t attempt = 0;
    message_get_u64(a->in, TAG_ATTEMPT, &attempt);
    if (!agent_has_payload(a) || attempt != a->attempt)
        return;
    bool files = payload_read_change(p, a->in);
    payload_set_deadlines(p);
    if (files)
        payload_limit_files(p);
    a->changed = true;
}

static void on_note(struct agent *a, int64_t now)
{
    static char text[4096];
    if (message_get_text(a->in, TAG_TEXT, text, sizeof text) && text[0])
        output_note(&a->output, text, now);
}

static void on_log(struct agent *a, int fd)
{
    struct reeve_error err;
    const struct output *o = &a->output;
    uint64_t budget = o->budget, waits = 0, away;
    enum output_server server = SERVER_UNKNOWN;
    if (message_get_u64(a->in, TAG_LOG_AWAY, &away))
        server = away ? SERVER_AWAY : SERVER_TAKES;
    message_get_u64(a->in, TAG_LOG_WAIT, &waits);
    if (message_get_u64(a->in, TAG_LOG_BUDGET, &budget)) {
        a->changed = a->changed || budget != o->budget || (waits != 0) != o->budget_waits;
        output_limit(&a->output, budget, waits != 0, server);
    }
    if (fd < 0)
        return;
    a->unmasked = output_mask(&a->output, fd, &err) < 0;
    if (a->unmasked)
        log_error("%s", err.text);
}

/* How a payload of a predecessor ended, by the master that has reaped it, or that knows
 * as little as we do. */
static void on_seen(struct agent *a, int64_t now)
{
    struct payload *p = &a->payload;
    uint64_t pid = 0, code = 0, sig = 0;
    bool known = message_get_u64(a->in, TAG_EXIT_CODE, &code) ||
                 message_get_u64(a->in, TAG_EXIT_SIGNAL, &sig);
    message_get_u64(a->in, TAG_PAYLOAD_PID, &pid);
    if (!a->taken_over || p->ended || (pid_t)pid != p->first_pid || code > 255 ||
        sig >= NSIG || (!known && !p->unseen))
        return;
    life_read_status(a, now);
    payload_ended(p, known && !sig ? (int)code : -1, (int)sig, now);
    a->changed = true;
}

/* Takes the descriptor if it keeps it. */
static void on_message(struct agent *a, int *fd, int64_t now)
{
    uint64_t attempt;
    switch (message_get_type(a->in)) {
    case MESSAGE_START:
        on_start(a, fd, now);
        break;
    case MESSAGE_STOP:
        on_stop(a, now);
        break;
    case MESSAGE_CHANGE:
        on_change(a);
        break;
    case MESSAGE_NOTE:
        on_note(a, now);
        break;
    case MESSAGE_LOG:
        on_log(a, *fd);
        break;
    case MESSAGE_ACK_EXIT:
        if (a->phase == AGENT_EXITED && message_get_u64(a->in, TAG_ATTEMPT, &attempt) &&
            attempt == a->attempt) {
            a->phase = AGENT_IDLE;
            a->link.news &= ~(unsigned)NEWS_EXITED;
        }
        break;
    case MESSAGE_SEEN:
        on_seen(a, now);
        break;
    case MESSAGE_QUIT:
        a->quitting = a->phase == AGENT_IDLE || a->phase == AGENT_EXITED;
        break;
    }
}

void hear_master(struct agent *a, int64_t now)
{
    for (int i = 0; i < MESSAGES_PER_TURN && a->link.sock >= 0; i++) {
        auto_close fd = -1;
        struct reeve_error err;
        int result = message_receive(a->link.sock, a->in, &fd, &err);
        if (result == 0)
            return;
        if (result < 0) {
            /* A master that died with unread messages resets the connection. */
            if (err.code && err.code != ECONNRESET)
                log_warn("connection to the master: %s", err.text);
            tell_lost(a, now);
            return;
        }
        a->link.heard = true;
        on_message(a, &fd, now);
    }
}
