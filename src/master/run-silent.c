/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* A host that was suspended, or cut off for two hours, finds its live tasks stopped:
 * nobody asked for that. Between the look and the answer to tasks.started somebody may
 * reset or enqueue the task, which it would undo; the server has no call for "only if
 * it is still so", and the window is one call wide. */

#include "master/run-internal.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"
#include "master/master.h"

#include <string.h>

static const char words[] = "Forced stop (non-responsive)";

bool run_only_silent(const struct run *run, const cJSON *task)
{
    const char *policy =
        config_str(run->master->config, "agent.reeve.forced_stop", "resume");
    return strcmp(json_str(task, "status", ""), "stopped") == 0 &&
           strcmp(json_str(task, "status_message", ""), words) == 0 &&
           strcmp(policy, "stop") != 0;
}

static void on_started(void *arg, const struct api_reply *r)
{
    struct run *run = arg;
    run->call = NULL;
    if (r->result == API_OK)
        run_note(run,
                 "reeve: the server had stopped the task, since it heard nothing of "
                 "it for too long; it goes on");
    else if (r->result == API_REFUSED && r->code == 400)
        run_stop(run, STOP_STATUS, -1,
                 "the server stopped it as non-responsive, and does not take it back");
}

void run_resume_there(struct run *run)
{
    char worker[256];
    if (run->call)
        return;
    log_warn("task=%s the server stopped it as non-responsive, but it runs: told so",
             run->id);
    cJSON *body = cJSON_CreateObject();
    auto_free char *message = xasprintf(
        RUN_CHANGED_WORDS "%s%s%s%s", run_worker(run, worker),
        run->claim[0] ? RUN_CLAIM_WORDS : "", run->claim, run->claim[0] ? "]" : "");
    json_set_str(body, "task", run->id);
    json_set_str(body, "status_reason", "");
    json_set_str(body, "status_message", message);
    struct api_options options = {.retry = API_RETRY_NONE};
    run->call = api_send(run->master->api, NULL, "tasks.started", body, &options,
                         on_started, run);
}
