/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "subagent/children.h"
#include "base/fd.h"
#include "base/proc.h"

#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void (*child_f)(pid_t pid, void *arg);

/* The file is made anew for each read(2) at an offset, so it is read in one piece; who
 * is cut off is there the next time. */
static int each_child(child_f fn, void *arg)
{
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    auto_close fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : fd_read_full(fd, text, sizeof text - 1);
    int count = 0;
    text[n > 0 ? n : 0] = '\0';
    for (char *p = text, *end; isdigit((unsigned char)*p); p = end + strspn(end, " ")) {
        long pid = strtol(p, &end, 10);
        if (*end != ' ' || pid <= 1)
            break;
        fn((pid_t)pid, arg);
        count++;
    }
    return count;
}

static void signal_child(pid_t pid, void *arg)
{
    kill(pid, *(int *)arg);
}

int children_signal(int sig)
{
    return each_child(signal_child, &sig);
}

static void name_child(pid_t pid, void *arg)
{
    proc_names_add(arg, pid);
}

void children_name(struct proc_names *names)
{
    each_child(name_child, names);
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
    each_child(take_child, &t);
}
