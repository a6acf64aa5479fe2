/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/json.h"
#include "config/config.h"
#include "master/quota.h"

#include <signal.h>
#include <string.h>

#define MIB (INT64_C(1) << 20)

static cJSON *task_with(const char *arguments)
{
    cJSON *task = cJSON_CreateObject();
    cJSON *container = json_set(task, "container", cJSON_CreateObject());
    json_set_str(container, "arguments", arguments);
    return task;
}

static void set_property(cJSON *task, const char *name, const char *value)
{
    cJSON *params = json_get(task, "hyperparams");
    if (!params)
        params = json_set(task, "hyperparams", cJSON_CreateObject());
    cJSON *section = json_get(params, "properties");
    if (!section)
        section = json_set(params, "properties", cJSON_CreateObject());
    cJSON *item = json_set(section, name, cJSON_CreateObject());
    json_set_str(item, "value", value);
}

static const struct quota_queue services = {"0123456789abcdef", "services"};

static struct config *settings(const char *text)
{
    struct reeve_error err = {0};
    struct config *c = config_from_text(text, &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

static struct quota resolve(const cJSON *task, const char *conf)
{
    struct quota q;
    struct reeve_error err = {0};
    struct config *c = settings(conf);
    if (quota_resolve(task, c, &services, &q, &err) < 0)
        fail_msg("%s", err.text);
    config_destroy(c);
    return q;
}

static struct quota of_words(const char *arguments)
{
    auto_json *task = task_with(arguments);
    return resolve(task, "");
}

static void refuse(const cJSON *task, const char *conf, const char *expected)
{
    struct quota q;
    struct reeve_error err = {0};
    struct config *c = settings(conf);
    assert_int_equal(quota_resolve(task, c, &services, &q, &err), -1);
    if (!strstr(err.text, expected))
        fail_msg("\"%s\" is not in \"%s\"", expected, err.text);
    config_destroy(c);
}

static void refuse_words(const char *arguments, const char *expected)
{
    auto_json *task = task_with(arguments);
    refuse(task, "", expected);
}

static bool has_note(const struct quota *q, const char *text)
{
    for (size_t i = 0; i < q->notes.n; i++)
        if (strcmp(q->notes.v[i], text) == 0)
            return true;
    return false;
}

static void test_nothing_asked(void **state)
{
    auto_json *task = cJSON_CreateObject();
    struct quota q = resolve(task, "");
    assert_true(q.limits.memory == LIMIT_NONE && q.limits.cpu_milli == LIMIT_NONE);
    assert_true(q.limits.pids == LIMIT_NONE && q.limits.cpuset[0] == '\0');
    assert_int_equal(q.restart, RESTART_NO);
    assert_int_equal(q.stop_timeout_ms, 10000);
    assert_int_equal(q.stop_signal, SIGTERM);
    assert_int_equal(q.timeout_ms, 0);
    assert_int_equal(q.notes.n, 0);
    quota_free(&q);
    struct quota none;
    assert_int_equal(quota_resolve(NULL, NULL, NULL, &none, NULL), 0);
    quota_free(&none);
}

static void test_every_word_both_ways(void **state)
{
    const char *const lines[] = {
        "--memory=512m --memory-reservation=256m --memory-swap=1g --cpus=0.5 "
        "--cpu-shares=1024 --cpuset-cpus=0-2,4 --pids-limit=100 "
        "--device-read-bps=/dev/sda:1mb --device-write-bps=/dev/sda:2mb "
        "--device-read-iops=/dev/sda:10 --device-write-iops=/dev/sda:20 "
        "--restart=on-failure:5 --stop-timeout=30 --stop-signal=SIGINT -e=A=1",
        "--memory 512m --memory-reservation 256m --memory-swap 1g --cpus 0.5 "
        "--cpu-shares 1024 --cpuset-cpus 0-2,4 --pids-limit 100 "
        "--device-read-bps /dev/sda:1mb --device-write-bps /dev/sda:2mb "
        "--device-read-iops /dev/sda:10 --device-write-iops /dev/sda:20 "
        "--restart on-failure:5 --stop-timeout 30 --stop-signal 2 --env A=1",
        "-m512m --memory-reservation 256m --memory-swap 1g --cpu-quota 50000 -c 1024 "
        "--cpuset-cpus 0-2,4 --pids-limit 100 --device-read-bps /dev/sdb:5mb "
        "--device-read-bps /dev/sda:1mb --device-write-bps 2mb --device-read-iops 10 "
        "--device-write-iops 20 --restart on-failure:5 --stop-timeout 30s "
        "--stop-signal int -eA=1",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct quota q = of_words(lines[i]);
        assert_true(q.limits.memory == 512 * MIB);
        assert_true(q.limits.memory_reservation == 256 * MIB);
        assert_true(q.limits.memory_swap == 1024 * MIB);
        assert_int_equal(q.limits.cpu_milli, 500);
        assert_int_equal(q.limits.cpu_weight, 1 + 1022 * 9999 / 262142);
        assert_string_equal(q.limits.cpuset, "0-2,4");
        assert_int_equal(q.limits.pids, 100);
        assert_true(q.limits.read_bps == MIB && q.limits.write_bps == 2 * MIB);
        assert_true(q.limits.read_iops == 10 && q.limits.write_iops == 20);
        assert_int_equal(q.restart, RESTART_ON_FAILURE);
        assert_int_equal(q.restart_max, 5);
        assert_int_equal(q.stop_timeout_ms, 30000);
        assert_int_equal(q.stop_signal, SIGINT);
        assert_int_equal(q.env.n, 1);
        assert_string_equal(q.env.v[0], "A=1");
        assert_int_equal(q.ignored.n, 0);
        quota_free(&q);
    }
}

static void test_files_weight_disk_and_setup(void **state)
{
    struct quota q = of_words("--blkio-weight 500 --ulimit nofile=64:128 --ulimit "
                              "nproc=5 --storage-opt size=1g");
    assert_int_equal(q.limits.io_weight, 1 + 490 * 9999 / 990);
    assert_int_equal(q.nofile_soft, 64);
    assert_int_equal(q.nofile_hard, 128);
    assert_true(q.disk == 1024 * MIB);
    assert_true(has_note(&q, "quota: nofile 64:128 (container.arguments: --ulimit)"));
    assert_int_equal(q.ignored.n, 1);
    assert_string_equal(q.ignored.v[0], "--ulimit nproc");
    quota_free(&q);
    auto_json *task = cJSON_CreateObject();
    set_property(task, "reeve.nofile", "4096");
    set_property(task, "reeve.setup_timeout", "2m");
    set_property(task, "reeve.disk", "300m");
    set_property(task, "reeve.log_budget", "0");
    q = resolve(task, "agent.reeve.ceilings { nofile: 256, disk: 100m }");
    assert_int_equal(q.log_budget, 0);
    assert_int_equal(q.nofile_soft, 256);
    assert_int_equal(q.nofile_hard, 256);
    assert_int_equal(q.setup_timeout_ms, 120000);
    assert_true(q.disk == 100 * MIB);
    quota_free(&q);
    q = of_words("");
    assert_true(q.nofile_hard == LIMIT_NONE && q.disk == LIMIT_NONE);
    assert_int_equal(q.log_budget, QUOTA_LOG_BUDGET);
    assert_true(q.limits.io_weight == LIMIT_NONE && q.setup_timeout_ms == 0);
    quota_free(&q);
    refuse_words("--ulimit nofile=5", "at least 16");
    refuse_words("--ulimit nofile=64:32", "SOFT:HARD");
    refuse_words("--blkio-weight 5", "10 to 1000");
}

static void refuse_config(const char *conf, const char *expected)
{
    struct reeve_error err = {0};
    struct config *c = settings(conf);
    assert_int_equal(quota_check_config(c, &err), -1);
    if (!strstr(err.text, expected))
        fail_msg("\"%s\" is not in \"%s\"", expected, err.text);
    config_destroy(c);
}

static void test_queues_have_their_own(void **state)
{
    static const char conf[] =
        "agent.reeve { defaults { memory: 64m, pids: 9 }, ceilings { memory: 300m }\n"
        "queues { services { defaults { memory: 128m }, ceilings { memory: 1g, cpus: 2 "
        "} },"
        " \"a.b c\" { ceilings { memory: 10m } } } }";
    auto_json *task = cJSON_CreateObject();
    struct quota q = resolve(task, conf);
    assert_true(q.limits.memory == 128 * MIB);
    assert_int_equal(q.limits.pids, 9);
    assert_int_equal(q.limits.cpu_milli, 2000);
    assert_true(has_note(
        &q, "quota: memory 128 MiB (agent.reeve.queues.services.defaults.memory)"));
    quota_free(&q);
    set_property(task, "reeve.memory", "2g");
    q = resolve(task, conf);
    assert_true(q.limits.memory == 300 * MIB);
    assert_true(has_note(&q,
                         "quota: memory 300 MiB (agent.reeve.ceilings.memory; 2 GiB "
                         "by property reeve.memory)"));
    quota_free(&q);
    struct config *c = settings(conf);
    assert_int_equal(
        quota_resolve(task, c, &(struct quota_queue){.name = "a.b c"}, &q, NULL), 0);
    assert_true(q.limits.memory == 10 * MIB);
    quota_free(&q);
    assert_int_equal(quota_check_config(c, NULL), 0);
    config_destroy(c);
    refuse_config("agent.reeve.queues.q.ceiling.memory: 5m", "queues.q.ceiling is not");
    refuse_config("agent.reeve.queues.q.ceilings.colour: 5m", "colour is no quota");
    refuse_config("agent.reeve.queues.q.defaults.memory: 5x", "q.defaults.memory");
}

/* A queue's name may be given to another, and its settings hold by either. */
static void test_queue_by_id(void **state)
{
    auto_json *task = cJSON_CreateObject();
    struct quota q = resolve(task, "agent.reeve.queues.0123456789abcdef { "
                                   "defaults.memory: 20m, ceilings.pids: 30 }\n"
                                   "agent.reeve.queues.services.defaults.memory: 10m");
    assert_true(q.limits.memory == 20 * MIB);
    assert_int_equal(q.limits.pids, 30);
    assert_true(has_note(
        &q,
        "quota: memory 20 MiB (agent.reeve.queues.0123456789abcdef.defaults.memory)"));
    quota_free(&q);
    q = resolve(task, "agent.reeve.queues.services.defaults.memory: 10m");
    assert_true(q.limits.memory == 10 * MIB);
    quota_free(&q);
}

static void test_host_total(void **state)
{
    static const char conf[] = "agent.reeve.host { memory: 300m, cpus: 2 }";
    struct config *c = settings(conf);
    struct limits l;
    assert_int_equal(quota_host_limits(c, &l, NULL), 0);
    assert_true(l.memory == 300 * MIB && l.cpu_milli == 2000);
    assert_true(l.pids == LIMIT_NONE && l.memory_swap == LIMIT_NONE);
    config_destroy(c);
    auto_json *task = task_with("--memory 1g --cpus 1");
    struct quota q = resolve(task, conf);
    assert_true(q.limits.memory == 300 * MIB);
    assert_int_equal(q.limits.cpu_milli, 1000);
    quota_free(&q);
    auto_json *modest = cJSON_CreateObject();
    q = resolve(modest, conf);
    assert_true(q.limits.memory == LIMIT_NONE && q.limits.cpu_milli == LIMIT_NONE);
    quota_free(&q);
    c = settings("agent.reeve.host.memory: 1x");
    assert_int_equal(quota_host_limits(c, &l, NULL), -1);
    config_destroy(c);
}

static struct quota change(const struct quota *now, const char *conf,
                           const char *values)
{
    struct reeve_error err = {0};
    struct quota q;
    struct config *c = settings(conf);
    auto_json *json = json_parse(values, strlen(values), NULL);
    if (quota_change(now, json, c, &services, &q, &err) < 0)
        fail_msg("%s", err.text);
    config_destroy(c);
    return q;
}

static void test_changes(void **state)
{
    struct quota now = of_words("--memory 512m --cpus 1 --restart on-failure:3"), q;
    now.limits.memory_swap = 2 * now.limits.memory;
    q = change(&now, "", "{\"memory\": \"256m\", \"nofile\": \"100:200\"}");
    assert_true(q.limits.memory == 256 * MIB);
    assert_true(q.limits.memory_swap == LIMIT_NONE);
    assert_int_equal(q.limits.cpu_milli, 1000);
    assert_int_equal(q.nofile_soft, 100);
    assert_int_equal(q.restart_max, 3);
    assert_int_equal(q.notes.n, 2);
    assert_string_equal(q.notes.v[0], "quota: memory 256 MiB (reeve set)");
    quota_free(&q);
    q = change(&now, "",
               "{\"memory\": \"none\", \"restart\": \"none\", \"cpus\": \"0\"}");
    assert_true(q.limits.memory == LIMIT_NONE && q.limits.memory_swap == LIMIT_NONE);
    assert_true(q.limits.cpu_milli == LIMIT_NONE);
    assert_int_equal(q.restart, RESTART_NO);
    quota_free(&q);
    q = change(&now, "agent.reeve.queues.services.ceilings.cpus: 2",
               "{\"cpus\": \"9\"}");
    assert_int_equal(q.limits.cpu_milli, 2000);
    quota_free(&q);
    auto_json *bad = cJSON_CreateObject();
    json_set_str(bad, "memory_swap", "64m");
    assert_int_equal(quota_change(&now, bad, NULL, NULL, &q, NULL), -1);
    quota_free(&now);
}

static void test_no_limit(void **state)
{
    struct quota q = of_words("--memory 0 --memory-swap -1 --cpus 0 --pids-limit -1");
    assert_true(q.limits.memory == LIMIT_NONE && q.limits.memory_swap == LIMIT_NONE);
    assert_true(q.limits.cpu_milli == LIMIT_NONE && q.limits.pids == LIMIT_NONE);
    assert_true(
        has_note(&q, "quota: memory unlimited (container.arguments: --memory)"));
    quota_free(&q);
}

static void test_environment(void **state)
{
    struct quota q = of_words("-e A=1 -e B='x y' --env A=2=3 -e HOME --env-file f");
    assert_int_equal(q.env.n, 2);
    assert_string_equal(q.env.v[0], "A=2=3");
    assert_string_equal(q.env.v[1], "B=x y");
    /* Never the master's own HOME. */
    assert_string_equal(q.ignored.v[0], "-e without a value");
    assert_string_equal(q.ignored.v[1], "--env-file");
    quota_free(&q);
    refuse_words("-e =x", "-e needs NAME=value");
}

static void test_words_without_a_meaning(void **state)
{
    struct quota q = of_words("--ipc=host --network host -v /a:/b:ro --rm -it "
                              "--label token=secret -v /c:/d --memory 64m x");
    assert_true(q.limits.memory == 64 * MIB);
    assert_true(has_note(&q,
                         "container.arguments: no meaning here for --ipc, --network, "
                         "-v, --rm, -it, --label, x"));
    for (size_t i = 0; i < q.notes.n; i++)
        assert_null(strstr(q.notes.v[i], "secret"));
    quota_free(&q);
}

static void test_unreadable_words(void **state)
{
    refuse_words("--memory=lots", "container.arguments: --memory: \"lots\" is no size");
    refuse_words("--memory", "--memory has no value");
    refuse_words("-m 1k", "less than the least, 6m");
    refuse_words("--cpus two", "container.arguments: --cpus: \"two\" is no number");
    refuse_words("--cpus -1", "\"-1\" is no number of CPUs");
    refuse_words("--cpus 0.001", "at least 0.01");
    refuse_words("--cpus nan", "no number of CPUs");
    refuse_words("--pids-limit 1.5", "no whole number");
    refuse_words("--cpuset-cpus 3-1", "no list of CPUs");
    refuse_words("--cpuset-cpus 1,", "no list of CPUs");
    refuse_words("--cpuset-cpus=1x", "no list of CPUs");
    refuse_words("--restart sometimes",
                 "write no, on-failure, on-failure:N, always or");
    refuse_words("--restart on-failure:x", "no restart policy");
    refuse_words("--restart always:3", "no restart policy");
    refuse_words("--stop-signal SIGNONE", "no signal");
    refuse_words("--stop-timeout -1", "no time");
    refuse_words("--cpu-period 10", "--cpu-period");
    refuse_words("--name 'x", "container.arguments: a ' is not closed");
    refuse_words("--memory-swap 1g", "--memory-swap: needs a limit of memory too");
    refuse_words("--memory 1g --memory-swap 512m", "memory and swap together");
    refuse_words("--memory 64m --memory-reservation 65m", "not more than");
    auto_json *task = cJSON_CreateObject();
    json_set_int(json_set(task, "container", cJSON_CreateObject()), "arguments", 5);
    refuse(task, "", "container.arguments: a text is expected");
}

/* The error becomes a status message: one line of sound text, whatever was quoted. */
static void test_errors_are_printable(void **state)
{
    struct quota q;
    struct reeve_error err = {0};
    auto_json *task = task_with("--memory 'a\nb\x1b[2J"
                                "ééééééééééééééééééééééééééééééééé'");
    assert_int_equal(quota_resolve(task, NULL, NULL, &q, &err), -1);
    assert_null(strpbrk(err.text, "\n\x1b"));
    cJSON *as_json = cJSON_CreateString(err.text);
    auto_free char *text = json_format(as_json);
    cJSON_Delete(as_json);
    auto_json *back = json_parse(text, strlen(text), &err);
    assert_non_null(back);
}

static void test_properties_win(void **state)
{
    auto_json *task = task_with("--memory 512m --cpus 2 --restart always");
    set_property(task, "reeve.memory", "1g");
    set_property(task, "reeve.restart", "no");
    set_property(task, "reeve.timeout", "2h");
    set_property(task, "reeve.cpus", "");
    set_property(task, "reeve.launcher", "docker");
    struct quota q = resolve(task, "");
    assert_true(q.limits.memory == 1024 * MIB);
    assert_int_equal(q.limits.cpu_milli, 2000);
    assert_int_equal(q.restart, RESTART_NO);
    assert_int_equal(q.timeout_ms, 7200000);
    assert_true(has_note(&q, "quota: memory 1 GiB (property reeve.memory)"));
    assert_true(has_note(&q, "quota: timeout 2h (property reeve.timeout)"));
    quota_free(&q);
    set_property(task, "reeve.timeout", "soon");
    refuse(task, "", "property reeve.timeout: \"soon\" is no time");
}

static void test_defaults_and_ceilings(void **state)
{
    const char *conf =
        "agent.reeve { defaults { memory: 256m, pids: 50, restart: on-failure, "
        "stop_timeout: 5s }, ceilings { memory: 1g, cpus: 2, timeout: 1d } }";
    auto_json *empty = cJSON_CreateObject();
    struct quota q = resolve(empty, conf);
    assert_true(q.limits.memory == 256 * MIB);
    assert_int_equal(q.limits.pids, 50);
    assert_int_equal(q.limits.cpu_milli, 2000);
    assert_int_equal(q.timeout_ms, 86400000);
    assert_int_equal(q.restart, RESTART_ON_FAILURE);
    assert_int_equal(q.restart_max, 0);
    assert_int_equal(q.stop_timeout_ms, 5000);
    assert_true(has_note(&q, "quota: cpus 2 (agent.reeve.ceilings.cpus)"));
    quota_free(&q);

    auto_json *greedy = task_with("--memory 8g --memory-reservation 4g --cpus 1 "
                                  "--pids-limit 0");
    q = resolve(greedy, conf);
    assert_true(q.limits.memory == 1024 * MIB);
    assert_true(q.limits.memory_reservation == 1024 * MIB);
    assert_int_equal(q.limits.cpu_milli, 1000);
    assert_int_equal(q.limits.pids, LIMIT_NONE);
    assert_true(has_note(&q,
                         "quota: memory 1 GiB (agent.reeve.ceilings.memory; 8 GiB by "
                         "container.arguments: --memory)"));
    quota_free(&q);

    /* A task can't lift a ceiling by asking for no limit. */
    auto_json *none = task_with("--memory 0");
    q = resolve(none, conf);
    assert_true(q.limits.memory == 1024 * MIB);
    quota_free(&q);
    refuse(empty, "agent.reeve.defaults.memory: lots", "agent.reeve.defaults.memory");
    refuse(empty, "agent.reeve.ceilings.cpus: x", "agent.reeve.ceilings.cpus");
    refuse(empty, "agent.reeve.ceilings.restart: no", "this has no ceiling");
    refuse(empty, "agent.reeve.defaults.memory: [1]", "one value is expected");
}

static enum restart_policy restart_of(const cJSON *task, const char *variable)
{
    auto_free char *conf = xasprintf("agent.services_docker_restart: \"%s\"\n"
                                     "agent.reeve.defaults.restart: on-failure",
                                     variable);
    struct quota q = resolve(task, conf);
    quota_free(&q);
    return q.restart;
}

static void test_restart_variable(void **state)
{
    auto_json *task = cJSON_CreateObject();
    json_set_str(json_set(task, "container", cJSON_CreateObject()), "image", "a/b");
    json_set_bool(task, "flag", true);
    assert_int_equal(restart_of(task, "always"), RESTART_ALWAYS);
    assert_int_equal(restart_of(task, "always;container.image=a/b"), RESTART_ALWAYS);
    assert_int_equal(restart_of(task, "always;container.image"), RESTART_ALWAYS);
    assert_int_equal(restart_of(task, "always;container.image=c"), RESTART_ON_FAILURE);
    assert_int_equal(restart_of(task, "always;container.none"), RESTART_ON_FAILURE);
    assert_int_equal(restart_of(task, "always;flag=true"), RESTART_ALWAYS);
    json_set_str(json_get(task, "container"), "arguments", "--restart no");
    assert_int_equal(restart_of(task, "always"), RESTART_NO);
}

static void test_policy_text(void **state)
{
    const char *const texts[] = {"no", "on-failure", "on-failure:3", "always",
                                 "unless-stopped"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        enum restart_policy policy;
        int max;
        char out[RESTART_TEXT_SIZE];
        assert_int_equal(restart_policy_parse(texts[i], &policy, &max, NULL), 0);
        assert_string_equal(restart_policy_text(policy, max, out), texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_asked),
        cmocka_unit_test(test_every_word_both_ways),
        cmocka_unit_test(test_files_weight_disk_and_setup),
        cmocka_unit_test(test_queues_have_their_own),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_queue_by_id),
        cmocka_unit_test(test_host_total),
        cmocka_unit_test(test_no_limit),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_words_without_a_meaning),
        cmocka_unit_test(test_unreadable_words),
        cmocka_unit_test(test_errors_are_printable),
        cmocka_unit_test(test_properties_win),
        cmocka_unit_test(test_defaults_and_ceilings),
        cmocka_unit_test(test_restart_variable),
        cmocka_unit_test(test_policy_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
