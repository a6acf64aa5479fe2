/* store.h - reeve-server's SQLite database: one writer with group commit, many readers
 */
#ifndef REEVE_SERVER_STORE_H
#define REEVE_SERVER_STORE_H

#include "base/error.h"

#include <sqlite3.h>

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

/* A statement from the connection's cache of prepared ones, reset and without bindings;
 * give it back with sqlite3_reset(). sql must be a literal: its address is the key.
 * Aborts on SQL errors (they are ours). */
sqlite3_stmt *store_prepare(sqlite3 *db, const char *sql);

/* The schema, one statement list per version; each API service owns its tables in its
 * own file and adds them here. */
extern const char *const store_schema[];

#endif
