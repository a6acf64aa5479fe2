/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/json.h"
#include "server/dispatch.h"
#include "server/project-store.h"
#include "server/services.h"
#include "server/store.h"

#include <string.h>

struct world {
    struct dispatch *dispatch;
    sqlite3 *db;
};

static int setup(void **state)
{
    struct world *w = xcalloc(1, sizeof *w);
    w->dispatch = dispatch_create();
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
    call_init(&call, NULL);
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
    assert_int_equal(run(w, "/projects.create", "{}", NULL), 12);
    assert_int_equal(
        run(w, "/projects.create", "{\"name\":\"a/b/c/d/e/f/g/h/i/j\"}", NULL), 200);
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
        xasprintf("{\"project\":\"%s\",\"new_location\":\"to/there\"}", id);
    auto_json *data = NULL;
    assert_int_equal(run(w, "/projects.move", json, &data), 200);
    assert_int_equal(json_int(data, "moved", 0), 2);
    auto_json *leaf = load(w, "to/there/sub/leaf");
    assert_non_null(leaf);
    assert_int_equal(cJSON_GetArraySize(json_get(leaf, "path")), 3);
    assert_int_equal(run(w, "/projects.move", json, NULL), 410);
    auto_free char *below =
        xasprintf("{\"project\":\"%s\",\"new_location\":\"to/there/sub/x\"}", id);
    assert_int_equal(run(w, "/projects.move", below, NULL), 411);
    auto_free char *up = xasprintf("{\"project\":\"%s\",\"new_location\":\"\"}", id);
    assert_int_equal(run(w, "/projects.move", up, NULL), 200);
    auto_json *top = load(w, "sub");
    assert_null(json_get(top, "parent"));
    assert_int_equal(cJSON_GetArraySize(json_get(top, "path")), 0);
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
        cmocka_unit_test_setup_teardown(test_find_or_create, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
