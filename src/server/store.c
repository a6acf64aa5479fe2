/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/store.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/sql.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct store {
    char *path;
    sqlite3 *db; /* the writer's */
    pthread_key_t reader;
    pthread_t writer;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct store_job *first, **last;
    bool stop;
};

/* ---- failures that a handler may have ignored ---- */

/* SQLite reports every failed statement to its one log callback, on the thread that ran
 * it. Whoever runs a handler looks here afterwards, so that a full disk, a damaged page
 * or a lack of descriptors fails the job even if the handler did not look at the result
 * of its step: it would take what could not be read for what is not there. */
static _Thread_local int thread_failure;

static void on_sqlite_log(void *arg, int code, const char *text)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_NOMEM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
        thread_failure = code;
        break;
    default:
        break;
    }
}

void store_watch(void)
{
    thread_failure = 0;
}

bool store_failed(void)
{
    return thread_failure != 0;
}

/* A statement without a row in its place: a disk that fails here is as any other. */
const char *sql_unprepared(sqlite3 *db, int rc, const char *sql)
{
    static const char nothing[] = "SELECT NULL WHERE 0";
    int kind = rc & 0xff;
    if (kind == SQLITE_ERROR || kind == SQLITE_MISUSE || sql == nothing) {
        log_error("cannot prepare: %s: %s", sqlite3_errmsg(db), sql);
        abort();
    }
    thread_failure = rc;
    return nothing;
}

/* ---- one connection ---- */

struct slot {
    const char *sql;
    sqlite3_stmt *stmt;
};

/* What belongs to a connection: its prepared statements, in an open hash table. It
 * hangs on the rollback hook's argument, the one place of a connection that keeps a
 * pointer and gives it back, so that it can never outlive its connection or be found by
 * another. */
struct connection {
    struct slot *slots;
    size_t cap, used;
};

static void rollback_noop(void *arg)
{
}

static struct connection *connection_of(sqlite3 *db)
{
    struct connection *c = sqlite3_rollback_hook(db, rollback_noop, NULL);
    if (!c) {
        c = xcalloc(1, sizeof *c);
        c->cap = 64;
        c->slots = xcalloc(c->cap, sizeof *c->slots);
    }
    sqlite3_rollback_hook(db, rollback_noop, c);
    return c;
}

static struct slot *slot_of(struct slot *slots, size_t cap, const char *sql)
{
    size_t i = (size_t)((uintptr_t)sql * UINT64_C(0x9e3779b97f4a7c15) >> 20);
    for (;; i++) {
        struct slot *slot = &slots[i & (cap - 1)];
        if (!slot->sql || slot->sql == sql)
            return slot;
    }
}

static void connection_grow(struct connection *c)
{
    size_t cap = c->cap * 2;
    struct slot *slots = xcalloc(cap, sizeof *slots);
    for (size_t i = 0; i < c->cap; i++)
        if (c->slots[i].sql)
            *slot_of(slots, cap, c->slots[i].sql) = c->slots[i];
    free(c->slots);
    c->slots = slots;
    c->cap = cap;
}

sqlite3_stmt *store_prepare(sqlite3 *db, const char *sql)
{
    struct connection *c = connection_of(db);
    struct slot *slot = slot_of(c->slots, c->cap, sql);
    if (slot->sql) {
        sqlite3_reset(slot->stmt);
        sqlite3_clear_bindings(slot->stmt);
        return slot->stmt;
    }
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
    if (rc != SQLITE_OK)
        return store_prepare(db, sql_unprepared(db, rc, sql));
    slot->sql = sql;
    slot->stmt = stmt;
    if (++c->used * 2 > c->cap)
        connection_grow(c);
    return stmt;
}

void store_rest(sqlite3 *db)
{
    for (sqlite3_stmt *s = sqlite3_next_stmt(db, NULL); s; s = sqlite3_next_stmt(db, s))
        if (sqlite3_stmt_busy(s))
            sqlite3_reset(s);
}

void store_connection_close(sqlite3 *db)
{
    if (!db)
        return;
    struct connection *c = sqlite3_rollback_hook(db, NULL, NULL);
    for (size_t i = 0; c && i < c->cap; i++)
        sqlite3_finalize(c->slots[i].stmt);
    if (c) {
        free(c->slots);
        free(c);
    }
    sqlite3_close_v2(db);
}

static void bind_all(sqlite3_stmt *stmt, const char *types, va_list ap)
{
    for (int i = 1; *types; types++, i++) {
        const void *p;
        switch (*types) {
        case 't':
            sqlite3_bind_text(stmt, i, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
            break;
        case 'b':
            p = va_arg(ap, const void *);
            sqlite3_bind_blob(stmt, i, p, va_arg(ap, int), SQLITE_TRANSIENT);
            break;
        case 'i':
            sqlite3_bind_int64(stmt, i, va_arg(ap, int64_t));
            break;
        case 'd':
            sqlite3_bind_double(stmt, i, va_arg(ap, double));
            break;
        default:
            sqlite3_bind_null(stmt, i);
        }
    }
}

sqlite3_stmt *store_query(sqlite3 *db, const char *sql, const char *types, ...)
{
    sqlite3_stmt *stmt = store_prepare(db, sql);
    va_list ap;
    va_start(ap, types);
    bind_all(stmt, types, ap);
    va_end(ap);
    return stmt;
}

bool store_row(sqlite3_stmt *stmt)
{
    return sqlite3_step(stmt) == SQLITE_ROW;
}

int store_exec(sqlite3_stmt *stmt)
{
    int rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
        continue;
    sqlite3_reset(stmt);
    return rc == SQLITE_DONE ? 0 : -1;
}

int store_change(sqlite3 *db, const char *sql, const char *types, ...)
{
    sqlite3_stmt *stmt = store_prepare(db, sql);
    va_list ap;
    va_start(ap, types);
    bind_all(stmt, types, ap);
    va_end(ap);
    return store_exec(stmt) == 0 ? sqlite3_changes(db) : -1;
}

int64_t store_int(sqlite3 *db, const char *sql, int64_t fallback, const char *types,
                  ...)
{
    sqlite3_stmt *stmt = store_prepare(db, sql);
    va_list ap;
    va_start(ap, types);
    bind_all(stmt, types, ap);
    va_end(ap);
    int64_t value = store_row(stmt) && sqlite3_column_type(stmt, 0) != SQLITE_NULL
                        ? sqlite3_column_int64(stmt, 0)
                        : fallback;
    sqlite3_reset(stmt);
    return value;
}

cJSON *store_json(sqlite3_stmt *stmt)
{
    cJSON *value = NULL;
    if (store_row(stmt))
        value = json_parse((const char *)sqlite3_column_text(stmt, 0),
                           (size_t)sqlite3_column_bytes(stmt, 0), NULL);
    sqlite3_reset(stmt);
    return value;
}

static void configure_sqlite(void)
{
    sqlite3_config(SQLITE_CONFIG_LOG, on_sqlite_log, NULL);
}

/* ---- the writer ---- */

static bool execute(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

struct group {
    struct store_job *first;
    bool failed; /* SQLite has rolled everything back by itself */
};

static void job_run(sqlite3 *db, struct store_job *job, struct group *group)
{
    store_change(db, "SAVEPOINT job", "");
    store_watch();
    int result = job->run(db, job->arg);
    store_rest(db);
    if (sqlite3_get_autocommit(db) || store_failed()) {
        group->failed = true;
        return;
    }
    if (result < 0)
        store_change(db, "ROLLBACK TO job", "");
    store_change(db, "RELEASE job", "");
}

/* Runs jobs up to the end or to the first that broke the transaction; returns the rest.
 */
static struct store_job *group_run(sqlite3 *db, struct store_job *jobs,
                                   struct group *group)
{
    *group = (struct group){jobs, !execute(db, "BEGIN IMMEDIATE")};
    struct store_job *job = jobs;
    if (group->failed)
        return NULL;
    for (; job; job = job->next) {
        job_run(db, job, group);
        if (group->failed)
            return job->next;
    }
    return NULL;
}

static void group_end(sqlite3 *db, struct group *group, struct store_job *rest)
{
    if (!group->failed && !execute(db, "COMMIT"))
        group->failed = true;
    if (group->failed) {
        log_error("a group of writes failed: %s", sqlite3_errmsg(db));
        if (!sqlite3_get_autocommit(db))
            execute(db, "ROLLBACK");
    }
    for (struct store_job *job = group->first, *next; job != rest; job = next) {
        next = job->next; /* done may free the job */
        job->done(job->arg, group->failed ? -1 : 0);
    }
}

static void *writer_main(void *arg)
{
    struct store *s = arg;
    for (;;) {
        pthread_mutex_lock(&s->lock);
        while (!s->first && !s->stop)
            pthread_cond_wait(&s->wake, &s->lock);
        struct store_job *jobs = s->first;
        s->first = NULL;
        s->last = &s->first;
        pthread_mutex_unlock(&s->lock);
        if (!jobs)
            return NULL;
        while (jobs) {
            struct group group;
            struct store_job *rest = group_run(s->db, jobs, &group);
            group_end(s->db, &group, rest);
            jobs = rest;
        }
    }
}

void store_submit(struct store *s, struct store_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&s->lock);
    bool first = !s->first;
    *s->last = job;
    s->last = &job->next;
    if (first)
        pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

struct waited {
    int (*run)(sqlite3 *db, void *arg);
    void *arg;
    int result;
    sem_t done;
};

static int waited_run(sqlite3 *db, void *arg)
{
    struct waited *w = arg;
    return w->result = w->run(db, w->arg);
}

static void waited_done(void *arg, int result)
{
    struct waited *w = arg;
    if (result < 0)
        w->result = -1;
    sem_post(&w->done);
}

int store_run(struct store *s, int (*run)(sqlite3 *db, void *arg), void *arg)
{
    struct waited w = {.run = run, .arg = arg};
    struct store_job job = {waited_run, waited_done, &w, NULL};
    sem_init(&w.done, 0, 0);
    store_submit(s, &job);
    while (sem_wait(&w.done) < 0)
        continue;
    sem_destroy(&w.done);
    return w.result;
}

/* ---- opening ---- */

static int migrate(sqlite3 *db, struct reeve_error *err)
{
    int64_t version = store_int(db, "PRAGMA user_version", 0, "");
    int64_t newest = 0;
    while (store_schema[newest])
        newest++;
    if (version > newest)
        return reeve_error_set(err, 0, "the database is of a newer reeve (%lld)",
                               (long long)version);
    for (; version < newest; version++) {
        char set[64];
        snprintf(set, sizeof set, "PRAGMA user_version = %lld", (long long)version + 1);
        if (execute(db, "BEGIN IMMEDIATE") && execute(db, store_schema[version]) &&
            execute(db, set) && execute(db, "COMMIT"))
            continue;
        reeve_error_set(err, 0, "database schema %lld: %s", (long long)version + 1,
                        sqlite3_errmsg(db));
        execute(db, "ROLLBACK");
        return -1;
    }
    return 0;
}

/* 0; or SQLite's code, SQLITE_NOTADB and SQLITE_CORRUPT among them. */
static int open_writer(const char *path, sqlite3 **out)
{
    sqlite3 *db = NULL;
    int rc = sqlite3_open_v2(
        path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
        NULL);
    static const char *const settings[] = {"PRAGMA busy_timeout = 5000",
                                           "PRAGMA journal_mode = WAL",
                                           "PRAGMA synchronous = FULL",
                                           "PRAGMA wal_autocheckpoint = 4000",
                                           "PRAGMA journal_size_limit = 67108864",
                                           "PRAGMA cache_size = -32768",
                                           "PRAGMA temp_store = MEMORY",
                                           "SELECT count(*) FROM sqlite_schema"};
    for (size_t i = 0; rc == SQLITE_OK && i < ARRAY_SIZE(settings); i++)
        rc = sqlite3_exec(db, settings[i], NULL, NULL, NULL);
    if (rc == SQLITE_OK) {
        store_add_functions(db);
        *out = db;
        return 0;
    }
    sqlite3_close_v2(db);
    return rc;
}

static int set_aside(const char *path, struct reeve_error *err)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
        auto_free char *from = xasprintf("%s%s", path, suffixes[i]);
        auto_free char *to = xasprintf("%s.broken-%lld%s", path,
                                       (long long)clock_wall_ms(), suffixes[i]);
        if (rename(from, to) < 0 && errno != ENOENT)
            return reeve_error_set(err, errno, "set aside %s", from);
        if (i == 0)
            log_error("the database cannot be read and is set aside as %s", to);
    }
    return 0;
}

static int open_or_replace(struct store *s, struct reeve_error *err)
{
    int rc = open_writer(s->path, &s->db);
    if ((rc & 0xff) == SQLITE_NOTADB || (rc & 0xff) == SQLITE_CORRUPT) {
        if (set_aside(s->path, err) < 0)
            return -1;
        rc = open_writer(s->path, &s->db);
    }
    if (rc != 0)
        return reeve_error_set(err, 0, "open database %s: %s", s->path,
                               sqlite3_errstr(rc));
    return migrate(s->db, err);
}

static void reader_close(void *db)
{
    store_connection_close(db);
}

struct store *store_open(const char *dir, struct reeve_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure_sqlite);
    struct store *s = xcalloc(1, sizeof *s);
    s->path = xasprintf("%s/reeve.db", dir);
    s->last = &s->first;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, NULL);
    pthread_key_create(&s->reader, reader_close);
    int rc = open_or_replace(s, err);
    if (rc == 0) {
        rc = pthread_create(&s->writer, NULL, writer_main, s);
        if (rc == 0)
            return s;
        reeve_error_set(err, rc, "start the writer thread");
    }
    store_connection_close(s->db);
    pthread_key_delete(s->reader);
    free(s->path);
    free(s);
    return NULL;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->writer, NULL);
    reader_close(pthread_getspecific(s->reader));
    pthread_key_delete(s->reader);
    store_connection_close(s->db);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->wake);
    free(s->path);
    free(s);
}

sqlite3 *store_reader(struct store *s)
{
    sqlite3 *db = pthread_getspecific(s->reader);
    if (db)
        return db;
    if (sqlite3_open_v2(s->path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK) {
        log_error("open a reader of %s: %s", s->path, sqlite3_errmsg(db));
        thread_failure = SQLITE_CANTOPEN;
        sqlite3_close_v2(db);
        return NULL;
    }
    execute(db, "PRAGMA busy_timeout = 5000; PRAGMA cache_size = -16384;"
                "PRAGMA temp_store = MEMORY");
    store_add_functions(db);
    pthread_setspecific(s->reader, db);
    return db;
}

sqlite3 *store_open_memory(void)
{
    sqlite3 *db = NULL;
    struct reeve_error err;
    if (sqlite3_open_v2(":memory:", &db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                            SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK)
        abort();
    store_add_functions(db);
    if (migrate(db, &err) < 0) {
        log_error("%s", err.text);
        abort();
    }
    return db;
}
