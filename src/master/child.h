/* child.h - a program that is soon done: the loop waits for its end and its words */
#ifndef REEVE_CHILD_H
#define REEVE_CHILD_H

#include "base/error.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct child;

/* code: its exit code; -1 if it did not end by itself in time. text: what it said on
 * standard output and error, cut at some KiB. The child is gone when this is called. */
typedef void (*child_done_f)(void *arg, int code, const char *text);

/* argv[0] is looked for in PATH if it has no slash. NULL with err if it could not be
 * started; done is called from the loop, never from here. */
struct child *child_start(struct ev_loop *loop, char *const argv[], int64_t timeout_ms,
                          child_done_f done, void *arg, struct reeve_error *err);
/* Ends it; done is not called. NULL is fine. */
void child_cancel(struct child *c);
/* Whether this is one of them, which the loop reaps. */
bool child_is(pid_t pid);

#endif
