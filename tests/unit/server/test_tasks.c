/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include "server/services.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(struct api *api, const char *task, const char *status)
{
    task_set_status(api->db, task, status, "", "", api->now_ms);
}

static const char *make_queue(struct api *api, const char *name)
{
    static char ids[8][40];
    static int next;
    char *id = ids[next++ % 8];
    assert_call(api, "queues.create", "{'name': '%s'}", name);
    snprintf(id, sizeof ids[0], "%s", api_text(api, "id"));
    return id;
}

static int queue_length(struct api *api, const char *queue)
{
    assert_call(api, "queues.get_by_id", "{'queue': '%s'}", queue);
    return cJSON_GetArraySize(api_at(api, "queue.entries"));
}

static const char *make_model(struct api *api, const char *task, bool ready)
{
    static char ids[8][40];
    static int next;
    char *id = ids[next++ % 8];
    assert_call(api, "models.create",
                "{'name': 'model', 'uri': 'http://f/%s', 'task': '%s', 'ready': %s}",
                ready ? "ready" : "draft", task, ready ? "true" : "false");
    snprintf(id, sizeof ids[0], "%s", api_text(api, "id"));
    return id;
}

/* ---- documents ---- */

static void test_new_task(void **state)
{
    struct api *api = *state;
    const char *task =
        api_task(api, "  new task ", "'comment': 'c', 'tags': ['b', 'a', 'b']");
    assert_string_equal(api_field(api, task, "name"), "new task");
    assert_string_equal(api_field(api, task, "tags"), "[\"a\",\"b\"]");
    assert_string_equal(api_field(api, task, "status_message"), "");
    assert_string_equal(api_field(api, task, "status_reason"), "");
    assert_string_equal(api_field(api, task, "models"), "{\"input\":[],\"output\":[]}");
    assert_string_equal(api_field(api, task, "execution.artifacts"), "[]");
    assert_string_equal(api_field(api, task, "output"), "{}");
    assert_string_equal(api_field(api, task, "script.binary"), "python");
    assert_string_equal(api_field(api, task, "hyperparams"), "{}");
    assert_string_equal(api_field(api, task, "configuration"), "{}");
    assert_string_equal(api_field(api, task, "runtime"), "{}");
    assert_string_equal(api_field(api, task, "container"), "{}");
    assert_string_equal(api_field(api, task, "last_iteration"), "0");
    assert_string_equal(api_field(api, task, "started"), "-");
    assert_string_equal(api_field(api, task, "enqueue_status"), "-");
    assert_string_equal(api_field(api, task, "user"), "user1");
    assert_int_equal(strlen(task), 32);
}

static void test_create_refuses(void **state)
{
    struct api *api = *state;
    assert_int_equal(api_call(api, "tasks.create", "{'name': 'ab', 'type': 'service'}"),
                     800);
    assert_int_equal(api_call(api, "tasks.create", "{'name': 'abc', 'type': 'x'}"), 12);
    assert_int_equal(api_call(api, "tasks.create", "{'type': 'service'}"), 12);
    static const char *const bad[] = {"'parent': 'nobody'", "'project': 'nobody'",
                                      "'container': ['x']", "'script': 'x'",
                                      "'tags': ['__$all']", "'runtime': ['x']"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(api_call(api, "tasks.create",
                                  "{'name': 'abc', 'type': 'service', %s}", bad[i]),
                         16);
    static const char *const worse[] = {"'container': {'image': 5}",
                                        "'tags': 'x'",
                                        "'script': {'branch': 5}",
                                        "'hyperparams': {'A': {'b': {'value': 5}}}",
                                        "'hyperparams': {'A': 5}",
                                        "'configuration': {'A': 'x'}",
                                        "'execution': {'artifacts': [{'key': 'k'}]}",
                                        "'models': {'input': [5]}",
                                        "'comment': 5"};
    for (size_t i = 0; i < sizeof worse / sizeof worse[0]; i++)
        assert_int_equal(api_call(api, "tasks.create",
                                  "{'name': 'abc', 'type': 'service', %s}", worse[i]),
                         800);
    assert_int_equal(api_call(api, "tasks.create",
                              "{'name': 'abc', 'type': 'service', "
                              "'hyperparams': {' ': {}}}"),
                     12);
    assert_int_equal(
        api_call(api, "tasks.create",
                 "{'name': 'abc', 'type': 'service', "
                 "'models': {'input': [{'name': 'x', 'model': 'nobody'}]}}"),
        201);
    assert_call(api, "tasks.get_all", "{}");
    assert_int_equal(cJSON_GetArraySize(api_at(api, "tasks")), 0);
}

static void test_edit_merges(void **state)
{
    struct api *api = *state;
    const char *task = api_task(
        api, "edit",
        "'script': {'repository': ' r ', 'branch': 'b', 'diff': ' d '}, "
        "'execution': {'framework': 'f', 'artifacts': [{'key': 'k', 'type': 't'}]}, "
        "'runtime': {'a': 1, 'b': 2}, 'container': {'image': 'i', 'arguments': 'x'}, "
        "'hyperparams': {'A': {'x': {'value': '1'}}, 'B': {'y': {'value': '2'}}}, "
        "'output_dest': 's3://a '");
    auto_json *queue = cJSON_CreateObject();
    json_set_str(queue, "execution.queue", "q1");
    task_set_fields(api->db, task, queue);
    assert_string_equal(api_field(api, task, "script.repository"), "r");
    assert_string_equal(api_field(api, task, "script.diff"), " d ");
    assert_string_equal(api_field(api, task, "output.destination"), "s3://a");
    assert_call(api, "tasks.edit",
                "{'task': '%s', 'script': {'version_num': 'v'}, "
                "'execution': {'framework': 'g'}, 'runtime': {'c': 3}, "
                "'container': {'image': 'j'}, "
                "'hyperparams': {'C': {'z': {'value': '3'}}}}",
                task);
    assert_string_equal(api_text(api, "updated"), "1");
    assert_string_equal(api_text(api, "fields.script.version_num"), "v");
    /* Merged one level deep. */
    assert_string_equal(api_field(api, task, "script.branch"), "b");
    assert_string_equal(api_field(api, task, "script.version_num"), "v");
    assert_string_equal(api_field(api, task, "script.ide"), "-");
    assert_string_equal(api_field(api, task, "execution.framework"), "g");
    assert_string_equal(api_field(api, task, "execution.artifacts.0.key"), "k");
    assert_string_equal(api_field(api, task, "execution.queue"), "q1");
    /* Replaced as a whole. */
    assert_string_equal(api_field(api, task, "runtime"), "{\"c\":3}");
    assert_string_equal(api_field(api, task, "container"), "{\"image\":\"j\"}");
    assert_string_equal(api_field(api, task, "hyperparams.A"), "-");
    assert_string_equal(api_field(api, task, "hyperparams.C.z.section"), "C");
    assert_string_equal(api_field(api, task, "output.destination"), "s3://a");
}

static void test_edit_needs_a_draft_or_force(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "edit", "");
    put(api, task, "in_progress");
    assert_int_equal(
        api_call(api, "tasks.edit", "{'task': '%s', 'comment': 'x'}", task), 110);
    assert_string_equal(api->call.message,
                        "Invalid task status: expected=created, status=in_progress");
    api->now_ms += 5000;
    assert_call(api, "tasks.edit", "{'task': '%s', 'comment': 'x', 'force': true}",
                task);
    /* What people may set is no sign of life. */
    assert_string_equal(api_field(api, task, "last_update"),
                        "2023-11-14T22:13:20.000000+00:00");
    assert_string_equal(api_field(api, task, "last_change"),
                        "2023-11-14T22:13:25.000000+00:00");
    assert_call(api, "tasks.edit", "{'task': '%s', 'runtime': {}, 'force': true}",
                task);
    assert_string_equal(api_field(api, task, "last_update"),
                        "2023-11-14T22:13:25.000000+00:00");
    assert_call(api, "tasks.edit", "{'task': '%s', 'force': true, 'nothing': 1}", task);
    assert_string_equal(api_text(api, "updated"), "0");
    assert_int_equal(api_call(api, "tasks.edit", "{'task': 'nobody'}"), 101);
}

static void test_update(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "update", "'output_dest': 'd'");
    put(api, task, "published");
    assert_call(
        api, "tasks.update",
        "{'task': '%s', 'name': 'renamed', 'type': 'training', 'status': 'created', "
        "'status_message': 'reeve:host', 'output__error': 'e', "
        "'created': '2020-01-01'}",
        task);
    assert_string_equal(api_field(api, task, "name"), "renamed");
    assert_string_equal(api_field(api, task, "type"), "service");
    assert_string_equal(api_field(api, task, "status"), "published");
    assert_string_equal(api_field(api, task, "status_message"), "reeve:host");
    assert_string_equal(api_field(api, task, "output"),
                        "{\"destination\":\"d\",\"error\":\"e\"}");
    assert_string_equal(api_field(api, task, "created"),
                        "2020-01-01T00:00:00.000000+00:00");
    assert_call(api, "tasks.update", "{'task': '%s', 'type': 'training'}", task);
    assert_string_equal(api_text(api, "updated"), "0");
}

static void test_requirements(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "requirements", "'script': {'diff': 'x'}");
    put(api, task, "in_progress");
    assert_call(api, "tasks.set_requirements",
                "{'task': '%s', 'requirements': {'pip': 'a==1'}}", task);
    assert_string_equal(api_field(api, task, "script.requirements"),
                        "{\"pip\":\"a==1\"}");
    assert_string_equal(api_field(api, task, "script.diff"), "x");
    assert_int_equal(api_call(api, "tasks.set_requirements",
                              "{'task': '%s', 'requirements': 'x'}", task),
                     12);
}

/* ---- queues ---- */

static void test_enqueue(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "enqueue", "'system_tags': ['development', 'x']");
    const char *one = make_queue(api, "one"), *two = make_queue(api, "two");
    assert_call(api, "tasks.enqueue", "{'task': '%s', 'queue': '%s'}", task, one);
    assert_string_equal(api_text(api, "queued"), "1");
    assert_string_equal(api_text(api, "updated"), "1");
    assert_string_equal(api_text(api, "fields.execution.queue"), one);
    assert_string_equal(api_field(api, task, "status"), "queued");
    assert_string_equal(api_field(api, task, "execution.queue"), one);
    assert_string_equal(api_field(api, task, "system_tags"), "[\"x\"]");
    assert_int_equal(queue_length(api, one), 1);
    assert_int_equal(
        api_call(api, "tasks.enqueue", "{'task': '%s', 'queue': '%s'}", task, one),
        706);
    assert_int_equal(queue_length(api, one), 1);
    assert_call(api, "tasks.enqueue", "{'task': '%s', 'queue': '%s'}", task, two);
    assert_int_equal(queue_length(api, one), 0);
    assert_int_equal(queue_length(api, two), 1);
    assert_call(api, "tasks.dequeue", "{'task': '%s'}", task);
    assert_string_equal(api_field(api, task, "status"), "created");
    assert_int_equal(queue_length(api, two), 0);
    assert_int_equal(
        api_call(api, "tasks.enqueue", "{'task': '%s', 'queue': 'q'}", task), 701);
    assert_int_equal(api_call(api, "tasks.enqueue",
                              "{'task': '%s', 'queue': '%s', 'queue_name': 'x'}", task,
                              one),
                     12);
    assert_int_equal(api_call(api, "tasks.enqueue",
                              "{'task': '%s', 'queue': '%s', "
                              "'update_execution_queue': false}",
                              task, one),
                     12);
    assert_int_equal(api_call(api, "tasks.enqueue", "{'task': '%s'}", task), 707);
    assert_string_equal(api_field(api, task, "status"), "created");
    assert_int_equal(
        api_call(api, "tasks.enqueue", "{'task': 'nobody', 'queue': '%s'}", one), 101);
}

static void test_queue_watched(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "watched", ""), *queue = make_queue(api, "one");
    assert_call(api, "tasks.enqueue",
                "{'task': '%s', 'queue': '%s', 'verify_watched_queue': true}", task,
                queue);
    assert_string_equal(api_text(api, "queue_watched"), "false");
    assert_call(api, "tasks.dequeue", "{'task': '%s'}", task);
    assert_call(api, "workers.register", "{'worker': 'w:1', 'queues': ['%s']}", queue);
    assert_call(api, "tasks.enqueue_many",
                "{'ids': ['%s'], 'queue': '%s', 'verify_watched_queue': true, "
                "'validate_tasks': true}",
                task, queue);
    assert_string_equal(api_text(api, "queue_watched"), "true");
    assert_int_equal(api_call(api, "tasks.enqueue",
                              "{'task': '%s', 'verify_watched_queue': true, "
                              "'update_execution_queue': false}",
                              task),
                     12);
}

static void test_dequeue_is_the_claim(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "claim", ""), *queue = make_queue(api, "one");
    assert_call(api, "tasks.enqueue", "{'task': '%s', 'queue': '%s'}", task, queue);
    assert_call(api, "queues.get_next_task", "{'queue': '%s'}", queue);
    assert_call(api, "tasks.dequeue", "{'task': '%s', 'new_status': 'in_progress'}",
                task);
    assert_string_equal(api_text(api, "updated"), "1");
    assert_string_equal(api_text(api, "dequeued"), "1");
    assert_string_equal(api_text(api, "fields.status"), "in_progress");
    assert_string_equal(api_field(api, task, "status"), "in_progress");
    assert_call(api, "tasks.dequeue", "{'task': '%s', 'new_status': 'in_progress'}",
                task);
    assert_string_equal(api_text(api, "updated"), "1");
    static const char *const gone[] = {"created",   "stopped",   "failed",
                                       "completed", "published", "closed"};
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++) {
        put(api, task, gone[i]);
        assert_call(api, "tasks.dequeue", "{'task': '%s', 'new_status': 'in_progress'}",
                    task);
        assert_string_equal(api_text(api, "updated"), "0");
        assert_string_equal(api_field(api, task, "status"), gone[i]);
    }
    assert_call(api, "tasks.dequeue",
                "{'task': 'nobody', 'new_status': 'in_progress'}");
    assert_string_equal(api_text(api, "updated"), "0");
    assert_string_equal(api_text(api, "dequeued"), "1");
    assert_int_equal(
        api_call(api, "tasks.dequeue", "{'task': '%s', 'new_status': 'x'}", task), 12);
}

static void test_dequeue_goes_back(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "back", ""), *queue = make_queue(api, "one");
    put(api, task, "failed");
    assert_call(api, "tasks.enqueue", "{'task': '%s', 'queue': '%s'}", task, queue);
    assert_call(api, "tasks.dequeue", "{'task': '%s'}", task);
    assert_string_equal(api_field(api, task, "status"), "failed");
    assert_string_equal(api_field(api, task, "execution.queue"), queue);
    put(api, task, "in_progress");
    assert_call(api, "tasks.dequeue", "{'task': '%s'}", task);
    assert_string_equal(api_field(api, task, "status"), "created");
}

/* ---- clone, reset, delete, archive ---- */

static void test_clone(void **state)
{
    struct api *api = *state;
    const char *task = api_task(
        api, "source",
        "'comment': 'c', 'tags': ['t'], 'system_tags': ['archived', 'development', "
        "'x'], "
        "'script': {'diff': 'd'}, 'container': {'image': 'i'}, 'runtime': {'a': 1}, "
        "'output_dest': 'o', 'hyperparams': {'A': {'x.y': {'value': '1'}}}, "
        "'configuration': {'General': {'value': 'v'}}, "
        "'execution': {'framework': 'f', 'artifacts': "
        "[{'key': 'in', 'type': 't', 'mode': 'input'}, {'key': 'out', 'type': 't'}]}");
    put(api, task, "completed");
    auto_json *fields = cJSON_CreateObject();
    json_set_str(fields, "execution.queue", "q");
    json_set_str(fields, "last_worker", "w");
    json_set_num(fields, "last_metrics.a.b.value", 1);
    json_set_str(fields, "output.error", "e");
    task_set_fields(api->db, task, fields);
    assert_call(api, "tasks.clone", "{'task': '%s'}", task);
    char clone[40];
    snprintf(clone, sizeof clone, "%s", api_text(api, "id"));
    assert_string_not_equal(clone, task);
    static const char *const same[] = {
        "name",          "comment",   "type",
        "tags",          "script",    "hyperparams",
        "configuration", "container", "execution.framework"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        assert_string_equal(api_field(api, clone, same[i]),
                            api_field(api, task, same[i]));
    assert_string_equal(api_field(api, clone, "parent"), task);
    assert_string_equal(api_field(api, clone, "status"), "created");
    assert_string_equal(api_field(api, clone, "system_tags"), "[\"x\"]");
    assert_string_equal(api_field(api, clone, "runtime"), "{}");
    assert_string_equal(api_field(api, clone, "output"), "{\"destination\":\"o\"}");
    assert_string_equal(api_field(api, clone, "execution.queue"), "-");
    assert_string_equal(api_field(api, clone, "execution.artifacts.0.key"), "in");
    assert_string_equal(api_field(api, clone, "execution.artifacts.1"), "-");
    assert_string_equal(api_field(api, clone, "last_worker"), "-");
    assert_string_equal(api_field(api, clone, "last_metrics"), "{}");
}

static void test_clone_with(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "source",
                                "'script': {'diff': 'd'}, "
                                "'execution': {'framework': 'f'}, "
                                "'hyperparams': {'A': {'x': {'value': '1'}}}");
    const char *parent = api_task(api, "parent", "");
    assert_call(api, "tasks.clone",
                "{'task': '%s', 'new_task_name': 'copy', 'new_task_parent': '%s', "
                "'new_task_tags': ['n'], 'new_project_name': 'made/here', "
                "'new_task_hyperparams': {'B': {'y': {'value': '2'}}}, "
                "'execution_overrides': {'docker_cmd': 'img -e A=b', "
                "'parameters': {'lr': 0.1}, 'model_labels': {'a': 1}}}",
                task, parent);
    char clone[40];
    snprintf(clone, sizeof clone, "%s", api_text(api, "id"));
    assert_string_equal(api_text(api, "new_project.name"), "made/here");
    assert_string_equal(api_field(api, clone, "name"), "copy");
    assert_string_equal(api_field(api, clone, "parent"), parent);
    assert_string_equal(api_field(api, clone, "tags"), "[\"n\"]");
    assert_string_equal(api_field(api, clone, "container"),
                        "{\"image\":\"img\",\"arguments\":\"-e A=b\"}");
    assert_string_equal(api_field(api, clone, "execution.framework"), "f");
    assert_string_equal(api_field(api, clone, "execution.model_labels.a"), "1");
    assert_string_equal(api_field(api, clone, "hyperparams.A"), "-");
    assert_string_equal(api_field(api, clone, "hyperparams.B.y.value"), "2");
    assert_string_equal(api_field(api, clone, "hyperparams.Args.lr.value"), "0.1");
    assert_int_equal(api_call(api, "tasks.clone",
                              "{'task': '%s', 'new_task_parent': 'nobody'}", task),
                     101);
    assert_int_equal(api_call(api, "tasks.clone",
                              "{'task': '%s', 'new_task_project': 'nobody'}", task),
                     401);
    assert_int_equal(api_call(api, "tasks.clone", "{'task': 'nobody'}"), 101);
}

static void test_reset(void **state)
{
    struct api *api = *state;
    const char *task = api_task(
        api, "reset",
        "'output_dest': 'o', 'script': {'diff': 'd'}, 'runtime': {'a': 1}, "
        "'hyperparams': {'A': {'x': {'value': '1'}}}, 'execution': {'artifacts': "
        "[{'key': 'in', 'type': 't', 'mode': 'input'}, "
        "{'key': 'out', 'type': 't', 'uri': 'http://f/a'}]}");
    const char *queue = make_queue(api, "one");
    const char *draft = make_model(api, task, false);
    assert_call(api, "tasks.add_or_update_model",
                "{'task': '%s', 'name': 'm', 'model': '%s', 'type': 'output', "
                "'iteration': 7}",
                task, draft);
    assert_string_equal(api_field(api, task, "last_iteration"), "7");
    assert_call(api, "tasks.started", "{'task': '%s'}", task);
    auto_json *fields = cJSON_CreateObject();
    json_set_str(fields, "last_worker", "w");
    json_set_str(fields, "output.error", "e");
    json_set_num(fields, "last_metrics.a.b.value", 1);
    task_set_fields(api->db, task, fields);
    put(api, task, "failed");
    assert_call(api, "tasks.enqueue", "{'task': '%s', 'queue': '%s'}", task, queue);
    assert_call(api, "tasks.reset", "{'task': '%s', 'return_file_urls': true}", task);
    assert_string_equal(api_text(api, "updated"), "1");
    assert_string_equal(api_text(api, "deleted_models"), "1");
    assert_string_equal(api_text(api, "dequeued.removed"), "1");
    assert_string_equal(api_text(api, "urls.model_urls"), "[\"http://f/draft\"]");
    assert_string_equal(api_text(api, "urls.artifact_urls"), "[\"http://f/a\"]");
    assert_string_equal(api_text(api, "fields.status"), "created");
    assert_int_equal(queue_length(api, queue), 0);
    assert_int_equal(api_call(api, "models.get_by_id", "{'model': '%s'}", draft), 201);
    static const char *const expected[][2] = {
        {"status", "created"},
        {"status_reason", "reset"},
        {"status_message", "reset"},
        {"last_iteration", "0"},
        {"last_metrics", "{}"},
        {"runtime", "{}"},
        {"last_worker", "-"},
        {"started", "-"},
        {"completed", "-"},
        {"execution.queue", "-"},
        {"output", "{\"destination\":\"o\"}"},
        {"models", "{\"input\":[],\"output\":[]}"},
        {"execution.artifacts.0.key", "in"},
        {"execution.artifacts.1", "-"},
        {"hyperparams.A.x.value", "1"},
        {"script.diff", "d"}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_string_equal(api_field(api, task, expected[i][0]), expected[i][1]);
    assert_call(api, "tasks.reset", "{'task': '%s', 'clear_all': true}", task);
    assert_string_equal(api_field(api, task, "script.diff"), "-");
    assert_string_equal(api_field(api, task, "execution.artifacts"), "[]");
    assert_string_equal(api_field(api, task, "hyperparams.A.x.value"), "1");
}

static void test_delete(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "delete", "'tags': ['mine']");
    const char *child = api_task(api, "child", "");
    auto_json *fields = cJSON_CreateObject();
    json_set_str(fields, "parent", task);
    task_set_fields(api->db, child, fields);
    const char *draft = make_model(api, task, false);
    put(api, task, "completed");
    assert_int_equal(api_call(api, "tasks.delete", "{'task': '%s'}", task), 123);
    assert_string_equal(json_str(api->call.error_data, "current", ""), "completed");
    const char *ready = make_model(api, task, true);
    assert_call(api, "tasks.archive", "{'tasks': ['%s']}", task);
    assert_int_equal(api_call(api, "tasks.delete", "{'task': '%s'}", task), 123);
    put(api, child, "published");
    assert_int_equal(api_call(api, "tasks.delete", "{'task': '%s'}", task), 123);
    assert_string_equal(json_str(api->call.error_data, "children", ""), "1");
    assert_call(api, "tasks.delete", "{'task': '%s', 'force': true}", task);
    assert_string_equal(api_text(api, "deleted"), "true");
    assert_string_equal(api_text(api, "updated_children"), "1");
    assert_string_equal(api_text(api, "deleted_models"), "1");
    assert_string_equal(api_text(api, "updated_models"), "1");
    assert_string_equal(api_text(api, "urls"), "-");
    char parent[80];
    snprintf(parent, sizeof parent, "__DELETED__%s", task);
    assert_string_equal(api_field(api, child, "parent"), parent);
    assert_int_equal(api_call(api, "tasks.get_by_id", "{'task': '%s'}", task), 101);
    assert_int_equal(api_call(api, "models.get_by_id", "{'model': '%s'}", draft), 201);
    assert_call(api, "models.get_by_id", "{'model': '%s'}", ready);
    assert_string_equal(api_text(api, "model.task"), parent);
    assert_call(api, "tasks.get_all", "{'tags': ['mine']}");
    assert_string_equal(api_text(api, "tasks"), "[]");
}

static void test_archive(void **state)
{
    struct api *api = *state;
    const char *queue = make_queue(api, "one");
    const char *queued = api_task(api, "queued", ""),
               *running = api_task(api, "running", "");
    assert_call(api, "tasks.enqueue", "{'task': '%s', 'queue': '%s'}", queued, queue);
    put(api, running, "in_progress");
    assert_call(api, "tasks.archive", "{'tasks': ['%s', '%s']}", queued, running);
    assert_string_equal(api_text(api, "archived"), "2");
    assert_int_equal(queue_length(api, queue), 0);
    assert_string_equal(api_field(api, queued, "status"), "created");
    assert_string_equal(api_field(api, running, "status"), "stopped");
    assert_string_equal(api_field(api, running, "system_tags"), "[\"archived\"]");
    assert_call(api, "tasks.get_all", "{'system_tags': ['archived']}");
    assert_int_equal(cJSON_GetArraySize(api_at(api, "tasks")), 2);
    assert_call(api, "tasks.unarchive_many", "{'ids': ['%s', '%s']}", queued, running);
    assert_string_equal(api_text(api, "succeeded.1.unarchived"), "true");
    assert_string_equal(api_field(api, running, "system_tags"), "[]");
    assert_int_equal(api_call(api, "tasks.archive", "{'tasks': ['nobody']}"), 101);
    assert_int_equal(api_call(api, "tasks.archive", "{'tasks': []}"), 12);
}

static void test_many(void **state)
{
    struct api *api = *state;
    const char *good = api_task(api, "good", ""), *bad = api_task(api, "bad", "");
    const char *queue = make_queue(api, "one");
    put(api, bad, "published");
    assert_call(api, "tasks.enqueue_many",
                "{'ids': ['%s', '%s', 'nobody'], 'queue': '%s'}", good, bad, queue);
    assert_string_equal(api_text(api, "succeeded.0.id"), good);
    assert_string_equal(api_text(api, "succeeded.0.queued"), "true");
    assert_string_equal(api_text(api, "succeeded.0.fields.status"), "queued");
    assert_string_equal(api_text(api, "failed.0.id"), bad);
    assert_string_equal(api_text(api, "failed.0.error.codes"), "[400,110]");
    assert_string_equal(api_text(api, "failed.0.error.data.new_status"), "queued");
    assert_string_equal(api_text(api, "failed.1.error.codes"), "[400,101]");
    assert_int_equal(api->call.code, 200);
    assert_int_equal(queue_length(api, queue), 1);
    assert_string_equal(api_field(api, bad, "status"), "published");
    assert_call(api, "tasks.stop_many", "{'ids': ['%s']}", good);
    assert_string_equal(api_field(api, good, "status"), "stopped");
    assert_call(api, "tasks.reset_many", "{'ids': ['%s']}", good);
    assert_call(api, "tasks.delete_many", "{'ids': ['%s', '%s']}", good, bad);
    assert_string_equal(api_text(api, "succeeded.0.deleted"), "true");
    assert_string_equal(api_text(api, "failed.0.error.codes"), "[400,123]");
}

static void test_pipeline_steps(void **state)
{
    struct api *api = *state;
    assert_call(api, "tasks.create", "{'name': 'controller', 'type': 'controller'}");
    char controller[40], more[80];
    snprintf(controller, sizeof controller, "%s", api_text(api, "id"));
    snprintf(more, sizeof more, "'parent': '%s'", controller);
    const char *step = api_task(api, "step", more);
    put(api, controller, "in_progress");
    put(api, step, "in_progress");
    assert_call(api, "tasks.stop", "{'task': '%s'}", controller);
    assert_string_equal(api_field(api, step, "status"), "in_progress");
    assert_call(api, "tasks.stop", "{'task': '%s', 'include_pipeline_steps': true}",
                controller);
    assert_string_equal(api_field(api, step, "status"), "stopped");
    assert_call(api, "tasks.delete",
                "{'task': '%s', 'force': true, 'include_pipeline_steps': true}",
                controller);
    assert_int_equal(api_call(api, "tasks.get_by_id", "{'task': '%s'}", step), 101);
}

/* ---- parameters, artifacts, models ---- */

static void test_hyper_params(void **state)
{
    struct api *api = *state;
    const char *task =
        api_task(api, "params",
                 "'hyperparams': "
                 "{'A': {'x': {'value': '1'}, 'a.b/c $d': {'value': '2'}}}");
    assert_call(
        api, "tasks.edit_hyper_params",
        "{'task': '%s', 'hyperparams': [{'section': 'A', 'name': 'x', 'value': '3'}, "
        "{'section': 'B', 'name': 'y', 'value': '4', 'type': 'int'}]}",
        task);
    assert_string_equal(api_text(api, "updated"), "1");
    assert_call(api, "tasks.get_hyper_params", "{'tasks': ['%s']}", task);
    assert_string_equal(api_text(api, "params.0.task"), task);
    assert_string_equal(api_text(api, "params.0.hyperparams.0.name"), "a.b/c $d");
    assert_string_equal(api_text(api, "params.0.hyperparams.1.value"), "3");
    assert_string_equal(
        api_text(api, "params.0.hyperparams.2"),
        "{\"section\":\"B\",\"name\":\"y\",\"value\":\"4\",\"type\":\"int\"}");
    assert_call(api, "tasks.edit_hyper_params",
                "{'task': '%s', 'replace_hyperparams': 'section', 'hyperparams': "
                "[{'section': 'A', 'name': 'z', 'value': '5'}]}",
                task);
    assert_string_equal(api_field(api, task, "hyperparams.A.x"), "-");
    assert_string_equal(api_field(api, task, "hyperparams.A.z.value"), "5");
    assert_string_equal(api_field(api, task, "hyperparams.B.y.value"), "4");
    assert_call(api, "tasks.edit_hyper_params",
                "{'task': '%s', 'replace_hyperparams': 'all', 'hyperparams': "
                "[{'section': 'C', 'name': 'q', 'value': ''}]}",
                task);
    assert_string_equal(api_field(api, task, "hyperparams.A"), "-");
    put(api, task, "in_progress");
    assert_int_equal(
        api_call(api, "tasks.edit_hyper_params",
                 "{'task': '%s', 'hyperparams': [{'section': 'A', 'name': 'x', "
                 "'value': '3'}]}",
                 task),
        110);
    assert_call(
        api, "tasks.edit_hyper_params",
        "{'task': '%s', 'force': true, 'hyperparams': [{'section': 'A', 'name': 'x', "
        "'value': '3'}]}",
        task);
    put(api, task, "completed");
    assert_int_equal(
        api_call(api, "tasks.edit_hyper_params",
                 "{'task': '%s', 'force': true, 'hyperparams': [{'section': 'A', "
                 "'name': 'x', 'value': '3'}]}",
                 task),
        110);
    /* User properties may change at any time. */
    assert_call(api, "tasks.edit_hyper_params",
                "{'task': '%s', 'hyperparams': [{'section': 'Properties', "
                "'name': 'reeve.memory', 'value': '1g'}]}",
                task);
    assert_call(api, "tasks.get_all",
                "{'hyperparams.properties.reeve%%2Ememory.value': "
                "['1g'], 'only_fields': ['id']}");
    assert_string_equal(api_text(api, "tasks.0.id"), task);
    assert_call(api, "tasks.delete_hyper_params",
                "{'task': '%s', 'hyperparams': [{'section': 'PROPERTIES', "
                "'name': 'reeve.memory'}]}",
                task);
    assert_string_equal(api_field(api, task, "hyperparams.properties"), "{}");
    put(api, task, "created");
    assert_int_equal(api_call(api, "tasks.delete_hyper_params",
                              "{'task': '%s', 'hyperparams': [{'section': 'A'}, "
                              "{'section': 'A', 'name': 'x'}]}",
                              task),
                     15);
    assert_call(api, "tasks.delete_hyper_params",
                "{'task': '%s', 'hyperparams': [{'section': 'A'}]}", task);
    assert_string_equal(api_field(api, task, "hyperparams.A"), "-");
    assert_int_equal(api_call(api, "tasks.edit_hyper_params",
                              "{'task': '%s', 'hyperparams': [{'section': 'A', "
                              "'name': 'x'}]}",
                              task),
                     12);
    assert_int_equal(api_call(api, "tasks.edit_hyper_params",
                              "{'task': '%s', 'hyperparams': [5]}", task),
                     12);
    assert_int_equal(api_call(api, "tasks.get_hyper_params", "{'tasks': ['nobody']}"),
                     101);
}

static void test_configuration(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "config",
                                "'configuration': "
                                "{'b.c': {'value': 'text'}, 'empty': {'value': ''}}");
    assert_call(api, "tasks.edit_configuration",
                "{'task': '%s', 'configuration': [{'name': 'a', 'value': '1'}]}", task);
    assert_call(api, "tasks.get_configurations", "{'tasks': ['%s']}", task);
    assert_string_equal(api_text(api, "configurations.0.configuration.0.name"), "a");
    assert_string_equal(api_text(api, "configurations.0.configuration.1.value"),
                        "text");
    assert_call(api, "tasks.get_configurations",
                "{'tasks': ['%s'], 'names': ['b.c', 'nope']}", task);
    assert_int_equal(cJSON_GetArraySize(api_at(api, "configurations.0.configuration")),
                     1);
    assert_call(api, "tasks.get_configuration_names", "{'tasks': ['%s']}", task);
    assert_string_equal(api_text(api, "configurations.0.names"), "[\"a\",\"b.c\"]");
    assert_call(api, "tasks.get_configuration_names",
                "{'tasks': ['%s'], 'skip_empty': false}", task);
    assert_string_equal(api_text(api, "configurations.0.names"),
                        "[\"a\",\"b.c\",\"empty\"]");
    assert_call(api, "tasks.delete_configuration",
                "{'task': '%s', 'configuration': ['b.c']}", task);
    assert_string_equal(api_text(api, "deleted"), "1");
    assert_call(api, "tasks.edit_configuration",
                "{'task': '%s', 'replace_configuration': true, 'configuration': "
                "[{'name': 'only', 'value': 'x'}]}",
                task);
    assert_call(api, "tasks.get_configuration_names", "{'tasks': ['%s']}", task);
    assert_string_equal(api_text(api, "configurations.0.names"), "[\"only\"]");
    put(api, task, "stopped");
    assert_int_equal(api_call(api, "tasks.edit_configuration",
                              "{'task': '%s', 'force': true, 'configuration': "
                              "[{'name': 'a', 'value': '1'}]}",
                              task),
                     110);
}

static void test_artifacts(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "artifacts", "");
    put(api, task, "in_progress");
    assert_call(
        api, "tasks.add_or_update_artifacts",
        "{'task': '%s', 'artifacts': [{'key': 'b', 'type': 't', 'uri': 'u1'}, "
        "{'key': 'a', 'type': 't', 'mode': 'input'}, {'key': 'a', 'type': 't'}]}",
        task);
    assert_string_equal(api_text(api, "updated"), "1");
    assert_call(api, "tasks.add_or_update_artifacts",
                "{'task': '%s', 'artifacts': [{'key': 'b', 'type': 't', 'uri': 'u2', "
                "'content_size': 3000000000}]}",
                task);
    assert_string_equal(api_field(api, task, "execution.artifacts.0.key"), "a");
    assert_string_equal(api_field(api, task, "execution.artifacts.2.uri"), "u2");
    assert_string_equal(api_field(api, task, "execution.artifacts.2.mode"), "output");
    assert_string_equal(api_field(api, task, "execution.artifacts.2.content_size"),
                        "3000000000");
    assert_string_equal(api_field(api, task, "execution.artifacts.3"), "-");
    assert_call(api, "tasks.delete_artifacts",
                "{'task': '%s', 'artifacts': [{'key': 'a', 'mode': 'input'}]}", task);
    assert_string_equal(api_text(api, "deleted"), "1");
    assert_string_equal(api_field(api, task, "execution.artifacts.0.mode"), "output");
    assert_int_equal(api_call(api, "tasks.add_or_update_artifacts",
                              "{'task': '%s', 'artifacts': []}", task),
                     12);
    assert_int_equal(api_call(api, "tasks.add_or_update_artifacts",
                              "{'task': '%s', 'artifacts': [{'key': 'a', 'type': 't', "
                              "'mode': 'x'}]}",
                              task),
                     12);
    put(api, task, "completed");
    assert_int_equal(api_call(api, "tasks.delete_artifacts",
                              "{'task': '%s', 'artifacts': [{'key': 'a'}]}", task),
                     110);
}

static void test_task_models(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "models", "");
    const char *one = make_model(api, task, false), *two = make_model(api, task, false);
    assert_call(api, "tasks.add_or_update_model",
                "{'task': '%s', 'name': 'm', 'model': '%s', 'type': 'input'}", task,
                one);
    assert_string_equal(api_text(api, "updated"), "1");
    assert_call(api, "tasks.add_or_update_model",
                "{'task': '%s', 'name': 'm', 'model': '%s', 'type': 'input'}", task,
                two);
    assert_string_equal(api_field(api, task, "models.input.0.model"), two);
    assert_string_equal(api_field(api, task, "models.input.1"), "-");
    assert_int_equal(api_call(api, "models.delete", "{'model': '%s'}", two), 205);
    assert_string_equal(json_str(api->call.error_data, "num_tasks", ""), "1");
    assert_call(api, "models.delete", "{'model': '%s'}", one);
    assert_string_equal(api_text(api, "deleted"), "true");
    assert_string_equal(api_text(api, "url"), "http://f/draft");
    assert_call(api, "tasks.delete_models",
                "{'task': '%s', 'models': [{'name': 'm', 'type': 'input'}]}", task);
    assert_string_equal(api_field(api, task, "models.input"), "[]");
    assert_call(api, "models.delete", "{'model': '%s'}", two);
    assert_int_equal(api_call(api, "tasks.add_or_update_model",
                              "{'task': '%s', 'name': 'm', 'model': 'x', 'type': 'y'}",
                              task),
                     12);
}

static void test_move_and_tags(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "move", "'tags': ['a', 'b']");
    assert_call(api, "tasks.move", "{'ids': ['%s'], 'project_name': 'target'}", task);
    char project[40];
    snprintf(project, sizeof project, "%s", api_text(api, "project_id"));
    assert_string_equal(api_field(api, task, "project"), project);
    assert_int_equal(task_count_by_project(api->db, project), 1);
    api->now_ms += 60000;
    assert_call(api, "tasks.started", "{'task': '%s'}", task);
    assert_call(api, "projects.get_by_id", "{'project': '%s'}", project);
    assert_string_equal(api_text(api, "project.last_update"),
                        "2023-11-14T22:14:20.000000+00:00");
    assert_int_equal(api_call(api, "tasks.move", "{'ids': ['%s']}", task), 11);
    assert_int_equal(
        api_call(api, "tasks.move", "{'ids': ['nobody'], 'project': '%s'}", project),
        101);
    assert_call(api, "tasks.update_tags",
                "{'ids': ['%s'], 'add_tags': ['c', 'a'], 'remove_tags': ['b']}", task);
    assert_string_equal(api_field(api, task, "tags"), "[\"a\",\"c\"]");
    assert_call(api, "tasks.get_all", "{'tags': ['c']}");
    assert_int_equal(cJSON_GetArraySize(api_at(api, "tasks")), 1);
    assert_call(api, "tasks.get_all", "{'tags': ['b']}");
    assert_int_equal(cJSON_GetArraySize(api_at(api, "tasks")), 0);
    assert_int_equal(api_call(api, "tasks.update_tags", "{'ids': ['%s']}", task), 12);
    assert_call(api, "tasks.get_types", "{'projects': ['%s']}", project);
    assert_string_equal(api_text(api, "types"), "[\"service\"]");
    assert_call(api, "tasks.get_types", "{'projects': ['other']}");
    assert_string_equal(api_text(api, "types"), "[]");
}

static void test_older_versions(void **state)
{
    struct api *api = *state;
    assert_call(
        api, "v2.5/tasks.create",
        "{'name': 'old', 'type': 'training', 'execution': {'docker_cmd': 'img -v x', "
        "'parameters': {'lr': 1, 'TF_DEFINE/a': 'b'}, 'model_desc': {'d': 'text'}}}");
    char id[40];
    snprintf(id, sizeof id, "%s", api_text(api, "id"));
    assert_string_equal(api_field(api, id, "container.image"), "img");
    assert_string_equal(api_field(api, id, "container.arguments"), "-v x");
    assert_string_equal(api_field(api, id, "hyperparams.Args.lr.value"), "1");
    assert_string_equal(api_field(api, id, "hyperparams.TF_DEFINE.a.type"), "legacy");
    assert_string_equal(api_field(api, id, "configuration.d.value"), "text");
    assert_string_equal(api_field(api, id, "execution.docker_cmd"), "-");
    assert_call(api, "v2.5/tasks.get_by_id", "{'task': '%s'}", id);
    assert_string_equal(api_text(api, "task.execution.docker_cmd"), "img -v x");
    assert_string_equal(api_text(api, "task.execution.parameters"),
                        "{\"lr\":\"1\",\"TF_DEFINE/a\":\"b\"}");
    assert_string_equal(api_text(api, "task.execution.model_desc.d"), "text");
    /* The old form replaces its own kind alone. */
    assert_call(api, "tasks.edit_hyper_params",
                "{'task': '%s', 'hyperparams': [{'section': 'New', 'name': 'n', "
                "'value': '1'}]}",
                id);
    assert_call(api, "v2.5/tasks.edit",
                "{'task': '%s', 'execution': {'parameters': {'wd': 2}}}", id);
    assert_string_equal(api_field(api, id, "hyperparams.Args.lr"), "-");
    assert_string_equal(api_field(api, id, "hyperparams.Args.wd.value"), "2");
    assert_string_equal(api_field(api, id, "hyperparams.New.n.value"), "1");
}

static void test_large_script(void **state)
{
    struct api *api = *state;
    size_t n = 5 << 20;
    char *diff = malloc(n + 1);
    memset(diff, 'x', n);
    diff[n] = '\0';
    assert_call(api, "tasks.create",
                "{'name': 'large', 'type': 'service', 'script': {'diff': '%s'}}", diff);
    char id[40];
    snprintf(id, sizeof id, "%s", api_text(api, "id"));
    assert_call(api, "tasks.get_by_id", "{'task': '%s'}", id);
    assert_string_equal(json_str(api_at(api, "task.script"), "diff", ""), diff);
    free(diff);
}

static void test_public(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "public", "");
    assert_call(api, "tasks.make_public", "{'ids': ['%s']}", task);
    assert_string_equal(api_field(api, task, "company"), "");
    assert_int_equal(api_call(api, "tasks.make_public", "{'ids': ['%s']}", task), 101);
    assert_call(api, "tasks.make_private", "{'ids': ['%s']}", task);
    assert_string_equal(api_field(api, task, "company"), "company1");
}

#define T(name) cmocka_unit_test_setup_teardown(name, api_setup, api_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_new_task),
        T(test_create_refuses),
        T(test_edit_merges),
        T(test_edit_needs_a_draft_or_force),
        T(test_update),
        T(test_requirements),
        T(test_enqueue),
        T(test_queue_watched),
        T(test_dequeue_is_the_claim),
        T(test_dequeue_goes_back),
        T(test_clone),
        T(test_clone_with),
        T(test_reset),
        T(test_delete),
        T(test_archive),
        T(test_many),
        T(test_pipeline_steps),
        T(test_hyper_params),
        T(test_configuration),
        T(test_artifacts),
        T(test_task_models),
        T(test_move_and_tags),
        T(test_older_versions),
        T(test_large_script),
        T(test_public),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
