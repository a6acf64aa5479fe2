/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "base/alloc.h"
#include "base/log.h"
#include "server/store.h"

#include <fcntl.h>
#include <glob.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int setup(void **state)
{
    log_set_level(LOG_LEVEL_ERROR);
    *state = fixture_dir();
    return 0;
}

static int teardown(void **state)
{
    fixture_dir_remove(*state);
    return 0;
}

static struct store *open_store(const char *dir)
{
    struct reeve_error err = {0};
    struct store *s = store_open(dir, &err);
    if (!s)
        fail_msg("%s", err.text);
    return s;
}

static int add(sqlite3 *db, void *arg)
{
    store_change(db, "INSERT INTO settings (name, value) VALUES (?, 'x')", "t", arg);
    return 0;
}

static int add_and_fail(sqlite3 *db, void *arg)
{
    add(db, arg);
    return -1;
}

static int64_t count(sqlite3 *db)
{
    return store_int(db, "SELECT count(*) FROM settings", -1, "");
}

static void test_keeps_what_was_committed(void **state)
{
    struct store *s = open_store(*state);
    assert_int_equal(store_run(s, add, "a"), 0);
    assert_int_equal(count(store_reader(s)), 1);
    store_close(s);
    s = open_store(*state);
    assert_int_equal(count(store_reader(s)), 1);
    store_close(s);
}

static void test_rolls_back_a_failed_job_alone(void **state)
{
    struct store *s = open_store(*state);
    assert_int_equal(store_run(s, add_and_fail, "a"), -1);
    assert_int_equal(store_run(s, add, "b"), 0);
    assert_int_equal(count(store_reader(s)), 1);
    store_close(s);
}

struct burst {
    struct store_job job;
    char name[16];
    bool fails;
    int result;
    sem_t *done;
};

static int burst_run(sqlite3 *db, void *arg)
{
    struct burst *b = arg;
    return b->fails ? add_and_fail(db, b->name) : add(db, b->name);
}

static void burst_done(void *arg, int result)
{
    struct burst *b = arg;
    b->result = result;
    sem_post(b->done);
}

static void test_a_failure_inside_a_group_spares_the_others(void **state)
{
    enum { N = 300 };
    struct store *s = open_store(*state);
    struct burst *bursts = xcalloc(N, sizeof *bursts);
    sem_t done;
    sem_init(&done, 0, 0);
    for (int i = 0; i < N; i++) {
        struct burst *b = &bursts[i];
        snprintf(b->name, sizeof b->name, "n%d", i);
        b->fails = i % 3 == 0;
        b->done = &done;
        b->job = (struct store_job){burst_run, burst_done, b, NULL};
        store_submit(s, &b->job);
    }
    for (int i = 0; i < N; i++)
        sem_wait(&done);
    assert_int_equal(count(store_reader(s)), N - N / 3);
    for (int i = 0; i < N; i++)
        assert_int_equal(bursts[i].result, 0);
    store_close(s);
    sem_destroy(&done);
    free(bursts);
}

static int limit_pages(sqlite3 *db, void *arg)
{
    store_int(db, "PRAGMA max_page_count = 1", 0, "");
    return 0;
}

/* As a handler that does not look whether its writes worked. */
static int fill(sqlite3 *db, void *arg)
{
    store_change(
        db, "INSERT INTO settings (name, value) VALUES ('big', zeroblob(1 << 20))", "");
    return 0;
}

static void test_a_full_disk_fails_the_job_and_nothing_else(void **state)
{
    struct store *s = open_store(*state);
    log_set_level(LOG_LEVEL_ERROR - 1);
    assert_int_equal(store_run(s, limit_pages, NULL), 0);
    assert_int_equal(store_run(s, fill, NULL), -1);
    assert_int_equal(count(store_reader(s)), 0);
    assert_int_equal(store_run(s, add, "small"), 0);
    assert_int_equal(count(store_reader(s)), 1);
    store_close(s);
}

/* A reader that leaves a statement in the middle still sees what comes after. */
static void test_a_forgotten_statement_keeps_no_snapshot(void **state)
{
    struct store *s = open_store(*state);
    sqlite3 *db = store_reader(s);
    store_run(s, add, "a");
    store_run(s, add, "b");
    assert_true(store_row(store_query(db, "SELECT name FROM settings", "")));
    store_rest(db);
    store_run(s, add, "c");
    assert_int_equal(count(db), 3);
    store_close(s);
}

static void write_file(const char *dir, const char *name, const char *text)
{
    auto_free char *path = xasprintf("%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
}

static void test_sets_an_unreadable_database_aside(void **state)
{
    const char *dir = *state;
    glob_t found;
    write_file(dir, "reeve.db",
               "this is no database, whatever its name may say........");
    log_set_level(LOG_LEVEL_ERROR - 1);
    struct store *s = open_store(dir);
    assert_int_equal(store_run(s, add, "a"), 0);
    store_close(s);
    auto_free char *pattern = xasprintf("%s/reeve.db.broken-*", dir);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    globfree(&found);
}

static int raise_version(sqlite3 *db, void *arg)
{
    return sqlite3_exec(db, "PRAGMA user_version = 9999", NULL, NULL, NULL);
}

static void test_refuses_a_newer_schema(void **state)
{
    struct reeve_error err = {0};
    struct store *s = open_store(*state);
    assert_int_equal(store_run(s, raise_version, NULL), 0);
    store_close(s);
    assert_null(store_open(*state, &err));
    assert_non_null(strstr(err.text, "newer"));
}

static void test_caches_statements(void **state)
{
    static const char sql[] = "SELECT ?";
    sqlite3 *db = store_open_memory();
    sqlite3_stmt *first = store_query(db, sql, "i", (int64_t)7);
    assert_true(store_row(first));
    assert_int_equal(sqlite3_column_int64(first, 0), 7);
    sqlite3_stmt *again = store_prepare(db, sql);
    assert_ptr_equal(first, again);
    assert_true(store_row(again));
    assert_int_equal(sqlite3_column_type(again, 0), SQLITE_NULL);
    sqlite3_reset(again);
    store_connection_close(db);
}

static void test_cache_survives_growth(void **state)
{
    enum { N = 500 };
    sqlite3 *db = store_open_memory();
    char *sql[N];
    for (int i = 0; i < N; i++) {
        sql[i] = xasprintf("SELECT %d", i);
        store_prepare(db, sql[i]);
    }
    for (int i = 0; i < N; i++)
        assert_int_equal(store_int(db, sql[i], -1, ""), i);
    store_connection_close(db);
    for (int i = 0; i < N; i++)
        free(sql[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_keeps_what_was_committed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rolls_back_a_failed_job_alone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_failure_inside_a_group_spares_the_others,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_full_disk_fails_the_job_and_nothing_else,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_forgotten_statement_keeps_no_snapshot,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_sets_an_unreadable_database_aside, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_refuses_a_newer_schema, setup, teardown),
        cmocka_unit_test(test_caches_statements),
        cmocka_unit_test(test_cache_survives_growth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
