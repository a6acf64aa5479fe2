/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "master/master.h"
#include "master/run.h"
#include "run/run-dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TASK "0123456789abcdef0123456789abcdef"

struct fixture {
    struct master master;
    struct run run;
    char root[64];
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    *state = f;
    strcpy(f->root, "/tmp/reeve-state-XXXXXX");
    if (!mkdtemp(f->root))
        return -1;
    f->master.state_root = f->root;
    f->run.master = &f->master;
    strcpy(f->run.id, TASK);
    auto_free char *dir = run_dir_dup(f->root, TASK);
    return dir_make(dir, 0700, NULL);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    int rc = dir_remove_tree(f->root, NULL);
    free(f);
    return rc;
}

static void fill(struct run *run)
{
    run->phase = PHASE_STOPPING;
    run->attempt = 4;
    run->restarts = 3;
    run->failures = 2;
    run->forgiven = 1;
    run->claimed_ms = 1700000000001;
    run->due_ms = 1700000000002;
    strcpy(run->boot, "boot \"x\"\n");
    strcpy(run->claim, "fedcba9876543210fedcba9876543210");
    run->agent_pid = 77;
    run->agent_start = 1234567890123;
    run->payload_pid = 78;
    run->start_sent = true;
    run->recoveries = 2;
    run->stop = STOP_SERVER;
    strcpy(run->stop_text, "by \x01 somebody");
    run->stop_grace_ms = 30000;
    run->ship.last_ms = 1700000000003;
    run->have_exit = true;
    run->exit = (struct spool_exit){.code = -1, .signal = 9, .timed_out = true};
    strcpy(run->exit.left, "sleep (5)");
    /* Of the attempt before: this one has not ended. */
    strcpy(run->verdict.reason, "oom");
    strcpy(run->verdict.by, "drain");
}

static void test_everything_comes_back(void **state)
{
    struct fixture *f = *state;
    fill(&f->run);
    run_state_save(&f->run);
    struct run back = {.master = &f->master};
    strcpy(back.id, TASK);
    assert_int_equal(run_state_load(&back, NULL), 0);
    assert_int_equal(back.phase, PHASE_STOPPING);
    assert_int_equal(back.attempt, 4);
    assert_int_equal(back.restarts, 3);
    assert_int_equal(back.failures, 2);
    assert_int_equal(back.forgiven, 1);
    assert_true(back.claimed_ms == 1700000000001 && back.due_ms == 1700000000002);
    assert_string_equal(back.boot, f->run.boot);
    assert_string_equal(back.claim, f->run.claim);
    assert_int_equal(back.agent_pid, 77);
    assert_true(back.agent_start == 1234567890123);
    assert_int_equal(back.payload_pid, 78);
    assert_true(back.start_sent);
    assert_int_equal(back.recoveries, 2);
    assert_int_equal(back.stop, STOP_SERVER);
    assert_string_equal(back.stop_text, f->run.stop_text);
    assert_int_equal(back.stop_grace_ms, 30000);
    assert_true(back.ship.last_ms == 1700000000003);
    assert_true(back.have_exit && back.exit.timed_out);
    assert_int_equal(back.exit.code, -1);
    assert_int_equal(back.exit.signal, 9);
    assert_string_equal(back.exit.left, "sleep (5)");
    assert_false(back.have_verdict);
    assert_int_equal(back.verdict.kind, VERDICT_OOM);
    assert_string_equal(back.verdict.reason, "oom");
    assert_string_equal(back.verdict.by, "drain");
}

static void write_state(struct fixture *f, const char *data, size_t n)
{
    auto_free char *path = run_file_dup(f->root, TASK, "state");
    assert_int_equal(file_replace(path, data, n, 0600, false, NULL), 0);
}

static void assert_refused(struct fixture *f)
{
    struct run back = {.master = &f->master};
    struct reeve_error err = {0};
    strcpy(back.id, TASK);
    assert_int_equal(run_state_load(&back, &err), -1);
    assert_true(err.text[0]);
}

/* Whatever is cut off or changed, it is not taken for a state. */
static void test_damage_is_seen(void **state)
{
    struct fixture *f = *state;
    fill(&f->run);
    auto_free char *text = run_state_format_dup(&f->run);
    size_t n = strlen(text);
    for (size_t i = 0; i < n - 2; i += 7) {
        write_state(f, text, i);
        assert_refused(f);
    }
    for (size_t i = 0; i < n - 14; i += 3) {
        text[i] ^= 0x20;
        write_state(f, text, n);
        assert_refused(f);
        text[i] ^= 0x20;
    }
    char zeros[512] = {0};
    write_state(f, zeros, sizeof zeros);
    assert_refused(f);
    write_state(f, "\n", 1);
    assert_refused(f);
}

static bool taken_over(struct run *run, const char *status, const char *message)
{
    auto_json *task = cJSON_CreateObject();
    json_set_str(task, "status", status);
    json_set_str(task, "status_message", message);
    return run_taken_over(run, task);
}

static void test_claims_of_others(void **state)
{
    struct fixture *f = *state;
    struct run *run = &f->run;
    const char *other =
        RUN_CHANGED_WORDS "w" RUN_CLAIM_WORDS "00000000000000000000000000000000]";
    assert_false(taken_over(run, "in_progress", other)); /* ours is not known */
    strcpy(run->claim, "fedcba9876543210fedcba9876543210");
    assert_true(taken_over(run, "in_progress", other));
    assert_true(taken_over(run, "in_progress", "launch by agent"));
    assert_false(taken_over(run, "failed", other));
    assert_false(taken_over(run, "in_progress", "stopping"));
    assert_false(taken_over(run, "in_progress", "words of the task's own"));
    assert_false(taken_over(run, "in_progress",
                            RUN_CHANGED_WORDS "w" RUN_CLAIM_WORDS
                                              "fedcba9876543210fedcba9876543210]"));
    assert_false(run_taken_over(run, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_everything_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_claims_of_others, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
