/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include "base/alloc.h"
#include "cgroup/cgroup-file.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAYLOAD "run/a/payload"

static void make(struct cgroup_host *host, int64_t pids)
{
    struct limits l = LIMITS_NONE;
    l.pids = pids;
    rig_create(host, PAYLOAD, &l);
}

static void end(struct cgroup_host *host)
{
    rig_end(host, PAYLOAD);
    assert_int_equal(cgroup_remove(host, "run", NULL), 0);
}

/* Every process forks as fast as it can and dies at once when it cannot, so there is
 * always room for another to fork. */
static int fork_bomb(void *arg)
{
    /* Not the host's problem should the test fail. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(60);
    for (;;) {
        pid_t pid = fork();
        if (pid < 0)
            _exit(0);
        if (pid > 0 && fork() < 0)
            _exit(0);
    }
}

static void a_fork_bomb_ends(void **state)
{
    struct cgroup_host *host = *state;
    make(host, 60);
    pid_t pid = rig_fork(host, PAYLOAD, fork_bomb, NULL);
    rig_sleep_ms(100);
    end(host);
    rig_wait(pid);
}

static void a_stopped_process_ends(void **state)
{
    struct cgroup_host *host = *state;
    make(host, LIMIT_NONE);
    pid_t pid = rig_fork(host, PAYLOAD, rig_pause, NULL);
    kill(pid, SIGSTOP);
    int status;
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    end(host);
    assert_int_equal(WTERMSIG(rig_wait(pid)), SIGKILL);
}

static int freeze(const struct cgroup_dirs *dirs)
{
    int frozen = 0;
    for (int i = 0; i < dirs->count; i++) {
        frozen += cgroup_file_write(dirs->dir[i], "freezer.state", "FROZEN") == 0;
        frozen += cgroup_file_write(dirs->dir[i], "cgroup.freeze", "1") == 0;
    }
    return frozen;
}

static void a_frozen_group_ends(void **state)
{
    struct cgroup_host *host = *state;
    struct cgroup_dirs dirs;
    make(host, LIMIT_NONE);
    pid_t pid = rig_fork(host, PAYLOAD, rig_pause, NULL);
    cgroup_dirs(host, PAYLOAD, &dirs);
    assert_true(freeze(&dirs) > 0);
    end(host);
    assert_int_equal(WTERMSIG(rig_wait(pid)), SIGKILL);
}

/* Groups that the payload made below its own, with processes in them, and frozen. */
static void frozen_groups_below_end(void **state)
{
    struct cgroup_host *host = *state;
    struct cgroup_dirs dirs;
    make(host, LIMIT_NONE);
    rig_create(host, PAYLOAD "/x/y", &(struct limits)LIMITS_NONE);
    pid_t pid = rig_fork(host, PAYLOAD "/x/y", rig_pause, NULL);
    cgroup_dirs(host, PAYLOAD, &dirs);
    assert_true(cgroup_dirs_populated(&dirs));
    struct cgroup_dirs below;
    cgroup_dirs(host, PAYLOAD "/x/y", &below);
    freeze(&below);
    end(host);
    assert_int_equal(WTERMSIG(rig_wait(pid)), SIGKILL);
}

/* Away from its parent, session and process group, as daemons go. */
static int double_fork(void *arg)
{
    for (int i = 0; i < 3; i++) {
        if (fork() == 0) {
            setsid();
            if (fork() == 0) {
                setsid();
                signal(SIGTERM, SIG_IGN);
                for (;;)
                    pause();
            }
            _exit(0);
        }
    }
    while (wait(NULL) > 0)
        ;
    return 0;
}

static void who_left_its_session_ends(void **state)
{
    struct cgroup_host *host = *state;
    struct cgroup_dirs dirs;
    make(host, LIMIT_NONE);
    assert_int_equal(rig_wait(rig_fork(host, PAYLOAD, double_fork, NULL)), 0);
    cgroup_dirs(host, PAYLOAD, &dirs);
    assert_true(cgroup_dirs_populated(&dirs));
    end(host);
}

static void no_fork_after_the_first_step_on_v1(void **state)
{
    struct cgroup_host *host = *state;
    struct cgroup_dirs dirs;
    struct limits got;
    if (host->unified[0])
        skip();
    make(host, LIMIT_NONE);
    pid_t pid = rig_fork(host, PAYLOAD, rig_pause, NULL);
    cgroup_dirs(host, PAYLOAD, &dirs);
    cgroup_dirs_kill_step(&dirs);
    assert_int_equal(cgroup_read_limits(host, PAYLOAD, &got, NULL), 0);
    assert_int_equal(got.pids, 0);
    end(host);
    rig_wait(pid);
}

static void kernels_without_kill_are_swept(void **state)
{
    struct cgroup_host *host = *state;
    struct cgroup_dirs dirs;
    if (!host->unified[0])
        skip();
    make(host, LIMIT_NONE);
    pid_t pid = rig_fork(host, PAYLOAD, double_fork, NULL);
    rig_wait(pid);
    pid = rig_fork(host, PAYLOAD, rig_pause, NULL);
    cgroup_dirs(host, PAYLOAD, &dirs);
    cgroup_dirs_sweep(&dirs);
    assert_true(rig_wait_empty(host, PAYLOAD));
    assert_int_equal(WTERMSIG(rig_wait(pid)), SIGKILL);
    end(host);
}

static int two_that_ignore_term(void *arg)
{
    signal(SIGTERM, SIG_IGN);
    prctl(PR_SET_NAME, "odd\nname\x01");
    if (fork() == 0)
        signal(SIGTERM, SIG_DFL);
    char ready = 'r';
    if (write(*(int *)arg, &ready, 1) != 1)
        return 1;
    for (;;)
        pause();
}

static const char *names_of(const struct cgroup_dirs *dirs, int max, bool states,
                            char *out, size_t size)
{
    struct proc_names names;
    proc_names_begin(&names, out, size, max, states);
    cgroup_dirs_name(dirs, &names);
    proc_names_end(&names);
    return out;
}

static void signals_reach_everyone_once(void **state)
{
    struct cgroup_host *host = *state;
    struct cgroup_dirs dirs;
    int ends[2];
    char ready[2];
    make(host, LIMIT_NONE);
    assert_int_equal(pipe(ends), 0);
    pid_t pid = rig_fork(host, PAYLOAD, two_that_ignore_term, &ends[1]);
    assert_int_equal(read(ends[0], ready, 1), 1);
    assert_int_equal(read(ends[0], ready, 1), 1);
    close(ends[0]);
    close(ends[1]);
    cgroup_dirs(host, PAYLOAD, &dirs);
    assert_int_equal(cgroup_dirs_signal(&dirs, 0), 2);
    assert_int_equal(cgroup_dirs_signal(&dirs, SIGTERM), 2);
    assert_true(cgroup_dirs_populated(&dirs));
    /* The child that took it is a zombie of its parent's, and no process of the group.
     */
    char names[256], want[64];
    snprintf(want, sizeof want, "odd?name? (%d)", (int)pid);
    for (int i = 0; i < 1000; i++) {
        names_of(&dirs, 5, false, names, sizeof names);
        if (strcmp(names, want) == 0)
            break;
        rig_sleep_ms(5);
    }
    assert_string_equal(names, want);
    assert_string_equal(names_of(&dirs, 0, false, names, sizeof names), "1 more");
    names_of(&dirs, 5, true, names, sizeof names);
    snprintf(want, sizeof want, "odd?name? (%d, S", (int)pid);
    assert_memory_equal(names, want, strlen(want));
    char small[6];
    assert_string_equal(names_of(&dirs, 5, false, small, sizeof small), "odd?n");
    end(host);
    rig_wait(pid);
    assert_string_equal(names_of(&dirs, 5, false, names, sizeof names), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fork_bomb_ends),
        cmocka_unit_test(a_stopped_process_ends),
        cmocka_unit_test(a_frozen_group_ends),
        cmocka_unit_test(frozen_groups_below_end),
        cmocka_unit_test(who_left_its_session_ends),
        cmocka_unit_test(no_fork_after_the_first_step_on_v1),
        cmocka_unit_test(kernels_without_kill_are_swept),
        cmocka_unit_test(signals_reach_everyone_once),
    };
    return rig_main("kill", tests, ARRAY_SIZE(tests));
}
