/* daemon-args.h - clearml-agent's command line for its daemon, as reeved's */
#ifndef REEVE_DAEMON_ARGS_H
#define REEVE_DAEMON_ARGS_H

#include "base/error.h"
#include "cli/args.h"

extern const struct arg_spec daemon_specs[];

/* Appends "reeved" and its options. -1 with err for what is wrong, or asks for
 * something that this version does not do: it would be worse to run without it unsaid.
 */
int daemon_args(const struct args *args, struct words *argv, struct reeve_error *err);

#endif
