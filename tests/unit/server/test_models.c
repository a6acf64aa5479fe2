/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include "server/services.h"

#include <stdio.h>
#include <string.h>

static const char *make(struct api *api, const char *name, const char *more)
{
    static char ids[16][40];
    static int next;
    char *id = ids[next++ % 16];
    assert_call(api, "models.create", "{'name': '%s', 'uri': ' http://f/%s '%s%s}",
                name, name, *more ? ", " : "", more);
    snprintf(id, sizeof ids[0], "%s", api_text(api, "id"));
    return id;
}

static const char *field(struct api *api, const char *model, const char *path)
{
    char full[256];
    assert_call(api, "models.get_by_id", "{'model': '%s'}", model);
    snprintf(full, sizeof full, "model.%s", path);
    return api_text(api, full);
}

static void test_create(void **state)
{
    struct api *api = *state;
    const char *model = make(api, "net",
                             "'labels': {'cat': 1}, 'tags': ['b', 'a'], "
                             "'metadata': {'k.1': {'key': 'k.1', 'type': 't', "
                             "'value': 'v'}}, 'design': {'d': 1}");
    assert_string_equal(api_text(api, "created"), "true");
    assert_string_equal(field(api, model, "uri"), "http://f/net");
    assert_string_equal(field(api, model, "ready"), "true");
    assert_string_equal(field(api, model, "tags"), "[\"a\",\"b\"]");
    assert_string_equal(field(api, model, "labels.cat"), "1");
    assert_string_equal(field(api, model, "design.d"), "1");
    assert_string_equal(field(api, model, "user"), "user1");
    assert_string_equal(
        json_str(json_get(api_at(api, "model.metadata"), "k.1"), "value", "?"), "v");
    assert_call(api, "v2.9/models.get_by_id", "{'model': '%s'}", model);
    assert_string_equal(api_text(api, "model.metadata"), "[]");
    static const struct {
        const char *more;
        int code;
    } bad[] = {{"'task': 'nobody'", 101},  {"'project': 'nobody'", 12},
               {"'parent': 'nobody'", 16}, {"'labels': {'a': 'x'}", 800},
               {"'tags': ['__$not']", 16}, {"'metadata': {'a': {'key': 'a'}}", 800},
               {"'framework': 5", 12},     {"'design': 5", 12}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(api_call(api, "models.create",
                                  "{'name': 'abc', 'uri': 'u', %s}", bad[i].more),
                         bad[i].code);
    assert_int_equal(api_call(api, "models.create", "{'name': 'ab', 'uri': 'u'}"), 800);
    assert_int_equal(api_call(api, "models.create", "{'name': 'abc'}"), 12);
}

static void test_edit_and_update(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "maker", "");
    const char *model = make(api, "net", "");
    api->now_ms += 1000;
    assert_call(api, "models.edit",
                "{'model': '%s', 'task': '%s', 'iteration': 9, 'framework': 'f', "
                "'ready': false}",
                model, task);
    assert_string_equal(api_text(api, "updated"), "1");
    assert_string_equal(api_text(api, "fields.framework"), "f");
    assert_string_equal(field(api, model, "ready"), "false");
    assert_string_equal(field(api, model, "last_update"),
                        "2023-11-14T22:13:21.000000+00:00");
    assert_string_equal(api_field(api, task, "last_iteration"), "9");
    assert_call(api, "models.update",
                "{'model': '%s', 'name': 'other', 'framework': 'g', 'comment': 'c'}",
                model);
    assert_string_equal(field(api, model, "name"), "other");
    assert_string_equal(field(api, model, "framework"), "f");
    assert_int_equal(api_call(api, "models.edit", "{'model': 'nobody'}"), 201);
    assert_call(api, "models.edit", "{'model': '%s'}", model);
    assert_string_equal(api_text(api, "updated"), "0");
}

static void test_metadata(void **state)
{
    struct api *api = *state;
    const char *model = make(api, "net", "");
    assert_call(
        api, "models.add_or_update_metadata",
        "{'model': '%s', 'metadata': [{'key': 'a.b', 'type': 't', 'value': '1'}, "
        "{'key': 'c', 'type': 't', 'value': '2'}]}",
        model);
    assert_call(
        api, "models.add_or_update_metadata",
        "{'model': '%s', 'metadata': [{'key': 'c', 'type': 't', 'value': '3'}]}",
        model);
    assert_string_equal(field(api, model, "metadata.c.value"), "3");
    assert_call(api, "models.get_all", "{'metadata.a%%2Eb.value': ['1']}");
    assert_string_equal(api_text(api, "models.0.id"), model);
    assert_call(api, "models.delete_metadata", "{'model': '%s', 'keys': ['a.b']}",
                model);
    assert_call(api, "models.get_all", "{'metadata.a%%2Eb.value': ['1']}");
    assert_string_equal(api_text(api, "models"), "[]");
    assert_call(api, "models.add_or_update_metadata",
                "{'model': '%s', 'replace_metadata': true, 'metadata': "
                "[{'key': 'z', 'type': 't', 'value': ''}]}",
                model);
    assert_string_equal(field(api, model, "metadata.c"), "-");
}

static void test_queries(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "maker", "");
    char more[80];
    snprintf(more, sizeof more, "'task': '%s', 'ready': false", task);
    const char *draft = make(api, "draft", more);
    const char *ready = make(api, "ready", "'system_tags': ['archived']");
    assert_call(api, "models.get_all", "{'task': ['%s'], 'only_fields': ['id']}", task);
    assert_int_equal(cJSON_GetArraySize(api_at(api, "models")), 1);
    assert_string_equal(api_text(api, "models.0.id"), draft);
    assert_call(api, "models.get_all", "{'ready': true}");
    assert_string_equal(api_text(api, "models.0.id"), ready);
    assert_string_equal(api_text(api, "models.1"), "-");
    assert_call(api, "models.get_all", "{'uri': ['http://f/draft']}");
    assert_string_equal(api_text(api, "models.0.id"), draft);
    assert_call(api, "models.get_all", "{'system_tags': ['-archived']}");
    assert_string_equal(api_text(api, "models.0.id"), draft);
    assert_call(api, "models.get_all_ex",
                "{'name': 'draft', 'only_fields': ['task.name', 'name'], "
                "'include_stats': true}");
    assert_string_equal(api_text(api, "models.0.task.name"), "maker");
    assert_string_equal(api_text(api, "models.0.stats.labels_count"), "0");
    assert_call(api, "models.edit", "{'model': '%s', 'framework': 'PyTorch'}", draft);
    assert_call(api, "models.get_frameworks", "{}");
    assert_string_equal(api_text(api, "frameworks"), "[\"PyTorch\"]");
}

static void test_ready(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "maker", "");
    char more[80];
    snprintf(more, sizeof more, "'task': '%s', 'ready': false", task);
    const char *model = make(api, "draft", more);
    assert_int_equal(api_call(api, "models.set_ready", "{'model': '%s'}", model), 110);
    assert_string_equal(field(api, model, "ready"), "false");
    task_set_status(api->db, task, "stopped", "", "", api->now_ms);
    assert_call(api, "models.set_ready", "{'model': '%s'}", model);
    assert_string_equal(api_text(api, "published_task.id"), task);
    assert_string_equal(api_text(api, "published_task.data.fields.status"),
                        "published");
    assert_string_equal(field(api, model, "ready"), "true");
    assert_string_equal(api_field(api, task, "status"), "published");
    assert_int_equal(api_call(api, "models.set_ready", "{'model': '%s'}", model), 203);
    /* A task that is published takes its last output model with it. */
    const char *other = api_task(api, "other", "");
    model = make(api, "second", "'ready': false");
    assert_call(api, "tasks.add_or_update_model",
                "{'task': '%s', 'name': 'm', 'model': '%s', 'type': 'output'}", other,
                model);
    task_set_status(api->db, other, "stopped", "", "", api->now_ms);
    assert_call(api, "tasks.publish", "{'task': '%s'}", other);
    assert_string_equal(field(api, model, "ready"), "true");
}

static void test_delete(void **state)
{
    struct api *api = *state;
    const char *maker = api_task(api, "maker", ""), *user = api_task(api, "user", "");
    char more[80];
    snprintf(more, sizeof more, "'task': '%s'", maker);
    const char *model = make(api, "net", more);
    assert_call(api, "tasks.add_or_update_model",
                "{'task': '%s', 'name': 'm', 'model': '%s', 'type': 'output'}", maker,
                model);
    assert_call(api, "tasks.add_or_update_model",
                "{'task': '%s', 'name': 'm', 'model': '%s', 'type': 'input'}", user,
                model);
    task_set_status(api->db, maker, "published", "", "", api->now_ms);
    assert_int_equal(api_call(api, "models.delete", "{'model': '%s'}", model), 205);
    assert_call(api, "tasks.delete_models",
                "{'task': '%s', 'models': [{'name': 'm', 'type': 'input'}]}", user);
    assert_int_equal(api_call(api, "models.delete", "{'model': '%s'}", model), 206);
    assert_call(api, "models.delete_many", "{'ids': ['%s', 'nobody'], 'force': true}",
                model);
    assert_string_equal(api_text(api, "succeeded.0.deleted"), "true");
    assert_string_equal(api_text(api, "succeeded.0.url"), "http://f/net");
    assert_string_equal(api_text(api, "failed.0.error.codes"), "[400,201]");
    char mark[80];
    snprintf(mark, sizeof mark, "__DELETED__%s", model);
    assert_string_equal(api_field(api, maker, "models.output.0.model"), mark);
    assert_true(
        !strncmp(api_field(api, maker, "output.error"), "model deleted on ", 17));
}

static void test_archive_move_tags(void **state)
{
    struct api *api = *state;
    const char *model = make(api, "net", "");
    assert_call(api, "models.archive_many", "{'ids': ['%s']}", model);
    assert_string_equal(api_text(api, "succeeded.0.archived"), "true");
    assert_string_equal(field(api, model, "system_tags"), "[\"archived\"]");
    assert_call(api, "models.unarchive_many", "{'ids': ['%s']}", model);
    assert_string_equal(field(api, model, "system_tags"), "[]");
    assert_call(api, "models.move", "{'ids': ['%s'], 'project_name': 'there'}", model);
    assert_string_not_equal(field(api, model, "project"), "-");
    assert_call(api, "models.update_tags", "{'ids': ['%s'], 'add_tags': ['x']}", model);
    assert_string_equal(field(api, model, "tags"), "[\"x\"]");
}

static void test_older_calls(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "maker",
                                "'execution': {'framework': 'f', "
                                "'model_labels': {'a': 1}}");
    assert_call(api, "v2.9/models.update_for_task",
                "{'task': '%s', 'uri': 'http://f/1', 'iteration': 3}", task);
    char model[40];
    snprintf(model, sizeof model, "%s", api_text(api, "id"));
    assert_string_equal(api_text(api, "created"), "true");
    assert_string_equal(api_field(api, task, "models.output.0.model"), model);
    assert_string_equal(api_field(api, task, "last_iteration"), "3");
    assert_call(api, "v2.9/models.update_for_task",
                "{'task': '%s', 'uri': 'http://f/2'}", task);
    assert_string_equal(api_text(api, "created"), "false");
    assert_call(api, "v2.9/models.get_by_task_id", "{'task': '%s'}", task);
    assert_string_equal(api_text(api, "model.id"), model);
    assert_string_equal(api_text(api, "model.uri"), "http://f/2");
    assert_string_equal(api_text(api, "model.framework"), "f");
    assert_int_equal(api_call(api, "models.update_for_task", "{'task': '%s'}", task),
                     1);
    assert_int_equal(api->call.code, 301);
    assert_int_equal(
        api_call(api, "v2.9/models.update_for_task", "{'task': '%s'}", task), 11);
}

#define T(name) cmocka_unit_test_setup_teardown(name, api_setup, api_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_create),
        T(test_edit_and_update),
        T(test_metadata),
        T(test_queries),
        T(test_ready),
        T(test_delete),
        T(test_archive_move_tags),
        T(test_older_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
