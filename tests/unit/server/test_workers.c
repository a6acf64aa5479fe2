/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "service-driver.h"
#include "server/services.h"

static const cJSON *first(const struct driver *d, const char *name)
{
    const cJSON *list = json_get(d->data, name);
    assert_int_equal(cJSON_GetArraySize(list), 1);
    return list->child;
}

static int64_t count(struct driver *d)
{
    driver_call(d, "workers.get_count", "{}");
    return json_int(d->data, "count", -1);
}

static void report(struct driver *d, const char *worker, const char *task,
                   const char *stats)
{
    driver_call(d, "workers.status_report",
                "{\"worker\":\"%s\",\"timestamp\":%lld,\"task\":%s%s%s,\"tags\":null,"
                "\"queues\":null,\"queue\":null,\"machine_stats\":%s}",
                worker, (long long)d->now_ms, task ? "\"" : "", task ? task : "null",
                task ? "\"" : "", stats);
}

static void test_registration_runs_out(void **state)
{
    struct driver *d = *state;
    driver_call(d, "workers.register", "{\"worker\":\"a\",\"timeout\":60}");
    driver_call(d, "workers.register", "{\"worker\":\"b\"}");
    assert_int_equal(count(d), 2);
    d->now_ms += 61000;
    assert_int_equal(count(d), 1);
    d->now_ms += 540000;
    assert_int_equal(count(d), 0);
    driver_call(d, "workers.register", "{\"worker\":\"a\",\"timeout\":-1}");
    assert_int_equal(d->subcode, 1002);
    driver_call(d, "workers.register", "{\"worker\":\"a\",\"queues\":[\"none\"]}");
    assert_int_equal(d->subcode, 701);
    driver_call(d, "workers.register", "{\"worker\":\"\"}");
    assert_int_equal(d->subcode, 1001);
}

static void test_report_without_tags_clears_them(void **state)
{
    struct driver *d = *state;
    driver_call(d, "workers.register", "{\"worker\":\"w\",\"tags\":[\"red\"]}");
    driver_call(d, "workers.get_all", "{\"tags\":[\"red\"]}");
    assert_int_equal(cJSON_GetArraySize(json_get(d->data, "workers")), 1);
    report(d, "w", NULL, "null");
    driver_call(d, "workers.get_all", "{\"tags\":[\"red\"]}");
    assert_int_equal(cJSON_GetArraySize(json_get(d->data, "workers")), 0);
}

static void test_report_registers_and_renews(void **state)
{
    struct driver *d = *state;
    report(d, "w", NULL, "null");
    assert_int_equal(d->code, 200);
    assert_int_equal(count(d), 1);
    for (int i = 0; i < 5; i++) {
        d->now_ms += 500000;
        report(d, "w", NULL, "null");
        assert_int_equal(count(d), 1);
    }
    driver_call(d, "workers.unregister", "{\"worker\":\"w\"}");
    assert_int_equal(d->code, 200);
    assert_int_equal(count(d), 0);
    driver_call(d, "workers.unregister", "{\"worker\":\"w\"}");
    assert_int_equal(d->code, 200);
}

static void test_report_with_task(void **state)
{
    struct driver *d = *state;
    auto_free char *task = driver_task(d, "reported");
    report(d, "w:service:1", task, "null");
    assert_int_equal(d->code, 200);
    auto_json *doc = task_load(d->db, task);
    assert_string_equal(json_str(doc, "last_worker", ""), "w:service:1");
    assert_non_null(json_str(doc, "last_worker_report", NULL));
    driver_call(d, "workers.get_all", "{}");
    const cJSON *worker = first(d, "workers");
    assert_string_equal(json_str(json_get(worker, "task"), "name", ""), "reported");
    assert_string_equal(json_str(worker, "key", ""), "worker_company_user_w:service:1");
    /* Its task is gone: an error, and yet the worker is there. */
    d->now_ms += 500000;
    report(d, "w:service:1", "gone", "null");
    assert_int_equal(d->subcode, 101);
    d->now_ms += 500000;
    driver_call(d, "workers.get_all", "{}");
    assert_null(json_get(first(d, "workers"), "task"));
}

static void test_list_filters(void **state)
{
    struct driver *d = *state;
    driver_call(d, "workers.register",
                "{\"worker\":\"x:1\",\"tags\":[\"red\",\"big\"]}");
    driver_call(d, "workers.register", "{\"worker\":\"y:1\",\"tags\":[\"blue\"]}");
    driver_call(d, "workers.get_all", "{\"tags\":[\"red\"]}");
    assert_string_equal(json_str(first(d, "workers"), "id", ""), "x:1");
    driver_call(d, "workers.get_all", "{\"tags\":[\"-big\"]}");
    assert_string_equal(json_str(first(d, "workers"), "id", ""), "y:1");
    driver_call(d, "workers.get_all", "{\"worker_pattern\":\"x*\"}");
    assert_string_equal(json_str(first(d, "workers"), "id", ""), "x:1");
    d->now_ms += 100000;
    driver_call(d, "workers.get_all", "{\"last_seen\":50}");
    assert_int_equal(cJSON_GetArraySize(json_get(d->data, "workers")), 0);
    driver_call(d, "workers.get_all", "{\"last_seen\":0}");
    assert_int_equal(cJSON_GetArraySize(json_get(d->data, "workers")), 2);
}

static void test_queues_are_joined(void **state)
{
    struct driver *d = *state;
    char queue[65];
    assert_true(queue_create(d->db, "services", d->now_ms, queue));
    driver_call(d, "workers.register", "{\"worker\":\"w\",\"queues\":[\"%s\"]}", queue);
    driver_call(d, "workers.status_report",
                "{\"worker\":\"w\",\"timestamp\":1,\"queue\":\"%s\"}", queue);
    driver_call(d, "workers.get_all", "{}");
    const cJSON *worker = first(d, "workers");
    assert_string_equal(json_str(json_get(worker, "queue"), "name", ""), "services");
    assert_int_equal(json_int(json_get(worker, "queue"), "num_tasks", -1), 0);
    auto_json *by_queue = workers_by_queue(d->db, "company", d->now_ms);
    assert_int_equal(cJSON_GetArraySize(json_get(by_queue, queue)), 1);
}

static void test_stats_over_time(void **state)
{
    struct driver *d = *state;
    d->now_ms = 1700000000000 / 40000 * 40000;
    int64_t from = d->now_ms / 1000;
    for (int i = 0; i < 8; i++) { /* two reports in each interval of 40 s */
        char stats[200];
        snprintf(stats, sizeof stats,
                 "{\"cpu_usage\":[%d],\"memory_used\":%d,\"gpu_usage\":[1,3],"
                 "\"network_tx\":0,\"gpu_fraction\":1}",
                 i, 100 * i);
        report(d, "w", NULL, stats);
        d->now_ms += 20000;
    }
    driver_call(
        d, "workers.get_stats",
        "{\"from_date\":%lld,\"to_date\":%lld,\"interval\":1,\"items\":["
        "{\"key\":\"cpu_usage\"},{\"key\":\"cpu_usage\",\"aggregation\":\"max\"},"
        "{\"key\":\"memory_used\",\"aggregation\":\"min\"},{\"key\":\"network_tx\"},"
        "{\"key\":\"gpu_usage\"},{\"key\":\"nonsense\"}],\"worker_ids\":[\"w\"]}",
        (long long)from, (long long)d->now_ms / 1000);
    assert_int_equal(d->code, 200);
    const cJSON *metrics = json_get(first(d, "workers"), "metrics");
    assert_int_equal(cJSON_GetArraySize(metrics), 3);
    auto_free char *cpu = json_format(metrics->child);
    auto_free char *expected =
        xasprintf("{\"metric\":\"cpu_usage\",\"dates\":[%lld000,%lld000,%lld000,%"
                  "lld000],\"stats\":["
                  "{\"aggregation\":\"avg\",\"values\":[0.5,2.5,4.5,6.5]},"
                  "{\"aggregation\":\"max\",\"values\":[1,3,5,7]}]}",
                  (long long)from, (long long)from + 40, (long long)from + 80,
                  (long long)from + 120);
    assert_string_equal(cpu, expected);
    driver_call(d, "workers.get_stats",
                "{\"from_date\":%lld,\"to_date\":%lld,\"interval\":40,\"items\":["
                "{\"key\":\"gpu_usage\"}],\"split_by_variant\":true}",
                (long long)from, (long long)d->now_ms / 1000);
    metrics = json_get(first(d, "workers"), "metrics");
    assert_int_equal(cJSON_GetArraySize(metrics), 2);
    assert_string_equal(json_str(metrics->child->next, "variant", ""), "1");
}

static void test_stats_refuse_too_much(void **state)
{
    struct driver *d = *state;
    static const char *const bad[] = {
        "\"from_date\":5,\"to_date\":5,\"interval\":40",
        "\"from_date\":0,\"to_date\":1e11,\"interval\":40",
        "\"from_date\":-1,\"to_date\":10,\"interval\":40",
        "\"from_date\":0,\"to_date\":1e300,\"interval\":40",
        "\"from_date\":0,\"to_date\":10,\"interval\":0"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        driver_call(d, "workers.get_stats", "{%s,\"items\":[{\"key\":\"cpu_usage\"}]}",
                    bad[i]);
        assert_int_equal(d->code, 400);
        driver_call(d, "workers.get_activity_report", "{%s}", bad[i]);
        assert_int_equal(d->code, 400);
    }
    driver_call(d, "workers.get_stats",
                "{\"from_date\":0,\"to_date\":10,\"interval\":9e15,"
                "\"items\":[{\"key\":\"cpu_usage\"}]}");
    assert_int_equal(d->code, 200);
}

static void test_metric_keys_and_activity(void **state)
{
    struct driver *d = *state;
    driver_call(d, "workers.get_metric_keys", "{}");
    assert_int_equal(d->subcode, 1005);
    auto_free char *task = driver_task(d, "active");
    d->now_ms = 1700000000000 / 40000 * 40000;
    int64_t from = d->now_ms / 1000;
    report(d, "a", task, "{\"cpu_usage\":[1],\"cpu_temperature\":[50]}");
    report(d, "b", NULL, "{\"memory_used\":5}");
    d->now_ms += 40000;
    report(d, "a", task, "{\"cpu_usage\":[1]}");
    driver_call(d, "workers.get_metric_keys", "{\"worker_ids\":[\"a\"]}");
    const cJSON *category = first(d, "categories");
    assert_string_equal(json_str(category, "name", ""), "cpu");
    assert_int_equal(cJSON_GetArraySize(json_get(category, "metric_keys")), 2);
    driver_call(d, "workers.get_activity_report",
                "{\"from_date\":%lld,\"to_date\":%lld,\"interval\":40}",
                (long long)from, (long long)from + 80);
    auto_free char *total = json_format(json_path(d->data, "total", "counts", NULL));
    auto_free char *active = json_format(json_path(d->data, "active", "counts", NULL));
    assert_string_equal(total, "[2,1]");
    assert_string_equal(active, "[1,1]");
}

static void test_runtime_properties(void **state)
{
    struct driver *d = *state;
    driver_call(d, "workers.set_runtime_properties",
                "{\"worker\":\"w\",\"runtime_properties\":["
                "{\"key\":\"max_num_instances\",\"value\":\"-1\"},"
                "{\"key\":\"brief\",\"value\":\"x\",\"expiry\":10}]}");
    assert_int_equal(d->code, 200);
    assert_int_equal(json_int(d->data, "added", 0), 2);
    d->now_ms += 11000;
    driver_call(d, "workers.get_runtime_properties", "{\"worker\":\"w\"}");
    const cJSON *property = first(d, "runtime_properties");
    assert_string_equal(json_str(property, "key", ""), "max_num_instances");
    assert_string_equal(json_str(property, "value", ""), "-1");
    driver_call(d, "workers.get_runtime_properties", "{\"worker\":\"other\"}");
    assert_int_equal(cJSON_GetArraySize(json_get(d->data, "runtime_properties")), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, driver_setup, driver_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_registration_runs_out),
        TEST(test_report_registers_and_renews),
        TEST(test_report_without_tags_clears_them),
        TEST(test_report_with_task),
        TEST(test_list_filters),
        TEST(test_queues_are_joined),
        TEST(test_stats_over_time),
        TEST(test_stats_refuse_too_much),
        TEST(test_metric_keys_and_activity),
        TEST(test_runtime_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
