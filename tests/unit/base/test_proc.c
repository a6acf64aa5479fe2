/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/fd.h"
#include "base/proc.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 300 /* one in three met it */

static void *reap(void *arg)
{
    waitpid(*(pid_t *)arg, NULL, 0);
    return NULL;
}

/* While another one reaps it: a look that came in between has once lost an exit. */
static void look_until_seen(pid_t pid)
{
    int code = 0, signal = 0, seen;
    pthread_t reaper;
    auto_close fd = proc_pidfd_open(pid);
    assert_true(fd >= 0);
    assert_int_equal(pthread_create(&reaper, NULL, reap, &pid), 0);
    do
        seen = proc_pidfd_exit(fd, &code, &signal);
    while (seen == 0);
    assert_int_equal(pthread_join(reaper, NULL), 0);
    assert_int_equal(seen, 1);
    assert_int_equal(code, 7);
    assert_int_equal(signal, 0);
}

static void test_exit_while_it_is_reaped(void **state)
{
    int code, signal;
    auto_close own = proc_pidfd_open(getpid());
    if (proc_pidfd_exit(own, &code, &signal) < 0)
        skip(); /* this kernel tells no exits */
    for (int i = 0; i < ROUNDS; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            usleep(50);
            _exit(7);
        }
        look_until_seen(pid);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_exit_while_it_is_reaped)};
    alarm(60); /* a kernel that never tells */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
