/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/utf8.h"
#include "folder.h"
#include "run/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct spool_writer *writer(const char *dir, uint64_t *raw_end)
{
    struct reeve_error err = {0, ""};
    struct spool_writer *w = spool_writer_open(dir, raw_end, &err);
    assert_string_equal(err.text, "");
    assert_non_null(w);
    return w;
}

static void add(struct spool_writer *w, uint64_t raw_end, const char *text)
{
    struct reeve_error err = {0, ""};
    int r = spool_writer_add(w, SPOOL_OUTPUT, 1, 1000 + (int64_t)raw_end, raw_end, text,
                             strlen(text), &err);
    assert_string_equal(err.text, "");
    assert_int_equal(r, 0);
}

/* All texts from offset on, one after the other. */
static void read_all(const char *dir, uint64_t offset, struct buf *out)
{
    struct spool_reader *r = spool_reader_open(dir, offset, NULL);
    struct spool_entry e;
    int result;
    while ((result = spool_reader_next(r, &e, NULL)) == 1)
        buf_add(out, e.text, e.type == SPOOL_EXIT ? 0 : e.text_len);
    assert_int_equal(result, 0);
    spool_reader_close(r);
}

static void assert_spool(const char *dir, const char *want)
{
    auto_buf all = BUF_INIT;
    read_all(dir, 0, &all);
    assert_string_equal(buf_str(&all), want);
}

static char *segment(const char *dir, uint64_t start)
{
    return xasprintf("%s/log.%llu", dir, (unsigned long long)start);
}

static int count_segments(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *e;
    int n = 0;
    while ((e = readdir(dir)))
        n += strncmp(e->d_name, "log.", 4) == 0;
    closedir(dir);
    return n;
}

static void test_round_trip(void **state)
{
    uint64_t raw;
    struct spool_writer *w = writer(*state, &raw);
    assert_int_equal(raw, 0);
    assert_int_equal(spool_writer_end(w), 0);
    add(w, 4, "one\n");
    add(w, 8, "two\n");
    struct spool_exit x = {.code = -1, .signal = 9, .timed_out = true};
    snprintf(x.step, sizeof x.step, "clone");
    snprintf(x.text, sizeof x.text, "line\nbreak \xff");
    assert_int_equal(spool_writer_add_exit(w, 3, 77, 9, &x, NULL), 0);
    uint64_t end = spool_writer_end(w);

    struct spool_reader *r = spool_reader_open(*state, 0, NULL);
    struct spool_entry e;
    assert_int_equal(spool_reader_next(r, &e, NULL), 1);
    assert_int_equal(e.type, SPOOL_OUTPUT);
    assert_int_equal(e.offset, 0);
    assert_int_equal(e.raw_end, 4);
    assert_int_equal(e.wall_ms, 1004);
    assert_int_equal(e.attempt, 1);
    assert_memory_equal(e.text, "one\n", e.text_len);
    uint64_t next = e.next;
    assert_int_equal(spool_reader_next(r, &e, NULL), 1);
    assert_int_equal(e.offset, next);
    assert_int_equal(spool_reader_next(r, &e, NULL), 1);
    assert_int_equal(e.type, SPOOL_EXIT);
    assert_int_equal(e.next, end);
    assert_int_equal(e.exit.code, -1);
    assert_int_equal(e.exit.signal, 9);
    assert_true(e.exit.timed_out);
    assert_string_equal(e.exit.step, "clone");
    assert_string_equal(e.exit.text, "line?break ?");
    assert_int_equal(spool_reader_next(r, &e, NULL), 0);
    /* A reader at the end sees what is added later. */
    add(w, 20, "late\n");
    assert_int_equal(spool_reader_next(r, &e, NULL), 1);
    assert_memory_equal(e.text, "late\n", 5);
    spool_reader_close(r);
    assert_int_equal(spool_find_exit(*state, &e, NULL), 1);
    assert_int_equal(e.attempt, 3);
    assert_int_equal(e.exit.signal, 9);
    spool_writer_close(w);

    w = writer(*state, &raw);
    assert_int_equal(raw, 20);
    assert_int_equal(spool_writer_attempt(w), 1);
    spool_writer_close(w);
}

static void test_no_exit(void **state)
{
    uint64_t raw;
    struct spool_entry e;
    assert_int_equal(spool_find_exit(*state, &e, NULL), 0);
    struct spool_writer *w = writer(*state, &raw);
    add(w, 1, "x\n");
    assert_int_equal(spool_find_exit(*state, &e, NULL), 0);
    spool_writer_close(w);
}

static void test_text_is_made_sound(void **state)
{
    uint64_t raw;
    struct spool_writer *w = writer(*state, &raw);
    assert_int_equal(spool_writer_add(w, SPOOL_NOTE, 1, 0, 0, "a\0\xff", 3, NULL), 0);
    static char big[SPOOL_TEXT_MAX];
    memset(big, 0xff, sizeof big);
    assert_int_equal(spool_writer_add(w, SPOOL_NOTE, 1, 0, 0, big, sizeof big, NULL),
                     0);
    assert_int_equal(spool_writer_add(w, SPOOL_NOTE, 1, 0, 0, big, 0, NULL), -1);
    assert_int_equal(
        spool_writer_add(w, SPOOL_NOTE, 1, 0, 0, big, SPOOL_TEXT_MAX + 1ul, NULL), -1);
    auto_buf all = BUF_INIT;
    read_all(*state, 0, &all);
    assert_memory_equal(all.data, "a\xef\xbf\xbd\xef\xbf\xbd\n\xef\xbf\xbd", 11);
    assert_true(utf8_valid(all.data, all.len));
    assert_true(all.len <= SPOOL_TEXT_MAX + 8);
    assert_int_equal(all.data[all.len - 1], '\n');
    spool_writer_close(w);
}

/* A file that ends anywhere inside the last record: the records before it are there,
 * the reader waits for the rest, the writer cuts it and goes on. */
static void test_torn_at_every_byte(void **state)
{
    uint64_t raw;
    struct spool_writer *w = writer(*state, &raw);
    add(w, 4, "one\n");
    uint64_t first = spool_writer_end(w);
    add(w, 8, "two\n");
    uint64_t end = spool_writer_end(w);
    spool_writer_close(w);
    auto_free char *path = segment(*state, 0);
    auto_buf whole = BUF_INIT;
    assert_int_equal(file_read(path, &whole, 1 << 20, NULL), 0);
    assert_int_equal(whole.len, end);

    for (size_t n = first; n < end; n++) {
        assert_int_equal(file_replace(path, whole.data, n, 0600, false, NULL), 0);
        assert_spool(*state, "one\n");
        w = writer(*state, &raw);
        assert_int_equal(raw, 4);
        assert_int_equal(spool_writer_end(w), first);
        add(w, 8, "again\n");
        spool_writer_close(w);
        assert_spool(*state, "one\nagain\n");
    }
    for (size_t n = 0; n < first; n++) {
        assert_int_equal(file_replace(path, whole.data, n, 0600, false, NULL), 0);
        assert_spool(*state, "");
        w = writer(*state, &raw);
        assert_int_equal(raw, 0);
        assert_int_equal(spool_writer_end(w), 0);
        spool_writer_close(w);
    }
}

/* Each bit of the middle one of three records flipped: the others are read, and what
 * was lost is told once. */
static void test_every_bit_flipped(void **state)
{
    uint64_t raw;
    struct spool_writer *w = writer(*state, &raw);
    add(w, 4, "one\n");
    uint64_t from = spool_writer_end(w);
    add(w, 8, "two\n");
    uint64_t to = spool_writer_end(w);
    add(w, 14, "three\n");
    spool_writer_close(w);
    auto_free char *path = segment(*state, 0);
    auto_buf whole = BUF_INIT;
    assert_int_equal(file_read(path, &whole, 1 << 20, NULL), 0);
    auto_free char *want = xasprintf(
        "one\nreeve: %d bytes of this log could not be read and are left out\nthree\n",
        (int)(to - from));
    for (size_t bit = from * 8; bit < to * 8; bit++) {
        whole.data[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_equal(file_replace(path, whole.data, whole.len, 0600, false, NULL),
                         0);
        assert_spool(*state, want);
        whole.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    w = writer(*state, &raw);
    assert_int_equal(raw, 14);
    assert_int_equal(spool_writer_end(w), whole.len);
    spool_writer_close(w);
}

/* Damage as long as several windows of the reader. */
static void test_long_damage(void **state)
{
    uint64_t raw;
    struct spool_writer *w = writer(*state, &raw);
    static char line[SPOOL_TEXT_MAX];
    memset(line, 'R', sizeof line);
    line[sizeof line - 1] = '\n';
    for (int i = 0; i < 10; i++)
        assert_int_equal(
            spool_writer_add(w, SPOOL_OUTPUT, 1, 0, 0, line, sizeof line, NULL), 0);
    uint64_t last = spool_writer_end(w);
    add(w, 1, "end\n");
    spool_writer_close(w);
    auto_free char *path = segment(*state, 0);
    auto_close fd = open(path, O_WRONLY);
    for (uint64_t at = 0; at < last; at += 10)
        assert_int_equal(pwrite(fd, "VVVV", 4, (off_t)at), 4);
    auto_free char *want = xasprintf(
        "reeve: %d bytes of this log could not be read and are left out\nend\n",
        (int)last);
    assert_spool(*state, want);
}

static void fill(struct spool_writer *w, int from, int to)
{
    char line[1024];
    memset(line, 'x', sizeof line);
    for (int i = from; i < to; i++) {
        int n = snprintf(line, sizeof line, "%d", i);
        line[n] = ' ';
        line[sizeof line - 2] = '\n';
        line[sizeof line - 1] = '\0';
        add(w, (uint64_t)i, line);
    }
}

static bool says_found(const struct spool_entry *e, const void *arg)
{
    return e->text_len == 6 && memcmp(e->text, "found\n", 6) == 0;
}

/* From the end on, and no further than a segment or two. */
static void test_find_last(void **state)
{
    uint64_t raw;
    struct spool_entry e;
    struct spool_exit x = {.code = 3};
    struct spool_writer *w = writer(*state, &raw);
    assert_int_equal(spool_find_last(*state, says_found, NULL, &e, NULL), 0);
    assert_int_equal(spool_writer_add_exit(w, 1, 1, 0, &x, NULL), 0);
    add(w, 6, "found\n");
    uint64_t next = spool_writer_end(w);
    add(w, 12, "found\n");
    add(w, 18, "other\n");
    assert_int_equal(spool_find_last(*state, says_found, NULL, &e, NULL), 1);
    assert_int_equal(e.offset, next);
    assert_int_equal(spool_find_exit(*state, &e, NULL), 1);
    assert_int_equal(e.exit.code, 3);
    fill(w, 19, 500);
    assert_int_equal(spool_find_exit(*state, &e, NULL), 1);
    fill(w, 500, 5000);
    assert_true(count_segments(*state) > 3);
    assert_int_equal(spool_find_exit(*state, &e, NULL), 0);
    spool_writer_close(w);
    assert_int_equal(spool_find_exit("/nonexistent", &e, NULL), -1);
}

static int count_lines(const char *dir, uint64_t offset, int first)
{
    auto_buf all = BUF_INIT;
    read_all(dir, offset, &all);
    int n = 0;
    for (char *p = all.data, *nl; p && *p; p = nl + 1, n++) {
        nl = strchr(p, '\n');
        assert_int_equal(atoi(p), first + n);
    }
    return n;
}

static void test_segments(void **state)
{
    uint64_t raw;
    struct spool_writer *w = writer(*state, &raw);
    fill(w, 0, 4000);
    assert_int_equal(count_segments(*state), 5);
    assert_int_equal(count_lines(*state, 0, 0), 4000);
    uint64_t middle = spool_writer_end(w);
    assert_int_equal(spool_end(*state), middle);
    assert_int_equal(spool_end("/nonexistent"), 0);
    spool_writer_close(w);
    w = writer(*state, &raw);
    assert_int_equal(raw, 3999);
    assert_int_equal(spool_writer_end(w), middle);
    fill(w, 4000, 5000);
    assert_int_equal(count_lines(*state, 0, 0), 5000);
    assert_int_equal(count_lines(*state, middle, 4000), 1000);

    /* Reserved: from then on no file is made. */
    auto_free char *other = path_join_dup(*state, "acked.new");
    assert_int_equal(spool_ack_reserve(*state, NULL), 0);
    assert_int_equal(access(other, F_OK), 0);
    assert_int_equal(spool_acked(*state), 0);
    assert_int_equal(spool_ack(*state, middle, NULL), 0);
    assert_int_equal(spool_ack_reserve(*state, NULL), 0);
    assert_int_equal(spool_acked_ms(*state), 0);
    assert_int_equal(spool_acked(*state), middle);
    assert_int_equal(count_segments(*state), 2);
    assert_int_equal(count_lines(*state, middle, 4000), 1000);
    uint64_t end = spool_writer_end(w);
    assert_int_equal(spool_ack_ms(*state, end, end, 1700000000123, NULL), 0);
    assert_int_equal(spool_acked(*state), end);
    assert_int_equal(spool_acked_ms(*state), 1700000000123);
    assert_int_equal(count_segments(*state), 1);
    assert_int_equal(count_lines(*state, end, 5000), 0);
    spool_writer_close(w);
}

static void test_lost_segment_is_told(void **state)
{
    uint64_t raw;
    struct spool_writer *w = writer(*state, &raw);
    fill(w, 0, 3000);
    spool_writer_close(w);
    auto_free char *path = segment(*state, 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    unlink(path);
    struct spool_reader *r = spool_reader_open(*state, 0, NULL);
    struct spool_entry e;
    assert_int_equal(spool_reader_next(r, &e, NULL), 1);
    assert_int_equal(e.type, SPOOL_NOTE);
    assert_int_equal(e.next, st.st_size);
    assert_int_equal(spool_reader_next(r, &e, NULL), 1);
    assert_int_equal(e.type, SPOOL_OUTPUT);
    assert_int_equal(e.offset, st.st_size);
    spool_reader_close(r);
}

/* A segment with a successor is final: what is torn there will not come any more. */
static void test_torn_segment_with_a_successor(void **state)
{
    uint64_t raw;
    struct spool_writer *w = writer(*state, &raw);
    fill(w, 0, 1100);
    spool_writer_close(w);
    auto_free char *path = segment(*state, 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - 5), 0);
    struct spool_reader *r = spool_reader_open(*state, 0, NULL);
    struct spool_entry e;
    int notes = 0, lines = 0;
    while (spool_reader_next(r, &e, NULL) == 1) {
        notes += e.type == SPOOL_NOTE;
        lines += e.type == SPOOL_OUTPUT;
    }
    assert_int_equal(notes, 1);
    assert_int_equal(lines, 1099);
    spool_reader_close(r);
}

/* After a power loss the server may have more than the disk. */
static void test_acked_past_the_end(void **state)
{
    uint64_t raw;
    struct spool_writer *w = writer(*state, &raw);
    add(w, 4, "one\n");
    spool_writer_close(w);
    assert_int_equal(spool_ack(*state, 100000, NULL), 0);
    w = writer(*state, &raw);
    assert_int_equal(spool_writer_end(w), 100000);
    add(w, 8, "two\n");
    spool_writer_close(w);
    auto_buf all = BUF_INIT;
    read_all(*state, 100000, &all);
    assert_string_equal(buf_str(&all), "two\n");
}

static void test_foreign_files_are_left_alone(void **state)
{
    auto_free char *a = path_join_dup(*state, "log.x");
    auto_free char *b = path_join_dup(*state, "log.007");
    auto_free char *c = path_join_dup(*state, "acked");
    assert_int_equal(file_replace(a, "?", 1, 0600, false, NULL), 0);
    assert_int_equal(file_replace(b, "?", 1, 0600, false, NULL), 0);
    assert_int_equal(file_replace(c, "?", 1, 0600, false, NULL), 0);
    assert_int_equal(spool_acked(*state), 0);
    uint64_t raw;
    struct spool_writer *w = writer(*state, &raw);
    add(w, 4, "one\n");
    assert_spool(*state, "one\n");
    spool_writer_close(w);
}

/* A payload that prints records makes none. */
static void test_printed_record_is_text(void **state)
{
    uint64_t raw;
    struct spool_writer *w = writer(*state, &raw);
    add(w, 4, "one\n");
    spool_writer_close(w);
    auto_free char *path = segment(*state, 0);
    auto_buf bytes = BUF_INIT;
    assert_int_equal(file_read(path, &bytes, 4096, NULL), 0);
    w = writer(*state, &raw);
    uint64_t at = spool_writer_end(w);
    assert_int_equal(
        spool_writer_add(w, SPOOL_OUTPUT, 1, 0, 9, bytes.data, bytes.len, NULL), 0);
    add(w, 20, "two\n");
    spool_writer_close(w);
    auto_close fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "X", 1, (off_t)at), 1);
    struct spool_reader *r = spool_reader_open(*state, 0, NULL);
    struct spool_entry e;
    assert_int_equal(spool_reader_next(r, &e, NULL), 1);
    assert_int_equal(spool_reader_next(r, &e, NULL), 1);
    assert_int_equal(e.type, SPOOL_NOTE);
    assert_int_equal(spool_reader_next(r, &e, NULL), 1);
    assert_memory_equal(e.text, "two\n", 4);
    spool_reader_close(r);
}

/* RLIMIT_FSIZE makes writes short and then fail, as a full disk does. */
static void test_full_disk_loses_nothing(void **state)
{
    struct rlimit old, small = {2000, RLIM_INFINITY};
    uint64_t raw;
    struct spool_writer *w = writer(*state, &raw);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    setrlimit(RLIMIT_FSIZE, &small);
    char line[200];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    int added = 0;
    while (spool_writer_add(w, SPOOL_OUTPUT, 1, 0, (uint64_t)added + 1, line,
                            sizeof line, NULL) == 0)
        added++;
    assert_int_equal(added, 8);
    uint64_t end = spool_writer_end(w);
    struct spool_exit x = {.code = 0};
    struct reeve_error err;
    assert_int_equal(
        spool_writer_add(w, SPOOL_OUTPUT, 1, 0, 10, line, sizeof line, &err), -1);
    assert_true(err.code == ENOSPC || err.code == EFBIG);
    assert_int_equal(spool_writer_end(w), end);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(
        spool_writer_add(w, SPOOL_OUTPUT, 1, 0, 9, line, sizeof line, NULL), 0);
    assert_int_equal(spool_writer_add_exit(w, 1, 0, 9, &x, NULL), 0);
    spool_writer_close(w);
    struct spool_reader *r = spool_reader_open(*state, 0, NULL);
    struct spool_entry e;
    for (int i = 1; i <= 9; i++) {
        assert_int_equal(spool_reader_next(r, &e, NULL), 1);
        assert_int_equal(e.raw_end, i);
    }
    assert_int_equal(spool_reader_next(r, &e, NULL), 1);
    assert_int_equal(e.type, SPOOL_EXIT);
    spool_reader_close(r);
}

/* One process writes, another reads: every line once, in order, no note. */
static void test_reading_while_writing(void **state)
{
    pid_t pid = fork();
    if (pid == 0) {
        uint64_t raw;
        struct spool_writer *w = spool_writer_open(*state, &raw, NULL);
        for (int i = 0; i < 60000; i++) {
            char line[128];
            int n = snprintf(line, sizeof line, "%d %0*d\n", i, i % 90 + 1, 0);
            if (spool_writer_add(w, SPOOL_OUTPUT, 1, 0, 0, line, (size_t)n, NULL) < 0)
                _exit(1);
        }
        _exit(0);
    }
    struct spool_reader *r = spool_reader_open(*state, 0, NULL);
    struct spool_entry e;
    int next = 0;
    for (bool gone = false; next < 60000;) {
        int result = spool_reader_next(r, &e, NULL);
        assert_true(result >= 0);
        if (result == 0) {
            assert_false(gone);
            gone = waitpid(pid, NULL, WNOHANG) == pid;
            continue;
        }
        assert_int_equal(e.type, SPOOL_OUTPUT);
        assert_int_equal(atoi(e.text), next++);
        if (next % 5000 == 0)
            assert_int_equal(spool_ack(*state, e.next, NULL), 0);
    }
    spool_reader_close(r);
    waitpid(pid, NULL, 0);
}

int main(void)
{
#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, folder_setup, folder_teardown)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_round_trip),
        IN_FOLDER(test_find_last),
        IN_FOLDER(test_no_exit),
        IN_FOLDER(test_text_is_made_sound),
        IN_FOLDER(test_torn_at_every_byte),
        IN_FOLDER(test_every_bit_flipped),
        IN_FOLDER(test_long_damage),
        IN_FOLDER(test_segments),
        IN_FOLDER(test_lost_segment_is_told),
        IN_FOLDER(test_torn_segment_with_a_successor),
        IN_FOLDER(test_acked_past_the_end),
        IN_FOLDER(test_foreign_files_are_left_alone),
        IN_FOLDER(test_printed_record_is_text),
        IN_FOLDER(test_full_disk_loses_nothing),
        IN_FOLDER(test_reading_while_writing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
