/* stop.h - who asks over control.sock for the end of an attempt, or for a new one */
#ifndef REEVE_STOP_H
#define REEVE_STOP_H

#include "base/error.h"

#include <cjson/cJSON.h>

struct master;

/* {"task", "grace_ms", "signal", "by"}: all but the first may be missing. by: who asks,
 * for the run's log and status. 0, or the exit code of `reeve` with err. */
int stop_request(struct master *m, const cJSON *request, struct reeve_error *err);
/* {"task", "by"}: an attempt at once, whatever the policy and the back-off; one that is
 * at work is ended first, with its signal and grace. Restarts up to now do not count
 * against on-failure:N any more. *data gets {"id", "attempt"}: which one starts; the
 * caller's. As above. */
int restart_request(struct master *m, const cJSON *request, cJSON **data,
                    struct reeve_error *err);

#endif
