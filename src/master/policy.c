/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/policy.h"

#include "base/alloc.h"
#include "base/json.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* The rest of a policy that is a number, and what stands for none. */
static const struct {
    const char *name;
    size_t offset;
    int64_t none;
} number_fields[] = {
    {"grace_ms", offsetof(struct policy, grace_ms), QUOTA_STOP_TIMEOUT_MS},
    {"timeout_ms", offsetof(struct policy, timeout_ms), 0},
    {"setup_timeout_ms", offsetof(struct policy, setup_timeout_ms), 0},
    {"nofile_soft", offsetof(struct policy, nofile_soft), LIMIT_NONE},
    {"nofile_hard", offsetof(struct policy, nofile_hard), LIMIT_NONE},
    {"disk", offsetof(struct policy, disk), LIMIT_NONE},
    {"log_budget", offsetof(struct policy, log_budget), QUOTA_LOG_BUDGET},
};

cJSON *limits_to_json(const struct limits *limits)
{
    cJSON *json = cJSON_CreateObject();
    for (size_t i = 0; i < LIMITS_NUMBERS; i++)
        if (limits_number(limits, i) != LIMIT_NONE)
            json_set_int(json, limits_key(i), limits_number(limits, i));
    if (limits->cpuset[0])
        json_set_str(json, "cpuset", limits->cpuset);
    return json;
}

void limits_from_json(const cJSON *json, struct limits *out)
{
    *out = (struct limits)LIMITS_NONE;
    for (size_t i = 0; i < LIMITS_NUMBERS; i++)
        limits_set_number(out, i, json_int(json, limits_key(i), LIMIT_NONE));
    snprintf(out->cpuset, sizeof out->cpuset, "%s", json_str(json, "cpuset", ""));
}

static void add_rest(cJSON *json, const struct policy *p)
{
    char text[RESTART_TEXT_SIZE];
    json_set_str(json, "restart",
                 restart_policy_text(p->restart, p->restart_max, text));
    json_set_int(json, "stop_signal", p->stop_signal);
    for (size_t i = 0; i < ARRAY_SIZE(number_fields); i++) {
        int64_t v;
        memcpy(&v, (const char *)p + number_fields[i].offset, sizeof v);
        if (v != LIMIT_NONE)
            json_set_int(json, number_fields[i].name, v);
    }
}

static void read_rest(const cJSON *json, struct policy *out)
{
    if (restart_policy_parse(json_str(json, "restart", "no"), &out->restart,
                             &out->restart_max, NULL) < 0) {
        out->restart = RESTART_NO;
        out->restart_max = 0;
    }
    out->stop_signal = (int)json_int(json, "stop_signal", SIGTERM);
    for (size_t i = 0; i < ARRAY_SIZE(number_fields); i++) {
        int64_t v = json_int(json, number_fields[i].name, number_fields[i].none);
        memcpy((char *)out + number_fields[i].offset, &v, sizeof v);
    }
}

cJSON *policy_to_json(const struct policy *p)
{
    cJSON *json = cJSON_CreateObject();
    json_set(json, "limits", limits_to_json(&p->limits));
    add_rest(json, p);
    return json;
}

void policy_from_json(const cJSON *json, struct policy *out)
{
    limits_from_json(json_get(json, "limits"), &out->limits);
    read_rest(json, out);
}

cJSON *policy_limits_to_json(const struct policy *p)
{
    cJSON *json = limits_to_json(&p->limits);
    add_rest(json, p);
    return json;
}

void policy_limits_from_json(const cJSON *json, struct policy *out)
{
    limits_from_json(json, &out->limits);
    if (json_get(json, "restart"))
        read_rest(json, out);
}

void policy_from_quota(const struct quota *quota, struct policy *out)
{
    *out = (struct policy){
        .limits = quota->limits,
        .restart = quota->restart,
        .restart_max = quota->restart_max,
        .grace_ms = quota->stop_timeout_ms,
        .timeout_ms = quota->timeout_ms,
        .setup_timeout_ms = quota->setup_timeout_ms,
        .nofile_soft = quota->nofile_soft,
        .nofile_hard = quota->nofile_hard,
        .disk = quota->disk,
        .log_budget = quota->log_budget,
        .stop_signal = quota->stop_signal,
    };
    /* Docker's default: as much swap as memory. Without it a host with swap would swap
     * for long before a memory quota ends anything. */
    struct limits *l = &out->limits;
    if (l->memory != LIMIT_NONE && l->memory_swap == LIMIT_NONE &&
        l->memory < INT64_MAX / 2)
        l->memory_swap = 2 * l->memory;
}

bool policy_wants_restart(const struct policy *p, bool success, uint32_t restarts)
{
    if (p->restart == RESTART_NO || (p->restart == RESTART_ON_FAILURE && success))
        return false;
    return p->restart != RESTART_ON_FAILURE || p->restart_max <= 0 ||
           restarts < (uint32_t)p->restart_max;
}
