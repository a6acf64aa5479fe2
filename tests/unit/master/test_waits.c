/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "config/config.h"
#include "config/option-table.h"
#include "master/waits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREFIX "agent.reeve.waits."

/* 0, or -1; the waits of a file with this text. */
static int read_text(const char *text, double polling_s, struct waits *out,
                     struct reeve_error *err)
{
    char path[] = "/tmp/test_waits.XXXXXX";
    FILE *file = fdopen(mkstemp(path), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    struct config *c = config_load(path, err);
    assert_non_null(c);
    int rc = waits_read(c, polling_s, out, err);
    config_destroy(c);
    unlink(path);
    return rc;
}

/* A name without a row would be refused, and one without a wait passed over. */
static void test_each_has_its_row(void **state)
{
    size_t n, rows = 0, waits = 0;
    const struct option_row *row = option_rows(&n);
    for (size_t i = 0; i < n; i++)
        rows += strncmp(row[i].name, PREFIX, strlen(PREFIX)) == 0;
#define X(wait, fallback, least)                                                       \
    row = option_find(OPTION_OPTION, PREFIX #wait);                                    \
    assert_true(row &&strcmp(row->name, PREFIX #wait) == 0);                           \
    waits++;
    WAITS(X)
#undef X
    assert_int_equal(rows, waits);
}

static void test_values(void **state)
{
    struct waits w;
    struct reeve_error err;
    assert_int_equal(read_text("", 0, &w, &err), 0);
    assert_int_equal(w.poll_ms, 5000);
    assert_int_equal(w.unseen_ms, 10000);
    assert_int_equal(read_text("agent { polling_interval: 3.5, reeve.waits { keep: 0, "
                               "report: 20ms, disk: 2 } }",
                               0, &w, &err),
                     0);
    assert_int_equal(w.poll_ms, 3500);
    assert_int_equal(w.keep_ms, 0);
    assert_int_equal(w.report_ms, 20);
    assert_int_equal(w.disk_ms, 2000);
    assert_int_equal(read_text("agent.polling_interval: 3", 0.25, &w, &err), 0);
    assert_int_equal(w.poll_ms, 250);
    assert_int_equal(read_text("agent.reeve.waits.poll: 1ms", 0.25, &w, &err), 0);
    assert_int_equal(w.poll_ms, 1);
}

static void test_what_is_none(void **state)
{
    static const char *const bad[] = {
        "agent.reeve.waits.watch: soon",   "agent.reeve.waits.watch: 0",
        "agent.reeve.waits.watch: -1",     "agent.reeve.waits.watch: 25d",
        "agent.reeve.waits.watch: [1, 2]", "agent.reeve.waits.worker_timeout: 10ms",
        "agent.polling_interval: 0",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct waits w;
        struct reeve_error err = {0};
        auto_free char *path = xstrndup(bad[i], strcspn(bad[i], ":"));
        assert_int_equal(read_text(bad[i], 0, &w, &err), -1);
        assert_non_null(strstr(err.text, path));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_has_its_row),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
