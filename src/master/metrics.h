/* metrics.h - figures of this master in Prometheus' text format, over HTTP
 *
 * agent.reeve.metrics.listen names the address ("9464", "127.0.0.1:9464", "[::1]:0");
 * without it nothing listens and only the counting is done. Figures of groups were
 * sampled before; a scrape itself reads /proc/pressure, and the list of a spool that
 * has gaps and has changed. Nothing here has a task's parameters or a secret in it;
 * agent.reeve.metrics.runs adds figures of each run, by its id. */
#ifndef REEVE_METRICS_H
#define REEVE_METRICS_H

#include "base/buf.h"
#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdint.h>

struct config;
struct master;
struct metrics;
struct verdict;

/* 0, or -1 with err if the address cannot be listened on. */
int metrics_check(const struct config *config, struct reeve_error *err);
struct metrics *metrics_create(struct master *m);
/* NULL is fine. */
void metrics_destroy(struct metrics *metrics);
/* An attempt has its verdict; again: another one follows. */
void metrics_attempt_ended(struct metrics *metrics, const struct verdict *v);
void metrics_restart(struct metrics *metrics);
/* Lines of a gap that a log budget made are on their way to the server as a note. */
void metrics_log_dropped(struct metrics *metrics, uint64_t lines);
/* The server does not take an event. */
void metrics_log_refused(struct metrics *metrics);
/* How many attempts ended for each reason since the start: {"exit:0": 3}. The
 * caller's. */
cJSON *metrics_ended(const struct metrics *metrics);
/* The whole page. */
void metrics_format(const struct metrics *metrics, struct buf *out);
/* "http://127.0.0.1:9464/metrics", or NULL where nothing listens. Borrowed. */
const char *metrics_url(const struct metrics *metrics);

#endif
