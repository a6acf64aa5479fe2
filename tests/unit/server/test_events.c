/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "service-driver.h"
#include "server/services.h"

static cJSON *item(const cJSON *array, int i)
{
    cJSON *found = cJSON_GetArrayItem(array, i);
    assert_non_null(found);
    return found;
}

static const char *msg_at(const struct driver *d, int i)
{
    return json_str(item(json_get(d->data, "events"), i), "msg", "");
}

static void add_log(struct driver *d, const char *task, int64_t timestamp,
                    const char *msg)
{
    driver_call(
        d, "events.add",
        "{\"type\":\"log\",\"task\":\"%s\",\"timestamp\":%lld,\"level\":\"INFO\","
        "\"msg\":\"%s\"}",
        task, (long long)timestamp, msg);
    assert_int_equal(d->code, 200);
}

static void add_scalar(struct driver *d, const char *task, int64_t iter,
                       const char *value)
{
    driver_call(d, "events.add",
                "{\"type\":\"training_stats_scalar\",\"task\":\"%s\",\"iter\":%lld,"
                "\"metric\":\"loss\",\"variant\":\"train\",\"value\":%s}",
                task, (long long)iter, value);
    assert_int_equal(d->code, 200);
}

/* ---- adding ---- */

static void test_batch_counts_and_names_errors(void **state)
{
    struct driver *d = *state;
    auto_free char *task = driver_task(d, "batch");
    driver_call(d, "events.add_batch",
                "[{\"type\":\"log\",\"task\":\"%s\",\"msg\":\"one\"},"
                "{\"type\":\"log\",\"task\":\"nobody\",\"msg\":\"two\"},"
                "{\"type\":\"log\",\"task\":\"nobody\",\"msg\":\"three\"},"
                "{\"type\":\"what\",\"task\":\"%s\"},{\"task\":\"%s\"},"
                "{\"type\":\"log\"},5,\"text\"]",
                task, task, task);
    assert_int_equal(d->code, 200);
    assert_int_equal(json_int(d->data, "added", 0), 1);
    assert_int_equal(json_int(d->data, "errors", 0), 7);
    const cJSON *info = json_get(d->data, "errors_info");
    assert_int_equal(json_int(info, "Invalid task id nobody", 0), 2);
    assert_int_equal(json_int(info, "Invalid event type what", 0), 1);
    assert_int_equal(json_int(info, "Event must have a 'type' field", 0), 3);
    assert_int_equal(json_int(info, "Event must have a 'task' field", 0), 1);
}

static void test_nothing_added_is_an_error(void **state)
{
    struct driver *d = *state;
    driver_call(d, "events.add_batch", "[{\"type\":\"log\",\"task\":\"nobody\"}]");
    assert_int_equal(d->code, 400);
    assert_int_equal(d->subcode, 131);
    assert_non_null(strstr(d->message, "Invalid task id nobody=1"));
    driver_call(d, "events.add_batch", "[]");
    assert_int_equal(d->subcode, 17);
}

static void test_published_task_is_refused_alone(void **state)
{
    struct driver *d = *state;
    auto_free char *open = driver_task(d, "open");
    auto_free char *done = driver_task(d, "done");
    task_set_status(d->db, done, "published", "", "", d->now_ms);
    driver_call(d, "events.add_batch",
                "[{\"type\":\"log\",\"task\":\"%s\",\"msg\":\"a\"},"
                "{\"type\":\"log\",\"task\":\"%s\",\"msg\":\"b\"}]",
                open, done);
    assert_int_equal(json_int(d->data, "added", 0), 1);
    assert_int_equal(json_int(d->data, "errors", 0), 1);
    driver_call(
        d, "events.add_batch",
        "[{\"type\":\"log\",\"task\":\"%s\",\"msg\":\"b\",\"allow_locked\":true}]",
        done);
    assert_int_equal(json_int(d->data, "added", 0), 1);
    driver_call(
        d, "events.add_batch",
        "[{\"type\":\"log\",\"task\":\"%s\",\"msg\":\"b\",\"allow_locked\":true},"
        "{\"type\":\"log\",\"task\":\"%s\",\"msg\":\"b\"}]",
        done, done);
    assert_int_equal(d->code, 400);
    assert_int_equal(d->subcode, 12);
}

static void test_named_batch_is_stored_once(void **state)
{
    struct driver *d = *state;
    auto_free char *task = driver_task(d, "named");
    auto_free char *name = xasprintf("%s/0", task);
    d->batch = name;
    for (int i = 0; i < 3; i++) {
        driver_call(
            d, "events.add_batch",
            "[{\"type\":\"log\",\"task\":\"%s\",\"msg\":\"a\"},{\"type\":\"log\"}]",
            task);
        assert_int_equal(json_int(d->data, "added", 0), 1);
        assert_int_equal(json_int(d->data, "errors", 0), 1);
    }
    d->batch = NULL;
    driver_call(d, "events.get_task_log", "{\"task\":\"%s\"}", task);
    assert_int_equal(json_int(d->data, "total", 0), 1);
    /* The task is reset: its next run starts at offset 0 again. */
    assert_int_equal(events_delete_task(d->db, task), 1);
    d->batch = name;
    driver_call(d, "events.add_batch",
                "[{\"type\":\"log\",\"task\":\"%s\",\"msg\":\"b\"}]", task);
    driver_call(d, "events.get_task_log", "{\"task\":\"%s\"}", task);
    assert_int_equal(json_int(d->data, "total", 0), 1);
    assert_string_equal(msg_at(d, 0), "b");
}

static void test_same_coordinates_replace(void **state)
{
    struct driver *d = *state;
    auto_free char *task = driver_task(d, "replace");
    add_scalar(d, task, 3, "1.5");
    add_scalar(d, task, 3, "2.5");
    add_scalar(d, task, 4, "\"7\"");
    driver_call(d, "events.get_task_events",
                "{\"task\":\"%s\",\"event_type\":\"training_stats_scalar\"}", task);
    assert_int_equal(json_int(d->data, "total", 0), 2);
    const cJSON *first = item(json_get(d->data, "events"), 0);
    assert_true(json_num(first, "value", 0) == 2.5);
    assert_int_equal(json_int(first, "iter", 0), 3);
    assert_string_equal(json_str(first, "worker", ""), "host:cpu:0");
    assert_true(json_num(item(json_get(d->data, "events"), 1), "value", 0) == 7);
}

static void test_hostile_numbers(void **state)
{
    struct driver *d = *state;
    auto_free char *task = driver_task(d, "numbers");
    static const char *const bad[] = {
        "\"value\":1e999", "\"value\":\"NaN\"", "\"value\":1,\"iter\":1e300",
        "\"value\":1,\"timestamp\":\"now\"", "\"value\":{\"a\":1}"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        driver_call(d, "events.add",
                    "{\"type\":\"training_stats_scalar\",\"task\":\"%s\",%s}", task,
                    bad[i]);
        assert_int_equal(d->code, 400);
        assert_int_equal(d->subcode, 131);
    }
    add_scalar(d, task, 1, "1e308");
    add_scalar(d, task, 2, "1e308");
    driver_call(d, "events.scalar_metrics_iter_histogram",
                "{\"task\":\"%s\",\"samples\":1}", task);
    assert_int_equal(d->code, 200);
    driver_call(d, "events.scalar_metrics_iter_histogram",
                "{\"task\":\"%s\",\"samples\":0}", task);
    assert_int_equal(d->code, 400);
}

/* ---- what the task gets to know ---- */

static void test_task_learns_of_scalars(void **state)
{
    struct driver *d = *state;
    auto_free char *task = driver_task(d, "last metrics");
    add_scalar(d, task, 1, "4");
    add_scalar(d, task, 2, "1");
    add_scalar(d, task, 3, "2");
    driver_call(d, "events.add",
                "{\"type\":\"training_stats_scalar\",\"task\":\"%s\",\"iter\":900,"
                "\"metric\":\":monitor:machine\",\"variant\":\"cpu\",\"value\":1}",
                task);
    driver_call(d, "tasks.get_by_id", "{\"task\":\"%s\"}", task);
    const cJSON *doc = json_get(d->data, "task");
    assert_int_equal(json_int(doc, "last_iteration", 0), 3);
    /* md5 of "loss" and "train" */
    const cJSON *m = json_path(doc, "last_metrics", "81513effdf5790b79549208838404407",
                               "61b3a8faa9c1091806675c230a9abe64", NULL);
    assert_non_null(m);
    assert_string_equal(json_str(m, "metric", ""), "loss");
    assert_true(json_num(m, "value", 0) == 2);
    assert_true(json_num(m, "min_value", 0) == 1);
    assert_int_equal(json_int(m, "min_value_iteration", 0), 2);
    assert_true(json_num(m, "max_value", 0) == 4);
    assert_int_equal(json_int(m, "max_value_iteration", 0), 1);
    assert_true(json_num(m, "first_value", 0) == 4);
    assert_true(json_num(m, "mean_value", 0) == 2.33);
    assert_int_equal(json_int(m, "count", 0), 3);
}

/* ---- the log ---- */

static void test_log_keeps_order_within_a_millisecond(void **state)
{
    struct driver *d = *state;
    auto_free char *task = driver_task(d, "order");
    static const char *const lines[] = {"a", "b", "c", "d", "e"};
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        add_log(d, task, 1000, lines[i]);
    driver_call(d, "events.get_task_log", "{\"task\":\"%s\",\"order\":\"asc\"}", task);
    for (int i = 0; i < 5; i++)
        assert_string_equal(msg_at(d, i), lines[i]);
    driver_call(d, "events.get_task_log", "{\"task\":\"%s\"}", task);
    for (int i = 0; i < 5; i++)
        assert_string_equal(msg_at(d, i), lines[4 - i]);
}

static void test_log_pages(void **state)
{
    struct driver *d = *state;
    auto_free char *task = driver_task(d, "pages");
    for (int i = 0; i < 10; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        add_log(d, task, 1000 + i / 2, text);
    }
    /* From the end; the batch is filled up with what shares the last time stamp. */
    driver_call(d, "events.get_task_log",
                "{\"task\":\"%s\",\"batch_size\":3,\"order\":\"asc\"}", task);
    assert_int_equal(json_int(d->data, "returned", 0), 4);
    assert_int_equal(json_int(d->data, "total", 0), 10);
    assert_string_equal(msg_at(d, 0), "6");
    assert_string_equal(msg_at(d, 3), "9");
    driver_call(d, "events.get_task_log",
                "{\"task\":\"%s\",\"batch_size\":2,\"from_timestamp\":1003,"
                "\"order\":\"asc\"}",
                task);
    assert_int_equal(json_int(d->data, "returned", 0), 2);
    assert_string_equal(msg_at(d, 0), "4");
    /* Later ones, as a client that follows asks for them. */
    driver_call(d, "events.get_task_log",
                "{\"task\":\"%s\",\"from_timestamp\":1003,\"navigate_earlier\":false}",
                task);
    assert_int_equal(json_int(d->data, "returned", 0), 2);
    assert_string_equal(msg_at(d, 0), "8");
}

static void test_log_old_form_scrolls(void **state)
{
    struct driver *d = *state;
    auto_free char *task = driver_task(d, "scroll");
    for (int i = 0; i < 5; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        add_log(d, task, 1000, text);
    }
    int seen = 0;
    auto_free char *scroll = xstrdup("");
    for (int page = 0; page < 3; page++) {
        auto_json *request = cJSON_CreateObject();
        json_set_str(request, "task", task);
        json_set_str(request, "order", "asc");
        json_set_int(request, "batch_size", 2);
        json_set_str(request, "scroll_id", scroll);
        auto_free char *text = json_format(request);
        driver_call_version(d, API_VERSION(2, 5), "events.get_task_log", text);
        int n = (int)json_int(d->data, "returned", 0);
        for (int i = 0; i < n; i++)
            assert_int_equal(atoi(msg_at(d, i)), seen++);
        free(scroll);
        scroll = xstrdup(json_str(d->data, "scroll_id", ""));
    }
    assert_int_equal(seen, 5);
    driver_call_version(d, API_VERSION(2, 5), "events.get_task_log",
                        "{\"task\":\"x\",\"scroll_id\":\"y\"}");
    assert_int_equal(d->subcode, 101);
    driver_call(d, "events.get_task_events", "{\"task\":\"%s\",\"scroll_id\":\"y\"}",
                task);
    assert_int_equal(d->subcode, 1104);
}

static void test_log_text_survives(void **state)
{
    struct driver *d = *state;
    auto_free char *task = driver_task(d, "text");
    driver_call(
        d, "events.add",
        "{\"type\":\"log\",\"task\":\"%s\",\"msg\":"
        "\"q\\\" b\\\\ n\\n e\\u001b[0m z\\u0000! \xc3\xa9\",\"extra\":[1,{\"a\":2}]}",
        task);
    driver_call(d, "events.get_task_log", "{\"task\":\"%s\"}", task);
    assert_string_equal(msg_at(d, 0), "q\" b\\ n\n e\033[0m z\xef\xbf\xbd! \xc3\xa9");
    const cJSON *event = item(json_get(d->data, "events"), 0);
    assert_int_equal(json_int(item(json_get(event, "extra"), 1), "a", 0), 2);
    assert_int_equal(json_int(event, "timestamp", 0), d->now_ms);
}

/* n times a text; the caller's. */
static char *repeated_dup(const char *text, int n)
{
    struct buf all = BUF_INIT;
    while (n-- > 0)
        buf_add_str(&all, text);
    return buf_take(&all);
}

/* A format that names a long message many times makes no line of any length. */
static void test_log_lines_are_bounded(void **state)
{
    struct driver *d = *state;
    auto_free char *task = driver_task(d, "long lines");
    auto_free char *msg = repeated_dup("0123456789", 100000);
    auto_free char *format = repeated_dup("{msg}", 1000);
    add_log(d, task, d->now_ms, msg);
    driver_call(d, "events.download_task_log",
                "{\"task\":\"%s\",\"line_type\":\"text\",\"line_format\":\"%s\"}", task,
                format);
    size_t n = strlen(d->raw);
    assert_true(n > 32000000 && n < 40000000);
    assert_int_equal(d->raw[n - 1], '\n');
}

static void test_log_download_and_clear(void **state)
{
    struct driver *d = *state;
    auto_free char *task = driver_task(d, "download");
    add_log(d, task, d->now_ms - 60000, "old");
    add_log(d, task, d->now_ms, "new");
    driver_call(
        d, "events.download_task_log",
        "{\"task\":\"%s\",\"line_type\":\"text\",\"line_format\":\"[{level}] {msg}\"}",
        task);
    assert_string_equal(d->raw, "[INFO] old\n[INFO] new\n");
    driver_call(d, "events.download_task_log",
                "{\"task\":\"%s\",\"line_type\":\"text\",\"line_format\":\"{0.x}\"}",
                task);
    assert_int_equal(d->subcode, 16);
    driver_call(d, "events.clear_task_log", "{\"task\":\"%s\",\"threshold_sec\":30}",
                task);
    assert_int_equal(json_int(d->data, "deleted", 0), 1);
    driver_call(d, "events.get_task_log", "{\"task\":\"%s\"}", task);
    assert_string_equal(msg_at(d, 0), "new");
}

/* ---- reading the rest ---- */

static void test_task_events_scroll(void **state)
{
    struct driver *d = *state;
    auto_free char *task = driver_task(d, "events");
    for (int i = 0; i < 7; i++)
        add_scalar(d, task, i, "1");
    for (int i = 0; i < 3; i++)
        add_log(d, task, 1000 + i, "x");
    int seen = 0, pages = 0;
    auto_free char *scroll = xstrdup("");
    for (int64_t n = 1; n > 0; pages++) {
        auto_json *request = cJSON_CreateObject();
        json_set_str(request, "task", task);
        json_set_int(request, "batch_size", 4);
        json_set_str(request, "scroll_id", scroll);
        auto_free char *text = json_format(request);
        driver_call_version(d, API_VERSION_MAX, "events.get_task_events", text);
        n = json_int(d->data, "returned", 0);
        assert_int_equal(json_int(d->data, "total", 0), 10);
        seen += (int)n;
        free(scroll);
        scroll = xstrdup(json_str(d->data, "scroll_id", ""));
    }
    assert_int_equal(seen, 10);
    assert_int_equal(pages, 4);
}

static void test_histogram(void **state)
{
    struct driver *d = *state;
    auto_free char *task = driver_task(d, "histogram");
    for (int i = 0; i < 10; i++) {
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        add_scalar(d, task, i, value);
    }
    driver_call(d, "events.scalar_metrics_iter_histogram", "{\"task\":\"%s\"}", task);
    const cJSON *line = json_path(d->data, "loss", "train", NULL);
    assert_string_equal(json_str(line, "name", ""), "train");
    auto_free char *whole = json_format(d->data);
    auto_json *again = json_parse(whole, strlen(whole), NULL);
    line = json_path(again, "loss", "train", NULL);
    assert_int_equal(cJSON_GetArraySize(json_get(line, "x")), 10);
    driver_call(d, "events.scalar_metrics_iter_histogram",
                "{\"task\":\"%s\",\"samples\":5}", task);
    auto_free char *few = json_format(d->data);
    assert_string_equal(few,
                        "{\"loss\":{\"train\":{\"name\":\"train\",\"x\":[0,2,4,6,8],"
                        "\"y\":[0.5,2.5,4.5,6.5,8.5]}}}");
    driver_call(d, "events.multi_task_scalar_metrics_iter_histogram",
                "{\"tasks\":[\"%s\"],\"samples\":1}", task);
    auto_free char *multi =
        json_format(json_path(d->data, "metrics", "loss", "train", NULL));
    auto_free char *expected =
        xasprintf("{\"%s\":{\"name\":\"histogram\",\"x\":[0],\"y\":[4.5]}}", task);
    assert_string_equal(multi, expected);
}

static void test_single_values_stand_apart(void **state)
{
    struct driver *d = *state;
    auto_free char *task = driver_task(d, "single");
    add_scalar(d, task, -2147483648LL, "0.125");
    driver_call(d, "events.scalar_metrics_iter_histogram", "{\"task\":\"%s\"}", task);
    assert_null(d->data->child);
    driver_call(d, "events.get_task_single_value_metrics", "{\"tasks\":[\"%s\"]}",
                task);
    const cJSON *entry = item(json_get(d->data, "tasks"), 0);
    const cJSON *value = item(json_get(entry, "values"), 0);
    assert_string_equal(json_str(value, "variant", ""), "train");
    assert_true(json_num(value, "value", 0) == 0.125);
    driver_call(d, "events.get_task_single_value_metrics", "{\"tasks\":[\"nobody\"]}");
    assert_int_equal(d->subcode, 101);
}

static void add_image(struct driver *d, const char *task, int iter, const char *url)
{
    driver_call(d, "events.add",
                "{\"type\":\"training_debug_image\",\"task\":\"%s\",\"iter\":%d,"
                "\"metric\":\"m\",\"variant\":\"v\",\"key\":\"k\",\"url\":\"%s\"}",
                task, iter, url);
    assert_int_equal(d->code, 200);
}

static void test_images_by_iteration(void **state)
{
    struct driver *d = *state;
    auto_free char *task = driver_task(d, "images");
    static const char *const urls[] = {"u0", "u1", "u2"};
    for (int i = 0; i < 6; i++) /* file names are used again after three */
        add_image(d, task, i, urls[i % 3]);
    driver_call(d, "events.debug_images",
                "{\"metrics\":[{\"task\":\"%s\",\"metric\":\"m\"}],\"iters\":2}", task);
    const cJSON *entry = item(json_get(d->data, "metrics"), 0);
    assert_int_equal(cJSON_GetArraySize(json_get(entry, "iterations")), 2);
    assert_int_equal(json_int(item(json_get(entry, "iterations"), 0), "iter", 0), 5);
    auto_json *request = cJSON_CreateObject();
    cJSON *metric = cJSON_CreateObject();
    json_set_str(metric, "task", task);
    cJSON *metrics = json_set(request, "metrics", cJSON_CreateArray());
    cJSON_AddItemToArray(metrics, metric);
    json_set_int(request, "iters", 5);
    json_set_str(request, "scroll_id", json_str(d->data, "scroll_id", ""));
    auto_free char *text = json_format(request);
    driver_call_version(d, API_VERSION_MAX, "events.debug_images", text);
    entry = item(json_get(d->data, "metrics"), 0);
    /* Iteration 3 alone: what iterations 0 to 2 wrote has been written over. */
    assert_int_equal(cJSON_GetArraySize(json_get(entry, "iterations")), 1);
    driver_call(d, "events.get_debug_image_sample",
                "{\"task\":\"%s\",\"metric\":\"m\",\"variant\":\"v\"}", task);
    assert_string_equal(json_str(json_get(d->data, "event"), "url", ""), "u2");
    assert_int_equal(json_int(d->data, "min_iteration", 0), 3);
    assert_int_equal(json_int(d->data, "max_iteration", 0), 5);
}

static void test_plots(void **state)
{
    struct driver *d = *state;
    auto_free char *task = driver_task(d, "plots");
    for (int i = 0; i < 3; i++)
        driver_call(d, "events.add",
                    "{\"type\":\"plot\",\"task\":\"%s\",\"iter\":%d,\"metric\":\"p\","
                    "\"variant\":\"v\",\"plot_str\":\"{\\\"n\\\":%d}\"}",
                    task, i, i);
    driver_call(d, "events.get_task_plots", "{\"task\":\"%s\",\"iters\":2}", task);
    assert_int_equal(json_int(d->data, "returned", 0), 2);
    const cJSON *plot = item(json_get(d->data, "plots"), 0);
    assert_string_equal(json_str(plot, "plot_str", ""), "{\"n\":2}");
    assert_int_equal(json_int(plot, "plot_len", 0), 7);
    driver_call(d, "events.get_multi_task_plots", "{\"tasks\":[\"%s\"]}", task);
    auto_free char *text = json_format(d->data);
    auto_json *data = json_parse(text, strlen(text), NULL);
    const cJSON *entry = json_path(data, "plots", "p", "v", task, "2", NULL);
    assert_string_equal(json_str(entry, "name", ""), "plots");
    assert_int_equal(cJSON_GetArraySize(json_get(entry, "plots")), 1);
}

static void test_vectors_and_names(void **state)
{
    struct driver *d = *state;
    auto_free char *task = driver_task(d, "vectors");
    driver_call(d, "events.add",
                "{\"type\":\"training_stats_vector\",\"task\":\"%s\",\"iter\":1,"
                "\"metric\":\"h\",\"variant\":\"v\",\"values\":[1,2.5]}",
                task);
    add_scalar(d, task, 1, "3");
    driver_call(d, "events.vector_metrics_iter_histogram",
                "{\"task\":\"%s\",\"metric\":\"h\",\"variant\":\"v\"}", task);
    auto_free char *vectors = json_format(json_get(d->data, "vectors"));
    assert_string_equal(vectors, "[[1,2.5]]");
    driver_call(d, "events.get_task_metrics",
                "{\"tasks\":[\"%s\"],\"event_type\":\"*\"}", task);
    auto_free char *names =
        json_format(json_get(item(json_get(d->data, "metrics"), 0), "metrics"));
    assert_string_equal(names, "[\"h\",\"loss\"]");
    driver_call(d, "events.get_scalar_metrics_and_variants", "{\"task\":\"%s\"}", task);
    auto_free char *variants = json_format(json_get(d->data, "metrics"));
    assert_string_equal(variants, "{\"loss\":[\"train\"]}");
    driver_call(d, "events.get_task_latest_scalar_values", "{\"task\":\"%s\"}", task);
    assert_int_equal(json_int(d->data, "last_iter", 0), 1);
}

static void test_delete_for_task(void **state)
{
    struct driver *d = *state;
    auto_free char *task = driver_task(d, "delete");
    add_log(d, task, 1, "x");
    add_scalar(d, task, 1, "3");
    driver_call(d, "events.delete_for_task", "{\"task\":\"%s\"}", task);
    assert_int_equal(json_int(d->data, "deleted", 0), 2);
    driver_call(d, "events.get_task_events", "{\"task\":\"%s\"}", task);
    assert_int_equal(json_int(d->data, "total", 0), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, driver_setup, driver_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_batch_counts_and_names_errors),
        TEST(test_nothing_added_is_an_error),
        TEST(test_published_task_is_refused_alone),
        TEST(test_named_batch_is_stored_once),
        TEST(test_same_coordinates_replace),
        TEST(test_hostile_numbers),
        TEST(test_task_learns_of_scalars),
        TEST(test_log_keeps_order_within_a_millisecond),
        TEST(test_log_pages),
        TEST(test_log_old_form_scrolls),
        TEST(test_log_text_survives),
        TEST(test_log_lines_are_bounded),
        TEST(test_log_download_and_clear),
        TEST(test_task_events_scroll),
        TEST(test_histogram),
        TEST(test_single_values_stand_apart),
        TEST(test_images_by_iteration),
        TEST(test_plots),
        TEST(test_vectors_and_names),
        TEST(test_delete_for_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
