/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "server/dispatch.h"

#include <string.h>

static int setup(void **state)
{
    *state = dispatch_create(true);
    return 0;
}

static int teardown(void **state)
{
    dispatch_destroy(*state);
    return 0;
}

static void assert_fails(struct call *call, int result, int code, int subcode)
{
    assert_int_equal(result, -1);
    assert_int_equal(call->code, code);
    assert_int_equal(call->subcode, subcode);
}

static void expect_path(struct dispatch *d, const char *path, int code,
                        const char *version)
{
    struct call call;
    call_init(&call, NULL);
    int result = dispatch_path(d, &call, path);
    if (code == 200) {
        assert_int_equal(result, 0);
        assert_string_equal(call.endpoint->min_version, version);
    } else {
        assert_fails(&call, result, code, 0);
    }
    call_free(&call);
}

static void test_paths(void **state)
{
    expect_path(*state, "/server.info", 200, "2.12");
    expect_path(*state, "server.info/", 200, "2.12");
    expect_path(*state, "/v2.31/server.info", 200, "2.12");
    expect_path(*state, "/v99.0/server.info", 200, "2.12");
    expect_path(*state, "/v2.11/server.info", 200, "2.8");
    expect_path(*state, "/v2.8/server.info", 200, "2.8");
    /* 2.13 is newer than 2.9, and 2.1 older than both. */
    expect_path(*state, "/v2.13/server.info", 200, "2.12");
    expect_path(*state, "/v2.1/server.info", 200, "1.0");
    expect_path(*state, "/v2.3/queues.create", 404, NULL);
    expect_path(*state, "/v2.4/queues.create", 200, "2.4");
    expect_path(*state, "/nothing.here", 404, NULL);
    expect_path(*state, "/", 400, NULL);
    expect_path(*state, "", 400, NULL);
    expect_path(*state, "/v2/server.info", 400, NULL);
    expect_path(*state, "/v2./server.info", 400, NULL);
    expect_path(*state, "/v2.x/server.info", 400, NULL);
    expect_path(*state, "/v99999999999999.1/server.info", 400, NULL);
    expect_path(*state, "/server.info/more", 400, NULL);
    expect_path(*state, "/server.info.more", 400, NULL);
    expect_path(*state, "/s.info", 400, NULL);
    expect_path(*state, "/server", 400, NULL);
    expect_path(*state, "//server.info", 400, NULL);
    expect_path(*state, "/\xff\xfe.x", 400, NULL);
}

static char *long_path(void)
{
    auto_buf out = BUF_INIT;
    buf_add_str(&out, "/aa.");
    for (int i = 0; i < 5000; i++)
        buf_add_char(&out, 'b');
    return buf_take(&out);
}

static void test_long_path(void **state)
{
    auto_free char *path = long_path();
    expect_path(*state, path, 400, NULL);
}

static int body(struct call *call, const char *type, const char *text)
{
    call_init(call, NULL);
    return dispatch_body(call, type, text, strlen(text));
}

static void test_bodies(void **state)
{
    struct call call;
    assert_int_equal(body(&call, NULL, ""), 0);
    assert_true(cJSON_IsObject(call.request));
    call_free(&call);
    assert_int_equal(body(&call, "text/plain", "{\"a\": 1}"), 0);
    assert_int_equal(json_int(call.request, "a", 0), 1);
    call_free(&call);
    assert_int_equal(body(&call, NULL, "null"), 0);
    call_free(&call);
    assert_fails(&call, body(&call, NULL, "[1]"), 400, 12);
    call_free(&call);
    assert_fails(&call, body(&call, NULL, "{\"a\": "), 400, 0);
    call_free(&call);
    assert_fails(&call, body(&call, NULL, "{} x"), 400, 0);
    call_free(&call);
    assert_fails(&call, body(&call, NULL, "{\"a\": \"\xff\"}"), 400, 0);
    call_free(&call);
    assert_int_equal(body(&call, "application/x-www-form-urlencoded",
                          "a=1&b=x%20y+z&c.d=True&e&f=%"),
                     0);
    assert_int_equal(json_int(call.request, "a", 0), 1);
    assert_string_equal(json_str(call.request, "b", ""), "x y z");
    assert_true(json_bool(json_get(call.request, "c"), "d", false));
    assert_string_equal(json_str(call.request, "e", "?"), "");
    assert_string_equal(json_str(call.request, "f", "?"), "%");
    call_free(&call);
}

static void test_lines(void **state)
{
    struct call call;
    const char *type = "application/json-lines";
    assert_int_equal(body(&call, type, "{\"a\":1}\n{\"a\":2}"), 0);
    assert_int_equal(cJSON_GetArraySize(call.lines), 2);
    call_free(&call);
    assert_int_equal(body(&call, type, "{\"a\":1}\n{\"a\":2}\n"), 0);
    assert_int_equal(cJSON_GetArraySize(call.lines), 2);
    call_free(&call);
    assert_int_equal(body(&call, "application/json-lines; charset=utf-8", ""), 0);
    assert_int_equal(cJSON_GetArraySize(call.lines), 0);
    call_free(&call);
    assert_fails(&call, body(&call, type, "{\"a\":1}\n\n{\"a\":2}"), 400, 0);
    assert_non_null(strstr(call.message, "batch item #1"));
    call_free(&call);
    assert_fails(&call, body(&call, type, "[1]"), 400, 0);
    call_free(&call);
}

static void test_arguments(void **state)
{
    struct call call;
    call_init(&call, NULL);
    static const char text[] =
        "{\"n\":[\"5\"],\"f\":[\"2.5\"],\"t\":[\"true\"],\"l\":[\"1\",\"b\"],"
        "\"m[]\":[\"x\"],\"o.p.q\":[\"z\"],\"minus\":[\"-1\"],\"dot\":[\".\"],"
        "\"unit\":[\"5x\"],\"half\":[\".5\"],\"two\":[\"2.\"]}";
    auto_json *args = json_parse(text, sizeof text - 1, NULL);
    assert_non_null(args);
    assert_int_equal(dispatch_merge_args(&call, args), 0);
    assert_int_equal(json_int(call.request, "n", 0), 5);
    assert_true(json_num(call.request, "f", 0) == 2.5);
    assert_true(json_bool(call.request, "t", false));
    assert_int_equal(cJSON_GetArraySize(json_get(call.request, "l")), 2);
    assert_true(cJSON_IsArray(json_get(call.request, "m")));
    assert_string_equal(json_path(call.request, "o", "p", "q", NULL)->valuestring, "z");
    assert_string_equal(json_str(call.request, "minus", ""), "-1");
    assert_string_equal(json_str(call.request, "dot", ""), ".");
    assert_string_equal(json_str(call.request, "unit", ""), "5x");
    assert_true(json_num(call.request, "half", 0) == 0.5);
    assert_true(json_num(call.request, "two", 0) == 2);
    call_free(&call);
}

static int validate(struct dispatch *d, struct call *call, const char *path,
                    const char *json)
{
    call_init(call, NULL);
    if (dispatch_path(d, call, path) < 0 ||
        dispatch_body(call, NULL, json, strlen(json)) < 0)
        return -2;
    return dispatch_validate(call);
}

static void test_fields(void **state)
{
    struct call call;
    assert_fails(&call, validate(*state, &call, "/queues.create", "{}"), 400, 12);
    assert_string_equal(
        call.message, "Validation error (error for field 'name'. field is required!)");
    call_free(&call);
    assert_fails(&call, validate(*state, &call, "/queues.create", "{\"name\":null}"),
                 400, 12);
    call_free(&call);
    assert_fails(&call, validate(*state, &call, "/queues.create", "{\"name\":5}"), 400,
                 12);
    call_free(&call);
    assert_fails(
        &call,
        validate(*state, &call, "/queues.create", "{\"name\":\"a\",\"tags\":\"x\"}"),
        400, 12);
    call_free(&call);
    assert_fails(
        &call,
        validate(*state, &call, "/queues.create", "{\"name\":\"a\",\"tags\":[1]}"), 400,
        12);
    call_free(&call);
    assert_int_equal(validate(*state, &call, "/queues.create",
                              "{\"name\":\"a\",\"tags\":null,\"more\":1}"),
                     0);
    call_free(&call);
}

/* Lines must not slip past the fields of an endpoint that takes none. */
static void test_lines_where_none_belong(void **state)
{
    struct call call;
    static const char lines[] = "{\"name\":\"abc\"}\n{}";
    call_init(&call, NULL);
    assert_int_equal(dispatch_path(*state, &call, "/queues.create"), 0);
    assert_int_equal(
        dispatch_body(&call, "application/json-lines", lines, sizeof lines - 1), 0);
    assert_fails(&call, dispatch_validate(&call), 400, 12);
    call_free(&call);
    call_init(&call, NULL);
    assert_int_equal(dispatch_path(*state, &call, "/events.add_batch"), 0);
    assert_int_equal(
        dispatch_body(&call, "application/json-lines", lines, sizeof lines - 1), 0);
    assert_int_equal(dispatch_validate(&call), 0);
    call_free(&call);
}

static void test_conversions(void **state)
{
    struct call call;
    assert_int_equal(
        validate(*state, &call, "/queues.delete", "{\"queue\":\"q\",\"force\":1}"), 0);
    assert_true(cJSON_IsTrue(json_get(call.request, "force")));
    call_free(&call);
    assert_int_equal(validate(*state, &call, "/queues.peek_task",
                              "{\"queue\":\"q\",\"wait\":\"250\"}"),
                     0);
    assert_int_equal(json_int(call.request, "wait", 0), 250);
    call_free(&call);
    assert_int_equal(
        validate(*state, &call, "/queues.peek_task", "{\"queue\":\"q\",\"wait\":2.9}"),
        0);
    assert_int_equal(json_int(call.request, "wait", 0), 2);
    call_free(&call);
    assert_fails(&call,
                 validate(*state, &call, "/queues.peek_task",
                          "{\"queue\":\"q\",\"wait\":1e300}"),
                 400, 12);
    call_free(&call);
    assert_fails(
        &call,
        validate(*state, &call, "/queues.peek_task", "{\"queue\":\"q\",\"wait\":[]}"),
        400, 12);
    call_free(&call);
}

static cJSON *envelope(struct call *call)
{
    auto_buf out = BUF_INIT;
    dispatch_envelope(call, &out);
    cJSON *doc = json_parse(buf_str(&out), out.len, NULL);
    assert_non_null(doc);
    return doc;
}

static void test_envelope(void **state)
{
    struct call call;
    call_init(&call, NULL);
    assert_int_equal(dispatch_path(*state, &call, "/v2.13/server.info"), 0);
    assert_int_equal(dispatch_run(&call), 0);
    auto_json *doc = envelope(&call);
    const cJSON *meta = json_get(doc, "meta");
    assert_int_equal(strlen(json_str(meta, "id", "")), 32);
    assert_string_equal(json_str(meta, "trx", ""), json_str(meta, "id", "?"));
    assert_string_equal(json_str(json_get(meta, "endpoint"), "name", ""),
                        "server.info");
    assert_string_equal(json_str(json_get(meta, "endpoint"), "requested_version", ""),
                        "2.13");
    assert_string_equal(json_str(json_get(meta, "endpoint"), "actual_version", ""),
                        "2.12");
    assert_int_equal(json_int(meta, "result_code", 0), 200);
    assert_string_equal(json_str(meta, "result_msg", ""), "OK");
    assert_true(cJSON_IsNull(json_get(meta, "error_stack")));
    assert_true(cJSON_IsObject(json_get(meta, "error_data")));
    assert_string_equal(json_str(json_get(doc, "data"), "version", ""), "2.0.0");
    call_free(&call);
}

static void test_error_envelope(void **state)
{
    struct call call;
    call_init(&call, NULL);
    json_set_str(call.data, "left", "over");
    call_fail(&call, 400, 701, "Invalid queue id");
    call_fail_arg(&call, "id", "q\"1");
    call_fail_arg(&call, "company", "c");
    auto_json *doc = envelope(&call);
    const cJSON *meta = json_get(doc, "meta");
    assert_string_equal(json_str(meta, "result_msg", ""),
                        "Invalid queue id: id=q\"1, company=c");
    assert_string_equal(json_str(json_get(meta, "error_data"), "id", ""), "q\"1");
    assert_int_equal(json_int(meta, "result_subcode", 0), 701);
    /* An object, always: clients look into it. */
    assert_true(cJSON_IsObject(json_get(doc, "data")));
    assert_int_equal(cJSON_GetArraySize(json_get(doc, "data")), 0);
    call_free(&call);
}

static void test_envelope_of_hostile_text(void **state)
{
    struct call call;
    call_init(&call, NULL);
    assert_int_equal(dispatch_path(*state, &call, "/\xff\xc3(\"\x01"), -1);
    auto_json *doc = envelope(&call);
    assert_int_equal(json_int(json_get(doc, "meta"), "result_code", 0), 400);
    call_free(&call);
}

static void test_old_clients_get_version_numbers(void **state)
{
    struct call call;
    call_init(&call, NULL);
    assert_int_equal(dispatch_path(*state, &call, "/v2.0/server.info"), 0);
    auto_json *doc = envelope(&call);
    assert_true(
        cJSON_IsNumber(json_path(doc, "meta", "endpoint", "requested_version", NULL)));
    call_free(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_long_path),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_lines_where_none_belong),
        cmocka_unit_test(test_conversions),
        cmocka_unit_test(test_envelope),
        cmocka_unit_test(test_error_envelope),
        cmocka_unit_test(test_envelope_of_hostile_text),
        cmocka_unit_test(test_old_clients_get_version_numbers),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
