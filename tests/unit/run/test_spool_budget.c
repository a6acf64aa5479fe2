/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/buf.h"
#include "folder.h"
#include "run/spool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BUDGET SPOOL_BUDGET_MIN
#define FILL 1000 /* lines that make about a tenth of it */

static struct spool_writer *writer(const char *dir)
{
    uint64_t raw;
    struct spool_writer *w = spool_writer_open(dir, &raw, NULL);
    assert_non_null(w);
    return w;
}

static int add_text(struct spool_writer *w, unsigned number, enum spool_type type)
{
    char text[256];
    struct reeve_error err = {0};
    snprintf(text, sizeof text, "%u %150s\n", number, "line");
    if (spool_writer_add(w, type, 1, 1000 + number, number + 1, text, strlen(text),
                         &err) == 0)
        return 0;
    return err.code;
}

/* Lines from *number on; the error that ended it, or 0. */
static int fill(struct spool_writer *w, unsigned *number, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        int error = add_text(w, *number, SPOOL_OUTPUT);
        if (error)
            return error;
        ++*number;
    }
    return 0;
}

struct seen {
    unsigned count, last, gaps;
    unsigned long long dropped;
    uint64_t next;
};

/* Each line once, in order; between two that do not follow each other a note with the
 * number of those that are missing. */
static void look(const char *dir, uint64_t from, unsigned first, struct seen *seen)
{
    struct spool_reader *r = spool_reader_open(dir, from, NULL);
    struct spool_entry e;
    unsigned expect = first;
    *seen = (struct seen){.next = from};
    while (spool_reader_next(r, &e, NULL) == 1) {
        unsigned long long lines;
        assert_int_equal(e.offset, seen->next);
        seen->next = e.next;
        if (e.type == SPOOL_NOTE) {
            assert_int_equal(sscanf(e.text, "reeve: %llu lines (", &lines), 1);
            assert_non_null(strstr(e.text, ") dropped here: log budget of "));
            seen->dropped += lines;
            seen->gaps++;
            expect += (unsigned)lines;
            continue;
        }
        if (e.type == SPOOL_EXIT)
            continue;
        assert_int_equal(strtoul(e.text, NULL, 10), expect);
        seen->last = expect++;
        seen->count++;
    }
    spool_reader_close(r);
}

static void test_drops_the_middle(void **state)
{
    struct seen seen;
    struct spool_writer *w = writer(*state);
    unsigned number = 0;
    spool_writer_limit(w, BUDGET, SPOOL_FULL_DROP);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(fill(w, &number, FILL), 0);
        assert_true(spool_held(*state) <= BUDGET);
    }
    look(*state, 0, 0, &seen);
    assert_int_equal(seen.last, number - 1);
    assert_int_equal(seen.gaps, 1);
    assert_int_equal(seen.count + seen.dropped, number);
    assert_true(seen.count > 4 * FILL); /* most of the budget has lines */
    assert_int_equal(seen.next, spool_writer_end(w));
    spool_writer_close(w);
    /* Another writer goes on; what was acknowledged makes room. */
    w = writer(*state);
    spool_writer_limit(w, BUDGET, SPOOL_FULL_DROP);
    assert_int_equal(spool_ack(*state, spool_writer_end(w), NULL), 0);
    uint64_t end = spool_writer_end(w);
    unsigned first = number;
    assert_int_equal(fill(w, &number, FILL), 0);
    look(*state, end, first, &seen);
    assert_int_equal(seen.count, FILL);
    spool_writer_close(w);
}

/* In flight: never given up, nor changed, whatever comes. */
static void test_keeps_what_may_be_under_way(void **state)
{
    struct seen head, seen;
    struct spool_writer *w = writer(*state);
    unsigned number = 0;
    assert_int_equal(fill(w, &number, 2 * FILL), 0);
    look(*state, 0, 0, &head);
    spool_writer_limit(w, BUDGET, SPOOL_FULL_DROP);
    assert_int_equal(fill(w, &number, 30 * FILL), 0);
    look(*state, 0, 0, &seen);
    assert_true(seen.count > head.count);
    struct spool_reader *r = spool_reader_open(*state, 0, NULL);
    struct spool_entry e;
    for (unsigned i = 0; i < 2 * FILL; i++) {
        assert_int_equal(spool_reader_next(r, &e, NULL), 1);
        assert_int_equal(strtoul(e.text, NULL, 10), i);
    }
    spool_reader_close(r);
    spool_writer_close(w);
}

/* It is counted from what was acknowledged, wherever in a segment that is. */
static void test_keeps_what_follows_the_acknowledged(void **state)
{
    struct spool_writer *w = writer(*state);
    unsigned number = 0;
    assert_int_equal(fill(w, &number, 4 * FILL), 0);
    uint64_t acked = spool_writer_end(w);
    unsigned first = number;
    assert_true(acked < SPOOL_SEGMENT_BYTES);
    assert_int_equal(spool_ack(*state, acked, NULL), 0);
    assert_int_equal(fill(w, &number, 40 * FILL), 0);
    spool_writer_limit(w, BUDGET, SPOOL_FULL_DROP);
    spool_writer_shrink(w);
    assert_true(spool_writer_has_gaps(w));
    struct spool_reader *r = spool_reader_open(*state, acked, NULL);
    struct spool_entry e = {0};
    while (e.next < acked + SPOOL_HEAD_MIN) {
        assert_int_equal(spool_reader_next(r, &e, NULL), 1);
        assert_int_equal(strtoul(e.text, NULL, 10), first++);
    }
    spool_reader_close(r);
    spool_writer_close(w);
}

static void test_waits(void **state)
{
    struct seen seen;
    struct spool_exit exit = {0};
    struct spool_writer *w = writer(*state);
    unsigned number = 0;
    spool_writer_limit(w, BUDGET, SPOOL_FULL_WAIT);
    assert_int_equal(fill(w, &number, 30 * FILL), EDQUOT);
    assert_true(spool_held(*state) <= BUDGET);
    assert_int_equal(fill(w, &number, 1), EDQUOT);
    /* What is not output is taken, and output does not follow it. */
    assert_int_equal(spool_writer_add_exit(w, 1, 1, number, &exit, NULL), 0);
    assert_int_equal(fill(w, &number, 1), EDQUOT);
    look(*state, 0, 0, &seen);
    assert_int_equal(seen.gaps, 0);
    assert_int_equal(seen.count, number);
    assert_int_equal(spool_ack(*state, spool_writer_end(w), NULL), 0);
    assert_int_equal(fill(w, &number, FILL), 0);
    spool_writer_close(w);
}

/* What is kept for somebody else, as for a terminal that stands still, is at the server
 * all the same. */
static void test_waits_for_nothing_that_is_acknowledged(void **state)
{
    static const enum spool_full all[] = {SPOOL_FULL_WAIT, SPOOL_FULL_JUDGE};
    struct spool_writer *w = writer(*state);
    unsigned number = 0;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        spool_writer_limit(w, BUDGET, all[i]);
        assert_int_equal(fill(w, &number, 50 * FILL), EDQUOT);
        assert_int_equal(spool_ack_ms(*state, spool_writer_end(w), 0, 0, NULL), 0);
        assert_int_equal(fill(w, &number, 5 * FILL), 0);
    }
    spool_writer_close(w);
}

/* While the server takes lines, a run that is faster waits for it. */
static void test_waits_while_lines_go(void **state)
{
    struct spool_writer *w = writer(*state);
    unsigned number = 0;
    spool_writer_limit(w, BUDGET, SPOOL_FULL_JUDGE);
    int error = 0;
    for (unsigned i = 1; !error && i < 300; i++) {
        assert_int_equal(spool_ack(*state, i, NULL), 0);
        error = fill(w, &number, FILL / 10);
    }
    assert_int_equal(error, EDQUOT);
    struct seen seen;
    look(*state, 0, 0, &seen);
    assert_int_equal(seen.gaps, 0);
    spool_writer_close(w);
}

/* Its caller knows whether the server takes lines. */
static void test_drops_for_a_server_that_is_away(void **state)
{
    struct seen seen;
    struct spool_writer *w = writer(*state);
    unsigned number = 0;
    spool_writer_limit(w, BUDGET, SPOOL_FULL_DROP);
    for (unsigned i = 1; i < 300; i++) {
        assert_int_equal(spool_ack(*state, i, NULL), 0);
        assert_int_equal(fill(w, &number, FILL / 10), 0);
    }
    assert_true(spool_held(*state) <= BUDGET);
    look(*state, 0, 0, &seen);
    assert_int_equal(seen.gaps, 1);
    assert_int_equal(seen.count + seen.dropped, number);
    spool_writer_close(w);
}

/* Its segments are too large for a budget that came later: it goes on all the same. */
static void test_never_waits_for_nothing(void **state)
{
    struct seen seen;
    struct spool_writer *w = writer(*state);
    unsigned number = 0;
    spool_writer_limit(w, 0, SPOOL_FULL_DROP);
    assert_int_equal(fill(w, &number, 30 * FILL), 0);
    spool_writer_limit(w, BUDGET, SPOOL_FULL_DROP);
    for (int i = 0; i < 30; i++)
        assert_int_equal(fill(w, &number, FILL), 0);
    assert_true(spool_held(*state) <= BUDGET + 2 * SPOOL_SEGMENT_BYTES);
    look(*state, 0, 0, &seen);
    assert_int_equal(seen.count + seen.dropped, number);
    spool_writer_close(w);
}

static void test_shrinks_at_once(void **state)
{
    struct seen seen;
    struct spool_writer *w = writer(*state);
    unsigned number = 0;
    spool_writer_limit(w, 8 * BUDGET, SPOOL_FULL_DROP);
    assert_int_equal(fill(w, &number, 60 * FILL), 0);
    spool_writer_limit(w, 3 * BUDGET, SPOOL_FULL_DROP);
    spool_writer_shrink(w);
    assert_true(spool_held(*state) <= 3 * BUDGET);
    look(*state, 0, 0, &seen);
    assert_int_equal(seen.last, number - 1);
    assert_int_equal(seen.gaps, 1);
    spool_writer_close(w);
}

#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_drops_the_middle),
        IN_FOLDER(test_keeps_what_may_be_under_way),
        IN_FOLDER(test_keeps_what_follows_the_acknowledged),
        IN_FOLDER(test_waits),
        IN_FOLDER(test_waits_for_nothing_that_is_acknowledged),
        IN_FOLDER(test_waits_while_lines_go),
        IN_FOLDER(test_drops_for_a_server_that_is_away),
        IN_FOLDER(test_never_waits_for_nothing),
        IN_FOLDER(test_shrinks_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
