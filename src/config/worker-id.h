/* worker-id.h - the name under which a master is a worker on the server */
#ifndef REEVE_WORKER_ID_H
#define REEVE_WORKER_ID_H

#include "config/config.h"

#include <sys/types.h>

/* given (--worker-id), CLEARML_WORKER_ID, or <worker_name or host>:services; of a
 * master of one task <worker_name or host>:<its pid>, as clearml-agent has it
 * (worker.py). pid 0: of queues. To be freed by the caller. */
char *worker_id_dup(const struct config *c, const char *given, pid_t pid);

#endif
