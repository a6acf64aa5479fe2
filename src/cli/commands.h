/* commands.h - one entry a command, each in its own file cmd-<verb>.c */
#ifndef REEVE_COMMANDS_H
#define REEVE_COMMANDS_H

#include "cli/cli.h"

extern const struct command cmd_up, cmd_config, cmd_daemon, cmd_server, cmd_submit,
    cmd_ps, cmd_logs, cmd_wait, cmd_inspect, cmd_stop, cmd_restart, cmd_status,
    cmd_workers, cmd_clone, cmd_top, cmd_drain, cmd_undrain, cmd_enqueue, cmd_dequeue,
    cmd_execute, cmd_init, cmd_list, cmd_queue, cmd_set, cmd_doctor, cmd_upgrade;

#endif
