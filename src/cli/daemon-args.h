/* daemon-args.h - clearml-agent's command lines for its daemon and for one task, as
 * reeved's */
#ifndef REEVE_DAEMON_ARGS_H
#define REEVE_DAEMON_ARGS_H

#include "base/error.h"
#include "cli/args.h"

/* What both of clearml-agent's commands have (interface/worker.py, WORKER_ARGS). What
 * this version does not do is refused: it would be worse to run without it unsaid. */
#define ARGS_WORKER                                                                    \
    {ARG_VALUE, "git-user", 0, "USER", "for repositories"},                            \
        {ARG_VALUE, "git-pass", 0, "TOKEN", "shown by ps(1): better in clearml.conf"}, \
        {ARG_VALUE, "state-dir", 0, "DIR", "what must survive (/var/lib/reeve)"},      \
        {ARG_VALUE, "cgroup-root", 0, "NAME", "of the groups that hold the runs"},     \
        {ARG_VALUE, "log-level", 0, "LEVEL", "error, warn, info, debug"},              \
        {ARG_FLAG, "cpu-only", 0, NULL, NULL},                                         \
        {ARG_FLAG, "standalone-mode", 0, NULL, NULL},                                  \
        {ARG_FLAG, "optimization", 'O', NULL, NULL},                                   \
        {ARG_REFUSED, "docker", 0, NULL,                                               \
         "tasks run as processes; containers come with a later version"},              \
    {                                                                                  \
        ARG_REFUSED, "gpus", 0, NULL,                                                  \
            "no GPU is given to a task; that comes with a later version"               \
    }

extern const struct arg_spec daemon_specs[], execute_specs[];

/* Appends "reeved" and its options. -1 with err for what is wrong. */
int daemon_args(const struct args *args, struct words *argv, struct reeve_error *err);
/* The same for `reeve execute` of this task. */
int execute_args(const struct args *args, const char *task, struct words *argv,
                 struct reeve_error *err);
/* Keys for git travel where the master looks for them anyway, its environment, not in
 * its argv. */
void worker_args_set_git(const struct args *args);

#endif
