/* master-status.h - what `reeve status` and `reeve daemon --status` print */
#ifndef REEVE_MASTER_STATUS_H
#define REEVE_MASTER_STATUS_H

#include "cli/args.h"

/* Asks the master and prints, as JSON if there is --json. An exit code; says why
 * itself. */
int print_master_status(const struct args *args, const char *command);

#endif
