/* store.h - reeve-server's SQLite database: one writer with group commit, many readers
 */
#ifndef REEVE_SERVER_STORE_H
#define REEVE_SERVER_STORE_H

#include "base/json.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct store;

/* Opens or makes DIR/reeve.db (WAL, synchronous=FULL), applies the schema's migrations,
 * starts the writer thread. A database it cannot read is set aside under another name,
 * told in the log, and a new one is made. */
struct store *store_open(const char *dir, struct reeve_error *err);
void store_close(struct store *s);

/* A read-only connection for the calling thread, opened at first use. */
sqlite3 *store_reader(struct store *s);

/* Queues work for the writer thread and returns at once. run: inside the group's
 * transaction, in a savepoint that is rolled back if it returns -1. done: on the writer
 * thread after the commit, with 0, or -1 if the commit failed (nothing of the group is
 * there then). */
struct store_job {
    int (*run)(sqlite3 *db, void *arg);
    void (*done)(void *arg, int result);
    void *arg;
    struct store_job *next;
};
void store_submit(struct store *s, struct store_job *job);
/* Runs on the writer thread and waits for the commit; never from that thread itself.
 * What run returned, or -1 if the commit failed. */
int store_run(struct store *s, int (*run)(sqlite3 *db, void *arg), void *arg);

/* A statement from the connection's cache of prepared ones, reset and without bindings;
 * give it back with sqlite3_reset(). sql must be a literal: its address is the key.
 * Aborts on SQL errors (they are ours); on a failing disk it has no row. */
sqlite3_stmt *store_prepare(sqlite3 *db, const char *sql);

/* The same with parameters bound in order, one letter of types each: t text (copied;
 * NULL: null), b blob (pointer, int length), i int64_t, d double, n null. */
sqlite3_stmt *store_query(sqlite3 *db, const char *sql, const char *types, ...);
/* One row further: true if there is one. Any failure is false; it fails the whole job
 * when that ends, whoever ignored it. */
bool store_row(sqlite3_stmt *stmt);
/* Runs to the end and resets. 0, or -1 (a constraint; full disk). */
int store_exec(sqlite3_stmt *stmt);
/* store_query and store_exec in one: how many rows were changed, or -1. */
int store_change(sqlite3 *db, const char *sql, const char *types, ...);
/* The first column of the first row as an integer, or fallback. */
int64_t store_int(sqlite3 *db, const char *sql, int64_t fallback, const char *types,
                  ...);
/* The first column of the first row as JSON, the caller's; NULL without a row, and for
 * what is no JSON. Resets the statement. */
cJSON *store_json(sqlite3_stmt *stmt);

/* Outside of jobs: whether a statement of this thread met a failing disk since the last
 * store_watch(). What was read then means nothing, least of all that something is not
 * there. */
void store_watch(void);
bool store_failed(void);

/* Resets what is still running on a connection: a statement that somebody forgot would
 * keep its snapshot, and all that follows would read the past. */
void store_rest(sqlite3 *db);

/* For tests and tools: an in-memory database with the whole schema, and how to close
 * any connection that store_prepare has seen. */
sqlite3 *store_open_memory(void);
void store_connection_close(sqlite3 *db);

/* The schema, one statement list per version, NULL at the end; each API service owns
 * its tables in its own file and adds them in schema.c. */
extern const char *const store_schema[];
/* schema.c: SQL functions that the services need, on every new connection. */
void store_add_functions(sqlite3 *db);

#endif
