/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/master-status.h"

static const struct arg_spec specs[] = {ARGS_JSON, ARGS_SERVER, ARGS_LAST};

static int run(const struct args *args)
{
    return print_master_status(args, "status");
}

const struct command cmd_status = {
    .name = "status",
    .summary = "tell how this host's master is",
    .usage = "[--json]",
    .specs = specs,
    .run = run,
};
