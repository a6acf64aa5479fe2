/* up-child.h - one program that `reeve up` keeps running
 *
 * It gets a session of its own, so that Ctrl-C at the terminal reaches `up` alone,
 * which ends master and server in their order. It waits before its exec until `up` has
 * recorded it. */
#ifndef REEVE_UP_CHILD_H
#define REEVE_UP_CHILD_H

#include "base/error.h"
#include "cli/up-dir.h"
#include "config/words.h"

#include <stdbool.h>
#include <stdint.h>

struct up_child {
    const char *name;
    char *program;
    struct words argv;
    struct up_process process; /* pid 0: does not run */
    int pidfd;                 /* or -1 */
    int64_t started_ms;
    int64_t restart_ms; /* boot clock: when to start it again; 0: not due */
    int64_t pause_ms;
};

void up_child_init(struct up_child *c, const char *name);
void up_child_free(struct up_child *c);
/* record: told the new process before it may run. keep_fd (or -1) stays open in the
 * child under its own number. 0, or -1 with err. */
int up_child_start(struct up_child *c, int keep_fd, int (*record)(void *arg), void *arg,
                   struct reeve_error *err);
/* Reaps it if it has ended, *status as from waitpid; false if it still runs. */
bool up_child_reap(struct up_child *c, int *status);
/* Sets restart_ms: soon after the first end, later after each more, soon again after a
 * minute of health. */
void up_child_schedule(struct up_child *c);
void up_child_signal(const struct up_child *c, int sig);
/* "exit code 3", "signal 9 (Killed)". */
const char *up_status_text(int status, char *out, size_t size);

#endif
