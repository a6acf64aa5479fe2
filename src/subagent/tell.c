/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "subagent/tell.h"
#include "base/clock.h"
#include "base/proc.h"
#include "subagent/waiting.h"

#include <unistd.h>

static void add_exit(struct message *m, const struct spool_exit *e)
{
    if (e->signal)
        message_add_u64(m, TAG_EXIT_SIGNAL, (uint64_t)e->signal);
    else if (e->code >= 0)
        message_add_u64(m, TAG_EXIT_CODE, (uint64_t)e->code);
    if (e->step[0]) {
        message_add_text(m, TAG_STEP, e->step);
        message_add_text(m, TAG_TEXT, e->text);
    }
    if (e->timed_out)
        message_add_u64(m, TAG_TIMED_OUT, 1);
    if (e->left[0])
        message_add_text(m, TAG_LEFT_BEHIND, e->left);
}

static void add_payload(struct message *m, const struct payload *p)
{
    message_add_u64(m, TAG_PAYLOAD_PID, (uint64_t)p->first_pid);
    message_add_u64(m, TAG_PAYLOAD_START, p->start);
}

static void add_progress(const struct agent *a, struct message *m)
{
    const struct payload *p = &a->payload;
    int64_t left = p->kill_at - clock_boot_ms();
    if (a->phase == AGENT_PREPARING && p->step[0])
        message_add_text(m, TAG_STEP, p->step);
    if (p->kill_at)
        message_add_u64(m, TAG_STOPPING, left > 0 ? (uint64_t)left : 0);
    if (a->taken_over)
        message_add_u64(m, TAG_TAKEN_OVER, 1);
}

static void make_hello(struct agent *a, struct message *m)
{
    message_begin(m, MESSAGE_HELLO, 0);
    message_add_text(m, TAG_TASK, a->options.task);
    message_add_u64(m, TAG_PID, (uint64_t)getpid());
    message_add_u64(m, TAG_START_TIME, proc_start_time(getpid()));
    bool launching = agent_is_launching(a);
    message_add_u64(m, TAG_PHASE, launching ? AGENT_IDLE : a->phase);
    message_add_u64(m, TAG_ATTEMPT, launching ? a->before : a->attempt);
    message_add_u64(m, TAG_SPOOL_END, spool_writer_end(a->output.spool));
    if (a->certain || launching)
        message_add_u64(m, TAG_CERTAIN, 1);
    message_add_u64(m, TAG_SPOOL_GAPS, spool_writer_has_gaps(a->output.spool));
    /* Also while its streams linger: the attempt is not over then. */
    if (a->payload.first_pid && !launching)
        add_payload(m, &a->payload);
    if (agent_has_payload(a) && !launching)
        add_progress(a, m);
    if (a->phase == AGENT_EXITED)
        add_exit(m, &a->payload.exit);
}

static void make_news(struct agent *a, struct message *m, enum link_news news)
{
    static const struct {
        enum link_news news;
        enum message_type type;
    } types[] = {
        {NEWS_STARTED, MESSAGE_STARTED}, {NEWS_STEP, MESSAGE_STEP},
        {NEWS_RUNNING, MESSAGE_RUNNING}, {NEWS_SPOOLED, MESSAGE_SPOOLED},
        {NEWS_EXITED, MESSAGE_EXITED},   {NEWS_UNSEEN, MESSAGE_UNSEEN},
        {NEWS_STUCK, MESSAGE_STUCK},
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].news == news)
            message_begin(m, types[i].type, 0);
    if (news != NEWS_SPOOLED)
        message_add_u64(m, TAG_ATTEMPT, a->attempt);
    if (news == NEWS_STARTED || news == NEWS_UNSEEN)
        add_payload(m, &a->payload);
    if (news == NEWS_STEP)
        message_add_text(m, TAG_STEP, a->payload.step);
    if (news == NEWS_STUCK)
        message_add_text(m, TAG_TEXT, a->payload.ending.text);
    if (news == NEWS_EXITED)
        add_exit(m, &a->payload.exit);
    if (news == NEWS_SPOOLED || news == NEWS_EXITED) {
        a->told_end = spool_writer_end(a->output.spool);
        message_add_u64(m, TAG_SPOOL_END, a->told_end);
        message_add_u64(m, TAG_SPOOL_GAPS, spool_writer_has_gaps(a->output.spool));
    }
}

void tell_lost(struct agent *a, int64_t now)
{
    struct output *o = &a->output;
    output_limit(o, o->budget, o->budget_waits, SERVER_UNKNOWN);
    /* The descriptor leaves the epoll set by being closed. */
    a->link_events = 0;
    link_lost(&a->link, now);
}

void tell_news(struct agent *a, int64_t now)
{
    struct link *l = &a->link;
    if (spool_writer_end(a->output.spool) != a->told_end)
        l->news |= NEWS_SPOOLED;
    for (unsigned bit = NEWS_HELLO; bit <= NEWS_LAST && l->sock >= 0; bit <<= 1) {
        if (!(l->news & bit) || l->full)
            continue;
        if (bit == NEWS_SPOOLED && now < l->spooled_at + SPOOLED_MS)
            continue;
        if (bit == NEWS_HELLO)
            make_hello(a, a->out);
        else
            make_news(a, a->out, (enum link_news)bit);
        int result = message_send(l->sock, a->out, -1, NULL);
        if (result < 0) {
            tell_lost(a, now);
            return;
        }
        l->full = result == 1;
        if (l->full)
            return;
        l->news &= ~bit;
        if (bit == NEWS_SPOOLED)
            l->spooled_at = now;
    }
}

void tell_find_master(struct agent *a, int64_t now)
{
    if (!link_try(&a->link, now))
        return;
    a->link.news = NEWS_HELLO | NEWS_SPOOLED;
    if (a->phase == AGENT_EXITED)
        a->link.news |= NEWS_EXITED;
    else if (a->payload.unseen)
        a->link.news |= NEWS_UNSEEN;
    if (a->payload.ending.text[0])
        a->link.news |= NEWS_STUCK;
}
