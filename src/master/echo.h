/* echo.h - a run's log on this terminal too, for `reeve execute`
 *
 * Everything that goes to the server is written to standard output and, if one is
 * named, to a file, before the server gets it. A reader who stops reading stops the
 * shipping with it, never the loop: the lines wait in the spool. */
#ifndef REEVE_ECHO_H
#define REEVE_ECHO_H

#include <stdbool.h>

struct echo;
struct master;
struct run;

/* file_fd: of the log file, or -1. */
struct echo *echo_create(struct master *m, int file_fd);
void echo_destroy(struct echo *e);
/* Writes what the run's spool has. True if nothing of it is left; else ship_wake() is
 * called for the run once it is. */
bool echo_pump(struct echo *e, struct run *run);
void echo_forget(struct echo *e, const struct run *run);

#endif
