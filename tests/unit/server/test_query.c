/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "server/services.h"

#include <stdio.h>
#include <string.h>

/* The names of what a query finds, in order: "a b c". */
static const char *found(struct api *api, const char *query)
{
    static char out[4][4096];
    static int next;
    char *at = out[next++ % 4];
    at[0] = '\0';
    int rc = api_call(api, "tasks.get_all", "%s", query);
    if (rc) {
        snprintf(at, sizeof out[0], "error %d", rc);
        return at;
    }
    const cJSON *task;
    cJSON_ArrayForEach(task, json_get(api->call.data, "tasks"))
    {
        size_t n = strlen(at);
        snprintf(at + n, sizeof out[0] - n, "%s%s", n ? " " : "",
                 json_str(task, "name", "?"));
    }
    return at;
}

#define assert_found(api, query, names) assert_string_equal(found(api, query), names)

static void test_list_operators(void **state)
{
    struct api *api = *state;
    api_task(api, "none", "");
    api_task(api, "one", "'tags': ['a']");
    api_task(api, "two", "'tags': ['a', 'b']");
    api_task(api, "three", "'tags': ['b', 'c', 'with \\\"quote']");
    assert_found(api, "{}", "none one two three");
    assert_found(api, "{'tags': ['a']}", "one two");
    assert_found(api, "{'tags': 'a'}", "one two");
    assert_found(api, "{'tags': ['a', 'c']}", "one two three");
    assert_found(api, "{'tags': ['__$all', 'a', 'b']}", "two");
    assert_found(api, "{'tags': ['__$and', 'a', 'b']}", "two");
    assert_found(api, "{'tags': ['__$any', 'a', 'c']}", "one two three");
    assert_found(api, "{'tags': ['-a']}", "none three");
    assert_found(api, "{'tags': ['b', '-a']}", "three");
    assert_found(api, "{'tags': ['__$not', 'a']}", "none three");
    assert_found(api, "{'tags': ['__$all', 'b', '__$not', 'a']}", "three");
    /* The first operator also joins the groups. */
    assert_found(api, "{'tags': ['__$or', 'a', '__$not', 'b']}", "none one two");
    assert_found(api, "{'tags': ['a', '__$nop', '-b']}", "one");
    assert_found(api, "{'tags': [null]}", "none");
    assert_found(api, "{'tags': ['c', null]}", "none three");
    assert_found(api, "{'tags': ['with \\\"quote']}", "three");
    assert_found(api, "{'tags': []}", "none one two three");
    assert_found(api, "{'tags': null}", "none one two three");
    assert_found(api, "{'tags': ['-']}", "error 16");
    assert_found(api, "{'tags': ['__$not']}", "error 16");
    assert_found(api, "{'tags': ['__$not', '__$all']}", "error 16");
    assert_found(api, "{'tags': ['__$what', 'a']}", "error 16");
    assert_found(api, "{'tags': [1]}", "error 16");
    assert_found(api, "{'unknown': ['a'], 'deeper.unknown': 1}", "none one two three");
}

static void test_lists_of_plain_fields(void **state)
{
    struct api *api = *state;
    const char *first = api_task(api, "first", ""), *ids[2];
    char query[256];
    ids[0] = api_task(api, "child 1", "");
    ids[1] = api_task(api, "child 2", "");
    auto_json *fields = cJSON_CreateObject();
    json_set_str(fields, "parent", first);
    task_set_fields(api->db, ids[0], fields);
    json_set_str(fields, "status", "queued");
    json_set_str(fields, "execution.queue", "q1");
    task_set_fields(api->db, ids[1], fields);
    snprintf(query, sizeof query, "{'parent': ['%s']}", first);
    assert_found(api, query, "child 1 child 2");
    snprintf(query, sizeof query, "{'parent': ['-%s']}", first);
    assert_found(api, query, "first");
    assert_found(api, "{'parent': [null]}", "first");
    assert_found(api, "{'status': ['queued', 'failed']}", "child 2");
    assert_found(api, "{'status': ['__$not', 'queued']}", "first child 1");
    assert_found(api, "{'execution.queue': ['q1']}", "child 2");
    assert_found(api, "{'execution.queue': [null]}", "first child 1");
    snprintf(query, sizeof query,
             "{'id': ['%s', '%s', 'nobody'], 'order_by': ['-name']}", ids[0], first);
    assert_found(api, query, "first child 1");
    assert_found(api, "{'type': ['service'], 'user': ['user1']}",
                 "first child 1 child 2");
    assert_found(api, "{'type': ['training']}", "");
}

static void test_patterns(void **state)
{
    struct api *api = *state;
    api_task(api, "my task (1)", "'comment': 'Nice one'");
    api_task(api, "My Task (1)", "");
    api_task(api, "my-task/2", "");
    assert_found(api, "{'name': '^my\\\\ task\\\\ \\\\(1\\\\)$'}", "my task (1)");
    assert_found(api, "{'name': '^my\\\\-task/2$'}", "my-task/2");
    assert_found(api, "{'name': 'task'}", "my task (1) my-task/2");
    assert_found(api, "{'name': '[tT]ask \\\\(\\\\d\\\\)'}", "my task (1) My Task (1)");
    assert_found(api, "{'name': '^(?!my)'}", "My Task (1)");
    assert_found(api, "{'name': ''}", "my task (1) My Task (1) my-task/2");
    assert_found(api, "{'comment': '^Nice'}", "my task (1)");
    assert_found(api, "{'name': '('}", "error 21");
    assert_found(api, "{'name': ['x']}", "error 16");
    assert_found(api,
                 "{'_any_': {'fields': ['name', 'comment'], 'pattern': 'NICE|/2'}}",
                 "my task (1) my-task/2");
    assert_found(api, "{'_all_': {'fields': ['name', 'comment'], 'pattern': 'n'}}", "");
    assert_found(api, "{'_and_': {'fields': ['name', 'comment'], 'pattern': '[mc]'}}",
                 "my task (1)");
    assert_found(api, "{'_or_': {'fields': ['name']}}", "error 16");
    assert_found(api, "{'_or_': {'fields': ['name'], 'pattern': 'x', 'datetime': 'y'}}",
                 "error 16");
    assert_found(api, "{'search_text': 'NICE task'}", "my task (1)");
    assert_found(api, "{'search_text': 'task -nice'}", "My Task (1) my-task/2");
    assert_found(api, "{'search_text': '\\\"y task\\\"'}", "my task (1) My Task (1)");
}

static void test_pattern_is_bounded(void **state)
{
    struct api *api = *state;
    auto_buf name = BUF_INIT;
    for (int i = 0; i < 200; i++)
        buf_add_char(&name, 'a');
    buf_add_char(&name, '!');
    api_task(api, buf_str(&name), "");
    assert_found(api, "{'name': '^(a+)+$'}", "error 21");
    assert_non_null(strstr(api->call.message, "too much work"));
    assert_found(api, "{'name': '^(a|a)*$'}", "error 21");
    auto_buf nested = BUF_INIT;
    buf_add_str(&nested, "{'name': '");
    for (int i = 0; i < 5000; i++)
        buf_add_char(&nested, '(');
    buf_add_str(&nested, "'}");
    assert_found(api, buf_str(&nested), "error 21");
}

static void test_ranges_and_dates(void **state)
{
    struct api *api = *state;
    const char *early = api_task(api, "early", ""); /* 2023-11-14 22:13:20 */
    api->now_ms += 24 * 3600 * 1000;
    const char *late = api_task(api, "late", "");
    auto_json *fields = cJSON_CreateObject();
    json_set_int(fields, "last_iteration", 5);
    json_set_num(fields, "last_metrics.m.v.value", 0.5);
    task_note_events(api->db, late, fields, api->now_ms);
    json_set_str(fields, "started", "2023-11-15T00:00:00");
    json_set_int(fields, "active_duration", 100);
    task_set_fields(api->db, early, fields);
    json_set_num(fields, "last_metrics.m.v.value", 2);
    task_set_fields(api->db, early, fields);
    assert_found(api, "{'last_iteration': [5, null]}", "early late");
    assert_found(api, "{'active_duration': [50, 150]}", "early");
    assert_found(api, "{'active_duration': [null, 150]}", "early late");
    assert_found(api, "{'active_duration': ['100', null]}", "early");
    assert_found(api, "{'active_duration': [101, null]}", "");
    assert_found(api, "{'last_metrics.m.v.value': [1, null]}", "early");
    assert_found(api, "{'last_metrics.m.v.value': [null, '1']}", "late");
    assert_found(api, "{'created': ['2023-11-15', '2023-11-16']}", "late");
    assert_found(api, "{'created': [null, '2023-11-15 00:00:00']}", "early");
    assert_found(api, "{'created': [null, null]}", "error 12");
    assert_found(api, "{'created': ['2023-11-15']}", "error 12");
    assert_found(api, "{'created': ['soon', null]}", "error 16");
    assert_found(api, "{'last_update': ['>2023-11-15T12:00:00']}", "late");
    assert_found(api, "{'last_update': '<2023-11-15 12:00:00'}", "early");
    assert_found(api,
                 "{'last_update': ['>=2023-11-14T22:13:20Z', "
                 "'<=2023-11-14T22:13:20+00:00']}",
                 "early");
    assert_found(api, "{'last_update': ['2023-11-15', '2023-11-17']}", "late");
    assert_found(api, "{'last_update': '2023-11-14T22:13:20'}", "early");
    assert_found(api, "{'last_update': ['soon']}", "early late");
    assert_found(api, "{'status_changed': ['>2020-01-01']}", "");
    assert_found(api,
                 "{'_or_': {'fields': ['last_update', 'status_changed'], "
                 "'datetime': ['>2023-11-15T12:00:00']}}",
                 "late");
    assert_found(api,
                 "{'_and_': {'fields': ['last_update', 'status_changed'], "
                 "'datetime': ['>2023-11-15T12:00:00']}}",
                 "");
    assert_found(api, "{'order_by': ['last_metrics.m.v.value']}", "late early");
    assert_found(api, "{'order_by': ['-active_duration']}", "early late");
    assert_found(api, "{'order_by': ['active_duration']}", "early late");
}

static void test_order_and_pages(void **state)
{
    struct api *api = *state;
    char name[32];
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "n%02d", i);
        api_task(api, name, "");
        api->now_ms += 1000;
    }
    assert_found(api, "{'order_by': ['-name'], 'page_size': 3}", "n11 n10 n09");
    assert_found(api, "{'order_by': ['-last_update'], 'page': 1, 'page_size': 3}",
                 "n08 n07 n06");
    assert_found(api, "{'order_by': '-last_update'}", "error 14");
    assert_found(api, "{'page': 1, 'page_size': null}", "error 11");
    assert_found(api, "{'order_by': ['name'], 'page': 4, 'page_size': 3}", "");
    assert_found(api, "{'page': 3, 'page_size': 4}", "");
    assert_found(api, "{'page': 2, 'page_size': 5}", "n10 n11");
    assert_found(api, "{'page': -1}", "error 12");
    assert_found(api, "{'page_size': 0}", "error 12");
    assert_found(api, "{'page': 'x'}", "error 12");
    assert_found(api, "{'page': 1e300, 'page_size': 1e300}", "");
    assert_found(api, "{'order_by': ['nothing']}", "error 14");
    assert_found(api, "{'order_by': [1]}", "error 12");
    assert_found(api, "{'order_by': ['@text_score']}", "error 16");
    assert_found(api, "{'search_text': 'n1', 'order_by': ['@text_score', 'name']}",
                 "n10 n11");
}

static void test_page_cap(void **state)
{
    struct api *api = *state;
    for (int i = 0; i < 503; i++)
        api_task(api, "many", "");
    assert_call(api, "tasks.get_all", "{'page_size': 1000, 'only_fields': ['id']}");
    assert_int_equal(cJSON_GetArraySize(api_at(api, "tasks")), 500);
    assert_call(api, "tasks.get_all", "{'only_fields': ['id']}");
    assert_int_equal(cJSON_GetArraySize(api_at(api, "tasks")), 500);
    assert_call(api, "tasks.get_all", "{'page': 1, 'page_size': 500}");
    assert_int_equal(cJSON_GetArraySize(api_at(api, "tasks")), 3);
}

static void test_scroll(void **state)
{
    struct api *api = *state;
    char name[32], scroll[80];
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "s%02d", i);
        api_task(api, name, "");
    }
    assert_found(api, "{'scroll_id': null, 'size': 2, 'order_by': ['name']}",
                 "s00 s01");
    snprintf(scroll, sizeof scroll, "%s", api_text(api, "scroll_id"));
    char query[256];
    snprintf(query, sizeof query,
             "{'scroll_id': '%s', 'size': 2, 'order_by': ['name']}", scroll);
    assert_found(api, query, "s02 s03");
    snprintf(scroll, sizeof scroll, "%s", api_text(api, "scroll_id"));
    snprintf(query, sizeof query,
             "{'scroll_id': '%s', 'size': 2, 'order_by': ['name']}", scroll);
    assert_found(api, query, "s04");
    snprintf(
        query, sizeof query,
        "{'scroll_id': '%s', 'size': 2, 'refresh_scroll': true, 'order_by': ['name']}",
        scroll);
    assert_found(api, query, "s00 s01 s02 s03");
    assert_found(api, "{'scroll_id': 'x'}", "error 12");
}

static void test_hidden(void **state)
{
    struct api *api = *state;
    const char *hidden =
        api_task(api, "secret", "'system_tags': ['hidden', 'pipeline']");
    char query[128];
    api_task(api, "open", "'tags': ['hidden']");
    assert_found(api, "{}", "open");
    assert_found(api, "{'system_tags': ['pipeline']}", "");
    assert_found(api, "{'search_hidden': true}", "secret open");
    snprintf(query, sizeof query, "{'id': ['%s']}", hidden);
    assert_found(api, query, "secret");
    assert_found(api, "{'id': []}", "open");
    assert_call(api, "tasks.get_by_id_ex", "{'id': ['%s']}", hidden);
    assert_string_equal(api_text(api, "tasks.0.name"), "secret");
}

static void test_projection(void **state)
{
    struct api *api = *state;
    const char *id = api_task(
        api, "fields",
        "'hyperparams': {'Args': {'a.b': {'value': '1'}, 'c': {'value': '2'}}}, "
        "'runtime': {'CLEARML VERSION': '1', 'x.y': 'z', 'progress': 3}, "
        "'script': {'diff': 'd', 'branch': 'b'}");
    char expected[512];
    assert_call(api, "tasks.get_all", "{'only_fields': ['name', 'script.branch']}");
    snprintf(expected, sizeof expected,
             "{\"id\":\"%s\",\"name\":\"fields\",\"script\":{\"branch\":\"b\"}}", id);
    assert_string_equal(api_text(api, "tasks.0"), expected);
    assert_call(api, "tasks.get_all", "{'only_fields': ['status', 'status_message']}");
    snprintf(expected, sizeof expected,
             "{\"id\":\"%s\",\"status\":\"created\",\"status_message\":\"\"}", id);
    assert_string_equal(api_text(api, "tasks.0"), expected);
    assert_call(api, "tasks.get_all",
                "{'only_fields': ['hyperparams.Args.a%%2Eb', 'runtime.x.y']}");
    assert_string_equal(api_text(api, "tasks.0.hyperparams.Args.c"), "-");
    assert_string_equal(json_str(api_at(api, "tasks.0.runtime"), "x.y", "?"), "z");
    assert_string_equal(
        json_str(json_get(api_at(api, "tasks.0.hyperparams.Args"), "a.b"), "value",
                 "?"),
        "1");
    assert_call(api, "tasks.get_all", "{'only_fields': ['script.branch', 'script']}");
    assert_string_equal(api_text(api, "tasks.0.script.diff"), "d");
    assert_call(api, "tasks.get_all",
                "{'projection': ['-script', '-runtime.progress']}");
    assert_string_equal(api_text(api, "tasks.0.script"), "-");
    assert_string_equal(api_text(api, "tasks.0.runtime.progress"), "-");
    assert_string_equal(api_text(api, "tasks.0.name"), "fields");
    assert_call(api, "tasks.get_all", "{'only_fields': ['id', '', 7]}");
    assert_int_equal(cJSON_GetArraySize(api_at(api, "tasks.0")), 1);
    assert_found(api, "{'only_fields': ['id', 'a.b.c']}", "error 14");
    assert_found(api, "{'only_fields': ['project.name']}", "error 14");
    assert_found(api, "{'only_fields': 'id'}", "error 14");
}

static void test_paths_of_parameters(void **state)
{
    struct api *api = *state;
    api_task(api, "small",
             "'hyperparams': {'Args': {'lr': {'value': '9'}, "
             "'a.b': {'value': 'x'}, 'q\\\"u': {'value': 'y'}}}, "
             "'runtime': {'pipeline_job_hash': 'h1', 'n': 5}");
    api_task(api, "large", "'hyperparams': {'Args': {'lr': {'value': '10'}}}");
    assert_found(api, "{'hyperparams.Args.lr.value': ['9']}", "small");
    assert_found(api, "{'hyperparams.Args.a%2Eb.value': ['x']}", "small");
    assert_found(api, "{'hyperparams.Args.q\\\"u.value': ['y']}", "small");
    assert_found(api, "{'hyperparams.Args.q\\\"u.value': ['-y']}", "large");
    assert_found(api, "{'hyperparams.Args.nope.value': [null]}", "small large");
    assert_found(api, "{'order_by': ['hyperparams.Args.lr.value']}", "small large");
    assert_found(api, "{'order_by': ['-hyperparams.Args.lr.value']}", "large small");
    assert_found(api,
                 "{'_all_': {'fields': ['runtime.pipeline_job_hash'], "
                 "'pattern': '^h1$'}}",
                 "small");
    assert_found(api, "{'runtime.n': 5}", "small");
    assert_found(api, "{'allow_public': false}", "small large");
    assert_found(api, "{'runtime.pipeline_job_hash': 'h1'}", "small");
    assert_found(api, "{'runtime.pipeline_job_hash': 'h2'}", "");
    assert_found(
        api, "{'_any_': {'fields': ['tags', 'nothing.at.all'], 'pattern': 'x'}}", "");
}

static void test_filters(void **state)
{
    struct api *api = *state;
    api_task(api, "none", "");
    api_task(api, "one", "'tags': ['a']");
    api_task(api, "two", "'tags': ['a', 'b']");
    assert_found(api, "{'filters': {'tags': {'any': {'include': ['a', 'b']}}}}",
                 "one two");
    assert_found(api, "{'filters': {'tags': {'all': {'include': ['a', 'b']}}}}", "two");
    assert_found(api, "{'filters': {'tags': {'all': {'exclude': ['b']}}}}", "none one");
    assert_found(api, "{'filters': {'tags': {'any': {'exclude': ['a', 'b']}}}}",
                 "none one");
    assert_found(api, "{'filters': {'tags': {'any': {'include': [null]}}}}", "none");
    assert_found(api, "{'filters': {'tags': {'all': {'exclude': [null]}}}}", "one two");
    assert_found(api,
                 "{'filters': {'tags': {'op': 'or', 'any': {'include': [null]}, "
                 "'all': {'include': ['a', 'b']}}}}",
                 "none two");
    assert_found(api, "{'filters': {'tags': {'op': 'nor'}}}", "error 12");
    assert_found(api, "{'filters': {'tags': {'some': {'include': []}}}}", "error 12");
    assert_found(api, "{'filters': {'tags': {'any': {'with': []}}}}", "error 12");
    assert_found(api, "{'filters': {'tags': 1}}", "error 12");
    assert_found(api, "{'filters': {'tags': {'any': {'include': [1]}}}}", "error 12");
}

static void test_joins(void **state)
{
    struct api *api = *state;
    assert_call(api, "projects.create", "{'name': 'top/sub'}");
    char project[40];
    snprintf(project, sizeof project, "%s", api_text(api, "id"));
    assert_call(api, "models.create", "{'name': 'net', 'uri': 'http://x/y'}");
    char model[40], more[256];
    snprintf(model, sizeof model, "%s", api_text(api, "id"));
    snprintf(more, sizeof more,
             "'project': '%s', 'models': {'input': [{'name': 'in', 'model': '%s'}]}",
             project, model);
    const char *id = api_task(api, "joined", more);
    assert_call(api, "tasks.get_all_ex", "{}");
    assert_string_equal(api_text(api, "tasks.0.project.id"), project);
    assert_string_equal(api_text(api, "tasks.0.project.name"), "-");
    assert_string_equal(api_text(api, "tasks.0.user.id"), "user1");
    assert_string_equal(api_text(api, "tasks.0.models.input.0.model.id"), model);
    assert_call(
        api, "tasks.get_all_ex",
        "{'id': ['%s'], 'only_fields': ['project.name', 'models.input.model.name', "
        "'models.input.name']}",
        id);
    assert_string_equal(api_text(api, "tasks.0.project.name"), "top/sub");
    assert_string_equal(api_text(api, "tasks.0.project.id"), project);
    assert_string_equal(api_text(api, "tasks.0.models.input.0.model.name"), "net");
    assert_string_equal(api_text(api, "tasks.0.models.input.0.model.uri"), "-");
    assert_string_equal(api_text(api, "tasks.0.models.input.0.name"), "in");
    char query[160];
    snprintf(query, sizeof query, "{'models.input.model': ['%s']}", model);
    assert_found(api, query, "joined");
    assert_call(api, "projects.get_all", "{'name': '^top$'}");
    snprintf(query, sizeof query, "{'project': ['%s']}",
             api_text(api, "projects.0.id"));
    assert_found(api, query, "");
    query[strlen(query) - 1] = '\0';
    strcat(query, ", 'include_subprojects': true}");
    assert_found(api, query, "joined");
}

/* The same grammar over documents that are JSON text. */
static void test_text_documents(void **state)
{
    struct api *api = *state;
    static const char *const made[] = {"'name': 'alpha', 'tags': ['a', 'b']",
                                       "'name': 'beta (1)', 'tags': ['b']",
                                       "'name': 'gamma'"};
    for (size_t i = 0; i < 3; i++) {
        assert_call(api, "queues.create", "{%s}", made[i]);
        api->now_ms += 3600 * 1000;
    }
    static const struct {
        const char *query, *names;
    } cases[] = {{"'order_by': ['-name']", "gamma beta (1) alpha "},
                 {"'name': '^beta\\\\ \\\\(1\\\\)$'", "beta (1) "},
                 {"'name': 'a$', 'order_by': ['name']", "alpha gamma "},
                 {"'tags': ['b'], 'order_by': ['name']", "alpha beta (1) "},
                 {"'tags': ['__$all', 'a', 'b']", "alpha "},
                 {"'tags': ['-a'], 'order_by': ['name']", "beta (1) gamma "},
                 {"'tags': [null]", "gamma "},
                 {"'tags': ['a', null], 'order_by': ['name']", "alpha gamma "},
                 {"'order_by': ['name'], 'page': 1, 'page_size': 2", "gamma "},
                 {"'order_by': ['-created'], 'page_size': 1", "gamma "},
                 {"'search_text': 'BETA'", "beta (1) "},
                 {"'_any_': {'fields': ['name', 'tags'], 'pattern': '^(A|GAMMA)$'}, "
                  "'order_by': ['name']",
                  "alpha gamma "}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_call(api, "queues.get_all", "{%s}", cases[i].query);
        auto_buf names = BUF_INIT;
        const cJSON *queue;
        cJSON_ArrayForEach(queue, api_at(api, "queues"))
            buf_printf(&names, "%s ", json_str(queue, "name", "?"));
        assert_string_equal(buf_str(&names), cases[i].names);
    }
    assert_call(api, "queues.get_all", "{'name': 'alpha', 'only_fields': ['name']}");
    assert_string_equal(api_text(api, "queues.0.name"), "alpha");
    assert_string_equal(api_text(api, "queues.0.created"), "-");
    assert_string_not_equal(api_text(api, "queues.0.id"), "-");
    char query[80];
    snprintf(query, sizeof query, "{'id': ['%s']}", api_text(api, "queues.0.id"));
    assert_call(api, "queues.get_all", "%s", query);
    assert_string_equal(api_text(api, "queues.0.name"), "alpha");
    assert_string_equal(api_text(api, "queues.1"), "-");
}

static void test_hostile(void **state)
{
    struct api *api = *state;
    api_task(api, "target", "");
    assert_found(api, "{'name': {'a': 1}}", "error 16");
    assert_found(api, "{'id': {'a': 1}}", "error 16");
    assert_found(api, "{'_any_': 5}", "error 16");
    assert_found(api, "{'_any_': {'fields': [1], 'pattern': 'x'}}", "error 16");
    assert_found(api, "{'last_update': {'a': 1}}", "error 16");
    assert_found(api, "{'hyperparams.': ['x'], 'hyperparams...': ['x']}", "");
    assert_found(api, "{'order_by': 5, 'only_fields': 5}", "target");
    assert_found(api, "{'order_by': {'a': 1}}", "error 14");
    assert_found(api, "{'only_fields': {'a': 1}}", "error 14");
    assert_found(api, "{'filters': 7}", "error 16");
    assert_found(api, "{'filters': [{'tags': 1}]}", "error 16");
    auto_buf many = BUF_INIT;
    buf_add_str(&many, "{'tags': ['__$all'");
    for (int i = 0; i < 5000; i++)
        buf_printf(&many, ", 't%d'", i);
    buf_add_str(&many, "]}");
    const char *result = found(api, buf_str(&many));
    assert_true(!strcmp(result, "") || !strcmp(result, "error 12"));
    buf_clear(&many);
    buf_add_str(&many, "{'tags': ['target'");
    for (int i = 0; i < 5000; i++)
        buf_printf(&many, ", 't%d'", i);
    buf_add_str(&many, "]}");
    assert_found(api, buf_str(&many), "");
}

#define T(name) cmocka_unit_test_setup_teardown(name, api_setup, api_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_list_operators),
        T(test_lists_of_plain_fields),
        T(test_patterns),
        T(test_pattern_is_bounded),
        T(test_ranges_and_dates),
        T(test_order_and_pages),
        T(test_page_cap),
        T(test_scroll),
        T(test_hidden),
        T(test_projection),
        T(test_paths_of_parameters),
        T(test_filters),
        T(test_joins),
        T(test_text_documents),
        T(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
