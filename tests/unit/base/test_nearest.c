/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/nearest.h"

#include <stddef.h>

static const char *best(const char *word)
{
    static const char *const known[] = {"queue",         "order-fairness", "gpus",
                                        "services-mode", "stop",           "status"};
    struct nearest n = NEAREST_INIT(word);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        nearest_try(&n, known[i]);
    return n.best;
}

static void test_slips_of_the_keyboard(void **state)
{
    assert_string_equal(best("queeu"), "queue");
    assert_string_equal(best("queues"), "queue");
    assert_string_equal(best("gups"), "gpus");
    assert_string_equal(best("service-mode"), "services-mode");
    assert_string_equal(best("order_fairness"), "order-fairness");
    assert_string_equal(best("Order-Fairnes"), "order-fairness");
    assert_string_equal(best("stauts"), "status");
}

static void test_the_beginning_of_a_word(void **state)
{
    assert_string_equal(best("order"), "order-fairness");
    assert_string_equal(best("serv"), "services-mode");
}

static void test_nothing_near(void **state)
{
    assert_null(best("memory"));
    assert_null(best(""));
    assert_null(best("x"));
    assert_null(
        best("a-word-that-is-far-longer-than-any-option-could-be-and-longer-than-"
             "what-is-looked-at-of-a-word-at-all"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slips_of_the_keyboard),
        cmocka_unit_test(test_the_beginning_of_a_word),
        cmocka_unit_test(test_nothing_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
