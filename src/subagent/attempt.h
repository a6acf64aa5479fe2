/* attempt.h - $RUN/runs/<task>/attempt: what a replacement must know to go on with the
 * payload of a sub-agent that was killed
 *
 * One page that is written in place, so that a full disk is in nobody's way, and that
 * another boot makes void. It is written before the payload executes anything, and
 * before its exit is reaped. */
#ifndef REEVE_ATTEMPT_H
#define REEVE_ATTEMPT_H

#include "base/error.h"
#include "run/message.h"
#include "subagent/payload.h"

#include <stdbool.h>

/* The descriptor, or -1 with err. */
int attempt_open(const char *run_dir, struct reeve_error *err);
/* scratch is used for the call alone. -1 with err: nothing can be taken over. */
int attempt_write(int fd, const struct payload *p, struct message *scratch,
                  struct reeve_error *err);
/* Fills p, which is zero but for its descriptors of -1. False: there is no sound record
 * of this boot. */
bool attempt_read(int fd, struct payload *p, struct message *scratch);

#endif
