/* sql.h - short forms for statements of our own making
 *
 * A wrong statement is ours and aborts. A failing disk is a step without a row: the
 * store sees it and fails the whole job, whatever the handler made of it. */
#ifndef REEVE_SERVER_SQL_H
#define REEVE_SERVER_SQL_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline void auto_stmt_cleanup(sqlite3_stmt **stmt)
{
    sqlite3_finalize(*stmt);
}
/* A local statement, made by sql_prepare, that is finalized when it leaves its scope.
 */
#define auto_stmt __attribute__((cleanup(auto_stmt_cleanup))) sqlite3_stmt

static inline void auto_reset_cleanup(sqlite3_stmt **stmt)
{
    if (*stmt) {
        sqlite3_reset(*stmt);
        sqlite3_clear_bindings(*stmt);
    }
}
/* A local statement of store_prepare's, given back when it leaves its scope. */
#define auto_reset __attribute__((cleanup(auto_reset_cleanup))) sqlite3_stmt

/* For SQL put together at run time. */
sqlite3_stmt *sql_prepare(sqlite3 *db, const char *sql);
/* The text of a statement without a row, for one that a failing disk kept from being
 * prepared: that is seen by store_failed(). Aborts if it was the SQL that is wrong. */
const char *sql_unprepared(sqlite3 *db, int rc, const char *sql);
/* True if there is a row. */
bool sql_step(sqlite3_stmt *stmt);
/* NULL binds NULL. The text must live until the next reset. */
void sql_bind(sqlite3_stmt *stmt, int index, const char *text);
/* Copies a text column; "" for NULL. Cuts at whole characters. */
void sql_copy(sqlite3_stmt *stmt, int col, char *out, size_t size);

#endif
