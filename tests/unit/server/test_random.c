/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "server/models-internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every endpoint of tasks and models with fields of every kind in every place: each
 * call ends in an answer or in one of ClearML's errors, and what finds tasks by their
 * tags and models stays true. The seed is fixed. */

#define CALLS 6000
#define KEPT 12

struct maker {
    unsigned seed;
    char tasks[KEPT][40], models[KEPT][40];
    int task_count, model_count;
};

static const char *const keys[] = {"task",
                                   "tasks",
                                   "id",
                                   "ids",
                                   "name",
                                   "type",
                                   "project",
                                   "parent",
                                   "status",
                                   "tags",
                                   "system_tags",
                                   "script",
                                   "execution",
                                   "hyperparams",
                                   "configuration",
                                   "runtime",
                                   "container",
                                   "models",
                                   "model",
                                   "output_dest",
                                   "force",
                                   "page",
                                   "page_size",
                                   "order_by",
                                   "only_fields",
                                   "search_text",
                                   "scroll_id",
                                   "size",
                                   "filters",
                                   "_any_",
                                   "_all_",
                                   "last_update",
                                   "created",
                                   "last_iteration",
                                   "queue_name",
                                   "new_status",
                                   "artifacts",
                                   "metadata",
                                   "keys",
                                   "labels",
                                   "execution_overrides",
                                   "hyperparams.A.b.value",
                                   "last_metrics.a.b.value",
                                   "models.input.model",
                                   "requirements",
                                   "add_tags",
                                   "remove_tags",
                                   "clear_all",
                                   "publish",
                                   "uri",
                                   "iteration",
                                   "new_task_hyperparams"};
static const char *const members[] = {
    "name",       "value",   "section", "type",      "key",        "mode",  "model",
    "input",      "output",  "fields",  "pattern",   "datetime",   "any",   "all",
    "include",    "exclude", "op",      "artifacts", "parameters", "image", "diff",
    "docker_cmd", "a.b",     "$a",      ""};
static const char *const texts[] = {
    "a",           "x\\\"y\\\\z", "",
    "__$all",      "__$not",      "__$nop",
    "-",           "-a",          "^a$",
    "(a+)+$",      "((((",        "service",
    "controller",  "queued",      ">2023-01-01",
    "<",           "-name",       "hyperparams.A.b.value",
    "runtime.x.y", "%2E%24%%",    "\\u0001",
    "input",       "output",      "archived",
    "hidden",      "1e400"};

static unsigned pick(struct maker *m, unsigned n)
{
    m->seed = m->seed * 1103515245u + 12345u;
    return (m->seed >> 16) % n;
}

static void add_text(struct buf *out, const char *text)
{
    buf_printf(out, "'%s'", text);
}

static void add_value(struct maker *m, struct buf *out, int depth)
{
    static const char *const plain[] = {
        "null", "true", "false", "0",      "1",
        "-1",   "1.5",  "1e300", "-1e300", "9223372036854775808"};
    unsigned kind = pick(m, depth > 3 ? 6 : 10);
    if (kind < 3) {
        add_text(out, texts[pick(m, ARRAY_SIZE(texts))]);
    } else if (kind == 3) {
        add_text(out, m->task_count ? m->tasks[pick(m, (unsigned)m->task_count)] : "x");
    } else if (kind == 4) {
        add_text(out,
                 m->model_count ? m->models[pick(m, (unsigned)m->model_count)] : "x");
    } else if (kind == 5) {
        buf_add_str(out, plain[pick(m, ARRAY_SIZE(plain))]);
    } else {
        bool object = kind > 7;
        unsigned count = pick(m, 4);
        buf_add_char(out, object ? '{' : '[');
        for (unsigned i = 0; i < count; i++) {
            if (i)
                buf_add_char(out, ',');
            if (object)
                buf_printf(out, "'%s':", members[pick(m, ARRAY_SIZE(members))]);
            add_value(m, out, depth + 1);
        }
        buf_add_char(out, object ? '}' : ']');
    }
}

/* Often what the call needs, always something that it doesn't. */
static void add_request(struct maker *m, struct buf *out, const char *endpoint)
{
    buf_add_char(out, '{');
    if (strstr(endpoint, ".create"))
        buf_printf(out, "'name':'made','type':'service','uri':'u',");
    else if (m->task_count && pick(m, 4))
        buf_printf(out, "'task':'%s',", m->tasks[pick(m, (unsigned)m->task_count)]);
    if (m->model_count && pick(m, 2))
        buf_printf(out, "'model':'%s',", m->models[pick(m, (unsigned)m->model_count)]);
    if (m->task_count && pick(m, 2))
        buf_printf(out, "'ids':['%s','nobody'],",
                   m->tasks[pick(m, (unsigned)m->task_count)]);
    unsigned count = pick(m, 6);
    for (unsigned i = 0; i < count; i++) {
        buf_printf(out, "'%s':", keys[pick(m, ARRAY_SIZE(keys))]);
        add_value(m, out, 0);
        buf_add_char(out, ',');
    }
    buf_add_str(out, "'x':1}");
}

static void keep(struct api *api, char kept[KEPT][40], int *count, struct maker *m)
{
    int at = *count < KEPT ? (*count)++ : (int)pick(m, KEPT);
    snprintf(kept[at], sizeof kept[at], "%s", api_text(api, "id"));
}

static int count_rows(struct api *api, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(api->db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int count = sqlite3_column_int(stmt, 0);
    sqlite3_finalize(stmt);
    return count;
}

static void check_tables(struct api *api)
{
    static const char words[] =
        "SELECT 't:' || e.value AS word, t.id AS id FROM tasks t, json_each(t.tags) e "
        "UNION SELECT 's:' || e.value, t.id FROM tasks t, json_each(t.system_tags) e "
        "UNION SELECT 'i:' || json_extract(e.value, '$.model'), t.id "
        "FROM tasks t, json_each(t.models, '$.input') e";
    auto_free char *missing = xasprintf(
        "SELECT count(*) FROM (%s EXCEPT SELECT word, id FROM task_refs)", words);
    auto_free char *left = xasprintf("SELECT count(*) FROM (SELECT word, id FROM "
                                     "task_refs EXCEPT SELECT * FROM (%s))",
                                     words);
    assert_int_equal(count_rows(api, missing), 0);
    assert_int_equal(count_rows(api, left), 0);
    assert_int_equal(count_rows(api,
                                "SELECT count(*) FROM tasks t LEFT JOIN task_bodies b "
                                "ON b.n = t.n WHERE b.n IS NULL"),
                     0);
    assert_int_equal(count_rows(api, "SELECT (SELECT count(*) FROM tasks) - "
                                     "(SELECT count(*) FROM task_metrics)"),
                     0);
}

static void test_random_calls(void **state)
{
    struct api *api = *state;
    struct maker m = {.seed = 20261124};
    int answered = 0;
    unsigned tasks = 0, models = 0;
    while (tasks_endpoints[tasks].name)
        tasks++;
    while (models_endpoints[models].name)
        models++;
    for (int i = 0; i < CALLS; i++) {
        unsigned at = pick(&m, tasks + models);
        const char *name =
            at < tasks ? tasks_endpoints[at].name : models_endpoints[at - tasks].name;
        auto_buf request = BUF_INIT;
        add_request(&m, &request, name);
        int rc = api_call(api, name, "%s", buf_str(&request));
        int code = api->call.code;
        if (code != 200 && code != 400 && code != 301)
            fail_msg("%s %s: %d %s", name, buf_str(&request), code, api->call.message);
        answered += !rc;
        if (!rc && !strcmp(name, "tasks.create"))
            keep(api, m.tasks, &m.task_count, &m);
        if (!rc && !strcmp(name, "models.create"))
            keep(api, m.models, &m.model_count, &m);
        if (i % 500 == 0)
            check_tables(api);
    }
    check_tables(api);
    /* Nothing would be shown if hardly any call got past its checks. */
    assert_true(answered > CALLS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_random_calls, api_setup, api_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
