/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "run/run-dir.h"
#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

char *run_dir_dup(const char *root, const char *task)
{
    auto_free char *runs = path_join_dup(root, "runs");
    return path_join_dup(runs, task);
}

char *run_file_dup(const char *root, const char *task, const char *file)
{
    auto_free char *dir = run_dir_dup(root, task);
    return path_join_dup(dir, file);
}

/* A variable that is set to nothing counts as not set, as the XDG rules have it. */
static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static char *absolute_dup(const char *dir)
{
    auto_free char *here = dir[0] == '/' ? NULL : getcwd(NULL, 0);
    return here ? path_join_dup(here, dir) : xstrdup(dir);
}

char *state_root_dup(const char *option)
{
    const char *dir = option ? option : environment("REEVE_STATE_DIR");
    if (dir)
        return absolute_dup(dir);
    if (geteuid() == 0)
        return xstrdup("/var/lib/reeve");
    if ((dir = environment("XDG_STATE_HOME")))
        return path_join_dup(dir, "reeve");
    if ((dir = environment("HOME")))
        return path_join_dup(dir, ".local/state/reeve");
    return xasprintf("/var/tmp/reeve-%u", (unsigned)geteuid());
}

char *run_root_dup(const char *option)
{
    const char *dir = option ? option : environment("REEVE_RUN_DIR");
    if (dir)
        return absolute_dup(dir);
    if (geteuid() == 0)
        return xstrdup("/run/reeve");
    if ((dir = environment("XDG_RUNTIME_DIR")))
        return path_join_dup(dir, "reeve");
    auto_free char *state = state_root_dup(NULL);
    return path_join_dup(state, "run");
}

int run_lock(const char *state_dir_of_run, struct reeve_error *err)
{
    auto_free char *path = path_join_dup(state_dir_of_run, "lock");
    auto_close fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return reeve_error_set(err, errno, "open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return reeve_error_set(err, errno, "lock %s", path);
    return fd_take(&fd);
}
