/* output.h - a payload's output on its way from the FIFO to the spool
 *
 * FIFO -> raw file by splice(2): the raw file's length is what was taken, so that death
 * at any moment neither loses nor doubles a byte. Raw file -> lines -> spool records,
 * each with its raw offset. The raw file never shrinks; what is in records is given
 * back as a hole. When a disk is full nothing more is taken, and the payload waits in
 * its write(2). */
#ifndef REEVE_OUTPUT_H
#define REEVE_OUTPUT_H

#include "base/buf.h"
#include "base/error.h"
#include "run/spool.h"
#include "subagent/lines.h"

#include <stdbool.h>
#include <stdint.h>

#define OUTPUT_BUDGET_MS 100 /* after a log that has reached its budget */

/* Whether the server takes lines, as far as the master says. */
enum output_server { SERVER_UNKNOWN, SERVER_TAKES, SERVER_AWAY };

struct output {
    char *fifo_path;
    int fifo; /* reading end, held for the sub-agent's life */
    bool eof; /* nobody has the writing end */
    int raw;
    struct spool_writer *spool;
    struct masker *masker; /* what no record may show; NULL: nothing */
    uint32_t attempt;
    uint64_t taken;    /* length of the raw file */
    uint64_t done;     /* made into lines up to here */
    uint64_t recorded; /* raw_end of the last record */
    uint64_t freed;    /* given back up to here */
    int64_t line_ms,
        full_ms;      /* the waits for pause_at, and for retry_at on a full disk */
    int64_t pause_at; /* boot ms when a partial line is shown, or 0 */
    int64_t retry_at; /* boot ms when a full disk is tried again, or 0 */
    struct buf notes; /* that wait for room, each with its NUL */
    bool told_full, told_budget;
    bool over_budget; /* that is what is waited for */
    uint64_t budget;  /* spool_writer_limit() */
    bool budget_waits;
    enum output_server server;
    bool lifted; /* the budget does not bound what is left of the attempt */
};

/* Makes or opens the FIFO, the raw file and the spool. */
int output_open(struct output *o, const char *state_dir, const char *run_dir,
                struct reeve_error *err);
/* From now on hides what this file names (masker_load()), in place of what it hid; a
 * file that cannot be read changes nothing. */
int output_mask(struct output *o, int fd, struct reeve_error *err);
/* How much disk the spool may take: spool_writer_limit(). Where it is reached lines are
 * given up if the server is away, and not if waits is set; else the payload waits. */
void output_limit(struct output *o, uint64_t budget, bool waits,
                  enum output_server server);
/* What is left is taken whatever the budget says, as nothing more will come; until
 * output_open_for_payload(). */
void output_lift_limit(struct output *o);
/* The FIFO for reading and writing, for a payload: the death of its reader is no
 * SIGPIPE. CLOEXEC; -1 with err. */
int output_open_for_payload(struct output *o, struct reeve_error *err);
/* Takes what is there, makes records of it. More may be left: the FIFO is still
 * readable then. */
void output_pump(struct output *o, int64_t now);
/* Takes what is in the FIFO at the moment of the call, however much that is. */
void output_drain(struct output *o, int64_t now);
/* Shows a partial line whose time has come, tries a full disk again. */
void output_tick(struct output *o, int64_t now);
/* Everything taken becomes records, finished line or not, and so do notes. False: the
 * disk is full, try again at retry_at. */
bool output_finish(struct output *o, int64_t now);
/* A line of reeve's own, behind what is there now; at once, or when the disk has room.
 * Its budget does not bound it. Secrets are hidden. */
void output_note(struct output *o, const char *text, int64_t now);
/* False as above: not written. Secrets are hidden in place. */
bool output_exit(struct output *o, struct spool_exit *e, int64_t now);
/* True while the FIFO should be waited for. */
bool output_wants_fifo(const struct output *o);
/* Gives back memory and raw bytes that are not needed while nothing happens. */
void output_rest(struct output *o);

#endif
