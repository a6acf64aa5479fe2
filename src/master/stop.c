/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/stop.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/utf8.h"
#include "master/master.h"
#include "master/quota.h"

#include <stdio.h>
#include <string.h>

#define WHO_BYTES 64

/* The command's exit codes: it has no such run; the run is past that. */
enum { CODE_FAILED = 1, CODE_USAGE = 2, CODE_NOT_FOUND = 4 };

/* "reeve stop by somebody": the socket lets only root and our own user in, so the name
 * is taken as it was given, but for what would not be a plain word in a log. */
static void who(const cJSON *request, const char *what, char out[128])
{
    const char *by = json_str(request, "by", "");
    auto_buf name = BUF_INIT;
    size_t n = strlen(by);
    utf8_add_printable(&name, by, n < WHO_BYTES ? n : WHO_BYTES);
    snprintf(out, 128, "%s%s%s", what, n ? " by " : "", buf_str(&name));
    utf8_trim(out);
}

static struct run *find_run(struct master *m, const cJSON *request, int *code,
                            struct reeve_error *err)
{
    struct run *run = runs_find(m->runs, json_str(request, "task", ""));
    *code = 0;
    if (!run) {
        *code = CODE_NOT_FOUND;
        reeve_error_set(err, 0, "no run of this task on this host");
    } else if (run->phase >= PHASE_DRAINING) {
        *code = CODE_FAILED;
        reeve_error_set(err, 0, "the run has ended already");
    }
    return *code ? NULL : run;
}

int stop_request(struct master *m, const cJSON *request, struct reeve_error *err)
{
    int code, sig = 0;
    char text[128];
    const char *name = json_str(request, "signal", NULL);
    struct run *run = find_run(m, request, &code, err);
    if (!run)
        return code;
    if (name && (sig = stop_signal_parse(name, err)) < 0)
        return CODE_USAGE;
    if (sig)
        run->stop_signal = sig;
    who(request, "reeve stop", text);
    run_stop(run, STOP_OPERATOR, json_int(request, "grace_ms", -1), text);
    return 0;
}

int restart_request(struct master *m, const cJSON *request, cJSON **data,
                    struct reeve_error *err)
{
    int code;
    char text[128];
    struct run *run = find_run(m, request, &code, err);
    if (!run)
        return code;
    who(request, "reeve restart", text);
    if (run_restart(run, text, err) < 0)
        return CODE_FAILED;
    *data = cJSON_CreateObject();
    json_set_str(*data, "id", run->id);
    json_set_int(*data, "attempt", run->attempt + 1);
    return 0;
}
