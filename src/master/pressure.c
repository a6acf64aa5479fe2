/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/pressure.h"

#include "base/json.h"
#include "master/master.h"
#include "master/run.h"

/* Per cent of five minutes in which nothing of the run could go on. */
#define SQUEEZED 50.0

static cJSON *line_to_json(const struct psi_line *l)
{
    cJSON *json = cJSON_CreateObject();
    json_set_num(json, "avg10", l->avg10);
    json_set_num(json, "avg60", l->avg60);
    json_set_num(json, "avg300", l->avg300);
    json_set_int(json, "total_usec", (int64_t)l->total_usec);
    return json;
}

static void add(cJSON *json, enum psi_resource r, const struct psi *psi)
{
    cJSON *one = json_set(json, psi_name(r),
                          psi->known ? cJSON_CreateObject() : cJSON_CreateNull());
    if (!psi->known)
        return;
    json_set(one, "some", line_to_json(&psi->some));
    json_set(one, "full", line_to_json(&psi->full));
}

cJSON *pressure_of_host(void)
{
    cJSON *json = cJSON_CreateObject();
    struct psi psi;
    for (int r = 0; r < PSI_COUNT; r++) {
        psi_read_host((enum psi_resource)r, &psi);
        add(json, (enum psi_resource)r, &psi);
    }
    return json;
}

static bool read_run(const struct run *run, enum psi_resource r, struct psi *psi)
{
    char group[GROUP_PATH_SIZE];
    return cgroup_read_psi(run->master->cgroups, run_group(run, "payload", group), r,
                           psi);
}

cJSON *pressure_of_run(const struct run *run)
{
    cJSON *json = cJSON_CreateObject();
    struct psi psi;
    for (int r = 0; r < PSI_COUNT; r++) {
        read_run(run, (enum psi_resource)r, &psi);
        add(json, (enum psi_resource)r, &psi);
    }
    return json;
}

cJSON *memory_events_of_run(const struct run *run)
{
    const struct cgroup_stat *s = &run->report.last;
    if (!run_is_live(run) || !run->report.last_ms)
        return cJSON_CreateNull();
    cJSON *json = cJSON_CreateObject();
    json_set_int(json, "high", (int64_t)s->memory_high);
    json_set_int(json, "max", (int64_t)s->memory_max);
    json_set_int(json, "oom", (int64_t)s->oom);
    json_set_int(json, "oom_kill", (int64_t)s->oom_kill);
    return json;
}

void pressure_check(struct run *run)
{
    struct psi psi;
    if (run->squeezed_attempt != run->attempt) {
        run->squeezed_attempt = run->attempt;
        run->squeezed = 0;
    }
    for (int r = 0; r < PSI_COUNT; r++) {
        if ((run->squeezed & 1u << r) || !read_run(run, (enum psi_resource)r, &psi) ||
            psi.full.avg300 < SQUEEZED)
            continue;
        run->squeezed |= 1u << r;
        run_note(run,
                 "reeve: short of %s: for %.0f %% of the last five minutes all of it "
                 "waited; see its quotas (reeve inspect) and the host's load",
                 psi_name((enum psi_resource)r), psi.full.avg300);
    }
}
