/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/host-down.h"

#include "base/log.h"
#include "master/child.h"
#include "master/master.h"

#include <stdlib.h>
#include <string.h>

/* Without an answer it counts as the master's own end, which ends nothing else. */

static void on_answer(void *arg, int code, const char *text)
{
    struct master *m = arg;
    void (*done)(struct master *, bool) = m->host_down_done;
    m->host_child = NULL;
    bool down = strncmp(text, "stopping", 8) == 0;
    if (code < 0)
        log_warn("systemctl does not say whether the host is going down");
    done(m, down);
}

void host_down_ask(struct master *m, void (*done)(struct master *m, bool down))
{
    /* As systemctl(1) has it: the bus may be down already, and is not needed by root.
     */
    char *argv[] = {"systemctl", "is-system-running", NULL};
    struct reeve_error err;
    if (m->host_child)
        return;
    m->host_down_done = done;
    if (getenv("INVOCATION_ID"))
        m->host_child =
            child_start(m->loop, argv, m->waits.host_ms, on_answer, m, &err);
    if (!m->host_child)
        done(m, false);
}

void host_down_forget(struct master *m)
{
    child_cancel(m->host_child);
    m->host_child = NULL;
}
