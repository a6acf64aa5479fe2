/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* - The look is one call an interval, and none while nothing waits. It is asked by
 * the parents, in pages of 500 of them, one page a look: the server caps there. It
 * answers with 500 steps at most, which may all be those of one controller: the others
 * are asked for again without those that were found.
 * - A slot that was lent stays so as long as the run lives: its steps come one after
 * the other, and it does little itself.
 * - Whether another agent serves the queue is not known; where memory is what they wait
 * for, or slots are not lent, it is said and left to the operator. */

#include "master/steps.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"
#include "master/admit.h"
#include "master/drain.h"
#include "master/master.h"
#include "master/pull.h"

#include <stdio.h>
#include <string.h>

#define PAGE 500

struct steps {
    struct master *master;
    ev_timer timer;
    struct api_call *call;
    cJSON *parents; /* that are asked for */
    bool looked;
    char after[TASK_ID_SIZE]; /* the last run of the page before; "": from the first */
};

static void rearm(struct steps *s)
{
    ev_timer_stop(s->master->loop, &s->timer);
    ev_timer_set(&s->timer, (double)s->master->waits.steps_ms / 1000.0, 0.0);
    ev_timer_start(s->master->loop, &s->timer);
}

static bool has_slot(const struct run *run)
{
    return run->promise.held && run->phase == PHASE_RUNNING;
}

static void say_stuck(struct run *run, const char *queue, const char *why)
{
    const char *then = run->promise.lent
                           ? "its slot is lent to them"
                           : "unless another agent takes them, it waits for ever";
    log_warn("task=%s %u of its steps wait in queue %s, %s: %s", run->id,
             run->steps_waiting, queue, why, then);
    run_note(run, "reeve: %u of its steps wait in queue %s, %s: %s", run->steps_waiting,
             queue, why, then);
}

static void note_step(struct steps *s, struct run *run, const char *queue)
{
    if (!pull_waits_for(s->master->pull, queue))
        return;
    run->steps_seen++;
    snprintf(run->steps_queue, sizeof run->steps_queue, "%s", queue);
}

static void judge_run(struct steps *s, struct run *run)
{
    struct pull *pull = s->master->pull;
    struct admit *admit = s->master->admit;
    const char *name = pull_queue_name(pull, run->steps_queue);
    const char *why = pull_waits_for(pull, run->steps_queue);
    bool lend = why && !drain_active(s->master->drain) &&
                admit_slots_full(admit, run->steps_queue, name) && !run->promise.lent &&
                admit_lend(admit, run);
    if (why && (lend || !run->steps_told))
        say_stuck(run, name, why);
    run->steps_told = true;
    if (lend)
        pull_wake(pull);
}

static void note_steps(struct steps *s, const cJSON *tasks)
{
    const cJSON *task;
    cJSON_ArrayForEach(task, tasks)
    {
        struct run *run = runs_find(s->master->runs, json_str(task, "parent", ""));
        if (run && has_slot(run))
            note_step(s, run, json_str(json_get(task, "execution"), "queue", ""));
    }
}

static void forget_parent(struct steps *s, const char *id)
{
    cJSON *parent = s->parents->child;
    while (parent && strcmp(parent->valuestring, id) != 0)
        parent = parent->next;
    if (parent)
        cJSON_Delete(cJSON_DetachItemViaPointer(s->parents, parent));
}

/* True if there may be steps of others than those whose steps filled the answer. */
static bool more(struct steps *s, const cJSON *tasks)
{
    const cJSON *task;
    int asked = cJSON_GetArraySize(s->parents);
    if (cJSON_GetArraySize(tasks) < PAGE)
        return false;
    cJSON_ArrayForEach(task, tasks)
    {
        forget_parent(s, json_str(task, "parent", ""));
    }
    int left = cJSON_GetArraySize(s->parents);
    return left > 0 && left < asked;
}

static void ask(struct steps *s);

static void on_steps(void *arg, const struct api_reply *r)
{
    struct steps *s = arg;
    const cJSON *tasks = json_get(r->data, "tasks");
    s->call = NULL;
    note_steps(s, tasks);
    if (more(s, tasks)) {
        ask(s);
        return;
    }
    rearm(s);
    for (struct run *run = runs_first(s->master->runs); run; run = run->list_next) {
        /* Of those on a later page nothing is known yet. */
        if (run->steps_seen || (!s->after[0] && r->result == API_OK))
            run->steps_waiting = run->steps_seen;
        if (run->steps_seen)
            judge_run(s, run);
    }
}

/* all: what the last look found, too; of lent ones that is not looked for again. */
static void forget(struct steps *s, bool all)
{
    for (struct run *run = runs_first(s->master->runs); run; run = run->list_next) {
        run->steps_seen = 0;
        if (all || run->promise.lent)
            run->steps_waiting = 0;
    }
}

/* The next page of runs that may have steps; empty: there is none. */
static cJSON *page_of_parents(struct steps *s)
{
    cJSON *ids = cJSON_CreateArray();
    struct run *run = s->after[0] ? runs_find(s->master->runs, s->after) : NULL;
    run = run ? run->list_next : runs_first(s->master->runs);
    if (!s->after[0])
        forget(s, false);
    s->after[0] = '\0';
    for (int n = 0; run && n < PAGE; run = run->list_next) {
        if (!has_slot(run) || run->promise.lent)
            continue;
        cJSON_AddItemToArray(ids, cJSON_CreateString(run->id));
        if (++n == PAGE)
            snprintf(s->after, sizeof s->after, "%s", run->id);
    }
    return ids;
}

static void ask(struct steps *s)
{
    static const char *const queued[] = {"queued"};
    static const char *const wanted[] = {"parent", "execution.queue"};
    cJSON *body = cJSON_CreateObject();
    json_set(body, "parent", cJSON_Duplicate(s->parents, true));
    json_set(body, "execution.queue", pull_queue_ids(s->master->pull));
    json_set(body, "status", cJSON_CreateStringArray(queued, 1));
    json_set(body, "only_fields", cJSON_CreateStringArray(wanted, 2));
    json_set_int(body, "page", 0);
    json_set_int(body, "page_size", PAGE);
    json_set_bool(body, "search_hidden", true);
    s->call = api_send(s->master->api, NULL, "tasks.get_all", body, NULL, on_steps, s);
}

static void look_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct steps *s = w->data;
    bool waits = pull_waits_for(s->master->pull, NULL) != NULL;
    if (!waits && s->looked) {
        forget(s, true);
        s->after[0] = '\0';
    }
    s->looked = waits;
    cJSON_Delete(s->parents);
    s->parents = waits && api_reachable(s->master->api) ? page_of_parents(s) : NULL;
    if (cJSON_GetArraySize(s->parents) > 0)
        ask(s);
    else
        rearm(s);
}

struct steps *steps_create(struct master *m)
{
    struct steps *s = xcalloc(1, sizeof *s);
    s->master = m;
    ev_init(&s->timer, look_cb);
    s->timer.data = s;
    rearm(s);
    return s;
}

void steps_destroy(struct steps *s)
{
    if (!s)
        return;
    ev_timer_stop(s->master->loop, &s->timer);
    if (s->call)
        api_cancel(s->call);
    cJSON_Delete(s->parents);
    free(s);
}

cJSON *steps_to_json(const struct steps *s)
{
    cJSON *list = cJSON_CreateArray();
    for (struct run *run = runs_first(s->master->runs); run; run = run->list_next) {
        if (!run->steps_waiting || !has_slot(run))
            continue;
        cJSON *row = cJSON_CreateObject();
        cJSON_AddItemToArray(list, row);
        json_set_str(row, "id", run->id);
        json_set_str(row, "name", run->name);
        json_set_int(row, "steps", run->steps_waiting);
        json_set_str(row, "queue", pull_queue_name(s->master->pull, run->steps_queue));
        json_set_bool(row, "lent", run->promise.lent);
    }
    return list;
}
