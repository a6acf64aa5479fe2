/* log-local.h - a run's log as this host has it, while the server is away
 *
 * What was shown from here comes from the server later, in events that are whole
 * records in a row. log_local_shown() knows them again by length and checksum, so that
 * no line is shown twice, whenever the change to and fro was. */
#ifndef REEVE_LOG_LOCAL_H
#define REEVE_LOG_LOCAL_H

#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spool_reader;

struct log_local {
    char *dir;                   /* of the run, or NULL: not known */
    struct spool_reader *reader; /* NULL: not open */
    int64_t acked_ms;            /* stamp of the last event that the server had then */
    struct log_piece {
        uint32_t size, crc;
    } * pieces; /* records that were shown */
    size_t first, count;
    uint64_t shown; /* what stands before it in the spool was */
};

/* dir is taken. */
void log_local_init(struct log_local *l, char *dir);
void log_local_free(struct log_local *l);
/* Opens the spool: at what the server has not, or all that is here. False if there is
 * none (any more), or it may not be read. */
bool log_local_open(struct log_local *l, bool all);
void log_local_close(struct log_local *l);
/* The next record as an event of the server's (msg, timestamp); the caller's. NULL:
 * none now. */
cJSON *log_local_next(struct log_local *l);
/* True if this event was shown from here; it and what stands before it is forgotten. */
bool log_local_shown(struct log_local *l, int64_t timestamp, const char *text);

#endif
