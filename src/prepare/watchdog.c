/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "prepare/watchdog.h"
#include "base/clock.h"
#include "prepare/report.h"

#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define REPEAT_MS 200
#define LAST_RESORT_TICKS 50

/* A signal handler has no other way to its data. */
static volatile sig_atomic_t ticks;
static const struct report *reporter;
static int stall;
static int64_t deadline;

static void write_text(int fd, const char *text)
{
    ssize_t n = write(fd, text, strlen(text));
    (void)n;
}

static void on_alarm(int signo)
{
    (void)signo;
    /* The first signal may have come just before the call that then blocked, so it is
     * repeated; what does not return on any of them has lost the right to go on. */
    if (++ticks < LAST_RESORT_TICKS)
        return;
    write_text(reporter->log_fd, "reeve: no answer from the repository's server\n");
    write_text(reporter->status_fd, "fail ");
    write_text(reporter->status_fd, reporter->step);
    write_text(reporter->status_fd, " no answer from the repository's server\n");
    _exit(1);
}

static void arm(int ms)
{
    struct itimerval t = {
        .it_value = {ms / 1000, ms % 1000 * 1000},
        .it_interval = {0, ms ? REPEAT_MS * 1000 : 0},
    };
    setitimer(ITIMER_REAL, &t, NULL);
}

void watchdog_start(const struct report *r, int stall_ms, int total_ms)
{
    ticks = 0;
    reporter = r;
    stall = stall_ms;
    deadline = clock_boot_ms() + total_ms;
    struct sigaction sa = {.sa_handler = on_alarm};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGALRM, &sa, NULL);
    arm(stall_ms);
}

int watchdog_feed(void)
{
    if (ticks)
        return -1;
    if (clock_boot_ms() >= deadline) {
        ticks = 1;
        return -1;
    }
    arm(stall);
    return 0;
}

bool watchdog_stop(void)
{
    arm(0);
    signal(SIGALRM, SIG_DFL);
    return ticks != 0;
}
