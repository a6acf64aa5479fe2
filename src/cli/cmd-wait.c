/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/find.h"
#include "cli/runs.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "config/size.h"

#include <string.h>
#include <time.h>

#define POLL_MIN_MS 50
#define POLL_MAX_MS 1000
#define OUTAGE_MS 60000 /* how long a server may be gone meanwhile */

static const struct arg_spec specs[] = {
    {ARG_VALUE, "status", 's', "STATUS", "wait for this status (completed)"},
    {ARG_VALUE, "timeout", 't', "TIME", "give up after that, with exit code 5"},
    ARGS_JSON,
    ARGS_SERVER,
    ARGS_LAST,
};

static const char *const statuses[] = {
    "created",   "queued",     "in_progress", "stopped", "failed",
    "completed", "publishing", "published",   "closed",
};

static bool is_status(const char *text)
{
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
        if (strcmp(statuses[i], text) == 0)
            return true;
    return false;
}

static int ask(struct session *s, const char *id, int64_t patience_ms, cJSON **task,
               struct reeve_error *err)
{
    static const char *const fields[] = {"status", "status_reason"};
    auto_json *data = NULL;
    cJSON *body = cJSON_CreateObject();
    json_set(body, "id", cJSON_CreateStringArray(&id, 1));
    json_set(body, "only_fields", cJSON_CreateStringArray(fields, ARRAY_SIZE(fields)));
    json_set_bool(body, "search_hidden", true);
    int code = session_call_until(s, "tasks.get_all", body, patience_ms, &data, err);
    if (code != CLI_DONE)
        return code;
    *task = cJSON_DetachItemFromArray(json_get(data, "tasks"), 0);
    if (*task)
        return CLI_DONE;
    reeve_error_set(err, 0, "no task %s", id);
    return CLI_NOT_FOUND;
}

/* CLI_TIMEOUT: neither yet. */
static int judge(const char *status, const char *wanted)
{
    if (strcmp(status, wanted) == 0)
        return CLI_DONE;
    /* A completed task may be published before anybody looks. */
    if (strcmp(wanted, "completed") == 0 &&
        (strcmp(status, "published") == 0 || strcmp(status, "publishing") == 0))
        return CLI_DONE;
    return status_is_final(status) ? CLI_FAILED : CLI_TIMEOUT;
}

static void print_end(const struct args *args, const cJSON *task, const char *id)
{
    auto_json *shown = cJSON_CreateObject();
    json_set_str(shown, "id", id);
    json_set_str(shown, "status", json_str(task, "status", NULL));
    json_set_str(shown, "reason", json_str(task, "status_reason", NULL));
    if (args_has(args, "json"))
        cli_print_json(shown);
    else
        printf("%s\n", json_str(shown, "status", ""));
}

static int wait_for(struct session *s, const struct args *args, const char *id,
                    const char *wanted, int64_t timeout_ms, struct reeve_error *err)
{
    int64_t start = clock_boot_ms(), pause = POLL_MIN_MS, patience = 0;
    for (;;) {
        auto_json *task = NULL;
        int64_t left =
            timeout_ms < 0 ? OUTAGE_MS : start + timeout_ms - clock_boot_ms();
        if (patience)
            patience = left < OUTAGE_MS ? (left > 1 ? left : 1) : OUTAGE_MS;
        int code = ask(s, id, patience, &task, err);
        if (code != CLI_DONE)
            return code == CLI_UNREACHABLE && patience && left <= 1 ? CLI_TIMEOUT
                                                                    : code;
        const char *status = json_str(task, "status", "");
        code = judge(status, wanted);
        if (code != CLI_TIMEOUT) {
            print_end(args, task, id);
            return code;
        }
        if (timeout_ms >= 0 && left <= 0) {
            reeve_error_set(err, 0, "%s is %s after the time given", id, status);
            return CLI_TIMEOUT;
        }
        patience = OUTAGE_MS;
        int64_t ms = timeout_ms >= 0 && left < pause ? left : pause;
        struct timespec nap = {ms / 1000, ms % 1000 * 1000000};
        nanosleep(&nap, NULL);
        pause = pause * 3 / 2 < POLL_MAX_MS ? pause * 3 / 2 : POLL_MAX_MS;
    }
}

static int run(const struct args *args)
{
    struct reeve_error err = {0};
    auto_session s = {0};
    auto_free char *id = NULL;
    const char *wanted = args_value(args, "status", "completed");
    const char *timeout = args_value(args, "timeout", NULL);
    int64_t timeout_ms = -1;
    if (!is_status(wanted))
        return cli_fail(CLI_USAGE,
                        "wait: --status: \"%s\" is no status; one of created, queued, "
                        "in_progress, stopped, failed, completed, published, closed",
                        wanted);
    if (timeout && duration_parse(timeout, &timeout_ms, &err) < 0)
        return cli_fail(CLI_USAGE, "wait: --timeout: %s", err.text);
    int code = session_open(args, &s, &err);
    if (code == CLI_DONE)
        code = find_task(&s, args_words(args)->v[0], &id, &err);
    if (code == CLI_DONE)
        code = wait_for(&s, args, id, wanted, timeout_ms, &err);
    if (code != CLI_DONE && *err.text)
        return cli_fail(code, "wait: %s", err.text);
    return code;
}

const struct command cmd_wait = {
    .name = "wait",
    .summary = "wait until a task has ended",
    .usage = "TASK [--status STATUS] [--timeout TIME] [--json]",
    .about = "Prints the status. Exit codes: 0 completed, or the status that was asked "
             "for; 1 "
             "another\nfinal status; 5 time-out.",
    .specs = specs,
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
