/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "cgroup/cgroup-internal.h"

#include <string.h>
#include <unistd.h>

static void none_stays_none(void **state)
{
    struct limits l = LIMITS_NONE, none = LIMITS_NONE;
    limits_clamp(&l);
    assert_memory_equal(&l, &none, sizeof l);
    l.memory = -7;
    l.pids = INT64_MIN;
    limits_clamp(&l);
    assert_int_equal(l.memory, LIMIT_NONE);
    assert_int_equal(l.pids, LIMIT_NONE);
}

static void extremes_are_clamped(void **state)
{
    int64_t page = sysconf(_SC_PAGESIZE);
    struct limits l = {0, 0, "", 0, 0, 0, 0, 0, 0, 0, 0, 0};
    limits_clamp(&l);
    assert_int_equal(l.cpu_milli, 1);
    assert_int_equal(l.cpu_weight, 1);
    assert_int_equal(l.memory, page);
    assert_int_equal(l.memory_swap, page);
    assert_int_equal(l.pids, 1);
    assert_int_equal(l.read_bps, 2);
    l = (struct limits){INT64_MAX, INT64_MAX, "",        INT64_MAX,
                        INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX,
                        INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX};
    limits_clamp(&l);
    assert_int_equal(l.cpu_weight, 10000);
    assert_int_equal(l.io_weight, 10000);
    assert_int_equal(l.memory, INT64_MAX / page * page);
    assert_int_equal(l.pids, 4194304);
    assert_int_equal(l.write_iops, 4294967294);
}

static void swap_includes_memory(void **state)
{
    struct limits l = LIMITS_NONE;
    l.memory_swap = 64 << 20;
    limits_clamp(&l);
    assert_int_equal(l.memory, 64 << 20);
    l.memory = 128 << 20;
    limits_clamp(&l);
    assert_int_equal(l.memory_swap, 128 << 20);
    l.memory = (128 << 20) + 5;
    limits_clamp(&l);
    assert_int_equal(l.memory, 128 << 20);
}

static void cpuset_is_terminated(void **state)
{
    struct limits l = LIMITS_NONE;
    memset(l.cpuset, '1', sizeof l.cpuset);
    limits_clamp(&l);
    assert_int_equal(strlen(l.cpuset), sizeof l.cpuset - 1);
}

static void quota_is_never_below_a_millisecond(void **state)
{
    int64_t quota, period;
    static const int64_t milli[] = {1, 9, 10, 500, 1000, 10000000};
    for (size_t i = 0; i < sizeof milli / sizeof milli[0]; i++) {
        cgroup_cpu_quota(milli[i], &quota, &period);
        assert_true(quota >= 1000);
        assert_true(period >= 1000 && period <= 1000000);
        assert_int_equal(quota * 1000 / period, milli[i]);
    }
}

static void differences_are_named(void **state)
{
    struct limits wanted = LIMITS_NONE, have = LIMITS_NONE;
    char names[LIMITS_NAMES_SIZE];
    assert_true(limits_none(&wanted));
    assert_int_equal(limits_differ(&wanted, &have), 0);
    have.pids = 5; /* more than was asked for is no loss */
    assert_int_equal(limits_differ(&wanted, &have), 0);
    wanted.memory = 100;
    wanted.pids = 5;
    strcpy(wanted.cpuset, "0,1,3");
    strcpy(have.cpuset, "0-1,3");
    assert_false(limits_none(&wanted));
    assert_string_equal(limits_names(limits_differ(&wanted, &have), names), "memory");
    have.memory = 100;
    have.pids = LIMIT_NONE;
    strcpy(have.cpuset, "0-3");
    assert_string_equal(limits_names(limits_differ(&wanted, &have), names),
                        "pids, cpuset");
    assert_true(strlen(limits_names(~0u, names)) < LIMITS_NAMES_SIZE - 20);
    wanted = have = (struct limits)LIMITS_NONE;
    wanted.io_weight = 910;
    assert_int_equal(limits_differ(&wanted, &have), 0);
    wanted.io_weight = 911;
    assert_string_equal(limits_names(limits_differ(&wanted, &have), names),
                        "io weight");
    strcpy(wanted.cpuset, "4000000000-,,x");
    limits_differ(&wanted, &have);
}

static void pressure_is_read(void **state)
{
    struct psi p;
    assert_true(psi_parse("some avg10=1.50 avg60=0.25 avg300=3.00 total=77\n"
                          "full avg10=0.00 avg60=0.00 avg300=61.20 total=5\n",
                          &p));
    assert_true(p.known && p.some.avg10 == 1.5 && p.some.total_usec == 77);
    assert_true(p.full.avg300 == 61.2);
    assert_true(psi_parse("some avg10=1.50 avg60=0.25 avg300=3.00 total=77\n", &p));
    assert_true(p.full.avg300 == 0);
    assert_false(psi_parse("", &p));
    assert_false(psi_parse("some avg10=x\n", &p));
    assert_false(p.known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_stays_none),
        cmocka_unit_test(extremes_are_clamped),
        cmocka_unit_test(swap_includes_memory),
        cmocka_unit_test(cpuset_is_terminated),
        cmocka_unit_test(quota_is_never_below_a_millisecond),
        cmocka_unit_test(differences_are_named),
        cmocka_unit_test(pressure_is_read),
    };
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
