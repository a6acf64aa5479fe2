/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/queue-store.h"
#include "base/clock.h"
#include "base/json.h"
#include "server/queue-metrics.h"
#include "server/schema.h"
#include "server/store.h"

#include <stdio.h>
#include <string.h>

/* Room for 2^39 pushes to one queue, and for 24 moves into the same gap before the
 * queue is numbered anew. */
#define STEP (INT64_C(1) << 24)
#define NEAR 10000

/* added is in milliseconds; added_s sums up seconds, so that the sum cannot overflow.
 */
const char queues_schema[] =
    "CREATE TABLE queues (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " doc TEXT NOT NULL, length INTEGER NOT NULL DEFAULT 0,"
    " added_s INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
    "CREATE TABLE queue_entries (queue TEXT NOT NULL, place INTEGER NOT NULL,"
    " task TEXT NOT NULL, added INTEGER NOT NULL, PRIMARY KEY (queue, place))"
    " WITHOUT ROWID;"
    "CREATE UNIQUE INDEX queue_entries_task ON queue_entries (task, queue);"
    "CREATE TABLE queue_metrics (at_s INTEGER NOT NULL, queue TEXT NOT NULL,"
    " length INTEGER NOT NULL, wait_s REAL NOT NULL, PRIMARY KEY (at_s, queue))"
    " WITHOUT ROWID;";

bool queue_state(sqlite3 *db, const char *queue, int64_t now_ms,
                 struct queue_state *out)
{
    sqlite3_stmt *find =
        store_query(db, "SELECT length, added_s FROM queues WHERE id = ?", "t", queue);
    bool found = store_row(find);
    if (found) {
        out->length = sqlite3_column_int64(find, 0);
        out->average_wait_s = 0;
        if (out->length > 0)
            out->average_wait_s =
                (double)now_ms / 1000 -
                (double)sqlite3_column_int64(find, 1) / (double)out->length;
        if (out->average_wait_s < 0)
            out->average_wait_s = 0;
    }
    sqlite3_reset(find);
    return found;
}

/* Every change of a queue's entries ends here. */
static void note_change(sqlite3 *db, const char *queue, int64_t more, int64_t added_ms,
                        int64_t now_ms)
{
    char iso[CLOCK_ISO_SIZE];
    store_change(db,
                 "UPDATE queues SET length = length + ?, added_s = added_s + ?,"
                 " doc = json_set(doc, '$.last_update', ?) WHERE id = ?",
                 "iitt", more, more * (added_ms / 1000), clock_iso_clearml(now_ms, iso),
                 queue);
    queue_metrics_sample(db, queue, now_ms);
}

bool queue_append(sqlite3 *db, const char *queue, const char *task, int64_t now_ms)
{
    int64_t last = store_int(db, "SELECT max(place) FROM queue_entries WHERE queue = ?",
                             0, "t", queue);
    int n =
        store_change(db,
                     "INSERT OR IGNORE INTO queue_entries (queue, place, task, added)"
                     " VALUES (?, ?, ?, ?)",
                     "titi", queue, last + STEP, task, now_ms);
    if (n == 1)
        note_change(db, queue, 1, now_ms, now_ms);
    return n == 1;
}

bool queue_head(sqlite3 *db, const char *queue, struct queue_entry *out)
{
    sqlite3_stmt *find =
        store_query(db,
                    "SELECT task, added FROM queue_entries WHERE queue = ?"
                    " ORDER BY place LIMIT 1",
                    "t", queue);
    bool found = store_row(find);
    if (found) {
        snprintf(out->task, sizeof out->task, "%s",
                 (const char *)sqlite3_column_text(find, 0));
        out->added_ms = sqlite3_column_int64(find, 1);
    }
    sqlite3_reset(find);
    return found;
}

static bool find_place(sqlite3 *db, const char *queue, const char *task, int64_t *place,
                       int64_t *added_ms)
{
    sqlite3_stmt *find = store_query(
        db, "SELECT place, added FROM queue_entries WHERE task = ? AND queue = ?", "tt",
        task, queue);
    bool found = store_row(find);
    if (found) {
        *place = sqlite3_column_int64(find, 0);
        *added_ms = sqlite3_column_int64(find, 1);
    }
    sqlite3_reset(find);
    return found;
}

bool queue_find(sqlite3 *db, const char *queue, const char *task,
                struct queue_entry *out)
{
    int64_t place;
    snprintf(out->task, sizeof out->task, "%s", task);
    return find_place(db, queue, task, &place, &out->added_ms);
}

bool queue_take(sqlite3 *db, const char *queue, const char *task, int64_t now_ms)
{
    int64_t place, added_ms;
    if (!find_place(db, queue, task, &place, &added_ms))
        return false;
    store_change(db, "DELETE FROM queue_entries WHERE queue = ? AND place = ?", "ti",
                 queue, place);
    note_change(db, queue, -1, added_ms, now_ms);
    return true;
}

cJSON *queue_take_all(sqlite3 *db, const char *queue, int64_t now_ms)
{
    cJSON *tasks = cJSON_CreateArray();
    sqlite3_stmt *find =
        store_query(db, "SELECT task FROM queue_entries WHERE queue = ? ORDER BY place",
                    "t", queue);
    while (store_row(find))
        cJSON_AddItemToArray(
            tasks, cJSON_CreateString((const char *)sqlite3_column_text(find, 0)));
    sqlite3_reset(find);
    store_change(db, "DELETE FROM queue_entries WHERE queue = ?", "t", queue);
    store_change(db, "UPDATE queues SET length = 0, added_s = 0 WHERE id = ?", "t",
                 queue);
    note_change(db, queue, 0, 0, now_ms);
    return tasks;
}

/* ---- moving ---- */

/* Numbers all entries anew, twice STEP apart in the lower half of the numbers first:
 * the primary key must not be violated on the way. */
static void renumber(sqlite3 *db, const char *queue)
{
    store_change(db,
                 "CREATE TEMP TABLE IF NOT EXISTS renumbered (n INTEGER PRIMARY KEY,"
                 " task TEXT NOT NULL, added INTEGER NOT NULL)",
                 "");
    store_change(db, "DELETE FROM temp.renumbered", "");
    store_change(db,
                 "INSERT INTO temp.renumbered (task, added) SELECT task, added"
                 " FROM queue_entries WHERE queue = ? ORDER BY place",
                 "t", queue);
    store_change(db, "DELETE FROM queue_entries WHERE queue = ?", "t", queue);
    store_change(db,
                 "INSERT INTO queue_entries (queue, place, task, added)"
                 " SELECT ?, n * ?, task, added FROM temp.renumbered ORDER BY n",
                 "ti", queue, STEP);
    store_change(db, "DELETE FROM temp.renumbered", "");
}

/* The place in front of all, or behind all. */
static int64_t end_place(sqlite3 *db, const char *queue, bool front)
{
    return front ? store_int(db, "SELECT min(place) FROM queue_entries WHERE queue = ?",
                             0, "t", queue) -
                       STEP
                 : store_int(db, "SELECT max(place) FROM queue_entries WHERE queue = ?",
                             0, "t", queue) +
                       STEP;
}

/* The place between the entries that are steps away and one further, on that side; sets
 * *full if there is none left. */
static int64_t target_place(sqlite3 *db, const char *queue, int64_t place,
                            int64_t steps, bool *full)
{
    int64_t near = 0, far = 0;
    int found = 0;
    sqlite3_stmt *find =
        steps < 0 ? store_query(db,
                                "SELECT place FROM queue_entries WHERE queue = ? AND"
                                " place < ? ORDER BY place DESC LIMIT 2 OFFSET ?",
                                "tii", queue, place, -(steps + 1))
                  : store_query(db,
                                "SELECT place FROM queue_entries WHERE queue = ? AND"
                                " place > ? ORDER BY place LIMIT 2 OFFSET ?",
                                "tii", queue, place, steps - 1);
    while (found < 2 && store_row(find)) {
        if (found++ == 0)
            near = sqlite3_column_int64(find, 0);
        else
            far = sqlite3_column_int64(find, 0);
    }
    sqlite3_reset(find);
    *full = found == 2 && (near - far == 1 || far - near == 1);
    return found == 2 ? near + (far - near) / 2 : end_place(db, queue, steps < 0);
}

/* Counted from the nearer end, if that is near. */
static int64_t position_of(sqlite3 *db, const char *queue, int64_t place,
                           int64_t length)
{
    int64_t behind = store_int(db,
                               "SELECT count(*) FROM (SELECT 1 FROM queue_entries"
                               " WHERE queue = ? AND place > ? LIMIT ?)",
                               0, "tii", queue, place, (int64_t)NEAR);
    if (behind < NEAR)
        return length - 1 - behind;
    return store_int(db,
                     "SELECT count(*) FROM queue_entries WHERE queue = ? AND place < ?",
                     0, "ti", queue, place);
}

static bool at_end(sqlite3 *db, const char *queue, int64_t place, int64_t steps)
{
    return steps < 0
               ? !store_int(db,
                            "SELECT 1 FROM queue_entries WHERE queue = ? AND place < ?"
                            " LIMIT 1",
                            0, "ti", queue, place)
               : !store_int(db,
                            "SELECT 1 FROM queue_entries WHERE queue = ? AND place > ?"
                            " LIMIT 1",
                            0, "ti", queue, place);
}

/* Where to; what lies between is counted only if the way ends in the middle. */
static int64_t find_target(sqlite3 *db, const char *queue, const char *task,
                           int64_t steps, int64_t length, int64_t *place)
{
    bool full;
    int64_t added_ms;
    if (steps <= -length || steps >= length)
        return end_place(db, queue, steps < 0);
    int64_t to = target_place(db, queue, *place, steps, &full);
    if (!full)
        return to;
    renumber(db, queue);
    find_place(db, queue, task, place, &added_ms);
    return target_place(db, queue, *place, steps, &full);
}

int64_t queue_move(sqlite3 *db, const char *queue, const char *task, int64_t steps,
                   int64_t now_ms)
{
    int64_t place, added_ms;
    if (!find_place(db, queue, task, &place, &added_ms))
        return -1;
    int64_t length =
        store_int(db, "SELECT length FROM queues WHERE id = ?", 1, "t", queue);
    if (steps != 0 && !at_end(db, queue, place, steps)) {
        int64_t to = find_target(db, queue, task, steps, length, &place);
        store_change(db,
                     "UPDATE queue_entries SET place = ? WHERE queue = ? AND place = ?",
                     "iti", to, queue, place);
        note_change(db, queue, 0, 0, now_ms);
        place = to;
    }
    if (at_end(db, queue, place, -1))
        return 0;
    if (at_end(db, queue, place, 1))
        return length - 1;
    return position_of(db, queue, place, length);
}

cJSON *queue_entries(sqlite3 *db, const char *queue, int64_t max)
{
    char iso[CLOCK_ISO_SIZE];
    cJSON *list = cJSON_CreateArray();
    sqlite3_stmt *find =
        max < 0 ? store_query(db,
                              "SELECT task, added FROM queue_entries WHERE queue = ?"
                              " ORDER BY place DESC LIMIT ?",
                              "ti", queue, -max)
                : store_query(db,
                              "SELECT task, added FROM queue_entries WHERE queue = ?"
                              " ORDER BY place LIMIT ?",
                              "ti", queue, max ? max : INT64_MAX);
    while (store_row(find)) {
        cJSON *entry = cJSON_CreateObject();
        json_set_str(entry, "task", (const char *)sqlite3_column_text(find, 0));
        json_set_str(entry, "added",
                     clock_iso_clearml(sqlite3_column_int64(find, 1), iso));
        if (max < 0)
            cJSON_InsertItemInArray(list, 0, entry);
        else
            cJSON_AddItemToArray(list, entry);
    }
    sqlite3_reset(find);
    return list;
}
