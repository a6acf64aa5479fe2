/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt and what can be its end, against the real program. */
#include "../unit.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/proc.h"
#include "driver.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void run_to_exit(struct driver *d, const char *script)
{
    driver_begin(d);
    driver_start(d, &(struct start){.script = script, .linger_ms = 5000});
    driver_expect(d, MESSAGE_EXITED);
}

static void assert_exit(struct driver *d, int code, int sig)
{
    assert_int_equal((int)driver_u64(d, TAG_EXIT_CODE, (uint64_t)-1), code);
    assert_int_equal((int)driver_u64(d, TAG_EXIT_SIGNAL, 0), sig);
    /* What is told is what is on disk, and nothing is after it. */
    struct spool_entry e;
    assert_int_equal(spool_find_exit(d->state_dir, &e, NULL), 1);
    assert_int_equal(e.exit.code, code);
    assert_int_equal(e.exit.signal, sig);
    assert_string_equal(e.exit.step, driver_text(d, TAG_STEP));
    assert_string_equal(e.exit.left, driver_text(d, TAG_LEFT_BEHIND));
    assert_int_equal(e.next, driver_u64(d, TAG_SPOOL_END, 0));
}

static void test_life(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    assert_int_equal(driver_u64(d, TAG_PHASE, 99), AGENT_IDLE);
    assert_int_equal(driver_u64(d, TAG_ATTEMPT, 99), 0);
    assert_int_equal(driver_u64(d, TAG_START_TIME, 0), proc_start_time(d->agent));
    driver_start(d, &(struct start){.script =
                                        "echo step clone >&4; echo step execute >&4\n"
                                        "exec 4>&-; cat <&3; echo; echo err >&2\n"
                                        "read -r x; echo \"in: $x\"; sleep 0.3"});
    driver_expect(d, MESSAGE_STARTED);
    pid_t pid = (pid_t)driver_u64(d, TAG_PAYLOAD_PID, 0);
    assert_int_equal(driver_u64(d, TAG_PAYLOAD_START, 0), proc_start_time(pid));
    driver_expect(d, MESSAGE_STEP);
    assert_true(*driver_text(d, TAG_STEP) == 'c' || *driver_text(d, TAG_STEP) == 'e');
    driver_expect(d, MESSAGE_RUNNING);
    assert_int_equal(getsid(pid), pid);
    assert_int_equal(driver_u64(d, TAG_ATTEMPT, 0), 1);
    driver_expect(d, MESSAGE_SPOOLED);
    driver_expect(d, MESSAGE_EXITED);
    assert_exit(d, 0, 0);
    driver_assert_log(d, "the spec\nerr\nin: \n");
    driver_ack(d, 1);
    driver_note(d, "the end");
    driver_quit(d);
    assert_int_equal(driver_wait_agent(d), 0);
    driver_assert_log(d, "the spec\nerr\nin: \nthe end\n");
}

/* Nothing of the sub-agent's is open in the payload, no signal ignored or blocked. */
static void test_clean_child(void **state)
{
    struct driver *d = *state;
    run_to_exit(d, "ls -1 /proc/$$/fd; readlink /proc/$$/fd/0 /proc/$$/fd/3\n"
                   "exec sed -nE 's/180000000$/000000000/; s/^Sig(Blk|Ign):.//p' "
                   "/proc/self/status");
    assert_exit(d, 0, 0);
    /* 255 is bash's own, its script. Signals 32 and 33 are the C library's own, and
     * posix_spawn(3) anywhere above us leaves them ignored. */
    driver_assert_log(d, "0\n1\n2\n255\n3\n4\n/dev/null\n/memfd:spec (deleted)\n"
                         "0000000000000000\n0000000000000000\n");
}

static int read_number(const char *path)
{
    auto_buf text = BUF_INIT;
    assert_int_equal(file_read(path, &text, 64, NULL), 0);
    return atoi(buf_str(&text));
}

static bool may_lower_oom_score(void)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        auto_close fd = open("/proc/self/oom_score_adj", O_WRONLY);
        _exit(fd_write_all(fd, "-900", 4) < 0);
    }
    return waitpid(pid, &status, 0) == pid && status == 0;
}

/* The sub-agent is spared when memory is short, its payload is not. */
static void test_oom_score(void **state)
{
    struct driver *d = *state;
    if (!may_lower_oom_score()) {
        print_message("no right to lower oom_score_adj (CAP_SYS_RESOURCE)\n");
        skip();
    }
    driver_begin(d);
    auto_free char *path = xasprintf("/proc/%d/oom_score_adj", (int)d->agent);
    assert_int_equal(read_number(path), -900);
    driver_start(d, &(struct start){.script = "cat /proc/self/oom_score_adj"});
    driver_expect(d, MESSAGE_EXITED);
    auto_free char *want = xasprintf("%d\n", read_number("/proc/self/oom_score_adj"));
    driver_assert_log(d, want);
}

static void test_order_and_completeness(void **state)
{
    struct driver *d = *state;
    run_to_exit(d, "seq 1 100000");
    assert_exit(d, 0, 0);
    auto_buf log = BUF_INIT;
    driver_read(d, &log);
    char *p = log.data;
    for (long i = 1; i <= 100000; i++) {
        assert_int_equal(strtol(p, &p, 10), i);
        assert_int_equal(*p++, '\n');
    }
    assert_int_equal(*p, '\0');
    /* The raw file was given back. */
    auto_free char *raw = path_join_dup(d->run_dir, "raw");
    struct stat st;
    driver_sleep(1300);
    assert_int_equal(stat(raw, &st), 0);
    assert_int_equal(st.st_size, log.len);
    assert_true(st.st_blocks * 512 <= 4096);
}

static void test_exit_codes(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    for (uint32_t i = 1; i <= 3; i++) {
        static const char *const script[] = {"exit 7", "kill -9 $$", "kill -TERM $$"};
        static const int code[] = {7, -1, -1}, sig[] = {0, SIGKILL, SIGTERM};
        driver_start(d, &(struct start){.attempt = i, .script = script[i - 1]});
        driver_expect(d, MESSAGE_EXITED);
        assert_int_equal(driver_u64(d, TAG_ATTEMPT, 0), i);
        assert_exit(d, code[i - 1], sig[i - 1]);
        driver_ack(d, i);
    }
}

static void test_text_of_any_kind(void **state)
{
    struct driver *d = *state;
    run_to_exit(d,
                "printf 'a\\r\\n10%%\\r20%%\\nx\\000y\\377\\n\\033[0m\\nno newline'");
    driver_assert_log(d, "a\n20%\nx\xef\xbf\xbdy\xef\xbf\xbd\nno newline\n");
}

static void test_partial_line_is_shown(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    driver_start(d, &(struct start){.script = "printf 'password: '; sleep 60"});
    int64_t begin = clock_boot_ms();
    assert_true(driver_wait_log(d, "password: \n"));
    assert_true(clock_boot_ms() - begin >= 4900);
    assert_true(clock_boot_ms() - begin < 15000);
}

static void test_setup_fails(void **state)
{
    struct driver *d = *state;
    run_to_exit(d,
                "echo step clone >&4; echo fail clone no such repository >&4; exit 1");
    assert_exit(d, 1, 0);
    assert_string_equal(driver_text(d, TAG_STEP), "clone");
    assert_string_equal(driver_text(d, TAG_TEXT), "no such repository");
}

static void test_setup_is_killed(void **state)
{
    struct driver *d = *state;
    run_to_exit(d, "echo step clone >&4; kill -9 $$");
    assert_exit(d, -1, SIGKILL);
    assert_string_equal(driver_text(d, TAG_STEP), "clone");
}

static void test_hostile_status(void **state)
{
    struct driver *d = *state;
    run_to_exit(d, "head -c 100000 /dev/urandom >&4; echo >&4; echo nonsense >&4\n"
                   "printf 'fail a\\377\\001 b\\000c\\n' >&4; exit 1");
    assert_exit(d, 1, 0);
    assert_string_equal(driver_text(d, TAG_STEP), "a??");
    assert_string_equal(driver_text(d, TAG_TEXT), "b?c");
}

static void test_no_program(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    driver_start(d, &(struct start){.script = NULL});
    driver_expect(d, MESSAGE_EXITED);
    assert_exit(d, 127, 0);
    assert_string_equal(driver_text(d, TAG_STEP), "start");
    assert_non_null(strstr(driver_text(d, TAG_TEXT), "No such file"));
}

static void test_no_program_of_a_long_name(void **state)
{
    struct driver *d = *state;
    char path[500];
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    driver_begin(d);
    auto_close spec = fd_sealed("spec", "the spec", 8);
    message_begin(&d->out, MESSAGE_START, 0);
    message_add_u64(&d->out, TAG_ATTEMPT, 1);
    message_add_text(&d->out, TAG_PREPARE_PATH, path);
    driver_send(d, spec);
    driver_expect(d, MESSAGE_EXITED);
    assert_exit(d, 127, 0);
    assert_string_equal(driver_text(d, TAG_STEP), "start");
}

static void test_no_group(void **state)
{
    struct driver *d = *state;
    d->groups = 1;
    snprintf(d->group[0], sizeof d->group[0], "%s/missing", d->top);
    driver_begin(d);
    driver_start(d, &(struct start){.script = "echo never"});
    driver_expect(d, MESSAGE_EXITED);
    assert_string_equal(driver_text(d, TAG_STEP), "start");
    driver_assert_log(d, "");
}

static pid_t first_number(struct driver *d)
{
    auto_buf log = BUF_INIT;
    assert_true(driver_wait_log(d, "\n"));
    driver_read(d, &log);
    return (pid_t)atoi(buf_str(&log));
}

static void test_daemon_is_left_behind(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    driver_start(d, &(struct start){
                        .script =
                            "setsid bash -c 'echo $BASHPID; trap \"\" TERM; exec sleep "
                            "1000' & sleep 0.3; exit 3",
                        .linger_ms = 300});
    pid_t pid = first_number(d);
    driver_expect(d, MESSAGE_EXITED);
    assert_exit(d, 3, 0);
    auto_free char *left = xasprintf("sleep (%d)", (int)pid);
    assert_string_equal(driver_text(d, TAG_LEFT_BEHIND), left);
    assert_true(driver_process_gone(pid));
}

/* The streams had time to end: what is written meanwhile is in the log. */
static void test_linger(void **state)
{
    struct driver *d = *state;
    run_to_exit(d, "(sleep 0.4; echo late) & exit 0");
    assert_exit(d, 0, 0);
    assert_string_equal(driver_text(d, TAG_LEFT_BEHIND), "");
    driver_assert_log(d, "late\n");
}

static void test_stop_with_grace(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    driver_start(d, &(struct start){.script = "trap 'echo bye; exit 4' TERM; echo up\n"
                                              "while :; do sleep 0.05; done",
                                    .grace_ms = 50000});
    assert_true(driver_wait_log(d, "up\n"));
    driver_stop(d, 50000);
    driver_expect(d, MESSAGE_EXITED);
    assert_exit(d, 4, 0);
    driver_assert_log(d, "up\nbye\n");
}

static void test_stop_of_the_deaf(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    driver_start(d, &(struct start){.script = "trap '' TERM; echo up\n"
                                              "while :; do sleep 0.05; done"});
    assert_true(driver_wait_log(d, "up\n"));
    int64_t begin = clock_boot_ms();
    driver_stop(d, 300);
    driver_expect(d, MESSAGE_EXITED);
    assert_true(clock_boot_ms() - begin >= 300);
    assert_exit(d, -1, SIGKILL);
    assert_string_equal(driver_text(d, TAG_LEFT_BEHIND), "");
}

static void test_stop_at_once(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    driver_start(d, &(struct start){.script = "sleep 1000"});
    driver_stop(d, 0);
    driver_expect(d, MESSAGE_EXITED);
    /* The STOP may be read before the payload was let go: then nothing of it ran. */
    bool killed = driver_u64(d, TAG_EXIT_SIGNAL, 0) == SIGKILL;
    assert_true(killed || strcmp(driver_text(d, TAG_STEP), "start") == 0);
    assert_exit(d, -1, killed ? SIGKILL : 0);
}

static void test_time_out(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    driver_start(d,
                 &(struct start){.script = "trap '' TERM; while :; do sleep 0.05; done",
                                 .timeout_ms = 200,
                                 .grace_ms = 100});
    driver_expect(d, MESSAGE_EXITED);
    assert_exit(d, -1, SIGKILL);
    assert_int_equal(driver_u64(d, TAG_TIMED_OUT, 0), 1);
    struct spool_entry e;
    assert_int_equal(spool_find_exit(d->state_dir, &e, NULL), 1);
    assert_true(e.exit.timed_out);
}

static void test_attempts_and_notes(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    driver_note(d, "note 0");
    for (uint32_t i = 1; i <= 3; i++) {
        auto_free char *script = xasprintf("echo attempt %u", i);
        driver_start(d, &(struct start){.attempt = i, .script = script});
        driver_expect(d, MESSAGE_EXITED);
        assert_int_equal(driver_u64(d, TAG_ATTEMPT, 0), i);
        /* A repeated START is answered, not carried out. */
        driver_start(d, &(struct start){.attempt = i, .script = "echo again"});
        driver_expect(d, MESSAGE_EXITED);
        driver_ack(d, i);
        auto_free char *note = xasprintf("note %u", i);
        driver_note(d, note);
    }
    driver_quit(d);
    assert_int_equal(driver_wait_agent(d), 0);
    driver_assert_log(d, "note 0\nattempt 1\nnote 1\nattempt 2\nnote 2\nattempt 3\n"
                         "note 3\n");
}

/* What the log must not show cannot be read: nothing is begun. */
static void test_no_start_without_a_mask(void **state)
{
    struct driver *d = *state;
    int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    driver_begin(d);
    message_begin(&d->out, MESSAGE_LOG, 0);
    driver_send(d, folder);
    driver_start(d, &(struct start){.script = "echo secret"});
    driver_expect(d, MESSAGE_EXITED);
    char step[32];
    assert_true(message_get_text(&d->in, TAG_STEP, step, sizeof step));
    assert_string_equal(step, "start");
    driver_assert_log(d, "");
    /* It is told anew with each attempt. */
    driver_ack(d, 1);
    message_begin(&d->out, MESSAGE_LOG, 0);
    driver_send(d, fd_sealed("mask", "v secret\n", 9));
    driver_start(d, &(struct start){.attempt = 2, .script = "echo secret"});
    driver_expect(d, MESSAGE_EXITED);
    assert_exit(d, 0, 0);
    driver_assert_log(d, "****\n");
    close(folder);
}

static void test_lock(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    pid_t first = d->agent;
    driver_spawn(d);
    assert_int_equal(WEXITSTATUS(driver_wait_agent(d)), 75);
    d->agent = first;
}

static void test_signals_do_not_end_it(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    static const int signals[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGUSR1};
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        kill(d->agent, signals[i]);
    driver_start(d, &(struct start){.script = "echo fine"});
    driver_expect(d, MESSAGE_EXITED);
    driver_assert_log(d, "fine\n");
}

/* Not while a payload lives. */
static void test_quit_waits_for_the_payload(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    driver_start(d, &(struct start){.script = "sleep 0.3; echo done"});
    driver_quit(d);
    driver_expect(d, MESSAGE_EXITED);
    driver_assert_log(d, "done\n");
}

static void test_endless_line(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    driver_start(d,
                 &(struct start){.script = "head -c 33554432 /dev/zero | tr '\\0' x"});
    driver_expect(d, MESSAGE_EXITED);
    auto_buf log = BUF_INIT;
    driver_read(d, &log);
    size_t x = 0;
    for (size_t i = 0; i < log.len; i++)
        x += log.data[i] == 'x';
    assert_int_equal(x, 33554432);
#ifndef __SANITIZE_ADDRESS__
    auto_free char *path = xasprintf("/proc/%d/status", (int)d->agent);
    auto_buf status = BUF_INIT;
    assert_int_equal(file_read(path, &status, 65536, NULL), 0);
    assert_true(atoi(strstr(status.data, "VmHWM:") + 6) < 2048);
#endif
}

int main(void)
{
#define DRIVEN(f) cmocka_unit_test_setup_teardown(f, driver_setup, driver_teardown)
    const struct CMUnitTest tests[] = {
        DRIVEN(test_life),
        DRIVEN(test_clean_child),
        DRIVEN(test_oom_score),
        DRIVEN(test_order_and_completeness),
        DRIVEN(test_exit_codes),
        DRIVEN(test_text_of_any_kind),
        DRIVEN(test_partial_line_is_shown),
        DRIVEN(test_setup_fails),
        DRIVEN(test_setup_is_killed),
        DRIVEN(test_hostile_status),
        DRIVEN(test_no_program),
        DRIVEN(test_no_program_of_a_long_name),
        DRIVEN(test_no_group),
        DRIVEN(test_daemon_is_left_behind),
        DRIVEN(test_linger),
        DRIVEN(test_stop_with_grace),
        DRIVEN(test_stop_of_the_deaf),
        DRIVEN(test_stop_at_once),
        DRIVEN(test_time_out),
        DRIVEN(test_attempts_and_notes),
        DRIVEN(test_no_start_without_a_mask),
        DRIVEN(test_lock),
        DRIVEN(test_signals_do_not_end_it),
        DRIVEN(test_quit_waits_for_the_payload),
        DRIVEN(test_endless_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
