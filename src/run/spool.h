/* spool.h - a run's log on disk, from the payload's first byte to the server's answer
 *
 * A stream of records (base/record.h) in segments log.<offset>, named by the offset of
 * their first byte in the stream. The sub-agent that holds the run's lock writes; the
 * master reads, and removes segments that the server has acknowledged in full. */
#ifndef REEVE_SPOOL_H
#define REEVE_SPOOL_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define SPOOL_SEGMENT_BYTES (1 << 20)
#define SPOOL_BUDGET_MIN (2 << 20)
#define SPOOL_PATIENCE_MS 5000
/* So much of the stream behind `acked` is never given up: it may be under way, and has
 * to be found again by a master that comes after one that died. */
#define SPOOL_HEAD_MIN (512u << 10)
#define SPOOL_TEXT_MAX                                                                 \
    65536 /* bytes of text in one record; a longer line is cut there */

enum spool_type {
    SPOOL_OUTPUT =
        1, /* lines of the payload, each ending in a newline, one arrival time */
    SPOOL_NOTE = 2, /* a line of reeve's own, ending in a newline as well */
    SPOOL_EXIT = 3, /* how an attempt ended */
    SPOOL_GAP = 4   /* what the log's budget took; a reader gives a NOTE about it */
};

struct spool_exit {
    int code;   /* exit code, or -1 */
    int signal; /* or 0 */
    bool timed_out;
    char step[32];  /* set-up step that failed, or "" */
    char text[256]; /* why it did */
    char left[256]; /* processes that the sweep ended */
};

struct spool_entry {
    enum spool_type type;
    uint32_t attempt;
    int64_t wall_ms;  /* arrival */
    uint64_t offset;  /* of this record in the stream */
    uint64_t next;    /* of the one after it */
    uint64_t raw_end; /* how much of the raw file is in records up to this one */
    const char *text; /* OUTPUT, NOTE: sound UTF-8, no NUL; valid until the next call */
    size_t text_len;
    struct spool_exit exit; /* EXIT */
    struct spool_gap {
        uint64_t next;         /* where the stream goes on */
        uint64_t lines, bytes; /* of text */
        uint64_t budget;       /* that was in force */
    } gap;                     /* GAP, and the NOTE about it; else 0 */
};

/* Writing. Opens for appending, cuts a torn tail (what follows the last sound record);
 * *last_raw_end is what the last record says, 0 in a new stream. Where `acked` is past
 * the end (a power loss took what the server has), the stream goes on from there. */
struct spool_writer;
struct spool_writer *spool_writer_open(const char *dir, uint64_t *last_raw_end,
                                       struct reeve_error *err);
/* 0, or -1 (full disk): nothing was added then, and the caller may try again. Text is 1
 * to SPOOL_TEXT_MAX bytes (else EINVAL); unsound UTF-8 and NULs become U+FFFD, a
 * missing newline at the end is added, and what does not fit then is cut. */
int spool_writer_add(struct spool_writer *w, enum spool_type type, uint32_t attempt,
                     int64_t wall_ms, uint64_t raw_end, const char *text, size_t n,
                     struct reeve_error *err);
/* Adds the exit record, and syncs everything up to it; as above, nothing was added when
 * it fails. Control bytes and unsound UTF-8 in its texts become '?'. */
int spool_writer_add_exit(struct spool_writer *w, uint32_t attempt, int64_t wall_ms,
                          uint64_t raw_end, const struct spool_exit *exit,
                          struct reeve_error *err);
/* What happens where the budget is reached. */
enum spool_full {
    SPOOL_FULL_JUDGE, /* as the next one while the server takes lines (`acked` has moved
                         within SPOOL_PATIENCE_MS, or that is not over since the limit
                         was set), else as the last one */
    SPOOL_FULL_WAIT,  /* output is refused with EDQUOT, and the caller tries again */
    SPOOL_FULL_DROP   /* lines are given up */
};
/* From now on the stream takes no more than so many bytes of disk, of what the server
 * has not acknowledged; 0: no bound. Where lines are given up the middle goes: of what
 * is not acknowledged the first quarter stays, which says how it began, and the latest;
 * of the rest the oldest segments are given up, and a gap record in their place says
 * how many lines they had. What is not OUTPUT is always taken. The least is
 * SPOOL_BUDGET_MIN. */
void spool_writer_limit(struct spool_writer *w, uint64_t budget, enum spool_full full);
/* Makes room for the limit now, as far as may be given up. */
void spool_writer_shrink(struct spool_writer *w);
/* True if there may be gaps in what the server has not acknowledged. */
bool spool_writer_has_gaps(const struct spool_writer *w);
uint64_t spool_writer_end(const struct spool_writer *w);
/* The attempt of the last record, 0 in a new stream. */
uint32_t spool_writer_attempt(const struct spool_writer *w);
void spool_writer_close(struct spool_writer *w);

/* Reading from an offset, also while the writer writes. 1: an entry; 0: none there yet;
 * -1 with err. An unsound stretch is skipped to the next sound record and reported
 * once, as a NOTE entry that says how many bytes were lost; at the end of the stream it
 * may be a record that is still being written, and is waited for. An offset whose
 * segments were acknowledged and removed means the first that is left. */
struct spool_reader;
struct spool_reader *spool_reader_open(const char *dir, uint64_t offset,
                                       struct reeve_error *err);
int spool_reader_next(struct spool_reader *r, struct spool_entry *out,
                      struct reeve_error *err);
void spool_reader_close(struct spool_reader *r);

/* Bytes of disk of what the server has not acknowledged. 0 where there is no spool. */
uint64_t spool_held(const char *dir);
/* Where the stream ends by the size of its last segment: a record that is being written
 * counts with what is there of it. 0 without segments. */
uint64_t spool_end(const char *dir);
/* The file `acked`: 0 if there is none. */
uint64_t spool_acked(const char *dir);
/* Records that everything before offset is at the server and removes the segments that
 * end at or before it (the last one is kept until the run goes). */
int spool_ack(const char *dir, uint64_t offset, struct reeve_error *err);
/* The same with the time stamp of the last event there, which spool_acked_ms() gives
 * back (0: none), so that those of a later master stay above it; and segments that end
 * behind `keep` stay. */
int spool_ack_ms(const char *dir, uint64_t offset, uint64_t keep, int64_t last_ms,
                 struct reeve_error *err);
int64_t spool_acked_ms(const char *dir);
/* Makes the files that spool_ack() writes, so that a disk that is full later is in
 * nobody's way: a line that was sent and not recorded would be sent twice. 0 or -1. */
int spool_ack_reserve(const char *dir, struct reeve_error *err);
/* The last entry that is wanted, without its text, of the last few segments: what is
 * looked for stands near the end, and a loop that looks must not read a whole spool.
 * 1 found, 0 none, -1 error. A GAP is as it is on disk. */
typedef bool (*spool_wanted_f)(const struct spool_entry *e, const void *arg);
int spool_find_last(const char *dir, spool_wanted_f wanted, const void *arg,
                    struct spool_entry *out, struct reeve_error *err);
/* The last exit record, if it is one of those. */
int spool_find_exit(const char *dir, struct spool_entry *out, struct reeve_error *err);

#endif
