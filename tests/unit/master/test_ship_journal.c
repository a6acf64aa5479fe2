/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "../run/folder.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/record.h"
#include "master/master.h"
#include "master/ship-internal.h"
#include "run/run-dir.h"
#include "run/spool.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLOT_BYTES (128 << 10)

/* What a master has of it; made anew for each "later master". */
struct host {
    struct options options;
    struct master master;
    struct ship ship;
};

static void host_begin(struct host *h, char *dir)
{
    memset(h, 0, sizeof *h);
    h->master.state_root = dir;
    h->master.worker = "host";
    h->master.options = &h->options;
    h->master.runs = runs_create();
    h->ship.master = &h->master;
    h->master.ship = &h->ship;
    strcpy(h->ship.epoch, "own");
    ship_journal_open(&h->ship);
}

static void batch_end(struct batch *b)
{
    for (size_t i = 0; i < b->count; i++)
        cJSON_Delete(b->parts[i].event);
    free(b->parts);
    memset(b, 0, sizeof *b);
}

/* As if it was killed: nothing is written. */
static void host_end(struct host *h)
{
    struct run *run;
    while ((run = runs_first(h->master.runs))) {
        runs_remove(h->master.runs, run);
        free(run);
    }
    runs_destroy(h->master.runs);
    batch_end(&h->ship.batch);
    close(h->ship.journal);
}

static struct run *adopt(struct host *h, const char *task, const char *claim)
{
    struct run *run = xcalloc(1, sizeof *run);
    auto_free char *dir = run_dir_dup(h->master.state_root, task);
    assert_int_equal(dir_make(dir, 0700, NULL), 0);
    run->master = &h->master;
    strcpy(run->id, task);
    strcpy(run->claim, claim);
    run->ship.acked = run->ship.read = spool_acked(dir);
    run->ship.last_ms = spool_acked_ms(dir);
    runs_add(h->master.runs, run);
    return run;
}

/* Adds a line that arrived at wall_ms, or an exit record; where the spool ends then. */
static uint64_t print(struct run *run, const char *line, int64_t wall_ms)
{
    auto_free char *dir = run_dir_dup(run->master->state_root, run->id);
    uint64_t raw;
    struct spool_exit exit = {.code = 0};
    struct spool_writer *w = spool_writer_open(dir, &raw, NULL);
    int result = line ? spool_writer_add(w, SPOOL_OUTPUT, 1, wall_ms, raw + 1, line,
                                         strlen(line), NULL)
                      : spool_writer_add_exit(w, 1, wall_ms, raw, &exit, NULL);
    assert_int_equal(result, 0);
    uint64_t end = spool_writer_end(w);
    spool_writer_close(w);
    return end;
}

static void add(struct ship *s, const struct run *run, uint64_t begin, uint64_t end,
                int64_t ms, const char *text)
{
    struct batch *b = &s->batch;
    b->parts = xreallocarray(b->parts, b->count + 1, sizeof *b->parts);
    struct part *p = &b->parts[b->count++];
    *p =
        (struct part){.begin = begin, .end = end, .ms = ms, .sum = ship_sum(run, text)};
    strcpy(p->task, run->id);
}

/* A batch with these parts, written as the ship's next one. */
static void write_batch(struct ship *s)
{
    s->number++;
    ship_journal_write(s);
    assert_false(s->journal_failing);
    batch_end(&s->batch);
}

static void test_next_master_has_the_same_events(void **state)
{
    struct host h;
    host_begin(&h, *state);
    struct run *run = adopt(&h, "t1", "c1");
    uint64_t one = print(run, "one\n", 1000), two = print(run, "two\n", 3000);
    add(&h.ship, run, 0, one, 1000, "one\n");
    add(&h.ship, run, one, two, 3000, "two\n");
    strcpy(h.ship.epoch, "first");
    write_batch(&h.ship);
    host_end(&h);

    host_begin(&h, *state);
    run = adopt(&h, "t1", "c1");
    assert_true(ship_journal_read(&h.ship));
    assert_string_equal(h.ship.epoch, "first");
    assert_int_equal(h.ship.number, 1);
    assert_int_equal(h.ship.batch.count, 2);
    assert_string_equal(json_str(h.ship.batch.parts[1].event, "msg", ""), "two\n");
    assert_int_equal(json_int(h.ship.batch.parts[1].event, "timestamp", 0), 3000);
    assert_int_equal(run->ship.read, two);
    assert_int_equal(run->ship.acked, 0);
    assert_int_equal(run->ship.last_ms, 3000);
    host_end(&h);
}

/* Exit records send nothing: `acked` may stand before one, and the batch behind it. */
static void test_exit_record_before_and_between(void **state)
{
    struct host h;
    host_begin(&h, *state);
    struct run *run = adopt(&h, "t1", "c1");
    uint64_t e1 = print(run, NULL, 500), one = print(run, "one\n", 1000);
    uint64_t e2 = print(run, NULL, 1500), two = print(run, "two\n", 3000);
    add(&h.ship, run, e1, one, 1000, "one\n");
    add(&h.ship, run, e2, two, 3000, "two\n");
    write_batch(&h.ship);
    host_end(&h);

    host_begin(&h, *state);
    run = adopt(&h, "t1", "c1");
    assert_true(ship_journal_read(&h.ship));
    assert_non_null(h.ship.batch.parts[0].event);
    assert_non_null(h.ship.batch.parts[1].event);
    assert_int_equal(run->ship.read, two);
    host_end(&h);
}

/* What stands before a batch was sent when it was made, if `acked` could not be
 * written; what stands before its second event was not. */
static void test_batch_says_what_was_sent_before_it(void **state)
{
    struct host h;
    host_begin(&h, *state);
    struct run *run = adopt(&h, "t1", "c1");
    uint64_t one = print(run, "one\n", 1000), two = print(run, "two\n", 3000),
             three = print(run, "three\n", 5000);
    add(&h.ship, run, one, two, 3000, "two\n");
    add(&h.ship, run, two, three, 5000, "three\n");
    write_batch(&h.ship);
    host_end(&h);

    host_begin(&h, *state);
    run = adopt(&h, "t1", "c1");
    assert_true(ship_journal_read(&h.ship));
    assert_int_equal(run->ship.acked, one);
    assert_int_equal(run->ship.read, three);
    host_end(&h);
}

static void test_event_that_is_lost_keeps_those_behind_it(void **state)
{
    struct host h;
    host_begin(&h, *state);
    struct run *run = adopt(&h, "t1", "c1");
    uint64_t one = print(run, "one\n", 1000), two = print(run, "two\n", 3000);
    add(&h.ship, run, 0, one, 1000, "something else\n");
    add(&h.ship, run, one, two, 3000, "two\n");
    write_batch(&h.ship);
    host_end(&h);

    host_begin(&h, *state);
    run = adopt(&h, "t1", "c1");
    assert_false(ship_journal_read(&h.ship));
    assert_int_equal(run->ship.acked, 0);
    assert_int_equal(run->ship.read, 0);
    host_end(&h);
}

/* A journal that is older than the last batch names one that the server has: its name
 * must not be given to other lines. */
static void test_stale_journal_gives_no_name(void **state)
{
    struct host h;
    host_begin(&h, *state);
    struct run *run = adopt(&h, "t1", "c1");
    uint64_t one = print(run, "one\n", 1000);
    add(&h.ship, run, 0, one, 1000, "one\n");
    strcpy(h.ship.epoch, "first");
    write_batch(&h.ship);
    auto_free char *dir = run_dir_dup(*state, "t1");
    assert_int_equal(spool_ack_ms(dir, one, one, 1000, NULL), 0);
    host_end(&h);

    host_begin(&h, *state);
    adopt(&h, "t1", "c1");
    assert_false(ship_journal_read(&h.ship));
    assert_string_equal(h.ship.epoch, "own");
    host_end(&h);
}

/* The same task once more, which prints the same, is another run: its lines were not
 * sent, whatever the journal says. */
static void test_journal_of_an_earlier_run(void **state)
{
    for (int same_claim = 0; same_claim < 2; same_claim++) {
        struct host h;
        host_begin(&h, *state);
        struct run *run = adopt(&h, "t1", "c1");
        uint64_t one = print(run, "one\n", 1000);
        add(&h.ship, run, 0, one, 1000, "one\n");
        write_batch(&h.ship);
        host_end(&h);
        auto_free char *dir = run_dir_dup(*state, "t1");
        assert_int_equal(dir_remove_tree(dir, NULL), 0);

        host_begin(&h, *state);
        run = adopt(&h, "t1", same_claim ? "c1" : "c2");
        print(run, "one\n", 2000);
        assert_false(ship_journal_read(&h.ship));
        assert_int_equal(run->ship.read, 0);
        host_end(&h);
        assert_int_equal(dir_remove_tree(dir, NULL), 0);
    }
}

static void test_write_that_was_cut_short(void **state)
{
    struct host h;
    host_begin(&h, *state);
    struct run *run = adopt(&h, "t1", "c1");
    uint64_t one = print(run, "one\n", 1000), two = print(run, "two\n", 3000);
    add(&h.ship, run, 0, one, 1000, "one\n");
    write_batch(&h.ship);
    add(&h.ship, run, one, two, 3000, "two\n");
    write_batch(&h.ship);
    /* The second one's slot: the first line is there, the rest is not. */
    assert_int_equal(pwrite(h.ship.journal, "\0\0\0\0", 4, 40), 4);
    host_end(&h);

    host_begin(&h, *state);
    run = adopt(&h, "t1", "c1");
    assert_true(ship_journal_read(&h.ship));
    assert_int_equal(h.ship.number, 1);
    assert_int_equal(run->ship.read, one);
    /* The next batch leaves this one's slot alone. */
    add(&h.ship, run, one, two, 3000, "two\n");
    write_batch(&h.ship);
    assert_int_equal(h.ship.number, 2);
    host_end(&h);
}

static void test_rubbish(void **state)
{
    static const char *const texts[] = {"",
                                        "x",
                                        "reeve-batch 2 ",
                                        "reeve-batch 2 ffffffff 00000000\n",
                                        "reeve-batch 2 00000000 00000000\n",
                                        "reeve-batch 2 00020001 00000000\nx"};
    auto_free char *path = path_join_dup(*state, "batch");
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct host h;
        assert_int_equal(
            file_replace(path, texts[i], strlen(texts[i]), 0600, false, NULL), 0);
        host_begin(&h, *state);
        adopt(&h, "t1", "c1");
        assert_false(ship_journal_read(&h.ship));
        assert_int_equal(h.ship.batch.count, 0);
        host_end(&h);
    }
}

/* As a version has left it that had one batch in one piece, and no sums. */
static void test_journal_of_an_earlier_version(void **state)
{
    struct host h;
    auto_free char *path = path_join_dup(*state, "batch");
    host_begin(&h, *state);
    struct run *run = adopt(&h, "t1", "c1");
    uint64_t one = print(run, "one\n", 1000), two = print(run, "two\n", 3000);
    host_end(&h);
    auto_buf text = BUF_INIT;
    buf_printf(&text, "reeve-batch 1 first 8\nt1 0 %llu 1000\nt1 %llu %llu 3000\n",
               (unsigned long long)one, (unsigned long long)one,
               (unsigned long long)two);
    buf_printf(&text, "crc %08x\n", crc32c(0, text.data, text.len));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(file_replace(path, text.data, text.len, 0600, false, NULL), 0);

    host_begin(&h, *state);
    run = adopt(&h, "t1", "c1");
    assert_true(ship_journal_read(&h.ship));
    assert_string_equal(h.ship.epoch, "first");
    assert_int_equal(h.ship.number, 8);
    assert_int_equal(h.ship.batch.count, 2);
    assert_string_equal(json_str(h.ship.batch.parts[1].event, "msg", ""), "two\n");
    assert_int_equal(run->ship.read, two);
    batch_end(&h.ship.batch);
    /* The next batch is what counts from then on. */
    uint64_t three = print(run, "three\n", 5000);
    add(&h.ship, run, two, three, 5000, "three\n");
    strcpy(h.ship.epoch, "own");
    write_batch(&h.ship);
    host_end(&h);

    host_begin(&h, *state);
    run = adopt(&h, "t1", "c1");
    assert_true(ship_journal_read(&h.ship));
    assert_int_equal(h.ship.number, 9);
    assert_int_equal(run->ship.acked, two);
    host_end(&h);

    text.data[text.len - 2] ^= 1;
    assert_int_equal(file_replace(path, text.data, text.len, 0600, false, NULL), 0);
    host_begin(&h, *state);
    run = adopt(&h, "t1", "c1");
    assert_false(ship_journal_read(&h.ship));
    assert_int_equal(run->ship.read, 0);
    host_end(&h);
}

/* Its room is taken before it is needed. */
static void test_has_its_full_length(void **state)
{
    struct host h;
    host_begin(&h, *state);
    struct stat st;
    assert_int_equal(fstat(h.ship.journal, &st), 0);
    assert_int_equal(st.st_size, 2 * SLOT_BYTES);
    assert_true(st.st_blocks * 512 >= 2 * SLOT_BYTES);
    host_end(&h);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_next_master_has_the_same_events),
        TEST(test_exit_record_before_and_between),
        TEST(test_batch_says_what_was_sent_before_it),
        TEST(test_event_that_is_lost_keeps_those_behind_it),
        TEST(test_stale_journal_gives_no_name),
        TEST(test_journal_of_an_earlier_run),
        TEST(test_write_that_was_cut_short),
        TEST(test_rubbish),
        TEST(test_journal_of_an_earlier_version),
        TEST(test_has_its_full_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
