/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/proc-names.h"
#include "base/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

void proc_names_begin(struct proc_names *n, char *out, size_t size, int max,
                      bool states)
{
    *n = (struct proc_names){.out = out, .size = size, .max = max, .states = states};
    if (size)
        out[0] = '\0';
}

static void add_text(struct proc_names *n, const char *text)
{
    size_t room = n->size - n->len, len = strlen(text);
    if (!n->size)
        return;
    if (len >= room)
        len = room - 1;
    memcpy(n->out + n->len, text, len);
    n->len += len;
    n->out[n->len] = '\0';
}

/* Without the newline that the kernel adds; a process gives itself any name. */
static void read_word(pid_t pid, const char *file, char *out, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    auto_close fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : fd_read_full(fd, out, size - 1);
    if (got > 0 && out[got - 1] == '\n')
        got--;
    out[got > 0 ? got : 0] = '\0';
    for (char *p = out; *p; p++)
        if (*p < ' ' || *p > '~')
            *p = '?';
}

/* ", D in nfs_wait": the letter of /proc/PID/stat and where the kernel holds it. */
static void add_state(struct proc_names *n, pid_t pid)
{
    char stat[256], where[48], text[80];
    read_word(pid, "stat", stat, sizeof stat);
    read_word(pid, "wchan", where, sizeof where);
    const char *end = strrchr(stat, ')');
    if (!end || !end[1])
        return;
    bool known = where[0] && strcmp(where, "0") != 0;
    snprintf(text, sizeof text, ", %c%s%s", end[2], known ? " in " : "",
             known ? where : "");
    add_text(n, text);
}

void proc_names_add(struct proc_names *n, pid_t pid)
{
    char comm[32], text[80];
    if (++n->seen > n->max)
        return;
    read_word(pid, "comm", comm, sizeof comm);
    snprintf(text, sizeof text, "%s%s (%d", n->seen > 1 ? ", " : "", *comm ? comm : "?",
             (int)pid);
    add_text(n, text);
    if (n->states)
        add_state(n, pid);
    add_text(n, ")");
}

void proc_names_end(struct proc_names *n)
{
    char more[32];
    if (n->seen <= n->max)
        return;
    snprintf(more, sizeof more, "%s%d more", n->max > 0 ? " and " : "",
             n->seen - n->max);
    add_text(n, more);
}
