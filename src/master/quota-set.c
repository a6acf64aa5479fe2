/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* Changes of a quota that is in force: `reeve set`. */

#include "master/quota-internal.h"

#include "base/alloc.h"
#include "base/json.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SOURCE "reeve set"

static void put(struct resolver *r, enum key key, int64_t number, int extra)
{
    struct value *v = &r->values[key];
    *v = (struct value){.set = number != LIMIT_NONE, .number = number, .extra = extra};
    snprintf(v->source, sizeof v->source, "%s", quota_key(key)->name);
}

/* The reverse of quota_fill(). */
static void take(struct resolver *r, const struct quota *q)
{
    const struct limits *l = &q->limits;
    put(r, KEY_MEMORY, l->memory, 0);
    put(r, KEY_MEMORY_RESERVATION, l->memory_reservation, 0);
    put(r, KEY_MEMORY_SWAP, l->memory_swap, 0);
    put(r, KEY_CPUS, l->cpu_milli, 0);
    put(r, KEY_CPU_SHARES, l->cpu_weight, 0);
    put(r, KEY_CPUSET, l->cpuset[0] ? 1 : LIMIT_NONE, 0);
    memcpy(r->values[KEY_CPUSET].text, l->cpuset, sizeof l->cpuset);
    put(r, KEY_PIDS, l->pids, 0);
    put(r, KEY_READ_BPS, l->read_bps, 0);
    put(r, KEY_WRITE_BPS, l->write_bps, 0);
    put(r, KEY_READ_IOPS, l->read_iops, 0);
    put(r, KEY_WRITE_IOPS, l->write_iops, 0);
    put(r, KEY_BLKIO_WEIGHT, l->io_weight, 0);
    put(r, KEY_NOFILE, q->nofile_hard, (int)q->nofile_soft);
    put(r, KEY_DISK, q->disk, 0);
    /* Without a value it would get the default. */
    put(r, KEY_LOG_BUDGET, q->log_budget ? q->log_budget : LIMIT_NONE, 0);
    r->values[KEY_LOG_BUDGET].set = true;
    put(r, KEY_RESTART, q->restart, q->restart_max);
    put(r, KEY_STOP_TIMEOUT, q->stop_timeout_ms, 0);
    put(r, KEY_STOP_SIGNAL, q->stop_signal, 0);
    put(r, KEY_TIMEOUT, q->timeout_ms, 0);
    put(r, KEY_SETUP_TIMEOUT, q->setup_timeout_ms, 0);
    /* What nobody asked for follows the memory: policy_from_quota(). */
    if (l->memory != LIMIT_NONE && l->memory_swap == 2 * l->memory)
        put(r, KEY_MEMORY_SWAP, LIMIT_NONE, 0);
}

static bool is_none_word(const char *text)
{
    return strcasecmp(text, "none") == 0 || strcasecmp(text, "unlimited") == 0;
}

static void lift(struct resolver *r, enum key key)
{
    struct value v = {.set = true, .number = LIMIT_NONE, .source = SOURCE};
    if (key == KEY_RESTART)
        v.number = RESTART_NO;
    else if (key == KEY_STOP_TIMEOUT)
        v.number = QUOTA_STOP_TIMEOUT_MS;
    else if (key == KEY_STOP_SIGNAL)
        v.number = SIGTERM;
    r->values[key] = v;
}

static int change(struct resolver *r, const cJSON *item, bool changed[KEY_COUNT])
{
    int key = quota_key_find(item->string);
    if (key < 0)
        return reeve_error_set(r->err, 0, "%.40s is no quota", item->string);
    if (!cJSON_IsString(item))
        return reeve_error_set(r->err, 0, "%s: a text is expected", item->string);
    changed[key] = true;
    if (is_none_word(item->valuestring))
        lift(r, (enum key)key);
    else if (quota_set_value(r, (enum key)key, item->valuestring, item->string) < 0)
        return -1;
    snprintf(r->values[key].source, SOURCE_SIZE, SOURCE);
    return 0;
}

/* Lifted memory takes swap's limit along, which counts both. */
static void follow_memory(struct resolver *r, const bool changed[KEY_COUNT])
{
    if (changed[KEY_MEMORY] && !changed[KEY_MEMORY_SWAP] &&
        (quota_is_none(KEY_MEMORY, &r->values[KEY_MEMORY]) ||
         r->values[KEY_MEMORY_SWAP].number < r->values[KEY_MEMORY].number))
        put(r, KEY_MEMORY_SWAP, LIMIT_NONE, 0);
}

int quota_change(const struct quota *now, const cJSON *values,
                 const struct config *config, const struct quota_queue *queue,
                 struct quota *out, struct reeve_error *err)
{
    struct resolver r = {.config = config, .out = out, .err = err};
    if (queue)
        r.queue = *queue;
    bool changed[KEY_COUNT] = {false};
    const cJSON *item;
    quota_clear(out);
    take(&r, now);
    cJSON_ArrayForEach(item, values)
    {
        if (change(&r, item, changed) < 0)
            goto fail;
    }
    follow_memory(&r, changed);
    if (quota_check_memory(&r) < 0 || quota_apply_ceilings(&r) < 0)
        goto fail;
    quota_fill(&r);
    for (int k = 0; k < KEY_COUNT; k++)
        if (changed[k])
            quota_add_note(&r, (enum key)k);
    return 0;
fail:
    quota_free(out);
    quota_clean_error(err);
    return -1;
}
