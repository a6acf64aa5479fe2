/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/sql.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

static void sql_die(sqlite3 *db, const char *what)
{
    log_error("%s: %s", what, sqlite3_errmsg(db));
    abort();
}

sqlite3_stmt *sql_prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    return rc == SQLITE_OK ? stmt : sql_prepare(db, sql_unprepared(db, rc, sql));
}

bool sql_step(sqlite3_stmt *stmt)
{
    int rc = sqlite3_step(stmt);
    int kind = rc & 0xff;
    if (kind == SQLITE_ERROR || kind == SQLITE_CONSTRAINT || kind == SQLITE_MISUSE)
        sql_die(sqlite3_db_handle(stmt), sqlite3_sql(stmt));
    return rc == SQLITE_ROW;
}

void sql_bind(sqlite3_stmt *stmt, int index, const char *text)
{
    if (text)
        sqlite3_bind_text(stmt, index, text, -1, SQLITE_STATIC);
    else
        sqlite3_bind_null(stmt, index);
}

void sql_copy(sqlite3_stmt *stmt, int col, char *out, size_t size)
{
    const char *text = (const char *)sqlite3_column_text(stmt, col);
    size_t n = text ? strlen(text) : 0;
    if (n >= size) {
        n = size - 1;
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--;
    }
    if (n)
        memcpy(out, text, n);
    out[n] = '\0';
}
