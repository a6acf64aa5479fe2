/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* What holds between the values, and the ceilings of host and queue. */

#include "master/quota-internal.h"

#include "base/alloc.h"
#include "base/json.h"
#include "config/config.h"

#include <stdio.h>
#include <string.h>

const cJSON *quota_of_queue(const struct resolver *r, const char *section,
                            char source[SOURCE_SIZE])
{
    const cJSON *queues = config_json(r->config, "agent.reeve.queues");
    const char *names[] = {r->queue.id, r->queue.name};
    source[0] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const cJSON *found =
            names[i] ? json_path(queues, names[i], section, NULL) : NULL;
        if (!found)
            continue;
        snprintf(source, SOURCE_SIZE, "agent.reeve.queues.%.40s.%s", names[i], section);
        return found;
    }
    return NULL;
}

int quota_check_memory(struct resolver *r)
{
    struct value *memory = &r->values[KEY_MEMORY];
    struct value *swap = &r->values[KEY_MEMORY_SWAP];
    struct value *reserved = &r->values[KEY_MEMORY_RESERVATION];
    bool limited = !quota_is_none(KEY_MEMORY, memory);
    if (!quota_is_none(KEY_MEMORY_SWAP, swap) && !limited)
        return reeve_error_set(r->err, 0, "%s: needs a limit of memory too",
                               swap->source);
    if (!quota_is_none(KEY_MEMORY_SWAP, swap) && swap->number < memory->number)
        return reeve_error_set(r->err, 0,
                               "%s: counts memory and swap together, so not less than "
                               "memory's own limit",
                               swap->source);
    if (limited && !quota_is_none(KEY_MEMORY_RESERVATION, reserved) &&
        reserved->number > memory->number)
        return reeve_error_set(r->err, 0, "%s: not more than the limit of memory",
                               reserved->source);
    return 0;
}

static void lower(struct value *v, enum key key, struct value *ceiling,
                  const char *source)
{
    if (quota_is_none(key, ceiling) ||
        (!quota_is_none(key, v) && v->number <= ceiling->number))
        return;
    if (key == KEY_NOFILE && v->set && v->extra && v->extra < ceiling->number)
        ceiling->extra = v->extra;
    if (v->set) {
        ceiling->lowered = true;
        ceiling->asked = v->lowered ? v->asked : v->number;
        snprintf(ceiling->asked_source, SOURCE_SIZE, "%s",
                 v->lowered ? v->asked_source : v->source);
    }
    snprintf(ceiling->source, SOURCE_SIZE, "%s", source);
    *v = *ceiling;
}

static int apply_ceiling(struct resolver *r, const cJSON *ceilings, const char *section,
                         enum key key)
{
    char path[SOURCE_SIZE];
    struct value ceiling = {.set = true};
    const char *name = quota_key(key)->name;
    const cJSON *given = json_get(ceilings, name);
    const char *text = config_text(given);
    snprintf(path, sizeof path, "%s.%s", section, name);
    if (!text)
        return given && !cJSON_IsString(given) && !cJSON_IsNull(given)
                   ? reeve_error_set(r->err, 0, "%s: one value is expected", path)
                   : 0;
    if (quota_key(key)->unit == UNIT_OTHER)
        return reeve_error_set(r->err, 0, "%s: this has no ceiling", path);
    if (quota_key(key)->parse(text, &ceiling, r->err) < 0)
        return reeve_error_wrap(r->err, "%s", path);
    lower(&r->values[key], key, &ceiling, path);
    return 0;
}

/* ---- all runs together ---- */

static const char total_path[] = "agent.reeve.host";

/* A group of v1 can have no larger part of the CPUs than the one above it; for the rest
 * a run may say nothing, and shares what the host gives. */
static int apply_total(struct resolver *r, enum key key)
{
    if (quota_is_none(key, &r->values[key]))
        return 0;
    return apply_ceiling(r, config_json(r->config, total_path), total_path, key);
}

int quota_host_limits(const struct config *config, struct limits *out,
                      struct reeve_error *err)
{
    /* Not cpuset: on v1 runs without one of their own are in no group of that. */
    static const enum key keys[] = {
        KEY_MEMORY,   KEY_MEMORY_SWAP, KEY_CPUS,      KEY_CPU_SHARES, KEY_PIDS,
        KEY_READ_BPS, KEY_WRITE_BPS,   KEY_READ_IOPS, KEY_WRITE_IOPS, KEY_BLKIO_WEIGHT,
    };
    struct quota q;
    struct resolver r = {.config = config, .out = &q, .err = err};
    quota_clear(&q);
    *out = q.limits;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        char path[SOURCE_SIZE];
        snprintf(path, sizeof path, "%s.%s", total_path, quota_key(keys[i])->name);
        const char *text = config_str(config, path, NULL);
        if (text && quota_set_value(&r, keys[i], text, path) < 0)
            return -1;
    }
    if (quota_check_memory(&r) < 0)
        return -1;
    quota_fill(&r);
    *out = q.limits;
    return 0;
}

int quota_apply_ceilings(struct resolver *r)
{
    static const char host[] = "agent.reeve.ceilings";
    char source[SOURCE_SIZE];
    if (!r->config)
        return 0;
    const cJSON *of_host = config_json(r->config, host);
    const cJSON *of_queue = quota_of_queue(r, "ceilings", source);
    for (int k = 0; k < KEY_COUNT; k++)
        if (apply_ceiling(r, of_queue, source, (enum key)k) < 0 ||
            apply_ceiling(r, of_host, host, (enum key)k) < 0 ||
            apply_total(r, (enum key)k) < 0)
            return -1;
    struct value *memory = &r->values[KEY_MEMORY];
    struct value *swap = &r->values[KEY_MEMORY_SWAP];
    struct value *reserved = &r->values[KEY_MEMORY_RESERVATION];
    if (quota_is_none(KEY_MEMORY, memory))
        return 0;
    if (!quota_is_none(KEY_MEMORY_RESERVATION, reserved) &&
        reserved->number > memory->number)
        reserved->number = memory->number;
    if (!quota_is_none(KEY_MEMORY_SWAP, swap) && swap->number < memory->number)
        swap->number = memory->number;
    return 0;
}

/* ---- the configuration alone, at start ---- */

static int check_section(struct resolver *r, const cJSON *section, const char *path)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, section)
    {
        struct value v = {0};
        int key = quota_key_find(item->string);
        if (key < 0)
            return reeve_error_set(r->err, 0, "%s.%.40s is no quota", path,
                                   item->string);
        const char *text = config_text(item);
        if (text && quota_key((enum key)key)->parse(text, &v, r->err) < 0)
            return reeve_error_wrap(r->err, "%s.%s", path, item->string);
    }
    return 0;
}

static int check_queue(struct resolver *r, const cJSON *queue)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, queue)
    {
        char source[SOURCE_SIZE];
        bool quotas = strcmp(item->string, "defaults") == 0 ||
                      strcmp(item->string, "ceilings") == 0;
        if (!quotas && strcmp(item->string, "max_runs") != 0)
            return reeve_error_set(r->err, 0,
                                   "agent.reeve.queues.%.60s.%.40s is not known; "
                                   "defaults, ceilings and max_runs are",
                                   r->queue.name, item->string);
        const cJSON *section = quotas ? quota_of_queue(r, item->string, source) : NULL;
        if (check_section(r, section, source) < 0)
            return -1;
    }
    return 0;
}

/* A task that asks for nothing gets what is configured: if it can. */
static int check_resolved(const struct config *config, const char *queue,
                          struct reeve_error *err)
{
    struct quota q;
    if (quota_resolve(NULL, config, &(struct quota_queue){.name = queue}, &q, err) < 0)
        return -1;
    quota_free(&q);
    return 0;
}

int quota_check_config(const struct config *config, struct reeve_error *err)
{
    const cJSON *queue, *queues = config_json(config, "agent.reeve.queues");
    if (check_resolved(config, NULL, err) < 0)
        return -1;
    cJSON_ArrayForEach(queue, queues)
    {
        struct resolver r = {
            .config = config, .queue = {.name = queue->string}, .err = err};
        if (check_queue(&r, queue) < 0 ||
            check_resolved(config, queue->string, err) < 0)
            return -1;
    }
    return 0;
}
