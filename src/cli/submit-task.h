/* submit-task.h - the task document that `reeve submit` creates, from its command line
 *
 * - A lone script travels whole in script.diff, as ClearML does it; entry_point is its
 * file name, then its arguments. With --repo the script is a path in the repository.
 * - `-- CMD ARGS`: script.binary is the program, entry_point its arguments.
 * - Quotas go into container.arguments in Docker's words; what Docker has no word for
 * is a user property. All are read back by the master's own rules before anything is
 * made. */
#ifndef REEVE_SUBMIT_TASK_H
#define REEVE_SUBMIT_TASK_H

#include "base/error.h"
#include "cli/args.h"

#include <cjson/cJSON.h>

extern const struct arg_spec submit_specs[];

/* The body for tasks.create, with the project's name in "project". NULL with err. */
cJSON *submit_task(const struct args *args, struct reeve_error *err);

#endif
