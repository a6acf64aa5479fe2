/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "config/worker-id.h"

#include "base/alloc.h"

#include <unistd.h>

char *worker_id_dup(const struct config *c, const char *given, pid_t pid)
{
    const char *id = given ? given : config_str(c, "agent.worker_id", NULL);
    char host[256] = "localhost";
    if (id && id[0])
        return xstrdup(id);
    gethostname(host, sizeof host - 1);
    const char *name = config_str(c, "agent.worker_name", host);
    return pid ? xasprintf("%s:%d", name, (int)pid) : xasprintf("%s:services", name);
}
