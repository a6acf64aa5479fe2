/* spawn.h - other programs, which get nothing of ours but what they are given */
#ifndef REEVE_SPAWN_H
#define REEVE_SPAWN_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Executes the file, which is looked for in $PATH unless it has a slash. Its standard
 * input is /dev/null, its output goes to `out` and what it complains of to `errors`
 * (-1: /dev/null); it blocks and ignores no signal. 0, or an errno. */
int spawn_program(const char *file, char *const argv[], int out, int errors,
                  pid_t *pid);
/* Runs argv[0] to its end, which is waited for: wait_ms at most, then it is killed. Its
 * exit code, or 128 and the signal that ended it; -1 with err. line: the last one that
 * it said. For programs that say less than a pipe holds (64 KiB). */
int spawn_run(char *const argv[], int64_t wait_ms, char *line, size_t size,
              struct reeve_error *err);

#endif
