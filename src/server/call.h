/* call.h - one API request on its way through reeve-server
 *
 * http.c makes it, auth.c finds out who calls, dispatch.c finds the endpoint and checks
 * the fields, then the handler runs: a reader on a thread with a read-only connection
 * of its own, a writer on the store's one writer thread, inside a savepoint of the
 * group's transaction. The answer to a write is sent after the group's commit
 * (synchronous=FULL): what was acknowledged survives kill -9 and power loss. */
#ifndef REEVE_SERVER_CALL_H
#define REEVE_SERVER_CALL_H

#include "base/buf.h"

#include <cjson/cJSON.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct server; /* server.h: configuration, store, signing key, wake-ups */

/* Versions are compared part by part (2.13 is newer than 2.4), so never as doubles. */
#define API_VERSION(major, minor) ((major)*1000 + (minor))
#define API_VERSION_MAX API_VERSION(2, 31)

struct caller {
    char user[64];
    char user_name[128];
    char company[64];
    char role[16];
    bool authenticated;
};

/* The session that a token stands for. */
struct auth_session {
    char id[64];         /* "" for Basic */
    char access_key[64]; /* of Basic, else "" */
    int64_t expires;     /* seconds since 1970, 0 if it never does */
};

/* An answer too large to be held: next appends a piece, nothing at the end, and reads
 * with a connection of the thread that sends it. done frees state. */
struct call_stream {
    int (*next)(void *state, sqlite3 *db, struct buf *out);
    void (*done)(void *state);
    void *state;
};

struct call {
    struct server *server;
    sqlite3 *db;
    const struct endpoint *endpoint; /* NULL until it is found */
    char id[33];                     /* of this call, made by the server */
    char endpoint_name[128];
    char version_text[16]; /* as requested, "2.31" if the path had none */
    int api_version; /* requested, as API_VERSION; the newest if the path had none */
    cJSON *request;  /* object; the body with query arguments merged */
    cJSON *lines;    /* array: the lines of a json-lines body, else NULL */
    struct caller caller;
    char worker[256]; /* X-ClearML-Worker, "" if absent */
    char client_ip[64];
    char batch[256]; /* x-reeve-batch, "" if absent */
    char trx[256];   /* X-ClearML-Trx, "" if absent */
    int64_t now_ms;
    cJSON *data;          /* object: the answer's data, filled by the handler */
    char *raw_data;       /* if set: the data as JSON text, sent in place of data */
    const char *raw_type; /* if set: raw_data is the whole answer, of this content type,
                             without an envelope (200 only) */
    struct call_stream stream; /* if set: the whole answer, made while it is sent, of
                                  the content type raw_type (200 only) */
    char *raw_file;    /* the name under which a browser is to save it, or NULL */
    int code, subcode; /* 200 and 0 until call_fail */
    char *message;
    cJSON *error_data;
    char *set_cookie; /* value of a Set-Cookie header, or NULL */
    struct auth_session session;
    int64_t wait_until_ms; /* CLOCK_BOOTTIME end of a long poll, 0 before it began */
    char wait_queue[65];   /* what call_wait asked for */
    bool stopping;         /* the server stops: no more waiting */
    int64_t deadline_ms;   /* CLOCK_BOOTTIME: a read is given up then; 0: never */
    bool expired;          /* it was */
};

/* Sets ClearML's error: http code, subcode, message (its text as errors.conf has it
 * with the details in ClearML's form, "Invalid task id: id=..."). Returns -1, so that a
 * handler ends in `return call_fail(...)`. A failed writer's changes are rolled back to
 * its savepoint. */
int call_fail(struct call *call, int code, int subcode, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* One more "key=value" of the error's kwargs: appended to the message (": " first, then
 * ", ") and set in meta.error_data. To be called after call_fail. Returns -1. */
int call_fail_arg(struct call *call, const char *key, const char *value);

/* For a handler that found its queue empty: true if the request asks to wait
 * ("wait", milliseconds) and its time is not over; the handler then returns CALL_WAIT
 * and is run again when the queue has got an entry or the time is over. */
bool call_wait(struct call *call, const char *queue);
#define CALL_WAIT 1

/* A queue's or a model's metadata in an answer: to clients up to 2.16, which expect a
 * list, ClearML gives an empty one (apiserver/services/utils.py, unescape_metadata). */
void call_conform_metadata(const struct call *call, cJSON *doc);

typedef int (*handler_f)(struct call *call); /* 0, -1 after call_fail, or CALL_WAIT */

enum field_type {
    FIELD_ANY,
    FIELD_STRING,
    FIELD_INTEGER,
    FIELD_NUMBER,
    FIELD_BOOL,
    FIELD_OBJECT,
    FIELD_ARRAY,
    FIELD_STRINGS,     /* array of strings */
    FIELD_STRINGS_NULL /* array of strings and nulls */
};

struct field {
    const char *name;
    enum field_type type;
    bool required; /* for an array: not empty */
    /* Rules that most fields lack. */
    const char *choices; /* of a string: "a|b|c"; "?a|b" takes null too, "?" any */
    size_t least;        /* characters of a string, items of an array */
    const struct field *members; /* of an object, or of an array's objects */
};
/* What a row of a table does not say is zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

enum endpoint_flags {
    ENDPOINT_READ = 0,
    ENDPOINT_WRITE = 1,    /* runs on the writer thread */
    ENDPOINT_PUBLIC = 2,   /* needs no token */
    ENDPOINT_EXTENSION = 4 /* ClearML's own server has it not: --no-extensions */
};

struct endpoint {
    const char *name;        /* "tasks.get_by_id" */
    const char *min_version; /* "2.13"; newest entry with min_version <= requested wins;
                                no version in the path: the newest */
    unsigned flags;
    handler_f handler;
    const struct field *fields; /* ends with a NULL name; NULL: anything goes */
};

/* One table per API service, ended by a NULL name, named in dispatch.c. */
extern const struct endpoint auth_endpoints[], login_endpoints[], debug_endpoints[],
    server_endpoints[], users_endpoints[], projects_endpoints[], queues_endpoints[],
    tasks_endpoints[], workers_endpoints[], events_endpoints[], models_endpoints[],
    organization_endpoints[], pipelines_endpoints[], reports_endpoints[],
    serving_endpoints[], storage_endpoints[];

#endif
