/* queue-store.h - the entries of queues: ordered, a million in one queue
 *
 * An entry's place is a number; the order of the numbers is the order of the queue. Who
 * is pushed gets a number far behind the last, who moves gets one between two others. A
 * queue's length, and the sum of the times at which its entries came, are kept beside
 * it, so that nothing but a position in the middle has to be counted. */
#ifndef REEVE_SERVER_QUEUE_STORE_H
#define REEVE_SERVER_QUEUE_STORE_H

#include <cjson/cJSON.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct queue_entry {
    char task[65];
    int64_t added_ms;
};

struct queue_state {
    int64_t length;
    double average_wait_s;
};

/* False if there is no such queue. */
bool queue_state(sqlite3 *db, const char *queue, int64_t now_ms,
                 struct queue_state *out);
/* Appends; false if it is in there. */
bool queue_append(sqlite3 *db, const char *queue, const char *task, int64_t now_ms);
bool queue_head(sqlite3 *db, const char *queue, struct queue_entry *out);
/* One that stands anywhere in the queue; false if it is not in there. */
bool queue_find(sqlite3 *db, const char *queue, const char *task,
                struct queue_entry *out);
/* False if it is not in there. */
bool queue_take(sqlite3 *db, const char *queue, const char *task, int64_t now_ms);
/* Empties the queue; the ids of the tasks in their order, the caller's. */
cJSON *queue_take_all(sqlite3 *db, const char *queue, int64_t now_ms);
/* Moves by steps (negative: to the front; INT64_MIN and INT64_MAX: all the way). The
 * new position, counted from 0, or -1 if the task is not in there. */
int64_t queue_move(sqlite3 *db, const char *queue, const char *task, int64_t steps,
                   int64_t now_ms);
/* Up to max entries from the front (max < 0: from the back) as [{"task", "added"}]; 0:
 * all. */
cJSON *queue_entries(sqlite3 *db, const char *queue, int64_t max);

#endif
