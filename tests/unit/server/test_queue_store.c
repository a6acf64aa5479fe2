/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/buf.h"
#include "base/json.h"
#include "server/queue-store.h"
#include "server/services.h"
#include "server/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct world {
    sqlite3 *db;
    char queue[65];
};

static struct world world;

static int setup(void **state)
{
    world.db = store_open_memory();
    assert_true(queue_create(world.db, "one", 1000, world.queue));
    return 0;
}

static int teardown(void **state)
{
    store_connection_close(world.db);
    return 0;
}

static void append(const char *tasks)
{
    for (const char *p = tasks; *p; p++)
        assert_true(queue_append(world.db, world.queue, (char[]){*p, 0}, 1000));
}

/* The queue as a word of one-letter tasks. */
static void expect(const char *tasks)
{
    auto_json *list = queue_entries(world.db, world.queue, 0);
    auto_buf seen = BUF_INIT;
    const cJSON *entry;
    struct queue_state state;
    cJSON_ArrayForEach(entry, list) buf_add_str(&seen, json_str(entry, "task", "?"));
    assert_string_equal(buf_str(&seen), tasks);
    assert_true(queue_state(world.db, world.queue, 1000, &state));
    assert_int_equal(state.length, strlen(tasks));
}

static int64_t move(const char *task, int64_t steps)
{
    return queue_move(world.db, world.queue, task, steps, 2000);
}

static void test_first_in_first_out(void **state)
{
    struct queue_entry head;
    assert_false(queue_head(world.db, world.queue, &head));
    append("abc");
    expect("abc");
    assert_false(queue_append(world.db, world.queue, "b", 1000));
    assert_true(queue_head(world.db, world.queue, &head));
    assert_string_equal(head.task, "a");
    assert_int_equal(head.added_ms, 1000);
    assert_true(queue_take(world.db, world.queue, "a", 2000));
    assert_false(queue_take(world.db, world.queue, "a", 2000));
    assert_true(queue_take(world.db, world.queue, "c", 2000));
    expect("b");
    assert_true(queue_take(world.db, world.queue, "b", 2000));
    expect("");
    append("z");
    expect("z");
}

static void test_moves(void **state)
{
    append("abcde");
    assert_int_equal(move("c", -1), 1);
    expect("acbde");
    assert_int_equal(move("c", 2), 3);
    expect("abdce");
    assert_int_equal(move("e", -4), 0);
    expect("eabdc");
    assert_int_equal(move("e", 4), 4);
    expect("abdce");
    assert_int_equal(move("b", -100), 0);
    expect("badce");
    assert_int_equal(move("b", 100), 4);
    expect("adceb");
    assert_int_equal(move("c", INT64_MIN), 0);
    expect("cadeb");
    assert_int_equal(move("c", INT64_MIN), 0);
    assert_int_equal(move("c", INT64_MAX), 4);
    expect("adebc");
    assert_int_equal(move("d", 0), 1);
    assert_int_equal(move("?", 1), -1);
    expect("adebc");
}

/* Against a plain array, with so many moves into the same place that the queue has to
 * be numbered anew several times. */
static void test_many_moves(void **state)
{
    char model[] = "abcdefgh";
    size_t n = sizeof model - 1;
    unsigned random = 1;
    append(model);
    for (int i = 0; i < 2000; i++) {
        random = random * 1103515245u + 12345u;
        size_t from = i % 2 ? 3 : (random >> 16) % n;
        int64_t steps = i % 2 ? -1 : (int64_t)((random >> 8) % 11) - 5;
        char task[2] = {model[from], 0};
        int64_t to = (int64_t)from + steps;
        to = to < 0 ? 0 : to >= (int64_t)n ? (int64_t)n - 1 : to;
        memmove(model + from, model + from + 1, n - from - 1);
        memmove(model + to + 1, model + to, n - 1 - (size_t)to);
        model[to] = task[0];
        assert_int_equal(move(task, steps), to);
    }
    expect(model);
}

static void test_a_place_between_neighbours(void **state)
{
    append("ab");
    /* Each swap halves the same gap. */
    for (int i = 0; i < 100; i++) {
        append("c");
        assert_int_equal(move("c", -1), 1);
        expect("acb");
        assert_true(queue_take(world.db, world.queue, "b", 1));
        assert_true(queue_append(world.db, world.queue, "b", 1000));
        assert_true(queue_take(world.db, world.queue, "c", 1));
        expect("ab");
    }
}

static void test_takes_all(void **state)
{
    char other[65];
    struct queue_state s;
    assert_true(queue_create(world.db, "other", 1000, other));
    append("abc");
    assert_true(queue_append(world.db, other, "a", 1000));
    auto_json *tasks = queue_take_all(world.db, world.queue, 2000);
    assert_int_equal(cJSON_GetArraySize(tasks), 3);
    assert_string_equal(cJSON_GetArrayItem(tasks, 2)->valuestring, "c");
    expect("");
    assert_true(queue_state(world.db, other, 2000, &s));
    assert_int_equal(s.length, 1);
    append("b");
    expect("b");
}

static void test_limits_entries(void **state)
{
    append("abcd");
    auto_json *first = queue_entries(world.db, world.queue, 2);
    assert_int_equal(cJSON_GetArraySize(first), 2);
    assert_string_equal(json_str(cJSON_GetArrayItem(first, 0), "task", ""), "a");
    auto_json *last = queue_entries(world.db, world.queue, -2);
    assert_string_equal(json_str(cJSON_GetArrayItem(last, 0), "task", ""), "c");
    assert_string_equal(json_str(cJSON_GetArrayItem(last, 1), "task", ""), "d");
}

static void test_average_wait(void **state)
{
    struct queue_state s;
    assert_true(queue_append(world.db, world.queue, "a", 10000));
    assert_true(queue_append(world.db, world.queue, "b", 20000));
    assert_true(queue_state(world.db, world.queue, 30000, &s));
    assert_true(s.average_wait_s == 15);
    assert_true(queue_take(world.db, world.queue, "a", 30000));
    assert_true(queue_state(world.db, world.queue, 30000, &s));
    assert_true(s.average_wait_s == 10);
    assert_false(queue_state(world.db, "none", 30000, &s));
}

static void test_default_queue(void **state)
{
    char id[65], other[65];
    assert_int_equal(queue_find_default(world.db, id), -1);
    queue_add_system_tag(world.db, world.queue, "default");
    assert_int_equal(queue_find_default(world.db, id), 0);
    assert_string_equal(id, world.queue);
    assert_false(queue_create(world.db, "one", 1000, other));
    assert_true(queue_create(world.db, "two", 1000, other));
    queue_add_system_tag(world.db, other, "default");
    assert_int_equal(queue_find_default(world.db, id), -2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_in_first_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_place_between_neighbours, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_takes_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits_entries, setup, teardown),
        cmocka_unit_test_setup_teardown(test_average_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(test_default_queue, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
