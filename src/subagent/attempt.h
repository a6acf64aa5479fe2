/* attempt.h - $RUN/runs/<task>/attempt: what a replacement must know to go on with the
 * payload of a sub-agent that was killed
 *
 * Two slots that are written in turn and in place: a write that fails leaves what the
 * last one has said, a full disk is in nobody's way, as both have their room, and
 * another boot makes them void. It is written before the payload executes anything, or
 * nothing is executed; and before its exit is reaped. */
#ifndef REEVE_ATTEMPT_H
#define REEVE_ATTEMPT_H

#include "base/error.h"
#include "run/message.h"
#include "subagent/payload.h"

#include <stdbool.h>

struct attempt_file {
    int fd;
    uint64_t written; /* number of the last record */
};

int attempt_open(struct attempt_file *f, const char *run_dir, struct reeve_error *err);
/* scratch is used for the call alone. -1 with err: the record before stands. */
int attempt_write(struct attempt_file *f, const struct payload *p,
                  struct message *scratch, struct reeve_error *err);
/* Fills p, which is zero but for its descriptors of -1. False: there is no sound record
 * of this boot. */
bool attempt_read(struct attempt_file *f, struct payload *p, struct message *scratch);
/* True if what is recorded is this attempt, not over, with this process. */
bool attempt_has(struct attempt_file *f, uint32_t attempt, pid_t pid,
                 struct message *scratch);

#endif
