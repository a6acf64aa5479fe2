/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "master/verdict.h"

#include <string.h>

static struct verdict judge(struct verdict_input in)
{
    struct verdict v;
    if (!in.abort_text)
        in.abort_text = "";
    verdict_make(&in, &v);
    return v;
}

static void test_exit_codes(void **state)
{
    struct spool_exit e = {.code = 0};
    struct verdict v = judge((struct verdict_input){.exit = &e, .memory_limit = -1});
    assert_true(verdict_success(&v));
    assert_string_equal(v.reason, "exit:0");
    e.code = 3;
    v = judge((struct verdict_input){.exit = &e, .memory_limit = -1});
    assert_false(verdict_success(&v));
    assert_string_equal(v.reason, "exit:3");
}

static void test_signal(void **state)
{
    struct spool_exit e = {.code = -1, .signal = 11};
    struct verdict v = judge((struct verdict_input){.exit = &e, .memory_limit = -1});
    assert_string_equal(v.reason, "signal:11");
    assert_non_null(strstr(v.text, "SIGSEGV"));
    assert_false(verdict_success(&v));
}

static void test_oom_with_limit_and_peak(void **state)
{
    struct spool_exit e = {.code = -1, .signal = 9};
    struct cgroup_stat s = {.oom = 1, .oom_kill = 1, .memory_peak = 64 << 20};
    struct verdict v =
        judge((struct verdict_input){.exit = &e, .stat = &s, .memory_limit = 64 << 20});
    assert_string_equal(v.reason, "oom");
    assert_non_null(strstr(v.text, "limit 64.0 MiB"));
    assert_non_null(strstr(v.text, "peak 64.0 MiB"));
    /* A kernel that counts no peak: the limit was reached. */
    s.memory_peak = -1;
    v = judge((struct verdict_input){.exit = &e, .stat = &s, .memory_limit = 64 << 20});
    assert_non_null(strstr(v.text, "peak 64.0 MiB"));
    s.oom = 0;
    v = judge((struct verdict_input){.exit = &e, .stat = &s, .memory_limit = 64 << 20});
    assert_non_null(strstr(v.text, "peak unknown"));
}

static void test_oom_of_a_child_that_the_run_survives(void **state)
{
    struct spool_exit e = {.code = 0};
    struct cgroup_stat s = {.oom = 1, .oom_kill = 1};
    struct verdict v = judge((struct verdict_input){.exit = &e, .stat = &s});
    assert_true(verdict_success(&v));
}

static void test_oom_of_a_child_that_fails_the_run(void **state)
{
    struct spool_exit e = {.code = 1};
    struct cgroup_stat s = {.oom = 1, .oom_kill = 1};
    struct verdict v = judge((struct verdict_input){.exit = &e, .stat = &s});
    assert_string_equal(v.reason, "oom");
}

static void test_host_oom_is_not_the_runs_own(void **state)
{
    struct spool_exit e = {.code = -1, .signal = 9};
    struct cgroup_stat s = {.oom = 0, .oom_kill = 1};
    struct verdict v = judge((struct verdict_input){.exit = &e, .stat = &s});
    assert_string_equal(v.reason, "host-oom");
    e = (struct spool_exit){.code = 2};
    v = judge((struct verdict_input){.exit = &e, .stat = &s});
    assert_string_equal(v.reason, "exit:2");
}

static void test_plain_kill_is_no_oom(void **state)
{
    struct spool_exit e = {.code = -1, .signal = 9};
    struct cgroup_stat s = {0};
    struct verdict v = judge((struct verdict_input){.exit = &e, .stat = &s});
    assert_string_equal(v.reason, "signal:9");
}

static void test_setup(void **state)
{
    struct spool_exit e = {.code = 1, .step = "clone", .text = "no such host"};
    struct cgroup_stat s = {.oom = 1};
    struct verdict v = judge((struct verdict_input){.exit = &e});
    assert_string_equal(v.reason, "setup:clone");
    assert_non_null(strstr(v.text, "no such host"));
    v = judge((struct verdict_input){.exit = &e, .stat = &s});
    assert_string_equal(v.reason, "setup:clone");
    assert_non_null(strstr(v.text, "out of memory"));
}

static void test_killed_in_setup(void **state)
{
    struct spool_exit e = {.code = -1, .signal = 9, .step = "clone"};
    struct verdict v = judge((struct verdict_input){.exit = &e});
    assert_string_equal(v.reason, "setup:clone");
    assert_non_null(strstr(v.text, "SIGKILL"));
    e = (struct spool_exit){
        .code = -1, .signal = 15, .step = "clone", .timed_out = true};
    v = judge((struct verdict_input){.exit = &e});
    assert_string_equal(v.reason, "timeout");
    assert_non_null(strstr(v.text, "clone"));
}

static void test_disk(void **state)
{
    struct spool_exit e = {.code = 0};
    struct verdict v = judge((struct verdict_input){
        .exit = &e, .over_disk = 6 << 20, .disk_limit = 5 << 20});
    assert_string_equal(v.reason, "disk");
    assert_string_equal(v.text,
                        "stopped: its folder has 6.0 MiB, its quota is 5.0 MiB");
    assert_false(verdict_success(&v));
}

static void test_refused(void **state)
{
    struct spool_exit e = {.code = -1, .step = STEP_REFUSED, .text = "too large"};
    struct verdict v = judge((struct verdict_input){.exit = &e});
    assert_string_equal(v.reason, "refused");
    assert_int_equal(v.kind, VERDICT_REFUSED);
    assert_string_equal(v.text, "refused: too large");
    assert_string_equal(verdict_call(&v), "tasks.failed");
}

static void test_words(void **state)
{
    static const char *const reasons[] = {
        "exit:0",  "signal:9",    "oom",        "host-oom", "timeout", "setup:clone",
        "aborted", "host-reboot", "agent-lost", "refused",  "disk"};
    for (int i = 0; i < VERDICT_COUNT; i++)
        assert_int_equal(verdict_kind_of(reasons[i]), i);
    assert_int_equal(verdict_kind_of(""), -1);
    assert_int_equal(verdict_kind_of("exits:0"), -1);
    assert_int_equal(verdict_kind_of("ex:0"), -1);
}

/* The run succeeded; that a child of it was killed is told, and changes nothing. */
static void test_warning_of_memory(void **state)
{
    struct spool_exit e = {.code = 0};
    struct cgroup_stat s = {.oom = 1, .oom_kill = 2};
    struct verdict v = judge((struct verdict_input){.exit = &e, .stat = &s});
    char text[128];
    assert_string_equal(verdict_call(&v), "tasks.completed");
    assert_non_null(strstr(verdict_memory_warning(&v, &s, text), "2 of its processes"));
    e.code = 1;
    v = judge((struct verdict_input){.exit = &e, .stat = &s});
    assert_string_equal(verdict_memory_warning(&v, &s, text), "");
    s = (struct cgroup_stat){0};
    assert_string_equal(verdict_memory_warning(&v, &s, text), "");
}

static void test_timeout_abort_lost_reboot(void **state)
{
    struct spool_exit e = {.code = -1, .signal = 15, .timed_out = true};
    struct verdict v = judge((struct verdict_input){.exit = &e});
    assert_string_equal(v.reason, "timeout");
    v = judge((struct verdict_input){
        .exit = &e, .aborted_by = "operator", .abort_text = "by me"});
    assert_string_equal(v.reason, "aborted");
    assert_non_null(strstr(v.text, "by me"));
    assert_string_equal(v.by, "operator");
    assert_string_equal(verdict_call(&v), "tasks.stopped");
    v = judge((struct verdict_input){.exit = NULL});
    assert_string_equal(v.reason, "agent-lost");
    assert_false(verdict_success(&v));
    v = judge((struct verdict_input){.exit = NULL, .rebooted = true});
    assert_string_equal(v.reason, "host-reboot");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exit_codes),
        cmocka_unit_test(test_signal),
        cmocka_unit_test(test_oom_with_limit_and_peak),
        cmocka_unit_test(test_oom_of_a_child_that_the_run_survives),
        cmocka_unit_test(test_oom_of_a_child_that_fails_the_run),
        cmocka_unit_test(test_host_oom_is_not_the_runs_own),
        cmocka_unit_test(test_plain_kill_is_no_oom),
        cmocka_unit_test(test_setup),
        cmocka_unit_test(test_killed_in_setup),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_disk),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_warning_of_memory),
        cmocka_unit_test(test_timeout_abort_lost_reboot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
