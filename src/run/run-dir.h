/* clang-format off */
/* run-dir.h - where the files of a run are, and who writes which
 *
 * $STATE/runs/<task>/   spec.json  master     what was pulled and resolved; never changed
 *                       limits     master     what applies now
 *                       state      master     phase, attempt, pids, deadlines
 *                       lock       sub-agent  flock of the one that may fork a payload
 *                       log.<off>  sub-agent  (the lock's holder) spool segments
 *                       acked      master     offset in the spool that the server has
 *                       work/      payload    checkout
 * $RUN/runs/<task>/     out        FIFO       the payload's stdout and stderr
 *                       raw        sub-agent  what was taken from the FIFO; a hole where
 *                                             it is spooled
 *                       steps      FIFO       the payload's status lines
 *                       attempt    sub-agent  what a replacement has to know
 *                       conf       prepare    the payload's clearml.conf, 0600
 * $RUN/agent.sock, $RUN/control.sock */
/* clang-format on */
#ifndef REEVE_RUN_DIR_H
#define REEVE_RUN_DIR_H

#include "base/error.h"

/* "<root>/runs/<task>", "<root>/runs/<task>/<file>": to be freed by the caller. */
char *run_dir_dup(const char *root, const char *task);
char *run_file_dup(const char *root, const char *task, const char *file);

/* $STATE and $RUN by the rules of the design's section 4: option, environment
 * (REEVE_STATE_DIR, REEVE_RUN_DIR), /var/lib/reeve and /run/reeve for root, else XDG
 * folders. option may be NULL; a relative one is made absolute, since other programs
 * with other working directories get it. To be freed by the caller. */
char *state_root_dup(const char *option);
char *run_root_dup(const char *option);

/* Takes the exclusive lock of a run, without waiting. The descriptor (CLOEXEC) holds
 * it. -1 with err->code EWOULDBLOCK if another process has it. */
int run_lock(const char *state_dir_of_run, struct reeve_error *err);

#endif
