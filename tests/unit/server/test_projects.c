/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/json.h"
#include "server/dispatch.h"
#include "server/project-store.h"
#include "server/server.h"
#include "server/services.h"
#include "server/store.h"

#include <string.h>

/* A server of which projects.delete needs the dispatch alone. */
struct world {
    struct server server;
    struct dispatch *dispatch;
    sqlite3 *db;
};

static int setup(void **state)
{
    struct world *w = xcalloc(1, sizeof *w);
    w->dispatch = w->server.dispatch = dispatch_create(true);
    w->db = store_open_memory();
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    dispatch_destroy(w->dispatch);
    store_connection_close(w->db);
    free(w);
    return 0;
}

/* Runs an endpoint; returns the code (or subcode of an error), the data in *data. */
static int run(struct world *w, const char *path, const char *json, cJSON **data)
{
    struct call call;
    call_init(&call, &w->server);
    call.db = w->db;
    strcpy(call.caller.user, "user");
    strcpy(call.caller.company, "company");
    if (dispatch_path(w->dispatch, &call, path) == 0 &&
        dispatch_body(&call, NULL, json, strlen(json)) == 0 &&
        dispatch_validate(&call) == 0)
        dispatch_run(&call);
    int code = call.code == 200 ? 200 : call.subcode;
    if (data) {
        *data = call.data;
        call.data = NULL;
    }
    call_free(&call);
    return code;
}

static char *create(struct world *w, const char *name)
{
    auto_free char *json = xasprintf("{\"name\":\"%s\"}", name);
    auto_json *data = NULL;
    assert_int_equal(run(w, "/projects.create", json, &data), 200);
    return xstrdup(json_str(data, "id", ""));
}

static cJSON *load(struct world *w, const char *name)
{
    char id[65];
    return project_find(w->db, name, id) ? project_load_full(w->db, id) : NULL;
}

static void expect_name(const char *given, const char *clean, int depth)
{
    auto_free char *name = project_clean_name_dup(given);
    assert_string_equal(name, clean);
    assert_int_equal(project_depth(name), depth);
}

static void test_names(void **state)
{
    expect_name("abc", "abc", 1);
    expect_name(" abc / d e /f", "abc/d e/f", 3);
    expect_name("//a///b/", "a/b", 2);
    expect_name("///", "", 0);
    expect_name("", "", 0);
    assert_string_equal(project_basename("a/b/c"), "c");
    assert_string_equal(project_basename("a"), "a");
}

static void test_makes_parents(void **state)
{
    struct world *w = *state;
    auto_free char *id = create(w, "one/two/three");
    auto_json *one = load(w, "one"), *two = load(w, "one/two"), *three = NULL;
    three = project_load_full(w->db, id);
    assert_non_null(one);
    assert_null(json_get(one, "parent"));
    assert_string_equal(json_str(two, "parent", ""), json_str(one, "id", "?"));
    assert_string_equal(json_str(three, "parent", ""), json_str(two, "id", "?"));
    const cJSON *path = json_get(three, "path");
    assert_int_equal(cJSON_GetArraySize(path), 2);
    assert_string_equal(cJSON_GetArrayItem(path, 0)->valuestring,
                        json_str(one, "id", "?"));
    assert_string_equal(json_str(three, "basename", ""), "three");
    auto_json *shown = project_load(w->db, id);
    assert_null(json_get(shown, "path"));
}

static void test_refuses_names(void **state)
{
    struct world *w = *state;
    free(create(w, "taken"));
    assert_int_equal(run(w, "/projects.create", "{\"name\":\"taken\"}", NULL), 801);
    assert_int_equal(run(w, "/projects.create", "{\"name\":\" taken/\"}", NULL), 801);
    assert_int_equal(run(w, "/projects.create", "{\"name\":\"ab\"}", NULL), 800);
    assert_int_equal(run(w, "/projects.create", "{\"name\":\"/\"}", NULL), 407);
    assert_int_equal(run(w, "/projects.create", "{}", NULL), 11);
    assert_int_equal(
        run(w, "/projects.create", "{\"name\":\"aaa/b/c/d/e/f/g/h/i/j\"}", NULL), 200);
    assert_int_equal(
        run(w, "/projects.create", "{\"name\":\"a/b/c/d/e/f/g/h/i/j/k\"}", NULL), 409);
    assert_int_equal(run(w, "/projects.get_by_id", "{\"project\":\"none\"}", NULL),
                     401);
}

static void test_renames_with_what_is_below(void **state)
{
    struct world *w = *state;
    auto_free char *id = create(w, "top/old");
    free(create(w, "top/old/leaf"));
    free(create(w, "top/older"));
    auto_free char *json = xasprintf(
        "{\"project\":\"%s\",\"name\":\"top/new\",\"description\":\"d\"}", id);
    assert_int_equal(run(w, "/projects.update", json, NULL), 200);
    auto_json *leaf = load(w, "top/new/leaf"), *other = load(w, "top/older"),
              *now = NULL;
    now = load(w, "top/new");
    assert_non_null(leaf);
    assert_non_null(other);
    assert_string_equal(json_str(leaf, "parent", ""), id);
    assert_string_equal(json_str(now, "description", ""), "d");
    assert_string_equal(json_str(now, "basename", ""), "new");
    auto_free char *elsewhere =
        xasprintf("{\"project\":\"%s\",\"name\":\"other/new\"}", id);
    assert_int_equal(run(w, "/projects.update", elsewhere, NULL), 408);
    auto_free char *taken =
        xasprintf("{\"project\":\"%s\",\"name\":\"top/older\"}", id);
    assert_int_equal(run(w, "/projects.update", taken, NULL), 801);
}

static void test_moves(void **state)
{
    struct world *w = *state;
    auto_free char *id = create(w, "from/sub");
    free(create(w, "from/sub/leaf"));
    auto_free char *json =
        xasprintf("{\"project\":\"%s\",\"new_location\":\"dest/there\"}", id);
    auto_json *data = NULL;
    assert_int_equal(run(w, "/projects.move", json, &data), 200);
    assert_int_equal(json_int(data, "moved", 0), 2);
    auto_json *leaf = load(w, "dest/there/sub/leaf");
    assert_non_null(leaf);
    assert_int_equal(cJSON_GetArraySize(json_get(leaf, "path")), 3);
    assert_int_equal(run(w, "/projects.move", json, NULL), 410);
    auto_free char *below =
        xasprintf("{\"project\":\"%s\",\"new_location\":\"dest/there/sub/x\"}", id);
    assert_int_equal(run(w, "/projects.move", below, NULL), 411);
    auto_free char *up = xasprintf("{\"project\":\"%s\",\"new_location\":\"\"}", id);
    assert_int_equal(run(w, "/projects.move", up, NULL), 200);
    auto_json *top = load(w, "sub");
    assert_null(json_get(top, "parent"));
    assert_int_equal(cJSON_GetArraySize(json_get(top, "path")), 0);
}

static char *create_task(struct world *w, const char *project, const char *more)
{
    auto_free char *json = xasprintf(
        "{\"name\":\"task\",\"type\":\"service\",\"project\":\"%s\"%s}", project, more);
    auto_json *data = NULL;
    assert_int_equal(run(w, "/tasks.create", json, &data), 200);
    return xstrdup(json_str(data, "id", ""));
}

static void test_counts_what_is_in_it(void **state)
{
    struct world *w = *state;
    auto_free char *top = create(w, "count");
    auto_free char *sub = create(w, "count/sub");
    auto_free char *aside = create(w, "county");
    free(create_task(w, top, ""));
    free(create_task(w, sub, ""));
    free(create_task(w, sub, ",\"system_tags\":[\"archived\"]"));
    free(create_task(w, aside, ""));
    auto_free char *json = xasprintf(
        "{\"id\":[\"%s\"],\"include_stats\":true,\"check_own_contents\":true}", top);
    auto_json *data = NULL;
    assert_int_equal(run(w, "/projects.get_all_ex", json, &data), 200);
    const cJSON *one = cJSON_GetArrayItem(json_get(data, "projects"), 0);
    const cJSON *active = json_path(one, "stats", "active", NULL);
    assert_int_equal(json_int(active, "total_tasks", -1), 2);
    assert_int_equal(json_int(json_get(active, "status_count"), "created", -1), 2);
    assert_int_equal(json_int(json_get(active, "status_count"), "failed", -1), 0);
    assert_int_equal(cJSON_GetArraySize(json_get(one, "sub_projects")), 1);
    assert_int_equal(json_int(one, "own_tasks", -1), 1);
    auto_free char *query = xasprintf("{\"project\":\"%s\"}", top);
    auto_json *counts = NULL;
    assert_int_equal(run(w, "/projects.validate_delete", query, &counts), 200);
    assert_int_equal(json_int(counts, "tasks", -1), 3);
    assert_int_equal(json_int(counts, "non_archived_tasks", -1), 2);
}

static void test_deletes(void **state)
{
    struct world *w = *state;
    auto_free char *id = create(w, "gone");
    auto_free char *sub = create(w, "gone/sub");
    auto_free char *task = create_task(w, sub, "");
    auto_free char *plain = xasprintf("{\"project\":\"%s\"}", id);
    auto_free char *force = xasprintf("{\"project\":\"%s\",\"force\":true}", id);
    assert_int_equal(run(w, "/projects.delete", plain, NULL), 402);
    auto_json *data = NULL, *doc = NULL;
    assert_int_equal(run(w, "/projects.delete", force, &data), 200);
    assert_int_equal(json_int(data, "deleted", -1), 2);
    assert_int_equal(json_int(data, "disassociated_tasks", -1), 1);
    assert_false(project_exists(w->db, sub));
    doc = task_load(w->db, task);
    assert_non_null(doc);
    assert_null(json_get(doc, "project"));
    assert_int_equal(run(w, "/projects.delete", plain, NULL), 401);
}

static void test_deletes_with_contents(void **state)
{
    struct world *w = *state;
    auto_free char *id = create(w, "gone");
    auto_free char *task = create_task(w, id, "");
    auto_free char *json =
        xasprintf("{\"project\":\"%s\",\"force\":true,\"delete_contents\":true}", id);
    auto_json *data = NULL;
    assert_int_equal(run(w, "/projects.delete", json, &data), 200);
    assert_int_equal(json_int(data, "deleted_tasks", -1), 1);
    assert_false(task_exists(w->db, task));
}

static void test_asks_for_what_tasks_have(void **state)
{
    struct world *w = *state;
    auto_free char *id = create(w, "ask");
    auto_free char *sub = create(w, "ask/sub");
    auto_free char *parent = create_task(w, id, ",\"tags\":[\"b\",\"a\"]");
    auto_free char *more = xasprintf(
        ",\"parent\":\"%s\",\"tags\":[\"b\"],\"hyperparams\":{\"Args\":{\"x.y\":"
        "{\"section\":\"Args\",\"name\":\"x.y\",\"value\":\"7\"}}}",
        parent);
    free(create_task(w, sub, more));
    auto_free char *list = xasprintf("{\"projects\":[\"%s\"]}", id);
    auto_free char *one = xasprintf("{\"project\":\"%s\"}", id);
    auto_json *tags = NULL, *parents = NULL, *parameters = NULL, *metrics = NULL;
    assert_int_equal(run(w, "/projects.get_task_tags", list, &tags), 200);
    assert_int_equal(cJSON_GetArraySize(json_get(tags, "tags")), 2);
    assert_int_equal(run(w, "/projects.get_task_parents", list, &parents), 200);
    const cJSON *found = cJSON_GetArrayItem(json_get(parents, "parents"), 0);
    assert_string_equal(json_str(found, "id", ""), parent);
    assert_string_equal(json_str(json_get(found, "project"), "name", ""), "ask");
    assert_int_equal(run(w, "/projects.get_hyper_parameters", one, &parameters), 200);
    found = cJSON_GetArrayItem(json_get(parameters, "parameters"), 0);
    assert_string_equal(json_str(found, "name", ""), "x.y");
    assert_int_equal(run(w, "/projects.get_unique_metric_variants", one, &metrics),
                     200);
    assert_int_equal(cJSON_GetArraySize(json_get(metrics, "metrics")), 0);
    auto_free char *value =
        xasprintf("{\"projects\":[\"%s\"],\"section\":\"Args\",\"name\":\"x.y\"}", id);
    auto_json *values = NULL;
    assert_int_equal(run(w, "/projects.get_hyperparam_values", value, &values), 200);
    assert_string_equal(cJSON_GetArrayItem(json_get(values, "values"), 0)->valuestring,
                        "7");
    auto_json *users = NULL;
    assert_int_equal(run(w, "/projects.get_user_names", list, &users), 200);
}

static void test_finds_below_a_parent(void **state)
{
    struct world *w = *state;
    auto_free char *id = create(w, "above");
    free(create(w, "above/mid/leaf"));
    auto_free char *deep = xasprintf("{\"parent\":[\"%s\"]}", id);
    auto_free char *shallow =
        xasprintf("{\"parent\":[\"%s\"],\"shallow_search\":true}", id);
    auto_json *all = NULL, *some = NULL, *top = NULL;
    assert_int_equal(run(w, "/projects.get_all", deep, &all), 200);
    assert_int_equal(cJSON_GetArraySize(json_get(all, "projects")), 2);
    assert_int_equal(run(w, "/projects.get_all", shallow, &some), 200);
    assert_int_equal(cJSON_GetArraySize(json_get(some, "projects")), 1);
    assert_int_equal(run(w, "/projects.get_all", "{\"shallow_search\":true}", &top),
                     200);
    assert_int_equal(cJSON_GetArraySize(json_get(top, "projects")), 1);
    assert_null(json_get(cJSON_GetArrayItem(json_get(top, "projects"), 0), "path"));
}

static void test_find_or_create(void **state)
{
    struct world *w = *state;
    struct call call;
    char first[65], second[65], none[65];
    call_init(&call, NULL);
    call.db = w->db;
    project_find_or_create(&call, "deep/er", first);
    project_find_or_create(&call, " deep/er/", second);
    project_find_or_create(&call, "", none);
    assert_string_equal(first, second);
    assert_string_equal(none, "");
    assert_true(project_exists(w->db, first));
    assert_false(project_exists(w->db, "none"));
    call_free(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_makes_parents, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_renames_with_what_is_below, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_counts_what_is_in_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deletes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deletes_with_contents, setup, teardown),
        cmocka_unit_test_setup_teardown(test_asks_for_what_tasks_have, setup, teardown),
        cmocka_unit_test_setup_teardown(test_finds_below_a_parent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_find_or_create, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
