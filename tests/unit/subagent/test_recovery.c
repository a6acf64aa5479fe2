/* SPDX-License-Identifier: Apache-2.0 */
/* Masters and sub-agents that die, disks that fill up: nothing is lost. */
#include "../unit.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "driver.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void test_master_gone_and_back(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    driver_start(d, &(struct start){.script = "exec 4>&-; echo one; sleep 1; echo two\n"
                                              "sleep 3; echo three"});
    driver_expect(d, MESSAGE_RUNNING);
    pid_t pid = 0;
    driver_unlisten(d);
    assert_true(driver_wait_log(d, "two\n"));
    driver_listen(d);
    driver_accept(d);
    assert_int_equal(driver_u64(d, TAG_PHASE, 99), AGENT_RUNNING);
    assert_int_equal(driver_u64(d, TAG_ATTEMPT, 0), 1);
    pid = (pid_t)driver_u64(d, TAG_PAYLOAD_PID, 0);
    assert_int_equal(kill(pid, 0), 0);
    driver_unlisten(d);
    assert_true(driver_wait_log(d, "three\n"));
    assert_true(driver_process_gone(pid));
    for (int i = 0; i < 2; i++) {
        driver_listen(d);
        driver_accept(d);
        assert_int_equal(driver_u64(d, TAG_PHASE, 99), AGENT_EXITED);
        assert_int_equal(driver_u64(d, TAG_EXIT_CODE, 99), 0);
        driver_expect(d, MESSAGE_EXITED);
        assert_int_equal(driver_u64(d, TAG_EXIT_CODE, 99), 0);
        if (i == 0)
            driver_unlisten(d);
    }
    driver_ack(d, 1);
    assert_false(driver_hears(d, MESSAGE_EXITED, 100));
    driver_unlisten(d);
    driver_listen(d);
    driver_accept(d);
    assert_int_equal(driver_u64(d, TAG_PHASE, 99), AGENT_IDLE);
    assert_false(driver_hears(d, MESSAGE_EXITED, 100));
    driver_assert_log(d, "one\ntwo\nthree\n");
}

/* The verdict is there, but the attempt is not over: a master that comes now sees it
 * run. */
static void test_master_comes_while_streams_linger(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    driver_start(
        d, &(struct start){.script = "exec 4>&-; (sleep 1000) & echo gone; exit 3",
                           .linger_ms = 4000});
    driver_expect(d, MESSAGE_STARTED);
    pid_t pid = (pid_t)driver_u64(d, TAG_PAYLOAD_PID, 0);
    assert_true(driver_wait_log(d, "gone\n"));
    driver_note(d, "heard");
    assert_true(driver_wait_log(d, "heard\n"));
    assert_true(driver_process_gone(pid));
    driver_unlisten(d);
    driver_listen(d);
    driver_accept(d);
    assert_int_equal(driver_u64(d, TAG_PHASE, 99), AGENT_RUNNING);
    assert_int_equal(driver_u64(d, TAG_PAYLOAD_PID, 0), pid);
    driver_expect(d, MESSAGE_EXITED);
    assert_int_equal(driver_u64(d, TAG_EXIT_CODE, 99), 3);
    assert_int_equal(strncmp(driver_text(d, TAG_LEFT_BEHIND), "sleep (", 7), 0);
}

/* Idle means idle: without a master nothing is tried until one appears. */
static void test_no_polling_without_a_master(void **state)
{
    struct driver *d = *state;
    char path[64], before[256], after[256];
    driver_begin(d);
    driver_note(d, "hello");
    assert_true(driver_wait_log(d, "hello\n"));
    driver_unlisten(d);
    /* The try after the loss, and giving memory back, are over then. */
    driver_sleep(3500);
    snprintf(path, sizeof path, "/proc/%d/status", (int)d->agent);
    for (int i = 0; i < 2; i++) {
        char *out = i ? after : before, text[4096];
        FILE *f = fopen(path, "r");
        size_t n = fread(text, 1, sizeof text - 1, f);
        fclose(f);
        text[n] = '\0';
        snprintf(out, 256, "%s", strstr(text, "voluntary_ctxt_switches:"));
        if (!i)
            driver_sleep(3000);
    }
    assert_string_equal(before, after);
    driver_listen(d);
    driver_accept(d);
}

static void test_exit_outlives_the_agent(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    driver_start(d, &(struct start){.script = "echo x; exit 9"});
    driver_expect(d, MESSAGE_EXITED);
    driver_kill(d);
    driver_begin(d);
    assert_int_equal(driver_u64(d, TAG_PHASE, 99), AGENT_EXITED);
    assert_int_equal(driver_u64(d, TAG_EXIT_CODE, 99), 9);
    driver_expect(d, MESSAGE_EXITED);
    driver_ack(d, 1);
    driver_start(d, &(struct start){.attempt = 2, .script = "echo y"});
    driver_expect(d, MESSAGE_EXITED);
    driver_assert_log(d, "x\ny\n");
}

/* SIGKILL at random moments under a payload that goes on writing. */
static void test_killed_again_and_again(void **state)
{
    struct driver *d = *state;
    const long lines = 400000;
    int kills = 0;
    srandom(7);
    driver_begin(d);
    driver_start(d, &(struct start){.script = "for i in $(seq 0 79); do\n"
                                              "seq $((i*5000+1)) $((i*5000+5000))\n"
                                              "sleep 0.01; done; echo end"});
    driver_expect(d, MESSAGE_STARTED);
    pid_t payload = (pid_t)driver_u64(d, TAG_PAYLOAD_PID, 0);
    /* Where an agent takes longer to start than it lives, it gets nowhere: not for
     * ever. */
    for (int64_t end = clock_boot_ms() + WAIT_MS / 4; clock_boot_ms() < end; kills++) {
        driver_sleep((int)(random() % 20));
        driver_kill(d);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (kill(payload, 0) < 0)
            break;
        driver_spawn(d);
    }
    for (int64_t end = clock_boot_ms() + WAIT_MS; d->agent; driver_sleep(20)) {
        assert_true(clock_boot_ms() < end);
        waitpid(payload, NULL, WNOHANG);
        if (kill(payload, 0) < 0)
            driver_kill(d);
    }
    driver_unlisten(d);
    driver_listen(d);
    driver_begin(d);
    /* Unless its sub-agent of that moment saw how it ended. */
    driver_seen(d, payload, 0);
    driver_expect(d, MESSAGE_EXITED);
    driver_quit(d);
    assert_int_equal(driver_wait_agent(d), 0);
    auto_buf log = BUF_INIT;
    driver_read(d, &log);
    char *p = log.data;
    for (long i = 1; i <= lines; i++) {
        assert_int_equal(strtol(p, &p, 10), i);
        assert_int_equal(*p++, '\n');
    }
    assert_string_equal(p, "end\n");
    print_message("%d kills over %ld lines\n", kills, lines);
    assert_true(kills > 10);
}

static void small_disk(const char *dir, const char *size)
{
    if (mount("tmpfs", dir, "tmpfs", 0, size) < 0) {
        print_message("no tmpfs: %s\n", strerror(errno));
        skip();
    }
}

static void fill_and_free(struct driver *d, const char *dir, const char *big)
{
    driver_begin(d);
    driver_start(d, &(struct start){.script = "seq 1 200000; exit 5"});
    driver_expect(d, MESSAGE_STARTED);
    pid_t payload = (pid_t)driver_u64(d, TAG_PAYLOAD_PID, 0);
    assert_false(driver_hears(d, MESSAGE_EXITED, 2500));
    assert_int_equal(kill(payload, 0), 0);
    driver_note(d, "a note");
    assert_int_equal(mount("tmpfs", dir, "tmpfs", MS_REMOUNT, big), 0);
    driver_expect(d, MESSAGE_EXITED);
    assert_int_equal(driver_u64(d, TAG_EXIT_CODE, 99), 5);
    auto_buf log = BUF_INIT;
    driver_read(d, &log);
    char *p = log.data;
    int notes = 0;
    for (long i = 1; i <= 200000; i++) {
        for (; strncmp(p, "a note\n", 7) == 0; notes++)
            p += 7;
        assert_int_equal(strtol(p, &p, 10), i);
        assert_int_equal(*p++, '\n');
    }
    for (; strncmp(p, "a note\n", 7) == 0; notes++)
        p += 7;
    assert_int_equal(notes, 1);
    assert_int_equal(*p, '\0');
}

/* The master's own line is no sign that an attempt has begun. */
static void test_note_of_an_attempt_that_has_not_begun(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    driver_start(d, &(struct start){.script = "echo one"});
    driver_expect(d, MESSAGE_EXITED);
    driver_ack(d, 1);
    driver_note(d, "the end");
    assert_true(driver_wait_log(d, "one\nthe end\n"));
    driver_kill(d);
    uint64_t raw;
    struct spool_writer *w = spool_writer_open(d->state_dir, &raw, NULL);
    assert_int_equal(spool_writer_add(w, SPOOL_NOTE, 2, 1, raw, "a note\n", 7, NULL),
                     0);
    spool_writer_close(w);
    driver_spawn(d);
    driver_accept(d);
    assert_int_equal(driver_u64(d, TAG_CERTAIN, 0), 1);
    assert_int_equal(driver_u64(d, TAG_ATTEMPT, 99), 1);
}

static void log_budget(struct driver *d, uint64_t budget, bool away)
{
    message_begin(&d->out, MESSAGE_LOG, 0);
    message_add_u64(&d->out, TAG_LOG_BUDGET, budget);
    message_add_u64(&d->out, TAG_LOG_AWAY, away);
    driver_send(d, -1);
}

static bool dropped(struct driver *d)
{
    auto_buf log = BUF_INIT;
    driver_read(d, &log);
    return strstr(buf_str(&log), " dropped here: log budget of ") != NULL;
}

/* No line is given up while the server takes them, however slowly: not where the budget
 * is reached, and not where it is told anew. A replacement has it before it is told. */
static void test_budget_while_the_server_takes_lines(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    log_budget(d, 2 * SPOOL_BUDGET_MIN, false);
    driver_start(d, &(struct start){.script = "seq 1 9000000"});
    driver_expect(d, MESSAGE_STARTED);
    assert_false(driver_hears(d, MESSAGE_EXITED, 500));
    log_budget(d, SPOOL_BUDGET_MIN, false);
    driver_kill(d);
    driver_spawn(d);
    driver_accept(d);
    assert_false(driver_hears(d, MESSAGE_EXITED, 300));
    uint64_t held = spool_held(d->state_dir);
    assert_true(held > SPOOL_BUDGET_MIN && held <= 2 * SPOOL_BUDGET_MIN);
    assert_false(dropped(d));
    log_budget(d, SPOOL_BUDGET_MIN, true);
    for (int i = 0; i < WAIT_MS / 10 && spool_held(d->state_dir) > SPOOL_BUDGET_MIN;
         i++)
        usleep(10000);
    assert_true(dropped(d));
}

/* It hears its master whatever its notes wait for: a task that prints can be stopped.
 */
static void stop_in_need(struct driver *d, const char *script, const char *dir,
                         const char *big)
{
    driver_begin(d);
    message_begin(&d->out, MESSAGE_LOG, 0);
    message_add_u64(&d->out, TAG_LOG_BUDGET, SPOOL_BUDGET_MIN);
    message_add_u64(&d->out, TAG_LOG_WAIT, 1);
    driver_send(d, -1);
    driver_start(d, &(struct start){.script = script});
    driver_expect(d, MESSAGE_STARTED);
    pid_t payload = (pid_t)driver_u64(d, TAG_PAYLOAD_PID, 0);
    assert_false(driver_hears(d, MESSAGE_EXITED, 500));
    driver_note(d, "one note");
    driver_note(d, "another note");
    driver_stop(d, WAIT_MS);
    for (int i = 0; i < WAIT_MS / 10 && kill(payload, 0) == 0; i++)
        usleep(10000);
    assert_int_equal(kill(payload, 0), -1);
    if (big)
        assert_int_equal(mount("tmpfs", dir, "tmpfs", MS_REMOUNT, big), 0);
    driver_expect(d, MESSAGE_EXITED);
    assert_int_equal(driver_u64(d, TAG_EXIT_SIGNAL, 0), SIGTERM);
    auto_buf log = BUF_INIT;
    driver_read(d, &log);
    const char *one = strstr(buf_str(&log), "\none note\n");
    assert_non_null(one);
    assert_non_null(strstr(one, "\nanother note\n"));
}

static void test_stop_on_a_full_disk(void **state)
{
    struct driver *d = *state;
    small_disk(d->state_dir, "size=300k");
    stop_in_need(d, "exec seq 1 200000", d->state_dir, "size=16m");
}

static void test_stop_over_budget(void **state)
{
    stop_in_need(*state, "exec seq 1 9000000", NULL, NULL);
}

static void test_full_state_disk(void **state)
{
    struct driver *d = *state;
    small_disk(d->state_dir, "size=300k");
    fill_and_free(d, d->state_dir, "size=16m");
}

/* The raw file's disk full of something else, so that not even one page is left. */
static void test_full_run_disk(void **state)
{
    struct driver *d = *state;
    small_disk(d->run_dir, "size=64k");
    driver_begin(d);
    auto_free char *path = xasprintf("%s/other", d->run_dir);
    FILE *f = fopen(path, "w");
    static char junk[65536];
    setvbuf(f, NULL, _IONBF, 0);
    while (fwrite(junk, 4096, 1, f) == 1)
        ;
    fclose(f);
    driver_start(d, &(struct start){.script = "echo through"});
    assert_false(driver_hears(d, MESSAGE_EXITED, 1500));
    unlink(path);
    driver_expect(d, MESSAGE_EXITED);
    driver_assert_log(d, "through\n");
}

/* What cannot be recorded is not begun: a replacement would know nothing of it. */
static void test_start_that_cannot_be_recorded(void **state)
{
    struct driver *d = *state;
    auto_free char *path = path_join_dup(d->run_dir, "attempt");
    auto_close fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (mount("/dev/full", path, NULL, MS_BIND, NULL) < 0) {
        print_message("no mount: %s\n", strerror(errno));
        skip();
    }
    driver_begin(d);
    int result = umount2(path, MNT_DETACH); /* it has it open */
    assert_int_equal(result, 0);
    driver_start(d, &(struct start){.script = "echo begun"});
    driver_expect(d, MESSAGE_EXITED);
    assert_string_equal(driver_text(d, TAG_STEP), "start");
    assert_non_null(strstr(driver_text(d, TAG_TEXT), "No space left"));
    assert_int_equal(driver_u64(d, TAG_EXIT_CODE, 99), 99);
    driver_assert_log(d, "");
    driver_kill(d);
    driver_begin(d);
    assert_int_equal(driver_u64(d, TAG_PHASE, 99), AGENT_EXITED);
    driver_expect(d, MESSAGE_EXITED);
    driver_ack(d, 1);
    driver_start(d, &(struct start){.attempt = 2, .script = "echo through"});
    driver_expect(d, MESSAGE_EXITED);
    assert_int_equal(driver_u64(d, TAG_EXIT_CODE, 99), 0);
    driver_assert_log(d, "through\n");
}

int main(void)
{
#define DRIVEN(f) cmocka_unit_test_setup_teardown(f, driver_setup, driver_teardown)
    const struct CMUnitTest tests[] = {
        DRIVEN(test_master_gone_and_back),
        DRIVEN(test_no_polling_without_a_master),
        DRIVEN(test_master_comes_while_streams_linger),
        DRIVEN(test_exit_outlives_the_agent),
        DRIVEN(test_killed_again_and_again),
        DRIVEN(test_stop_on_a_full_disk),
        DRIVEN(test_note_of_an_attempt_that_has_not_begun),
        DRIVEN(test_stop_over_budget),
        DRIVEN(test_budget_while_the_server_takes_lines),
        DRIVEN(test_full_state_disk),
        DRIVEN(test_full_run_disk),
        DRIVEN(test_start_that_cannot_be_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
