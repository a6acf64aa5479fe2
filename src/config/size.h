/* size.h - sizes and durations as people write them */
#ifndef REEVE_SIZE_H
#define REEVE_SIZE_H

#include "base/error.h"

#include <stdint.h>

/* Docker's way: a number, a fraction allowed, and b, k, m, g, t or p, each also as kb
 * and kib, in either case; all are powers of 1,024. "512m", "1.5 GiB", "1048576". Not
 * negative. 0, or -1 with err saying what is allowed and *out as it was. */
int size_parse(const char *text, int64_t *out, struct reeve_error *err);

/* "90s", "500ms", "2h30m", "1d", "1w", fractions allowed; a plain number is seconds. In
 * milliseconds. 0, or -1 with err. */
int duration_parse(const char *text, int64_t *ms, struct reeve_error *err);

#define SIZE_TEXT_SIZE 24
/* "512 MiB", "1.5 GiB", "100 B" into out; returns out. */
const char *size_format(int64_t bytes, char out[SIZE_TEXT_SIZE]);
/* "2h30m", "90s", "1d", "250ms": reads back to the same. Returns out. */
#define DURATION_TEXT_SIZE 48
const char *duration_format(int64_t ms, char out[DURATION_TEXT_SIZE]);

#endif
