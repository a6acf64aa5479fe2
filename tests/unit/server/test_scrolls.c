/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/json.h"
#include "server/scrolls.h"

#include <stdlib.h>
#include <string.h>

static int setup(void **state)
{
    *state = scrolls_create();
    return 0;
}

static int teardown(void **state)
{
    scrolls_destroy(*state);
    return 0;
}

/* What is under the id, 0 if nothing is. */
static int64_t number_at(struct scrolls *s, const char *id, int64_t now_ms)
{
    auto_json *state = scrolls_get(s, id, now_ms);
    return json_int(state, "n", 0);
}

static void put(struct scrolls *s, char id[ID_SIZE], int64_t n, int64_t now_ms)
{
    auto_json *state = cJSON_CreateObject();
    json_set_int(state, "n", n);
    scrolls_put(s, id, state, now_ms);
}

static void test_kept_and_changed(void **state)
{
    char a[ID_SIZE] = "", b[ID_SIZE] = "";
    put(*state, a, 1, 0);
    put(*state, b, 2, 0);
    assert_string_not_equal(a, b);
    assert_int_equal(number_at(*state, a, 0), 1);
    put(*state, a, 3, 0);
    assert_int_equal(number_at(*state, a, 0), 3);
    assert_int_equal(number_at(*state, b, 0), 2);
    assert_int_equal(number_at(*state, "", 0), 0);
    assert_int_equal(number_at(*state, "unknown", 0), 0);
}

static void test_ends_an_hour_after_its_last_use(void **state)
{
    char id[ID_SIZE] = "";
    put(*state, id, 1, 0);
    put(*state, id, 2, SCROLL_KEPT_MS - 1);
    assert_int_equal(number_at(*state, id, 2 * SCROLL_KEPT_MS - 2), 2);
    assert_int_equal(number_at(*state, id, 2 * SCROLL_KEPT_MS - 1), 0);
}

static void test_the_oldest_makes_room(void **state)
{
    char first[ID_SIZE] = "", second[ID_SIZE] = "";
    put(*state, first, 1, 0);
    put(*state, second, 2, 1);
    for (int i = 0; i < SCROLLS_MAX - 1; i++) {
        char id[ID_SIZE] = "";
        put(*state, id, 3, 2);
    }
    assert_int_equal(number_at(*state, first, 2), 0);
    assert_int_equal(number_at(*state, second, 2), 2);
}

static void test_a_large_state_is_not_kept(void **state)
{
    char id[ID_SIZE] = "";
    auto_json *large = cJSON_CreateObject();
    auto_free char *text = xcalloc(1, SCROLL_STATE_MAX + 1);
    memset(text, 'x', SCROLL_STATE_MAX);
    json_set_str(large, "text", text);
    scrolls_put(*state, id, large, 0);
    assert_int_equal(strlen(id), ID_SIZE - 1);
    auto_json *found = scrolls_get(*state, id, 0);
    assert_null(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kept_and_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ends_an_hour_after_its_last_use, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_oldest_makes_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_large_state_is_not_kept, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
