/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/oom-score.h"
#include "master/master.h"
#include "master/notify.h"
#include "master/upgrade.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>

static void tell_ready(int fd)
{
    if (fd < 0)
        return;
    ssize_t ignored = write(fd, "1", 1);
    (void)ignored;
    close(fd);
}

/* What an older reeved asks before it executes this one in its place. */
static int check(struct options *options)
{
    struct reeve_error err = {0};
    int rc = master_check(options, &err);
    if (rc < 0)
        fprintf(stderr, "reeved: %s\n", err.text);
    else
        puts(PACKAGE_STRING);
    options_free(options);
    return rc < 0;
}

int main(int argc, char **argv)
{
    struct options options;
    struct reeve_error err = {0};
    log_init("reeved", STDERR_FILENO);
    upgrade_note(argc, argv);
    enum options_result parsed = options_parse(argc, argv, &options, &err);
    if (parsed != OPTIONS_RUN) {
        if (parsed == OPTIONS_BAD)
            fprintf(stderr, "reeved: %s\n", err.text);
        options_free(&options);
        return parsed == OPTIONS_BAD ? 2 : 0;
    }
    options.umask = (int)umask(0077);
    signal(SIGPIPE, SIG_IGN);
    srandom((unsigned)time(NULL) ^ (unsigned)getpid());
    oom_score_lower();
    /* Credentials are in memory: no core, no ptrace by others of the same user. */
    prctl(PR_SET_DUMPABLE, 0);
    fd_raise_limit();
    /* The threads that wait for the disk need no heaps of their own. */
    mallopt(M_ARENA_MAX, 1);
    if (options.ready_fd >= 0)
        fd_set_cloexec(options.ready_fd, 1);

    if (options.check)
        return check(&options);
    struct master *m = master_create(&options, &err);
    if (!m) {
        fprintf(stderr, "reeved: %s\n", err.text);
        upgrade_give_up(err.text, options.umask);
        options_free(&options);
        return 1;
    }
    upgrade_begun();
    log_info("reeved %s serves as worker %s", PACKAGE_VERSION, m->worker);
    tell_ready(options.ready_fd);
    notify_ready();
    int code = master_run(m);
    if (upgrade_due(m->upgrade))
        code = 1; /* if nothing can be executed: systemd is to start it again */
    master_destroy(m);
    upgrade_execute(options.umask);
    options_free(&options);
    return code;
}
