/* unit.h - the service of systemd's whose main process this is */
#ifndef REEVE_UNIT_H
#define REEVE_UNIT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

/* {"name": "reeved.service", "user": false}, user for one of a user's own manager; null
 * for a process that is no service's main one, or of a systemd before 248, which does
 * not say so ($SYSTEMD_EXEC_PID, systemd.exec(5)). The caller's. */
cJSON *unit_to_json(void);
/* The innermost service that /proc/PID/cgroup names. False if there is none. */
bool unit_of_cgroups(const char *text, char *name, size_t size, bool *user);

#endif
