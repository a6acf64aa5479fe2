/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include "server/services.h"

#include <string.h>

static const char *const names[] = {"created",    "queued",    "in_progress", "stopped",
                                    "publishing", "published", "closed",      "failed",
                                    "completed",  "unknown"};
#define STATUSES 10

/* Which change ClearML's table allows, as rows and columns of names; x: yes. */
static const char *const allowed[STATUSES] = {
    /*               c q i s P p C f d u */
    /* created */ " xx       ",
    /* queued */ "x xx      ",
    /* in_progress */ "x  x   xx ",
    /* stopped */ "xxx xxxxx ",
    /* publishing */ "     x    ",
    /* published */ "          ",
    /* closed */ "x  xxx x  ",
    /* failed */ "xx x x    ",
    /* completed */ "x x  x    ",
    /* unknown */ "          ",
};

static void put(struct api *api, const char *task, const char *status)
{
    task_set_status(api->db, task, status, "", "", api->now_ms);
}

/* The calls that lead to one status each, and no further condition. */
static const struct {
    const char *endpoint;
    const char *to;
} plain[] = {{"tasks.started", "in_progress"},
             {"tasks.stopped", "stopped"},
             {"tasks.completed", "completed"},
             {"tasks.failed", "failed"},
             {"tasks.close", "closed"}};

static int index_of(const char *status)
{
    for (int i = 0; i < STATUSES; i++)
        if (!strcmp(names[i], status))
            return i;
    return -1;
}

static void test_table(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "table", "");
    for (size_t p = 0; p < sizeof plain / sizeof plain[0]; p++) {
        for (int from = 0; from < STATUSES; from++) {
            int to = index_of(plain[p].to);
            bool may = allowed[from][to] == 'x' || from == to;
            put(api, task, names[from]);
            int rc = api_call(api, plain[p].endpoint, "{'task': '%s'}", task);
            assert_int_equal(rc, may ? 0 : 110);
            assert_string_equal(api_field(api, task, "status"),
                                may ? plain[p].to : names[from]);
            put(api, task, names[from]);
            assert_call(api, plain[p].endpoint, "{'task': '%s', 'force': true}", task);
            assert_string_equal(api_text(api, "fields.status"), plain[p].to);
        }
    }
}

static void test_reset_and_publish_and_enqueue(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "others", "");
    assert_call(api, "queues.create", "{'name': 'services'}");
    for (int from = 0; from < STATUSES; from++) {
        put(api, task, names[from]);
        bool may = allowed[from][5] == 'x';
        assert_int_equal(api_call(api, "tasks.publish", "{'task': '%s'}", task),
                         may ? 0 : 110);
        put(api, task, names[from]);
        may = allowed[from][0] == 'x' || from == 0;
        assert_int_equal(api_call(api, "tasks.reset", "{'task': '%s'}", task),
                         may ? 0 : 110);
        put(api, task, names[from]);
        may = allowed[from][1] == 'x' || from == 1;
        assert_int_equal(api_call(api, "tasks.enqueue",
                                  "{'task': '%s', 'queue_name': 'services'}", task),
                         may ? 0 : 110);
        api_call(api, "tasks.dequeue", "{'task': '%s', 'remove_from_all_queues': true}",
                 task);
        put(api, task, names[from]);
        assert_call(api, "tasks.enqueue",
                    "{'task': '%s', 'queue_name': 'services', 'force': true}", task);
        assert_call(api, "tasks.reset", "{'task': '%s', 'force': true}", task);
        assert_string_equal(api_field(api, task, "status"), "created");
    }
}

static void test_answer(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "answer", "'system_tags': ['development']");
    assert_call(api, "tasks.started",
                "{'task': '%s', 'status_reason': 'why', "
                "'status_message': 'what'}",
                task);
    assert_string_equal(api_text(api, "updated"), "1");
    assert_string_equal(api_text(api, "started"), "1");
    assert_string_equal(api_text(api, "fields.status_reason"), "why");
    assert_string_equal(api_text(api, "fields.status_message"), "what");
    assert_string_equal(api_text(api, "fields.status_changed"),
                        "2023-11-14T22:13:20.000000+00:00");
    assert_string_equal(api_field(api, task, "started"),
                        "2023-11-14T22:13:20.000000+00:00");
    assert_string_equal(api_field(api, task, "last_changed_by"), "user1");
    /* An earlier start stands; the texts of the last change don't. */
    api->now_ms += 1000;
    assert_call(api, "tasks.started", "{'task': '%s'}", task);
    assert_string_equal(api_field(api, task, "started"),
                        "2023-11-14T22:13:20.000000+00:00");
    assert_string_equal(api_field(api, task, "status_message"), "");
    assert_string_equal(api_field(api, task, "system_tags"), "[\"development\"]");

    assert_int_equal(api_call(api, "tasks.failed", "{'task': 'nobody'}"), 101);
    assert_string_equal(api->call.message,
                        "Invalid task id: id=nobody, company=company1");
    put(api, task, "published");
    assert_int_equal(api_call(api, "tasks.started", "{'task': '%s'}", task), 110);
    assert_string_equal(api->call.message,
                        "Invalid task status (Invalid status change): "
                        "current_status=published, new_status=in_progress");
    assert_string_equal(json_str(api->call.error_data, "current_status", ""),
                        "published");
}

static void test_completed_publishes(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "done", "");
    put(api, task, "in_progress");
    assert_call(api, "tasks.completed", "{'task': '%s', 'publish': true}", task);
    assert_string_equal(api_text(api, "published"), "1");
    assert_string_equal(api_text(api, "fields.status"), "published");
    assert_string_equal(api_field(api, task, "status"), "published");
    assert_string_not_equal(api_field(api, task, "published"), "-");
}

static void test_stop(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "stop", "");
    assert_int_equal(api_call(api, "tasks.stop", "{'task': '%s'}", task), 110);
    put(api, task, "in_progress");
    auto_json *worker = cJSON_CreateObject();
    json_set_str(worker, "last_worker", "host:1");
    task_set_fields(api->db, task, worker);
    assert_call(api, "tasks.stop", "{'task': '%s', 'status_reason': 'r'}", task);
    assert_string_equal(api_field(api, task, "status"), "in_progress");
    assert_string_equal(api_field(api, task, "status_message"), "stopping");
    assert_string_equal(api_field(api, task, "status_reason"), "r");
    /* Nothing heard from its worker for ten minutes. */
    api->now_ms += 601 * 1000;
    assert_call(api, "tasks.stop", "{'task': '%s'}", task);
    assert_string_equal(api_field(api, task, "status"), "stopped");
    assert_string_equal(api_field(api, task, "status_message"), "Stopped by Ada");
    put(api, task, "in_progress");
    assert_call(api, "tasks.edit",
                "{'task': '%s', 'system_tags': ['development'], 'force': true}", task);
    assert_call(api, "tasks.stop", "{'task': '%s'}", task);
    assert_string_equal(api_field(api, task, "status"), "stopped");
}

static void test_stop_takes_out_of_the_queue(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "stop queued", "");
    assert_call(api, "tasks.enqueue", "{'task': '%s', 'queue_name': 'services'}", task);
    assert_call(api, "tasks.stop", "{'task': '%s'}", task);
    assert_string_equal(api_field(api, task, "status"), "stopped");
    assert_call(api, "queues.get_all", "{'name': 'services'}");
    assert_null(strstr(api_text(api, "queues"), task));
}

static void test_watchdog(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "silent", ""), *other = api_task(api, "loud", "");
    put(api, task, "in_progress");
    api->now_ms += 7200 * 1000;
    put(api, other, "in_progress");
    assert_int_equal(tasks_stop_silent(api->db, api->now_ms, 7200 * 1000), 0);
    api->now_ms += 1;
    assert_int_equal(tasks_stop_silent(api->db, api->now_ms, 7200 * 1000), 1);
    assert_string_equal(api_field(api, task, "status"), "stopped");
    assert_string_equal(api_field(api, task, "status_reason"),
                        "Forced stop (non-responsive)");
    assert_string_equal(api_field(api, other, "status"), "in_progress");
    api->now_ms += 7100 * 1000;
    assert_call(api, "tasks.ping", "{'task': '%s'}", other);
    api->now_ms += 200 * 1000;
    assert_int_equal(tasks_stop_silent(api->db, api->now_ms, 7200 * 1000), 0);
}

static void test_ping(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "ping", "");
    assert_call(api, "tasks.started", "{'task': '%s'}", task);
    api->now_ms += 61500;
    assert_call(api, "tasks.ping", "{'task': '%s'}", task);
    assert_string_equal(api_field(api, task, "active_duration"), "61");
    assert_call(api, "tasks.ping", "{'task': 'nobody'}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_table, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_reset_and_publish_and_enqueue, api_setup,
                                        api_teardown),
        cmocka_unit_test_setup_teardown(test_answer, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_completed_publishes, api_setup,
                                        api_teardown),
        cmocka_unit_test_setup_teardown(test_stop, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_stop_takes_out_of_the_queue, api_setup,
                                        api_teardown),
        cmocka_unit_test_setup_teardown(test_watchdog, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_ping, api_setup, api_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
