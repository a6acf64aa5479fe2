/* spool-internal.h - the spool's files and record bodies, for its writer and reader
 *
 * A record's body, little endian: u32 attempt, u64 offset of the record in the stream,
 * i64 wall_ms, u64 raw_end, then the text; for an exit record instead of the text: i32
 * code, i32 signal, u8 timed_out, and step, text, left as u16 length and bytes; for a
 * gap the u64 of struct spool_gap. A gap record is alone in its segment, which is
 * followed by the one that begins at gap.next.
 *
 * The offset in the body ties a record to its place: a sound record that is somewhere
 * else is no record. A payload cannot print one either, since the length in a header
 * has a zero byte, and text in the spool has none. */
#ifndef REEVE_SPOOL_INTERNAL_H
#define REEVE_SPOOL_INTERNAL_H

#include "base/record.h"
#include "run/spool.h"

#define SPOOL_VERSION 1
#define SPOOL_FIXED_SIZE 28
/* Nothing that this format writes is larger. */
#define SPOOL_RECORD_MAX (RECORD_HEADER_SIZE + SPOOL_FIXED_SIZE + SPOOL_TEXT_MAX)
#define SPOOL_NAME_SIZE 32

/* The first offsets of all segments in a folder, ascending; to be freed by the caller.
 * 0, or -1 with errno. */
int spool_list(int dirfd, uint64_t **starts, size_t *count);
/* "log.<start>" */
const char *spool_name(uint64_t start, char out[SPOOL_NAME_SIZE]);

/* The body of a gap record after the fixed part: four u64. */
#define SPOOL_GAP_SIZE 32
size_t spool_exit_encode(const struct spool_exit *e, unsigned char *out, size_t size);

/* What is at the place of the stream's byte `offset`; p holds n bytes from there.
 * RECORD_OK fills out, whose text points into p. */
enum record_result spool_parse(const void *p, size_t n, uint64_t offset,
                               struct spool_entry *out);
/* Distance to the next record that belongs where it is, or n. */
size_t spool_resync(const void *p, size_t n, uint64_t offset);

/* Calls each with every sound record of a segment, in order; its text is valid within
 * the call. 0, or -1 with errno. */
int spool_each(int dirfd, uint64_t start,
               void (*each)(const struct spool_entry *e, void *arg), void *arg);

/* spool-writer.c's own, shared with spool-budget.c. */
struct spool_writer {
    char *dir;
    int dirfd;
    int fd; /* the last segment, or -1: the next record makes one */
    uint64_t segment;
    uint64_t end;
    uint32_t attempt;
    uint64_t raw_end;
    bool name_synced;       /* the last segment's name would survive a power loss */
    uint64_t segment_bytes; /* of a full segment */
    uint64_t budget;        /* 0: none */
    enum spool_full full;
    bool gaps;          /* some were made, or found */
    uint64_t acked;     /* as it was when that was looked at */
    int64_t acked_boot; /* when it was seen to have moved */
};

/* There is to be a new segment. 0, or -1 with EDQUOT: not now. */
int spool_make_room(struct spool_writer *w);

#endif
