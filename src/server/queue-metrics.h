/* queue-metrics.h - how long queues are and how long tasks wait in them, over time */
#ifndef REEVE_SERVER_QUEUE_METRICS_H
#define REEVE_SERVER_QUEUE_METRICS_H

#include "server/call.h"

#include <sqlite3.h>
#include <stdint.h>

/* Keeps what the queue is like now; one sample a second, for thirty days. */
void queue_metrics_sample(sqlite3 *db, const char *queue, int64_t now_ms);

/* The handler of queues.get_queue_metrics. */
int queue_metrics_get(struct call *call);

#endif
