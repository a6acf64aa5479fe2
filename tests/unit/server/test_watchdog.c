/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "server/watchdog.h"

#define SILENCE 7200
#define INTERVAL 900
#define EVERY 5

struct clocks {
    struct watchdog w;
    int64_t boot, wall;
};

static struct clocks started(void)
{
    struct clocks c = {.boot = 1000, .wall = 1700000000000};
    watchdog_start(&c.w, SILENCE, INTERVAL, EVERY, c.boot, c.wall);
    return c;
}

/* Seconds until it is due, as it is asked; 0: not within a day. */
static int64_t until_due(struct clocks *c)
{
    for (int64_t s = EVERY; s < 86400; s += EVERY) {
        c->boot += EVERY * 1000;
        c->wall += EVERY * 1000;
        if (watchdog_due(&c->w, c->boot, c->wall))
            return s;
    }
    return 0;
}

static void test_due_each_interval(void **state)
{
    struct clocks c = started();
    assert_int_equal(until_due(&c), INTERVAL);
    assert_int_equal(until_due(&c), INTERVAL);
    c.boot += 20 * 1000; /* a host that has much to do */
    c.wall += 20 * 1000;
    assert_int_equal(until_due(&c), INTERVAL - 20);
}

static void test_another_interval_after_a_gap(void **state)
{
    static const struct {
        int64_t boot, wall; /* s */
    } gaps[] = {{3600, 3600}, {0, 86400}, {0, -86400}, {7200, 0}};
    for (size_t i = 0; i < sizeof gaps / sizeof gaps[0]; i++) {
        struct clocks c = started();
        c.boot += gaps[i].boot * 1000;
        c.wall += gaps[i].wall * 1000;
        assert_int_equal(until_due(&c), EVERY + INTERVAL);
        assert_int_equal(until_due(&c), INTERVAL);
    }
}

static void test_never(void **state)
{
    struct clocks c = started();
    watchdog_start(&c.w, 0, INTERVAL, EVERY, c.boot, c.wall);
    assert_int_equal(until_due(&c), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_due_each_interval),
        cmocka_unit_test(test_another_interval_after_a_gap),
        cmocka_unit_test(test_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
