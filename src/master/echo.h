/* echo.h - a run's log on this terminal too, for `reeve execute`
 *
 * Everything that goes to the server is written to standard output and, if one is
 * named, to a file. A reader who stops reading stops neither the loop nor what goes to
 * the server: the lines wait in the spool, as far as its budget allows. */
#ifndef REEVE_ECHO_H
#define REEVE_ECHO_H

#include <stdbool.h>
#include <stdint.h>

struct echo;
struct master;
struct run;

/* file_fd: of the log file, or -1. */
struct echo *echo_create(struct master *m, int file_fd);
void echo_destroy(struct echo *e);
/* Writes what the run's spool has. True if nothing of it is left; else ship_wake() is
 * called for the run once it is. */
bool echo_pump(struct echo *e, struct run *run);
/* How far the run's spool was read: what stands behind is needed yet. */
uint64_t echo_offset(const struct echo *e, const struct run *run);
void echo_forget(struct echo *e, const struct run *run);

#endif
