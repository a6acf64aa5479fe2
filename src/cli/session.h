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
    struct api_sync *api; /* made at the first call */
    int subcode;          /* of the last refusal */
};

/* Finds the server; talks to nobody yet. An exit code; err is set unless it is
 * CLI_DONE. */
int session_open(const struct args *args, struct session *s, struct reeve_error *err);
/* The same, but a server that is not known is no error until it is called: for what the
 * master can answer alone. */
int session_open_any(const struct args *args, struct session *s,
                     struct reeve_error *err);
void session_close(struct session *s);

/* One call. body is taken, NULL for {}; *data is the caller's, data may be NULL.
 * CLI_DONE, CLI_NOT_FOUND for ids that the server does not know, CLI_FAILED for other
 * refusals, CLI_UNREACHABLE. deadline_ms: tried again until then while the server does
 * not answer; 0: one try. */
int session_call(struct session *s, const char *endpoint, cJSON *body, cJSON **data,
                 struct reeve_error *err);
int session_call_until(struct session *s, const char *endpoint, cJSON *body,
                       int64_t deadline_ms, cJSON **data, struct reeve_error *err);

/* One request to the master's control.sock; request is taken. The exit code that the
 * master gives, CLI_UNREACHABLE if there is none. */
int control_call(const char *run_dir, cJSON *request, cJSON **data,
                 struct reeve_error *err);
/* The same for what may take the master longer. */
int control_call_for(const char *run_dir, cJSON *request, int64_t wait_ms, cJSON **data,
                     struct reeve_error *err);
/* Who asks, for logs and statuses: the user's name, sudo's caller if there is one. */
char *control_who_dup(void);

#define auto_session __attribute__((cleanup(session_close))) struct session

#endif
