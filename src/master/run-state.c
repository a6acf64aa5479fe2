/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* The file `state`: "key value" lines, then "crc <hex>" over everything before it.
 * Written by the master alone, renamed into place without a sync: a process's death
 * loses nothing, and after a power cut the boot identity in it is another one anyway.
 */

#include "master/run.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/record.h"
#include "master/master.h"
#include "run/run-dir.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define STATE_MAX 65536
#define STATE_VERSION 1

static cJSON *exit_to_json(const struct spool_exit *e)
{
    cJSON *json = cJSON_CreateObject();
    json_set_int(json, "code", e->code);
    json_set_int(json, "signal", e->signal);
    json_set_bool(json, "timed_out", e->timed_out);
    json_set_str(json, "step", e->step);
    json_set_str(json, "text", e->text);
    json_set_str(json, "left", e->left);
    return json;
}

static void exit_from_json(const cJSON *json, struct spool_exit *e)
{
    e->code = (int)json_int(json, "code", -1);
    e->signal = (int)json_int(json, "signal", 0);
    e->timed_out = json_bool(json, "timed_out", false);
    snprintf(e->step, sizeof e->step, "%s", json_str(json, "step", ""));
    snprintf(e->text, sizeof e->text, "%s", json_str(json, "text", ""));
    snprintf(e->left, sizeof e->left, "%s", json_str(json, "left", ""));
}

static cJSON *verdict_to_json(const struct verdict *verdict)
{
    cJSON *v = cJSON_CreateObject();
    json_set_int(v, "code", verdict->code);
    json_set_int(v, "signal", verdict->signal);
    json_set_str(v, "reason", verdict->reason);
    json_set_str(v, "text", verdict->text);
    json_set_str(v, "by", verdict->by);
    return v;
}

/* A word that this version does not know is told on, but counts as a failure. */
static void verdict_from_json(const cJSON *v, struct verdict *verdict)
{
    int kind = verdict_kind_of(json_str(v, "reason", ""));
    verdict->kind = kind >= 0 ? (enum verdict_kind)kind : VERDICT_AGENT_LOST;
    verdict->code = (int)json_int(v, "code", -1);
    verdict->signal = (int)json_int(v, "signal", 0);
    snprintf(verdict->reason, sizeof verdict->reason, "%s", json_str(v, "reason", ""));
    snprintf(verdict->text, sizeof verdict->text, "%s", json_str(v, "text", ""));
    snprintf(verdict->by, sizeof verdict->by, "%s", json_str(v, "by", ""));
}

static cJSON *state_to_json(const struct run *run)
{
    cJSON *json = cJSON_CreateObject();
    json_set_int(json, "version", STATE_VERSION);
    json_set_str(json, "phase", phase_name(run->phase));
    json_set_int(json, "attempt", run->attempt);
    json_set_int(json, "restarts", run->restarts);
    json_set_int(json, "failures", run->failures);
    json_set_int(json, "forgiven", run->forgiven);
    json_set_int(json, "claimed_ms", run->claimed_ms);
    json_set_str(json, "claim", run->claim);
    json_set_int(json, "started_ms", run->started_ms);
    json_set_int(json, "started_boot_ms", run->started_boot_ms);
    json_set_int(json, "due_ms", run->due_ms);
    json_set_int(json, "due_boot_ms", run->due_boot_ms);
    json_set_bool(json, "notes_due", run->notes_due);
    json_set_str(json, "boot", run->boot);
    json_set_int(json, "agent_pid", run->agent_pid);
    json_set_int(json, "agent_start", (int64_t)run->agent_start);
    json_set_int(json, "payload_pid", run->payload_pid);
    json_set_int(json, "payload_start", (int64_t)run->payload_start);
    json_set_int(json, "stop", run->stop);
    json_set_str(json, "stop_text", run->stop_text);
    json_set_int(json, "stop_grace_ms", run->stop_grace_ms);
    json_set_int(json, "stop_signal", run->stop_signal);
    json_set_bool(json, "start_sent", run->start_sent);
    json_set_bool(json, "start_lost", run->start_lost);
    json_set_int(json, "recoveries", run->recoveries);
    json_set_int(json, "replaced", run->replaced);
    json_set_int(json, "last_event_ms", run->ship.last_ms);
    json_set_int(json, "over_disk", run->over_disk);
    json_set_bool(json, "final_known", run->final_known);
    json_set_bool(json, "have_exit", run->have_exit);
    if (run->have_exit)
        json_set(json, "exit", exit_to_json(&run->exit));
    json_set_bool(json, "have_verdict", run->have_verdict);
    if (run->verdict.reason[0])
        json_set(json, "verdict", verdict_to_json(&run->verdict));
    return json;
}

char *run_state_format_dup(const struct run *run)
{
    auto_json *json = state_to_json(run);
    auto_free char *text = json_format(json);
    return xasprintf("%s\ncrc %08x\n", text, crc32c(0, text, strlen(text)));
}

int run_state_save(struct run *run)
{
    auto_free char *path = run_file_dup(run->master->state_root, run->id, "state");
    auto_free char *text = run_state_format_dup(run);
    struct reeve_error err;
    if (file_renew(path, text, strlen(text), 0600, &err) == 0) {
        run->unsaved = false;
        return 0;
    }
    if (!run->unsaved)
        log_error("task=%s %s", run->id, err.text);
    run->unsaved = true;
    return -1;
}

void run_limits_save(struct run *run)
{
    auto_free char *path = run_file_dup(run->master->state_root, run->id, "limits");
    auto_json *json = policy_limits_to_json(&run->policy);
    auto_free char *text = json_format(json);
    struct reeve_error err;
    if (file_replace(path, text, strlen(text), 0600, false, &err) < 0)
        log_error("task=%s %s", run->id, err.text);
}

/* What spec.json says stands if there is no such file. */
static void limits_load(struct run *run)
{
    auto_free char *path = run_file_dup(run->master->state_root, run->id, "limits");
    auto_buf text = BUF_INIT;
    if (file_read(path, &text, STATE_MAX, NULL) < 0)
        return;
    auto_json *json = json_parse(text.data, text.len, NULL);
    if (json)
        policy_limits_from_json(json, &run->policy);
}

static void state_from_json(struct run *run, const cJSON *json)
{
    run->phase = (enum phase)phase_parse(json_str(json, "phase", ""));
    run->attempt = (uint32_t)json_int(json, "attempt", 0);
    run->restarts = (uint32_t)json_int(json, "restarts", 0);
    run->failures = (uint32_t)json_int(json, "failures", 0);
    run->forgiven = (uint32_t)json_int(json, "forgiven", 0);
    run->claimed_ms = json_int(json, "claimed_ms", 0);
    const char *claim = json_str(json, "claim", "");
    if (claim[0]) /* else as the spec has it */
        snprintf(run->claim, sizeof run->claim, "%s", claim);
    run->started_ms = json_int(json, "started_ms", 0);
    run->started_boot_ms = json_int(json, "started_boot_ms", 0);
    run->due_ms = json_int(json, "due_ms", 0);
    run->due_boot_ms = json_int(json, "due_boot_ms", 0);
    run->notes_due = json_bool(json, "notes_due", false);
    snprintf(run->boot, sizeof run->boot, "%s", json_str(json, "boot", ""));
    run->agent_pid = (pid_t)json_int(json, "agent_pid", 0);
    run->agent_start = (uint64_t)json_int(json, "agent_start", 0);
    run->payload_pid = (pid_t)json_int(json, "payload_pid", 0);
    run->payload_start = (uint64_t)json_int(json, "payload_start", 0);
    int64_t stop = json_int(json, "stop", 0);
    run->stop =
        stop > STOP_NONE && stop < STOP_COUNT ? (enum stop_cause)stop : STOP_NONE;
    snprintf(run->stop_text, sizeof run->stop_text, "%s",
             json_str(json, "stop_text", ""));
    run->stop_grace_ms = json_int(json, "stop_grace_ms", 0);
    run->stop_signal = (int)json_int(json, "stop_signal", 0);
    run->start_sent = json_bool(json, "start_sent", false);
    run->recoveries = (unsigned)json_int(json, "recoveries", 0);
    run->start_lost =
        json_bool(json, "start_lost", run->start_sent && run->recoveries > 0);
    run->replaced = (unsigned)json_int(json, "replaced", 0);
    run->session = run_is_live(run) ? run->payload_pid : 0;
    run->orphaned = run->recoveries || run->replaced;
    run->ship.last_ms = json_int(json, "last_event_ms", 0);
    run->over_disk = json_int(json, "over_disk", 0);
    run->final_known = json_bool(json, "final_known", false);
    run->have_exit = json_bool(json, "have_exit", false);
    exit_from_json(json_get(json, "exit"), &run->exit);
    const cJSON *v = json_get(json, "verdict");
    run->have_verdict = json_bool(json, "have_verdict", v != NULL);
    if (v)
        verdict_from_json(v, &run->verdict);
}

int run_state_load(struct run *run, struct reeve_error *err)
{
    auto_free char *path = run_file_dup(run->master->state_root, run->id, "state");
    auto_buf text = BUF_INIT;
    if (file_read(path, &text, STATE_MAX, err) < 0)
        return -1;
    char *newline = strchr(buf_str(&text), '\n');
    unsigned crc;
    if (!newline || sscanf(newline + 1, "crc %8x", &crc) != 1 ||
        crc != crc32c(0, text.data, (size_t)(newline - text.data)))
        return reeve_error_set(err, 0, "%s is damaged", path);
    auto_json *json = json_parse(text.data, (size_t)(newline - text.data), err);
    if (!json)
        return -1;
    if (json_int(json, "version", 0) > STATE_VERSION)
        return reeve_error_set(err, 0, "%s is of a newer reeve (version %lld)", path,
                               (long long)json_int(json, "version", 0));
    /* What is to be done in it is not known, and nothing may be done twice. */
    if (phase_parse(json_str(json, "phase", "")) < 0)
        return reeve_error_set(err, 0, "%s has the unknown phase %.40s", path,
                               json_str(json, "phase", "?"));
    state_from_json(run, json);
    limits_load(run);
    return 0;
}
