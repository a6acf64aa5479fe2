/* worker-claim.h - one master of this host for each worker id of a server
 *
 * Two under one id would overwrite each other's figures, and each would call the
 * other's runs gone. The claim is an abstract socket's name, which ends with its
 * process. */
#ifndef REEVE_WORKER_CLAIM_H
#define REEVE_WORKER_CLAIM_H

#include <stdbool.h>

/* Makes the default id another one ("host:services-2") if a master of this host has it;
 * a chosen one is kept, and the log says so. The descriptor that holds the claim, or
 * -1. *worker is the caller's, before and after. */
int worker_claim(char **worker, bool chosen, const char *api_url);

#endif
