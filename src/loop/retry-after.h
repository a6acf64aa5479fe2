/* retry-after.h - when an answer says to come again */
#ifndef REEVE_RETRY_AFTER_H
#define REEVE_RETRY_AFTER_H

#include <stdint.h>

#define RETRY_AFTER_SIZE 64

/* The value of Retry-After, as milliseconds from now; -1 if it is neither a number of
 * seconds nor a date. A date is measured from that of the answer itself (its Date
 * header, "": none): the clocks of two hosts may be years apart. */
int64_t retry_after_ms(const char *value, const char *date);

#endif
