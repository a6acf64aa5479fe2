/* session.h - one command's talk with the server and with the master */
#ifndef REEVE_SESSION_H
#define REEVE_SESSION_H

#include "base/error.h"
#include "cli/args.h"
#include "cli/target.h"

#include <cjson/cJSON.h>
#include <stdint.h>

struct api_sync;

struct session {
    struct target target;
    const struct args *args;
    int found;              /* an exit code: whether the server is known */
    struct reeve_error why; /* it is not */
    struct api_sync *api;   /* made at the first call */
    int subcode;            /* of the last refusal */
};

/* Finds the server; talks to nobody yet. An exit code; err is set unless it is
 * CLI_DONE. */
int session_open(const struct args *args, struct session *s, struct reeve_error *err);
/* The same, but a server that is not known, or a configuration that cannot be read, is
 * no error until the server is called, when it is looked for again: for what the master
 * can answer alone. The args must outlive the session. */
void session_open_any(const struct args *args, struct session *s);
void session_close(struct session *s);

/* One call. body is taken, NULL for {}; *data is the caller's, data may be NULL.
 * CLI_DONE, CLI_NOT_FOUND for ids that the server does not know, CLI_FAILED for other
 * refusals, CLI_UNREACHABLE. deadline_ms: tried again until then while the server does
 * not answer; 0: one try. */
int session_call(struct session *s, const char *endpoint, cJSON *body, cJSON **data,
                 struct reeve_error *err);
int session_call_until(struct session *s, const char *endpoint, cJSON *body,
                       int64_t deadline_ms, cJSON **data, struct reeve_error *err);

/* {"cmd": command, "task": task}; the task may be NULL. */
cJSON *control_request(const char *command, const char *task);
/* One request to the master's control.sock; request is taken. The exit code that the
 * master gives, CLI_UNREACHABLE if there is none (err's code: ENOENT) or it does not
 * answer (ETIMEDOUT). */
int control_call(const char *run_dir, cJSON *request, cJSON **data,
                 struct reeve_error *err);
/* The same for what may take the master longer. */
int control_call_for(const char *run_dir, cJSON *request, int64_t wait_ms, cJSON **data,
                     struct reeve_error *err);
/* Who asks, for logs and statuses: the user's name, sudo's caller if there is one. */
char *control_who_dup(void);

#define auto_session __attribute__((cleanup(session_close))) struct session

#endif
