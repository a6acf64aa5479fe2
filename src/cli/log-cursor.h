/* log-cursor.h - how far a task's log was read, where the server orders by milliseconds
 * alone
 *
 * The server answers with what is later than a time stamp. Lines of the last
 * millisecond may still be coming, so it is asked again from one before, and what was
 * printed of that millisecond is passed over. */
#ifndef REEVE_LOG_CURSOR_H
#define REEVE_LOG_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

struct log_cursor {
    int64_t last;     /* time stamp of the last line */
    uint64_t printed; /* lines of that time stamp printed */
    uint64_t seen;    /* met again in this answer */
};

/* since: the first time stamp to print; 0: all. */
void log_cursor_init(struct log_cursor *c, int64_t since);
/* For the next question: lines later than this; 0: from the start. */
int64_t log_cursor_from(const struct log_cursor *c);
/* Before the lines of an answer. */
void log_cursor_begin(struct log_cursor *c);
/* True if the line with this time stamp is to be printed; lines come in order. */
bool log_cursor_take(struct log_cursor *c, int64_t timestamp);

#endif
