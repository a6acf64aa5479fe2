/* SPDX-License-Identifier: Apache-2.0 */
/* A sub-agent that was killed is replaced: its payload goes on untouched, and what was
 * due goes on with it. We are the payload's reaper then, as the master is. */
#include "../unit.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/proc.h"
#include "driver.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* The kernel tells the exit of a process that is no child (6.15). */
static bool kernel_tells(void)
{
    int code, signal;
    auto_close fd = proc_pidfd_open(getpid());
    return proc_pidfd_exit(fd, &code, &signal) == 0;
}

static pid_t start(struct driver *d, const struct start *s)
{
    driver_begin(d);
    driver_start(d, s);
    driver_expect(d, MESSAGE_STARTED);
    return (pid_t)driver_u64(d, TAG_PAYLOAD_PID, 0);
}

static void replace(struct driver *d, pid_t payload)
{
    driver_kill(d);
    driver_begin(d);
    assert_int_equal(driver_u64(d, TAG_ATTEMPT, 0), 1);
    assert_int_equal(driver_u64(d, TAG_PAYLOAD_PID, 0), payload);
    assert_int_equal(driver_u64(d, TAG_TAKEN_OVER, 0), 1);
    assert_int_equal(driver_u64(d, TAG_CERTAIN, 0), 1);
}

/* How it ended, by us who reaped it where the kernel does not tell. */
static void finish(struct driver *d, pid_t payload)
{
    int status = 0;
    for (int64_t end = clock_boot_ms() + WAIT_MS; clock_boot_ms() < end;
         driver_sleep(2))
        if (waitpid(payload, &status, WNOHANG) == payload)
            break;
    if (!kernel_tells() && WIFEXITED(status))
        driver_seen(d, payload, WEXITSTATUS(status));
    driver_expect(d, MESSAGE_EXITED);
}

static void go(struct driver *d)
{
    auto_free char *path = path_join_dup(d->top, "go");
    assert_int_equal(file_replace(path, "", 0, 0600, false, NULL), 0);
}

#define UNTIL_GO "until [ -e ${0%/*}/go ]; do sleep 0.02; done; "

static void test_payload_goes_on(void **state)
{
    struct driver *d = *state;
    pid_t pid = start(d, &(struct start){.script = "exec 4>&-; echo one; " UNTIL_GO
                                                   "echo two; exit 7"});
    driver_expect(d, MESSAGE_RUNNING);
    assert_true(driver_wait_log(d, "one\n"));
    for (int i = 0; i < 3; i++) {
        replace(d, pid);
        assert_int_equal(driver_u64(d, TAG_PHASE, 99), AGENT_RUNNING);
    }
    go(d);
    finish(d, pid);
    assert_int_equal(driver_u64(d, TAG_EXIT_CODE, 99), 7);
    driver_assert_log(d, "one\ntwo\n");
    driver_ack(d, 1);
    driver_start(d, &(struct start){.attempt = 2, .script = "echo three"});
    driver_expect(d, MESSAGE_EXITED);
    assert_int_equal(driver_u64(d, TAG_EXIT_CODE, 99), 0);
    driver_assert_log(d, "one\ntwo\nthree\n");
}

/* The steps go through a FIFO with a name: what was said meanwhile is read. */
static void test_set_up_goes_on(void **state)
{
    struct driver *d = *state;
    pid_t pid = start(d, &(struct start){.script = "echo step clone >&4; " UNTIL_GO
                                                   "echo step environment >&4\n"
                                                   "echo fail environment no pip >&4\n"
                                                   "echo x; exit 1"});
    driver_expect(d, MESSAGE_STEP);
    replace(d, pid);
    assert_int_equal(driver_u64(d, TAG_PHASE, 99), AGENT_PREPARING);
    assert_string_equal(driver_text(d, TAG_STEP), "clone");
    auto_free char *path = path_join_dup(d->run_dir, "steps");
    auto_close steps = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    driver_kill(d);
    go(d);
    driver_sleep(200);
    driver_begin(d);
    finish(d, pid);
    assert_string_equal(driver_text(d, TAG_STEP), "environment");
    assert_string_equal(driver_text(d, TAG_TEXT), "no pip");
}

/* Ended while nobody watched: its reaper says how. */
static void test_exit_by_its_reaper(void **state)
{
    struct driver *d = *state;
    int status;
    pid_t pid =
        start(d, &(struct start){.script = "exec 4>&-; echo one; " UNTIL_GO "exit 9"});
    driver_expect(d, MESSAGE_RUNNING);
    driver_kill(d);
    go(d);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    driver_begin(d);
    assert_int_equal(driver_u64(d, TAG_PHASE, 99), AGENT_RUNNING);
    driver_expect(d, MESSAGE_UNSEEN);
    assert_int_equal(driver_u64(d, TAG_PAYLOAD_PID, 0), pid);
    driver_seen(d, pid, WEXITSTATUS(status));
    driver_expect(d, MESSAGE_EXITED);
    assert_int_equal(driver_u64(d, TAG_EXIT_CODE, 99), 9);
}

/* Nothing is guessed where nobody knows. */
static void test_exit_that_nobody_knows(void **state)
{
    struct driver *d = *state;
    pid_t pid =
        start(d, &(struct start){.script = "exec 4>&-; echo one; printf two; " UNTIL_GO
                                           "exit 0"});
    driver_expect(d, MESSAGE_RUNNING);
    assert_true(driver_wait_log(d, "one\n"));
    driver_kill(d);
    go(d);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    driver_begin(d);
    driver_expect(d, MESSAGE_UNSEEN);
    /* Also to a master that comes later. */
    driver_unlisten(d);
    driver_listen(d);
    driver_accept(d);
    driver_expect(d, MESSAGE_UNSEEN);
    driver_seen(d, pid, -1);
    driver_expect(d, MESSAGE_EXITED);
    assert_int_equal(driver_u64(d, TAG_EXIT_CODE, 99), 99);
    assert_int_equal(driver_u64(d, TAG_EXIT_SIGNAL, 99), 99);
    driver_assert_log(d, "one\ntwo\n");
}

/* A process with this number, or -1: others are always being started, too. */
static pid_t take_number(pid_t pid)
{
    auto_free char *before = xasprintf("%d", pid - 1);
    auto_close last = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
    for (int i = 0; i < 1000 && last >= 0; i++) {
        if (fd_pwrite_all(last, before, strlen(before), 0) < 0)
            return -1;
        pid_t other = fork();
        if (other == 0) {
            driver_sleep(WAIT_MS);
            _exit(0);
        }
        if (other == pid)
            return other;
        kill(other, SIGKILL);
        waitpid(other, NULL, 0);
    }
    return -1;
}

/* Another process with the payload's number is not the payload. */
static void test_recycled_pid(void **state)
{
    struct driver *d = *state;
    pid_t pid = start(d, &(struct start){.script = "exec 4>&-; " UNTIL_GO});
    driver_expect(d, MESSAGE_RUNNING);
    driver_kill(d);
    go(d);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    driver_sleep(50); /* its start is told by that */
    if (take_number(pid) < 0)
        skip();
    driver_begin(d);
    driver_expect(d, MESSAGE_UNSEEN);
    driver_stop(d, 0);
    driver_seen(d, pid, -1);
    driver_expect(d, MESSAGE_EXITED);
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_time_out_goes_on(void **state)
{
    struct driver *d = *state;
    int64_t begun = clock_boot_ms();
    pid_t pid = start(d, &(struct start){.script = "exec 4>&-; exec sleep 1000",
                                         .timeout_ms = 3000,
                                         .grace_ms = 100});
    driver_expect(d, MESSAGE_RUNNING);
    replace(d, pid);
    finish(d, pid);
    assert_int_equal(driver_u64(d, TAG_TIMED_OUT, 0), 1);
    assert_in_range(clock_boot_ms() - begun, 2900, WAIT_MS);
}

/* A stop under way: no second signal, and the grace is not begun anew. */
static void test_grace_goes_on(void **state)
{
    struct driver *d = *state;
    pid_t pid = start(d, &(struct start){.script = "trap 'echo TERM' TERM; exec 4>&-\n"
                                                   "while :; do sleep 0.05; done"});
    driver_expect(d, MESSAGE_RUNNING);
    driver_stop(d, 3000);
    assert_true(driver_wait_log(d, "TERM\n"));
    replace(d, pid);
    assert_in_range(driver_u64(d, TAG_STOPPING, 9999), 0, 3000);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WTERMSIG(status), SIGKILL);
    if (!kernel_tells())
        driver_seen(d, pid, 0);
    driver_expect(d, MESSAGE_EXITED);
    driver_assert_log(d, "TERM\n");
}

/* What it leaves behind is ended by the replacement, too, and named. */
static void test_sweep_of_its_group(void **state)
{
    struct driver *d = *state;
    driver_make_groups(d);
    pid_t pid = start(
        d, &(struct start){.script = "exec 4>&-; (sleep 1000) & " UNTIL_GO "exit 3",
                           .linger_ms = 300});
    driver_expect(d, MESSAGE_RUNNING);
    replace(d, pid);
    go(d);
    finish(d, pid);
    assert_int_equal(driver_u64(d, TAG_EXIT_CODE, 99), 3);
    assert_int_equal(strncmp(driver_text(d, TAG_LEFT_BEHIND), "sleep (", 7), 0);
}

/* The verdict was there, its streams had their time yet. */
static void test_linger_goes_on(void **state)
{
    struct driver *d = *state;
    driver_make_groups(d);
    pid_t pid = start(
        d, &(struct start){.script = "exec 4>&-; (sleep 1000) & echo gone; exit 3",
                           .linger_ms = 3000});
    assert_true(driver_wait_log(d, "gone\n"));
    assert_true(driver_process_gone(pid));
    replace(d, pid);
    driver_expect(d, MESSAGE_EXITED);
    assert_int_equal(driver_u64(d, TAG_EXIT_CODE, 99), 3);
    assert_int_equal(strncmp(driver_text(d, TAG_LEFT_BEHIND), "sleep (", 7), 0);
}

/* A damaged record, or one of another boot, is none: what runs is not known then, and
 * IDLE says so. */
static void test_record_that_is_none(void **state)
{
    struct driver *d = *state;
    pid_t pid =
        start(d, &(struct start){.script = "exec 4>&-; echo one; exec sleep 1000"});
    assert_true(driver_wait_log(d, "one\n"));
    driver_kill(d);
    auto_free char *path = path_join_dup(d->run_dir, "attempt");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_in_range(st.st_size, 1, 16384);
    auto_close fd = open(path, O_WRONLY | O_CLOEXEC);
    for (off_t at = 100; at < st.st_size; at += 100) /* of both its slots */
        assert_int_equal(fd_pwrite_all(fd, "\377", 1, at), 0);
    driver_begin(d);
    assert_int_equal(driver_u64(d, TAG_PHASE, 99), AGENT_IDLE);
    assert_int_equal(driver_u64(d, TAG_ATTEMPT, 99), 1);
    assert_int_equal(driver_u64(d, TAG_CERTAIN, 0), 0);
    assert_int_equal(driver_u64(d, TAG_PAYLOAD_PID, 0), 0);
    assert_int_equal(kill(pid, 0), 0);
}

/* Before the first START, and after an attempt: nothing has begun, for certain. */
static void test_nothing_had_begun(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    driver_kill(d);
    driver_begin(d);
    assert_int_equal(driver_u64(d, TAG_PHASE, 99), AGENT_IDLE);
    assert_int_equal(driver_u64(d, TAG_ATTEMPT, 99), 0);
    assert_int_equal(driver_u64(d, TAG_CERTAIN, 0), 1);
    driver_start(d, &(struct start){.script = "echo one"});
    driver_expect(d, MESSAGE_EXITED);
    driver_assert_log(d, "one\n");
}

int main(void)
{
#define DRIVEN(f) cmocka_unit_test_setup_teardown(f, driver_setup, driver_teardown)
    const struct CMUnitTest tests[] = {
        DRIVEN(test_payload_goes_on),    DRIVEN(test_set_up_goes_on),
        DRIVEN(test_exit_by_its_reaper), DRIVEN(test_exit_that_nobody_knows),
        DRIVEN(test_recycled_pid),       DRIVEN(test_time_out_goes_on),
        DRIVEN(test_grace_goes_on),      DRIVEN(test_sweep_of_its_group),
        DRIVEN(test_linger_goes_on),     DRIVEN(test_record_that_is_none),
        DRIVEN(test_nothing_had_begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
