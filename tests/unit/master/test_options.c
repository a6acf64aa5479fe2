/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "master/options.h"

#include <getopt.h>
#include <string.h>

static enum options_result parse(struct options *o, struct reeve_error *err, ...)
{
    char *argv[16] = {"reeved"};
    int argc = 1;
    va_list ap;
    va_start(ap, err);
    for (char *a; (a = va_arg(ap, char *));)
        argv[argc++] = a;
    va_end(ap);
    optind = 0;
    return options_parse(argc, argv, o, err);
}

static void test_queues_in_order(void **state)
{
    struct options o;
    struct reeve_error err;
    assert_int_equal(parse(&o, &err, "--queue", "a", "--queue=b", "--create-queue",
                           "--order-fairness", (char *)NULL),
                     OPTIONS_RUN);
    assert_int_equal(o.queue_count, 2);
    assert_string_equal(o.queues[0], "a");
    assert_string_equal(o.queues[1], "b");
    assert_true(o.create_queue && o.order_fairness);
    options_free(&o);
}

static void test_services_mode(void **state)
{
    static const struct {
        const char *first, *second;
        int count;
    } cases[] = {
        {"--services-mode", NULL, 0},
        {"--services-mode", "5", 5},
        {"--services-mode=7", NULL, 7},
        {"--services-mode", "-1", 0},
        {"--services-mode", "--create-queue", 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct options o;
        struct reeve_error err;
        assert_int_equal(parse(&o, &err, cases[i].first, cases[i].second, (char *)NULL),
                         OPTIONS_RUN);
        assert_int_equal(o.services, cases[i].count);
        options_free(&o);
    }
}

static void test_bad(void **state)
{
    static const char *const bad[][2] = {
        {"--frobnicate", NULL},
        {"--queue", NULL},
        {"--polling-interval", "zero"},
        {"--polling-interval", "0"},
        {"--on-exit", "explode"},
        {"--log-level", "loud"},
        {"--services-mode=many", NULL},
        {"word", NULL},
        {"--ready-fd", "x"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct options o;
        struct reeve_error err = {0};
        assert_int_equal(parse(&o, &err, bad[i][0], bad[i][1], (char *)NULL),
                         OPTIONS_BAD);
        assert_true(err.text[0]);
        assert_null(strchr(err.text, '\n'));
        options_free(&o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queues_in_order),
        cmocka_unit_test(test_services_mode),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
