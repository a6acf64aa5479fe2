/* SPDX-License-Identifier: Apache-2.0 */
/* The lane of slow reads: jobs in their order, one at a time, and no more than fit. */
#include "config.h"

#include "../unit.h"

#include "base/alloc.h"
#include "server/lane.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MANY 100

struct world {
    char dir[32];
    struct store *store;
    struct lane *lane;
    sem_t started, go;
    int order[MANY];
    int runs, dones;
};

struct numbered {
    struct store_job job;
    struct world *world;
    int number;
};

static int setup(void **state)
{
    struct reeve_error err;
    struct world *w = xcalloc(1, sizeof *w);
    snprintf(w->dir, sizeof w->dir, "/tmp/reeve-lane-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    w->store = store_open(w->dir, &err);
    assert_non_null(w->store);
    w->lane = lane_open(w->store);
    assert_non_null(w->lane);
    sem_init(&w->started, 0, 0);
    sem_init(&w->go, 0, 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    static const char *const files[] = {"", "-wal", "-shm"};
    lane_close(w->lane);
    store_close(w->store);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        auto_free char *path = xasprintf("%s/reeve.db%s", w->dir, files[i]);
        unlink(path);
    }
    rmdir(w->dir);
    free(w);
    return 0;
}

/* The first holds the lane until it is told to go on. */
static int run(sqlite3 *db, void *arg)
{
    struct numbered *n = arg;
    if (n->number == 0) {
        sem_post(&n->world->started);
        while (sem_wait(&n->world->go) < 0)
            continue;
    }
    n->world->order[n->world->runs++] = n->number;
    return db ? (int)store_int(db, "SELECT 7", 0, "") : 0;
}

static void done(void *arg, int result)
{
    struct numbered *n = arg;
    n->world->dones += result == 7;
}

static void test_runs_what_fits_in_order(void **state)
{
    struct world *w = *state;
    static struct numbered jobs[MANY];
    int taken = 0;
    for (int i = 0; i < MANY; i++) {
        jobs[i] = (struct numbered){{run, done, &jobs[i], NULL}, w, i};
        if (!lane_submit(w->lane, &jobs[i].job))
            break;
        taken++;
        if (i == 0)
            while (sem_wait(&w->started) < 0)
                continue;
    }
    /* One runs, 32 wait. */
    assert_int_equal(taken, 33);
    sem_post(&w->go);
    lane_close(w->lane);
    w->lane = NULL;
    assert_int_equal(w->runs, taken);
    assert_int_equal(w->dones, taken);
    for (int i = 0; i < taken; i++)
        assert_int_equal(w->order[i], i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_runs_what_fits_in_order, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
