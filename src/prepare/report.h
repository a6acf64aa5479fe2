/* report.h - what reeve-prepare tells: lines in the run's log, steps to the sub-agent
 *
 * Everything that comes from a task is made printable here, on one line, so that a name
 * with control bytes can neither forge a line nor a status. */
#ifndef REEVE_REPORT_H
#define REEVE_REPORT_H

#include <stdbool.h>

struct report {
    int log_fd;
    int status_fd;
    const char *step; /* the present one */
    bool hold;        /* lines wait for report_release(), or for a failure */
};

/* One line in the run's log. */
void report_line(const struct report *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* What was held is written, all at once: each write wakes the sub-agent, and through it
 * the master. Nothing is held over work: who ends the set-up then ends these lines too.
 */
void report_release(struct report *r);
/* "step NAME" to the sub-agent. name is borrowed for as long as the step lasts. */
void report_step(struct report *r, const char *name);
/* The present step failed: a line in the log, and "fail STEP TEXT" to the sub-agent. */
void report_fail(struct report *r, const char *text);

#endif
