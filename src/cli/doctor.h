/* doctor.h - the lines of `reeve doctor`: what this host, its kernel and its server can
 * do
 *
 * Each part adds its lines; none needs a master, and none changes anything. */
#ifndef REEVE_DOCTOR_H
#define REEVE_DOCTOR_H

#include "cli/args.h"
#include "cli/session.h"

#include <cjson/cJSON.h>

enum doctor_status { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

/* {"check", "status", "text", "fix"}: fix is what to do, NULL for nothing. Returns the
 * status. */
enum doctor_status doctor_add(cJSON *checks, enum doctor_status status,
                              const char *check, const char *fix, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* Rights, cgroups and their controllers. */
void doctor_cgroups(cJSON *checks);
/* The kernel, limits of this process, programs. */
void doctor_host(cJSON *checks);
/* The folders of state and run, and the disk below. */
void doctor_folders(cJSON *checks, const struct args *args);
/* The configuration, the server, its clock, and who else has the worker's id. */
void doctor_server(cJSON *checks, const struct args *args);

#endif
