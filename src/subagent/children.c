/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "subagent/children.h"
#include "base/proc-children.h"
#include "base/proc.h"

#include <signal.h>

static void signal_child(pid_t pid, void *arg)
{
    kill(pid, *(int *)arg);
}

int children_signal(int sig)
{
    return proc_each_child(signal_child, &sig);
}

static void name_child(pid_t pid, void *arg)
{
    proc_names_add(arg, pid);
}

void children_name(struct proc_names *names)
{
    proc_each_child(name_child, names);
}

struct taking {
    const struct cgroup_dirs *groups;
    struct proc_names *names;
};

/* The kernel says that it has moved one that has ended, too. */
static void take_child(pid_t pid, void *arg)
{
    struct taking *t = arg;
    if (!proc_is_ending(pid) && cgroup_dirs_take_in(t->groups, pid))
        proc_names_add(t->names, pid);
}

void children_take_in(const struct cgroup_dirs *groups, struct proc_names *names)
{
    struct taking t = {groups, names};
    proc_each_child(take_child, &t);
}
