/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "cli/daemon-args.h"

#include <string.h>

static char *translate(const struct arg_spec *specs, const char *line)
{
    struct reeve_error err = {0};
    auto_words words = WORDS_INIT, argv = WORDS_INIT;
    assert_int_equal(words_split(line, &words, NULL), 0);
    struct args *args = args_parse(specs, (int)words.n, words.v, false, &err);
    if (!args)
        return xasprintf("error: %s", err.text);
    int rc = specs == daemon_specs ? daemon_args(args, &argv, &err)
                                   : execute_args(args, "T", &argv, &err);
    args_free(args);
    return rc < 0 ? xasprintf("error: %s", err.text) : words_join_dup(argv.v, argv.n);
}

static void check(const char *line, const char *expected)
{
    auto_free char *got = translate(daemon_specs, line);
    assert_string_equal(got, expected);
}

static void check_execute(const char *line, const char *expected)
{
    auto_free char *got = translate(execute_specs, line);
    assert_string_equal(got, expected);
}

static void test_clearml_agents_lines(void **state)
{
    check("", "reeved --services-mode 1");
    check("--services-mode --queue services --create-queue --cpu-only --foreground",
          "reeved --queue services --services-mode --create-queue");
    check("--services-mode 10 --queue a b --queue c --order-fairness -d",
          "reeved --queue a --queue b --queue c --services-mode 10 --order-fairness");
    check("--polling-interval 2.5 --log-level DEBUG --on-exit stop -O "
          "--force-current-version --standalone-mode",
          "reeved --services-mode 1 --polling-interval 2.5 --on-exit stop "
          "--log-level DEBUG");
    check("--child-report-tags a b --queue q --check-bootstrap",
          "reeved --queue q --child-report-tag a --child-report-tag b --services-mode "
          "1");
    check("--stop --queue q", "reeved --queue q --services-mode 1");
    check("--stop one two", "reeved --services-mode 1");
}

static void test_lines_for_one_task(void **state)
{
    check_execute("--id T", "reeved --task T --log-level warn");
    check_execute(
        "--id T --require-queue --log-file out.txt --full-monitoring -O "
        "--standalone-mode --cpu-only",
        "reeved --task T --require-queue --log-level warn --log-file out.txt");
    check_execute(
        "--id T --clone --require-queue --disable-monitoring --log-level info",
        "reeved --task T --disable-monitoring --log-level info");
    check_execute("--id T --git-user u --git-pass secret",
                  "reeved --task T --log-level warn");
    check_execute("--id T --docker", "error: --docker: tasks run as processes; "
                                     "containers come with a later version");
    check_execute("--id T --gpus 0", "error: --gpus: no GPU is given to a task; that "
                                     "comes with a later version");
    check_execute("--id T word", "error: \"word\": no word is expected here");
}

/* Keys never reach another program's command line. */
static void test_git_keys_are_not_passed(void **state)
{
    check("--git-user u --git-pass secret", "reeved --services-mode 1");
}

static void test_refused(void **state)
{
    check("--docker image --gpus all",
          "error: --docker: tasks run as processes; containers come with a later "
          "version");
    check("--gpus 0,1", "error: --gpus: no GPU is given to a task; that comes with a "
                        "later version");
    check("--uptime 0-24 SUN", "error: --uptime: there is no schedule; that comes with "
                               "a later version");
    check("--use-owner-token", "error: --use-owner-token: needs a ClearML Enterprise "
                               "Server; tasks get a token of the agent's own keys");
    check("--queu a", "error: unknown option --queu; is --queue meant? see --help");
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
        cmocka_unit_test(test_lines_for_one_task),
        cmocka_unit_test(test_git_keys_are_not_passed),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
