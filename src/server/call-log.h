/* call-log.h - one JSON line an API call: what clients ask for, and how it ended
 *
 * For operators and tests: --call-log FILE. A line is one write(2) at the end of the
 * file, so that several threads share it and logrotate's copytruncate may cut it. */
#ifndef REEVE_SERVER_CALL_LOG_H
#define REEVE_SERVER_CALL_LOG_H

#include "base/error.h"

#include <stdint.h>

struct call;
struct call_log;

/* Opens path for appending, made with mode 0600 if missing. NULL with err. */
struct call_log *call_log_open(const char *path, struct reeve_error *err);
/* NULL is allowed. */
void call_log_close(struct call_log *log);
/* Writes the line of a call that is answered, `ms` after it came. Its body and its
 * answer stay out of it, the task that it names apart; the text of an error is in it. A line that cannot be written
 * is lost, which the server's own log says once. log may be NULL: no log. */
void call_log_write(struct call_log *log, const struct call *call, int64_t ms);

#endif
