/* SPDX-License-Identifier: Apache-2.0 */
/* agent.c - the loop
 *
 * - One epoll loop, no thread.
 * - agent_step does what can be done now. It is called after each batch of events, and
 *   whatever could not be done (a full disk, a group not empty yet) has a time at which
 *   it is tried again.
 * - The order at the end of an attempt: verdict, linger, sweep, the FIFO to its end,
 *   the exit record synced, EXITED. */
#include "config.h"

#include "subagent/agent.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "subagent/agent-state.h"
#include "subagent/hear.h"
#include "subagent/life.h"
#include "subagent/tell.h"
#include "subagent/waiting.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define REST_MS 1000

/* Whole pages each, so that giving them back takes no neighbour along. */
struct message_pages {
    struct message m;
} __attribute__((aligned(4096)));

/* In .bss: pages that were never touched cost nothing, and are given back when idle. */
static struct agent the_agent;
static struct message_pages in_pages, out_pages;

static void agent_step(struct agent *a, int64_t now)
{
    output_tick(&a->output, now);
    if (agent_has_payload(a))
        life_step(a, now);
    life_save(a, now);
    tell_find_master(a, now);
    tell_news(a, now);
    waiting_fifo(a);
    waiting_link(a);
    waiting_timer(a);
}

static void on_signals(struct agent *a, int64_t now)
{
    struct signalfd_siginfo info[8];
    ssize_t n;
    while ((n = read(a->signals, info, sizeof info)) > 0)
        for (size_t i = 0; i < (size_t)n / sizeof info[0]; i++)
            if (info[i].ssi_signo == SIGIO)
                link_folder_changed(&a->link, now);
    life_reap(a, now);
}

/* Nothing has happened for a while: memory is given back. */
static void rest(struct agent *a)
{
    output_rest(&a->output);
    madvise(&in_pages, sizeof in_pages, MADV_DONTNEED);
    madvise(&out_pages, sizeof out_pages, MADV_DONTNEED);
}

static void on_timer(struct agent *a, int64_t now)
{
    uint64_t count;
    if (read(a->timer, &count, sizeof count) < 0 && errno != EAGAIN)
        log_error("read timer: %s", strerror(errno));
    a->timer_at = 0;
    if (!a->rest_at) {
        a->rest_at = now + REST_MS;
    } else if (now >= a->rest_at) {
        a->rest_at = 0;
        rest(a);
    }
}

static void on_event(struct agent *a, enum source source, int64_t now)
{
    if (source != SOURCE_TIMER && a->rest_at < now + REST_MS / 2)
        a->rest_at = now + REST_MS;
    switch (source) {
    case SOURCE_SIGNALS:
        on_signals(a, now);
        break;
    case SOURCE_TIMER:
        on_timer(a, now);
        break;
    case SOURCE_FIFO:
        output_pump(&a->output, now);
        break;
    case SOURCE_STATUS:
        life_read_status(a, now);
        break;
    case SOURCE_LINK:
        a->link.full = false;
        hear_master(a, now);
        break;
    case SOURCE_PAYLOAD:
        if (a->payload.pid && a->payload.pidfd >= 0)
            life_look(a, now);
        break;
    }
}

static void ignore_signals(void)
{
    static const int ignored[] = {SIGTERM, SIGHUP,  SIGINT,  SIGQUIT,
                                  SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM};
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        signal(ignored[i], SIG_IGN);
}

struct agent *agent_open(const struct agent_options *options, struct reeve_error *err)
{
    struct agent *a = &the_agent;
    a->options = *options;
    a->in = &in_pages.m;
    a->out = &out_pages.m;
    a->spec = -1;
    a->output.line_ms = options->line_ms;
    a->output.full_ms = options->full_ms;
    payload_forget(&a->payload);
    a->payload.steps_path = path_join_dup(options->run_dir, "steps");
    ignore_signals();
    if (waiting_open(a, err) < 0 ||
        attempt_open(&a->record, options->run_dir, err) < 0 ||
        output_open(&a->output, options->state_dir, options->run_dir, err) < 0 ||
        (options->mask >= 0 && output_mask(&a->output, options->mask, err) < 0) ||
        life_recall(a, err) < 0 ||
        link_open(&a->link, options->socket, options->reconnect_ms, err) < 0)
        return NULL;
    /* What a predecessor left in the FIFO and the raw file comes before HELLO. */
    output_drain(&a->output, clock_boot_ms());
    return a;
}

/* True: everything that was taken is in the spool. */
static bool drained(struct agent *a, int64_t now)
{
    output_lift_limit(&a->output);
    output_drain(&a->output, now);
    return output_finish(&a->output, now);
}

int agent_run(struct agent *a, struct reeve_error *err)
{
    struct epoll_event events[8];
    a->rest_at = clock_boot_ms() + REST_MS;
    agent_step(a, clock_boot_ms());
    while (!a->quitting || !drained(a, clock_boot_ms())) {
        int n = epoll_wait(a->epoll, events, 8, -1);
        if (n < 0 && errno != EINTR)
            return reeve_error_set(err, errno, "wait for events");
        int64_t now = clock_boot_ms();
        for (int i = 0; i < n; i++)
            on_event(a, (enum source)events[i].data.u32, now);
        agent_step(a, now);
    }
    return 0;
}
