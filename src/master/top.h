/* top.h - the runs that take most, for `reeve top` */
#ifndef REEVE_TOP_H
#define REEVE_TOP_H

#include <cjson/cJSON.h>

struct master;

/* The first `count` runs by "cpu" or "memory" (most first) or "age" (youngest first),
 * as `reeve ps --json` has them; new. NULL if sort is none of these. Only what is shown
 * is measured anew: with thousands of runs the order of the others is that of their
 * last report. */
cJSON *top_rows(struct master *m, int count, const char *sort);

#endif
