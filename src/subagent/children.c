/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "subagent/children.h"
#include "base/fd.h"

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

struct names {
    char *out;
    size_t size, len;
    int left;
};

static void read_comm(pid_t pid, char comm[32])
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    auto_close fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : fd_read_full(fd, comm, 31);
    comm[n > 0 ? n : 0] = '\0';
    comm[strcspn(comm, "\n")] = '\0';
    /* A process gives itself any name. */
    for (char *p = comm; *p; p++)
        if (*p < ' ' || *p > '~')
            *p = '?';
}

static void name_child(pid_t pid, void *arg)
{
    struct names *n = arg;
    char comm[32];
    if (n->left-- <= 0 || n->len + 1 >= n->size)
        return;
    read_comm(pid, comm);
    int w = snprintf(n->out + n->len, n->size - n->len, "%s%s (%d)", n->len ? ", " : "",
                     *comm ? comm : "?", (int)pid);
    n->len += w < 0 ? 0 : (size_t)w;
}

const char *children_name(int max, char *out, size_t size)
{
    struct names n = {out, size, 0, max};
    if (size)
        out[0] = '\0';
    each_child(name_child, &n);
    return out;
}
