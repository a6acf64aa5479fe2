/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "cli/daemon-args.h"

#include <string.h>

static char *translate(const char *line)
{
    struct reeve_error err = {0};
    auto_words words = WORDS_INIT, argv = WORDS_INIT;
    assert_int_equal(words_split(line, &words, NULL), 0);
    struct args *args = args_parse(daemon_specs, (int)words.n, words.v, false, &err);
    if (!args)
        return xasprintf("error: %s", err.text);
    int rc = daemon_args(args, &argv, &err);
    args_free(args);
    return rc < 0 ? xasprintf("error: %s", err.text) : words_join_dup(argv.v, argv.n);
}

static void check(const char *line, const char *expected)
{
    auto_free char *got = translate(line);
    assert_string_equal(got, expected);
}

static void test_clearml_agents_lines(void **state)
{
    check("", "reeved");
    check("--services-mode --queue services --create-queue --cpu-only --foreground",
          "reeved --queue services --services-mode --create-queue");
    check("--services-mode 10 --queue a b --queue c --order-fairness -d",
          "reeved --queue a --queue b --queue c --services-mode 10 --order-fairness");
    check("--polling-interval 2.5 --log-level DEBUG --on-exit stop -O "
          "--force-current-version --standalone-mode",
          "reeved --polling-interval 2.5 --on-exit stop --log-level DEBUG");
}

/* Keys never reach another program's command line. */
static void test_git_keys_are_not_passed(void **state)
{
    check("--git-user u --git-pass secret", "reeved");
}

static void test_refused(void **state)
{
    check("--docker image --gpus all",
          "error: --docker: this version runs tasks as processes only");
    check("--gpus 0,1", "error: --gpus: this version gives no GPUs to tasks");
    check("--uptime 0-24 SUN", "error: --uptime: this version has no schedule");
    check("--on-exit maybe", "error: --on-exit: keep or stop, not \"maybe\"");
    check("--log-level loud",
          "error: --log-level: error, warn, info or debug, not \"loud\"");
    check("--services-mode ten", "error: \"ten\": no word is expected here");
    check("--queue", "error: --queue needs a value: QUEUE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clearml_agents_lines),
        cmocka_unit_test(test_git_keys_are_not_passed),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
