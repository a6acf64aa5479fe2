/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "server/document.h"
#include "server/models-internal.h"

#include <string.h>

/* The statement that loads a document is a literal; it must name the fields' columns in
 * the fields' order. */
static void check_load(const struct doc_type *type)
{
    auto_buf sql = BUF_INIT;
    for (const struct doc_field *f = type->fields; f->path; f++)
        buf_printf(&sql, "%s%s.%s", sql.len ? ", " : "SELECT ", f->table, f->column);
    buf_printf(&sql, " FROM %s WHERE t.id = ?", type->from);
    assert_string_equal(type->load, buf_str(&sql));
}

static void test_load_statements(void **state)
{
    check_load(&task_type);
    check_load(&model_type);
}

static void test_find(void **state)
{
    const char *rest;
    const struct doc_field *f = doc_field_find(&task_type, "execution.queue", &rest);
    assert_string_equal(f->column, "queue");
    assert_string_equal(rest, "");
    f = doc_field_find(&task_type, "execution.artifacts.x", &rest);
    assert_string_equal(f->column, "execution");
    assert_string_equal(rest, "artifacts.x");
    f = doc_field_find(&task_type, "runtime.a.b", &rest);
    assert_string_equal(rest, "a.b");
    assert_null(doc_field_find(&task_type, "name.x", &rest));
    assert_null(doc_field_find(&task_type, "runtime.", &rest));
    assert_null(doc_field_find(&task_type, "executions", &rest));
    assert_null(doc_field_find(&task_type, "", &rest));
}

static void set(struct api *api, const char *task, const char *json)
{
    auto_free char *text = xstrdup(json);
    for (char *p = text; *p; p++)
        if (*p == '\'')
            *p = '"';
    auto_json *fields = cJSON_Parse(text);
    assert_non_null(fields);
    doc_set(api->db, &task_type, task, fields, NULL);
}

static void test_set(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "document", "");
    set(api, task, "{'runtime.a.b': 1, 'runtime.c': 'x', 'last_metrics.m.v.value': 2}");
    assert_string_equal(api_field(api, task, "runtime"), "{\"a.b\":1,\"c\":\"x\"}");
    assert_string_equal(api_field(api, task, "last_metrics.m.v.value"), "2");
    set(api, task, "{'runtime.a.b': null, 'last_metrics.m.v.min_value': 1}");
    assert_string_equal(api_field(api, task, "runtime"), "{\"c\":\"x\"}");
    assert_string_equal(api_field(api, task, "last_metrics.m.v.value"), "2");
    assert_string_equal(api_field(api, task, "last_metrics.m.v.min_value"), "1");
    /* A member with a column of its own goes there, and is gone with the whole. */
    set(api, task, "{'execution': {'framework': 'f', 'queue': 'q'}}");
    assert_string_equal(api_field(api, task, "execution.queue"), "q");
    set(api, task, "{'execution.framework': 'g'}");
    assert_string_equal(api_field(api, task, "execution.queue"), "q");
    assert_string_equal(api_field(api, task, "execution.framework"), "g");
    set(api, task, "{'execution': {'framework': 'h'}}");
    assert_string_equal(api_field(api, task, "execution.queue"), "-");
    set(api, task, "{'execution': {'framework': 'h'}, 'execution.queue': 'r'}");
    assert_string_equal(api_field(api, task, "execution.queue"), "r");
    /* Times are text or milliseconds; what is none is no time. */
    set(api, task, "{'started': 1000, 'completed': '1970-01-01T00:00:02Z'}");
    assert_string_equal(api_field(api, task, "started"),
                        "1970-01-01T00:00:01.000000+00:00");
    assert_string_equal(api_field(api, task, "completed"),
                        "1970-01-01T00:00:02.000000+00:00");
    set(api, task, "{'started': 'soon', 'completed': null, 'active_duration': 1e300}");
    assert_string_equal(api_field(api, task, "started"), "-");
    assert_string_equal(api_field(api, task, "completed"), "-");
    assert_string_equal(api_field(api, task, "active_duration"), "0");
    set(api, task, "{'nothing': 1, 'nothing.at.all': 2, 'name.x': 3}");
    assert_string_equal(api_field(api, task, "name"), "document");
}

static void test_set_expects(void **state)
{
    struct api *api = *state;
    const char *task = api_task(api, "document", "");
    auto_json *fields = cJSON_CreateObject();
    json_set_str(fields, "status", "queued");
    assert_int_equal(doc_set(api->db, &task_type, task, fields, "failed"), 0);
    assert_string_equal(api_field(api, task, "status"), "created");
    assert_int_equal(doc_set(api->db, &task_type, task, fields, "created"), 1);
    assert_string_equal(api_field(api, task, "status"), "queued");
    assert_int_equal(doc_set(api->db, &task_type, "nobody", fields, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_statements),
        cmocka_unit_test(test_find),
        cmocka_unit_test_setup_teardown(test_set, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_set_expects, api_setup, api_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
