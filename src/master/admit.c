/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* - The sums are kept, not counted: a look into the queues must not cost more with
 * 10,000 runs than with ten.
 * - Memory is bounded by the host's own size, CPU by ten times it: a limit of CPU is a
 * bound of what is shared, and services idle.
 * - A small disk is full at a fiftieth of it, whatever the setting says by default. */

#include "master/admit.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"
#include "cgroup/psi.h"
#include "config/size.h"
#include "master/host-room.h"
#include "master/master.h"
#include "master/pull.h"
#include "master/quota.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define CPU_PERCENT 1000
#define MEMORY_PERCENT 100
#define DISK_MIN (INT64_C(64) << 20)
#define DISK_PARTS 50
#define STARTS_EACH_CPU 8
#define STARTS_MIN 16
/* Of the files that the master may open: what so many starts take, and the rest of its
 * work. A run that goes on takes 3. */
#define FILES_SPARE 512

struct queue_use {
    char id[TASK_ID_SIZE];
    unsigned slots;
};

struct admit {
    struct master *master;
    int64_t memory, cpu_milli;      /* capacity; 0: no bound */
    int64_t min_disk;               /* -1: the default */
    double max_pressure[PSI_COUNT]; /* 0: no bound */
    enum admit_answer large;        /* to what can never fit */
    bool keep_slots;                /* none is lent */
    unsigned slots, lent;
    unsigned starting, starts; /* the latter: at most */
    struct need promised;
    struct queue_use *queues;
    unsigned queue_count;
    char why[ADMIT_TEXT_SIZE];
};

/* ---- settings ---- */

/* "150%" of the host's own, or an amount. 0, or -1 with err. */
static int read_capacity(const struct config *c, const char *path, int64_t host,
                         int64_t percent, int (*parse)(const char *, int64_t *),
                         const char *allowed, int64_t *out, struct reeve_error *err)
{
    const char *text = config_str(c, path, NULL);
    char *end;
    *out = host / 100 * percent + host % 100 * percent / 100;
    if (!text)
        return 0;
    double part = strtod(text, &end);
    if (end != text && strcmp(end, "%") == 0 && part >= 0 && part <= 1e6) {
        *out = (int64_t)((double)host * part / 100);
        return 0;
    }
    if (parse(text, out) < 0)
        return reeve_error_set(err, 0, "%s: %s is expected, 0 for no bound, not %.40s",
                               path, allowed, text);
    return 0;
}

static int parse_memory(const char *text, int64_t *out)
{
    return size_parse(text, out, NULL);
}

static int parse_cpus(const char *text, int64_t *out)
{
    char *end;
    double cpus = strtod(text, &end);
    if (end == text || *end || !(cpus >= 0) || cpus > 1e6)
        return -1;
    *out = (int64_t)(cpus * 1000);
    return 0;
}

static int read_pressure(struct admit *a, const struct config *c,
                         struct reeve_error *err)
{
    for (int i = 0; i < PSI_COUNT; i++) {
        auto_free char *path =
            xasprintf("agent.reeve.max_pressure.%s", psi_name((enum psi_resource)i));
        double value = config_num(c, path, -1);
        if (!config_str(c, path, NULL))
            continue;
        if (!(value >= 0 && value <= 100))
            return reeve_error_set(err, 0, "%s: per cent of the time, 0 for no bound",
                                   path);
        a->max_pressure[i] = value;
    }
    return 0;
}

/* The host's size, or what agent.reeve.host gives all runs together. */
static int read_host(const struct config *c, struct need *out, struct reeve_error *err)
{
    struct limits all;
    if (quota_host_limits(c, &all, err) < 0)
        return -1;
    *out = (struct need){host_memory(), host_cpu_milli()};
    if (all.memory != LIMIT_NONE && (!out->memory || all.memory < out->memory))
        out->memory = all.memory;
    if (all.cpu_milli != LIMIT_NONE && all.cpu_milli < out->cpu_milli)
        out->cpu_milli = all.cpu_milli;
    return 0;
}

static int read_settings(struct admit *a, const struct config *c,
                         struct reeve_error *err)
{
    static const char large[] = "agent.reeve.admission.too_large";
    struct need host;
    if (read_host(c, &host, err) < 0 ||
        read_capacity(c, "agent.reeve.capacity.memory", host.memory, MEMORY_PERCENT,
                      parse_memory, "a size (8g) or a part of the host's (80%)",
                      &a->memory, err) < 0 ||
        read_capacity(c, "agent.reeve.capacity.cpus", host.cpu_milli, CPU_PERCENT,
                      parse_cpus, "a number of CPUs or a part of the host's (400%)",
                      &a->cpu_milli, err) < 0 ||
        config_read_size(c, "agent.reeve.min_free_disk", &a->min_disk, err) < 0 ||
        read_pressure(a, c, err) < 0)
        return -1;
    const char *word = config_str(c, large, "auto");
    a->large = strcmp(word, "leave") == 0    ? ADMIT_LATER
               : strcmp(word, "refuse") == 0 ? ADMIT_NEVER
                                             : ADMIT_OTHERS;
    if (a->large == ADMIT_OTHERS && strcmp(word, "auto") != 0)
        return reeve_error_set(err, 0, "%s: auto, refuse or leave, not %.40s", large,
                               word);
    a->keep_slots = !config_bool(c, "agent.reeve.admission.lend_slots", true);
    return 0;
}

/* The bound of one queue, by its id or its name; 0: none. */
static int read_max_runs(const cJSON *settings, const char *key, int64_t *max,
                         struct reeve_error *err)
{
    const cJSON *value = json_get(json_get(settings, key), "max_runs");
    char *end = NULL;
    if (!value || cJSON_IsNull(value))
        return 0;
    if (cJSON_IsNumber(value))
        *max = (int64_t)value->valuedouble;
    else if (cJSON_IsString(value))
        *max = strtoll(value->valuestring, &end, 10);
    else
        *max = -1;
    if (*max < 0 || (end && (*end || end == value->valuestring)))
        return reeve_error_set(
            err, 0, "agent.reeve.queues.%.60s.max_runs: a number, 0 for no bound", key);
    return 0;
}

static int check_queues(const struct config *c, struct reeve_error *err)
{
    const cJSON *queue, *settings = config_json(c, "agent.reeve.queues");
    int64_t max;
    cJSON_ArrayForEach(queue, settings)
    {
        if (read_max_runs(settings, queue->string, &max, err) < 0)
            return -1;
    }
    return 0;
}

static int64_t max_runs(const struct admit *a, const char *id, const char *name)
{
    const cJSON *settings = config_json(a->master->config, "agent.reeve.queues");
    int64_t max = 0;
    read_max_runs(settings, name, &max, NULL);
    read_max_runs(settings, id, &max, NULL);
    return max;
}

int admit_check(const struct config *config, struct reeve_error *err)
{
    struct admit a = {0};
    return read_settings(&a, config, err) < 0 ? -1 : check_queues(config, err);
}

struct admit *admit_create(struct master *m, struct reeve_error *err)
{
    struct admit *a = xcalloc(1, sizeof *a);
    a->master = m;
    a->min_disk = -1;
    a->starts = (unsigned)(host_cpu_milli() * STARTS_EACH_CPU / 1000);
    a->starts = a->starts < STARTS_MIN ? STARTS_MIN : a->starts;
    if (read_settings(a, m->config, err) == 0)
        return a;
    admit_destroy(a);
    return NULL;
}

void admit_destroy(struct admit *a)
{
    if (!a)
        return;
    free(a->queues);
    free(a);
}

/* ---- promises ---- */

/* The queue's place in the table; 0 is that of tasks of no queue. */
static unsigned queue_index(struct admit *a, const char *id)
{
    for (unsigned i = 0; i < a->queue_count; i++)
        if (strcmp(a->queues[i].id, id) == 0)
            return i;
    a->queues = xreallocarray(a->queues, a->queue_count + 1, sizeof *a->queues);
    struct queue_use *q = &a->queues[a->queue_count];
    memset(q, 0, sizeof *q);
    snprintf(q->id, sizeof q->id, "%s", id);
    return a->queue_count++;
}

/* The last one's start is what a look waits for; half of them, so that it finds room
 * for several. */
static void set_starting(struct admit *a, struct promise *p, bool starting)
{
    if (p->starting == starting)
        return;
    p->starting = starting;
    a->starting += starting ? 1 : -1;
    if (!starting && a->starting == a->starts / 2 && a->master->pull)
        pull_wake(a->master->pull);
}

static void give_back(struct admit *a, struct promise *p)
{
    if (!p->held)
        return;
    a->promised.memory -= p->need.memory;
    a->promised.cpu_milli -= p->need.cpu_milli;
    a->lent -= p->lent;
    if (!p->lent) {
        a->slots--;
        a->queues[p->queue].slots--;
    }
    p->held = p->lent = false;
}

void admit_hold(struct admit *a, struct promise *p, const char *queue_id,
                const struct need *need)
{
    bool lent = p->lent, new = !p->held;
    give_back(a, p);
    p->queue = queue_index(a, queue_id ? queue_id : "");
    p->need = *need;
    p->held = true;
    p->lent = lent;
    a->promised.memory += need->memory;
    a->promised.cpu_milli += need->cpu_milli;
    a->lent += lent;
    if (new)
        set_starting(a, p, true);
    if (lent)
        return;
    a->slots++;
    a->queues[p->queue].slots++;
}

void admit_release(struct admit *a, struct promise *p)
{
    give_back(a, p);
    set_starting(a, p, false);
}

static void need_of(const struct limits *l, struct need *need)
{
    int64_t memory =
        l->memory_reservation != LIMIT_NONE ? l->memory_reservation : l->memory;
    need->memory = memory != LIMIT_NONE ? memory : 0;
    need->cpu_milli = l->cpu_milli != LIMIT_NONE ? l->cpu_milli : 0;
}

void admit_run(struct admit *a, struct run *run)
{
    struct need need;
    if (run->phase >= PHASE_DRAINING) {
        admit_release(a, &run->promise);
        return;
    }
    need_of(&run->policy.limits, &need);
    admit_hold(a, &run->promise, run->queue, &need);
    set_starting(a, &run->promise, run->phase <= PHASE_STARTING);
}

bool admit_lend(struct admit *a, struct run *run)
{
    struct promise *p = &run->promise;
    if (a->keep_slots || !p->held || p->lent)
        return p->lent;
    p->lent = true;
    a->lent++;
    a->slots--;
    a->queues[p->queue].slots--;
    return true;
}

/* ---- the host ---- */

static bool disk_full(struct admit *a)
{
    struct host_disk disk;
    char left[SIZE_TEXT_SIZE], least[SIZE_TEXT_SIZE];
    if (!a->min_disk || host_disk(a->master->state_root, &disk) < 0)
        return false;
    int64_t min = a->min_disk;
    if (min < 0)
        min = disk.size / DISK_PARTS < DISK_MIN ? disk.size / DISK_PARTS : DISK_MIN;
    if (disk.free >= min)
        return false;
    snprintf(a->why, sizeof a->why,
             "the disk of %.120s has %s left, %s is the least (min_free_disk)",
             a->master->state_root, size_format(disk.free, left),
             size_format(min, least));
    return true;
}

static bool files_short(struct admit *a)
{
    int64_t limit = host_files(),
            spare = limit / 4 < FILES_SPARE ? limit / 4 : FILES_SPARE;
    if (host_files_left(spare))
        return false;
    snprintf(a->why, sizeof a->why,
             "%u runs need nearly all of the %lld files that reeved may open "
             "(LimitNOFILE)",
             runs_count(a->master->runs), (long long)limit);
    return true;
}

static bool pressed(struct admit *a)
{
    for (int i = 0; i < PSI_COUNT; i++) {
        struct psi psi;
        if (!(a->max_pressure[i] > 0) || !psi_read_host((enum psi_resource)i, &psi) ||
            psi.some.avg10 <= a->max_pressure[i])
            continue;
        snprintf(a->why, sizeof a->why,
                 "tasks here have waited for %s %.1f %% of the last ten seconds, more "
                 "than %.1f %% (max_pressure.%s)",
                 psi_name((enum psi_resource)i), psi.some.avg10, a->max_pressure[i],
                 psi_name((enum psi_resource)i));
        return true;
    }
    return false;
}

const char *admit_host_full(struct admit *a)
{
    unsigned capacity = a->master->capacity;
    if (capacity && a->slots >= capacity) {
        snprintf(a->why, sizeof a->why, "all slots are taken (--services-mode %u)",
                 capacity);
        return a->why;
    }
    return disk_full(a) || files_short(a) || pressed(a) ? a->why : NULL;
}

const char *admit_queue_full(struct admit *a, const char *id, const char *name)
{
    int64_t max = max_runs(a, id, name);
    if (!max)
        return NULL;
    unsigned place = queue_index(a, id);
    if (a->queues[place].slots < max)
        return NULL;
    snprintf(a->why, sizeof a->why,
             "it has as many runs here as it may (max_runs %" PRId64 ")", max);
    return a->why;
}

unsigned admit_starts_left(const struct admit *a)
{
    return a->starting < a->starts ? a->starts - a->starting : 0;
}

unsigned admit_slots_free(const struct admit *a)
{
    unsigned capacity = a->master->capacity;
    if (!capacity)
        return UINT_MAX;
    return a->slots < capacity ? capacity - a->slots : 0;
}

bool admit_slots_full(const struct admit *a, const char *id, const char *name)
{
    unsigned capacity = a->master->capacity;
    int64_t max = id ? max_runs(a, id, name) : 0;
    if (capacity && a->slots >= capacity)
        return true;
    for (unsigned i = 0; max && i < a->queue_count; i++)
        if (strcmp(a->queues[i].id, id) == 0)
            return a->queues[i].slots >= max;
    return false;
}

/* ---- one task ---- */

bool admit_asks(const struct admit *a)
{
    return a->memory || a->cpu_milli;
}

static void say_memory(int64_t need, int64_t of, int64_t promised, char *why)
{
    char needed[SIZE_TEXT_SIZE], all[SIZE_TEXT_SIZE], taken[SIZE_TEXT_SIZE];
    size_format(need, needed);
    size_format(of, all);
    if (promised < 0)
        snprintf(why, ADMIT_TEXT_SIZE,
                 "it asks for %s of memory, and this host promises no more than %s "
                 "(agent.reeve.capacity.memory)",
                 needed, all);
    else
        snprintf(why, ADMIT_TEXT_SIZE,
                 "it asks for %s of memory, and %s of %s are promised "
                 "(agent.reeve.capacity.memory)",
                 needed, size_format(promised, taken), all);
}

static void say_cpus(int64_t need, int64_t of, int64_t promised, char *why)
{
    if (promised < 0)
        snprintf(why, ADMIT_TEXT_SIZE,
                 "it asks for %.3g CPUs, and this host promises no more than %.3g "
                 "(agent.reeve.capacity.cpus)",
                 (double)need / 1000, (double)of / 1000);
    else
        snprintf(why, ADMIT_TEXT_SIZE,
                 "it asks for %.3g CPUs, and %.3g of %.3g are promised "
                 "(agent.reeve.capacity.cpus)",
                 (double)need / 1000, (double)promised / 1000, (double)of / 1000);
}

/* promised: what others hold; NULL: as if nobody did. */
static bool lacks(const struct admit *a, const struct need *need,
                  const struct need *promised, char *why)
{
    int64_t memory = promised ? promised->memory : 0;
    int64_t cpu = promised ? promised->cpu_milli : 0;
    if (a->memory && need->memory > a->memory - memory && need->memory) {
        say_memory(need->memory, a->memory, promised ? memory : -1, why);
        return true;
    }
    if (a->cpu_milli && need->cpu_milli > a->cpu_milli - cpu && need->cpu_milli) {
        say_cpus(need->cpu_milli, a->cpu_milli, promised ? cpu : -1, why);
        return true;
    }
    return false;
}

enum admit_answer admit_task(struct admit *a, const cJSON *task,
                             const struct quota_queue *queue, struct need *need,
                             char why[ADMIT_TEXT_SIZE])
{
    struct quota quota;
    struct reeve_error err;
    *need = (struct need){0};
    /* One that cannot be read ends the task by its own reason, once it is pulled. */
    if (quota_resolve(task, a->master->config, queue, &quota, &err) < 0)
        return ADMIT_YES;
    need_of(&quota.limits, need);
    quota_free(&quota);
    if (lacks(a, need, NULL, why))
        return a->large;
    return lacks(a, need, &a->promised, why) ? ADMIT_LATER : ADMIT_YES;
}

bool admit_refuses(const struct admit *a, const struct limits *limits,
                   char why[ADMIT_TEXT_SIZE])
{
    struct need need;
    need_of(limits, &need);
    return a->large != ADMIT_LATER && lacks(a, &need, NULL, why);
}

/* ---- status ---- */

static void set_bound(cJSON *to, const char *name, double value, bool known)
{
    json_set(to, name, known ? cJSON_CreateNumber(value) : cJSON_CreateNull());
}

cJSON *admit_to_json(struct admit *a)
{
    struct host_disk disk;
    cJSON *json = cJSON_CreateObject();
    json_set_int(json, "slots", a->slots);
    json_set_int(json, "slots_lent", a->lent);
    set_bound(json, "memory", (double)a->memory, a->memory);
    json_set_int(json, "memory_promised", a->promised.memory);
    set_bound(json, "cpus", (double)a->cpu_milli / 1000, a->cpu_milli);
    json_set_num(json, "cpus_promised", (double)a->promised.cpu_milli / 1000);
    bool known = host_disk(a->master->state_root, &disk) == 0;
    set_bound(json, "disk_free", (double)disk.free, known);
    json_set_str(json, "closed", admit_host_full(a));
    return json;
}
