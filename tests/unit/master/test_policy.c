/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/json.h"
#include "master/policy.h"

#include <signal.h>
#include <string.h>

static void test_round_trip(void **state)
{
    struct policy p = {
        .limits = LIMITS_NONE,
        .restart = RESTART_ON_FAILURE,
        .restart_max = 3,
        .grace_ms = 1234,
        .timeout_ms = 99,
        .setup_timeout_ms = 77,
        .log_budget = 4 << 20,
        .nofile_soft = 40,
        .nofile_hard = LIMIT_NONE,
        .disk = 12345,
        .stop_signal = SIGINT,
    };
    p.limits.memory = 64 << 20;
    p.limits.cpu_milli = 500;
    p.limits.pids = 10;
    p.limits.write_iops = 7;
    p.limits.io_weight = 300;
    strcpy(p.limits.cpuset, "0-1");
    auto_json *json = policy_to_json(&p);
    struct policy back;
    policy_from_json(json, &back);
    assert_int_equal(back.restart, RESTART_ON_FAILURE);
    assert_int_equal(back.restart_max, 3);
    assert_int_equal(back.grace_ms, 1234);
    assert_int_equal(back.timeout_ms, 99);
    assert_int_equal(back.stop_signal, SIGINT);
    assert_int_equal(back.limits.memory, 64 << 20);
    assert_int_equal(back.limits.cpu_milli, 500);
    assert_int_equal(back.limits.pids, 10);
    assert_int_equal(back.limits.write_iops, 7);
    assert_int_equal(back.limits.read_bps, LIMIT_NONE);
    assert_string_equal(back.limits.cpuset, "0-1");
    assert_int_equal(back.limits.io_weight, 300);
    assert_int_equal(back.setup_timeout_ms, 77);
    assert_int_equal(back.log_budget, 4 << 20);
    assert_int_equal(back.nofile_soft, 40);
    assert_int_equal(back.nofile_hard, LIMIT_NONE);
    assert_int_equal(back.disk, 12345);
}

/* The file `limits`: an earlier version wrote the cgroup's values alone. */
static void test_limits_file(void **state)
{
    struct policy p, back;
    policy_from_json(NULL, &p);
    p.limits.memory = 64 << 20;
    p.restart = RESTART_ALWAYS;
    p.timeout_ms = 5000;
    auto_json *json = policy_limits_to_json(&p);
    policy_from_json(NULL, &back);
    policy_limits_from_json(json, &back);
    assert_int_equal(back.restart, RESTART_ALWAYS);
    assert_int_equal(back.timeout_ms, 5000);
    assert_int_equal(back.limits.memory, 64 << 20);
    assert_int_equal(back.nofile_hard, LIMIT_NONE);
    auto_json *old = limits_to_json(&p.limits);
    back.limits.memory = 1;
    policy_limits_from_json(old, &back);
    assert_int_equal(back.limits.memory, 64 << 20);
    assert_int_equal(back.timeout_ms, 5000);
}

static void test_defaults_for_what_is_missing(void **state)
{
    struct policy p;
    policy_from_json(NULL, &p);
    assert_int_equal(p.restart, RESTART_NO);
    assert_int_equal(p.limits.memory, LIMIT_NONE);
    assert_int_equal(p.stop_signal, SIGTERM);
}

static void test_wants_restart(void **state)
{
    struct policy p = {.restart = RESTART_NO};
    assert_false(policy_wants_restart(&p, false, 0));
    p.restart = RESTART_ON_FAILURE;
    assert_true(policy_wants_restart(&p, false, 1000));
    assert_false(policy_wants_restart(&p, true, 0));
    p.restart_max = 2;
    assert_true(policy_wants_restart(&p, false, 1));
    assert_false(policy_wants_restart(&p, false, 2));
    p.restart = RESTART_ALWAYS;
    assert_true(policy_wants_restart(&p, true, 1000));
    p.restart = RESTART_UNLESS_STOPPED;
    assert_true(policy_wants_restart(&p, true, 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_defaults_for_what_is_missing),
        cmocka_unit_test(test_wants_restart),
        cmocka_unit_test(test_limits_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
