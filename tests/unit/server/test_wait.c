/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/clock.h"
#include "server/wait.h"

#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct one {
    struct waiter waiter;
    sem_t woken;
    int times;
};

static void on_wake(void *arg)
{
    struct one *o = arg;
    o->times++;
    sem_post(&o->woken);
}

static void init(struct one *o, const char *queue, int64_t ms)
{
    memset(o, 0, sizeof *o);
    sem_init(&o->woken, 0, 0);
    snprintf(o->waiter.queue, sizeof o->waiter.queue, "%s", queue);
    o->waiter.until_ms = clock_boot_ms() + ms;
    o->waiter.wake = on_wake;
    o->waiter.arg = o;
}

static bool woken(struct one *o, int within_ms)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += within_ms / 1000;
    t.tv_nsec += within_ms % 1000 * 1000000L;
    if (t.tv_nsec >= 1000000000L) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000L;
    }
    return sem_timedwait(&o->woken, &t) == 0;
}

static int setup(void **state)
{
    *state = waits_create();
    return 0;
}

static int teardown(void **state)
{
    waits_destroy(*state);
    return 0;
}

static void test_wakes_who_waits_for_that_queue(void **state)
{
    struct waits *w = *state;
    struct one a, b, c;
    init(&a, "q1", 60000);
    init(&b, "q2", 60000);
    init(&c, "q1", 50000);
    assert_true(waits_add(w, &a.waiter, waits_generation(w)));
    assert_true(waits_add(w, &b.waiter, waits_generation(w)));
    assert_true(waits_add(w, &c.waiter, waits_generation(w)));
    waits_note(w, "q1");
    waits_note(w, "q1");
    assert_false(woken(&a, 20));
    waits_flush(w, true);
    assert_true(woken(&a, 5000));
    assert_true(woken(&c, 5000));
    assert_false(woken(&b, 20));
    assert_int_equal(a.times, 1);
    waits_stop(w);
    assert_true(woken(&b, 5000));
}

static void test_times_out_in_order(void **state)
{
    struct waits *w = *state;
    struct one a, b, c;
    init(&a, "q", 60000);
    init(&b, "q", 120);
    init(&c, "q", 60);
    assert_true(waits_add(w, &a.waiter, waits_generation(w)));
    assert_true(waits_add(w, &b.waiter, waits_generation(w)));
    assert_true(waits_add(w, &c.waiter, waits_generation(w)));
    assert_true(woken(&c, 5000));
    assert_true(woken(&b, 5000));
    assert_true(clock_boot_ms() >= b.waiter.until_ms);
    assert_false(woken(&a, 20));
    waits_stop(w);
    assert_true(woken(&a, 5000));
}

/* A push between the look into the queue and waits_add must not be slept through. */
static void test_no_wait_after_a_push(void **state)
{
    struct waits *w = *state;
    struct one a;
    init(&a, "q", 60000);
    uint64_t before = waits_generation(w);
    waits_note(w, "q");
    waits_flush(w, true);
    assert_false(waits_add(w, &a.waiter, before));
    assert_true(waits_add(w, &a.waiter, waits_generation(w)));
    waits_stop(w);
    assert_true(woken(&a, 5000));
}

static void test_a_failed_commit_wakes_nobody(void **state)
{
    struct waits *w = *state;
    struct one a;
    init(&a, "q", 60000);
    assert_true(waits_add(w, &a.waiter, waits_generation(w)));
    waits_note(w, "q");
    waits_flush(w, false);
    assert_false(woken(&a, 20));
    waits_flush(w, true);
    assert_false(woken(&a, 20));
    waits_stop(w);
    assert_true(woken(&a, 5000));
    assert_false(waits_add(w, &a.waiter, waits_generation(w)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_wakes_who_waits_for_that_queue, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_times_out_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_wait_after_a_push, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_failed_commit_wakes_nobody, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
