/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/top.h"

#include "base/alloc.h"
#include "master/control.h"
#include "master/master.h"
#include "master/report.h"

#include <stdlib.h>
#include <string.h>

/* So few that all can be measured at each look. */
#define MEASURE_ALL 100

static double weight_cpu(const struct run *run)
{
    return run_is_live(run) ? run->report.cpu_percent : -1;
}

static double weight_memory(const struct run *run)
{
    return run_is_live(run) ? (double)run->report.last.memory : -1;
}

static double weight_age(const struct run *run)
{
    return (double)run->started_ms;
}

static const struct {
    const char *name;
    double (*weight)(const struct run *run);
} orders[] = {{"cpu", weight_cpu}, {"memory", weight_memory}, {"age", weight_age}};

struct place {
    struct run *run;
    double weight;
    unsigned number; /* equal ones stay in their order */
};

static int compare(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight < y->weight ? 1 : -1;
    return x->number < y->number ? -1 : 1;
}

cJSON *top_rows(struct master *m, int count, const char *sort)
{
    size_t order = 0;
    while (order < ARRAY_SIZE(orders) && strcmp(orders[order].name, sort) != 0)
        order++;
    if (order == ARRAY_SIZE(orders))
        return NULL;
    bool all = runs_count(m->runs) <= MEASURE_ALL;
    auto_free struct place *places = xcalloc(runs_count(m->runs) + 1, sizeof *places);
    unsigned n = 0;
    for (struct run *run = runs_first(m->runs); run; run = run->list_next) {
        if (run->phase == PHASE_GONE)
            continue;
        if (all)
            report_sample(run);
        places[n] = (struct place){run, orders[order].weight(run), n};
        n++;
    }
    qsort(places, n, sizeof *places, compare);
    cJSON *rows = cJSON_CreateArray();
    for (unsigned i = 0; i < n && (int)i < count; i++) {
        report_sample(places[i].run);
        cJSON_AddItemToArray(rows, control_run_row(places[i].run));
    }
    return rows;
}
